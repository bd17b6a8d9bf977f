package import Core

/// One present call, as `calls` lists it.
package struct CallSummary: Codable, Equatable, Sendable {
    package enum State: String, Codable, CaseIterable, Sendable {
        /// INVITE received, nothing heard from the callee yet.
        case setup
        case ringing
        case connected
        /// Ended; its last transactions or sockets are still being closed.
        case releasing
    }

    /// Which silence ends the call.
    package enum NoMediaMode: String, Codable, CaseIterable, Sendable {
        /// That of both directions at once.
        case both
        /// That of either direction.
        case any
        /// That of one party, whatever the other does.
        case caller, callee
        /// None.
        case off
    }

    /// Short enough to type; unique among present calls.
    package var id: String
    package var state: State
    /// User part of From.
    package var callerNumber: String
    /// User part of the Request-URI.
    package var calledNumber: String
    package var callerTrunk: String?
    package var calleeTrunk: String?
    package var setupAt: WallTime
    package var answerAt: WallTime?
    /// Since the answer; zero before.
    package var durationSeconds: Int
    package var fromCaller: Media
    package var fromCallee: Media
    /// Whether silence can end this call.
    package var monitored: Bool
    /// Why, or why not, in a few words.
    package var monitoredReason: String
    /// The value this call started with; 0 = off.
    package var noMediaTimeoutSeconds: Int
    /// The value this call started with.
    package var noMediaMode: NoMediaMode

    package init(
        id: String, state: State, callerNumber: String, calledNumber: String, callerTrunk: String? = nil,
        calleeTrunk: String? = nil, setupAt: WallTime, answerAt: WallTime? = nil, durationSeconds: Int = 0,
        fromCaller: Media = Media(), fromCallee: Media = Media(), monitored: Bool, monitoredReason: String,
        noMediaTimeoutSeconds: Int, noMediaMode: NoMediaMode
    ) {
        self.id = id
        self.state = state
        self.callerNumber = callerNumber
        self.calledNumber = calledNumber
        self.callerTrunk = callerTrunk
        self.calleeTrunk = calleeTrunk
        self.setupAt = setupAt
        self.answerAt = answerAt
        self.durationSeconds = durationSeconds
        self.fromCaller = fromCaller
        self.fromCallee = fromCallee
        self.monitored = monitored
        self.monitoredReason = monitoredReason
        self.noMediaTimeoutSeconds = noMediaTimeoutSeconds
        self.noMediaMode = noMediaMode
    }

    /// Valid RTP received from one party.
    package struct Media: Codable, Equatable, Sendable {
        package var state: MediaState
        /// Since the last valid packet, or since the answer when none came; nil before the answer.
        package var silenceSeconds: Double?
        package var packets: UInt64
        /// Of the call so far; nil while nothing is known.
        package var mos: Double?
        package var jitterMilliseconds: Double?
        package var lossPercent: Double?

        package init(
            state: MediaState = .waiting, silenceSeconds: Double? = nil, packets: UInt64 = 0, mos: Double? = nil,
            jitterMilliseconds: Double? = nil, lossPercent: Double? = nil
        ) {
            self.state = state
            self.silenceSeconds = silenceSeconds
            self.packets = packets
            self.mos = mos
            self.jitterMilliseconds = jitterMilliseconds
            self.lossPercent = lossPercent
        }
    }
}

/// What one direction of a call's media is doing.
package enum MediaState: String, Codable, CaseIterable, Sendable {
    /// No packet has been accepted yet.
    case waiting
    case flowing
    /// Packets came and stopped.
    case silent
    /// The SDP says that nothing is to come.
    case held
}
