import RTP
import Testing

@Suite("RTP header")
struct RTPHeaderTests {
    static func packet(first: UInt8 = 0x80, second: UInt8 = 0, body: [UInt8] = []) -> [UInt8] {
        [first, second, 0x12, 0x34, 0, 0, 0, 5, 0xde, 0xad, 0xbe, 0xef] + body
    }

    @Test("a plain packet")
    func plain() throws {
        let octets = Self.packet(second: 0x88, body: [1, 2, 3])
        let header = try #require(RTPHeader(parsing: octets.span) as RTPHeader?)
        #expect(header.marker && header.payloadType == 8)
        #expect(header.sequenceNumber == 0x1234 && header.timestamp == 5 && header.ssrc == 0xdead_beef)
        #expect(header.payloadOffset == 12 && header.payloadCount == 3)
    }

    @Test("contributing sources, extension and padding are taken off")
    func allParts() throws {
        let sources: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 2]
        let extensionWords: [UInt8] = [0xbe, 0xde, 0, 1, 9, 9, 9, 9]
        let octets = Self.packet(first: 0xb2, body: sources + extensionWords + [7, 7, 0, 2])
        let header = try #require(RTPHeader(parsing: octets.span) as RTPHeader?)
        #expect(header.payloadOffset == 28 && header.payloadCount == 2)
    }

    @Test("an empty payload is allowed")
    func emptyPayload() {
        let octets = Self.packet()
        #expect((RTPHeader(parsing: octets.span) as RTPHeader?)?.payloadCount == 0)
    }

    @Test(
        "what does not fit its datagram is no RTP packet",
        arguments: [
            [],
            Array(packet().dropLast()),
            packet(first: 0x40),  // version 1
            packet(first: 0x81),  // a source that is not there
            packet(first: 0x90),  // an extension that is not there
            packet(first: 0x90, body: [0, 0, 0]),
            packet(first: 0x90, body: [0, 0, 0, 1, 0, 0, 0]),  // longer than what is there
            packet(first: 0x90, body: [0, 0, 0xff, 0xff]),
            packet(first: 0xa0),  // padding without payload: the count is an octet of the SSRC
            packet(first: 0xa0, body: [0]),  // padding of none
            packet(first: 0xa0, body: [1, 3]),  // more padding than payload
        ])
    func malformed(octets: [UInt8]) {
        #expect((RTPHeader(parsing: octets.span) as RTPHeader?) == nil)
    }
}

@Suite("Demultiplexing")
struct PacketKindTests {
    @Test(
        "the first octets tell the protocol (RFC 7983, RFC 5761)",
        arguments: [
            ([], PacketKind.other), ([0x80], .other), ([0, 1], .stun), ([3, 0], .stun), ([4, 0], .other), ([15, 0], .other),
            ([16, 0], .zrtp), ([19, 0], .zrtp), ([20, 0], .dtls), ([63, 0], .dtls), ([64, 0], .turnChannel),
            ([79, 0], .turnChannel), ([80, 0], .other), ([127, 0], .other), ([128, 0], .rtp), ([191, 0], .rtp), ([192, 0], .other),
            ([0x80, 191], .rtp), ([0x80, 192], .rtcp), ([0x80, 200], .rtcp), ([0x80, 223], .rtcp), ([0x80, 224], .rtp),
            ([0x80, 0x80 | 101], .rtp),
        ] as [([UInt8], PacketKind)])
    func kinds(octets: [UInt8], kind: PacketKind) {
        #expect((PacketKind(of: octets.span) as PacketKind) == kind)
    }

    @Test("RTCP shows type, length and sender, or is refused")
    func rtcp() {
        let report: [UInt8] = [0x80, 201, 0, 1, 0, 0, 1, 2]
        let header = RTCPHeader(parsing: report.span) as RTCPHeader?
        #expect(header?.packetType == 201 && header?.count == 8 && header?.senderSSRC == 258)
        let bye: [UInt8] = [0x80, 203, 0, 0]
        #expect((RTCPHeader(parsing: bye.span) as RTCPHeader?)?.senderSSRC == 0)
        for octets in [[], [0x80, 201, 0], [0x80, 201, 0, 2, 0, 0, 0, 0], [0x40, 201, 0, 0], [0x80, 191, 0, 0]] as [[UInt8]] {
            #expect((RTCPHeader(parsing: octets.span) as RTCPHeader?) == nil)
        }
    }
}

@Suite("Sequence tracking")
struct SequenceTrackerTests {
    private func tracker(_ numbers: [UInt16], ssrc: UInt32 = 1) -> SequenceTracker {
        var tracker = SequenceTracker()
        for number in numbers { tracker.receive(sequenceNumber: number, ssrc: ssrc) }
        return tracker
    }

    @Test("nothing heard, nothing expected")
    func empty() {
        let tracker = SequenceTracker()
        #expect(tracker.expected == 0 && tracker.received == 0 && tracker.lost == 0)
    }

    @Test("a gap is loss")
    func loss() {
        let tracker = tracker([10, 11, 14])
        #expect(tracker.expected == 5 && tracker.received == 3 && tracker.lost == 2)
    }

    @Test("numbers wrap, and loss is counted across the wrap")
    func wrap() {
        let tracker = tracker([65533, 65534, 1, 2])
        #expect(tracker.extendedHighest == 65538)
        #expect(tracker.expected == 6 && tracker.lost == 2)
    }

    @Test("reordered packets are neither lost nor new, also around the wrap")
    func reordering() {
        var tracker = tracker([65534, 0])
        #expect(tracker.receive(sequenceNumber: 65535, ssrc: 1) == .late)
        #expect(tracker.receive(sequenceNumber: 1, ssrc: 1) == .advanced)
        #expect(tracker.lost == 0 && tracker.expected == 4 && tracker.reordered == 1)
    }

    @Test("a repeated packet is a duplicate, and hides at most as many losses")
    func duplicate() {
        var tracker = tracker([5])
        #expect(tracker.receive(sequenceNumber: 5, ssrc: 1) == .duplicate)
        #expect(tracker.duplicates == 1 && tracker.lost == 0 && tracker.received == 2)
    }

    @Test("a far jump counts only once a second packet confirms it")
    func restart() {
        var tracker = tracker([100, 101, 103])
        #expect(tracker.receive(sequenceNumber: 40000, ssrc: 1) == .jumped)
        #expect(tracker.expected == 4)
        #expect(tracker.receive(sequenceNumber: 104, ssrc: 1) == .advanced)
        #expect(tracker.receive(sequenceNumber: 50000, ssrc: 1) == .jumped)
        #expect(tracker.receive(sequenceNumber: 50001, ssrc: 1) == .restarted)
        #expect(tracker.receive(sequenceNumber: 50002, ssrc: 1) == .advanced)
        #expect(tracker.restarts == 1 && tracker.expected == 8 && tracker.received == 7 && tracker.lost == 1)
    }

    @Test("a restart that lands on zero keeps counting")
    func restartAtZero() {
        var tracker = tracker([30000])
        tracker.receive(sequenceNumber: 65535, ssrc: 1)
        #expect(tracker.receive(sequenceNumber: 0, ssrc: 1) == .restarted)
        tracker.receive(sequenceNumber: 1, ssrc: 1)
        #expect(tracker.expected == 4 && tracker.lost == 0)
    }

    @Test("a new SSRC starts anew and keeps the sums")
    func newSource() {
        var tracker = tracker([1, 3])
        #expect(tracker.receive(sequenceNumber: 9000, ssrc: 2) == .started)
        tracker.receive(sequenceNumber: 9001, ssrc: 2)
        #expect(tracker.ssrc == 2 && tracker.expected == 5 && tracker.received == 4 && tracker.lost == 1)
    }
}
