package import Core

/// An address SIP is received on, with its transport.
package struct SIPListener: Hashable, Sendable {
    package var transport: Transport
    package var address: SocketAddress
    /// What Via and Contact carry in place of its IP address; nil: `sip.advertise` where the family fits, else `address`.
    package var advertised: IPAddress?

    package init(_ transport: Transport, _ address: SocketAddress, advertised: IPAddress? = nil) {
        self.transport = transport
        self.address = address
        self.advertised = advertised
    }
}

extension SIPListener: LosslessStringConvertible {
    /// `tls:192.0.2.1:5061` or `udp:0.0.0.0:5060!192.0.2.1`.
    package var description: String {
        "\(transport.rawValue):\(address)" + (advertised.map { "!\($0)" } ?? "")
    }

    /// The port may be missing: then it is the transport's own.
    package init?(_ description: String) {
        let parts = description.split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
        guard let place = TransportAddress(String(parts[0])), let transport = place.transport else { return nil }
        var advertised: IPAddress?
        if parts.count == 2 {
            guard let ip = IPAddress(String(parts[1])), !ip.isUnspecified, ip.family == place.address.ip.family else {
                return nil
            }
            advertised = ip
        }
        self.init(transport, place.address, advertised: advertised)
    }
}

/// An address with or without a transport before it: `tls:203.0.113.5:5061`, `203.0.113.5`.
package struct TransportAddress: Hashable, Sendable {
    /// Nil when none is given.
    package var transport: Transport?
    package var address: SocketAddress
    /// False when none was given and the default stands in.
    var hasPort = true
}

extension TransportAddress: LosslessStringConvertible {
    package var description: String { (transport.map { "\($0.rawValue):" } ?? "") + "\(address)" }

    /// A missing port is the transport's own.
    package init?(_ description: String) {
        var rest = description
        var transport: Transport?
        if let colon = rest.firstIndex(of: ":"), let named = Transport(rawValue: rest[..<colon].lowercased()) {
            transport = named
            rest = String(rest[rest.index(after: colon)...])
        }
        guard let address = SocketAddress(rest, defaultPort: (transport ?? .udp).defaultPort), address.port != 0 else {
            return nil
        }
        self.init(transport: transport, address: address, hasPort: SocketAddress(rest) != nil)
    }
}

/// Which certificate TLS asks a client for.
package enum ClientCertificates: String, CaseIterable, Sendable {
    /// None.
    case none
    /// One; a client without is served, one with a bad one is not.
    case offered
    /// A client without a good one is not served.
    case required
}

/// What becomes of requests from sources that are no trunk and no phone.
package enum StrangerPolicy: String, CaseIterable, Sendable {
    /// They are refused with 403, in an answer no larger than the request.
    case refuse
    /// They get no answer at all.
    case drop
}

/// Whether the certificate of a peer that relayd connects to is checked.
package enum CertificateCheck: String, CaseIterable, Sendable { case on, off }
