package import Core

/// What `registrations` is asked for.
package struct RegistrationQuery: Codable, Equatable, Sendable {
    /// Part of a user name, contact, source or User-Agent, without regard to case; nil: all.
    package var filter: String?
    /// 1 to 10,000.
    package var limit = 1_000

    package init(filter: String? = nil, limit: Int = 1_000) {
        self.filter = filter
        self.limit = limit
    }
}

/// The answer to `registrations`.
package struct RegistrationList: Codable, Equatable, Sendable {
    /// Of all users, and those the filter let through.
    package var total: Int
    package var matching: Int
    /// At most as many as were asked for.
    package var bindings: [RegistrationSummary]

    package init(total: Int, matching: Int, bindings: [RegistrationSummary]) {
        self.total = total
        self.matching = matching
        self.bindings = bindings
    }
}

/// One contact of one user.
package struct RegistrationSummary: Codable, Equatable, Sendable {
    /// Names it in `relayctl keepalive`; another one after a restart.
    package var id: String
    package var user: String
    package var contact: String
    /// Where its REGISTER came from: an address, before it the transport unless that is UDP.
    package var source: String
    /// `open` or `closed`: the connection that requests to it go by; nil over UDP, and with a Path.
    package var connection: String?
    /// `no`, or why it is taken to be behind NAT.
    package var nat: String
    package var agent: String
    /// 0 to 1.
    package var q: Double
    package var path: String?
    package var expiresInSeconds: Int
    package var registeredAt: WallTime

    package init(
        id: String, user: String, contact: String, source: String, connection: String? = nil, nat: String, agent: String, q: Double,
        path: String?, expiresInSeconds: Int, registeredAt: WallTime
    ) {
        self.id = id
        self.user = user
        self.contact = contact
        self.source = source
        self.connection = connection
        self.nat = nat
        self.agent = agent
        self.q = q
        self.path = path
        self.expiresInSeconds = expiresInSeconds
        self.registeredAt = registeredAt
    }
}

/// Registered phones in a few numbers, as `status` and metrics have them: what can be said without looking at each of them.
package struct PhoneFigures: Codable, Equatable, Sendable {
    package var users: Int
    /// Contacts of all users, and how many there may be.
    package var registered: Int
    package var limit: Int
    /// Contacts behind NAT that keep-alives go to; zero while they are off.
    package var keptAlive: Int
    /// Part of those that were due in the last complete cycle and got theirs, 0 to 1; nil before there is one.
    package var coverage: Double?
    /// Contacts that have left the last three keep-alives without an answer; nil when they ask for none.
    package var unreachable: Int?

    package init(users: Int, registered: Int, limit: Int, keptAlive: Int, coverage: Double? = nil, unreachable: Int? = nil) {
        self.users = users
        self.registered = registered
        self.limit = limit
        self.keptAlive = keptAlive
        self.coverage = coverage
        self.unreachable = unreachable
    }

    /// `12 registered, 10 kept alive: 100.0 % in the last cycle, 2 do not answer`.
    package var text: String {
        var text = "\(registered) registered"
        guard keptAlive > 0 else { return text }
        text += ", \(keptAlive) kept alive"
        if let coverage { text += ": \(Quantity.percent(coverage)) in the last cycle" }
        if let unreachable, unreachable > 0 { text += ", \(unreachable) \(unreachable == 1 ? "does" : "do") not answer" }
        return text
    }

    /// Somebody has to look at it.
    package var isTrouble: Bool { coverage ?? 1 < 1 || unreachable ?? 0 > 0 }
}

/// The answer to `keepalive`: whether all phones behind NAT were reached, and what it took.
package struct KeepAliveReport: Codable, Equatable, Sendable {
    package struct Cycle: Codable, Equatable, Sendable {
        package var startedAt: WallTime
        package var expected: Int
        package var served: Int
        package var coveragePercent: Double
        package var messages: Int
        package var missedDeadlines: Int
        package var longestGapSeconds: Double
        /// Messages that went out together.
        package var largestBatch: Int
        package var processorMilliseconds: Double

        package init(
            startedAt: WallTime, expected: Int, served: Int, coveragePercent: Double, messages: Int, missedDeadlines: Int,
            longestGapSeconds: Double, largestBatch: Int, processorMilliseconds: Double
        ) {
            self.startedAt = startedAt
            self.expected = expected
            self.served = served
            self.coveragePercent = coveragePercent
            self.messages = messages
            self.missedDeadlines = missedDeadlines
            self.longestGapSeconds = longestGapSeconds
            self.largestBatch = largestBatch
            self.processorMilliseconds = processorMilliseconds
        }
    }

    /// A rule of the troubleshooting table, with what speaks for or against it.
    package struct Finding: Codable, Equatable, Sendable {
        package var symptom: String
        package var isPresent: Bool
        package var evidence: String

        package init(_ symptom: String, isPresent: Bool, _ evidence: String) {
            self.symptom = symptom
            self.isPresent = isPresent
            self.evidence = evidence
        }
    }

    /// What is sent, in words; `off` says so.
    package var message: String
    package var isOn: Bool
    package var periodSeconds: Int
    package var intervalMilliseconds: Int
    package var quantity: Int
    /// `period / interval x quantity = …`, and what it is needed for.
    package var arithmetic: String
    package var registered: Int
    package var behindNAT: Int
    package var served: Int
    /// Nil until one is complete.
    package var lastCycle: Cycle?
    package var messages: UInt64
    package var missedDeadlines: UInt64
    package var errors: UInt64
    package var answers: UInt64
    package var processorMicrosecondsPerMessage: Double
    package var findings: [Finding]

    package init(
        message: String, isOn: Bool, periodSeconds: Int, intervalMilliseconds: Int, quantity: Int, arithmetic: String,
        registered: Int, behindNAT: Int, served: Int, lastCycle: Cycle?, messages: UInt64, missedDeadlines: UInt64,
        errors: UInt64, answers: UInt64, processorMicrosecondsPerMessage: Double, findings: [Finding]
    ) {
        self.message = message
        self.isOn = isOn
        self.periodSeconds = periodSeconds
        self.intervalMilliseconds = intervalMilliseconds
        self.quantity = quantity
        self.arithmetic = arithmetic
        self.registered = registered
        self.behindNAT = behindNAT
        self.served = served
        self.lastCycle = lastCycle
        self.messages = messages
        self.missedDeadlines = missedDeadlines
        self.errors = errors
        self.answers = answers
        self.processorMicrosecondsPerMessage = processorMicrosecondsPerMessage
        self.findings = findings
    }
}

/// The answer to `binding`: one contact and the proof that it is kept reachable.
package struct BindingDetail: Codable, Equatable, Sendable {
    package struct KeepAlive: Codable, Equatable, Sendable {
        package var lastSentSecondsAgo: Double
        package var lastHeardSecondsAgo: Double
        package var longestGapSeconds: Double
        package var sent: Int
        package var missedDeadlines: Int
        package var errors: Int
        /// The last one in words; nil without any.
        package var lastError: String?
        package var answers: Int
        /// Sent since the last answer; nil when the payload asks for none.
        package var unanswered: Int?
        /// The longest silence after which the phone still answered; nil when the payload asks for none.
        package var survivedSilenceSeconds: Double?

        package init(
            lastSentSecondsAgo: Double, lastHeardSecondsAgo: Double, longestGapSeconds: Double, sent: Int, missedDeadlines: Int,
            errors: Int, lastError: String?, answers: Int, unanswered: Int?, survivedSilenceSeconds: Double?
        ) {
            self.lastSentSecondsAgo = lastSentSecondsAgo
            self.lastHeardSecondsAgo = lastHeardSecondsAgo
            self.longestGapSeconds = longestGapSeconds
            self.sent = sent
            self.missedDeadlines = missedDeadlines
            self.errors = errors
            self.lastError = lastError
            self.answers = answers
            self.unanswered = unanswered
            self.survivedSilenceSeconds = survivedSilenceSeconds
        }
    }

    package var binding: RegistrationSummary
    /// Nil when it gets no keep-alives; `verdict` says why.
    package var keepAlive: KeepAlive?
    /// One sentence.
    package var verdict: String

    package init(binding: RegistrationSummary, keepAlive: KeepAlive?, verdict: String) {
        self.binding = binding
        self.keepAlive = keepAlive
        self.verdict = verdict
    }
}
