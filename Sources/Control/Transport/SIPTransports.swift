import Configuration
import ControlProtocol
import Core
import SIP
import TLS
import Uring

/// Every socket of SIP: UDP sockets, listeners of TCP and TLS, and connections, on the ring that is passed in.
///
/// One read of at most 16 KiB a turn and connection: a peer that never stops cannot keep the loop from the others.
struct SIPTransports: ~Copyable {
    /// The kinds of token its operations carry.
    struct Kinds {
        let receive: UInt8
        let send: UInt8
        let accept: UInt8
        let readable: UInt8
        let writable: UInt8
    }

    /// What came by a connection.
    struct Received {
        let flow: Flow
        let item: SIPConnection.Item
    }

    private enum Socket: ~Copyable {
        case datagram(DatagramSocket)
        case stream(TCPListener)
    }

    /// A reference, because an array holds no value that cannot be copied.
    private final class Listener {
        let socket: Socket
        let transport: Transport
        let address: SocketAddress

        init(_ socket: consuming Socket, _ transport: Transport, _ address: SocketAddress) {
            self.socket = socket
            self.transport = transport
            self.address = address
        }

        var file: File {
            switch socket {
            case .datagram(let socket): socket.file
            case .stream(let listener): listener.file
            }
        }

        /// What there is then; nil for a stream.
        func growReceiveBuffer(_ octets: Int) -> Int? {
            switch socket {
            case .datagram(let socket): socket.setReceiveBuffer(octets: octets)
            case .stream: nil
            }
        }

        var receiveDrops: UInt32 {
            switch socket {
            case .datagram(let socket): socket.receiveDrops
            case .stream: 0
            }
        }
    }

    final class Connection {
        let id: UInt32
        let transport: Transport
        let listener: UInt8?
        let remote: SocketAddress
        /// From a trunk's address, or towards one.
        let isTrusted: Bool
        fileprivate let socket: StreamSocket
        fileprivate(set) var machine: SIPConnection
        fileprivate var isPolled = false
        fileprivate var awaitsRoom = false
        fileprivate var scheduled: Instant?
        fileprivate var isDirty = false
        fileprivate var isClosing = false
        /// What the peer may also be reached by (RFC 5923).
        fileprivate var alias: SocketAddress?
        fileprivate var keptCount = 0

        fileprivate init(
            _ id: UInt32, _ socket: consuming StreamSocket, _ transport: Transport, listener: UInt8?, remote: SocketAddress,
            isTrusted: Bool, _ machine: SIPConnection
        ) {
            self.id = id
            self.socket = socket
            self.transport = transport
            self.listener = listener
            self.remote = remote
            self.isTrusted = isTrusted
            self.machine = machine
        }

        var flow: Flow {
            Flow(transport, to: remote, listener: listener, connection: id, mayConnect: machine.isOutgoing)
        }
    }

    private struct Place: Hashable {
        let transport: Transport
        let address: SocketAddress
    }

    /// How a TLS server is asked for and checked.
    private struct ServerPolicy {
        let name: String?
        let verifies: Bool
    }

    private let listeners: [Listener]
    /// Octets that the kernel keeps of what comes, for the listener with the least.
    let receiveBuffer: Int
    /// What each listener's socket has dropped, as far as it is counted.
    private var seenDrops: [UInt32]
    private let endpoints: LocalEndpoints
    private let kinds: Kinds
    private let counters: CounterBlock
    let routing: Routing
    private let limits: SIPConnection.Limits
    let connectionLimit: Int
    private let sourceLimit: Int
    private let serverContext: TLSContext?
    private let clientContext: TLSContext?
    private let policies: [SocketAddress: ServerPolicy]
    private var connections: [UInt32: Connection] = [:]
    private var connectionsByPlace: [Place: UInt32] = [:]
    private var connectionsBySource: [IPAddress: Int] = [:]
    private var strangerCount = 0
    private var nextID: UInt32 = 1
    private var timers = TimerQueue<UInt32>()
    private var dirty: [Connection] = []
    private var failures: [TransactionID] = []
    /// Connections that ended since `takeEnded`.
    private var ended: [(id: UInt32, remote: SocketAddress)] = []
    private var keptCount = 0
    /// Connections that ended and that an operator may want to hear of, with the reason.
    private(set) var reports: [(remote: SocketAddress, fields: EventFields)] = []
    private var sent = SentDatagrams()

    private static let readSize = 16_384
    /// More than come in one turn but in a burst.
    static let usualBuffers = 32
    /// Asked for: a thousand messages and more that come while one turn lasts.
    static let receiveBuffer = 4 << 20
    /// Octets kept for all connections together, both ways, beyond which the one that adds to them is cut off.
    private static let keptLimit = 64 << 20

    init(_ configuration: Configuration, kinds: Kinds, counters: CounterBlock, connectionLimit: Int) throws(StartError) {
        var listeners: [Listener] = []
        var receiveBuffer = Self.receiveBuffer
        for listener in configuration.sip.allListeners {
            let address = listener.address
            let socket: Socket =
                switch listener.transport {
                case .udp:
                    .datagram(
                        try attempt({ .sipSocket(listener, $0) }) { () throws(Errno) in
                            let socket = try DatagramSocket.listener(on: address)
                            try socket.reportErrors()
                            return socket
                        })
                case .tcp, .tls:
                    .stream(try attempt({ .sipSocket(listener, $0) }) { () throws(Errno) in try TCPListener.listener(on: address) })
                }
            let made = Listener(socket, listener.transport, address)
            if let octets = made.growReceiveBuffer(Self.receiveBuffer) { receiveBuffer = min(receiveBuffer, octets) }
            listeners.append(made)
        }
        let tls = configuration.sip.tls
        let clients: TLSContext.Verification =
            switch tls.clients {
            case .none: .none
            case .offered: .offered
            case .required: .required
            }
        let isServed = configuration.sip.allListeners.contains { $0.transport == .tls }
        let serverContext = try attempt(StartError.tls) { () throws(TLSContext.Failure) -> TLSContext? in
            guard isServed else { return nil }
            return try TLSContext(
                isServer: true, certificate: tls.certificate, key: tls.key, authorities: tls.authorities, verification: clients)
        }
        let isClient = isServed || configuration.trunks.contains { $0.transport == .tls }
        let clientContext = try attempt(StartError.tls) { () throws(TLSContext.Failure) -> TLSContext? in
            guard isClient else { return nil }
            return try TLSContext(
                isServer: false, certificate: tls.certificate, key: tls.key, authorities: tls.authorities,
                verification: .offered)
        }
        var policies: [SocketAddress: ServerPolicy] = [:]
        for trunk in configuration.trunks where trunk.transport == .tls {
            policies[trunk.address] = ServerPolicy(name: trunk.tlsName, verifies: trunk.tlsVerify == .on)
        }
        var limits = SIPConnection.Limits()
        limits.idle = configuration.sip.idleTimeout
        limits.messageOctets = configuration.limits.messageOctets
        self.listeners = listeners
        self.receiveBuffer = receiveBuffer
        seenDrops = listeners.map { _ in 0 }
        self.serverContext = serverContext
        self.clientContext = clientContext
        endpoints = configuration.sip.endpoints
        self.kinds = kinds
        self.counters = counters
        self.limits = limits
        self.policies = policies
        self.connectionLimit = connectionLimit
        sourceLimit = configuration.limits.connectionsPerSource
        routing = Routing(trunks: configuration.trunks)
    }

    /// For people: `udp:192.0.2.1:5060`.
    var addresses: [String] { listeners.map { "\($0.transport.rawValue):\($0.address)" } }
    /// In no order.
    var all: Dictionary<UInt32, Connection>.Values { connections.values }

    mutating func start(on ring: inout Ring, buffers: borrowing BufferPool) {
        for index in listeners.indices { arm(UInt32(index), on: &ring, buffers: buffers) }
    }

    private func arm(_ index: UInt32, on ring: inout Ring, buffers: borrowing BufferPool) {
        let listener = listeners[Int(index)]
        switch listener.socket {
        case .datagram(let socket):
            ring.receiveDatagrams(on: socket.file, into: buffers, token: Token(kind: kinds.receive, index: index))
        case .stream(let socket): ring.accept(on: socket, token: Token(kind: kinds.accept, index: index))
        }
    }

    // MARK: Datagrams

    /// The datagram behind `completion`, if it is one; rearms the receive.
    func received(
        _ completion: Completion, on ring: inout Ring, buffers: inout BufferPool
    ) -> (octets: [UInt8], flow: Flow)? {
        var message: (octets: [UInt8], flow: Flow)?
        if let datagram = buffers.datagram(completion) {
            if datagram.isTruncated {
                counters.add(to: .sipMalformed)
            } else {
                let listener = UInt8(truncatingIfNeeded: completion.token.index)
                message = (buffers.copy(datagram.payload), Flow(udp: datagram.source, listener: listener))
            }
        }
        if completion.hasBuffer { buffers.recycle(completion.bufferID, keeping: Self.usualBuffers) }
        if !completion.hasMore {
            buffers.provideWithheld()
            buffers.publish()
            arm(completion.token.index, on: &ring, buffers: buffers)
        }
        return message
    }

    /// Counts what the kernel has dropped since it was asked last.
    mutating func countReceiveDrops() {
        for index in listeners.indices {
            let drops = listeners[index].receiveDrops
            counters.add(UInt64(drops &- seenDrops[index]), to: .sipReceiveBufferDrops)
            seenDrops[index] = drops
        }
    }

    /// The datagram whose sending failed.
    func failed(_ completion: Completion) -> SentDatagrams.Entry? { sent[completion.token.index] }

    /// Once a turn, when completions were taken and none is left: they tell of every datagram of the turn before.
    mutating func beginTurn() { sent.forgetFormer() }

    /// What ICMP says of datagrams.
    func takeError() -> DatagramError? {
        for listener in listeners {
            switch listener.socket {
            case .datagram(let socket): if let error = socket.takeError() { return error }
            case .stream: break
            }
        }
        return nil
    }

    /// Sends a datagram by a system call of its own, for the kernel did not take it by the ring.
    ///
    /// - Throws: the kernel's errno, which may be about another datagram again.
    func resend(_ sent: SentDatagrams.Entry) throws(Errno) {
        guard let index = endpoints.listener(for: sent.destination) else { return }
        switch listeners[Int(index)].socket {
        case .datagram(let socket): try socket.send(sent.octets.span, to: sent.destination.remote)
        case .stream: break
        }
    }

    /// - Returns: what the network refused, and the processor time it took.
    func send(
        _ batch: KeepAliveBatch, by sender: inout KeepAliveSender
    ) -> (errors: [(binding: BindingID, errno: Int32)], nanoseconds: UInt64) {
        var errors: [(binding: BindingID, errno: Int32)] = []
        var nanoseconds: UInt64 = 0
        // Each from the socket its phone registered at: a NAT lets nothing else through.
        for part in batch.byListener {
            var isSent = false
            for (index, listener) in listeners.enumerated() where part.listener.map({ Int($0) == index }) ?? true {
                switch listener.socket {
                case .datagram(let socket):
                    let (refused, time) = sender.send(part.batch, on: socket)
                    errors += refused
                    nanoseconds += time
                    isSent = true
                case .stream: break
                }
                if isSent { break }
            }
        }
        return (errors, nanoseconds)
    }

    /// Our own address on a flow, as far as it is known.
    func local(of flow: Flow) -> SocketAddress {
        guard let index = endpoints.listener(for: flow) else { return endpoints.endpoint(for: flow).address }
        let listener = endpoints.listeners[Int(index)]
        return listener.address.ip.isUnspecified ? listener.advertised : listener.address
    }

    private mutating func sendDatagram(
        _ octets: [UInt8], to flow: Flow, _ transaction: TransactionID?, on ring: inout Ring
    ) -> Bool {
        guard let listener = endpoints.listener(for: flow), listeners[Int(listener)].transport == .udp else {
            return false
        }
        let index = sent.add(SentDatagrams.Entry(transaction: transaction, octets: octets, destination: flow))
        let token = Token(kind: kinds.send, index: index)
        return ring.send(copying: octets.span, on: listeners[Int(listener)].file, to: flow.remote, token: token)
    }

    // MARK: Sending

    /// - Returns: false when it cannot be sent. A connection that fails later says so in `takeFailures`.
    mutating func send(
        _ octets: [UInt8], to flow: Flow, _ transaction: TransactionID?, now: Instant, on ring: inout Ring
    ) -> Bool {
        guard flow.isReliable else {
            guard sendDatagram(octets, to: flow, transaction, on: &ring) else { return false }
            counters.add(to: .sipDatagramsSent)
            return true
        }
        var known = connection(for: flow)
        if known == nil { known = connect(flow, now: now, on: &ring) }
        guard let connection = known else { return false }
        let isSent = connection.machine.send(octets, transaction, now: now)
        if isSent { counters.add(to: .sipStreamMessagesSent) }
        touch(connection)
        return isSent
    }

    private func connection(for flow: Flow) -> Connection? {
        if let id = flow.connection, let connection = self[id] { return connection }
        guard flow.mayConnect else { return nil }
        return connectionsByPlace[Place(transport: flow.transport, address: flow.remote)].flatMap { self[$0] }
    }

    /// Nil once it has gone, or goes.
    private subscript(id: UInt32) -> Connection? {
        connections[id].flatMap { $0.isClosing || $0.machine.phase == .closing || $0.machine.isOver ? nil : $0 }
    }

    private mutating func connect(_ flow: Flow, now: Instant, on ring: inout Ring) -> Connection? {
        guard flow.mayConnect else { return nil }
        guard connections.count < connectionLimit else {
            counters.add(to: .sipConnectionsRefused)
            return nil
        }
        var session: TLSSession?
        if flow.transport == .tls {
            let policy = policies[flow.remote] ?? ServerPolicy(name: nil, verifies: true)
            session = clientContext.flatMap {
                TLSSession($0, name: policy.name ?? "\(flow.ip)", verifies: policy.verifies)
            }
            guard session != nil else { return nil }
        }
        let listener = endpoints.listener(for: flow)
        do throws(Errno) {
            let local = listener.map { listeners[Int($0)].address.ip }
            let socket = try StreamSocket.connecting(to: flow.remote, from: local)
            let machine = SIPConnection(isOutgoing: true, tls: session, limits: limits, now: now)
            let connection = add(
                socket, machine, flow.transport, listener: listener, remote: flow.remote,
                isTrusted: routing.trunk(from: flow.remote, isStream: true) != nil)
            connectionsByPlace[Place(transport: flow.transport, address: flow.remote)] = connection.id
            counters.add(to: .sipConnectionsOpened)
            awaitRoom(connection, on: &ring)
            touch(connection)
            return connection
        } catch {
            report(flow.transport, flow.remote, isOutgoing: true, .failed, "\(error)")
            return nil
        }
    }

    private mutating func add(
        _ socket: consuming StreamSocket, _ machine: SIPConnection, _ transport: Transport, listener: UInt8?,
        remote: SocketAddress, isTrusted: Bool
    ) -> Connection {
        let connection = Connection(
            nextID, socket, transport, listener: listener, remote: remote, isTrusted: isTrusted, machine)
        connections[nextID] = connection
        nextID = nextID == .max ? 1 : nextID + 1
        if !isTrusted {
            connectionsBySource[remote.ip, default: 0] += 1
            strangerCount += 1
        }
        return connection
    }

    // MARK: Accepting

    /// - Parameter buffers: of the datagrams; only to arm what has ended.
    mutating func accepted(
        _ completion: Completion, now: Instant, on ring: inout Ring, buffers: borrowing BufferPool
    ) {
        if completion.result >= 0 {
            let socket = StreamSocket(accepted: completion.result)
            accept(socket, listener: UInt8(truncatingIfNeeded: completion.token.index), now: now, on: &ring)
        }
        if !completion.hasMore { arm(completion.token.index, on: &ring, buffers: buffers) }
    }

    private mutating func accept(
        _ socket: consuming StreamSocket, listener index: UInt8, now: Instant, on ring: inout Ring
    ) {
        guard let remote = socket.peerAddress else { return }
        let isTrusted = routing.trunk(from: remote, isStream: true) != nil
        // A tenth is kept for trunks.
        let isFull =
            connections.count >= connectionLimit || (!isTrusted && strangerCount >= connectionLimit - connectionLimit / 10)
        guard !isFull else { return counters.add(to: .sipConnectionsRefused) }
        if !isTrusted, connectionsBySource[remote.ip, default: 0] >= sourceLimit {
            return counters.add(to: .sipConnectionsRefusedSource)
        }
        let transport = listeners[Int(index)].transport
        var session: TLSSession?
        if transport == .tls {
            session = serverContext.flatMap { TLSSession($0) }
            guard session != nil else { return counters.add(to: .sipConnectionsRefused) }
        }
        let machine = SIPConnection(isOutgoing: false, tls: session, limits: limits, now: now)
        let connection = add(socket, machine, transport, listener: index, remote: remote, isTrusted: isTrusted)
        counters.add(to: .sipConnectionsAccepted)
        poll(connection, on: &ring)
        touch(connection)
    }

    // MARK: Receiving

    /// What came by the connection behind `completion`.
    mutating func read(_ completion: Completion, now: Instant, on ring: inout Ring) -> [Received] {
        guard let connection = connections[completion.token.index] else { return [] }
        connection.isPolled = false
        guard !connection.isClosing else {
            remove(connection)
            return []
        }
        var items: [SIPConnection.Item] = []
        do throws(Errno) {
            if let octets = try connection.socket.read(limit: Self.readSize) {
                items = connection.machine.receive(octets, now: now)
            }
        } catch {
            connection.machine.fail(.failed, "\(error)")
        }
        if !connection.machine.isOver {
            keep(connection)
            poll(connection, on: &ring)
        }
        touch(connection)
        counters.add(UInt64(items.count), to: .sipStreamMessagesReceived)
        return items.map { Received(flow: connection.flow, item: $0) }
    }

    /// The peer of `connection` is to be reached at `address` by it as well (RFC 5923).
    mutating func setAlias(_ address: SocketAddress, of connection: UInt32) {
        guard let connection = self[connection], connection.alias != address else { return }
        if let old = connection.alias { forget(Place(transport: connection.transport, address: old), connection) }
        connection.alias = address
        connectionsByPlace[Place(transport: connection.transport, address: address)] = connection.id
    }

    /// The connection is of no use any more; what is queued still goes out.
    mutating func end(_ id: UInt32, now: Instant) {
        guard let connection = self[id] else { return }
        connection.machine.close(.noSIP, now: now)
        touch(connection)
    }

    /// The poll for room behind `completion` has ended: there is some, or an outgoing connection is decided.
    mutating func hasRoom(_ completion: Completion, now: Instant, on ring: inout Ring) {
        guard let connection = connections[completion.token.index] else { return }
        connection.awaitsRoom = false
        guard !connection.isClosing else { return remove(connection) }
        if connection.machine.phase == .connecting {
            if let failure = connection.socket.connectionFailure {
                connection.machine.fail(.failed, "\(failure)")
            } else {
                connection.machine.connected(now: now)
                poll(connection, on: &ring)
            }
        }
        touch(connection)
    }

    // MARK: Turns

    /// Sends what the kernel takes, runs timers, and closes what is over. Once a turn.
    mutating func serve(now: Instant, on ring: inout Ring) {
        while let id = timers.takeDue(at: now) {
            guard let connection = connections[id] else { continue }
            connection.scheduled = nil
            connection.machine.advance(to: now)
            touch(connection)
        }
        var index = 0
        while index < dirty.count {
            let connection = dirty[index]
            connection.isDirty = false
            index += 1
            serve(connection, now: now, on: &ring)
        }
        dirty.removeAll(keepingCapacity: true)
    }

    private mutating func serve(_ connection: Connection, now: Instant, on ring: inout Ring) {
        guard !connection.isClosing else { return }
        while connection.machine.hasOutput {
            do throws(Errno) {
                let sent = try connection.socket.write(connection.machine.nextOutput(atMost: 65_536).span)
                connection.machine.didSend(sent, now: now)
                guard sent > 0 else { break }
            } catch {
                connection.machine.fail(.failed, "\(error)")
            }
        }
        keep(connection)
        if connection.machine.isOver { return close(connection, on: &ring) }
        if connection.machine.hasOutput, !connection.awaitsRoom { awaitRoom(connection, on: &ring) }
        if let due = connection.machine.deadline, due < connection.scheduled ?? Instant(nanoseconds: .max) {
            connection.scheduled = due
            timers.schedule(connection.id, at: due)
        }
    }

    /// When `serve` is due next though nothing may come.
    var nextDeadline: Instant? { timers.nextDue }

    /// Transactions whose messages did not leave.
    mutating func takeFailures() -> [TransactionID] {
        defer { failures = [] }
        return failures
    }

    mutating func takeEnded() -> [(id: UInt32, remote: SocketAddress)] {
        defer { ended = [] }
        return ended
    }

    mutating func takeReports() -> [(remote: SocketAddress, fields: EventFields)] {
        defer { reports = [] }
        return reports
    }

    // MARK: Helpers

    private mutating func touch(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection)
    }

    /// Accounts for what is kept for a connection.
    private mutating func keep(_ connection: Connection) {
        let count = connection.machine.isOver ? 0 : connection.machine.pendingCount
        if count > connection.keptCount, keptCount + count - connection.keptCount > Self.keptLimit {
            connection.machine.fail(.overrun, "all connections together hold too much")
            keptCount -= connection.keptCount
            connection.keptCount = 0
            return
        }
        keptCount += count - connection.keptCount
        connection.keptCount = count
    }

    private func poll(_ connection: Connection, on ring: inout Ring) {
        let token = Token(kind: kinds.readable, index: connection.id)
        connection.isPolled = ring.pollReadable(connection.socket.file, repeating: false, token: token)
        // The kernel takes nothing right now: the connection would be deaf for good.
        if !connection.isPolled { connection.machine.fail(.failed, "the ring is full") }
    }

    private func awaitRoom(_ connection: Connection, on ring: inout Ring) {
        let token = Token(kind: kinds.writable, index: connection.id)
        connection.awaitsRoom = ring.pollWritable(connection.socket.file, token: token)
        if !connection.awaitsRoom { connection.machine.fail(.failed, "the ring is full") }
    }

    /// The kernel holds the socket while a poll is armed, so that ends first.
    private mutating func close(_ connection: Connection, on ring: inout Ring) {
        guard !connection.isClosing else { return }
        connection.isClosing = true
        ended.append((connection.id, connection.remote))
        failures += connection.machine.takeFailures()
        keptCount -= connection.keptCount
        connection.keptCount = 0
        forget(Place(transport: connection.transport, address: connection.remote), connection)
        if let alias = connection.alias { forget(Place(transport: connection.transport, address: alias), connection) }
        if !connection.isTrusted {
            strangerCount -= 1
            let left = connectionsBySource[connection.remote.ip, default: 1] - 1
            connectionsBySource[connection.remote.ip] = left > 0 ? left : nil
        }
        let machine = connection.machine
        if let end = machine.end {
            count(end)
            report(connection.transport, connection.remote, isOutgoing: machine.isOutgoing, end, machine.endDetail)
        }
        if connection.awaitsRoom { ring.cancel(Token(kind: kinds.writable, index: connection.id)) }
        if connection.isPolled { ring.cancel(Token(kind: kinds.readable, index: connection.id)) }
        remove(connection)
    }

    private mutating func remove(_ connection: Connection) {
        guard !connection.isPolled, !connection.awaitsRoom else { return }
        connections[connection.id] = nil
    }

    private mutating func forget(_ place: Place, _ connection: Connection) {
        if connectionsByPlace[place] == connection.id { connectionsByPlace[place] = nil }
    }

    private func count(_ end: SIPConnection.End) {
        switch end {
        case .peerClosed, .shutdown: break
        case .failed, .connectTimeout: counters.add(to: .sipConnectionsFailed)
        case .tlsFailed: counters.add(to: .sipTlsFailures)
        case .noSIP, .tooLong: counters.add(to: .sipStreamsMalformed)
        case .slowMessage, .silentPeer, .stalled, .overrun: counters.add(to: .sipConnectionsCutOff)
        case .idle: counters.add(to: .sipConnectionsIdle)
        }
    }

    /// An operator wants to know why a trunk is not reached, and nothing of what strangers do.
    private mutating func report(
        _ transport: Transport, _ remote: SocketAddress, isOutgoing: Bool, _ end: SIPConnection.End, _ detail: String
    ) {
        guard end != .peerClosed, end != .idle, end != .shutdown, reports.count < 64 else { return }
        guard isOutgoing || routing.trunk(from: remote, isStream: true) != nil else { return }
        reports.append(
            (
                remote,
                [
                    "transport": transport.rawValue, "peer": "\(remote)", "direction": isOutgoing ? "out" : "in",
                    "reason": end.rawValue, "detail": detail,
                ]
            ))
    }
}
