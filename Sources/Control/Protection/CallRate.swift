import Core

/// New calls a second of all sources together.
///
/// Half of what may come at once is kept for sources that have had less than their share lately: otherwise one that floods
/// would take each place as soon as it is free. What others leave of their shares may be used; there is always one share more
/// than there are sources, for who comes next.
struct CallRate: Sendable {
    private let rate: Int
    private var bucket: TokenBucket
    /// Calls of each source, halved every second: twice its rate in the long run.
    private var recent: [IPAddress: Int] = [:]
    private var halvedAt: Instant

    /// Beyond this many sources nobody has a share.
    private static let sourceLimit = 4_096

    /// - Parameter rate: zero: everything.
    init(rate: Int, now: Instant) {
        self.rate = rate
        bucket = TokenBucket(rate: rate, now: now)
        halvedAt = now
    }

    /// Whether one more call may come from `source`.
    mutating func take(from source: IPAddress, now: Instant) -> Bool {
        guard rate > 0 else { return true }
        if now - halvedAt >= .seconds(1) {
            halvedAt = now
            recent = recent.compactMapValues { $0 > 1 ? $0 / 2 : nil }
        }
        let calls = recent[source, default: 0]
        let isBelowShare = calls * (recent.count + 1) < 2 * rate && recent.count < Self.sourceLimit
        guard bucket.take(leaving: isBelowShare ? 0 : rate / 2, now: now) else { return false }
        if calls > 0 || recent.count < Self.sourceLimit { recent[source] = calls + 1 }
        return true
    }
}
