package import Core

/// Names one client or server transaction for as long as the process runs.
package struct TransactionID: PlacedNumber {
    /// A serial number, and below it the place, which others have had before.
    package let rawValue: UInt64

    private static let placeBits: UInt64 = 24
    /// More than memory is set aside for.
    static let maximumPlaces = 1 << 24

    init(rawValue: UInt64) { self.rawValue = rawValue }

    init(serial: UInt64, place: Int) { rawValue = serial << Self.placeBits | UInt64(place) }

    package var place: Int { Int(rawValue & (1 << Self.placeBits - 1)) }
}

/// Matches messages to transactions and keeps what is retransmitted (RFC 3261 §17, RFC 6026), over any transport.
///
/// Sans-IO: give it messages and the time, and carry out every `Output` in order. One thread.
package struct TransactionLayer {
    package enum Output: Sendable {
        case send(Transmission)
        /// A request that opened a server transaction; answer it with `respond`. An INVITE has had its 100.
        case request(TransactionID, SIPMessage, source: Flow)
        /// An ACK for a 2xx, for the dialog it belongs to.
        case acknowledgement(SIPMessage, source: Flow)
        /// A response for the user of a client transaction: provisional, final, or a further 2xx to INVITE.
        case response(TransactionID, SIPMessage, source: Flow)
        /// A retransmission, or the ACK for a final response that was no 2xx. It needs nothing further.
        case absorbed(TransactionID, SIPMessage)
        /// A response that belongs to no transaction; it is dropped.
        case strayResponse(SIPMessage)
        /// No response until timer B or F, or none after CANCEL.
        case timedOut(TransactionID)
        case transportFailed(TransactionID)
        /// Nothing more will come of this transaction.
        case ended(TransactionID)

        /// Of no transaction: for the place of one that was taken.
        package static var none: Output { .ended(TransactionID(rawValue: 0)) }
    }

    /// Octets to be sent.
    package struct Transmission: Sendable {
        package let octets: [UInt8]
        package let destination: Flow
        package let transaction: TransactionID
        package let isRetransmission: Bool
    }

    /// A request as it is sent when the first way fails.
    package struct Fallback: Sendable {
        let request: [UInt8]
        let destination: Flow

        package init(_ request: [UInt8], to destination: Flow) {
            self.request = request
            self.destination = destination
        }
    }

    final class Client {
        let id: TransactionID
        private(set) var machine: ClientMachine
        let key: SentRequestKey
        let openedAt: Instant
        var request: [UInt8]
        var destination: Flow
        /// What is sent, and where, when the transport fails before anything was heard.
        var fallback: Fallback?
        var hasSent = false
        var hasHeard = false
        /// The ACK for a 300-699 response (§17.1.1.3).
        var acknowledgement: [UInt8]?
        /// The earliest entry that the timer queue holds for this transaction.
        var scheduled: Instant?

        init(
            id: TransactionID, machine: ClientMachine, key: SentRequestKey, openedAt: Instant, request: [UInt8], destination: Flow,
            fallback: Fallback?
        ) {
            self.id = id
            self.machine = machine
            self.key = key
            self.openedAt = openedAt
            self.request = request
            self.destination = destination
            self.fallback = fallback
        }

        func transmission(of octets: [UInt8], isRetransmission: Bool) -> Transmission {
            Transmission(octets: octets, destination: destination, transaction: id, isRetransmission: isRetransmission)
        }

        /// What is assigned anew, and not changed in place, needs no check at run time that nobody else is changing it.
        func change(_ change: (inout ClientMachine) -> Void) {
            var changed = machine
            change(&changed)
            machine = changed
        }
    }

    final class Server {
        let id: TransactionID
        private(set) var machine: ServerMachine
        let key: TransactionKey
        let source: Flow
        let destination: Flow
        /// The last one. The request is not kept: its user has it as long as it needs it.
        var response: [UInt8] = []
        var scheduled: Instant?

        init(id: TransactionID, machine: ServerMachine, key: TransactionKey, request: SIPMessage, source: Flow) {
            self.id = id
            self.machine = machine
            self.key = key
            self.source = source
            destination = ResponseDestination.flow(for: request, source: source)
        }

        func transmission(isRetransmission: Bool) -> Transmission {
            Transmission(
                octets: response, destination: destination, transaction: id, isRetransmission: isRetransmission)
        }

        func change(_ change: (inout ServerMachine) -> Void) {
            var changed = machine
            change(&changed)
            machine = changed
        }
    }

    private(set) var clients = PlaceTable<TransactionID, Client>()
    private(set) var servers = PlaceTable<TransactionID, Server>()
    private(set) var clientsByKey: [SentRequestKey: Client] = [:]
    private var serversByKey: [TransactionKey: Server] = [:]
    /// Nearly all are of half a second, five, or thirty-two.
    private var timers = TimerQueue<TransactionID>(lanes: 6)
    private var lastSerial: UInt64 = 0
    /// Places that were given out, now or before.
    private var placeCount = 0
    /// Those of them that are free; the last one was given back last.
    private var freePlaces: [UInt32] = []
    /// Of transactions that have ended, as their user may not know yet.
    private var endedPlaces: [UInt32] = []
    /// Memory for the effects of one input, used again and again.
    private var clientEffects: [ClientMachine.Effect] = []
    private var serverEffects: [ServerMachine.Effect] = []

    /// - Parameter capacity: for so many transactions memory is set aside, which is taken as it is used. A table that grows while
    ///   calls come would hold them all up for milliseconds.
    package init(capacity: Int = 0) {
        clients.reserveCapacity(capacity)
        servers.reserveCapacity(capacity)
        clientsByKey.reserveCapacity(capacity)
        serversByKey.reserveCapacity(capacity)
        timers.reserveCapacity(2 * capacity)
    }

    /// Takes the memory that was set aside: see `ResidentMemory`.
    package func populate() {
        clients.populate()
        servers.populate()
        ResidentMemory.populate(clientsByKey)
        ResidentMemory.populate(serversByKey)
    }

    package var count: Int { clients.count + servers.count }
    /// When `advance(to:outputs:)` is due next.
    package var nextDeadline: Instant? { timers.nextDue }

    // MARK: Places

    private mutating func newID() -> TransactionID {
        lastSerial += 1
        if let place = freePlaces.popLast() { return TransactionID(serial: lastSerial, place: Int(place)) }
        precondition(placeCount < TransactionID.maximumPlaces, "nobody serves so many transactions")
        defer { placeCount += 1 }
        return TransactionID(serial: lastSerial, place: placeCount)
    }

    /// The user has carried out every `ended` that there was: what it kept by those numbers is gone, and their places may
    /// be given out again.
    package mutating func reuseEndedPlaces() {
        guard !endedPlaces.isEmpty else { return }
        freePlaces.append(contentsOf: endedPlaces)
        endedPlaces.removeAll(keepingCapacity: true)
    }

    // MARK: From the network

    /// - Parameter key: of a request, where it was made already.
    package mutating func receive(
        _ message: SIPMessage, _ key: TransactionKey? = nil, from source: Flow, now: Instant, outputs: inout [Output]
    ) {
        if message.isRequest {
            receiveRequest(message, key ?? TransactionKey(request: message), from: source, now: now, outputs: &outputs)
        } else {
            receiveResponse(message, from: source, now: now, outputs: &outputs)
        }
    }

    private mutating func receiveRequest(
        _ message: SIPMessage, _ key: TransactionKey, from source: Flow, now: Instant, outputs: inout [Output]
    ) {
        if let server = serversByKey[key] {
            var effects = serverEffects.taken()
            if message.method == .ack {
                server.change { $0.receiveACK(now: now, effects: &effects) }
            } else {
                server.change { $0.receiveRequest(effects: &effects) }
            }
            if !effects.contains(.deliverACK) { outputs.append(.absorbed(server.id, message)) }
            carryOut(&effects, server, message, outputs: &outputs)
        } else if message.method == .ack {
            outputs.append(.acknowledgement(message, source: source))
        } else {
            let id = newID()
            var effects = serverEffects.taken()
            let machine = ServerMachine(
                method: message.method, isReliable: source.isReliable, now: now, effects: &effects)
            let server = Server(id: id, machine: machine, key: key, request: message, source: source)
            serversByKey[key] = server
            servers[id] = server
            outputs.append(.request(id, message, source: source))
            carryOut(&effects, server, message, outputs: &outputs)
        }
    }

    private mutating func receiveResponse(
        _ message: SIPMessage, from source: Flow, now: Instant, outputs: inout [Output]
    ) {
        guard let status = message.status, let key = SentRequestKey(response: message), let client = clientsByKey[key] else {
            outputs.append(.strayResponse(message))
            return
        }
        var effects = clientEffects.taken()
        client.hasHeard = true
        client.change { $0.receive(status: status, now: now, effects: &effects) }
        if effects.contains(.sendACK), client.acknowledgement == nil {
            client.acknowledgement = Self.acknowledgement(for: message, to: client.request)
        }
        if !effects.contains(.deliver) { outputs.append(.absorbed(client.id, message)) }
        // Nothing is made of the request any more, while the transaction stays for up to 32 s.
        if (200..<300).contains(status) { (client.request, client.fallback) = ([], nil) }
        carryOut(&effects, client, response: (message, source), outputs: &outputs)
    }

    // MARK: From the transaction user

    /// Opens a client transaction and sends the request. `branch` is that of its top Via, new but for CANCEL.
    ///
    /// - Parameter fallback: the same request, of the same branch, for another transport. It is sent when the first one fails
    ///   before anything was heard (RFC 3261 §18.1.1).
    package mutating func send(
        _ request: [UInt8], method: Method, branch: ViaBranch, to destination: Flow,
        fallback: Fallback? = nil, now: Instant, outputs: inout [Output]
    ) -> TransactionID {
        let id = newID()
        let key = SentRequestKey(branch, method)
        var effects = clientEffects.taken()
        let machine = ClientMachine(method: method, isReliable: destination.isReliable, now: now, effects: &effects)
        let client = Client(
            id: id, machine: machine, key: key, openedAt: now, request: request, destination: destination,
            fallback: fallback)
        clientsByKey[key] = client
        clients[id] = client
        carryOut(&effects, client, response: nil, outputs: &outputs)
        return id
    }

    /// Sends a response in a server transaction. Nothing happens when that is gone or the response comes too late.
    package mutating func respond(
        _ id: TransactionID, status: Int, _ response: [UInt8], now: Instant, outputs: inout [Output]
    ) {
        guard let server = servers[id] else { return }
        var effects = serverEffects.taken()
        server.change { $0.respond(status: status, now: now, effects: &effects) }
        if !effects.isEmpty { server.response = response }
        carryOut(&effects, server, nil, outputs: &outputs)
    }

    /// The INVITE server transaction that a CANCEL names (RFC 3261 §9.2); nil when there is none.
    package func invite(cancelledBy cancel: SIPMessage) -> TransactionID? {
        serversByKey[TransactionKey(request: cancel, as: .invite)]?.id
    }

    /// Whether a request belongs to a transaction that is there: a copy of its request, its ACK, or a CANCEL for it.
    package func isKnown(_ request: SIPMessage, _ key: TransactionKey? = nil) -> Bool {
        guard !serversByKey.isEmpty else { return false }
        return serversByKey[key ?? TransactionKey(request: request)] != nil || (request.method == .cancel && invite(cancelledBy: request) != nil)
    }

    /// The octets and the destination of a request that was sent; nil when its transaction is over, or it was accepted.
    package func sentRequest(_ id: TransactionID) -> (octets: [UInt8], destination: Flow)? {
        guard let client = clients[id], !client.request.isEmpty else { return nil }
        return (client.request, client.destination)
    }

    /// Whom a request was sent by a stream that could go another way instead; nil when that is not so.
    package func peerWithoutStream(_ id: TransactionID) -> SocketAddress? {
        guard let client = clients[id], client.fallback != nil, !client.hasHeard else { return nil }
        return client.destination.remote
    }

    /// The request that was sent with this branch, until its transaction is over or it was accepted.
    package func sentRequest(branch: ViaBranch, method: Method) -> [UInt8]? {
        guard let client = clientsByKey[SentRequestKey(branch, method)], !client.request.isEmpty else { return nil }
        return client.request
    }

    /// The transaction of a request that was sent with this branch and has no final response yet.
    package func openRequest(branch: ViaBranch, method: Method) -> TransactionID? {
        guard let client = clientsByKey[SentRequestKey(branch, method)], !client.request.isEmpty else { return nil }
        return client.id
    }

    /// The INVITE of `id` was cancelled: it ends within 64*T1 whether or not its callee reacts (RFC 3261 §9.1).
    package mutating func cancelSent(_ id: TransactionID, now: Instant) {
        guard let client = clients[id] else { return }
        client.change { $0.cancelSent(now: now) }
        schedule(client)
    }

    /// Nobody waits for the answer to the INVITE of `id` any more: it ends within 64*T1.
    package mutating func abandon(_ id: TransactionID, now: Instant) {
        guard let client = clients[id] else { return }
        client.change { $0.abandon(now: now) }
        schedule(client)
    }

    /// The network refused what this transaction last sent.
    package mutating func transportFailed(_ id: TransactionID, now: Instant, outputs: inout [Output]) {
        guard let client = clients[id] else { return }
        var effects = clientEffects.taken()
        if let fallback = client.fallback, !client.hasHeard {
            (client.request, client.destination) = (fallback.request, fallback.destination)
            client.fallback = nil
            client.hasSent = false
            client.change {
                $0 = ClientMachine(
                    method: client.key.method, isReliable: client.destination.isReliable, now: now, effects: &effects)
            }
        } else {
            client.change { $0.transportFailed(effects: &effects) }
        }
        carryOut(&effects, client, response: nil, outputs: &outputs)
    }

    /// Runs every timer that is due.
    package mutating func advance(to now: Instant, outputs: inout [Output]) {
        while let id = timers.takeDue(at: now) {
            if let client = clients[id] {
                client.scheduled = nil
                var effects = clientEffects.taken()
                client.change { $0.advance(to: now, effects: &effects) }
                carryOut(&effects, client, response: nil, outputs: &outputs)
            } else if let server = servers[id] {
                server.scheduled = nil
                var effects = serverEffects.taken()
                server.change { $0.advance(to: now, effects: &effects) }
                carryOut(&effects, server, nil, outputs: &outputs)
            }
        }
    }

    // MARK: Effects

    private mutating func carryOut(
        _ effects: inout [ClientMachine.Effect], _ client: Client, response: (message: SIPMessage, source: Flow)?,
        outputs: inout [Output]
    ) {
        schedule(client)
        let id = client.id
        for effect in effects {
            switch effect {
            case .sendRequest:
                outputs.append(.send(client.transmission(of: client.request, isRetransmission: client.hasSent)))
                client.hasSent = true
            case .sendACK:
                guard let octets = client.acknowledgement else { continue }
                outputs.append(.send(client.transmission(of: octets, isRetransmission: false)))
            case .deliver:
                if let response { outputs.append(.response(id, response.message, source: response.source)) }
            case .timedOut: outputs.append(.timedOut(id))
            case .transportFailed: outputs.append(.transportFailed(id))
            case .terminated:
                clients.removeValue(forKey: id)
                endedPlaces.append(UInt32(id.place))
                clientsByKey[client.key] = nil
                outputs.append(.ended(id))
            }
        }
        clientEffects.giveBack(&effects)
    }

    /// - Parameter message: what came, if something came: the request that opened the transaction, the same again, or its ACK.
    private mutating func carryOut(
        _ effects: inout [ServerMachine.Effect], _ server: Server, _ message: SIPMessage?, outputs: inout [Output]
    ) {
        schedule(server)
        let id = server.id
        for effect in effects {
            switch effect {
            case .sendTrying:
                guard let message else { continue }
                server.response = MessageBuilder.response(to: message, status: 100, toTag: nil, source: server.source).finish()
                outputs.append(.send(server.transmission(isRetransmission: false)))
            case .sendResponse(let isRetransmission):
                outputs.append(.send(server.transmission(isRetransmission: isRetransmission)))
            case .deliverACK:
                if let message { outputs.append(.acknowledgement(message, source: server.source)) }
            case .timedOut: outputs.append(.timedOut(id))
            case .transportFailed: outputs.append(.transportFailed(id))
            case .terminated:
                servers.removeValue(forKey: id)
                endedPlaces.append(UInt32(id.place))
                serversByKey[server.key] = nil
                outputs.append(.ended(id))
            }
        }
        serverEffects.giveBack(&effects)
    }

    private mutating func schedule(_ client: Client) {
        guard let due = client.machine.deadline, due < client.scheduled ?? Instant(nanoseconds: .max) else { return }
        client.scheduled = due
        schedule(client.id, at: due)
    }

    private mutating func schedule(_ server: Server) {
        guard let due = server.machine.deadline, due < server.scheduled ?? Instant(nanoseconds: .max) else { return }
        server.scheduled = due
        schedule(server.id, at: due)
    }

    private mutating func schedule(_ id: TransactionID, at due: Instant) {
        timers.schedule(id, at: due)
        guard timers.isMostlyStale(live: count) else { return }
        let (clients, servers) = (clients, servers)
        timers.removeAll { (clients[$0]?.scheduled ?? servers[$0]?.scheduled) != $1 }
    }

    /// The ACK for a 300-699 response: the INVITE's URI, top Via, From, Call-ID, CSeq number and Route, and the
    /// response's To (RFC 3261 §17.1.1.3).
    private static func acknowledgement(for response: SIPMessage, to request: [UInt8]) -> [UInt8]? {
        guard case .message(let invite) = SIPMessage.parse(request), let via = invite.first(.via),
            let from = invite.first(.from), let callID = invite.first(.callID), let to = response.first(.to)
        else { return nil }
        var builder = MessageBuilder(request: "ACK", uri: invite.requestURI)
        builder.copy(via, from: invite)
        for route in invite.all(.route) { builder.copy(route, from: invite) }
        builder.add(.maxForwards, "70")
        builder.copy(from, from: invite)
        builder.copy(to, from: response)
        builder.copy(callID, from: invite)
        builder.add(.cseq, "\(invite.cseq.number) ACK")
        return builder.finish()
    }
}
