package import Core

/// Lets through so many events a second, and after a pause as many at once.
package struct TokenBucket: Sendable {
    /// Zero: everything.
    private let rate: Int
    private var tokens: Double
    private var filledAt: Instant

    package init(rate: Int, now: Instant) {
        self.rate = rate
        tokens = Double(rate)
        filledAt = now
    }

    /// Whether one more may pass at `now`.
    ///
    /// - Parameter reserve: so many are kept for somebody else.
    package mutating func take(leaving reserve: Int = 0, now: Instant) -> Bool {
        guard rate > 0 else { return true }
        fill(now: now)
        // Rounding must not make the last of a second's calls wait for the next second.
        guard tokens >= Double(1 + reserve) - 1e-6 else { return false }
        tokens -= 1
        return true
    }

    /// How many may pass at once at `now`.
    package mutating func level(at now: Instant) -> Double {
        fill(now: now)
        return tokens
    }

    private mutating func fill(now: Instant) {
        tokens = min(Double(rate), tokens + (now - filledAt).inSeconds * Double(rate))
        filledAt = now
    }
}
