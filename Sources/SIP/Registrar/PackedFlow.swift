import Core

/// A `Flow` in 24 octets in place of 48: there are as many as bindings.
struct PackedFlow: Sendable {
    private let high: UInt64
    private let low: UInt64
    private let connection: UInt32
    private let port: UInt16
    private let listener: UInt8
    private let flags: Flags

    private struct Flags: OptionSet {
        let rawValue: UInt8
        static let ipv6 = Flags(rawValue: 1)
        static let hasListener = Flags(rawValue: 2)
        static let hasConnection = Flags(rawValue: 4)
        static let mayConnect = Flags(rawValue: 8)
        static let tcp = Flags(rawValue: 16)
        static let tls = Flags(rawValue: 32)
    }

    init(_ flow: Flow) {
        high = flow.ip.high
        low = flow.ip.low
        port = flow.remote.port
        connection = flow.connection ?? 0
        listener = flow.listener ?? 0
        var flags: Flags = flow.ip.family == .ipv6 ? .ipv6 : []
        if flow.listener != nil { flags.insert(.hasListener) }
        if flow.connection != nil { flags.insert(.hasConnection) }
        if flow.mayConnect { flags.insert(.mayConnect) }
        switch flow.transport {
        case .udp: break
        case .tcp: flags.insert(.tcp)
        case .tls: flags.insert(.tls)
        }
        self.flags = flags
    }

    var remote: SocketAddress {
        let ip = flags.contains(.ipv6) ? IPAddress(ipv6High: high, low: low) : IPAddress(ipv4: UInt32(truncatingIfNeeded: low))
        return SocketAddress(ip: ip, port: port)
    }

    var transport: Transport { flags.contains(.tcp) ? .tcp : flags.contains(.tls) ? .tls : .udp }

    /// There is none, and none may be opened.
    var isWithoutConnection: Bool { flags.isDisjoint(with: [.hasConnection, .mayConnect]) }

    var flow: Flow {
        Flow(
            transport, to: remote, listener: flags.contains(.hasListener) ? listener : nil,
            connection: flags.contains(.hasConnection) ? connection : nil, mayConnect: flags.contains(.mayConnect))
    }
}
