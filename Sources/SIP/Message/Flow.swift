package import Core

/// The way a SIP message came, or goes: transport, our socket, the peer's address, and the connection of a stream
/// (RFC 5626 §2).
package struct Flow: Hashable, Sendable {
    package var transport: Transport
    /// Which of our listeners: its place in `LocalEndpoints`. Nil: whichever fits transport and address.
    package var listener: UInt8?
    package var remote: SocketAddress
    /// The connection to use while it is up. Nil: any to `remote`, or a new one.
    package var connection: UInt32?
    /// Whether a connection to `remote` may be opened when there is none. False for where a message came from by a
    /// connection that the peer opened: it does not listen at that port.
    package var mayConnect: Bool

    package init(
        _ transport: Transport, to remote: SocketAddress, listener: UInt8? = nil, connection: UInt32? = nil,
        mayConnect: Bool = true
    ) {
        self.transport = transport
        self.listener = listener
        self.remote = remote
        self.connection = connection
        self.mayConnect = mayConnect
    }

    package init(udp remote: SocketAddress, listener: UInt8? = nil) { self.init(.udp, to: remote, listener: listener) }

    package var isReliable: Bool { transport.isReliable }
    package var ip: IPAddress { remote.ip }
}

extension Flow: CustomStringConvertible {
    /// The address for UDP, else with the transport before it: `tls:203.0.113.5:5061`.
    package var description: String { transport == .udp ? "\(remote)" : "\(transport.rawValue):\(remote)" }
}

/// One of our own SIP addresses: what Via and Contact of messages that leave by it say.
package struct LocalEndpoint: Hashable, Sendable {
    package let transport: Transport
    /// Advertised, never unspecified.
    package let address: SocketAddress
    /// Whether we are reached there by `transport`. Otherwise only the connections that we open ourselves are of it.
    package let isListening: Bool
    private let texts: Texts

    /// The same in words, which never change.
    private final class Texts: Sendable {
        let hostPort: String
        let contact: String
        let contactLine: [UInt8]
        /// What stands around a branch: a whole line.
        let viaStart: [UInt8]
        let viaEnd: [UInt8]

        init(_ transport: Transport, _ address: SocketAddress, parameters: String) {
            hostPort = address.description
            contact = "<sip:" + hostPort + parameters + ">"
            contactLine = Array("Contact: \(contact)\r\n".utf8)
            viaStart = Array("Via: SIP/2.0/\(transport.viaToken) \(address);branch=".utf8)
            // `alias` lets the peer send its own requests by the same connection (RFC 5923 §5).
            viaEnd = Array((transport.isReliable ? ";rport;alias\r\n" : ";rport\r\n").utf8)
        }
    }

    package init(_ transport: Transport = .udp, _ address: SocketAddress, isListening: Bool = true) {
        self.transport = transport
        self.address = address
        self.isListening = isListening
        texts = Texts(transport, address, parameters: Self.parameters(transport, isListening: isListening))
    }

    package static func == (left: LocalEndpoint, right: LocalEndpoint) -> Bool {
        left.transport == right.transport && left.address == right.address && left.isListening == right.isListening
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(address) }

    private static func parameters(_ transport: Transport, isListening: Bool) -> String {
        transport == .udp || !isListening ? "" : ";transport=\(transport.rawValue)"
    }

    /// `address` in words.
    package var hostPort: String { texts.hostPort }
    /// Where the peer sends its requests in a dialog.
    package var contact: String { texts.contact }
    /// The same as a header line.
    var contactLine: [UInt8] { texts.contactLine }

    /// The value of Via.
    package func via(branch: ViaBranch) -> String {
        let line = [UInt8](atMost: viaCount(branch: branch)) { appendVia(branch: branch, to: &$0) }
        return String(decoding: line.dropFirst(5).dropLast(2), as: UTF8.self)
    }

    /// The line of Via.
    func appendVia(branch: ViaBranch, to output: inout OutputSpan<UInt8>) {
        let (start, end) = (texts.viaStart, texts.viaEnd)
        output.append(copying: start.span)
        branch.append(to: &output)
        output.append(copying: end.span)
    }

    /// Octets that `appendVia` writes.
    func viaCount(branch: ViaBranch) -> Int { texts.viaStart.count + branch.count + texts.viaEnd.count }

    /// Host and port of an own URI, with the transport where it is not what the scheme says anyway.
    package var hostAndParameters: String { hostPort + Self.parameters(transport, isListening: isListening) }

    /// - Parameter isSecure: the dialog is of `sips`, so the Contact has to be (RFC 3261 §12.1.1).
    package func contact(isSecure: Bool) -> String { isSecure ? "<sips:\(hostPort)>" : contact }

    /// A request that was made for another transport, as it goes by this one: with our Via in place of its first one.
    package func replacingVia(of request: [UInt8], branch: ViaBranch) -> [UInt8] {
        guard case .message(let message) = SIPMessage.parse(request), let via = message.first(.via) else { return request }
        return Array(request[..<via.valueRange.lowerBound]) + self.via(branch: branch).utf8
            + request[via.valueRange.upperBound...]
    }
}

/// All addresses SIP is received on. Never empty; the first one stands in where nothing fits.
package struct LocalEndpoints: Sendable {
    package struct Listener: Hashable, Sendable {
        package let transport: Transport
        /// Bound, so perhaps unspecified.
        package let address: SocketAddress
        package let advertised: SocketAddress

        package init(_ transport: Transport, _ address: SocketAddress, advertised: SocketAddress? = nil) {
            self.transport = transport
            self.address = address
            self.advertised = advertised ?? address
        }
    }

    package let listeners: [Listener]
    /// Of each listener.
    private let own: [LocalEndpoint]

    package init(_ listeners: [Listener]) {
        precondition(!listeners.isEmpty && listeners.count <= 256, "1 to 256 listeners")
        self.listeners = listeners
        own = listeners.map { LocalEndpoint($0.transport, $0.advertised) }
    }

    /// The listener that serves `flow`: its own, else the first of its transport and address family.
    package func listener(for flow: Flow) -> UInt8? {
        if let index = flow.listener, index < listeners.count { return index }
        return listeners.firstIndex { $0.transport == flow.transport && $0.advertised.ip.family == flow.ip.family }
            .map { UInt8($0) }
    }

    /// What we are called on `flow`. By a transport that we do not listen on, the address of another listener of the
    /// family stands in: answers come by the connection anyway.
    package func endpoint(for flow: Flow) -> LocalEndpoint {
        if let index = listener(for: flow), own[Int(index)].transport == flow.transport { return own[Int(index)] }
        let other = listeners.first { $0.advertised.ip.family == flow.ip.family } ?? listeners[0]
        return LocalEndpoint(flow.transport, other.advertised, isListening: false)
    }

    /// Whether `via` names us.
    package func contains(_ via: Via) -> Bool {
        // As we write it ourselves, it need not be read.
        if own.contains(where: { via.sentByOctets.isText($0.hostPort) }) { return true }
        guard let ip = via.hostAddress else { return false }
        return listeners.contains { $0.advertised.ip == ip && $0.advertised.port == via.port ?? $0.transport.defaultPort }
    }
}
