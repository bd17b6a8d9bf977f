import RTP
import Testing

@Suite("Telephone-events sent and told")
struct TelephoneEventSenderTests {
    private static func sent(_ sender: inout TelephoneEventSender, packets: Int, from timestamp: UInt32) -> [TelephoneEventSender.Packet?] {
        (0..<packets).map { sender.next(replacing: timestamp &+ UInt32($0) * 160) }
    }

    @Test("a key takes the place of packets from one timestamp on, grows, and ends three times")
    func oneKey() {
        var sender = TelephoneEventSender()
        let event = TelephoneEventSender.Event(code: 5, payloadType: 101, duration: 640)
        do {
            let isTaken = sender.add(event)
            #expect(isTaken)
        }
        let start: UInt32 = 0xffff_ff00
        let packets = Self.sent(&sender, packets: 12, from: start)
        #expect(packets[0] == nil, "the first one only tells where the timestamps are")
        let taken = packets[1..<7].compactMap(\.self)
        #expect(taken.count == 6)
        #expect(Set(taken.map(\.timestamp)) == [start &+ 160])
        #expect(taken.map(\.duration) == [160, 320, 480, 640, 640, 640])
        #expect(taken.map(\.isEnd) == [false, false, false, true, true, true])
        #expect(taken.map(\.isFirst) == [true, false, false, false, false, false])
        #expect(packets[7...].allSatisfy { $0 == nil } && sender.isIdle)
    }

    @Test("keys go out in order with a pause between them, and no more are taken than there is room for")
    func queue() {
        var sender = TelephoneEventSender()
        for code in 0..<UInt8(TelephoneEventSender.capacity) {
            do {
                let isTaken = sender.add(.init(code: code, payloadType: 96, duration: 320))
                #expect(isTaken)
            }
        }
        do {
            let isTaken = sender.add(.init(code: 1, payloadType: 96, duration: 320))
            #expect(!isTaken)
        }
        let packets = Self.sent(&sender, packets: 200, from: 1_000)
        let first = packets.filter { $0?.isFirst == true }.compactMap { $0?.event.code }
        #expect(first == Array(0..<8))
        for index in 1..<packets.count where packets[index]?.isFirst == true {
            #expect(packets[index - 1] == nil, "a packet of the medium before each key")
        }
        #expect(sender.isIdle)
    }

    @Test("what it writes is an RTP packet that our own counter reads as one key")
    func octets() {
        var sender = TelephoneEventSender()
        do {
            let isTaken = sender.add(.init(code: 11, payloadType: 101, duration: 800))
            #expect(isTaken)
        }
        var statistics = StreamStatistics()
        statistics.formats.set(101, to: .telephoneEvent)
        var reporter = DigitReporter()
        var told: [DigitReporter.Digit] = []
        for index in 0..<20 {
            let medium = Packet(sequenceNumber: UInt16(index), timestamp: 5_000 + UInt32(index) * 160, arrival: UInt64(index))
            let octets = medium.octets
            guard let header = RTPHeader(parsing: octets.span) else { preconditionFailure("a packet of ours") }
            let packet = sender.next(replacing: header.timestamp)
            let written = packet.map { packet in
                (0..<TelephoneEventSender.Packet.octetCount).map { packet.octet($0, replacing: header) }
            } ?? octets
            guard let readHeader = RTPHeader(parsing: written.span) else { preconditionFailure("RTP was written") }
            #expect(readHeader.sequenceNumber == header.sequenceNumber && readHeader.ssrc == header.ssrc)
            statistics.receive(readHeader, in: written.span, now: UInt64(index) * 20_000_000)
            if let digit = reporter.take(statistics.telephoneEvents) { told.append(digit) }
        }
        #expect(told.map(\.code) == [11] && told.map(\.duration) == [800])
        #expect(statistics.telephoneEvents.events == 1 && statistics.lost == 0)
    }

    @Test("a key whose end is lost is told with the next one; repeated ends tell nothing more")
    func lostEnd() {
        var statistics = StreamStatistics()
        statistics.formats.set(101, to: .telephoneEvent)
        var reporter = DigitReporter()
        var told: [UInt8] = []
        var sequence: UInt16 = 0
        func press(_ code: UInt8, at timestamp: UInt32, ends: Int) {
            for index in 0..<(2 + ends) {
                let flags: UInt8 = index >= 2 ? 0x8a : 0x0a
                let packet = Packet(
                    sequenceNumber: sequence, timestamp: timestamp, payloadType: 101,
                    payload: [code, flags, 0, UInt8(100 + index)], arrival: UInt64(sequence))
                sequence += 1
                let octets = packet.octets
                guard let header = RTPHeader(parsing: octets.span) else { preconditionFailure("a packet of ours") }
                statistics.receive(header, in: octets.span, now: UInt64(sequence) * 20_000_000)
                if let digit = reporter.take(statistics.telephoneEvents) { told.append(digit.code) }
            }
        }
        press(1, at: 1_000, ends: 3)
        press(2, at: 3_000, ends: 0)
        #expect(told == [1])
        press(3, at: 5_000, ends: 3)
        #expect(told == [1, 2, 3])
    }
}
