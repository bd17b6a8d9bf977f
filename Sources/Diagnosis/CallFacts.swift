package import Core

/// What is known of one call attempt, as plain values: all that a diagnosis looks at beside its messages. Times count from its
/// first INVITE.
package struct CallFacts: Equatable, Sendable {
    /// How a call ended.
    package struct End: Equatable, Sendable {
        package var cause: ReleaseCause
        /// The final SIP status; 200 for an answered call.
        package var status: Int
        package var party: ReleaseParty
        package var at: Duration

        package init(_ cause: ReleaseCause, status: Int, by party: ReleaseParty, at time: Duration) {
            self.cause = cause
            self.status = status
            self.party = party
            at = time
        }
    }

    /// Nil while the call is present.
    package var end: End?
    /// How long ago the call began, or how long it lasted from INVITE to release.
    package var age: Duration
    /// The first 180 or 183 from the callee.
    package var rangAt: Duration?
    package var answeredAt: Duration?
    package var callerNumber: String
    package var calledNumber: String
    package var caller: PartyFacts
    /// Nil when no INVITE was sent to anybody.
    package var callee: PartyFacts?
    /// Routes that were tried, the last one included; empty when only one can have been.
    package var attempts: [Attempt]
    /// Where relayd's own dialog requests and responses ask to be answered.
    package var ownContact: SocketAddress
    package var fromCaller: StreamFacts
    package var fromCallee: StreamFacts
    /// Sides that never answered relayd's BYE; known 32 s after the end.
    package var unansweredBye: Set<Leg>
    /// Which limit of calls there was no room under, as the beginning of a sentence; nil when it is not known.
    package var reachedLimit: String?
    /// ICMP errors about requests of this call.
    package var unreachable: [Unreachable]
    /// Set when a session expired for want of a refresh (RFC 4028).
    package var expiredSession: ExpiredSession?
    /// Zero: silence does not end this call.
    package var noMediaTimeout: Duration
    /// relayd passes the RTP on, so it knows about it.
    package var isRelayed: Bool
    /// Set when a user of this registrar was called.
    package var registration: RegistrationFacts?

    package init(
        age: Duration, end: End? = nil, rangAt: Duration? = nil, answeredAt: Duration? = nil, callerNumber: String = "",
        calledNumber: String = "", caller: PartyFacts, callee: PartyFacts? = nil, attempts: [Attempt] = [],
        ownContact: SocketAddress, fromCaller: StreamFacts = StreamFacts(), fromCallee: StreamFacts = StreamFacts(),
        unansweredBye: Set<Leg> = [], reachedLimit: String? = nil, unreachable: [Unreachable] = [],
        expiredSession: ExpiredSession? = nil, noMediaTimeout: Duration = .zero, isRelayed: Bool = true,
        registration: RegistrationFacts? = nil
    ) {
        self.end = end
        self.age = age
        self.rangAt = rangAt
        self.answeredAt = answeredAt
        self.callerNumber = callerNumber
        self.calledNumber = calledNumber
        self.caller = caller
        self.callee = callee
        self.attempts = attempts
        self.ownContact = ownContact
        self.fromCaller = fromCaller
        self.fromCallee = fromCallee
        self.unansweredBye = unansweredBye
        self.reachedLimit = reachedLimit
        self.unreachable = unreachable
        self.expiredSession = expiredSession
        self.noMediaTimeout = noMediaTimeout
        self.isRelayed = isRelayed
        self.registration = registration
    }

    /// A route that was tried.
    package struct Attempt: Equatable, Sendable {
        package enum Outcome: Equatable, Sendable {
            case status(Int)
            case noResponse
            /// It responded, but nobody answered in time.
            case noAnswer
            /// Left out because its limit of calls, or of calls a second, was reached.
            case full
            /// Left out because it has asked for a rest (503 with Retry-After).
            case resting
            /// Left out after failures, until it answers OPTIONS again.
            case down
            case networkRefused
            case unreachable(ICMPMessage.Meaning)
        }

        package var route: String
        package var outcome: Outcome

        package init(_ route: String, _ outcome: Outcome) {
            self.route = route
            self.outcome = outcome
        }
    }

    /// What ICMP said of a request.
    package struct Unreachable: Equatable, Sendable {
        package var method: String
        package var destination: SocketAddress
        /// Nil when it is not known.
        package var reporter: IPAddress?
        package var meaning: ICMPMessage.Meaning

        package init(_ method: String, to destination: SocketAddress, by reporter: IPAddress?, _ meaning: ICMPMessage.Meaning) {
            self.method = method
            self.destination = destination
            self.reporter = reporter
            self.meaning = meaning
        }
    }

    /// A session timer that ran out.
    package struct ExpiredSession: Equatable, Sendable {
        package var leg: Leg
        /// relayd had to refresh; else the peer of that leg.
        package var isOurs: Bool
        package var interval: Duration

        package init(_ leg: Leg, isOurs: Bool, interval: Duration) {
            self.leg = leg
            self.isOurs = isOurs
            self.interval = interval
        }
    }

    package func stream(from leg: Leg) -> StreamFacts { leg == .caller ? fromCaller : fromCallee }

    package func party(_ leg: Leg) -> PartyFacts? { leg == .caller ? caller : callee }
}

/// One side of a call, as its messages describe it.
package struct PartyFacts: Equatable, Sendable {
    /// The trunk or the user.
    package var name: String?
    /// Where its messages really come from, and requests outside a dialog go to.
    package var address: SocketAddress
    /// What its Contact names; nil for a host name.
    package var contact: SocketAddress?
    /// Where relayd sends requests within the dialog.
    package var target: SocketAddress?
    /// The address in the top Via of its requests, as it wrote it itself.
    package var via: IPAddress?
    /// In `o=`.
    package var origin: IPAddress?
    /// Nil before it sent a session description.
    package var media: MediaFacts?
    /// Seconds in its Session-Expires (RFC 4028).
    package var sessionExpires: Int?

    package init(name: String? = nil, address: SocketAddress) {
        self.name = name
        self.address = address
    }
}

/// What a side's own session description says of the medium that is relayed.
package struct MediaFacts: Equatable, Sendable {
    package struct Format: Equatable, Sendable {
        package var number: UInt8
        /// `PCMA`; nil for a dynamic number without a name.
        package var name: String?

        package init(_ number: UInt8, _ name: String?) {
            self.number = number
            self.name = name
        }
    }

    /// The `c=` address; nil for a host name.
    package var connection: IPAddress?
    package var port: UInt16
    package var formats: [Format]
    package var sends = true
    package var receives = true
    /// Else datagrams without sequence numbers or times, like those of T.38.
    package var isRTP = true

    package init(connection: IPAddress?, port: UInt16, formats: [Format]) {
        self.connection = connection
        self.port = port
        self.formats = formats
    }

    package var telephoneEvent: Format? { formats.first { $0.name?.lowercased() == "telephone-event" } }

    package var codecs: [Format] {
        formats.filter { !["telephone-event", "cn", "red"].contains($0.name?.lowercased() ?? "") }
    }
}

/// One message of the ladder. Nothing in it needs memory of its own: every rule goes through all of them.
package struct MessageFact: Equatable, Sendable {
    /// Those that a rule asks for.
    package enum Method: String, Sendable {
        case invite = "INVITE", ack = "ACK", bye = "BYE", update = "UPDATE", info = "INFO", message = "MESSAGE", other = ""

        package init(_ name: String) {
            // By its length first: comparing two texts that differ takes ten times as long as two that do not.
            self =
                switch name.utf8.count {
                case 3: name == "ACK" ? .ack : name == "BYE" ? .bye : .other
                case 4: name == "INFO" ? .info : .other
                case 6: name == "INVITE" ? .invite : name == "UPDATE" ? .update : .other
                case 7: name == "MESSAGE" ? .message : .other
                default: .other
                }
        }
    }

    package var at: Duration
    package var leg: Leg
    package var isReceived: Bool
    /// Of the request, or of the one a response answers.
    package var method: Method
    /// Nil for a request.
    package var status: Int?
    package var isRetransmission: Bool
    /// Of a request: a final response to it has come, or went.
    package var isAnswered = false

    package init(
        at time: Duration, _ leg: Leg, received isReceived: Bool, _ method: String, _ status: Int? = nil,
        again isRetransmission: Bool = false
    ) {
        self.init(at: time, leg, received: isReceived, Method(method), status, again: isRetransmission)
    }

    package init(
        at time: Duration, _ leg: Leg, received isReceived: Bool, _ method: Method, _ status: Int?, again isRetransmission: Bool
    ) {
        at = time
        self.leg = leg
        self.isReceived = isReceived
        self.method = method
        self.status = status
        self.isRetransmission = isRetransmission
    }
}

/// The media that came from one side, and what was sent to it.
package struct StreamFacts: Equatable, Sendable {
    /// A second of the time line.
    package struct Second: Equatable, Sendable {
        package var packets: Int
        package var lost: Int
        package var jitterMilliseconds: Int

        package init(packets: Int, lost: Int = 0, jitterMilliseconds: Int = 0) {
            self.packets = packets
            self.lost = lost
            self.jitterMilliseconds = jitterMilliseconds
        }
    }

    /// RTP that was accepted from it.
    package var packets: UInt64 = 0
    package var lost: UInt64 = 0
    package var firstAt: Duration?
    package var lastAt: Duration?
    package var highestJitter: Duration = .zero
    package var longestGap: Duration = .zero
    /// Where it comes from.
    package var source: SocketAddress?
    package var payloadType: UInt8?
    package var isInComfortNoise = false
    /// Datagrams on its port from somewhere else, all of them dropped.
    package var strangers: UInt64 = 0
    /// RTP of the other side sent to it.
    package var sent: UInt64 = 0
    /// How often its host said that the port is closed (ICMP).
    package var refusals: UInt64 = 0
    /// Digits it pressed, by the way they came.
    package var telephoneEvents = 0
    package var infoDigits = 0
    package var inBandDigits = 0
    /// Its digits reach the other side in another way.
    package var areDigitsConverted = false
    /// Both descriptions let it send.
    package var isExpected = true
    /// It is on hold, or the other side holds it.
    package var isHeld: Bool { !isExpected }
    /// Of the last two minutes, oldest first.
    package var seconds: [Second] = []
    /// When the first of `seconds` began.
    package var firstSecondAt: Duration = .zero

    package init() {}

    package var lossPercent: Double {
        let all = packets + lost
        return all > 0 ? 100 * Double(lost) / Double(all) : 0
    }
}

/// A registered user who was called.
package struct RegistrationFacts: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        case present
        /// It has contacts, and the connection of each has ended; how long ago the last one did, or nil when that was with an earlier
        /// run of relayd.
        case cutOff(Transport, ago: Duration?)
        /// The edge proxy on the Path of its last contact has no flow to it any more; how long ago it said so, or nil when
        /// that was its answer to this INVITE.
        case flowFailed(ago: Duration?)
        /// No contact; how long ago the last one expired, when that is known.
        case expired(ago: Duration?)
        /// It took its contact back itself.
        case unregistered(ago: Duration)
        case never
    }

    package var user: String
    package var state: State
    package var isBehindNAT = false
    /// When its host was last heard, as an age at the INVITE.
    package var lastHeardAgo: Duration?
    /// Keep-alives since the last one it answered; nil when they ask for no answer.
    package var unansweredKeepAlives: Int?

    package init(user: String, state: State) {
        self.user = user
        self.state = state
    }
}
