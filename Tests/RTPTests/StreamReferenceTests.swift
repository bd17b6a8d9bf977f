import Core
import RTP
import Testing

/// The figures computed the slow way, from all packets of one source at once.
struct NaiveStatistics {
    var lost = 0
    var duplicates = 0
    var reordered = 0
    var bursts = 0
    var jitterTicks = 0
    var longestGap: UInt64 = 0

    /// - Parameter numbers: the packets as they came, each with its sequence number counted on past the wrap.
    init(_ packets: [(number: Int, timestamp: UInt32, arrival: UInt64)]) {
        var seen: Set<Int> = []
        var highest = Int.min
        var transit: Int?
        var jitter = 0
        for (index, packet) in packets.enumerated() {
            if index > 0 { longestGap = max(longestGap, packet.arrival - packets[index - 1].arrival) }
            guard seen.insert(packet.number).inserted else {
                duplicates += 1
                continue
            }
            if packet.number < highest { reordered += 1 }
            highest = max(highest, packet.number)
            // RFC 3550 §A.8, its arithmetic in the 32 bits of a timestamp.
            let arrival = UInt32(truncatingIfNeeded: Int((Double(packet.arrival) * 8e-6 + 0.001).rounded(.down)))
            let newTransit = Int(Int32(bitPattern: arrival &- packet.timestamp))
            if let transit {
                let change = abs(Int(Int32(truncatingIfNeeded: newTransit - transit)))
                jitter += change - ((jitter + 8) >> 4)
            }
            transit = newTransit
        }
        jitterTicks = jitter >> 4
        guard let first = packets.first?.number else { return }
        var wasMissing = false
        for number in first...highest {
            let isMissing = !seen.contains(number)
            if isMissing { lost += 1 }
            if isMissing && !wasMissing { bursts += 1 }
            wasMissing = isMissing
        }
    }
}

@Suite("Statistics of a stream against a naive reference")
struct StreamReferenceTests {
    struct Network {
        var loss = 0.0
        var duplication = 0.0
        /// Up to so many milliseconds more, for so many of 1 packets.
        var delay = (milliseconds: 0, share: 0.0)
    }

    /// 20,000 packets over a network: more than a quarter of a cycle, from just before the wrap.
    static func packets(over network: Network, seed: UInt64) -> [(number: Int, packet: Packet)] {
        var random = SeededRandom(seed: seed)
        var stream = TestStream(sequenceNumber: 65_000)
        var arrivals: [(number: Int, packet: Packet)] = []
        for number in 0..<20_000 {
            let sent = stream.make()
            if number > 0 && Double.random(in: 0..<1, using: &random) < network.loss { continue }
            for copy in 0..<(Double.random(in: 0..<1, using: &random) < network.duplication ? 2 : 1) {
                var packet = sent
                packet.arrival += UInt64.random(in: 0..<5_000_000, using: &random)
                if number > 100 && Double.random(in: 0..<1, using: &random) < network.delay.share {
                    packet.arrival += UInt64.random(in: 0..<(UInt64(network.delay.milliseconds) * 1_000_000), using: &random)
                }
                if copy == 1 { packet.arrival += UInt64.random(in: 0..<100_000_000, using: &random) }
                arrivals.append((number, packet))
            }
        }
        return arrivals.sorted { $0.packet.arrival < $1.packet.arrival }
    }

    @Test(
        "loss, repeats, reordering, stretches, gaps and jitter agree",
        arguments: [
            Network(), Network(loss: 0.02), Network(loss: 0.3), Network(duplication: 0.05),
            Network(delay: (milliseconds: 60, share: 0.1)), Network(delay: (milliseconds: 1900, share: 0.02)),
            Network(loss: 0.02, duplication: 0.03, delay: (milliseconds: 400, share: 0.05)),
        ], [1, 2, 3] as [UInt64])
    func agrees(network: Network, seed: UInt64) {
        let packets = Self.packets(over: network, seed: seed)
        var stream = TestStream()
        for (_, packet) in packets { stream.take(packet) }
        let reference = NaiveStatistics(packets.map { ($0.number, $0.packet.timestamp, $0.packet.arrival) })
        let statistics = stream.statistics
        #expect(statistics.packets == UInt64(packets.count))
        #expect(statistics.lost == UInt64(reference.lost), "seed \(seed)")
        #expect(statistics.duplicates == UInt32(reference.duplicates), "seed \(seed)")
        #expect(statistics.reordered == UInt32(reference.reordered), "seed \(seed)")
        #expect(statistics.lossBursts == UInt32(reference.bursts), "seed \(seed)")
        // The reference turns time into ticks in another way, which may round an arrival to the tick beside.
        #expect(abs(Int(statistics.jitterTicks) - reference.jitterTicks) <= 1, "seed \(seed)")
        #expect(statistics.longestGap == .nanoseconds(Int64(reference.longestGap)), "seed \(seed)")
        #expect(statistics.strays == 0 && statistics.restarts == 0 && statistics.timestampJumps == 0)
        if network.loss == 0.02 { #expect(abs(statistics.lossPercent - 2) < 0.4) }
    }

    @Test("random loss has a burst ratio of one, loss in stretches a higher one")
    func burstRatio() {
        var random = TestStream()
        var source = SeededRandom(seed: 4)
        for _ in 0..<50_000 {
            if Double.random(in: 0..<1, using: &source) < 0.05 { random.lose(1) } else { random.send() }
        }
        #expect(abs(random.statistics.burstRatio - 1) < 0.03)
        var bursty = TestStream()
        for _ in 0..<500 {
            bursty.send(95)
            bursty.lose(5)
        }
        bursty.send()
        #expect(abs(bursty.statistics.burstRatio - 4.75) < 0.01)
    }

    @Test("no octets trap, whatever they are", arguments: [1, 2, 3] as [UInt64])
    func fuzz(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var formats = PayloadFormats()
        formats.set(101, to: .telephoneEvent)
        var statistics = StreamStatistics(formats: formats)
        let timeline = MediaTimeline()
        var now: UInt64 = 1_000_000_000
        for _ in 0..<30_000 {
            var packet = Packet(
                sequenceNumber: .random(in: 0...(Bool.random(using: &random) ? 200 : .max), using: &random),
                timestamp: .random(in: 0 ... .max, using: &random), ssrc: .random(in: 0...1, using: &random),
                payloadType: [0, 0, 8, 13, 101].randomElement(using: &random) ?? 0,
                payload: (0..<Int.random(in: 0...8, using: &random)).map { _ in .random(in: 0...255, using: &random) },
                arrival: now
            ).octets
            if Int.random(in: 0..<10, using: &random) == 0 {
                packet[Int.random(in: 0..<packet.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if Int.random(in: 0..<50, using: &random) == 0 { statistics.breakRun() }
            if let header = RTPHeader(parsing: packet.span) as RTPHeader? {
                statistics.advance(to: UInt32(now / 1_000_000_000), timeline: timeline)
                statistics.receive(header, in: packet.span, now: now)
            }
            now += .random(in: 0...50_000_000, using: &random)
            // What the figures are derived from never contradicts itself.
            #expect(statistics.packets + statistics.lost >= UInt64(statistics.duplicates) + UInt64(statistics.strays))
            _ = (statistics.jitter, statistics.highestJitter, statistics.burstRatio, statistics.lossPercent)
            _ = (statistics.extendedHighestSequenceNumber, statistics.telephoneEvents.lastDigit)
        }
        #expect(timeline.snapshot() != nil)
    }
}
