import Core
import RTP
import Testing

@Suite("Statistics of a stream: sequence")
struct StreamSequenceTests {
    @Test("nothing heard is nothing counted")
    func empty() {
        let statistics = StreamStatistics()
        #expect(statistics.packets == 0 && statistics.lost == 0 && statistics.expected == 0)
        #expect(statistics.ssrc == nil && statistics.payloadType == nil)
        #expect(statistics.firstPacketNanoseconds == nil && statistics.lastPacketNanoseconds == nil)
        #expect(statistics.jitter == .zero && statistics.longestGap == .zero && statistics.burstRatio == 1)
        #expect(!statistics.isInComfortNoise)
    }

    @Test("a clean stream across the wrap of sequence number and timestamp")
    func wrap() {
        var stream = TestStream(sequenceNumber: 65_500, timestamp: 0xffff_ff00)
        let start = stream.next.arrival
        stream.send(100)
        let statistics = stream.statistics
        #expect(statistics.packets == 100 && statistics.expected == 100 && statistics.octets == 17_200)
        #expect(statistics.lost == 0 && statistics.restarts == 0 && statistics.timestampJumps == 0)
        #expect(statistics.sequenceWraps == 1 && statistics.extendedHighestSequenceNumber == 65_536 + 63)
        #expect(statistics.jitterTicks == 0 && statistics.longestGap == .milliseconds(20))
        #expect(statistics.firstPacketNanoseconds == start)
        #expect(statistics.lastPacketNanoseconds == start + 99 * 20_000_000)
        #expect(statistics.ssrc == 0xdead_beef && statistics.payloadType == 0)
    }

    @Test("loss, its stretches and the largest gap, also across the wrap")
    func loss() {
        var stream = TestStream(sequenceNumber: 65_530)
        stream.send()
        stream.lose(1)
        stream.send()
        stream.lose(10)
        stream.send(2)
        stream.lose(3)
        stream.send()
        #expect(stream.statistics.packets == 5 && stream.statistics.lost == 14 && stream.statistics.expected == 19)
        #expect(stream.statistics.lossBursts == 3 && stream.statistics.largestSequenceGap == 10)
        #expect(stream.statistics.longestGap == .milliseconds(220))
        #expect(stream.statistics.burstRatio == 14.0 / 3 * (1 - 14.0 / 19))
    }

    @Test("gaps of every size up to the limit are loss, and their late packets fill them", arguments: [1, 63, 64, 99, 127, 128, 2998])
    func gapSizes(size: Int) {
        var stream = TestStream()
        stream.send()
        let missing = (0..<size).map { _ in stream.make() }
        stream.send()
        #expect(stream.statistics.lost == UInt64(size) && stream.statistics.largestSequenceGap == UInt16(size))
        let reachable = missing.suffix(99)
        for var packet in reachable {
            packet.arrival = stream.next.arrival
            stream.take(packet)
        }
        #expect(stream.statistics.lost == UInt64(size - reachable.count))
        #expect(stream.statistics.reordered == UInt32(reachable.count) && stream.statistics.duplicates == 0)
        #expect(stream.statistics.lossBursts == (size > 99 ? 1 : 0))
        #expect(stream.statistics.expected == UInt64(size + 2))
    }

    @Test("a late packet splits, shortens or ends a stretch of loss")
    func bursts() {
        var stream = TestStream()
        stream.send()
        let missing = (0..<3).map { _ in stream.make() }
        stream.send()
        #expect(stream.statistics.lossBursts == 1)
        stream.take(missing[1])
        #expect(stream.statistics.lossBursts == 2 && stream.statistics.lost == 2)
        stream.take(missing[0])
        #expect(stream.statistics.lossBursts == 1)
        stream.take(missing[2])
        #expect(stream.statistics.lossBursts == 0 && stream.statistics.lost == 0 && stream.statistics.reordered == 3)
    }

    @Test("a repeat is a duplicate, new or old, and hides no loss")
    func duplicates() {
        var stream = TestStream()
        let first = stream.make()
        stream.take(first)
        stream.take(first)
        stream.lose(2)
        stream.send(3)
        stream.take(first)
        #expect(stream.statistics.duplicates == 2 && stream.statistics.reordered == 0)
        #expect(stream.statistics.packets == 6 && stream.statistics.lost == 2 && stream.statistics.expected == 6)
        #expect(stream.statistics.cumulativeLost == 0)  // RFC 3550 §A.3
    }

    @Test("a packet from before the first one is reordered and takes no loss away")
    func beforeFirst() {
        var stream = TestStream()
        let early = stream.make()
        stream.send(2)
        stream.take(early)
        #expect(stream.statistics.reordered == 1 && stream.statistics.lost == 0 && stream.statistics.expected == 3)
    }

    @Test("a restart of the same source needs two packets in a row, and none is lost")
    func restart() {
        var stream = TestStream()
        stream.send(50)
        stream.next.sequenceNumber = 30_000
        stream.send()
        #expect(stream.statistics.strays == 1 && stream.statistics.restarts == 0 && stream.statistics.expected == 50)
        stream.send(49)
        #expect(stream.statistics.strays == 0 && stream.statistics.restarts == 1)
        #expect(stream.statistics.lost == 0 && stream.statistics.packets == 100 && stream.statistics.expected == 100)
        #expect(stream.statistics.extendedHighestSequenceNumber == 30_049)
    }

    @Test("a restart may land on the wrap")
    func restartAtWrap() {
        var stream = TestStream(sequenceNumber: 30_000)
        stream.send(5)
        stream.next.sequenceNumber = 65_535
        stream.send(5)
        #expect(stream.statistics.restarts == 1 && stream.statistics.lost == 0 && stream.statistics.expected == 10)
        let early = Packet(sequenceNumber: 65_535, timestamp: 0, arrival: stream.next.arrival)
        stream.take(early)  // the one that jumped belongs to the run: it came before
        #expect(stream.statistics.lost == 0 && stream.statistics.duplicates == 1 && stream.statistics.reordered == 0)
    }

    @Test("a stray packet moves nothing")
    func stray() {
        var stream = TestStream()
        stream.send(10)
        var stray = stream.next
        stray.sequenceNumber &+= 20_000
        stray.timestamp &+= 1 << 30
        stream.take(stray)
        stream.send(10)
        #expect(stream.statistics.strays == 1 && stream.statistics.restarts == 0 && stream.statistics.lost == 0)
        #expect(stream.statistics.packets == 21 && stream.statistics.expected == 20 && stream.statistics.jitterTicks == 0)
    }

    @Test("a stray is forgotten once the run shows a gap: the number after it proves nothing any more")
    func strayForgotten() {
        var stream = TestStream()
        stream.send(10)
        var stray = stream.next
        stray.sequenceNumber &+= 20_000
        stream.take(stray)
        stream.send(1)
        stream.lose(1)
        stream.send(1)
        stray.sequenceNumber &+= 1
        stray.arrival = stream.next.arrival
        stream.take(stray)
        #expect(stream.statistics.strays == 2 && stream.statistics.restarts == 0 && stream.statistics.lost == 1)
    }

    @Test("the largest step that is loss, and the smallest that is none")
    func dropoutLimit() {
        var near = TestStream()
        near.send()
        near.lose(2998)
        near.send()
        #expect(near.statistics.lost == 2998 && near.statistics.strays == 0)
        var far = TestStream()
        far.send()
        far.lose(2999)
        far.send()
        #expect(far.statistics.lost == 0 && far.statistics.strays == 1)
    }

    @Test("a new SSRC begins a run; the sums stay")
    func ssrcChange() {
        var stream = TestStream()
        stream.send(10)
        stream.lose(1)
        stream.send(1)
        stream.next.ssrc = 7
        stream.next.sequenceNumber = 40_000
        stream.next.timestamp = 5
        stream.send(10)
        #expect(stream.statistics.ssrcChanges == 1 && stream.statistics.ssrc == 7)
        #expect(stream.statistics.lost == 1 && stream.statistics.expected == 22)
        #expect(stream.statistics.jitterTicks == 0 && stream.statistics.timestampJumps == 0)
    }

    @Test("a broken run leaves neither loss nor gap nor jitter")
    func brokenRun() {
        var stream = TestStream()
        stream.send(10)
        stream.statistics.breakRun()
        #expect(stream.statistics.ssrc == 0xdead_beef)
        stream.lose(500)
        stream.next.timestamp &+= 4711
        stream.send(10)
        #expect(stream.statistics.lost == 0 && stream.statistics.restarts == 0 && stream.statistics.ssrcChanges == 0)
        #expect(stream.statistics.longestGap == .milliseconds(20) && stream.statistics.jitterTicks == 0)
        #expect(stream.statistics.expected == 20)
        stream.statistics.breakRun()
        stream.next.ssrc = 9
        stream.send(2)
        #expect(stream.statistics.ssrcChanges == 1 && stream.statistics.expected == 22)
    }
}

@Suite("Statistics of a stream: time and payload")
struct StreamPayloadTests {
    @Test("jitter is that of RFC 3550 §A.8")
    func jitter() {
        var stream = TestStream()
        stream.send()
        stream.next.arrival += 10 * TestStream.millisecond
        stream.send()  // D = 80: J = 5
        #expect(stream.statistics.jitterTicks == 5)
        stream.send()  // D = 0: J = 5 - 5/16
        #expect(stream.statistics.jitterTicks == 4)
        #expect(stream.statistics.highestJitter == .microseconds(625))
        #expect(stream.statistics.longestGap == .milliseconds(30))
    }

    @Test("jitter over many packets, to the tick", arguments: [1, 2, 3] as [UInt64])
    func jitterExactly(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var stream = TestStream()
        stream.send()
        let start = stream.next.arrival
        var delayBefore: UInt64 = 0
        var scaled = 0
        for index in UInt64(0)..<500 {
            let delay = UInt64.random(in: 0..<15, using: &random)  // milliseconds, of 8 ticks each
            stream.next.arrival = start + (20 * index + delay) * TestStream.millisecond
            stream.send()
            scaled += abs(Int(delay) - Int(delayBefore)) * 8 - ((scaled + 8) >> 4)
            delayBefore = delay
            #expect(stream.statistics.jitterTicks == UInt32(scaled >> 4), "seed \(seed), packet \(index)")
        }
    }

    @Test("a pause of the sender is a gap and no jitter; after comfort noise it is not even a gap")
    func silence() {
        var stream = TestStream()
        stream.send(5)
        stream.pause(milliseconds: 1500)
        stream.next.marker = true
        stream.send()
        stream.next.marker = false
        #expect(stream.statistics.longestGap == .milliseconds(1520) && stream.statistics.jitterTicks == 0)
        #expect(stream.statistics.markers == 1 && stream.statistics.timestampJumps == 0)

        var noise = stream.make()
        noise.payloadType = 13
        noise.payload = [60]
        stream.take(noise)
        #expect(stream.statistics.isInComfortNoise && stream.statistics.comfortNoisePackets == 1)
        stream.pause(milliseconds: 9000)
        stream.send(3)
        #expect(!stream.statistics.isInComfortNoise)
        #expect(stream.statistics.longestGap == .milliseconds(1520) && stream.statistics.lost == 0)
        #expect(stream.statistics.payloadTypeChanges == 0 && stream.statistics.payloadType == 0)
        #expect(stream.statistics.jitterTicks == 0)
    }

    @Test("comfort noise of another type, as SDP says")
    func configuredNoise() {
        var formats = PayloadFormats()
        formats.set(98, to: .comfortNoise, clockRate: 8000)
        var stream = TestStream(formats: formats)
        stream.next.payloadType = 98
        stream.send(4)
        #expect(stream.statistics.comfortNoisePackets == 4 && stream.statistics.payloadType == nil)
        stream.next.payloadType = 0
        stream.send(4)
        #expect(stream.statistics.payloadTypeChanges == 0 && stream.statistics.payloadType == 0)
        #expect(stream.statistics.currentClockRate == 8000 && stream.statistics.jitterTicks == 0)
    }

    @Test("a change of codec and clock rate is counted, and neither loss nor jitter")
    func codecChange() {
        var formats = PayloadFormats()
        formats.set(111, to: .media, clockRate: 48_000)
        var stream = TestStream(formats: formats)
        stream.send(10)
        stream.next.payloadType = 111
        stream.next.timestamp = 3
        for _ in 0..<10 {
            stream.send()
            stream.next.timestamp &+= 960 - 160
        }
        #expect(stream.statistics.payloadTypeChanges == 1 && stream.statistics.payloadType == 111)
        #expect(stream.statistics.currentClockRate == 48_000 && stream.statistics.lost == 0)
        #expect(stream.statistics.jitterTicks <= 1 && stream.statistics.timestampJumps == 0)  // rounding to a tick
    }

    @Test("a late packet of the codec before is no change back")
    func lateBeforeChange() {
        var stream = TestStream()
        stream.send(3)
        let late = stream.make()
        stream.next.payloadType = 8
        stream.send(1)
        stream.take(late)
        stream.send(3)
        #expect(stream.statistics.payloadTypeChanges == 1 && stream.statistics.reordered == 1)
        #expect(stream.statistics.lost == 0)
    }

    @Test("a jump of the timestamps is counted and is no jitter")
    func timestampJump() {
        var stream = TestStream()
        stream.send(5)
        stream.next.timestamp &+= 1 << 30
        stream.send(5)
        #expect(stream.statistics.timestampJumps == 1 && stream.statistics.jitterTicks == 0)
    }

    @Test("clock rates of static types, of SDP, and the default")
    func clockRates() {
        var formats = PayloadFormats()
        #expect([0, 8, 9, 18, 13, 96].map { formats.clockRate(of: $0) } == Array(repeating: 8000, count: 6))
        #expect([6, 10, 16, 17, 31].map { formats.clockRate(of: $0) } == [16_000, 44_100, 11_025, 22_050, 90_000])
        formats.set(96, to: .media, clockRate: 48_000)
        formats.set(96, to: .telephoneEvent, clockRate: 16_000)
        formats.set(97, to: .media, clockRate: 0)
        formats.set(97, to: .media, clockRate: 1 << 20)
        formats.set(0, to: .media, clockRate: 11_111)
        #expect(formats.clockRate(of: 96) == 16_000 && formats.use(of: 96) == .telephoneEvent)
        #expect(formats.clockRate(of: 97) == 8000 && formats.clockRate(of: 0) == 11_111)
        for type in UInt8(100)...120 { formats.set(type, to: .telephoneEvent, clockRate: 16_000) }
        #expect(formats.use(of: 105) == .telephoneEvent && formats.use(of: 106) == .media)
        #expect(formats.use(of: 13) == .comfortNoise)
    }
}

@Suite("Telephone-events")
struct TelephoneEventTests {
    static var formats: PayloadFormats {
        var formats = PayloadFormats()
        formats.set(101, to: .telephoneEvent)
        return formats
    }

    /// A digit as it is sent: updates, then the end three times, each packet with a sequence number of its own.
    static func press(_ code: UInt8, on stream: inout TestStream, updates: Int = 4, ends: Int = 3, skipping: Set<Int> = []) {
        let timestamp = stream.next.timestamp
        for index in 0..<(updates + ends) {
            var packet = stream.make()
            guard !skipping.contains(index) else { continue }
            packet.payloadType = 101
            packet.marker = index == 0
            packet.timestamp = timestamp
            let isEnd = index >= updates
            packet.payload = eventPayload(code, end: isEnd, duration: UInt16(160 * (min(index, updates) + 1)))
            stream.take(packet)
        }
    }

    @Test("three end packets are one event, and neither jitter nor a change of payload type")
    func redundancy() {
        var stream = TestStream(formats: Self.formats)
        stream.send(10)
        Self.press(5, on: &stream)
        #expect(stream.statistics.telephoneEvents.events == 1 && stream.statistics.telephoneEvents.endedEvents == 1)
        #expect(stream.statistics.telephoneEvents.packets == 7 && stream.statistics.telephoneEvents.lastDigit == "5")
        stream.send(10)
        Self.press(11, on: &stream)
        #expect(stream.statistics.telephoneEvents.events == 2 && stream.statistics.telephoneEvents.endedEvents == 2)
        #expect(stream.statistics.telephoneEvents.lastDigit == "#")
        #expect(stream.statistics.jitterTicks == 0 && stream.statistics.payloadTypeChanges == 0)
        #expect(stream.statistics.lost == 0 && stream.statistics.payloadType == 0)
    }

    @Test("the same digit twice is two events; one whose end is all that came is one")
    func distinct() {
        var stream = TestStream(formats: Self.formats)
        Self.press(1, on: &stream)
        Self.press(1, on: &stream)
        Self.press(2, on: &stream, skipping: [0, 1, 2, 3, 4, 5])
        Self.press(3, on: &stream, ends: 0)
        #expect(stream.statistics.telephoneEvents.events == 4 && stream.statistics.telephoneEvents.endedEvents == 3)
        #expect(stream.statistics.lost == 6)
    }

    @Test("a late packet of the event before is not a third event")
    func late() {
        var stream = TestStream(formats: Self.formats)
        stream.send()
        var late = stream.make()
        late.payloadType = 101
        late.payload = eventPayload(1, end: true, duration: 800)
        Self.press(2, on: &stream)
        stream.take(late)
        #expect(stream.statistics.telephoneEvents.events == 1 && stream.statistics.telephoneEvents.lastEvent == 2)
    }

    @Test("an event longer than its duration field is one")
    func segments() {
        var stream = TestStream(formats: Self.formats)
        let start = stream.next.timestamp
        for (timestamp, duration) in [(start, UInt16(160)), (start, .max), (start &+ 0xffff, 160), (start &+ 0xffff, 320)] {
            var packet = stream.make()
            packet.payloadType = 101
            packet.timestamp = timestamp
            packet.payload = eventPayload(9, duration: duration)
            stream.take(packet)
        }
        #expect(stream.statistics.telephoneEvents.events == 1)
    }

    @Test("events of a new source count, whatever their timestamps; payloads too short do not")
    func newSource() {
        var stream = TestStream(formats: Self.formats)
        Self.press(1, on: &stream)
        stream.next.ssrc = 3
        stream.next.timestamp &-= 50_000
        Self.press(16, on: &stream)
        #expect(stream.statistics.telephoneEvents.events == 2)
        #expect(stream.statistics.telephoneEvents.lastEvent == 16 && stream.statistics.telephoneEvents.lastDigit == nil)
        var short = stream.make()
        short.payloadType = 101
        short.payload = [1, 2, 3]
        stream.take(short)
        #expect(stream.statistics.telephoneEvents.events == 2 && stream.statistics.telephoneEvents.packets == 14)
    }

    @Test("audio after an event that begins a run is measured from the audio on")
    func eventFirst() {
        var stream = TestStream(formats: Self.formats)
        Self.press(7, on: &stream, updates: 40)
        stream.send(10)
        #expect(stream.statistics.jitterTicks == 0 && stream.statistics.payloadTypeChanges == 0)
    }
}
