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
    /// What became of a test call; nil when OPTIONS was sent.
    package var call: TestCallReport?

    package init(trunk: String, address: SocketAddress, result: String, milliseconds: Double? = nil) {
        self.trunk = trunk
        self.address = address
        self.result = result
        self.milliseconds = milliseconds
    }
}

/// Asks for a probe of a trunk: by OPTIONS, or by a silent test call.
package struct ProbeQuery: Codable, Equatable, Sendable {
    /// As in the configuration.
    package var trunk: String
    /// The number to call; nil: OPTIONS.
    package var number: String?
    /// Who calls; nil: `relayd`.
    package var caller: String?
    /// How long the call listens once it is answered, 1 to 60.
    package var seconds = 3

    package init(trunk: String, number: String? = nil, caller: String? = nil, seconds: Int = 3) {
        self.trunk = trunk
        self.number = number
        self.caller = caller
        self.seconds = seconds
    }
}

/// What came back to a test call, and when.
package struct TestCallReport: Codable, Equatable, Sendable {
    package struct Step: Codable, Equatable, Sendable {
        /// Since the call began.
        package var milliseconds: Int64
        /// `INVITE sent`, `180 Ringing`, `first RTP, from 192.0.2.1:4000`.
        package var text: String

        package init(milliseconds: Int64, text: String) {
            self.milliseconds = milliseconds
            self.text = text
        }
    }

    package var number: String
    package var steps: [Step] = []
    /// Nil when it was not answered.
    package var answeredMilliseconds: Int64?
    /// RTP packets that were heard until the call ended.
    package var packets: UInt64 = 0
    package var source: SocketAddress?

    package init(number: String) { self.number = number }
}
