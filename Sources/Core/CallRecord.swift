/// The record of one call attempt, answered or not. Journal, store, control socket and `relayctl` all carry this value.
public struct CallRecord: Codable, Hashable, Sendable {
    /// Media received from one party.
    public struct Direction: Codable, Hashable, Sendable {
        /// Valid RTP packets from the locked source.
        public var packets: UInt64 = 0
        /// Their UDP payload octets.
        public var octets: UInt64 = 0
        /// Packets missing from the sequence (RFC 3550 §A.3); late duplicates can make it less than what was lost.
        public var lost: UInt64 = 0
        /// When the last valid packet came.
        public var lastMediaAt: WallTime?
        /// Mean opinion score by ITU-T G.107, on average and in the worst five seconds; nil without enough packets.
        public var mos: Double?
        public var lowestMOS: Double?
        /// The mean of its windows (RFC 3550 §A.8), and the highest it was.
        public var jitterMilliseconds: Double?
        public var highestJitterMilliseconds: Double?
        /// Of the packets that should have come; nil when none should.
        public var lossPercent: Double?
        /// From relayd to this party and back, by RTCP; nil when that did not tell.
        public var roundTripMilliseconds: Double?
        /// DTMF that this party sent; nil when it sent none.
        public var digits: Digits?

        public init(packets: UInt64 = 0, octets: UInt64 = 0, lost: UInt64 = 0, lastMediaAt: WallTime? = nil) {
            self.packets = packets
            self.octets = octets
            self.lost = lost
            self.lastMediaAt = lastMediaAt
        }
    }

    /// How many digits were pressed, by the way they came.
    public struct Digits: Codable, Hashable, Sendable {
        /// As telephone-event (RFC 4733).
        public var events = 0
        /// In INFO requests.
        public var info = 0
        /// As tones in the audio, where they were listened for.
        public var tones = 0

        public init(events: Int = 0, info: Int = 0, tones: Int = 0) {
            self.events = events
            self.info = info
            self.tones = tones
        }

        public var count: Int { events + info + tones }

        /// `3 event, 1 INFO`; `-` for none.
        public var text: String {
            let kinds = [(events, "event"), (info, "INFO"), (tones, "tone")].filter { $0.0 > 0 }
            return kinds.isEmpty ? "-" : kinds.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        }
    }

    /// Stands for both trunks of a test call of `relayctl doctor`.
    public static let doctorTrunk = "doctor"

    /// Unique over all attempts and restarts; the store keeps one record an id.
    public var id: String
    public var callerCallID: String
    /// Nil when no INVITE was sent to a callee.
    public var calleeCallID: String?
    public var callerTrunk: String?
    public var calleeTrunk: String?
    /// User part of From.
    public var callerNumber: String
    /// User part of the Request-URI.
    public var calledNumber: String
    public var callerAddress: SocketAddress
    public var calleeAddress: SocketAddress?

    public var setupAt: WallTime
    public var ringAt: WallTime?
    public var answerAt: WallTime?
    public var releaseAt: WallTime
    /// Milliseconds from answer to release; zero when never answered.
    public var durationMilliseconds: Int64
    /// Seconds of the connected call in which both directions carried RTP.
    public var talkSeconds: Int
    /// Seconds of the connected call in which neither direction did.
    public var deadAirSeconds: Int

    public var fromCaller: Direction
    public var fromCallee: Direction

    public var cause: ReleaseCause
    /// The final SIP status of the attempt; 200 for an answered call.
    public var sipCode: Int
    /// Q.850 cause value, as in the Reason header.
    public var q850: Int
    public var endedBy: ReleaseParty
    /// The value this call started with, in seconds; 0 = off.
    public var noMediaTimeoutSeconds: Int
    /// The root cause, as far as it was known when the record was written; nil in records of versions before it.
    public var verdict: CallVerdict?
    /// The same in a sentence.
    public var explanation: String?

    /// Inlined: what is so large is made where it stays, and not copied there.
    @inlinable @inline(__always)
    public init(
        id: String, callerCallID: String, calleeCallID: String? = nil, callerTrunk: String? = nil,
        calleeTrunk: String? = nil, callerNumber: String, calledNumber: String, callerAddress: SocketAddress,
        calleeAddress: SocketAddress? = nil, setupAt: WallTime, ringAt: WallTime? = nil, answerAt: WallTime? = nil,
        releaseAt: WallTime, durationMilliseconds: Int64 = 0, talkSeconds: Int = 0, deadAirSeconds: Int = 0,
        fromCaller: Direction = Direction(), fromCallee: Direction = Direction(), cause: ReleaseCause, sipCode: Int,
        q850: Int, endedBy: ReleaseParty, noMediaTimeoutSeconds: Int = 0, verdict: CallVerdict? = nil,
        explanation: String? = nil
    ) {
        self.id = id
        self.callerCallID = callerCallID
        self.calleeCallID = calleeCallID
        self.callerTrunk = callerTrunk
        self.calleeTrunk = calleeTrunk
        self.callerNumber = callerNumber
        self.calledNumber = calledNumber
        self.callerAddress = callerAddress
        self.calleeAddress = calleeAddress
        self.setupAt = setupAt
        self.ringAt = ringAt
        self.answerAt = answerAt
        self.releaseAt = releaseAt
        self.durationMilliseconds = durationMilliseconds
        self.talkSeconds = talkSeconds
        self.deadAirSeconds = deadAirSeconds
        self.fromCaller = fromCaller
        self.fromCallee = fromCallee
        self.cause = cause
        self.sipCode = sipCode
        self.q850 = q850
        self.endedBy = endedBy
        self.noMediaTimeoutSeconds = noMediaTimeoutSeconds
        self.verdict = verdict
        self.explanation = explanation
    }
}

/// Which records `records` is asked for. Nil matches everything.
public struct RecordQuery: Codable, Hashable, Sendable {
    /// At most this many, newest release first; 1 to 10,000.
    public var limit = 50
    /// A record id, either Call-ID, or either number, in full.
    public var match: String?
    public var cause: ReleaseCauses?
    public var verdict: CallVerdict?
    /// Either side's trunk name.
    public var trunk: String?
    /// Either number contains it.
    public var number: String?
    /// Released at or after.
    public var since: WallTime?
    /// Released before.
    public var until: WallTime?
    /// From answer to release, whole seconds.
    public var leastSeconds: Int?
    public var mostSeconds: Int?

    public init(
        limit: Int = 50, match: String? = nil, cause: ReleaseCause? = nil, verdict: CallVerdict? = nil, trunk: String? = nil,
        number: String? = nil, since: WallTime? = nil, until: WallTime? = nil, leastSeconds: Int? = nil, mostSeconds: Int? = nil
    ) {
        self.limit = limit
        self.match = match
        self.cause = cause.map(ReleaseCauses.init)
        self.verdict = verdict
        self.trunk = trunk
        self.number = number
        self.since = since
        self.until = until
        self.leastSeconds = leastSeconds
        self.mostSeconds = mostSeconds
    }
}
