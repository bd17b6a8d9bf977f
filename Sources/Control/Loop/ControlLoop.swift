package import Configuration
import ControlProtocol
import Core
import Glibc
import Records
import Relay
import SIP
package import Uring

/// The control thread: its ring with the SIP socket, the control socket and the signals, and everything it owns.
///
/// Each turn submits what is queued, waits, feeds what came to `CallControl` and carries out what that wants.
package struct ControlLoop: ~Copyable {
    /// What the completions of this ring belong to.
    private enum Kind {
        static let sipReceive: UInt8 = 1
        static let sipSend: UInt8 = 2
        static let accept: UInt8 = 3
        static let signal: UInt8 = 4
        static let inbox: UInt8 = 5
        static let clientReadable: UInt8 = 6
        static let clientWritable: UInt8 = 7
        /// A relay worker has events.
        static let doorbell: UInt8 = 8
        static let ngReceive: UInt8 = 9
        static let ngSend: UInt8 = 10
        static let ngAcceptTCP: UInt8 = 11
        static let ngAcceptUnix: UInt8 = 12
        static let ngReadable: UInt8 = 13
        static let ngWritable: UInt8 = 14
        static let sipAccept: UInt8 = 40
        static let sipReadable: UInt8 = 41
        static let sipWritable: UInt8 = 42
        static let hepSend: UInt8 = 43
        static let timer: UInt8 = 44
    }

    var configuration: Configuration
    /// Where it came from; nil: there is no file.
    let file: String?
    var warnings: [String]
    var log: EventLog
    var ring: Ring
    private var batch: CompletionBatch
    var sip: SIPTransports
    private var sipBuffers: BufferPool
    /// Where proxies drive relayd, if they do.
    var ng: NGTransports
    var clients: ControlClients
    private let signals: SignalDescriptor
    let inbox: ControlInbox
    let keeper: RecordKeeper
    var figures = CallFigures()
    /// Nil when proxies are not told of calls whose media died.
    private let callbacks: CallbackSender?
    /// Nil as long as there were no users.
    var registrations: RegistrationFile?
    /// `limits.calls` at start: memory and descriptors are taken for so many.
    let callCapacity: Int
    private var keepAlives: KeepAliveSender
    /// Why callbacks failed, as far as the log has it.
    private var callbackFailures: Set<String> = []
    /// Writes recordings and captures.
    let collector: PacketCollector
    var captures = Captures()
    var pool: RelayPool
    let media: MediaSessions
    let trace: SIPTrace
    /// Messages of strangers that go into the trace.
    private var strangerTrace: TokenBucket
    /// Nil without a collector.
    private let hep: HEPExporter?
    var control: CallControl
    var ngControl: NGCallControl
    let counters: CounterBlock
    /// Clients that wait until a trunk has answered.
    var waitingProbes: [UInt64: WaitingProbe] = [:]
    var lastProbe: UInt64 = 0
    /// Memory for what both controls want, used again and again.
    private var spareOutputs: [CallControl.Output] = []
    private var spareNGOutputs: [NGCallControl.Output] = []
    /// Datagrams that are sent last in a turn.
    private var postponed: [(octets: [UInt8], destination: Flow, transaction: TransactionID?)] = []
    /// Commands the worker's mailbox had no room for.
    private var waitingCommands: [RelayCommand] = []
    let startedAt: (instant: Instant, wall: WallTime)
    /// Set by SIGTERM or SIGINT: by then the calls must be gone.
    private var stopDeadline: Instant?
    private var hasFailed = false
    private var nextClockReading: Instant

    /// A datagram has to fit: 64 KiB and the header the kernel writes before it.
    private static let sipBufferSize = 65_536 + 64
    private static let sipBufferCount = 256
    /// What is left for the control socket's clients, rings, records and the rest.
    private static let ownDescriptors = 256
    /// Of different ways in which callbacks fail: a proxy's own words are among them.
    private static let callbackFailureLimit = 32
    /// Where calls come all the time something is always due, and most of it is done in turns that messages make. What is left
    /// wakes this thread once in so long.
    private static let timerStep = Duration.milliseconds(16)
    /// Of one turn, with which each message is sent as soon as it is there.
    private static let fewCompletions = 8
    /// Completions that are worth a turn at once.
    private static let gatherGoal: UInt32 = 64
    /// For new requests, in one turn.
    private static let servingTime = Duration.milliseconds(4)
    /// Messages a second.
    private static let strangersTraced = 100
    /// Of one datagram, while ICMP errors about others come between.
    private static let sendAttempts = 8
    /// ICMP errors that are looked at before anything else is done.
    private static let errorsAtOnce = 256
    /// From the signal until calls are given up.
    private static let stopTime = Duration.seconds(3)
    /// The CPU of each relay worker: one of its own, the last ones first, since the first is where interrupts tend to be; empty
    /// when there are not enough.
    ///
    /// No other thread of this process should run there. A kernel that shares CPUs between groups (services, containers,
    /// sessions) weighs a group's share of a CPU by what the group does there: where busy threads came to a worker's CPU and
    /// went again, on a host with other work the worker stood ready for seconds and was not run.
    package static func workerProcessors(_ configuration: Configuration) -> [Int] {
        let processors = SystemLimits.allowedProcessors
        return configuration.media.workers < processors.count ? processors.suffix(configuration.media.workers).reversed() : []
    }

    package init(
        configuration: Configuration, file: String? = nil, warnings: [String], signals: consuming SignalDescriptor, log: EventLog
    ) throws(StartError) {
        let descriptors = SystemLimits.raiseDescriptorLimit()
        // Connections are the lesser need where both cannot be met.
        let connectionCapacity = min(configuration.limits.connections, max(0, descriptors - Self.ownDescriptors) / 4)
        let ownDescriptors = Self.ownDescriptors + connectionCapacity
        let sessionCapacity = min(configuration.limits.calls, (descriptors - ownDescriptors) / 4)
        guard sessionCapacity > 0 else {
            throw .failed(step: "taking \(descriptors) file descriptors for 4 a call", Errno(code: EMFILE))
        }
        var warnings = warnings
        if sessionCapacity < configuration.limits.calls {
            warnings.append(
                "limits.calls = \(configuration.limits.calls) needs 4 descriptors a call, and the limit of \(descriptors) "
                    + "(RLIMIT_NOFILE) is enough for \(sessionCapacity): raise LimitNOFILE")
        }
        let ring = try attempt(StartError.ring) { () throws(RingError) in
            try Ring(submissionEntries: 1024, completionEntries: 8192, arenaOctets: 1 << 20)
        }
        let sipBuffers = try attempt(StartError.ring) { () throws(RingError) in
            try BufferPool(ring: ring, group: 1, count: Self.sipBufferCount, size: Self.sipBufferSize)
        }
        var settings = RelaySettings(workers: configuration.media.workers, sessionCapacity: sessionCapacity)
        settings.typeOfService = configuration.media.typeOfService
        settings.waitWindow = configuration.media.waitWindow
        settings.usesKernelPath = configuration.media.kernelPath
        settings.kernelPathHasLoopback = configuration.relayAddresses.contains(where: \.isLoopback)
        settings.copiesReports = configuration.hep.address != nil
        settings.cpus = Self.workerProcessors(configuration)
        let pool = try attempt(StartError.relay) { () throws(RelayStartError) in
            try RelayPool(settings: settings, controlRing: ring, doorbell: Token(kind: Kind.doorbell))
        }
        if let refusal = pool.kernelRefusal { warnings.append("\(refusal)") }
        let counters = CounterBlock()
        let sip = try SIPTransports(
            configuration,
            kinds: SIPTransports.Kinds(
                receive: Kind.sipReceive, send: Kind.sipSend, accept: Kind.sipAccept, readable: Kind.sipReadable,
                writable: Kind.sipWritable),
            counters: counters, connectionLimit: connectionCapacity)
        if sip.receiveBuffer < SIPTransports.receiveBuffer {
            warnings.append(
                "The receive buffer of a SIP socket has \(sip.receiveBuffer >> 10) KiB of \(SIPTransports.receiveBuffer >> 10): in a "
                    + "burst or a flood messages of trunks are lost with the others. Give relayd CAP_NET_ADMIN, or set sysctl "
                    + "net.core.rmem_max=\(SIPTransports.receiveBuffer)")
        }
        let ng = try NGTransports(
            configuration.ng,
            kinds: NGTransports.Kinds(
                receive: Kind.ngReceive, send: Kind.ngSend, acceptTCP: Kind.ngAcceptTCP, acceptUnix: Kind.ngAcceptUnix,
                readable: Kind.ngReadable, writable: Kind.ngWritable),
            counters: counters)
        let controlPath = configuration.control.socket
        let clients = try attempt({ StartError.controlSocket(path: controlPath, $0) }) { () throws(Errno) in
            try ControlClients(
                path: controlPath,
                kinds: ControlClients.Kinds(
                    accept: Kind.accept, readable: Kind.clientReadable, writable: Kind.clientWritable),
                counters: counters)
        }
        let inbox = try attempt({ StartError.failed(step: "eventfd", $0) }) { () throws(Errno) in try ControlInbox() }
        var options = RecordKeeper.Options()
        options.keepDays = configuration.records.keepDays
        options.onJournaled = { inbox.addJournaled($0) }
        options.onTrouble = { inbox.add(.recordTrouble($0)) }
        let directory = configuration.records.directory
        let keeper = try attempt(StartError.records) { () throws(RecordError) in
            try RecordKeeper(directory: directory, options: options)
        }
        // After the keeper of records, which makes the directory and sees to it that nobody else uses it.
        var lines: [RegistrationLine] = []
        let hasUsers = !configuration.users.isEmpty
        let registrations = try attempt(StartError.records) { () throws(RecordError) -> RegistrationFile? in
            guard hasUsers else { return nil }
            return try RegistrationFile(directory: directory, lines: &lines) { inbox.add(.recordTrouble($0)) }
        }
        let keepAlives = try attempt({ StartError.failed(step: "memory for keep-alives", $0) }) { () throws(Errno) in
            try KeepAliveSender()
        }
        let ngSettings = configuration.ng
        let callbacks = try attempt({ StartError.failed(step: "a thread for callbacks", $0) }) { () throws(Errno) in
            try Self.callbackSender(ngSettings, inbox)
        }

        let hepSettings = configuration.hep
        let hep = try attempt({ StartError.failed(step: "a socket for the HEP collector (hep.address)", $0) }) {
            () throws(Errno) in try Self.exporter(hepSettings, counters)
        }
        let traceOctets = configuration.trace.memoryMebibytes << 20
        let trace = try attempt({ StartError.failed(step: "taking \(traceOctets) octets for the trace", $0) }) {
            () throws(Errno) in try SIPTrace(octets: traceOctets)
        }

        if let directory = configuration.ng.recordingDirectory {
            try attempt({ StartError.failed(step: "making \(directory) for recordings", $0) }) { () throws(Errno) in
                try PrivateDirectory.make(directory)
            }
        }
        var taps: [PacketTap] = []
        for worker in 0..<settings.workers { taps.append(pool.tap(worker: worker)) }
        let collector = try attempt({ StartError.failed(step: "eventfd", $0) }) {
            [taps] () throws(Errno) in
            try PacketCollector(taps: taps, application: "relayd \(relaydVersion)") { inbox.add(.captured($0)) }
        }

        let now = MonotonicClock.now
        startedAt = (now, WallClock.now)
        nextClockReading = now + .seconds(1)
        var system = SystemRandomNumberGenerator()
        media = MediaSessions(
            configuration: configuration.media,
            allocator: SessionAllocator(workers: configuration.media.workers, capacity: sessionCapacity),
            activity: pool.activity, statistics: pool.statistics, random: SeededRandom(seed: system.next()))
        control = CallControl(
            configuration: configuration, media: media, counters: counters,
            random: SeededRandom(seed: system.next()), digestKey: registrations?.digestKey, now: now,
            wallTime: startedAt.wall)
        if registrations != nil {
            let count = control.restoreRegistrations(lines, now: now)
            // More than the bindings need.
            lines = []
            log.log(.notice, "registrations.restored", ["count": "\(count)"])
        }
        ngControl = NGCallControl(
            configuration: configuration, media: media, counters: counters,
            random: SeededRandom(seed: system.next()), now: now, wallTime: startedAt.wall)
        callCapacity = configuration.limits.calls
        self.configuration = configuration
        self.file = file
        self.warnings = warnings
        self.log = log
        self.signals = signals
        self.inbox = inbox
        self.pool = pool
        self.sipBuffers = sipBuffers
        self.sip = sip
        self.ng = ng
        self.clients = clients
        self.counters = counters
        self.keeper = keeper
        self.trace = trace
        strangerTrace = TokenBucket(rate: Self.strangersTraced, now: now)
        self.hep = hep
        self.callbacks = callbacks
        self.registrations = registrations
        self.keepAlives = keepAlives
        self.collector = collector
        batch = CompletionBatch(capacity: 512)
        self.ring = ring
    }

    /// For other threads of this process; what they ask is answered once `run` runs.
    package var door: ControlDoor { ControlDoor(inbox: inbox) }

    /// A sentence that `relayctl status` is to show; before `run`.
    package mutating func warn(_ sentence: String) { warnings.append(sentence) }

    private static func exporter(_ settings: Configuration.HEP, _ counters: CounterBlock) throws(Errno) -> HEPExporter? {
        guard let collector = settings.address else { return nil }
        return try HEPExporter(to: collector, settings, kind: Kind.hepSend, counters: counters)
    }

    private static func callbackSender(
        _ settings: Configuration.NG, _ inbox: ControlInbox
    ) throws(Errno) -> CallbackSender? {
        guard let url = settings.timeoutCallback else { return nil }
        return try CallbackSender(url: url, format: settings.timeoutCallbackFormat) { inbox.add(.callback($0)) }
    }

    // MARK: Turns

    /// Serves until a signal stops it and every call has ended.
    ///
    /// - Throws: the kernel's errno when this ring failed, `EIO` when a worker's did. Calls have then been ended as far as
    ///   possible and records are written; the process should be started anew.
    package mutating func run() throws(Errno) {
        Thread.runSoon()
        if configuration.limits.memoryAtStart {
            trace.populate()
            control.populateTables()
        }
        for warning in warnings { log.log(.warning, "configuration.warning", ["text": warning]) }
        control.startTrunks(now: MonotonicClock.now)
        log.log(.notice, "daemon.started", ["sip": sip.addresses.joined(separator: " "), "version": relaydVersion])
        sip.start(on: &ring, buffers: sipBuffers)
        ng.start(on: &ring, buffers: sipBuffers)
        clients.start(on: &ring)
        ring.pollReadable(signals.file, repeating: true, token: Token(kind: Kind.signal))
        ring.pollReadable(inbox.event.file, repeating: true, token: Token(kind: Kind.inbox))
        while try turn() {}
        finish()
        if hasFailed { throw Errno(code: EIO) }
    }

    /// One turn; false when the daemon has nothing left to do.
    private mutating func turn() throws(Errno) -> Bool {
        try wait(at: MonotonicClock.now)
        let count = ring.takeCompletions(into: &batch)
        if !ring.hasCompletions, ring.isSubmitted { sip.beginTurn() }
        let now = MonotonicClock.now
        control.audience = EventAudience(logLevel: log.level, hasSubscribers: clients.haveSubscribers)
        ngControl.audience = control.audience
        inbox.setHearsRecords(control.audience.hears(.record))
        for index in 0..<count {
            handle(batch[index], now: now)
            // What a message led to need not wait for what the next one leads to.
            if index + 1 < count, count <= Self.fewCompletions, control.hasOutputs {
                carryOut(now: now)
                try? ring.submit()
            }
        }
        sipBuffers.publish()
        serveNewRequests(now: now)
        takeRelayEvents(now: now)
        control.advance(to: now)
        ngControl.advance(to: now)
        if now >= nextClockReading {
            let wallTime = WallClock.now
            control.setWallTime(wallTime, at: now)
            ngControl.setWallTime(wallTime, at: now)
            nextClockReading = now + .seconds(1)
        }
        // Sockets are made as commands are sent: what waited for them goes on in the same turn.
        repeat {
            carryOut(now: now)
            serveSIP(now: now)
            if !captures.items.isEmpty { followCaptures(now: now) }
            if hep != nil { exportReports() }
            sendWaitingCommands()
        } while takeRelayEvents(now: now) || sendPostponed(now: now)
        while let slot = media.nextUnwanted(now: now), pool.drop(slot: slot) { media.removeUnwanted() }
        pool.flushDoorbells(on: &ring, now: now)
        // With few messages each one's way counts; with many, one system call for all of them does.
        if count <= Self.fewCompletions, !ring.isSubmitted { try? ring.submit() }
        trace.settle()
        clients.serve(now: now, on: &ring)
        ng.serve(now: now, on: &ring)
        return !isFinished(now: now)
    }

    /// False when there was none.
    @discardableResult
    private mutating func takeRelayEvents(now: Instant) -> Bool {
        var hasAny = false
        while let event = pool.nextEvent() {
            hasAny = true
            if case .stopped(let worker) = event { workerFailed(worker, now: now) }
            // Each knows its own sessions.
            control.handle(event, now: now)
            ngControl.handle(event, now: now)
            if case .closed(let session) = event { captureSessionClosed(session, now: now) }
        }
        return hasAny
    }

    /// New requests after everything that belongs to present calls. What is left waits until what came meanwhile was looked at.
    private mutating func serveNewRequests(now: Instant) {
        var clock = now
        while control.isAnyoneWaiting, clock - now < Self.servingTime {
            control.serveWaiting(atMost: 16, now: now)
            clock = MonotonicClock.now
        }
    }

    private mutating func wait(at now: Instant) throws(Errno) {
        let due = nextDeadline(at: now)
        let gather = control.gatherTime(at: now)
        var timeout = due.map { max(.zero, $0 - now) }
        if gather == .zero, let due, due > now, ring.setTimer(at: due, token: Token(kind: Kind.timer)) { timeout = nil }
        try ring.submitAndWait(
            atLeast: gather > .zero ? Self.gatherGoal : 1, gather: min(gather, timeout ?? gather), timeout: timeout)
    }

    /// What is due in the same few milliseconds is done in one turn. Keep-alives are spread more finely than that, and a worker
    /// whose mailbox was full reads it at once.
    private mutating func nextDeadline(at now: Instant) -> Instant? {
        if control.isAnyoneWaiting { return now }
        let step = UInt64(Self.timerStep.nanoseconds)
        let due = laxDeadline(at: now).map { Instant(nanoseconds: (min($0.nanoseconds, .max - step) + step - 1) / step * step) }
        return .earliest(.earliest(due, control.phoneDeadline), waitingCommands.isEmpty ? nil : now + .milliseconds(1))
    }

    private mutating func laxDeadline(at now: Instant) -> Instant? {
        var due = Instant.earliest(control.callDeadline, ngControl.nextDeadline)
        due = .earliest(.earliest(due, sip.nextDeadline), stopDeadline)
        // While calls are up the wall clock is followed; an idle daemon sleeps.
        if control.presentCount + ngControl.sessionCount > 0 { due = min(due ?? nextClockReading, nextClockReading) }
        if let unwanted = media.nextDeadline { due = min(due ?? unwanted, unwanted) }
        if let doorbell = pool.nextDoorbell { due = min(due ?? doorbell, doorbell) }
        if let capture = captureDeadline(at: now) { due = min(due ?? capture, capture) }
        if hep != nil, control.connectedCount > 0 {
            let next = now + Self.reportInterval
            due = min(due ?? next, next)
        }
        if clients.areWaiting || ng.areWaiting { due = min(due ?? now + .seconds(1), now + .seconds(1)) }
        return due
    }

    private mutating func handle(_ completion: Completion, now: Instant) {
        switch completion.token.kind {
        case Kind.sipReceive: sipReceived(completion, now: now)
        case Kind.sipSend:
            sendFailed(completion, now: now)
        case Kind.hepSend: hep?.sendFailed()
        case Kind.timer: ring.timerEnded()
        case Kind.sipAccept: sip.accepted(completion, now: now, on: &ring, buffers: sipBuffers)
        case Kind.sipReadable:
            for received in sip.read(completion, now: now, on: &ring) { take(received, now: now) }
        case Kind.sipWritable: sip.hasRoom(completion, now: now, on: &ring)
        case Kind.ngReceive:
            if let (octets, client) = ng.received(completion, on: &ring, buffers: &sipBuffers) {
                ngControl.receive(octets, from: client, now: now)
            }
        case Kind.ngSend: break  // the proxy asks again
        case Kind.ngAcceptTCP: ng.acceptedTCP(completion, on: &ring)
        case Kind.ngAcceptUnix: ng.acceptedUnix(completion, on: &ring)
        case Kind.ngReadable:
            guard let (messages, client) = ng.read(completion, now: now, on: &ring) else { break }
            for message in messages { ngControl.receive(message, from: client, now: now) }
        case Kind.ngWritable: ng.hasRoom(completion)
        case Kind.accept: clients.accepted(completion, on: &ring)
        case Kind.clientReadable:
            guard let (client, requests) = clients.read(completion, now: now, on: &ring) else { break }
            for request in requests { execute(request, of: client, now: now) }
        case Kind.clientWritable: clients.hasRoom(completion)
        case Kind.signal:
            while let signal = signals.next() {
                if signal == SIGHUP, file != nil { _ = reload(now: now) } else { stop(now: now) }
            }
            if !completion.hasMore { ring.pollReadable(signals.file, repeating: true, token: Token(kind: Kind.signal)) }
        case Kind.inbox:
            if !completion.hasMore {
                ring.pollReadable(inbox.event.file, repeating: true, token: Token(kind: Kind.inbox))
            }
            readInbox(now: now)
        default: break  // a doorbell: the mailboxes are read in every turn
        }
    }

    /// A worker ends unasked only when its ring has failed. Its calls have no media any more, and sessions on it would never
    /// open: better to start anew than to limp.
    private mutating func workerFailed(_ worker: Int, now: Instant) {
        log.log(.error, "relay.worker_failed", ["worker": "\(worker)"])
        hasFailed = true
        stop(now: now)
    }

    // MARK: SIP

    private mutating func sipReceived(_ completion: Completion, now: Instant) {
        let received = sip.received(completion, on: &ring, buffers: &sipBuffers)
        if completion.result < 0 { takeNetworkErrors(now: now) }
        guard let (octets, flow) = received else { return }
        receive(octets, from: flow, now: now)
    }

    private mutating func receive(_ octets: [UInt8], from flow: Flow, now: Instant) {
        if isTraced(flow) { traceMessage(octets, .received, flow) }
        control.receive(octets, from: flow, now: now)
    }

    private mutating func take(_ received: SIPTransports.Received, now: Instant) {
        switch received.item {
        case .message(let octets): receive(octets, from: received.flow, now: now)
        case .unframed(let header, let status, let reason):
            control.receiveUnframed(header, status: status, reason: reason, from: received.flow, now: now)
        }
    }

    /// Connections move on; what could not be sent is told to its transactions, which may send something else.
    private mutating func serveSIP(now: Instant) {
        while true {
            sip.serve(now: now, on: &ring)
            // Before what could not be sent: whoever asks why finds that the connection is gone.
            for connection in sip.takeEnded() { control.connectionClosed(connection.id, from: connection.remote, now: now) }
            let failures = sip.takeFailures()
            guard !failures.isEmpty || control.hasOutputs else { break }
            for transaction in failures { control.sendFailed(transaction, now: now) }
            carryOut(now: now)
        }
        for report in sip.takeReports() { log.log(.warning, "sip.connection_ended", report.fields) }
    }

    // MARK: Effects

    private mutating func carryOut(now: Instant) {
        var ngOutputs = spareNGOutputs.taken()
        ngControl.takeOutputs(into: &ngOutputs)
        for output in ngOutputs {
            switch output {
            case .reply(let octets, let client): ng.send(octets, to: client, now: now, on: &ring)
            case .relay(let command): waitingCommands.append(command)
            case .event(let event): announce(event, now: now)
            case .record(let recording): record(recording)
            case .stopRecording(let key): stopRecording(key)
            case .terminate(let termination): callbacks?.send(termination, now: now)
            }
        }
        spareNGOutputs.giveBack(&ngOutputs)
        var outputs = spareOutputs.taken()
        control.takeOutputs(into: &outputs)
        while !outputs.isEmpty {
            for output in outputs {
                switch output {
                case .send(let octets, let destination, let transaction):
                    if !destination.isReliable, Self.isTrying(octets) {
                        postponed.append((octets, destination, transaction))
                    } else {
                        if let transaction, !postponed.isEmpty { sendPostponed(of: transaction, now: now) }
                        send(octets, to: destination, transaction, now: now)
                    }
                case .unreachable(let octets, let address): traceError(octets, about: address)
                case .reuse(let connection, let address): sip.setAlias(address, of: connection)
                case .endConnection(let connection): sip.end(connection, now: now)
                case .relay(let command): waitingCommands.append(command)
                case .record(let record):
                    keep(record)
                    for report in control.takeRTPReports() { hep?.export(report, microseconds: WallClock.microseconds, on: &ring) }
                case .event(let event): announce(event, now: now)
                case .probed(let token, let report): probed(token, report, now: now)
                case .registration(let line): registrations?.append(line)
                case .keepAlive(let batch):
                    let (errors, nanoseconds) = sip.send(batch, by: &keepAlives)
                    control.keepAlivesSent(errors: errors, nanoseconds: nanoseconds, now: MonotonicClock.now)
                    takeNetworkErrors(now: now)
                }
            }
            control.takeOutputs(into: &outputs)  // a refused send leads to more
        }
        spareOutputs.giveBack(&outputs)
    }

    /// A 100 keeps its receiver from asking again: what others wait for goes before it.
    private static func isTrying(_ octets: [UInt8]) -> Bool {
        octets.count > 11 && octets[0] == UInt8(ascii: "S") && octets[3] == UInt8(ascii: "/") && octets[8] == UInt8(ascii: "1")
            && octets[9] == UInt8(ascii: "0") && octets[10] == UInt8(ascii: "0")
    }

    /// Sends what was postponed.
    ///
    /// - Parameter transaction: only what belongs to it, since something that comes after it is to be sent; nil: everything.
    /// - Returns: true when one was refused, which leads to more.
    @discardableResult
    private mutating func sendPostponed(of transaction: TransactionID? = nil, now: Instant) -> Bool {
        var index = 0
        while index < postponed.count {
            if let transaction, postponed[index].transaction != transaction {
                index += 1
                continue
            }
            let (octets, destination, transaction) = postponed.remove(at: index)
            send(octets, to: destination, transaction, now: now)
        }
        return control.hasOutputs
    }

    private mutating func send(
        _ octets: [UInt8], to destination: Flow, _ transaction: TransactionID?, now: Instant
    ) {
        // What belongs to no transaction answers somebody who may be anybody.
        if transaction != nil || isTraced(destination) { traceMessage(octets, .sent, destination) }
        if !sip.send(octets, to: destination, transaction, now: now, on: &ring) {
            control.sendFailed(transaction, now: now)
        }
    }

    /// The kernel did not take a datagram. It may have had an ICMP error about another one to tell, which says nothing of this
    /// one: then it goes at once by a call of its own, which can meet with the next error only as long as more of them come than
    /// are taken.
    private mutating func sendFailed(_ completion: Completion, now: Instant) {
        guard let failed = sip.failed(completion) else { return control.sendFailed(nil, now: now) }
        var reason = Errno(code: -completion.result)
        for _ in 0..<Self.sendAttempts where reason.mayBeAboutAnother {
            takeNetworkErrors(now: now)
            do throws(Errno) { return try sip.resend(failed) } catch { reason = error }
        }
        control.sendFailed(failed.transaction, now: now)
    }

    /// What ICMP said of SIP datagrams. What is left makes the kernel report the next error, so it is not forgotten.
    private mutating func takeNetworkErrors(now: Instant) {
        for _ in 0..<Self.errorsAtOnce {
            guard let error = sip.takeError() else { break }
            control.networkRefused(error, now: now)
        }
    }

    /// `local` is where the request went out; ICMP itself has no ports.
    private mutating func traceError(_ octets: [UInt8], about address: SocketAddress) {
        trace.record(
            octets.span, .received, peer: address, local: sip.local(of: Flow(udp: address)), transport: .icmp,
            microseconds: WallClock.microseconds)
    }

    mutating func sendToRelay(_ command: RelayCommand) { waitingCommands.append(command) }

    /// A flood of strangers is not to wash what trunks and phones said out of the trace: of strangers, so many messages a second.
    private mutating func isTraced(_ flow: Flow) -> Bool {
        control.isKnown(flow) || strangerTrace.take(now: MonotonicClock.now)
    }

    /// Keeps a copy of a message as it came or goes, and hands one to the collector if there is one.
    private mutating func traceMessage(_ octets: [UInt8], _ direction: SIPTrace.Direction, _ flow: Flow) {
        let local = sip.local(of: flow)
        let microseconds = WallClock.microseconds
        trace.note(
            octets, direction, peer: flow.remote, local: local, transport: .init(flow.transport), microseconds: microseconds)
        hep?.export(
            sip: octets, direction, flow: flow, local: local, microseconds: microseconds,
            correlation: control.correlation(of: octets, direction), on: &ring)
    }

    /// RTCP waits at the workers' until control looks; nobody waits for it.
    private static let reportInterval = Duration.milliseconds(250)

    private mutating func exportReports() {
        let offset = WallClock.microseconds - Int64(MonotonicClock.now.nanoseconds / 1_000)
        while let (packet, octets) = pool.nextReport() {
            for report in control.reports(in: packet, octets) { hep?.export(report, offset: offset, on: &ring) }
            for report in ngControl.reports(in: packet, octets) { hep?.export(report, offset: offset, on: &ring) }
        }
    }

    /// In order: a later command must not overtake one that waits.
    private mutating func sendWaitingCommands() {
        var sent = 0
        while sent < waitingCommands.count, pool.send(waitingCommands[sent]) { sent += 1 }
        if sent < waitingCommands.count { counters.add(to: .mailboxFull) }
        waitingCommands.removeFirst(sent)
    }

    // MARK: Records and events

    private mutating func keep(_ record: CallRecord) {
        figures.add(record)
        guard !keeper.submit(record) else { return }
        logLost(record)
    }

    private func logLost(_ record: CallRecord) {
        let text = (try? ControlLine.notification("record", params: record)).map { String(decoding: $0, as: UTF8.self) }
        log.log(.error, "record.not_kept", ["record": text ?? record.id])
    }

    mutating func announce(_ event: Event, now: Instant) {
        log.log(event)
        clients.announce(event, now: now)
    }

    private mutating func readInbox(now: Instant) {
        for message in inbox.takeAll() {
            switch message {
            case .journaled(let record):
                announce(
                    Event(
                        at: WallClock.now, name: .record, callID: nil,
                        fields: [
                            "id": record.id, "sip_call_id": record.callerCallID, "cause": record.cause.rawValue,
                            "sip_code": "\(record.sipCode)", "duration_seconds": "\(record.durationMilliseconds / 1000)",
                            "ended_by": record.endedBy.rawValue,
                        ]), now: now)
            case .callback(let outcome): note(outcome)
            case .captured(let outcome): note(outcome, now: now)
            case .recordTrouble(let sentence): log.log(.error, "record.trouble", ["text": sentence])
            case .stored(let id, let request, let result): clients.reply(to: request, of: id, result, now: now)
            case .question(let command, let completion): execute(command, completion, now: now)
            }
        }
    }

    /// Counts a callback, and warns once of each way in which it fails.
    private mutating func note(_ outcome: CallbackSender.Outcome) {
        let termination = outcome.termination
        guard let failure = outcome.failure else {
            counters.add(to: .ngCallbacksSent)
            return log.log(.debug, "ng.callback", ["call_id": termination.shortID, "sip_call_id": termination.callID])
        }
        counters.add(to: .ngCallbacksFailed)
        guard callbackFailures.count < Self.callbackFailureLimit, callbackFailures.insert(failure).inserted else { return }
        log.log(
            .warning, "ng.callback_failed",
            [
                "call_id": termination.shortID, "sip_call_id": termination.callID, "url": outcome.url.description,
                "proxy": termination.proxy?.description ?? "", "reason": failure,
            ])
    }

    // MARK: The end

    private mutating func stop(now: Instant) {
        guard stopDeadline == nil else { return }
        stopDeadline = now + Self.stopTime
        control.beginShutdown(now: now)
        ngControl.closeAll(now: now)
    }

    private mutating func isFinished(now: Instant) -> Bool {
        guard let stopDeadline else { return false }
        return (control.isIdle && ngControl.isEmpty && waitingCommands.isEmpty) || now >= stopDeadline
    }

    private mutating func finish() {
        callbacks?.stop()
        collector.stop()
        try? ring.submit()
        if pool.send(.stop) {
            pool.flushDoorbells(on: &ring)
            try? ring.submit()
            pool.join()
        }
        registrations?.stop()
        for record in keeper.stop() { logLost(record) }
        log.log(.notice, "daemon.stopped")
    }
}
