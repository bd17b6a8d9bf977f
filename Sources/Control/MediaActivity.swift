package import Core

/// When each side of a connected call was last heard, and what follows from it. Pure; the sweep feeds it.
package struct MediaActivity: Sendable {
    /// The answer; nothing before it counts.
    package let connectedAt: Instant
    private var caller: Instant
    private var callee: Instant
    package private(set) var accountedUntil: Instant
    /// How often to account: long enough to bridge every packet interval in use, short enough for whole seconds.
    package static let accountInterval = Duration.milliseconds(200)
    /// Time in which both directions carried RTP, and in which neither did, in steps of one account.
    package private(set) var talk = Duration.zero
    package private(set) var deadAir = Duration.zero

    package init(connectedAt: Instant) {
        self.connectedAt = connectedAt
        caller = connectedAt
        callee = connectedAt
        accountedUntil = connectedAt
    }

    /// Takes in the last valid RTP packet of each leg, nil when none came yet.
    package mutating func observe(caller: Instant?, callee: Instant?) {
        if let caller, caller > self.caller { self.caller = caller }
        if let callee, callee > self.callee { self.callee = callee }
    }

    /// How long `leg` has not been heard.
    package func silence(of leg: Leg, at now: Instant) -> Duration {
        max(.zero, now - (leg == .caller ? caller : callee))
    }

    /// The last packet of `leg`, or what counts as one: the answer, and every change of hold.
    package func lastHeard(_ leg: Leg) -> Instant { leg == .caller ? caller : callee }

    /// Silence so far is forgotten: a hold begins or ends, and who was silent till now had a reason.
    package mutating func restart(at now: Instant) { observe(caller: now, callee: now) }

    /// Adds the time since the last account to `talk` or `deadAir`. A direction was alive in it when a packet came in it.
    package mutating func account(until now: Instant) {
        guard now > accountedUntil else { return }
        let isCallerAlive = caller > accountedUntil
        let isCalleeAlive = callee > accountedUntil
        if isCallerAlive && isCalleeAlive { talk += now - accountedUntil }
        if !isCallerAlive && !isCalleeAlive { deadAir += now - accountedUntil }
        accountedUntil = now
    }
}
