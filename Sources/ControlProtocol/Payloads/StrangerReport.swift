package import Core

/// What `strangers` is asked for.
package struct StrangerQuery: Codable, Equatable, Sendable {
    /// 1 to 1,000.
    package var limit = 20

    package init(limit: Int = 20) { self.limit = limit }
}

/// The answer to `strangers`: who sends requests without being a trunk or a phone.
package struct StrangerReport: Codable, Equatable, Sendable {
    /// `refuse` or `drop`, as `sip.strangers` has it.
    package var policy: String
    /// Since the start, of all sources.
    package var requests: UInt64
    /// Those above the rate of answers, and all under `drop`.
    package var unanswered: UInt64
    /// How many are remembered; room is for about a thousand.
    package var sources: Int
    /// Some of them, the busiest first.
    package var shown: [Source]

    package init(policy: String, requests: UInt64, unanswered: UInt64, sources: Int, shown: [Source]) {
        self.policy = policy
        self.requests = requests
        self.unanswered = unanswered
        self.sources = sources
        self.shown = shown
    }

    package struct Source: Codable, Equatable, Sendable {
        /// An address, or for IPv6 the /64 it is in.
        package var source: String
        package var lastAddress: SocketAddress
        package var transport: Transport
        package var requests: UInt64
        package var answers: UInt64
        package var firstAt: WallTime
        package var lastAt: WallTime
        /// Of one of its last requests, each cut at 32 to 128 octets; may be empty.
        package var method: String
        package var caller: String
        package var called: String
        package var userAgent: String
        package var callID: String
        /// How its address relates to those of trunks.
        package var hint: String

        /// A trunk is near: more likely a slip in the configuration than somebody trying.
        package var isSlip: Bool { hint.hasPrefix("trunk ") }

        package init(
            source: String, lastAddress: SocketAddress, transport: Transport, requests: UInt64, answers: UInt64, firstAt: WallTime,
            lastAt: WallTime, method: String, caller: String, called: String, userAgent: String, callID: String, hint: String
        ) {
            self.source = source
            self.lastAddress = lastAddress
            self.transport = transport
            self.requests = requests
            self.answers = answers
            self.firstAt = firstAt
            self.lastAt = lastAt
            self.method = method
            self.caller = caller
            self.called = called
            self.userAgent = userAgent
            self.callID = callID
            self.hint = hint
        }
    }
}
