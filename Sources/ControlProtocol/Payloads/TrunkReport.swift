package import Core

/// One trunk as `relayctl trunks` shows it.
package struct TrunkReport: Codable, Equatable, Sendable {
    package enum State: String, Codable, Sendable {
        case up
        /// It asked to be left alone (Retry-After).
        case resting
        /// Taken out after repeated failures.
        case down
    }

    package var name: String
    package var address: SocketAddress
    package var state: State
    /// When it went down.
    package var since: WallTime?
    package var restsUntil: WallTime?
    /// Present calls from and to it.
    package var calls: Int
    /// Zero: without limit.
    package var capacity: Int
    /// INVITEs to it in the last whole second.
    package var callsPerSecond: Int
    /// Zero: without limit.
    package var callsPerSecondLimit: Int
    /// INVITEs to it since the start, and those it answered.
    package var attempts: UInt64
    package var answered: UInt64
    /// 0 to 1; nil before the first attempt.
    package var answerSeizureRatio: Double?
    /// Of answered calls that have ended.
    package var averageCallSeconds: Double?
    package var lastFailure: String?
    package var lastFailureAt: WallTime?
    /// How our registration with it stands; nil: there is none.
    package var registration: String?
    /// What the last OPTIONS met with.
    package var probe: String?
    package var probeMilliseconds: Double?

    package init(
        name: String, address: SocketAddress, state: State, since: WallTime? = nil, restsUntil: WallTime? = nil, calls: Int,
        capacity: Int, callsPerSecond: Int, callsPerSecondLimit: Int, attempts: UInt64, answered: UInt64,
        answerSeizureRatio: Double? = nil, averageCallSeconds: Double? = nil, lastFailure: String? = nil,
        lastFailureAt: WallTime? = nil, registration: String? = nil, probe: String? = nil, probeMilliseconds: Double? = nil
    ) {
        self.name = name
        self.address = address
        self.state = state
        self.since = since
        self.restsUntil = restsUntil
        self.calls = calls
        self.capacity = capacity
        self.callsPerSecond = callsPerSecond
        self.callsPerSecondLimit = callsPerSecondLimit
        self.attempts = attempts
        self.answered = answered
        self.answerSeizureRatio = answerSeizureRatio
        self.averageCallSeconds = averageCallSeconds
        self.lastFailure = lastFailure
        self.lastFailureAt = lastFailureAt
        self.registration = registration
        self.probe = probe
        self.probeMilliseconds = probeMilliseconds
    }
}

/// What a trunk said to an OPTIONS.
package struct ProbeReport: Codable, Equatable, Sendable {
    package var trunk: String
    package var address: SocketAddress
    /// Status and reason, or why there is none.
    package var result: String
    /// From OPTIONS to the answer; nil when none came.
    package var milliseconds: Double?

    package init(trunk: String, address: SocketAddress, result: String, milliseconds: Double? = nil) {
        self.trunk = trunk
        self.address = address
        self.result = result
        self.milliseconds = milliseconds
    }
}
