import Core
import RTP
import Testing

/// RTCP as it is on the wire.
enum RTCP {
    static func big(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

    static func packet(_ type: UInt8, count: UInt8, _ body: [UInt8], first: UInt8 = 0x80) -> [UInt8] {
        let words = body.count / 4
        return [first | count, type, UInt8(words >> 8), UInt8(words & 0xff)] + body
    }

    static func block(
        ssrc: UInt32, fraction: UInt8 = 0, lost: Int32 = 0, highest: UInt32 = 0, jitter: UInt32 = 0, lsr: UInt32 = 0,
        dlsr: UInt32 = 0
    ) -> [UInt8] {
        let loss = UInt32(fraction) << 24 | UInt32(bitPattern: lost) & 0xff_ffff
        return [ssrc, loss, highest, jitter, lsr, dlsr].flatMap(big)
    }

    static func senderReport(ssrc: UInt32, ntp: UInt64, blocks: [[UInt8]] = []) -> [UInt8] {
        let words = [ssrc, UInt32(ntp >> 32), UInt32(truncatingIfNeeded: ntp), 160, 7, 1120]
        return packet(200, count: UInt8(blocks.count), words.flatMap(big) + blocks.flatMap { $0 })
    }

    static func receiverReport(ssrc: UInt32, blocks: [[UInt8]]) -> [UInt8] {
        packet(201, count: UInt8(blocks.count), big(ssrc) + blocks.flatMap { $0 })
    }

    static func sourceDescription(ssrc: UInt32, items: [(UInt8, String)]) -> [UInt8] {
        var body = big(ssrc)
        for (item, text) in items { body += [item, UInt8(text.utf8.count)] + Array(text.utf8) }
        body.append(0)
        while body.count % 4 != 0 { body.append(0) }
        return packet(202, count: 1, body)
    }

    static func goodbye(_ sources: [UInt32]) -> [UInt8] { packet(203, count: UInt8(sources.count), sources.flatMap(big)) }

    /// Everything at once: a sender report with two blocks, a name, an extended report, feedback, a goodbye.
    static var full: [UInt8] {
        senderReport(
            ssrc: 1, ntp: 0x1111_2222_3333_4444,
            blocks: [
                block(ssrc: 2, fraction: 64, lost: -5, highest: 0x1_0003, jitter: 12, lsr: 9, dlsr: 10), block(ssrc: 3),
            ])
            + sourceDescription(ssrc: 1, items: [(2, "name"), (1, "a@b")]) + packet(207, count: 0, big(1) + big(0x0400_0000))
            + packet(206, count: 1, big(1) + big(2)) + goodbye([1, 4])
    }
}

@Suite("RTCP")
struct RTCPTests {
    static func validate(_ octets: [UInt8], reduced: Bool = false) -> RTCPCompound? {
        RTCPCompound(validating: octets.span, allowsReducedSize: reduced)
    }

    static func packets(_ octets: [UInt8], reduced: Bool = false) -> [RTCPPacket] {
        guard let compound = validate(octets, reduced: reduced) else { return [] }
        var packets: [RTCPPacket] = []
        while let packet = compound.packet(after: packets.last, in: octets.span) as RTCPPacket? { packets.append(packet) }
        return packets
    }

    @Test("every packet of a compound is found and read")
    func full() throws {
        let octets = RTCP.full
        let packets = Self.packets(octets)
        let kinds: [RTCPPacket.Kind?] = [.senderReport, .sourceDescription, .extendedReport, .payloadFeedback, .goodbye]
        #expect(packets.map(\.kind) == kinds)
        try #require(packets.count == 5)

        let information = try #require(packets[0].senderInformation(in: octets.span) as RTCPSenderInformation?)
        #expect(information.ssrc == 1 && information.ntpTimestamp == 0x1111_2222_3333_4444)
        #expect(information.middleTimestamp == 0x2222_3333)
        #expect(information.rtpTimestamp == 160 && information.packets == 7 && information.octets == 1120)
        let block = try #require(packets[0].reportBlock(0, in: octets.span) as RTCPReportBlock?)
        #expect(block.ssrc == 2 && block.fractionLost == 64 && block.cumulativeLost == -5)
        #expect(block.extendedHighestSequenceNumber == 0x1_0003 && block.jitter == 12)
        #expect(block.lastSenderReport == 9 && block.delaySinceLastSenderReport == 10)
        #expect((packets[0].reportBlock(1, in: octets.span) as RTCPReportBlock?)?.ssrc == 3)
        #expect((packets[0].reportBlock(2, in: octets.span) as RTCPReportBlock?) == nil)

        let name = try #require(packets[1].canonicalName(in: octets.span) as Range<Int>?)
        #expect(octets[name].elementsEqual("a@b".utf8))
        #expect((packets[1].canonicalName(of: 1, in: octets.span) as Range<Int>?) == name)
        #expect((packets[1].canonicalName(of: 2, in: octets.span) as Range<Int>?) == nil)

        #expect((packets[2].reportBlock(0, in: octets.span) as RTCPReportBlock?) == nil)
        #expect((packets[4].leavingSource(0, in: octets.span) as UInt32?) == 1)
        #expect((packets[4].leavingSource(1, in: octets.span) as UInt32?) == 4)
        #expect((packets[4].leavingSource(2, in: octets.span) as UInt32?) == nil)
        #expect((packets[0].leavingSource(0, in: octets.span) as UInt32?) == nil)
    }

    @Test("names of several sources, each on its word's boundary", arguments: 0...9)
    func names(length: Int) throws {
        let text = String(repeating: "x", count: length)
        var body: [UInt8] = []
        for source in [UInt32(5), 6] {
            body += RTCP.big(source) + [1, UInt8(length)] + Array(text.utf8) + [0]
            while body.count % 4 != 0 { body.append(0) }
        }
        let octets = RTCP.receiverReport(ssrc: 5, blocks: []) + RTCP.packet(202, count: 2, body)
        let packets = Self.packets(octets)
        try #require(packets.count == 2)
        let first = try #require(packets[1].canonicalName(of: 5, in: octets.span) as Range<Int>?)
        let second = try #require(packets[1].canonicalName(of: 6, in: octets.span) as Range<Int>?)
        #expect(first.count == length && second.count == length && second.lowerBound > first.upperBound)
    }

    @Test(
        "what RFC 3550 §A.2 refuses",
        arguments: [
            [], [0x80], [0x80, 201, 0], RTCP.goodbye([1]),  // no report first
            RTCP.packet(201, count: 0, RTCP.big(1), first: 0x40),  // version
            RTCP.packet(201, count: 0, RTCP.big(1), first: 0xa0),  // padding in the first
            Array(RTCP.full.dropLast()), RTCP.full + [0], RTCP.full + [0, 0, 0, 0],
            RTCP.receiverReport(ssrc: 1, blocks: []) + [0x80, 203, 0, 1],  // longer than what is there
            RTCP.receiverReport(ssrc: 1, blocks: []) + RTCP.packet(203, count: 0, [0, 0, 0, 4], first: 0xa0) + RTCP.goodbye([1]),
            RTCP.receiverReport(ssrc: 1, blocks: []) + RTCP.packet(203, count: 0, [0, 0, 0, 0], first: 0xa0),
            RTCP.receiverReport(ssrc: 1, blocks: []) + RTCP.packet(203, count: 0, [0, 0, 0, 3], first: 0xa0),
            RTCP.receiverReport(ssrc: 1, blocks: []) + RTCP.packet(203, count: 0, [0, 0, 0, 8], first: 0xa0),
            RTCP.receiverReport(ssrc: 1, blocks: []) + RTCP.packet(100, count: 0, [0, 0, 0, 0]),
        ] as [[UInt8]])
    func refused(octets: [UInt8]) {
        #expect(Self.validate(octets) == nil)
    }

    @Test("padding ends the last packet and is not read as another")
    func padding() {
        let hidden = RTCP.goodbye([])  // would be a packet of its own
        let padded = RTCP.packet(203, count: 1, RTCP.big(9) + hidden + [0, 0, 0, 8], first: 0xa0)
        let packets = Self.packets(RTCP.receiverReport(ssrc: 1, blocks: []) + padded)
        #expect(packets.map(\.kind) == [.receiverReport, .goodbye] && packets.last?.octets.count == 8)
    }

    @Test("reduced size is taken where it is allowed (RFC 5506)")
    func reducedSize() {
        #expect(Self.validate(RTCP.goodbye([1]), reduced: true) != nil)
        #expect(Self.packets(RTCP.goodbye([1]), reduced: true).map(\.kind) == [.goodbye])
    }

    @Test("counts that promise more than the packet holds give nothing")
    func lyingCounts() {
        let report = RTCP.packet(201, count: 31, RTCP.big(1) + RTCP.block(ssrc: 2))
        for packet in Self.packets(report) {
            #expect((packet.reportBlock(0, in: report.span) as RTCPReportBlock?) != nil)
            #expect((packet.reportBlock(1, in: report.span) as RTCPReportBlock?) == nil)
        }
        let short = RTCP.packet(200, count: 1, RTCP.big(1))
        for packet in Self.packets(short) {
            #expect((packet.senderInformation(in: short.span) as RTCPSenderInformation?) == nil)
            #expect((packet.reportBlock(0, in: short.span) as RTCPReportBlock?) == nil)
        }
        for body in [[], RTCP.big(1), RTCP.big(1) + [1, 200, 0, 0], RTCP.big(1) + [1, 2, 0x61, 0x62], RTCP.big(1) + [2, 1, 0, 1]] {
            let octets = RTCP.receiverReport(ssrc: 1, blocks: []) + RTCP.packet(202, count: 31, body)
            let name = Self.packets(octets).last.flatMap { $0.canonicalName(of: 77, in: octets.span) as Range<Int>? }
            #expect(name == nil)
        }
    }

    @Test("no octets trap: every truncation and random damage", arguments: [1, 2] as [UInt64])
    func fuzz(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var tracker = RoundTripTracker()
        for length in 0...RTCP.full.count { Self.readAll(Array(RTCP.full.prefix(length)), &tracker) }
        for round in 0..<20_000 {
            var octets = RTCP.full
            for _ in 0...Int.random(in: 0...4, using: &random) {
                let index = round % 2 == 0 ? Int.random(in: 0..<octets.count, using: &random) : Int.random(in: 0..<8, using: &random)
                octets[index] = .random(in: 0...255, using: &random)
            }
            if round % 3 == 0 { octets.removeLast(4 * Int.random(in: 0...(octets.count / 4 - 1), using: &random)) }
            Self.readAll(octets, &tracker)
        }
    }

    static func readAll(_ octets: [UInt8], _ tracker: inout RoundTripTracker) {
        let other = Array(octets.dropLast(4))
        for packet in packets(octets, reduced: true) {
            #expect(packet.octets.lowerBound >= 0 && packet.octets.upperBound <= octets.count)
            // With another datagram than its own, too.
            for datagram in [octets, other, []] {
                _ = packet.senderInformation(in: datagram.span) as RTCPSenderInformation?
                for index in -1...32 {
                    _ = packet.reportBlock(index, in: datagram.span) as RTCPReportBlock?
                    _ = packet.leavingSource(index, in: datagram.span) as UInt32?
                }
                let name = packet.canonicalName(in: datagram.span) as Range<Int>?
                #expect(name.map { $0.upperBound <= datagram.count } ?? true)
            }
        }
        tracker.sent(octets.span, now: 1_000)
        tracker.received(octets.span, now: 2_000)
    }
}

@Suite("Round trip by RTCP")
struct RoundTripTests {
    static let second: UInt64 = 1_000_000_000

    /// Caller 1 reports to callee 2; the callee answers after keeping the report for `kept`.
    static func exchange(
        _ tracker: inout RoundTripTracker, at start: UInt64, ntp: UInt64, roundTripMilliseconds: UInt64, keptMilliseconds: UInt64
    ) {
        let report = RTCP.senderReport(ssrc: 1, ntp: ntp)
        tracker.sent(report.span, now: start)
        let answer = RTCP.receiverReport(
            ssrc: 2,
            blocks: [
                RTCP.block(
                    ssrc: 1, fraction: 3, lsr: UInt32(truncatingIfNeeded: ntp >> 16),
                    dlsr: UInt32(keptMilliseconds * 65_536 / 1000))
            ])
        tracker.received(answer.span, now: start + (roundTripMilliseconds + keptMilliseconds) * 1_000_000)
    }

    static func isClose(_ duration: Duration?, milliseconds: Int) -> Bool {
        guard let duration else { return false }
        return abs((duration - .milliseconds(milliseconds)).nanoseconds) < 20_000
    }

    @Test("what is left of the time between is the way there and back")
    func measures() {
        var tracker = RoundTripTracker()
        #expect(tracker.latest == nil && tracker.measurements == 0)
        Self.exchange(&tracker, at: 5 * Self.second, ntp: 77 << 32, roundTripMilliseconds: 48, keptMilliseconds: 3_210)
        #expect(Self.isClose(tracker.latest, milliseconds: 48) && tracker.latestBlock?.fractionLost == 3)
        Self.exchange(&tracker, at: 10 * Self.second, ntp: 82 << 32, roundTripMilliseconds: 20, keptMilliseconds: 100)
        Self.exchange(&tracker, at: 15 * Self.second, ntp: 87 << 32, roundTripMilliseconds: 90, keptMilliseconds: 100)
        Self.exchange(&tracker, at: 20 * Self.second, ntp: 92 << 32, roundTripMilliseconds: 30, keptMilliseconds: 100)
        #expect(tracker.measurements == 4 && Self.isClose(tracker.latest, milliseconds: 30))
        #expect(Self.isClose(tracker.shortest, milliseconds: 20) && Self.isClose(tracker.longest, milliseconds: 90))
    }

    @Test("the report that is named counts, not the newest; the oldest of five is forgotten")
    func namedReport() {
        var tracker = RoundTripTracker()
        for index in UInt64(1)...5 {
            let report = RTCP.senderReport(ssrc: 1, ntp: index << 32)
            tracker.sent(report.span, now: index * Self.second)
        }
        func answer(_ index: UInt32) -> [UInt8] {
            RTCP.receiverReport(ssrc: 2, blocks: [RTCP.block(ssrc: 1, lsr: index << 16, dlsr: 0)])
        }
        tracker.received(answer(1).span, now: 6 * Self.second)
        #expect(tracker.measurements == 0)
        tracker.received(answer(3).span, now: 6 * Self.second)
        #expect(tracker.latest == .seconds(3))
    }

    @Test("reports that answer nothing, claim more time than went by, or come from nowhere measure nothing")
    func hostile() {
        var tracker = RoundTripTracker()
        let report = RTCP.senderReport(ssrc: 1, ntp: 5 << 32)
        tracker.sent(report.span, now: 10 * Self.second)
        let blocks = [
            RTCP.block(ssrc: 1), RTCP.block(ssrc: 9, lsr: 5 << 16), RTCP.block(ssrc: 1, lsr: 6 << 16),
            RTCP.block(ssrc: 1, lsr: 5 << 16, dlsr: 2 << 16), RTCP.block(ssrc: 1, lsr: 5 << 16, dlsr: .max),
        ]
        let answer = RTCP.receiverReport(ssrc: 2, blocks: blocks)
        tracker.received(answer.span, now: 11 * Self.second)
        #expect(tracker.measurements == 0 && tracker.latest == nil)
        let early = RTCP.receiverReport(ssrc: 2, blocks: [RTCP.block(ssrc: 1, lsr: 5 << 16)])
        tracker.received(early.span, now: 9 * Self.second)
        #expect(tracker.measurements == 0)
        // Rounding of the clocks is forgiven.
        let rounded = RTCP.receiverReport(ssrc: 2, blocks: [RTCP.block(ssrc: 1, lsr: 5 << 16, dlsr: 1 << 16 + 20)])
        tracker.received(rounded.span, now: 11 * Self.second)
        #expect(tracker.latest == .zero)
    }

    @Test("blocks inside a sender report count as well: both sides talk")
    func insideSenderReport() {
        var tracker = RoundTripTracker()
        let report = RTCP.senderReport(ssrc: 1, ntp: 5 << 32)
        tracker.sent(report.span, now: Self.second)
        let answer = RTCP.senderReport(ssrc: 2, ntp: 9 << 32, blocks: [RTCP.block(ssrc: 1, lsr: 5 << 16, dlsr: 1 << 15)])
        tracker.received(answer.span, now: 2 * Self.second)
        #expect(tracker.latest == .milliseconds(500))
    }
}
