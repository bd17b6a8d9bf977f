import Core

/// New calls a second of all sources together.
///
/// Half of what may come at once is kept for sources that have had less than their share lately: otherwise those that flood
/// would take each place as soon as it is free. What others leave of their shares may be used; there is always one share more
/// than there are sources, for who comes next.
struct CallRate: Sendable {
    /// Of what a source has had lately.
    private struct Account {
        /// Calls left of its share; a second's at most, and never less than one.
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
    /// Who has not asked for so long leaves its share to the others.
    private static let memory = Duration.seconds(2)
    private static let sweepInterval = Duration.seconds(1)

    /// - Parameter rate: zero: everything.
    init(rate: Int, now: Instant) {
        self.rate = rate
        bucket = TokenBucket(rate: rate, now: now)
        sweptAt = now
    }

    /// Whether one more call may come from `source`.
    mutating func take(from source: IPAddress, now: Instant) -> Bool {
        guard rate > 0 else { return true }
        if now - sweptAt >= Self.sweepInterval {
            sweptAt = now
            accounts = accounts.filter { now - $0.value.filledAt < Self.memory }
        }
        guard var account = account(of: source, now: now) else { return bucket.take(leaving: rate / 2, now: now) }
        // Rounding must not cost the last call of a share.
        let isBelowShare = account.left >= 1 - 1e-6
        let isTaken = bucket.take(leaving: isBelowShare ? 0 : rate / 2, now: now)
        if isTaken, isBelowShare { account.left -= 1 }
        accounts[source] = account
        return isTaken
    }

    /// What `source` has left at `now`. One that is new begins with a single call: otherwise many that begin together would
    /// take at once what is kept.
    private func account(of source: IPAddress, now: Instant) -> Account? {
        guard let known = accounts[source] else {
            return accounts.count < Self.sourceLimit ? Account(left: 1, filledAt: now) : nil
        }
        let share = Double(rate) / Double(accounts.count + 1)
        let left = known.left + (now - known.filledAt).inSeconds * share
        return Account(left: min(left, max(share, 1)), filledAt: now)
    }
}
