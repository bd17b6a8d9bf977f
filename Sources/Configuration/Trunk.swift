package import Core

/// A SIP peer: calls come from it, calls are routed to it.
package struct Trunk: Sendable {
    package var name: String
    /// Where its calls are sent.
    package var address: SocketAddress
    /// How its calls are sent: what the configuration says, else UDP.
    package var transport: Transport { namedTransport ?? .udp }
    /// Nil: not said; then long requests may go by TCP (RFC 3261 §18.1.1).
    package var namedTransport: Transport?
    /// What stands before its address, and whether there is a port behind it.
    var addressTransport: Transport?
    var addressHasPort = true
    /// What its certificate must be for, over TLS; nil: its address.
    package var tlsName: String?
    package var tlsVerify = CertificateCheck.on
    /// Where its requests come from. The most specific source of all trunks wins; no two trunks have the same one.
    package var sources: [TrunkSource]
    /// Called-number prefixes routed to it; "" is the default route. None: calls only come from it.
    package var prefixes: [String] = []
    /// Concurrent calls to and from it; zero is without limit.
    package var capacity = 0
    /// Calls a second, from it and to it each; zero is without limit.
    package var callsPerSecond = 0
    /// Of trunks with the same prefix the lowest is tried first.
    package var priority = 0
    /// Among trunks of the same prefix and priority, how often this one comes first.
    package var weight = 1
    /// What becomes of the numbers of calls from it, before they are routed.
    package var calledIn: [NumberRule] = []
    package var callerIn: [NumberRule] = []
    /// What becomes of the numbers of calls to it.
    package var calledOut: [NumberRule] = []
    package var callerOut: [NumberRule] = []
    /// Nil: `routing.failover`.
    package var failover: [StatusPattern]?
    package var probe = ProbeMode.down
    /// What we call ourselves when it challenges us; nil: a challenge is a refusal.
    package var username: String?
    package var password: String?
    /// Whether we register with it.
    package var register = OnOff.off
    /// Nil: its address.
    package var registrar: SocketAddress?
    /// The user of the address we register; nil: `username`.
    package var registerUser: String?
    /// What we ask for; the registrar has the last word.
    package var registerExpires = Duration.seconds(3_600)
    /// Nil: as `[routing]` has it, for each of the five.
    package var inviteTimeout: Duration?
    package var tryingTimeout: Duration?
    package var progressTimeout: Duration?
    package var earlyMediaTimeout: Duration?
    package var ringingTimeout: Duration?
    /// Nil: `sip.session_timer`; zero is off.
    package var sessionTimer: Duration?
    /// Nil: `sip.session_timer_min_se`.
    package var sessionTimerMinimum: Duration?
    /// Nil: `sip.session_timer_refresher`.
    package var sessionTimerRefresher: SessionTimerRefresher?
    /// Nil or zero: `limits.maximum_duration` alone.
    package var maximumDuration: Duration?
    /// Whether its media goes through relayd. Nil: `media.proxy`.
    package var mediaProxy: MediaProxyMode?
    /// It belongs to the networks that believe each other and keep what they are told to themselves (RFC 3325).
    package var isTrusted = true
    /// What it is told of who calls.
    package var identity = IdentityMode.pass
    /// How its digits come and go.
    package var dtmf = DTMFMode.passthrough
    /// Codecs its calls may use, best first; empty: all.
    package var codecs: [String] = []
    /// Codecs that are taken out of descriptions from and to it.
    package var codecsStripped: [String] = []
    /// Media goes to the address of its SDP before its first packet, if that is where its SIP comes from.
    package var mediaBeforeLock = false
    /// Nil: `media.inband_dtmf`.
    package var inBandDTMF: Bool?
    /// Nil: `media.no_media_timeout`.
    package var noMediaTimeout: Duration?
    /// Nil: `media.no_media_mode`.
    package var noMediaMode: NoMediaMode?

    /// - Parameter sources: nil: `address` itself, port included.
    package init(
        name: String, address: SocketAddress, transport: Transport? = nil, sources: [TrunkSource]? = nil, prefixes: [String] = []
    ) {
        self.name = name
        self.address = address
        namedTransport = transport
        self.sources = sources ?? [TrunkSource(address)]
        self.prefixes = prefixes
    }
}

extension Trunk {
    /// Address and transport as the key `address` has them.
    var place: TransportAddress {
        get { TransportAddress(transport: addressTransport, address: address) }
        set {
            address = newValue.address
            addressTransport = newValue.transport
            addressHasPort = newValue.hasPort
            if let transport = newValue.transport { namedTransport = transport }
        }
    }
}

/// Whether media goes through relayd. The two sides of a call may say different things: `must` of either wins, then `off`, then
/// `on`.
package enum MediaProxyMode: String, CaseIterable, Sendable {
    /// Where the sides cannot reach each other by themselves.
    case auto
    case on, off
    /// Whatever the other side says.
    case must
}

/// What a trunk is told of who calls.
package enum IdentityMode: String, CaseIterable, Sendable {
    /// As the caller says and wishes.
    case pass
    /// From as it is, and nothing of P-Asserted-Identity and its like.
    case strip
    /// From names nobody.
    case anonymise
}

/// How a trunk wants its digits, and sends them.
package enum DTMFMode: String, CaseIterable, Sendable {
    /// As they come from the other side, and to the other side as they come.
    case passthrough
    /// In RTP (RFC 4733).
    case telephoneEvent = "telephone-event"
    /// INFO requests of application/dtmf-relay.
    case info
}

package enum OnOff: String, CaseIterable, Sendable {
    case on, off
}

/// When a trunk is asked with OPTIONS whether it is there.
package enum ProbeMode: String, CaseIterable, Sendable {
    /// While it is down.
    case down
    /// At all times.
    case always
    /// Never: a trunk that is down is tried again after one interval.
    case off
}

/// An address, an address with a port, or a network that a trunk's requests come from.
package struct TrunkSource: Hashable, Sendable {
    /// Host bits are zero.
    package let network: IPAddress
    /// 0 to 32 or 128.
    package let prefixLength: Int
    /// Nil: any port. Only a single address has one.
    package let port: UInt16?

    package init(_ address: SocketAddress) {
        self.init(network: address.ip, prefixLength: Self.fullLength(of: address.ip), port: address.port)
    }

    private init(network: IPAddress, prefixLength: Int, port: UInt16?) {
        self.network = network
        self.prefixLength = prefixLength
        self.port = port
    }

    /// Whether a request from `address` comes from here. The port of a connection that a peer opens says nothing.
    package func contains(_ address: SocketAddress, ignoringPort: Bool = false) -> Bool {
        guard address.ip.family == network.family, ignoringPort || port == nil || port == address.port else { return false }
        return Self.masked(address.ip, prefixLength: prefixLength) == network
    }

    /// Whether it is a single address in the same /24 as `ip`, for IPv6 in the same /64.
    package func isHost(near ip: IPAddress) -> Bool {
        let length = ip.family == .ipv4 ? 24 : 64
        return ip.family == network.family && prefixLength == Self.fullLength(of: network)
            && Self.masked(ip, prefixLength: length) == Self.masked(network, prefixLength: length)
    }

    /// Greater is more specific: a longer prefix first, then a port.
    package var specificity: Int { prefixLength * 2 + (port == nil ? 0 : 1) }

    private static func fullLength(of ip: IPAddress) -> Int { ip.family == .ipv4 ? 32 : 128 }

    private static func masked(_ ip: IPAddress, prefixLength: Int) -> IPAddress {
        // A shift by the full width or more gives zero, which is what an empty mask is.
        switch ip.family {
        case .ipv4:
            IPAddress(ipv4: UInt32(truncatingIfNeeded: ip.low) & (UInt32.max << UInt32(32 - prefixLength)))
        case .ipv6:
            IPAddress(
                ipv6High: ip.high & (UInt64.max << UInt64(max(0, 64 - prefixLength))),
                low: ip.low & (UInt64.max << UInt64(min(64, 128 - prefixLength))))
        }
    }
}

extension TrunkSource: LosslessStringConvertible {
    /// `192.0.2.1`, `192.0.2.1:5060`, `192.0.2.0/24`, `[2001:db8::1]:5060`, `2001:db8::/32`.
    package var description: String {
        if let port { return SocketAddress(ip: network, port: port).description }
        return prefixLength == Self.fullLength(of: network) ? network.description : "\(network)/\(prefixLength)"
    }

    /// Nil for anything else, and for a network with host bits set: `192.0.2.1/24` is more likely a slip than a wish.
    package init?(_ description: String) {
        if let slash = description.firstIndex(of: "/") {
            let digits = description[description.index(after: slash)...]
            guard let ip = IPAddress(String(description[..<slash])), digits.first != "+", let length = Int(digits),
                length >= 0,
                length <= Self.fullLength(of: ip), Self.masked(ip, prefixLength: length) == ip
            else { return nil }
            self.init(network: ip, prefixLength: length, port: nil)
        } else if let ip = IPAddress(description) {
            self.init(network: ip, prefixLength: Self.fullLength(of: ip), port: nil)
        } else {
            guard let address = SocketAddress(description), address.port != 0 else { return nil }
            self.init(address)
        }
    }
}
