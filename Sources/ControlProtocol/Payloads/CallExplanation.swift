package import Core

/// What `why` answers: what became of one call, and why.
package struct CallExplanation: Codable, Equatable, Sendable {
    /// As `calls` shows it; nil when only the record is left.
    package var id: String?
    package var recordID: String
    package var callerNumber: String
    package var calledNumber: String
    package var callerTrunk: String?
    package var calleeTrunk: String?
    package var callerAddress: SocketAddress
    package var calleeAddress: SocketAddress?
    package var callerCallID: String
    package var calleeCallID: String?
    package var setupAt: WallTime
    package var answerAt: WallTime?
    /// Nil while the call is present.
    package var releaseAt: WallTime?
    package var cause: ReleaseCause?
    package var sipCode: Int?

    /// Nil for a record of a version before verdicts.
    package var verdict: CallVerdict?
    /// The root cause.
    package var sentence: String
    package var evidence: [String]
    /// What to change.
    package var advice: String?
    package var lints: [Lint]
    /// Messages of both legs, oldest first.
    package var ladder: [LadderEntry]
    /// Messages left out in the middle of a long ladder.
    package var omitted: Int
    /// A message that should have come.
    package var missing: Missing?
    /// Nil when only the record is left.
    package var fromCaller: Direction?
    package var fromCallee: Direction?
    /// Record ids of further calls with that number, the newest first.
    package var others: [String] = []

    package init(
        id: String? = nil, recordID: String, callerNumber: String, calledNumber: String, callerTrunk: String? = nil,
        calleeTrunk: String? = nil, callerAddress: SocketAddress, calleeAddress: SocketAddress? = nil, callerCallID: String,
        calleeCallID: String? = nil, setupAt: WallTime, answerAt: WallTime? = nil, releaseAt: WallTime? = nil,
        cause: ReleaseCause? = nil, sipCode: Int? = nil, verdict: CallVerdict?, sentence: String, evidence: [String] = [],
        advice: String? = nil, lints: [Lint] = [], ladder: [LadderEntry] = [], omitted: Int = 0, missing: Missing? = nil,
        fromCaller: Direction? = nil, fromCallee: Direction? = nil
    ) {
        self.id = id
        self.recordID = recordID
        self.callerNumber = callerNumber
        self.calledNumber = calledNumber
        self.callerTrunk = callerTrunk
        self.calleeTrunk = calleeTrunk
        self.callerAddress = callerAddress
        self.calleeAddress = calleeAddress
        self.callerCallID = callerCallID
        self.calleeCallID = calleeCallID
        self.setupAt = setupAt
        self.answerAt = answerAt
        self.releaseAt = releaseAt
        self.cause = cause
        self.sipCode = sipCode
        self.verdict = verdict
        self.sentence = sentence
        self.evidence = evidence
        self.advice = advice
        self.lints = lints
        self.ladder = ladder
        self.omitted = omitted
        self.missing = missing
        self.fromCaller = fromCaller
        self.fromCallee = fromCallee
    }

    /// What is left of a call when its messages are not in memory any more.
    package init(_ record: CallRecord) {
        self.init(
            recordID: record.id, callerNumber: record.callerNumber, calledNumber: record.calledNumber,
            callerTrunk: record.callerTrunk, calleeTrunk: record.calleeTrunk, callerAddress: record.callerAddress,
            calleeAddress: record.calleeAddress, callerCallID: record.callerCallID, calleeCallID: record.calleeCallID,
            setupAt: record.setupAt, answerAt: record.answerAt, releaseAt: record.releaseAt, cause: record.cause,
            sipCode: record.sipCode, verdict: record.verdict,
            sentence: record.explanation ?? "The call ended with \(record.cause.rawValue); its record is from a version that gave no verdict.",
            evidence: [
                "of this call only the record is left: \(record.fromCaller.packets) packets from the caller, "
                    + "\(record.fromCallee.packets) from the callee, \(record.talkSeconds) s of talk, \(record.deadAirSeconds) s of dead air"
            ])
    }

    /// Something wrong or unwise, whether or not it did harm.
    package struct Lint: Codable, Equatable, Sendable {
        /// Stable: `private_contact`.
        package var code: String
        package var leg: LadderEntry.Leg?
        package var sentence: String

        package init(code: String, leg: LadderEntry.Leg? = nil, sentence: String) {
            self.code = code
            self.leg = leg
            self.sentence = sentence
        }
    }

    package struct Missing: Codable, Equatable, Sendable {
        package var leg: LadderEntry.Leg
        /// `in`: relayd waited for it.
        package var direction: LadderEntry.Direction
        package var text: String
        /// Since the first INVITE.
        package var milliseconds: Int64

        package init(leg: LadderEntry.Leg, direction: LadderEntry.Direction, text: String, milliseconds: Int64) {
            self.leg = leg
            self.direction = direction
            self.text = text
            self.milliseconds = milliseconds
        }
    }

    /// The media that came from one side. Times count from the first INVITE.
    package struct Direction: Codable, Equatable, Sendable {
        package var packets: UInt64 = 0
        package var lost: UInt64 = 0
        /// Packets that were sent on to the other side.
        package var passedOn: UInt64 = 0
        /// The highest estimate of RFC 3550 §A.8.
        package var jitterMilliseconds: Int64 = 0
        package var longestGapMilliseconds: Int64 = 0
        package var firstMilliseconds: Int64?
        package var lastMilliseconds: Int64?
        package var source: SocketAddress?
        package var payloadType: UInt8?
        package var codec: String?
        /// Datagrams from others than the source.
        package var strangers: UInt64 = 0
        /// Times that its host said that its port is closed.
        package var portClosed: UInt64 = 0
        /// Both descriptions let it send; false on hold.
        package var expected = true
        package var telephoneEvents = 0
        package var infoDigits = 0
        package var inBandDigits = 0
        package var timeline: Timeline?

        package init() {}
    }

    /// Second by second, the last two minutes of it.
    package struct Timeline: Codable, Equatable, Sendable {
        /// When the first second began.
        package var milliseconds: Int64
        package var packets: [Int]
        package var lost: [Int]
        package var jitterMilliseconds: [Int]

        package init(milliseconds: Int64, packets: [Int], lost: [Int], jitterMilliseconds: [Int]) {
            self.milliseconds = milliseconds
            self.packets = packets
            self.lost = lost
            self.jitterMilliseconds = jitterMilliseconds
        }
    }
}
