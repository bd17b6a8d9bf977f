/// Type and code of an ICMP error (RFC 792, RFC 4443).
public struct ICMPMessage: Hashable, Sendable {
    /// What it says of the destination of a datagram.
    public enum Meaning: Hashable, Sendable {
        case portUnreachable, protocolUnreachable, hostUnreachable, networkUnreachable
        /// A firewall on the way, or at the host, says no.
        case prohibited
        case parameterProblem
    }

    public let isIPv6: Bool
    public let type: UInt8
    public let code: UInt8

    public init(isIPv6: Bool, type: UInt8, code: UInt8) {
        self.isIPv6 = isIPv6
        self.type = type
        self.code = code
    }

    /// Nil when it is no reason to give the request up that it is about: RFC 3261 §18.4 leaves source quench and time exceeded
    /// out, and what was too large for a link is sent again in fragments.
    public var meaning: Meaning? { isIPv6 ? meaningIPv6 : meaningIPv4 }

    private var meaningIPv4: Meaning? {
        switch (type, code) {
        case (3, 0), (3, 6), (3, 11): .networkUnreachable
        case (3, 1), (3, 5), (3, 7), (3, 8), (3, 12): .hostUnreachable
        case (3, 2): .protocolUnreachable
        case (3, 3): .portUnreachable
        case (3, 9), (3, 10), (3, 13), (3, 14), (3, 15): .prohibited
        case (12, _): .parameterProblem
        default: nil
        }
    }

    private var meaningIPv6: Meaning? {
        switch (type, code) {
        case (1, 0), (1, 2): .networkUnreachable
        case (1, 1), (1, 5), (1, 6): .prohibited
        case (1, 3): .hostUnreachable
        case (1, 4): .portUnreachable
        case (4, 1): .protocolUnreachable
        case (4, _): .parameterProblem
        default: nil
        }
    }
}

extension ICMPMessage.Meaning: CustomStringConvertible {
    /// `port unreachable`.
    public var description: String {
        switch self {
        case .portUnreachable: "port unreachable"
        case .protocolUnreachable: "protocol unreachable"
        case .hostUnreachable: "host unreachable"
        case .networkUnreachable: "network unreachable"
        case .prohibited: "administratively prohibited"
        case .parameterProblem: "parameter problem"
        }
    }

    /// The host itself is there and nobody takes SIP: not something that passes by itself, as a route that flaps does.
    public var isFinal: Bool { self == .portUnreachable || self == .protocolUnreachable }
}

/// What ICMP said of a datagram that was sent.
public struct DatagramError: Equatable, Sendable {
    /// Where the datagram was going.
    public var destination: SocketAddress
    /// What the kernel makes of it.
    public var errno: Int32
    public var icmp: ICMPMessage
    /// Who said it: the destination itself, or a router on the way; nil when that is not known.
    public var reporter: IPAddress?
    /// The datagram's first octets, as far as they came back: hosts send about 500, some routers none (RFC 1812 §4.3.2.3).
    public var quoted: [UInt8]

    public init(destination: SocketAddress, errno: Int32, icmp: ICMPMessage, reporter: IPAddress?, quoted: [UInt8]) {
        self.destination = destination
        self.errno = errno
        self.icmp = icmp
        self.reporter = reporter
        self.quoted = quoted
    }
}
