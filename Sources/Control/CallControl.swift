package import Configuration
package import ControlProtocol
package import Core
import Diagnosis
package import Relay
package import SIP

/// Every transaction, dialog, call and relay port of the daemon, as one value on the control thread.
///
/// Sans-IO: datagrams, relay events and the time go in; datagrams, relay commands, records and events come out through
/// `takeOutputs`, to be carried out in order. The simulation runs exactly this code on a virtual clock.
///
/// What is called for each message is `mutating`, also where it changes nothing: a call of another method begins with a copy of
/// the whole value, which has kilobytes.
package struct CallControl {
    package enum Output: Sendable {
        /// A SIP message. Report a refusal by the network with `sendFailed`.
        case send([UInt8], to: Flow, transaction: TransactionID?)
        /// For the trace: what ICMP said of a request that was sent to this address, and the request.
        indirect case unreachable([UInt8], SocketAddress)
        /// A trunk can be reached at `address` by this connection as well (RFC 5923).
        case reuse(connection: UInt32, for: SocketAddress)
        /// Nothing more can be read from this connection; close it once what was sent before has gone out.
        case endConnection(UInt32)
        case relay(RelayCommand)
        indirect case record(CallRecord)
        /// The answer to `probe`, with its token.
        indirect case probed(UInt64, ProbeReport)
        case event(Event)
        /// A line to be kept over a restart: see `RegistrationLine`.
        case registration([UInt8])
        /// Report what became of it with `keepAlivesSent`.
        case keepAlive(KeepAliveBatch)
    }

    /// What is still to be done before control returns: messages lead to call events, those to further messages.
    private enum Work {
        /// What transactions want, by its place in `results`: this way work is moved about as a few numbers.
        case transaction(Int)
        case call(CallNumber, BackToBackCall.Event)
    }

    /// Which call a transaction serves.
    struct TransactionUse {
        let call: CallNumber
        let leg: Leg
        /// Set for the INVITE of a caller.
        var identity: InviteIdentity?
    }

    package internal(set) var configuration: Configuration {
        get { settings.configuration }
        set { settings = SettingsInUse(newValue) }
    }
    /// The same, with what is made of it once.
    private(set) var settings: SettingsInUse
    var routing: Routing
    /// Our own addresses.
    let endpoints: LocalEndpoints
    let media: MediaSessions
    let counters: CounterBlock
    /// One reading of both clocks, to turn instants into wall time.
    private var clocks: (instant: Instant, wall: WallTime)

    /// Nil when there are no users.
    var phones: Phones?
    private var phoneTraffic: PhoneTraffic
    /// What User-Agent of a scanner holds, in lower case.
    var scanners: [[UInt8]]

    var random: SeededRandom
    var transactions = TransactionLayer()
    private var parser = MessageParser()
    var calls = PlaceTable<CallNumber, Call>()
    var transactionUses = PlaceTable<TransactionID, TransactionUse>()
    var presentInvites: Set<InviteIdentity> = []
    var callsByDialog: [DialogKey: (call: CallNumber, leg: Leg)] = [:]
    var callsByID: [ShortID: CallNumber] = [:]
    var callsBySession = PlaceTable<SessionID, CallNumber>()
    /// Those of media beside the main one of their call.
    var furtherSessions: [SessionID: FurtherSession] = [:]
    /// Connected calls that are watched for silence.
    var monitored: Set<CallNumber> = []
    /// Calls whose media goes past relayd, as long as it would be relayed.
    var directCalls: Set<CallNumber> = []
    var callTimers = TimerQueue<CallNumber>(lanes: 6)
    /// Of every trunk that ever was, by name.
    private var trunkLoads: [String: TrunkLoad] = [:]
    /// What else is known of them, by name.
    var trunkStates: [String: TrunkState]
    var trunkTimers = TimerQueue<String>()
    let digestEngine = DigestEngine()
    /// Requests that serve a trunk and no call: which one.
    var trunkTransactions: [TransactionID: String] = [:]
    /// Operators that wait for the answer to a probe.
    var waitingProbes: [(token: UInt64, trunk: String)] = []
    var nextSweep: Instant?
    /// Calls of relayd's own, by the token of who asked for them; their transactions; their sessions, until these are closed.
    var testCalls: [UInt64: TestCall] = [:]
    var testTransactions: [TransactionID: UInt64] = [:]
    var testSessions: [SessionID: UInt64] = [:]
    var closingTests: [SessionID: MediaSessions.Taken] = [:]
    var strangers: StrangerTable
    /// Answers to `sip.monitors`.
    var monitorRate: TokenBucket
    /// New requests that wait for their turn.
    var admission = AdmissionQueue()
    /// New calls of all sources together.
    var callRate: CallRate
    /// The same, as a figure for who asks.
    var callMeter = RateMeter()
    /// The ICMP error that is being carried out.
    var currentError: (transaction: TransactionID, error: DatagramError, meaning: ICMPMessage.Meaning)?
    /// Errors that do not name their request, which cost a look at every transaction.
    var shortQuotes: TokenBucket
    /// Of requests refused for load lately, by their low bits.
    var refusedForLoad = [UInt64](repeating: 0, count: 4_096)
    var hasRefusedForLoad = false
    /// Peers that take no TCP connections, and until when they are not asked again.
    var withoutStreams: [SocketAddress: Instant] = [:]
    /// While `relayctl doctor` places calls.
    var doctor: DoctorTrunks?
    /// For a collector; stays empty without one.
    var rtpReports: [RTPReport] = []
    /// To explain calls after their end.
    var endedCalls: RecentRing<CallEvidence>
    /// BYEs that were not answered yet.
    var openByes: Set<TransactionID> = []
    /// Those of them to trunks that may challenge them.
    var challengedByes: [TransactionID: OpenBye] = [:]
    package internal(set) var isDraining = false

    private var lastCallSerial: UInt64 = 0
    private var callPlaceCount = 0
    /// Of calls that are forgotten; the last one was given back last.
    private var freeCallPlaces: [UInt32] = []
    private var work: [Work] = []
    /// What `drain` is at.
    private var workAtHand: [Work] = []
    private var outputs: [Output] = []
    /// What transactions want since `work` was last done with; what was carried out is `.ended` here.
    private var results: [TransactionLayer.Output] = []
    private var enqueuedResults = 0
    /// Memory for what one step leads to, used again and again.
    private var spareEffects: [BackToBackCall.Effect] = []
    /// Who hears events.
    package var audience = EventAudience.everyone

    static let sweepInterval = Duration.milliseconds(100)
    /// A busy port (someone else's socket) is no reason to refuse a call while others are free.
    static let maximumOpenAttempts = 4

    /// - Parameter digestKey: 32 secret octets, the same after a restart; nil: phones are challenged anew then.
    package init(
        configuration: Configuration, media: MediaSessions, counters: CounterBlock, random: SeededRandom,
        digestKey: [UInt8]? = nil, now: Instant, wallTime: WallTime
    ) {
        settings = SettingsInUse(configuration)
        self.media = media
        self.counters = counters
        self.random = random
        routing = Routing(trunks: configuration.trunks, routes: configuration.routes)
        trunkStates = [:]
        endpoints = configuration.sip.endpoints
        clocks = (now, wallTime)
        strangers = StrangerTable(now: now)
        monitorRate = TokenBucket(rate: StrangerTable.answers, now: now)
        phoneTraffic = PhoneTraffic(now: now)
        shortQuotes = TokenBucket(rate: 20, now: now)
        callRate = CallRate(rate: configuration.limits.callsPerSecond, now: now)
        endedCalls = RecentRing(limit: configuration.trace.endedCalls)
        scanners = configuration.protection.scanners.map { $0.lowercased().utf8.map { $0 } }
        for trunk in configuration.trunks where trunkStates[trunk.name] == nil {
            trunkStates[trunk.name] = TrunkState(SharedTrunk(trunk), load(of: trunk.name), now: now)
        }
        reserveTables()
        if !configuration.users.isEmpty { phones = makePhones(digestKey, now: now) }
    }

    mutating func load(of trunk: String) -> TrunkLoad {
        if let known = trunkLoads[trunk] { return known }
        let load = TrunkLoad()
        trunkLoads[trunk] = load
        return load
    }

    /// To begin with users.
    mutating func makePhones(_ digestKey: [UInt8]?, now: Instant) -> Phones {
        let key = digestKey ?? (0..<32).map { _ in UInt8(truncatingIfNeeded: self.random.next() >> 32) }
        return Phones(
            configuration, key: key, runName: random.token(count: 8), seed: random.next(), now: now, wallTime: wallTime(now))
    }

    /// Sets memory aside, which is taken as it is used: a table that grows while calls come holds them all up for milliseconds.
    private mutating func reserveTables() {
        let capacity = min(maximumTransactions, Self.reservedTransactions)
        transactions = TransactionLayer(capacity: capacity)
        transactionUses.reserveCapacity(capacity)
        // A call has two dialogs, and at least four transactions that outlive it.
        callsByDialog.reserveCapacity(capacity / 2)
        calls.reserveCapacity(capacity / 4)
        callsByID.reserveCapacity(capacity / 4)
        presentInvites.reserveCapacity(capacity / 4)
        callsBySession.reserveCapacity(min(configuration.limits.calls, capacity / 4))
    }

    /// Takes the memory that was set aside, so that no call waits for the kernel to find a page: see `ResidentMemory`.
    package func populateTables() {
        transactions.populate()
        transactionUses.populate()
        ResidentMemory.populate(callsByDialog)
        calls.populate()
        ResidentMemory.populate(callsByID)
        ResidentMemory.populate(presentInvites)
        callsBySession.populate()
        ResidentMemory.reserveHeap(octets: min(configuration.limits.calls * Self.octetsPerCall, Self.largestHeap))
    }

    /// What a call takes until the last of its transactions is forgotten, about.
    private static let octetsPerCall = 12 << 10
    private static let largestHeap = 64 << 20
    /// With more than these at once, tables grow as they do elsewhere.
    private static let reservedTransactions = 1 << 17

    // MARK: Inputs

    /// A SIP message: a datagram, or what a stream was cut into. New requests wait for `serveWaiting` then.
    package mutating func receive(_ datagram: [UInt8], from source: Flow, now: Instant) {
        if !source.isReliable { counters.add(to: .sipDatagramsReceived) }
        switch parser.parse(datagram) {
        case .message(let message):
            if message.isRequest {
                phoneTraffic.note(isOfPhone: message.method == .register)
                takeRequest(message, from: source, now: now)
            } else {
                takeResponse(message, from: source, now: now)
            }
        case .answerable(let message, let status, let reason):
            counters.add(to: status == 513 ? .sipTooManyHeaders : .sipMalformed)
            answerMalformed(message, status: status, reason: reason, from: source, now: now)
        case .keepAlive:
            counters.add(to: .sipKeepAlives)
            noteHeard(from: source, now: now)
        case .discard: counters.add(to: .sipMalformed)
        }
        drain(now)
    }

    /// The header of a message over a stream whose end cannot be found (RFC 3261 §18.3): its sender is told, and that is the
    /// end of the connection.
    package mutating func receiveUnframed(
        _ header: [UInt8], status: Int, reason: String, from source: Flow, now: Instant
    ) {
        counters.add(to: status == 513 ? .sipTooLarge : .sipMalformed)
        switch parser.parse(header) {
        case .message(let message), .answerable(let message, _, _):
            answerMalformed(message, status: status, reason: reason, from: source, now: now)
        case .keepAlive, .discard: break
        }
        // What came before it on this connection is still answered.
        serveWaiting(of: source, now: now)
        if let connection = source.connection { output(.endConnection(connection)) }
    }

    private mutating func takeResponse(_ response: SIPMessage, from source: Flow, now: Instant) {
        guard isAnswerToUs(response) else { return counters.add(to: .sipStrayResponses) }
        let isOfPhone = isKeepAliveAnswer(response, from: source, now: now)
        phoneTraffic.note(isOfPhone: isOfPhone)
        if !isOfPhone { receiveAdmitted(response, from: source, now: now) }
    }

    /// A message that may go on to its transaction.
    ///
    /// - Parameter key: of a request, where it was made already.
    mutating func receiveAdmitted(_ message: SIPMessage, _ key: TransactionKey? = nil, from source: Flow, now: Instant) {
        var results = resultList()
        transactions.receive(message, key, from: source, now: now, outputs: &results)
        enqueue(&results)
        drain(now)
        phones?.admitted = nil
    }

    /// The network refused a message of this transaction.
    package mutating func sendFailed(_ transaction: TransactionID?, now: Instant) {
        counters.add(to: .sipSendFailures)
        guard let transaction else { return }
        if let peer = transactions.peerWithoutStream(transaction) { avoidStreams(to: peer, now: now) }
        var results = resultList()
        transactions.transportFailed(transaction, now: now, outputs: &results)
        enqueue(&results)
        drain(now)
    }

    package mutating func handle(_ event: RelayEvent, now: Instant) {
        if !testSessions.isEmpty, handleTestMedia(event, now: now) { return drain(now) }
        switch event {
        case .opened(let session): mediaOpened(session, now: now)
        case .openFailed(let session, let errno, let address):
            mediaOpenFailed(session, errno: errno, address: address, now: now)
        case .locked(let session, let leg, let source):
            sourceLocked(session, leg, source, now: now)
        case .digit(let session, let leg, let code, let milliseconds):
            digitHeard(session, leg, code: code, milliseconds: milliseconds, now: now)
        case .closed(let session): mediaClosed(session, now: now)
        case .stopped: break
        }
        drain(now)
    }

    /// Runs every timer that is due, and the sweep for silent calls.
    package mutating func advance(to now: Instant) {
        var results = resultList()
        transactions.advance(to: now, outputs: &results)
        enqueue(&results)
        drain(now)
        while let number = callTimers.takeDue(at: now) {
            callTimerDue(number, now: now)
            drain(now)
        }
        while let name = trunkTimers.takeDue(at: now) {
            trunkTimerDue(name, now: now)
            drain(now)
        }
        if let due = nextSweep, due <= now {
            sweep(now: now)
            nextSweep = monitored.isEmpty ? nil : now + Self.sweepInterval
            drain(now)
        }
        if let due = nextTestDeadline, due <= now {
            testDeadlinesDue(now: now)
            drain(now)
        }
        advancePhones(to: now)
    }

    /// When `advance` is due next; nil when nothing waits. Asked in every turn: a getter that changes nothing would be given a copy
    /// of all of this.
    package var nextDeadline: Instant? { mutating get { .earliest(callDeadline, phoneDeadline) } }

    /// The same without what phones and their keep-alives want.
    package var callDeadline: Instant? {
        mutating get {
            .earliest(
                .earliest(.earliest(transactions.nextDeadline, callTimers.nextDue), nextTestDeadline),
                .earliest(trunkTimers.nextDue, nextSweep))
        }
    }

    package var phoneDeadline: Instant? { mutating get { phones?.nextDeadline } }

    /// How long what comes next may be gathered before it is given to `receive`.
    package mutating func gatherTime(at now: Instant) -> Duration { phoneTraffic.gatherTime(at: now) }

    /// Ends every call and refuses new ones. `isIdle` tells when all is done.
    package mutating func beginShutdown(now: Instant) {
        guard !isDraining else { return }
        isDraining = true
        let count = calls.count
        emit(.daemonStopping, for: nil, ["calls": "\(count)"], now: now)
        for number in calls.values.map(\.number).sorted(by: { $0.rawValue < $1.rawValue }) {
            enqueue(.release(cause: .shutdown, status: 503, party: .relayd), for: number)
            // A caller that has not acknowledged yet gets its BYE all the same: there is no later.
            enqueue(.callerAckMissing, for: number)
        }
        endRegistrations(now: now)
        endTestCalls(now: now)
        drain(now)
    }

    /// No call holds media, every BYE was answered, and no callee is left ringing.
    package var isIdle: Bool {
        openByes.isEmpty && testSessions.isEmpty && furtherSessions.isEmpty && !trunkStates.values.contains { $0.registration.isEnding } && !calls.values.contains { $0.machine.media != .closed || $0.machine.isCalleePending }
    }

    /// Nothing is remembered of any call, transaction or dialog, and no port is in use.
    package var isEmpty: Bool {
        calls.isEmpty && transactionUses.isEmpty && presentInvites.isEmpty && callsByDialog.isEmpty && callsByID.isEmpty
            && callsBySession.isEmpty && furtherSessions.isEmpty && testSessions.isEmpty && testTransactions.isEmpty && directCalls.isEmpty && monitored.isEmpty && openByes.isEmpty && challengedByes.isEmpty && transactions.count == 0 && trunkTransactions.isEmpty
            && trunkLoads.values.allSatisfy { $0.calls == 0 } && admission.isEmpty && media.usedPairCount == 0
    }

    /// The wall clock may be stepped; call this now and then.
    package mutating func setWallTime(_ wallTime: WallTime, at now: Instant) { clocks = (now, wallTime) }

    package var hasOutputs: Bool { mutating get { !outputs.isEmpty } }

    /// What is to be done, in this order.
    package mutating func takeOutputs() -> [Output] {
        var taken: [Output] = []
        outputs.moveAll(into: &taken)
        return taken
    }

    /// The same, into memory that is used again and again.
    package mutating func takeOutputs(into taken: inout [Output]) { outputs.moveAll(into: &taken) }

    // MARK: Work

    /// A trunk that says `alias` in its Via may be sent requests at that address by the connection it opened. Only at the
    /// address it came from: anyone else's calls could be drawn to it otherwise.
    mutating func noteAlias(_ message: SIPMessage, from source: Flow) {
        guard message.isRequest, source.isReliable, !source.mayConnect, let connection = source.connection,
            message.topVia.parameter("alias") != nil, message.topVia.hostAddress == source.ip,
            routing.trunk(from: source.remote, isStream: true) != nil
        else { return }
        let port = message.topVia.port ?? source.transport.defaultPort
        output(.reuse(connection: connection, for: SocketAddress(ip: source.ip, port: port)))
    }

    /// A response whose only Via is ours (RFC 3261 §8.1.3.3, §18.1.2).
    private func isAnswerToUs(_ response: SIPMessage) -> Bool {
        endpoints.contains(response.topVia) && response.hasOneVia
    }

    /// One reading of both clocks.
    var clockReading: (instant: Instant, wall: WallTime) { clocks }

    func wallTime(_ instant: Instant) -> WallTime { clocks.wall + (instant - clocks.instant) }

    /// Whether a further transaction would be beyond what memory is set aside for: each one stays for 32 s. What belongs to
    /// present calls is always served.
    var isFull: Bool { transactions.count >= maximumTransactions }

    /// Unless set, enough for each call the limit allows to be tried anew every 6 s: an attempt has four transactions of 32 s.
    private var maximumTransactions: Int {
        let limits = configuration.limits
        return limits.transactions > 0 ? limits.transactions : 1_000 + 20 * limits.calls
    }

    /// For transactions to append to. It has to go back by `enqueue` before the next one is asked for.
    mutating func resultList() -> [TransactionLayer.Output] {
        var list: [TransactionLayer.Output] = []
        swap(&list, &results)
        return list
    }

    /// Takes back what came from `resultList`.
    mutating func enqueue(_ list: inout [TransactionLayer.Output]) {
        swap(&list, &results)
        for place in enqueuedResults..<results.count { work.append(.transaction(place)) }
        enqueuedResults = results.count
    }

    /// Moves it out of the list, so that nothing of it is copied.
    private mutating func takeResult(_ place: Int) -> TransactionLayer.Output {
        var result = TransactionLayer.Output.none
        swap(&result, &results[place])
        return result
    }

    mutating func enqueue(_ event: BackToBackCall.Event, for number: CallNumber) { work.append(.call(number, event)) }

    mutating func output(_ output: Output) { outputs.append(output) }

    mutating func emit(
        _ name: Event.Name, for call: Call?, _ fields: @autoclosure () -> EventFields = [:], now: Instant
    ) {
        guard audience.hears(name) else { return }
        var fields = fields()
        if let call { fields["sip_call_id"] = call.caller.callID }
        outputs.append(.event(Event(at: wallTime(now), name: name, callID: call?.id, fields: fields)))
    }

    mutating func nextCallNumber() -> CallNumber {
        lastCallSerial += 1
        if let place = freeCallPlaces.popLast() { return CallNumber(serial: lastCallSerial, place: Int(place)) }
        defer { callPlaceCount += 1 }
        return CallNumber(serial: lastCallSerial, place: callPlaceCount)
    }

    mutating func giveBackPlace(of call: Call) { freeCallPlaces.append(UInt32(call.number.place)) }

    mutating func drain(_ now: Instant) {
        precondition(workAtHand.isEmpty, "what is to be done leads to more work, and not to its being done")
        while !work.isEmpty {
            swap(&work, &workAtHand)
            for index in workAtHand.indices {
                switch workAtHand[index] {
                case .transaction(let place): handle(takeResult(place), now: now)
                case .call(let number, let event): handle(event, for: number, now: now)
                }
            }
            workAtHand.removeAll(keepingCapacity: true)
        }
        if enqueuedResults > 0 {
            results.removeAll(keepingCapacity: true)
            enqueuedResults = 0
            transactions.reuseEndedPlaces()
        }
    }

    private mutating func handle(_ result: TransactionLayer.Output, now: Instant) {
        switch result {
        case .send(let sent):
            if sent.isRetransmission { counters.add(to: .sipRetransmissionsSent) }
            if let use = transactionUses[sent.transaction], let call = calls[use.call] {
                call.note(sent: sent.octets, leg: use.leg, isRetransmission: sent.isRetransmission, at: now)
            }
            outputs.append(.send(sent.octets, to: sent.destination, transaction: sent.transaction))
        case .request(let id, let message, let source): receiveRequest(id, message, from: source, now: now)
        case .acknowledgement(let message, _): receiveAcknowledgement(message, now: now)
        case .response(let id, let message, let source): receiveResponse(id, message, from: source, now: now)
        case .absorbed(let id, let message):
            let isRetransmission = message.method != .ack || !message.isRequest
            if isRetransmission { counters.add(to: .sipRetransmissionsReceived) }
            if let use = transactionUses[id], let call = calls[use.call] {
                call.note(received: message, leg: use.leg, isRetransmission: isRetransmission, at: now)
            }
        case .strayResponse: counters.add(to: .sipStrayResponses)
        case .timedOut(let id):
            counters.add(to: .sipTransactionTimeouts)
            if testUnanswered(id, "no response", now: now) { break }
            if openByes.contains(id), let use = transactionUses[id], calls[use.call] == nil {
                endedCalls.changeNewest(where: { $0.number == use.call }) { ended in
                    ended.changeFacts { $0.unansweredBye.insert(use.leg) }
                }
            }
            if !midDialogUnreachable(id, now: now) { calleeUnreachable(id, .inviteTimeout, now: now) }
        case .transportFailed(let id):
            let isICMP = currentError?.transaction == id
            if testUnanswered(id, isICMP ? errorText : "cannot be reached: the network refuses", now: now) { break }
            if !midDialogUnreachable(id, now: now) { calleeUnreachable(id, isICMP ? .peerUnreachable : .transportFailed, now: now) }
        case .ended(let id): transactionEnded(id, now: now)
        }
    }

    private mutating func handle(_ event: BackToBackCall.Event, for number: CallNumber, now: Instant) {
        guard let call = calls[number] else { return }
        if call.registration != nil { tryNextFlow(after: event, of: call, now: now) }
        var effects = spareEffects.taken()
        if let release = call.handle(event, effects: &effects) { callReleased(call, release, now: now) }
        // A BYE from the caller says as well as an ACK that our 2xx has come.
        if call.answerRetransmission != nil, call.machine.caller != .answered { call.answerRetransmission = nil }
        for effect in effects { carryOut(effect, for: call, now: now) }
        spareEffects.giveBack(&effects)
    }

    private mutating func calleeUnreachable(_ id: TransactionID, _ cause: ReleaseCause, now: Instant) {
        let reason = switch cause {
        case .transportFailed: "cannot be reached: the network refuses"
        case .peerUnreachable: errorText
        default: "no response"
        }
        if trunkTransactionFailed(id, reason, now: now) { return }
        guard let use = transactionUses[id], let call = calls[use.call], let branch = call.branch(of: id) else { return }
        if call.machine.isOpen(branch), let name = call.branches[branch.rawValue].target.trunk?.name {
            trunkFailed(name, "INVITE: \(reason)", now: now)
        }
        // The connection of a phone went before relayd heard of that: it is as good as not registered.
        let target = call.branches[branch.rawValue].target
        if cause == .transportFailed, target.trunk == nil, target.destination.isReliable, !target.destination.mayConnect {
            return enqueue(.calleeUnreachable(branch, .notRegistered, status: 480), for: use.call)
        }
        // A phone that is off says nothing of the trunk or server that its caller would blame for a 503.
        let isPhone = target.trunk == nil
        let status = cause == .inviteTimeout ? 408 : cause == .peerUnreachable && isPhone ? 480 : 503
        enqueue(.calleeUnreachable(branch, cause, status: status), for: use.call)
    }

    private mutating func transactionEnded(_ id: TransactionID, now: Instant) {
        guard let use = transactionUses.removeValue(forKey: id) else {
            trunkTransactions[id] = nil
            testTransactions[id] = nil
            return
        }
        if let identity = use.identity { presentInvites.remove(identity) }
        if !openByes.isEmpty { openByes.remove(id) }
        if !challengedByes.isEmpty { challengedByes[id] = nil }
        guard let call = calls[use.call] else { return }
        let branch = call.branch(of: id)
        changeTransactionEnded(id, of: call, use.call, now: now)
        if let branch { enqueue(.calleeInviteEnded(branch), for: use.call) }
    }

    private mutating func callTimerDue(_ number: CallNumber, now: Instant) {
        guard let call = calls[number] else { return }
        call.scheduled = nil
        setupTimersDue(of: call, number, now: now)
        if var retransmission = call.answerRetransmission {
            var effects: [SuccessRetransmission.Effect] = []
            retransmission.advance(to: now, effects: &effects)
            call.answerRetransmission = retransmission
            for effect in effects {
                switch effect {
                case .resend:
                    var results = resultList()
                    transactions.respond(
                        call.inviteTransaction, status: 200, call.answerOctets, now: now, outputs: &results)
                    enqueue(&results)
                case .ackMissing:
                    // Where the caller should have sent it: what our 2xx named as Contact.
                    let contact = endpoint(for: call.source).contact
                    emit(.callAckMissing, for: call, ["contact": contact, "caller": call.source.description], now: now)
                    enqueue(.callerAckMissing, for: number)
                }
            }
        }
        changeTimerDue(call, now: now)
        sessionTimerDue(call, now: now)
        reliableTimerDue(call, now: now)
        scheduleTimer(of: call)
    }

    /// Puts the call's next deadline in the queue; call it after every change of one.
    mutating func scheduleTimer(of call: Call) {
        guard let due = call.deadline, due < call.scheduled ?? Instant(nanoseconds: .max) else { return }
        call.scheduled = due
        callTimers.schedule(call.number, at: due)
        guard callTimers.isMostlyStale(live: calls.count) else { return }
        let calls = calls
        callTimers.removeAll { calls[$0]?.scheduled != $1 }
    }
}
