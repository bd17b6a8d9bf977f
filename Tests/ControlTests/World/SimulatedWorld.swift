import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP

/// Call control between scripted peers, over a lossy network and a relay worker that takes its time, on a clock of its own.
///
/// One seed gives one run. After every step the invariants of `Ledger` are checked; `problems` tells what broke.
final class SimulatedWorld {
    static let relayd = SocketAddress("192.0.2.1:5060")!
    static let callerAddress = SocketAddress("198.51.100.10:5060")!
    static let calleeAddress = SocketAddress("203.0.113.20:5060")!
    /// Behind trunk c, where a test has one.
    static let otherCalleeAddress = SocketAddress("203.0.113.30:5060")!
    static let calleeAddresses = [calleeAddress, otherCalleeAddress]
    static let start = Instant(nanoseconds: 1_000_000_000_000)
    static let wallStart = WallTime(milliseconds: 1_800_000_000_000)

    struct Traffic {
        let at: Instant
        let isReceived: Bool
        let peer: SocketAddress
        let message: SIPMessage
    }

    private(set) var now = SimulatedWorld.start
    var random: SeededRandom
    var network: LossyNetwork
    /// True for a datagram that is to be lost, whatever the network's chances.
    var drops: (SIPMessage, _ destination: SocketAddress) -> Bool = { _, _ in false }
    /// What ICMP says of a datagram to that address, which is lost then; nil: nothing.
    var refusals: (SIPMessage, _ destination: SocketAddress) -> ICMPMessage? = { _, _ in nil }
    /// How many octets of a datagram come back with an ICMP error.
    var quoteLimit = 520
    /// Who sends ICMP errors; nil: the destination.
    var reporter: IPAddress?
    private(set) var tracedErrors: [String] = []
    /// What somebody before the peers answers; nil: the peers do, no octets: nobody.
    var answers: (SIPMessage, _ destination: SocketAddress) -> [UInt8]? = { _, _ in nil }
    /// Whether callees are there for OPTIONS.
    var answersOptions = true
    /// New requests that are served in a millisecond; nil: each as it comes.
    var servesPerMillisecond: Int?
    private var isServing = false
    /// Who takes no TCP connections.
    var streamRefusals: Set<SocketAddress> = []
    /// The chance that the network refuses a datagram of relayd's.
    var sendFailure = 0.0
    let worker: WorkerStub
    private(set) var configuration: Configuration
    let counters = CounterBlock()
    private(set) var control: CallControl
    private(set) var callers: [Caller] = []
    private(set) var callees: [Callee] = []
    private(set) var traffic: [Traffic] = []
    /// Answers to requests so broken that the answer, which repeats parts of them, cannot be read either.
    private(set) var unreadable: [(peer: SocketAddress, octets: [UInt8])] = []
    var toleratesUnreadable = false
    private(set) var records: [CallRecord] = []
    private(set) var events: [Event] = []
    private(set) var probes: [ProbeReport] = []
    /// Which of relayd's listeners a peer sends to; the first one when it is not named here.
    var listeners: [SocketAddress: UInt8] = [:]
    /// Peers that have a connection to relayd.
    private(set) var streams: [SocketAddress: Flow] = [:]
    private var lastConnection: UInt32 = 0
    private(set) var registrationLines: [RegistrationLine] = []
    /// The way each message went.
    private(set) var flows: [Flow] = []
    private(set) var keepAlives: [(at: Instant, batch: KeepAliveBatch)] = []
    private(set) var commands: [RelayCommand] = []
    private(set) var ledger: Ledger
    private var queue = EventQueue()
    private var lastToken: UInt64 = 1_000
    private var scripts: [String: CallScript] = [:]

    init(
        seed: UInt64, loss: Double = 0, latency: Duration = .milliseconds(5), jitter: Duration = .zero,
        duplication: Double = 0, noMediaTimeout: Duration = .seconds(60), noMediaMode: NoMediaMode = .both,
        configure: (inout Configuration) -> Void = { _ in }
    ) {
        random = SeededRandom(seed: seed)
        network = LossyNetwork(loss: loss, duplication: duplication, latency: latency, jitter: jitter)
        var configuration = Configuration(host: .current)
        configuration.sip.listen = Self.relayd
        configuration.media.ports = 10_000...10_399
        configuration.media.noMediaTimeout = noMediaTimeout
        configuration.media.noMediaMode = noMediaMode
        configuration.trunks = [
            Trunk(name: "a", address: Self.callerAddress), Trunk(name: "b", address: Self.calleeAddress, prefixes: ["49"]),
        ]
        configure(&configuration)
        self.configuration = configuration
        let capacity = configuration.limits.calls
        let activity = ActivityTable(sessionCapacity: capacity)
        let statistics = StatisticsTable(activity: activity)
        worker = WorkerStub(activity: activity, statistics: statistics)
        ledger = Ledger(configuration: configuration)
        let media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 1, capacity: capacity),
            activity: activity, statistics: statistics, random: SeededRandom(seed: seed &* 3))
        control = CallControl(
            configuration: configuration, media: media, counters: counters, random: SeededRandom(seed: ~seed),
            now: Self.start, wallTime: Self.wallStart)
    }

    var problems: [String] { ledger.problems }

    // MARK: What tests do

    /// Places a call from trunk a to trunk b.
    @discardableResult
    func placeCall(_ script: CallScript = CallScript(), number: String? = nil) -> Caller {
        let number = number ?? "49\(callers.count)"
        let caller = Caller(world: self, number: number, script: script)
        scripts[number] = script
        callers.append(caller)
        caller.start()
        return caller
    }

    /// Places a call and waits for it to connect.
    func establishCall(_ script: CallScript = CallScript()) -> (caller: Caller, callee: Callee) {
        let caller = placeCall(script)
        run(for: script.answerDelay + .seconds(2))
        return (caller, callees.last!)
    }

    /// Delivers a request as from a socket of `source`'s, at once, and returns what relayd says to it within 1 s.
    func exchange(
        _ text: String, from source: SocketAddress = SimulatedWorld.callerAddress, within time: Duration = .milliseconds(400)
    ) -> [SIPMessage] {
        let first = traffic.count
        deliver(Array(text.replacing("\n", with: "\r\n").utf8), from: source)
        run(for: time)
        return traffic[first...].filter { !$0.isReceived && $0.peer == source }.map(\.message)
    }

    /// Delivers octets as from a socket of `source`'s, at once.
    func inject(_ octets: [UInt8], from source: SocketAddress) { deliver(octets, from: source) }

    /// Nothing is remembered of any call or transaction.
    var isForgotten: Bool { control.isEmpty }

    /// Calls that hold a resource, oldest first.
    var presentCalls: [String] { control.summaries(now: now).map(\.id) }

    /// One line a message of a call: leg, direction, text, and `again` for a repetition.
    func ladder(_ id: String) -> [String] {
        control.detail(id, now: now)?.ladder.map {
            "\($0.leg) \($0.direction) \($0.text)\($0.retransmission ? " again" : "")"
        } ?? []
    }

    func detail(_ id: String) -> CallDetail? { control.detail(id, now: now) }

    /// What a relay worker tells, at once.
    func report(_ event: RelayEvent) {
        control.handle(event, now: now)
        flush()
    }

    func explain(_ name: String) -> CallExplanation? { control.explain(name, now: now) }

    func stepWallClock(to time: WallTime) { control.setWallTime(time, at: now) }

    func hangUp(_ id: String) -> Bool {
        let isDone = control.hangUp(id, now: now)
        flush()
        return isDone
    }

    /// Ends suspensions as an operator does.
    func lift(_ user: String, at address: IPAddress? = nil) -> [SuspensionSummary] {
        let lifted = control.lift(LiftQuery(user: user, address: address), now: now)
        flush()
        return lifted
    }

    /// Asks a trunk; the answer goes to `probes`.
    func probe(_ trunk: String) -> Bool {
        let isKnown = control.probe(trunk, token: UInt64(probes.count), now: now)
        flush()
        return isKnown
    }

    /// A peer opens a connection, in place of the one it may have.
    func connect(_ peer: SocketAddress, by transport: Transport, listener: UInt8 = 1) {
        lastConnection += 1
        streams[peer] = Flow(transport, to: peer, listener: listener, connection: lastConnection, mayConnect: false)
    }

    /// The connection of a peer ends, and relayd hears of it unless it has to find out itself.
    func disconnect(_ peer: SocketAddress, isHeard: Bool = true) {
        guard let connection = streams.removeValue(forKey: peer)?.connection, isHeard else { return }
        endConnection(connection, of: peer)
    }

    /// Takes in the bindings of another world, as after a restart.
    func restore(_ lines: [RegistrationLine]) -> Int { control.restoreRegistrations(lines, now: now) }

    /// Relayd hears that a connection is gone.
    func endConnection(_ connection: UInt32, of peer: SocketAddress) {
        control.connectionClosed(connection, from: peer, now: now)
        flush()
    }

    /// Takes a changed configuration over.
    func reload(_ change: (inout Configuration) -> Void) {
        change(&configuration)
        control.apply(configuration, now: now)
        flush()
    }

    private func nextToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    /// Places a test call; what becomes of it goes to `probes`.
    func testCall(_ query: ProbeQuery, number: String) -> Bool {
        let isRefused = control.placeTestCall(query, number: number, token: nextToken(), now: now) != nil
        flush()
        return !isRefused
    }

    func startTrunks() {
        control.startTrunks(now: now)
        // What is due at once is done at once.
        control.advance(to: now)
        flush()
    }

    func trunk(_ name: String) -> TrunkReport { control.trunkReports(now: now).first { $0.name == name }! }

    func shutDown() {
        ledger.isStopping = true
        control.beginShutdown(now: now)
        flush()
    }

    func run(for duration: Duration) {
        let end = now + duration
        while let next = [queue.nextDue, control.nextDeadline].compactMap(\.self).min(), next <= end {
            now = max(now, next)
            if let deadline = control.nextDeadline, deadline <= now {
                worker.deliverMedia(until: now)
                control.advance(to: now)
                flush()
                if let deadline = control.nextDeadline, deadline <= now { ledger.fail("a deadline stays due", at: now) }
            }
            while let action = queue.takeDue(at: now) { action() }
            ledger.check(control, worker, at: now)
        }
        now = end
        worker.deliverMedia(until: now)
    }

    /// Call when everything is over.
    func checkEnd() {
        run(for: .seconds(150))
        // Until the last timer of something that is gone has passed: those of sessions are long.
        if control.isEmpty, control.nextDeadline != nil { run(for: .seconds(13 * 3_600)) }
        ledger.checkEnd(&control, worker, at: now)
    }

    /// What relayd sent to that peer: methods, and statuses of responses to INVITE.
    func sent(to peer: SocketAddress) -> [String] {
        traffic.filter { !$0.isReceived && $0.peer == peer && ($0.message.isRequest || $0.message.method == .invite) }
            .map { $0.message.status.map(String.init) ?? $0.message.methodText }
    }

    // MARK: What peers do

    func plan(after delay: Duration, _ action: @escaping () -> Void) { queue.plan(at: now + delay, action) }

    /// From a peer to relayd.
    func transmit(_ octets: [UInt8], from source: SocketAddress, to destination: SocketAddress) {
        guard destination == Self.relayd else { return }
        if case .message(let message) = SIPMessage.parse(octets), drops(message, destination) { return }
        for arrival in network.arrivals(sent: now, random: &random) {
            queue.plan(at: arrival) { [unowned self] in deliver(octets, from: source) }
        }
    }

    // MARK: Around call control

    func deliver(_ octets: [UInt8], from source: SocketAddress) {
        if case .message(let message) = SIPMessage.parse(octets) {
            traffic.append(Traffic(at: now, isReceived: true, peer: source, message: message))
            // What relayd sends to itself is no peer's.
            if source != Self.relayd { ledger.received(message, from: source) }
        }
        let flow = streams[source] ?? Flow(udp: source, listener: listeners[source] ?? 0)
        control.receive(octets, from: flow, now: now)
        serveWaiting()
        flush()
    }

    /// An ICMP error arrives.
    func refuse(_ error: DatagramError) {
        control.networkRefused(error, now: now)
        flush()
    }

    private func serveWaiting() {
        guard let limit = servesPerMillisecond else { return control.serveWaiting(atMost: .max, now: now) }
        guard !isServing, control.isAnyoneWaiting else { return }
        isServing = true
        plan(after: .milliseconds(1)) { [unowned self] in
            isServing = false
            control.serveWaiting(atMost: limit, now: now)
            flush()
            serveWaiting()
        }
    }

    private func flush() {
        for output in control.takeOutputs() {
            switch output {
            case .send(let octets, let destination, let transaction):
                let isClosed = !destination.mayConnect && streams[destination.remote]?.connection != destination.connection
                if destination.isReliable, isClosed || streamRefusals.contains(destination.remote) {
                    plan(after: .zero) { [unowned self] in
                        control.sendFailed(transaction, now: now)
                        flush()
                    }
                } else {
                    flows.append(destination)
                    send(octets, to: destination.remote, transaction)
                }
            case .relay(let command): carryOut(command)
            case .record(let record):
                records.append(record)
                ledger.wrote(record, at: now)
            case .event(let event): events.append(event)
            case .unreachable(let octets, _): tracedErrors.append(String(decoding: octets, as: UTF8.self))
            case .reuse, .endConnection: break
            case .probed(_, let report): probes.append(report)
            case .registration(let line): RegistrationLine(line.dropLast()).map { registrationLines.append($0) }
            case .keepAlive(let batch):
                keepAlives.append((now, batch))
                control.keepAlivesSent(errors: [], nanoseconds: 0, now: now)
            }
        }
        ledger.check(control, worker, at: now)
    }

    private func send(_ octets: [UInt8], to destination: SocketAddress, _ transaction: TransactionID?) {
        guard case .message(let message) = SIPMessage.parse(octets) else {
            if toleratesUnreadable { return unreadable.append((destination, octets)) }
            return ledger.fail("sent what cannot be read: \(String(decoding: octets, as: UTF8.self))", at: now)
        }
        traffic.append(Traffic(at: now, isReceived: false, peer: destination, message: message))
        ledger.sent(message, to: destination, worker, at: now)
        if sendFailure > 0, Double.random(in: 0..<1, using: &random) < sendFailure {
            return plan(after: .zero) { [unowned self] in
                control.sendFailed(transaction, now: now)
                flush()
            }
        }
        if let icmp = refusals(message, destination) {
            return plan(after: .milliseconds(2)) { [unowned self] in
                refuse(
                    DatagramError(
                        destination: destination, errno: 111, icmp: icmp, reporter: reporter ?? destination.ip,
                        quoted: Array(octets.prefix(quoteLimit))))
            }
        }
        if drops(message, destination) { return }
        for arrival in network.arrivals(sent: now, random: &random) {
            queue.plan(at: arrival) { [unowned self] in arrive(message, at: destination) }
        }
    }

    private func carryOut(_ command: RelayCommand) {
        commands.append(command)
        ledger.commanded(command, worker, at: now)
        guard let (event, delay) = worker.carryOut(command, random: &random) else { return }
        plan(after: delay) { [unowned self] in
            worker.deliverMedia(until: now)
            worker.reported(event)
            ledger.reported(event, at: now)
            control.handle(event, now: now)
            flush()
        }
    }

    private func optionsAnswer(to request: SIPMessage) -> [UInt8] {
        MessageBuilder.response(to: request, status: 200, toTag: "options", source: Flow(udp: Self.relayd)).finish()
    }

    private func arrive(_ message: SIPMessage, at destination: SocketAddress) {
        if message.isRequest, let octets = answers(message, destination) {
            if !octets.isEmpty { transmit(octets, from: destination, to: Self.relayd) }
            return
        }
        if destination == Self.relayd {
            deliver(Array(message.octets), from: Self.relayd)
        } else if destination == Self.callerAddress {
            callers.first { message.callID.elementsEqual($0.callID.utf8) }?.receive(message)
        } else if Self.calleeAddresses.contains(destination) {
            if message.isRequest, message.method == .options {
                if answersOptions { transmit(optionsAnswer(to: message), from: destination, to: Self.relayd) }
            // A second INVITE without a To tag is a new attempt: the first was refused.
            } else if let callee = callees.last(where: { $0.invite.callID == message.callID }),
                !message.isRequest || message.method != .invite || message.toTag != nil
                    || message.cseq.number == callee.invite.cseq.number
            {
                callee.receive(message)
            } else if message.isRequest, message.method == .invite {
                var script = scripts[message.uri.user ?? ""] ?? CallScript()
                if destination == Self.otherCalleeAddress { script.answer = script.otherAnswer ?? script.answer }
                let callee = Callee(world: self, address: destination, invite: message, script: script)
                callees.append(callee)
                callee.start()
            }
        }
    }
}
