package import Core

/// Which messages `trace` is asked for. Nil matches everything. A page at a time: a search never keeps the daemon from its calls.
package struct TraceQuery: Codable, Equatable, Sendable {
    /// Messages of any of these dialogs.
    package var callIDs: [String]?
    /// The user part of Request-URI, From or To, in full, with or without a leading `+`.
    package var number: String?
    /// The peer's IP address, or address and port: `192.0.2.1`, `192.0.2.1:5060`.
    package var address: String?
    /// Requests of this method and their responses.
    package var method: String?
    /// At or after.
    package var since: WallTime?
    /// Digest responses and nonces, and keys in SDP, are replaced by asterisks.
    package var mask: Bool?
    /// Look back from here: messages with lower numbers, the highest first. Nil and `from` nil: from the newest on.
    package var before: UInt64?
    /// Look forward from here: this number and higher.
    package var from: UInt64?
    /// Messages in this page at most, 1 to 256.
    package var limit: Int?

    package init() {}
}

/// What `trace` answers: some of the messages asked for, the oldest first, and where to ask for more.
package struct TracePage: Codable, Equatable, Sendable {
    package var messages: [TracedSIPMessage]
    /// The `before` of the page that comes before this one; nil when there is nothing older to be had.
    package var older: UInt64?
    /// The `from` of what comes after this page.
    package var newer: UInt64
    /// There is more after this page already.
    package var hasNewer: Bool
    /// Messages that were asked for with `from` and have been overwritten since.
    package var missed: UInt64

    package init(
        messages: [TracedSIPMessage] = [], older: UInt64? = nil, newer: UInt64 = 0, hasNewer: Bool = false, missed: UInt64 = 0
    ) {
        self.messages = messages
        self.older = older
        self.newer = newer
        self.hasNewer = hasNewer
        self.missed = missed
    }
}

/// One SIP message as it was on the wire.
package struct TracedSIPMessage: Codable, Equatable, Sendable {
    package enum Direction: String, Codable, Sendable { case received, sent }

    /// Counted since the daemon started.
    package var number: UInt64
    /// Microseconds since 1970, UTC.
    package var microseconds: Int64
    package var direction: Direction
    package var transport: String
    package var peer: SocketAddress
    package var local: SocketAddress
    /// The message when it is UTF-8, which it nearly always is.
    package var text: String?
    /// Its octets in hexadecimal otherwise.
    package var hexadecimal: String?

    package init(
        number: UInt64, microseconds: Int64, direction: Direction, transport: String, peer: SocketAddress,
        local: SocketAddress, octets: [UInt8]
    ) {
        self.number = number
        self.microseconds = microseconds
        self.direction = direction
        self.transport = transport
        self.peer = peer
        self.local = local
        text = String(validating: octets, as: UTF8.self)
        if text == nil { hexadecimal = octets.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
    }
}
