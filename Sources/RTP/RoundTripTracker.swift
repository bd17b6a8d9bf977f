/// The round trip between this host and one leg, from the reports that pass by (RFC 3550 §6.4.1).
///
/// A sender report that is sent on to the leg is remembered with its time; the leg's report about that sender names it (LSR)
/// and says how long it kept it (DLSR). What remains of the time in between is the way to the leg and back. It makes no
/// difference whether the sender report came from the other leg or was made here. The round trips of both legs together are
/// that of the call.
package struct RoundTripTracker: Sendable, BitwiseCopyable {
    private struct Report: BitwiseCopyable {
        var ssrc: UInt32
        var middleTimestamp: UInt32
        /// Nanoseconds; zero for none.
        var sent: UInt64
    }

    // The newest reports; a receiver names the last one it got, which is one of them unless many were lost.
    private var reports: InlineArray<4, Report> = .init(repeating: Report(ssrc: 0, middleTimestamp: 0, sent: 0))
    private var next: UInt8 = 0

    /// Measurements so far.
    package private(set) var measurements: UInt32 = 0
    // Microseconds.
    private var latestTime: UInt32 = 0
    private var shortestTime: UInt32 = 0
    private var longestTime: UInt32 = 0
    /// What the leg last said about what it receives, of the source reported first.
    package private(set) var latestBlock: RTCPReportBlock?

    package init() {}

    /// A datagram of RTCP goes to the leg.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock, not zero.
    package mutating func sent(_ datagram: Span<UInt8>, now: UInt64) {
        guard let compound = RTCPCompound(validating: datagram, allowsReducedSize: true) else { return }
        var packet = compound.packet(after: nil, in: datagram)
        while let current = packet {
            if let information = current.senderInformation(in: datagram), information.middleTimestamp != 0 {
                reports[Int(next)] = Report(
                    ssrc: information.ssrc, middleTimestamp: information.middleTimestamp, sent: now)
                next = (next + 1) & 3
            }
            packet = compound.packet(after: current, in: datagram)
        }
    }

    /// A datagram of RTCP came from the leg. Reports that answer nothing, or claim more time than went by, measure nothing.
    package mutating func received(_ datagram: Span<UInt8>, now: UInt64) {
        guard let compound = RTCPCompound(validating: datagram, allowsReducedSize: true) else { return }
        var isFirst = true
        var packet = compound.packet(after: nil, in: datagram)
        while let current = packet {
            var index = 0
            while let block = current.reportBlock(index, in: datagram) {
                if isFirst { latestBlock = block }
                isFirst = false
                measure(block, now: now)
                index += 1
            }
            packet = compound.packet(after: current, in: datagram)
        }
    }

    private mutating func measure(_ block: RTCPReportBlock, now: UInt64) {
        guard block.lastSenderReport != 0 else { return }
        for index in 0..<reports.count {
            let report = reports[index]
            guard report.sent != 0, report.ssrc == block.ssrc, report.middleTimestamp == block.lastSenderReport,
                now >= report.sent
            else { continue }
            let elapsed = now - report.sent
            let kept = (UInt64(block.delaySinceLastSenderReport) * 1_000_000_000) >> 16
            // DLSR is rounded, and clocks run apart a little: less than nothing by a millisecond is nothing.
            guard kept <= elapsed || kept - elapsed < 1_000_000 else { return }
            let roundTrip = UInt32(clamping: elapsed > kept ? (elapsed - kept) / 1000 : 0)
            shortestTime = measurements == 0 ? roundTrip : min(shortestTime, roundTrip)
            longestTime = max(longestTime, roundTrip)
            latestTime = roundTrip
            measurements &+= 1
            return
        }
    }

    /// The newest; the figures are nil before the first.
    package var latest: Duration? { duration(latestTime) }
    package var shortest: Duration? { duration(shortestTime) }
    package var longest: Duration? { duration(longestTime) }

    private func duration(_ microseconds: UInt32) -> Duration? { measurements > 0 ? .microseconds(microseconds) : nil }
}
