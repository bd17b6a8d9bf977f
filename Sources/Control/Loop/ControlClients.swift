import ControlProtocol
import Core
import Uring

/// The control socket and its clients.
struct ControlClients: ~Copyable {
    /// The kinds of token its operations carry.
    struct Kinds {
        let accept: UInt8
        let readable: UInt8
        let writable: UInt8
    }

    private let listener: UnixListener
    private let kinds: Kinds
    private var clients: StreamClients<ControlConnection>
    private let counters: CounterBlock

    private static let limit = 64

    /// - Throws: the kernel's errno; `EADDRINUSE` when another process listens there.
    init(path: String, kinds: Kinds, counters: CounterBlock) throws(Errno) {
        listener = try UnixListener(inPrivateDirectory: path)
        self.kinds = kinds
        self.counters = counters
        clients = StreamClients(limit: Self.limit, readable: kinds.readable, writable: kinds.writable)
    }

    mutating func start(on ring: inout Ring) { ring.accept(on: listener, token: Token(kind: kinds.accept)) }

    mutating func accepted(_ completion: Completion, on ring: inout Ring) {
        if completion.result >= 0 {
            _ = clients.add(StreamSocket(accepted: completion.result), ControlConnection(), on: &ring)
        }
        if !completion.hasMore { start(on: &ring) }
    }

    /// What a client wants done; each is answered once with `reply`.
    mutating func read(
        _ completion: Completion, now: Instant, on ring: inout Ring
    ) -> (client: UInt32, requests: [ControlRequest])? {
        guard let (client, octets) = clients.read(completion, now: now, on: &ring) else { return nil }
        return (client.id, client.connection.receive(octets, now: now, counters: counters))
    }

    func hasRoom(_ completion: Completion) { clients.hasRoom(completion) }

    /// Without effect when the client has gone meanwhile.
    func reply(to request: ControlRequest, of client: UInt32, _ result: Result<ControlReply, ControlError>, now: Instant) {
        clients[client]?.connection.reply(to: request, result, now: now, counters: counters)
    }

    /// Sends a notification that only this client asked for; false when it has gone.
    func notify(_ client: UInt32, _ line: [UInt8], now: Instant) -> Bool {
        guard let client = clients[client] else { return false }
        client.connection.notify(line, now: now)
        return true
    }

    /// Some asked for events.
    var haveSubscribers: Bool { clients.all.contains { $0.connection.isSubscribed } }

    /// Passes an event on to the clients that asked for events.
    func announce(_ event: Event, now: Instant) {
        guard haveSubscribers else { return }
        let encoded = EncodedEvent(event)
        for client in clients.all { client.connection.send(encoded, now: now, counters: counters) }
    }

    mutating func serve(now: Instant, on ring: inout Ring) { clients.serve(now: now, on: &ring) }

    /// Some have to be served within a second though nothing may come.
    var areWaiting: Bool { clients.areWaiting }
}

extension ControlConnection: StreamConnection {
    mutating func endInput(now: Instant) { endInput() }

    func isOver(at now: Instant) -> Bool { disposition(at: now) == .close }
}

extension UnixListener {
    /// Listens at `path`, in a directory that is made when there is none.
    init(inPrivateDirectory path: String) throws(Errno) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try PrivateDirectory.make(String(path[..<slash]))
        }
        try self.init(path: path)
    }
}
