/// What carries SIP (RFC 3261 §18).
public enum Transport: String, CaseIterable, Hashable, Sendable, Codable {
    case udp, tcp, tls

    /// Over TCP and TLS nothing is lost without notice, so transactions send nothing twice.
    public var isReliable: Bool { self != .udp }
    /// As Via spells it.
    public var viaToken: String {
        switch self {
        case .udp: "UDP"
        case .tcp: "TCP"
        case .tls: "TLS"
        }
    }
    /// 5060, for TLS 5061.
    public var defaultPort: UInt16 { self == .tls ? 5061 : 5060 }
}
