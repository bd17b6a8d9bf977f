import Configuration
import Core
import Uring

/// Where proxies reach relayd: a UDP socket, a TCP listener and a unix stream listener, each when it is configured.
struct NGTransports: ~Copyable {
    /// The kinds of token its operations carry.
    struct Kinds {
        let receive: UInt8
        let send: UInt8
        let acceptTCP: UInt8
        let acceptUnix: UInt8
        let readable: UInt8
        let writable: UInt8
    }

    private let udp: DatagramSocket?
    private let tcp: TCPListener?
    private let unix: UnixListener?
    private let kinds: Kinds
    private var clients: StreamClients<NGConnection>
    private let counters: CounterBlock
    /// For people: `udp:127.0.0.1:2223`, `tcp:127.0.0.1:2223`, `unix:/run/relayd/ng.sock`.
    let addresses: [String]

    private static let connectionLimit = 64

    init(_ configuration: Configuration.NG, kinds: Kinds, counters: CounterBlock) throws(StartError) {
        let (address, tcpAddress, path) = (configuration.listen, configuration.tcp, configuration.socket)
        let udp = try Self.open("ng.listen", address) { address throws(Errno) in try DatagramSocket.listener(on: address) }
        let tcp = try Self.open("ng.tcp", tcpAddress) { address throws(Errno) in try TCPListener.listener(on: address) }
        let unix = try Self.open("ng.socket", path) { path throws(Errno) in try UnixListener(inPrivateDirectory: path) }
        self.udp = udp
        self.tcp = tcp
        self.unix = unix
        addresses = [address.map { "udp:\($0)" }, tcpAddress.map { "tcp:\($0)" }, path.map { "unix:\($0)" }].compactMap(\.self)
        self.kinds = kinds
        self.counters = counters
        clients = StreamClients(limit: Self.connectionLimit, readable: kinds.readable, writable: kinds.writable)
    }

    /// Nil for a key that is not set.
    private static func open<Place, Socket: ~Copyable>(
        _ key: String, _ place: Place?, _ make: (Place) throws(Errno) -> Socket
    ) throws(StartError) -> Socket? {
        guard let place else { return nil }
        return try attempt({ .ngSocket("\(key) = \(place)", $0) }) { () throws(Errno) in try make(place) }
    }

    mutating func start(on ring: inout Ring, buffers: borrowing BufferPool) {
        receive(on: &ring, buffers: buffers)
        acceptTCP(on: &ring)
        acceptUnix(on: &ring)
    }

    // MARK: Datagrams

    /// The datagram behind `completion`, if it is one; rearms the receive.
    func received(
        _ completion: Completion, on ring: inout Ring, buffers: inout BufferPool
    ) -> (octets: [UInt8], client: NGClient)? {
        var message: (octets: [UInt8], client: NGClient)?
        if let datagram = buffers.datagram(completion) {
            if datagram.isTruncated {
                counters.add(to: .ngMalformed)
            } else {
                message = (buffers.copy(datagram.payload), .datagram(datagram.source))
            }
        }
        if completion.hasBuffer { buffers.recycle(completion.bufferID, keeping: SIPTransports.usualBuffers) }
        if !completion.hasMore {
            buffers.provideWithheld()
            buffers.publish()
            receive(on: &ring, buffers: buffers)
        }
        return message
    }

    private func receive(on ring: inout Ring, buffers: borrowing BufferPool) {
        switch udp {
        case .some(let socket): ring.receiveDatagrams(on: socket.file, into: buffers, token: Token(kind: kinds.receive))
        case .none: break
        }
    }

    // MARK: Connections

    mutating func acceptedTCP(_ completion: Completion, on ring: inout Ring) {
        add(completion, on: &ring)
        if !completion.hasMore { acceptTCP(on: &ring) }
    }

    mutating func acceptedUnix(_ completion: Completion, on ring: inout Ring) {
        add(completion, on: &ring)
        if !completion.hasMore { acceptUnix(on: &ring) }
    }

    private func acceptTCP(on ring: inout Ring) {
        switch tcp {
        case .some(let listener): ring.accept(on: listener, token: Token(kind: kinds.acceptTCP))
        case .none: break
        }
    }

    private func acceptUnix(on ring: inout Ring) {
        switch unix {
        case .some(let listener): ring.accept(on: listener, token: Token(kind: kinds.acceptUnix))
        case .none: break
        }
    }

    private mutating func add(_ completion: Completion, on ring: inout Ring) {
        guard completion.result >= 0 else { return }
        let isThere = clients.add(StreamSocket(accepted: completion.result), NGConnection(), on: &ring)
        if !isThere { counters.add(to: .ngConnectionsRefused) }
    }

    /// The messages of a connection that can be read.
    mutating func read(
        _ completion: Completion, now: Instant, on ring: inout Ring
    ) -> (messages: [[UInt8]], client: NGClient)? {
        guard let (client, octets) = clients.read(completion, now: now, on: &ring) else { return nil }
        // Over a unix socket the proxy is on this machine.
        let ip = client.socket.peerAddress?.ip ?? .ipv4Loopback
        return (client.connection.receive(octets, counters: counters), .stream(client.id, from: ip))
    }

    func hasRoom(_ completion: Completion) { clients.hasRoom(completion) }

    // MARK: Replies

    /// To where the request came from. A reply that does not reach its client is asked for again.
    func send(_ reply: [UInt8], to client: NGClient, now: Instant, on ring: inout Ring) {
        switch client {
        case .stream(let id, _): clients[id]?.connection.send(reply, now: now)
        case .datagram(let address):
            switch udp {
            case .some(let socket):
                ring.send(copying: reply.span, on: socket.file, to: address, token: Token(kind: kinds.send))
            case .none: break
            }
        }
    }

    mutating func serve(now: Instant, on ring: inout Ring) { clients.serve(now: now, on: &ring) }

    /// Some have to be served within a second though nothing may come.
    var areWaiting: Bool { clients.areWaiting }
}
