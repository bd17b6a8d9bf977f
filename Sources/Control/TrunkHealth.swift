package import Core

/// Whether a trunk can be used, from what its INVITEs and probes met with. Sans-IO.
///
/// It is taken out after so many failures in a row, and comes back with the first sign of life: the answer to an OPTIONS, or
/// any response to an INVITE but 503. A 503 with Retry-After lets it rest for that time whatever else is known of it.
package struct TrunkHealth: Sendable {
    package struct Failure: Sendable, Equatable {
        package let at: Instant
        package let reason: String
    }

    package enum Change: Equatable, Sendable { case wentDown, cameUp }

    package private(set) var downSince: Instant?
    /// No call until then.
    package private(set) var restsUntil: Instant?
    package private(set) var failuresInARow = 0
    package private(set) var lastFailure: Failure?
    package private(set) var lastSeen: Instant?

    package init() {}

    package var isDown: Bool { downSince != nil }

    package func rests(at now: Instant) -> Bool { restsUntil.map { now < $0 } ?? false }

    /// No response, not reachable, or 503.
    ///
    /// - Parameter retryAfter: how long the trunk asks to be left alone.
    package mutating func failed(
        _ reason: String, retryAfter: Duration? = nil, limit: Int, now: Instant
    ) -> Change? {
        lastFailure = Failure(at: now, reason: reason)
        failuresInARow += 1
        if let retryAfter { restsUntil = max(restsUntil ?? now, now + retryAfter) }
        guard failuresInARow >= limit, downSince == nil else { return nil }
        downSince = now
        return .wentDown
    }

    /// It said something that shows it is there and takes calls.
    package mutating func isAlive(now: Instant) -> Change? {
        failuresInARow = 0
        lastSeen = now
        guard downSince != nil else { return nil }
        downSince = nil
        return .cameUp
    }

    /// A trunk that is not probed gets one more chance: one failure takes it out again.
    package mutating func giveChance(limit: Int) -> Change? {
        failuresInARow = max(0, limit - 1)
        guard downSince != nil else { return nil }
        downSince = nil
        return .cameUp
    }
}
