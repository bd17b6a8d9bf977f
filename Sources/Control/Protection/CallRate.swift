import Core

/// New calls a second of all sources together.
///
/// Half of what may come at once is kept for sources that have had less than their share lately: otherwise those that flood
/// would take each place as soon as it is free. A quarter is kept for those of them that were there a second ago: otherwise
/// many that begin to flood together would take it. What others leave of their shares may be used; there is always one share
/// more than there are sources, for who comes next.
struct CallRate: Sendable {
    private struct Account {
        let since: Instant
        /// Calls left of its share: at most a second's, or one where that is less.
        var left: Double
        var filledAt: Instant
    }

    private let rate: Int
    private var bucket: TokenBucket
    /// Of the sources that have asked lately.
    private var accounts: [IPAddress: Account] = [:]
    private var sweptAt: Instant

    /// Beyond this many sources nobody new has a share.
    private static let sourceLimit = 4_096
    /// So long a source is new.
    private static let novelty = Duration.seconds(1)
    /// What a new source begins with, as a part of what may come at once; at least one call.
    private static let firstPart = 1.0 / 16
    /// Who has not asked for so long leaves its share to the others.
    private static let memory = Duration.seconds(2)
    private static let sweepInterval = Duration.seconds(1)

    /// - Parameter rate: zero: everything.
    init(rate: Int, now: Instant) {
        self.rate = rate
        bucket = TokenBucket(rate: rate, now: now)
        sweptAt = now
    }

    /// Half of what may come at once; of two calls both may be one source's.
    private var keptFromMost: Int { (rate - 1) / 2 }

    /// Whether one more call may come from `source`.
    mutating func take(from source: IPAddress, now: Instant) -> Bool {
        guard rate > 0 else { return true }
        if now - sweptAt >= Self.sweepInterval {
            sweptAt = now
            accounts = accounts.filter { now - $0.value.filledAt < Self.memory }
        }
        guard var account = account(of: source, now: now) else { return bucket.take(leaving: keptFromMost, now: now) }
        // Rounding must not cost the last call of a share.
        let isBelowShare = account.left >= 1 - 1e-6
        let isNew = now - account.since < Self.novelty
        let isTaken = bucket.take(leaving: !isBelowShare ? keptFromMost : isNew ? rate / 4 : 0, now: now)
        if isTaken, isBelowShare { account.left -= 1 }
        accounts[source] = account
        return isTaken
    }

    /// What `source` has left at `now`; nil: there are too many for one more.
    private mutating func account(of source: IPAddress, now: Instant) -> Account? {
        let known = accounts[source]
        guard known != nil || accounts.count < Self.sourceLimit else { return nil }
        let share = Double(rate) / Double(accounts.count + (known == nil ? 2 : 1))
        let left = known.map { $0.left + (now - $0.filledAt).inSeconds * share } ?? max(bucket.level(at: now) * Self.firstPart, 1)
        return Account(since: known?.since ?? now, left: min(left, max(share, 1)), filledAt: now)
    }
}
