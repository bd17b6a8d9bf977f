/// The speech quality of one direction over a call, gathered window by window.
package struct CallQuality: Equatable, Sendable {
    /// What a window measured.
    package struct Window: Equatable, Sendable {
        package var packets: UInt64
        package var lost: UInt64
        /// As `StreamStatistics.burstRatio`.
        package var burstRatio: Double
        package var jitter: Duration
        /// The whole way from one end to the other and back; nil when unknown, which counts as none.
        package var roundTrip: Duration?

        package init(
            packets: UInt64, lost: UInt64, burstRatio: Double = 1, jitter: Duration = .zero, roundTrip: Duration? = nil
        ) {
            self.packets = packets
            self.lost = lost
            self.burstRatio = burstRatio
            self.jitter = jitter
            self.roundTrip = roundTrip
        }

        package var lossPercent: Double {
            let expected = packets + lost
            return expected > 0 ? 100 * Double(lost) / Double(expected) : 0
        }

        /// From mouth to ear: a packet of 20 ms, a receiver's buffer of twice the jitter, and half the round trip. Packets that
        /// come too late for such a buffer are not counted as lost.
        package var oneWayDelay: Duration {
            let network: Duration = (roundTrip ?? Duration.zero) / 2
            return Duration.milliseconds(20) + jitter + jitter + network
        }
    }

    package let codec: CodecImpairment
    /// Windows with at least one packet expected.
    package private(set) var windows = 0
    private var ratingSum = 0.0
    private var lowest = Double.infinity
    private var highest = -Double.infinity

    package init(codec: CodecImpairment) { self.codec = codec }

    /// Adds a window. All should be of one length: each weighs the same. One in which nothing was due says nothing about
    /// quality and is left out.
    package mutating func add(_ window: Window) {
        guard window.packets + window.lost > 0 else { return }
        let rating = EModel.rating(
            codec, lossPercent: window.lossPercent, burstRatio: window.burstRatio, oneWayDelay: window.oneWayDelay)
        windows += 1
        ratingSum += rating
        lowest = min(lowest, rating)
        highest = max(highest, rating)
    }

    /// Adds a time line in windows of `length` seconds, the last one possibly shorter.
    package mutating func add(
        _ buckets: [TimelineBucket], windowSeconds length: Int = 10, burstRatio: Double = 1, roundTrip: Duration? = nil
    ) {
        precondition(length > 0)
        for start in stride(from: 0, to: buckets.count, by: length) {
            let part = buckets[start..<min(start + length, buckets.count)]
            add(
                Window(
                    packets: part.reduce(0) { $0 + UInt64($1.packets) }, lost: part.reduce(0) { $0 + UInt64($1.lost) },
                    burstRatio: burstRatio, jitter: .milliseconds(part.map(\.jitterMilliseconds).max() ?? 0),
                    roundTrip: roundTrip))
        }
    }

    /// R, averaged over windows; nil before the first.
    package var averageRating: Double? { windows > 0 ? ratingSum / Double(windows) : nil }
    package var lowestRating: Double? { windows > 0 ? lowest : nil }
    package var highestRating: Double? { windows > 0 ? highest : nil }
    /// MOS of the average R.
    package var averageScore: Double? { averageRating.map(EModel.meanOpinionScore) }
    package var lowestScore: Double? { lowestRating.map(EModel.meanOpinionScore) }
    package var highestScore: Double? { highestRating.map(EModel.meanOpinionScore) }
}
