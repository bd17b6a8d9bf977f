package import Configuration
import ControlProtocol
import Core
import Glibc
package import Records
package import Relay
import SIP
package import Uring

/// Why the daemon could not start. Each description is one sentence for an operator.
package enum StartError: Error, CustomStringConvertible {
    case ring(RingError)
    case relay(RelayStartError)
    case sipSocket(Configuration.SIP, Errno)
    case controlSocket(path: String, Errno)
    case records(RecordError)
    case failed(step: String, Errno)

    package var description: String {
        switch self {
        case .ring(let error): error.description
        case .relay(let error): error.description
        case .sipSocket(let sip, let error):
            "The SIP address sip.listen = \(sip.listen) could not be bound: \(error)."
        case .controlSocket(let path, let error) where error.code == EADDRINUSE:
            "Another process listens on the control socket \(path): stop it, or set control.socket to another path."
        case .controlSocket(let path, let error): "The control socket \(path) could not be made: \(error)."
        case .records(let error): "\(error)"
        case .failed(let step, let error): "\(step) failed: \(error)."
        }
    }
}

private func attempt<Value: ~Copyable, Failure: Error>(
    _ wrap: (Failure) -> StartError, _ make: () throws(Failure) -> Value
) throws(StartError) -> Value {
    do throws(Failure) {
        return try make()
    } catch {
        throw wrap(error)
    }
}

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
    }

    private let configuration: Configuration
    private let warnings: [String]
    private let log: EventLog
    private var ring: Ring
    private var batch: CompletionBatch
    private let sipSocket: DatagramSocket
    private var sipBuffers: BufferPool
    private let listener: UnixListener
    private let signals: SignalDescriptor
    private let inbox: ControlInbox
    private let keeper: RecordKeeper
    private var pool: RelayPool
    private var control: CallControl
    private let counters = CounterBlock()
    /// The transaction of each recent send, by the low bits of its token.
    private var sends: [TransactionID?]
    private var nextSend: UInt32 = 0
    /// Commands the worker's mailbox had no room for.
    private var waitingCommands: [RelayCommand] = []
    private var clients: [UInt32: ControlClient] = [:]
    private var nextClient: UInt32 = 1
    private let startedAt: (instant: Instant, wall: WallTime)
    /// Set by SIGTERM or SIGINT: by then the calls must be gone.
    private var stopDeadline: Instant?
    private var nextClockReading: Instant

    /// A datagram has to fit: 64 KiB and the header the kernel writes before it.
    private static let sipBufferSize = 65_536 + 64
    private static let sipBufferCount = 256
    private static let clientLimit = 64
    /// What is left for the control socket's clients, rings, records and the rest.
    private static let ownDescriptors = 256
    /// From the signal until calls are given up.
    private static let stopTime = Duration.seconds(3)

    package init(
        configuration: Configuration, warnings: [String], signals: consuming SignalDescriptor, log: EventLog
    ) throws(StartError) {
        let descriptors = SystemLimits.raiseDescriptorLimit()
        let sessionCapacity = min(configuration.limits.calls, (descriptors - Self.ownDescriptors) / 4)
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
        // Each worker has a CPU of its own, the last ones first: the first is where interrupts and control tend to be.
        if settings.workers < Thread.cpuCount {
            settings.cpus = (1...settings.workers).map { Thread.cpuCount - $0 }
        }
        let pool = try attempt(StartError.relay) { () throws(RelayStartError) in
            try RelayPool(settings: settings, controlRing: ring, doorbell: Token(kind: Kind.doorbell))
        }
        let sipSocket = try attempt({ StartError.sipSocket(configuration.sip, $0) }) { () throws(Errno) in
            try DatagramSocket.listener(on: configuration.sip.listen)
        }
        let listener = try attempt({ StartError.controlSocket(path: configuration.control.socket, $0) }) { () throws(Errno) in
            try Self.listen(at: configuration.control.socket)
        }
        let inbox = try attempt({ StartError.failed(step: "eventfd", $0) }) { () throws(Errno) in try ControlInbox() }
        var options = RecordKeeper.Options()
        options.onJournaled = { inbox.add(.journaled($0)) }
        options.onTrouble = { inbox.add(.recordTrouble($0)) }
        let directory = configuration.records.directory
        let keeper = try attempt(StartError.records) { () throws(RecordError) in
            try RecordKeeper(directory: directory, options: options)
        }

        let now = MonotonicClock.now
        startedAt = (now, WallClock.now)
        nextClockReading = now + .seconds(1)
        var system = SystemRandomNumberGenerator()
        control = CallControl(
            configuration: configuration,
            sessions: SessionAllocator(workers: configuration.media.workers, capacity: sessionCapacity),
            activity: pool.activity, statistics: pool.statistics, counters: counters,
            random: SeededRandom(seed: system.next()), now: now, wallTime: startedAt.wall)
        self.configuration = configuration
        self.warnings = warnings
        self.log = log
        self.signals = signals
        self.inbox = inbox
        self.pool = pool
        self.sipBuffers = sipBuffers
        self.sipSocket = sipSocket
        self.listener = listener
        self.keeper = keeper
        batch = CompletionBatch(capacity: 512)
        sends = Array(repeating: nil, count: 4096)
        self.ring = ring
    }

    private static func listen(at path: String) throws(Errno) -> UnixListener {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try PrivateDirectory.make(String(path[..<slash]))
        }
        return try UnixListener(path: path)
    }

    // MARK: Turns

    /// Serves until a signal stops it and every call has ended.
    package mutating func run() throws(Errno) {
        for warning in warnings { log.log(.warning, "configuration.warning", ["text": warning]) }
        log.log(.notice, "daemon.started", ["sip": "\(configuration.sip.listen)", "version": relaydVersion])
        ring.receiveDatagrams(on: sipSocket.file, into: sipBuffers, token: Token(kind: Kind.sipReceive))
        ring.accept(on: listener, token: Token(kind: Kind.accept))
        ring.pollReadable(signals.file, repeating: true, token: Token(kind: Kind.signal))
        ring.pollReadable(inbox.event.file, repeating: true, token: Token(kind: Kind.inbox))
        while try turn() {}
        finish()
    }

    /// One turn; false when the daemon has nothing left to do.
    private mutating func turn() throws(Errno) -> Bool {
        try ring.submitAndWait(timeout: waitTime(at: MonotonicClock.now))
        let count = ring.takeCompletions(into: &batch)
        let now = MonotonicClock.now
        for index in 0..<count { handle(batch[index], now: now) }
        sipBuffers.publish()
        while let event = pool.nextEvent() { control.handle(event, now: now) }
        control.advance(to: now)
        if now >= nextClockReading {
            control.setWallTime(WallClock.now, at: now)
            nextClockReading = now + .seconds(1)
        }
        carryOut(now: now)
        sendWaitingCommands()
        pool.flushDoorbells(on: &ring)
        serveClients(now: now)
        return !isFinished(now: now)
    }

    private func waitTime(at now: Instant) -> Duration? {
        var due = control.nextDeadline
        if let stopDeadline { due = min(due ?? stopDeadline, stopDeadline) }
        // While calls are up the wall clock is followed; an idle daemon sleeps.
        if control.presentCount > 0 { due = min(due ?? nextClockReading, nextClockReading) }
        if !waitingCommands.isEmpty { due = now + .milliseconds(1) }
        if clients.values.contains(where: { $0.connection.hasOutput }) { due = min(due ?? now + .seconds(1), now + .seconds(1)) }
        return due.map { max(.zero, $0 - now) }
    }

    private mutating func handle(_ completion: Completion, now: Instant) {
        switch completion.token.kind {
        case Kind.sipReceive: sipReceived(completion, now: now)
        case Kind.sipSend:
            let transaction = sends[Int(completion.token.index) % sends.count]
            control.sendFailed(transaction, now: now)
        case Kind.accept:
            if completion.result >= 0 { accept(StreamSocket(accepted: completion.result)) }
            if !completion.hasMore { ring.accept(on: listener, token: Token(kind: Kind.accept)) }
        case Kind.signal:
            while signals.next() != nil { stop(now: now) }
            if !completion.hasMore { ring.pollReadable(signals.file, repeating: true, token: Token(kind: Kind.signal)) }
        case Kind.inbox:
            if !completion.hasMore {
                ring.pollReadable(inbox.event.file, repeating: true, token: Token(kind: Kind.inbox))
            }
            readInbox(now: now)
        case Kind.clientReadable: clientReadable(completion, now: now)
        case Kind.clientWritable: clients[completion.token.index]?.awaitsRoom = false
        default: break  // a doorbell: the mailboxes are read in every turn
        }
    }

    // MARK: SIP

    private mutating func sipReceived(_ completion: Completion, now: Instant) {
        if let datagram = sipBuffers.datagram(completion) {
            if datagram.isTruncated {
                counters.add(to: .sipMalformed)
            } else {
                let octets = sipBuffers.copy(datagram.payload)
                control.receive(octets, from: datagram.source, now: now)
            }
        }
        if completion.hasBuffer { sipBuffers.recycle(completion.bufferID) }
        if !completion.hasMore {
            sipBuffers.publish()
            ring.receiveDatagrams(on: sipSocket.file, into: sipBuffers, token: Token(kind: Kind.sipReceive))
        }
    }

    private mutating func carryOut(now: Instant) {
        var outputs = control.takeOutputs()
        while !outputs.isEmpty {
            for output in outputs {
                switch output {
                case .send(let octets, let destination, let transaction):
                    send(octets, to: destination, transaction, now: now)
                case .relay(let command): waitingCommands.append(command)
                case .record(let record): keep(record)
                case .event(let event): announce(event, now: now)
                }
            }
            outputs = control.takeOutputs()  // a refused send leads to more
        }
    }

    private mutating func send(
        _ octets: [UInt8], to destination: SocketAddress, _ transaction: TransactionID?, now: Instant
    ) {
        nextSend &+= 1
        sends[Int(nextSend) % sends.count] = transaction
        let token = Token(kind: Kind.sipSend, index: nextSend)
        if ring.send(copying: octets.span, on: sipSocket.file, to: destination, token: token) {
            counters.add(to: .sipDatagramsSent)
        } else {
            control.sendFailed(transaction, now: now)
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

    private func keep(_ record: CallRecord) {
        guard !keeper.submit(record) else { return }
        logLost(record)
    }

    private func logLost(_ record: CallRecord) {
        let text = (try? ControlLine.notification("record", params: record)).map { String(decoding: $0, as: UTF8.self) }
        log.log(.error, "record.not_kept", ["record": text ?? record.id])
    }

    private mutating func announce(_ event: Event, now: Instant) {
        log.log(event)
        guard clients.values.contains(where: \.connection.isSubscribed) else { return }
        let encoded = EncodedEvent(event)
        for client in clients.values { client.connection.send(encoded, now: now, counters: counters) }
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
            case .recordTrouble(let sentence): log.log(.error, "record.trouble", ["text": sentence])
            case .records(let id, let request, let result):
                let reply: Result<ControlReply, ControlError> = result.map { .records($0) }
                    .mapError { ControlError(.unavailable, "The records cannot be read: \($0)") }
                clients[id]?.connection.reply(to: request, reply, now: now, counters: counters)
            }
        }
    }

    // MARK: The control socket

    private mutating func accept(_ socket: consuming StreamSocket) {
        guard clients.count < Self.clientLimit else { return }  // dropping the socket closes it
        let id = nextClient
        nextClient &+= 1
        let client = ControlClient(socket)
        clients[id] = client
        poll(id, client)
    }

    private mutating func clientReadable(_ completion: Completion, now: Instant) {
        let id = completion.token.index
        guard let client = clients[id] else { return }
        if !completion.hasMore { client.isPolled = false }
        if client.isClosing {
            if !client.isPolled { clients[id] = nil }
            return
        }
        guard !client.connection.hasInputEnded else { return }
        do throws(Errno) {
            while let octets = try client.socket.read() {
                guard !octets.isEmpty else {
                    client.connection.endInput()
                    // The poll would report the end for ever.
                    if client.isPolled { ring.cancel(completion.token) }
                    return
                }
                for request in client.connection.receive(octets, now: now, counters: counters) {
                    execute(request, of: id, client, now: now)
                }
            }
        } catch { return close(id, client) }
        if !client.isPolled { poll(id, client) }
    }

    private mutating func poll(_ id: UInt32, _ client: ControlClient) {
        client.isPolled = ring.pollReadable(
            client.socket.file, repeating: true, token: Token(kind: Kind.clientReadable, index: id))
    }

    private mutating func execute(_ request: ControlRequest, of id: UInt32, _ client: ControlClient, now: Instant) {
        let result: Result<ControlReply, ControlError>
        switch request.command {
        case .status: result = .success(.status(status(now: now)))
        case .calls: result = .success(.calls(control.summaries(now: now)))
        case .call(let name):
            result = control.detail(name, now: now).map { .success(.call($0)) } ?? .failure(Self.unknownCall(name))
        case .hangup(let name):
            result = control.hangUp(name, now: now) ? .success(.done) : .failure(Self.unknownCall(name))
        case .configuration: result = .success(.configuration(configuration.settings.map(ConfigurationRow.init)))
        case .records(let query):
            let inbox = inbox
            keeper.query(query) { inbox.add(.records(client: id, request, $0)) }
            return
        }
        client.connection.reply(to: request, result, now: now, counters: counters)
    }

    private static func unknownCall(_ name: String) -> ControlError {
        ControlError(.notFound, "There is no present call \"\(name.prefix(64))\": see `relayctl calls`, or `relayctl records` for ended ones.")
    }

    private mutating func serveClients(now: Instant) {
        for (id, client) in clients where !client.isClosing {
            do throws(Errno) {
                try client.flush(now: now)
            } catch {
                close(id, client)
                continue
            }
            if client.connection.disposition(at: now) == .close {
                close(id, client)
            } else if client.connection.hasOutput, !client.awaitsRoom {
                client.awaitsRoom = ring.pollWritable(client.socket.file, token: Token(kind: Kind.clientWritable, index: id))
            }
        }
    }

    /// The kernel holds the socket while a poll is armed, so that ends first.
    private mutating func close(_ id: UInt32, _ client: ControlClient) {
        if client.awaitsRoom { ring.cancel(Token(kind: Kind.clientWritable, index: id)) }
        if client.isPolled {
            client.isClosing = true
            ring.cancel(Token(kind: Kind.clientReadable, index: id))
        } else {
            clients[id] = nil
        }
    }

    // MARK: Status

    private func status(now: Instant) -> StatusReport {
        let workerBlocks = (0..<configuration.media.workers).map { pool.counters(worker: $0) }
        let blocks = [counters, keeper.counters] + workerBlocks
        func sum(_ counter: Counter) -> UInt64 { blocks.reduce(0) { $0 + $1[counter] } }
        let drops: [Counter] = [
            .droppedStranger, .droppedMalformed, .droppedUnexpectedProtocol, .droppedOversized, .droppedPeerUnlocked,
            .droppedNoSession,
        ]
        let ports = configuration.media.ports
        return StatusReport(
            version: relaydVersion, pid: getpid(), startedAt: startedAt.wall,
            uptimeSeconds: Int((now - startedAt.instant).components.seconds), draining: control.isDraining,
            sipAddress: configuration.sip.listen,
            media: StatusReport.Media(
                address: configuration.mediaAddress, firstPort: ports.lowerBound, lastPort: ports.upperBound,
                portsInUse: control.portsInUse, portsInQuarantine: control.portsInQuarantine,
                portsFree: control.portsFree),
            calls: StatusReport.Calls(
                current: control.presentCount, connected: control.connectedCount, limit: configuration.limits.calls,
                attempted: counters[.callsAttempted], answered: counters[.callsAnswered],
                released: counters[.callsReleased]),
            workers: workerBlocks.enumerated().map { index, block in
                StatusReport.Worker(
                    index: index, sessions: control.sessionCount(onWorker: index),
                    packetsReceived: block[.rtpPacketsReceived] + block[.rtcpPacketsReceived],
                    packetsSent: block[.rtpPacketsSent] + block[.rtcpPacketsSent],
                    packetsDropped: drops.reduce(0) { $0 + block[$1] })
            },
            records: StatusReport.Records(
                journaled: keeper.counters[.recordsJournaled], stored: keeper.counters[.recordsStored],
                pending: UInt64(keeper.pending), failures: keeper.counters[.recordFailures]),
            ioUring: Self.features(ring),
            counters: Dictionary(uniqueKeysWithValues: Counter.allCases.map { ($0.name, sum($0)) }), warnings: warnings)
    }

    private static func features(_ ring: borrowing Ring) -> [StatusReport.Feature] {
        [
            StatusReport.Feature(
                name: "minimum-batch wait", available: ring.canGather,
                note: "Linux 6.12; without it each packet can wake a busy worker, which costs CPU")
        ]
    }

    // MARK: The end

    private mutating func stop(now: Instant) {
        guard stopDeadline == nil else { return }
        stopDeadline = now + Self.stopTime
        control.beginShutdown(now: now)
    }

    private mutating func isFinished(now: Instant) -> Bool {
        guard let stopDeadline else { return false }
        return (control.isIdle && waitingCommands.isEmpty) || now >= stopDeadline
    }

    private mutating func finish() {
        try? ring.submit()
        if pool.send(.stop) {
            pool.flushDoorbells(on: &ring)
            try? ring.submit()
            pool.join()
        }
        for record in keeper.stop() { logLost(record) }
        log.log(.notice, "daemon.stopped")
    }
}

extension ConfigurationRow {
    fileprivate init(_ setting: Setting) {
        let reload =
            switch setting.reload {
            case .appliedNow: "now"
            case .newCallsOnly: "new calls"
            case .needsRestart: "restart"
            }
        self.init(
            key: setting.key, value: setting.value, origin: setting.origin.description, vosName: setting.vosName,
            reload: reload)
    }
}

extension BufferPool {
    /// Octets that outlive their buffer.
    fileprivate func copy(_ slice: BufferSlice) -> [UInt8] {
        let span = octets(slice)
        var copy: [UInt8] = []
        copy.reserveCapacity(span.count)
        for index in span.indices { copy.append(span[index]) }
        return copy
    }
}
