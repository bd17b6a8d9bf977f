import Core
import Uring

/// A protocol over a stream, without its socket.
protocol StreamConnection {
    /// The peer has said all it will say.
    var hasInputEnded: Bool { get }
    mutating func endInput(now: Instant)
    var hasOutput: Bool { get }
    /// What to send next; until `didSend` it comes again.
    func nextOutput(atMost limit: Int) -> [UInt8]
    mutating func didSend(_ count: Int, now: Instant)
    /// Close the socket now; what is unsent is lost.
    func isOver(at now: Instant) -> Bool
}

/// The connections of one protocol with their sockets, at most `limit` of them, on the ring that is passed in.
///
/// One read of at most 64 KiB a turn and client: a client that never stops cannot keep the loop from the others.
struct StreamClients<Connection: StreamConnection> {
    /// Lives in a table and in closures of the loop, so it is a reference.
    final class Client {
        let id: UInt32
        let socket: StreamSocket
        var connection: Connection
        /// A poll for something to read is armed, which keeps the socket open.
        fileprivate var isPolled = false
        /// A poll for room is armed.
        fileprivate var awaitsRoom = false
        /// It is to go once its poll has ended.
        fileprivate var isClosing = false

        fileprivate init(_ id: UInt32, _ socket: consuming StreamSocket, _ connection: Connection) {
            self.id = id
            self.socket = socket
            self.connection = connection
        }
    }

    private let limit: Int
    /// Token kinds of the polls; the index is the client's id.
    private let readable: UInt8
    private let writable: UInt8
    private var clients: [UInt32: Client] = [:]
    private var nextID: UInt32 = 1

    init(limit: Int, readable: UInt8, writable: UInt8) {
        self.limit = limit
        self.readable = readable
        self.writable = writable
    }

    /// - Returns: false when there are too many; the socket is then closed.
    mutating func add(_ socket: consuming StreamSocket, _ connection: Connection, on ring: inout Ring) -> Bool {
        guard clients.count < limit else { return false }
        let client = Client(nextID, socket, connection)
        clients[nextID] = client
        nextID &+= 1
        poll(client, on: &ring)
        return true
    }

    /// Nil once it has gone.
    subscript(id: UInt32) -> Client? { clients[id].flatMap { $0.isClosing ? nil : $0 } }

    var all: Dictionary<UInt32, Client>.Values { clients.values }

    /// Some have to be looked at though nothing may come from them.
    var areWaiting: Bool {
        clients.values.contains { $0.connection.hasOutput || ($0.connection.hasInputEnded && !$0.isClosing) }
    }

    /// Reads what the poll behind `completion` promised.
    ///
    /// - Returns: nil when that is nothing to act on.
    mutating func read(
        _ completion: Completion, now: Instant, on ring: inout Ring
    ) -> (client: Client, octets: [UInt8])? {
        guard let client = clients[completion.token.index] else { return nil }
        client.isPolled = false
        guard !client.isClosing else {
            clients[client.id] = nil
            return nil
        }
        do throws(Errno) {
            let octets = try client.socket.read()
            if octets?.isEmpty == true {
                client.connection.endInput(now: now)
                return nil
            }
            poll(client, on: &ring)
            return octets.map { (client, $0) }
        } catch {
            close(client, on: &ring)
            return nil
        }
    }

    /// The poll for room behind `completion` has ended.
    func hasRoom(_ completion: Completion) { clients[completion.token.index]?.awaitsRoom = false }

    /// Sends what the kernel takes, and closes what is over. Once a turn.
    mutating func serve(now: Instant, on ring: inout Ring) {
        for client in clients.values where !client.isClosing {
            do throws(Errno) {
                try flush(client, now: now)
            } catch {
                close(client, on: &ring)
                continue
            }
            if client.connection.isOver(at: now) {
                close(client, on: &ring)
            } else if client.connection.hasOutput, !client.awaitsRoom {
                client.awaitsRoom = ring.pollWritable(client.socket.file, token: Token(kind: writable, index: client.id))
            }
        }
    }

    private func flush(_ client: Client, now: Instant) throws(Errno) {
        while client.connection.hasOutput {
            let sent = try client.socket.write(client.connection.nextOutput(atMost: 65_536).span)
            client.connection.didSend(sent, now: now)
            guard sent > 0 else { return }
        }
    }

    private func poll(_ client: Client, on ring: inout Ring) {
        let token = Token(kind: readable, index: client.id)
        client.isPolled = ring.pollReadable(client.socket.file, repeating: false, token: token)
    }

    /// The kernel holds the socket while a poll is armed, so that ends first.
    private mutating func close(_ client: Client, on ring: inout Ring) {
        if client.awaitsRoom { ring.cancel(Token(kind: writable, index: client.id)) }
        if client.isPolled {
            client.isClosing = true
            ring.cancel(Token(kind: readable, index: client.id))
        } else {
            clients[client.id] = nil
        }
    }
}
