internal import Core
internal import RTP
internal import Synchronization
internal import Uring

/// One relay thread's state: a ring, its buffers, its sessions. Made and used by that thread alone.
struct Worker: ~Copyable {
    private static let doorbell: UInt8 = 4
    private static let doorbellFailed: UInt8 = 5
    private static let connected: UInt8 = 6
    private static let timer: UInt8 = 7
    private static let disconnected: UInt8 = 8
    /// What a slot's sockets are there for.
    private enum SlotState: UInt8 {
        /// There are none.
        case empty
        case open
        /// A session that is closed, until nothing of it can reach the next one.
        case closing
        /// The next session, if it has the same addresses.
        case kept
        /// They are being closed.
        case dropping

        var hasSockets: Bool { self == .open || self == .closing || self == .kept }
    }

    /// Completions handled with one clock reading.
    private static let waveSize = 256
    private let plainReceiveDelay: UInt64

    private var ring: Ring
    private var pool: BufferPool
    private var batch = CompletionBatch(capacity: Worker.waveSize)
    private var path: PacketPath
    /// Of the last use of each slot.
    private var generations: [UInt32]
    /// Buffers of queued sends: given back once the kernel has consumed those.
    private var held: HeldBuffers
    private var starved: StarvedStreams
    private let link: WorkerLink

    /// Those that are closing among them.
    private var openSessions = 0
    /// One past the highest slot ever used: where housekeeping ends.
    private var slotsUsed = 0
    private var slots: [SlotState]
    private var isStopping = false
    /// A command that could not be carried out yet, for want of kernel memory; those after it wait in the mailbox.
    private var stalledCommand: WorkerCommand?
    /// Events that did not fit into the mailbox; sent before any other.
    private var backlog: [WorkerEvent] = []
    private var mustRingControl = false
    /// When control is woken for what it does not wait for, if it has not looked by itself; zero while there is nothing.
    private var ringControlAt: UInt64 = 0

    private var now: UInt64 = 0
    private var nextHousekeeping: UInt64 = 0
    private var packetsSinceHousekeeping: UInt64 = 0
    private var isBusy = false
    /// So many packets end the waiting of a busy worker before its window does.
    private var waveGoal: UInt32 = 16
    private var systemCallsCounted: UInt64 = 0
    /// For tests: what the receives that were ended in a test's name say they ended of.
    private var faultOfReceives: (code: Errno, left: Int)?
    private var fixedFilesToRefuse = 0
    private var disconnectsToFail = 0

    /// On the worker's thread.
    init(link: WorkerLink) throws(RingError) {
        let settings = link.settings
        let sessions = settings.sessionsPerWorker
        let ring = try Ring(
            submissionEntries: settings.submissionEntries, completionEntries: settings.completionEntries,
            fixedFiles: UInt32(sessions * 4))
        pool = try BufferPool(ring: ring, group: 1, count: settings.receiveBuffers)
        self.ring = ring
        held = HeldBuffers(capacity: settings.receiveBuffers)
        starved = StarvedStreams(streams: sessions * 4)
        generations = Array(repeating: 0, count: sessions)
        path = PacketPath(
            sessionCapacity: sessions, worker: link.number, workers: settings.workers, lockPolicy: settings.lock,
            counters: link.counters, activity: link.activity, statistics: link.statistics, kernel: link.kernel, tap: link.tap,
            reports: link.reports)
        slots = Array(repeating: .empty, count: sessions)
        self.link = link
        plainReceiveDelay = UInt64(clamping: settings.plainReceiveDelay.nanoseconds)
        now = MonotonicClock.now.nanoseconds
    }

    var descriptor: RingDescriptor { ring.descriptor }

    /// Runs until told to stop.
    ///
    /// - Throws: what the kernel said when the ring failed; nothing can be relayed then.
    mutating func run() throws(Errno) {
        readMailbox()  // a pool that could not start all its workers stops the others without a doorbell
        while !isStopping { try turn() }
        post(.stopped(worker: link.number))
        // Control takes everything out in time; were it gone, nobody would miss the rest.
        flushEvents()
        try endReceives()
    }

    /// Ends every receive, so that the sockets are closed with the ring and not some time after it.
    private mutating func endReceives() throws(Errno) {
        var armed: UInt32 = 0
        for stream in 0..<(slotsUsed * 4) where mode(stream: stream) != .none {
            cancelReceive(stream: stream)
            armed += 1
        }
        let deadline = MonotonicClock.now + .seconds(1)
        while armed > 0, MonotonicClock.now < deadline {
            // The kernel does no more at a time than is waited for.
            try ring.submitAndWait(atLeast: min(armed, UInt32(Self.waveSize)), gather: .milliseconds(10), timeout: .milliseconds(50))
            for index in 0..<ring.takeCompletions(into: &batch) where !batch[index].hasMore {
                let kind = batch[index].token.kind
                if kind == PacketPath.receiveMessage || kind == PacketPath.receivePlain { armed -= 1 }
            }
        }
    }

    /// The ring failed: control learns it by an unasked `stopped` with its next look into the mailbox.
    mutating func abandon() { _ = link.events.send(.relay(.stopped(worker: link.number))) }

    /// Submits what is queued, waits, and handles what is ready.
    private mutating func turn() throws(Errno) {
        let formerTurn = now
        if path.hasPending { handOver() }
        let window = isBusy && !ring.hasCompletions ? link.settings.waitWindow : .zero
        let due = nextDue
        // A limit for each wait would set the processor's timer in each turn.
        let limit: Duration? =
            due <= now ? .zero
            : ring.setTimer(at: Instant(nanoseconds: due), token: Token(kind: Self.timer)) ? nil : .nanoseconds(Int64(due - now))
        try ring.submitAndWait(atLeast: waveGoal, gather: window, timeout: limit)
        if ring.isSubmitted { held.giveBack(to: &pool) }
        let count = ring.takeCompletions(into: &batch)
        now = MonotonicClock.now.nanoseconds
        if let faults = link.settings.faults { fail(faults) }
        // In every turn, and before its packets: each packet meets what control had said when it came, without a doorbell. One
        // that the kernel had no memory for is made up for, too.
        readMailbox()
        relayWave(count)
        // What had come when this turn began has all been looked at.
        if count < batch.capacity && starved.isEmpty && !ring.hasCompletions {
            link.heardUntil.store(formerTurn, ordering: .releasing)
        }
        if !starved.isEmpty { feedStarved() }
        if now >= nextHousekeeping { keepHouse() }
        flushEvents()
        path.count(.relayTurns)
        path.count(.systemCalls, ring.systemCalls &- systemCallsCounted)
        systemCallsCounted = ring.systemCalls
        path.publishCounters()
    }

    /// Gives streams to the program in the kernel: what the worker sends of them is out before it sends the next.
    @inline(never)
    private mutating func handOver() {
        do throws(Errno) {
            try ring.submit()
            path.givePending(isSent: ring.isSubmitted)
        } catch {
            // Completions must be taken first, or a signal came. What does not pass is said by the wait that follows.
            path.givePending(isSent: false)
        }
    }

    /// When something is to be done though nothing comes: the next housekeeping while there is anything to look after.
    private var nextDue: UInt64 {
        if !backlog.isEmpty || stalledCommand != nil { return now &+ 1_000_000 }
        let next = openSessions > 0 ? nextHousekeeping : now &+ 1_000_000_000
        return ringControlAt != 0 ? min(next, ringControlAt) : next
    }

    /// The packet path: everything that runs per packet is compiled into this function.
    @inline(never)
    private mutating func relayWave(_ count: Int) {
        for index in 0..<count {
            let completion = batch[index]
            let kind = completion.token.kind
            guard kind == PacketPath.receiveMessage || kind == PacketPath.receivePlain else {
                handleOther(completion)
                continue
            }
            let verdict = path.decide(completion, in: pool, now: now)
            var isHeld = false
            if verdict.isForwarded {
                isHeld = ring.send(
                    verdict.octets, of: pool, on: File(fixed: verdict.stream), to: verdict.destination,
                    token: verdict.sendToken)
                if !isHeld { path.count(.sendFailures) }
            }
            if completion.hasBuffer {
                if isHeld { held.append(completion.bufferID) } else { pool.recycle(completion.bufferID) }
            }
            if verdict.isLocking || verdict.isReconnecting { sourceSettled(verdict) }
            if verdict.hasDigit { reportDigit(verdict) }
            if !completion.hasMore { receiveEnded(completion) }
        }
        packetsSinceHousekeeping &+= UInt64(truncatingIfNeeded: count)
        pool.publish()
    }

    @inline(never)
    private mutating func handleOther(_ completion: Completion) {
        switch completion.token.kind {
        case PacketPath.send:
            path.count(.sendFailures)
            noteSendFailure(completion)
        case Self.doorbell: break  // the mailbox is read in every turn
        case Self.doorbellFailed: mustRingControl = true
        case Self.connected: connectEnded(completion)
        case Self.disconnected: disconnectEnded(completion)
        case Self.timer: ring.timerEnded()
        default: break
        }
    }

    // MARK: Receives

    private static func receiveToken(_ mode: ReceiveMode, stream: Int, generation: UInt32) -> Token {
        let kind = mode == .plain ? PacketPath.receivePlain : PacketPath.receiveMessage
        return Token(kind: kind, generation: generation, index: UInt32(stream))
    }

    /// Arms a stream's receive; when the kernel takes nothing now, housekeeping tries again.
    private mutating func arm(stream: Int) {
        let number = stream / 2
        let mode = wantedMode(stream: stream)
        if stream & 1 == 0 && mode == .message && mustHearOthers(leg: number) { disconnect(leg: number) }
        let token = Self.receiveToken(mode, stream: stream, generation: path[leg: number].socketGeneration)
        let file = File(fixed: UInt32(stream))
        let isQueued =
            mode == .plain
            ? ring.receive(on: file, into: pool, token: token)
            : ring.receiveDatagrams(on: file, into: pool, token: token)
        setMode(isQueued ? mode : .none, stream: stream)
        if slots[stream / 4] == .kept { noteHearing(session: stream / 4) }
    }

    private mutating func setMode(_ mode: ReceiveMode, stream: Int) {
        if stream & 1 == 0 { path[leg: stream / 2].rtpReceive = mode } else { path[leg: stream / 2].rtcpReceive = mode }
    }

    private func mode(stream: Int) -> ReceiveMode {
        return stream & 1 == 0 ? path[leg: stream / 2].rtpReceive : path[leg: stream / 2].rtcpReceive
    }

    private func wantedMode(stream: Int) -> ReceiveMode { stream & 1 == 0 ? path[leg: stream / 2].rtpWanted : .message }

    /// Ends a stream's receive. When the kernel takes nothing now, housekeeping tries again.
    private mutating func cancelReceive(stream: Int) {
        let present = mode(stream: stream)
        guard present != .none else { return }
        ring.cancel(Self.receiveToken(present, stream: stream, generation: path[leg: stream / 2].socketGeneration))
    }

    /// A multishot receive is over: cancelled, out of buffers, an ICMP error, or just so.
    @inline(never)
    private mutating func receiveEnded(_ completion: Completion) {
        let stream = Int(completion.token.index)
        let session = stream / 4
        guard path[leg: stream / 2].socketGeneration == completion.token.generation else { return }
        if path[leg: stream / 2].isOpen { noteRefusal(completion, stream: stream) }
        let isOurs = completion.failure == .cancelled && mode(stream: stream) != wantedMode(stream: stream)
        setMode(.none, stream: stream)
        guard slots[session].hasSockets else {
            finishDropping(session: session)
            return
        }
        defer { finishClosing(session: session) }
        if slots[session] == .kept { noteHearing(session: session) }
        if completion.failure == .noBuffers {
            path.count(.receiveBuffersExhausted)
            path[leg: stream / 2].connectedSince = now
        }
        if !isOurs { path.count(.receiveRearms) }
        if completion.failure == .noBuffers && starved.append(stream) { return }
        arm(stream: stream)
    }

    /// A send that a session's own socket did not take, or what ICMP said of an earlier one.
    private mutating func noteSendFailure(_ completion: Completion) {
        let stream = Int(completion.token.index)
        guard stream / 4 < slotsUsed, path[leg: stream / 2].generation == completion.token.generation else { return }
        noteRefusal(completion, stream: stream)
        if let failure = completion.failure, !failure.leavesSocketGood { path[leg: stream / 2].hasFailedSocket = true }
    }

    /// A connected socket reports what its peer's host or a router said by ICMP, once: to a send or to the receive.
    private mutating func noteRefusal(_ completion: Completion, stream: Int) {
        guard let failure = completion.failure, failure == .refused || failure == .hostUnreachable else { return }
        path.countRefusal(stream: stream)
    }

    /// Says whether all that comes to kept sockets is heard, and so whether control may go by `ActivityTable.lastStray`.
    private mutating func noteHearing(session: Int) {
        var isHearing = true
        for stream in (session * 4)..<(session * 4 + 4) where mode(stream: stream) == .none { isHearing = false }
        link.activity.noteStray(sessionID(session).index, at: isHearing ? now : .max)
    }

    /// Arms streams that starved of buffers, the first in line first, as far as there are buffers for them.
    @inline(never)
    private mutating func feedStarved() {
        // What is neither held nor waits among the completions is free. A receive takes up to 32 datagrams in one go.
        let free = pool.bufferCount - held.count - ring.completionsReady
        var rest = max(1, free / 32)
        while rest > 0, let stream = starved.next() {
            // Closed meanwhile, or opened anew.
            guard mode(stream: stream) == .none, slots[stream / 4].hasSockets else { continue }
            arm(stream: stream)
            rest -= 1
        }
    }

    // MARK: Sources

    /// A leg has locked, or its source is back: connect the socket, so that the kernel drops strangers.
    @inline(never)
    private mutating func sourceSettled(_ verdict: Verdict) {
        let number = Int(verdict.leg)
        let source = path[leg: number].lock.source
        if verdict.isLocking {
            post(.locked(sessionID(number / 2), number & 1 == 0 ? .caller : .callee, source))
        }
        guard path[leg: number].lock.mayConnect else {
            disconnect(leg: number)
            return
        }
        let token = Token(kind: Self.connected, generation: path[leg: number].generation, index: UInt32(number))
        path[leg: number].isConnected = false
        path[leg: number].wasConnected = true
        path[leg: number].isConnecting = ring.connect(File(fixed: UInt32(number * 2)), to: source, token: token)
        path[leg: number].connectedSince = now
    }

    /// A refusal, for want of a route for example, leaves an unconnected socket: correct, only slower.
    private mutating func connectEnded(_ completion: Completion) {
        let number = Int(completion.token.index)
        // Disconnected meanwhile, or of an earlier session.
        guard path[leg: number].isConnecting, path[leg: number].generation == completion.token.generation else { return }
        path[leg: number].isConnecting = false
        path[leg: number].isConnected = completion.result >= 0
    }

    /// True when a connected leg's source may have moved: after a new offer, or since it fell silent.
    private func mustHearOthers(leg number: Int) -> Bool {
        guard path[leg: number].isConnected || path[leg: number].isConnecting else { return false }
        return path[leg: number].lock.isReplacing
            || path[leg: number].lock.isSilent(now: now, policy: link.settings.lock)
    }

    /// When the kernel takes nothing now, housekeeping comes by again.
    private mutating func disconnect(leg number: Int) {
        guard path[leg: number].isConnected || path[leg: number].isConnecting else { return }
        guard ring.disconnect(File(fixed: UInt32(number * 2))) else { return }
        path[leg: number].isConnected = false
        path[leg: number].isConnecting = false
    }

    /// The last disconnect of a session whose sockets are to be kept.
    private mutating func disconnectEnded(_ completion: Completion) {
        let number = Int(completion.token.index)
        guard path[leg: number].isDisconnecting, path[leg: number].generation == completion.token.generation else { return }
        path[leg: number].isDisconnecting = false
        path[leg: number].wasConnected = false
        if completion.result < 0 || disconnectsToFail > 0 {
            disconnectsToFail = max(0, disconnectsToFail - 1)
            path[leg: number].hasFailedSocket = true
        }
        finishClosing(session: number / 2)
    }

    /// Changes the RTP receive to another mode: cancels it, and `receiveEnded` arms it anew.
    private mutating func want(_ mode: ReceiveMode, leg number: Int) {
        guard path[leg: number].rtpWanted != mode else { return }
        path[leg: number].rtpWanted = mode
        cancelReceive(stream: number * 2)
    }

    // MARK: Housekeeping

    private mutating func keepHouse() {
        let interval = UInt64(clamping: link.settings.housekeepingInterval.nanoseconds)
        let elapsed = max(1, now &- (nextHousekeeping &- interval))
        let rate = packetsSinceHousekeeping &* 1_000_000_000 / elapsed
        isBusy = rate >= UInt64(link.settings.busyRate)
        // What should come in three quarters of the window: an even stream is not held up for the whole of it, only one that
        // has just grown thinner is.
        let expected = rate &* UInt64(clamping: link.settings.waitWindow.nanoseconds) / 1_000_000_000 &* 3 / 4
        waveGoal = UInt32(clamping: min(UInt64(Self.waveSize), max(16, expected)))
        packetsSinceHousekeeping = 0
        if link.number == 0 { link.kernel?.followRoutes() }
        nextHousekeeping = now &+ interval
        readMailbox()
        for number in 0..<(slotsUsed * 2) { keepHouse(leg: number) }
    }

    private mutating func keepHouse(leg number: Int) {
        let slot = slots[number / 2]
        guard slot != .empty else { return }
        for stream in (number * 2)...(number * 2 + 1) {
            // Usually there is nothing to do. Otherwise the kernel took no operation when it should have been done.
            let present = mode(stream: stream)
            if slot.hasSockets && present == .none {
                if starved.isEmpty { arm(stream: stream) }
            } else if present != (slot.hasSockets ? wantedMode(stream: stream) : .none) {
                cancelReceive(stream: stream)
            }
        }
        if slot == .closing { endConnection(leg: number) }
        guard path[leg: number].isOpen else { return }
        path.keepStatistics(leg: number, now: now)
        guard path[leg: number].isConnected else { return }
        if mustHearOthers(leg: number) {
            hearOthers(leg: number)
        } else if now &- path[leg: number].connectedSince >= plainReceiveDelay {
            want(.plain, leg: number)
        }
    }

    /// Disconnects a leg's socket, but not before its receive says where datagrams come from.
    private mutating func hearOthers(leg number: Int) {
        if path[leg: number].rtpReceive == .message && path[leg: number].rtpWanted == .message {
            disconnect(leg: number)
        } else {
            want(.message, leg: number)
        }
    }

    // MARK: Commands

    private mutating func readMailbox() {
        while let command = stalledCommand ?? link.commands.receive() {
            stalledCommand = nil
            switch command {
            case .adopt(let id, let sockets):
                guard adopt(id, sockets) else {
                    stalledCommand = command
                    return
                }
            case .reopen(let id): reopen(id)
            case .drop(let slot): drop(session: Int(slot) / link.settings.workers)
            case .relay(.expect(let id, let leg, let source)): expect(id, leg, source)
            case .relay(.treat(let id, let leg, let treatment)): treat(id, leg, treatment)
            case .relay(.sendEvent(let id, let leg, let event)): sendEvent(id, leg, event)
            case .relay(.listen(let id, let leg, let isOn)): listen(id, leg, isOn)
            case .relay(.tap(let id, let isOn)): tap(id, isOn)
            case .relay(.close(let id)): close(id)
            case .relay(.stop): isStopping = true
            case .relay(.open): preconditionFailure("the pool opens")
            }
        }
    }

    private func localSession(_ id: SessionID) -> Int { Int(id.index) / link.settings.workers }

    private func sessionID(_ session: Int) -> SessionID {
        SessionID(
            index: UInt32(session * link.settings.workers + link.number), generation: generations[session])
    }

    /// Takes a session's sockets over; false when the kernel has no memory for that now.
    private mutating func adopt(_ id: SessionID, _ sockets: SessionSockets) -> Bool {
        let session = localSession(id)
        precondition(slots[session] == .empty, "control has sockets made for a slot that has none")
        guard fixedFilesToRefuse == 0 else {
            fixedFilesToRefuse -= 1
            return false
        }
        do throws(Errno) {
            try ring.setFixedFiles(sockets.descriptors, at: UInt32(session * 4))
        } catch {
            return false
        }
        sockets.close()
        path.open(session: session, generation: id.generation)
        begin(id, session: session)
        for stream in (session * 4)..<(session * 4 + 4) { arm(stream: stream) }
        return true
    }

    /// What came in the time of the session before was dropped: control has seen to that.
    private mutating func reopen(_ id: SessionID) {
        let session = localSession(id)
        precondition(slots[session] == .kept, "control has seen that there are sockets")
        path.reopen(session: session, generation: id.generation)
        begin(id, session: session)
    }

    private mutating func begin(_ id: SessionID, session: Int) {
        generations[session] = id.generation
        slots[session] = .open
        if openSessions == 0 {
            now = MonotonicClock.now.nanoseconds
            nextHousekeeping = now &+ UInt64(clamping: link.settings.housekeepingInterval.nanoseconds)
        }
        openSessions += 1
        slotsUsed = max(slotsUsed, session + 1)
    }

    private mutating func expect(_ id: SessionID, _ leg: Leg, _ source: ExpectedSource) {
        let session = localSession(id)
        guard path.isOpen(session: session, generation: id.generation) else { return }
        let number = session * 2 + leg.offset
        if path.expect(session: session, leg: leg, source) { hearOthers(leg: number) }
    }

    private mutating func treat(_ id: SessionID, _ leg: Leg, _ treatment: MediaTreatment) {
        let session = localSession(id)
        guard path.isOpen(session: session, generation: id.generation) else { return }
        path.treat(session: session, leg: leg, treatment)
    }

    private mutating func sendEvent(_ id: SessionID, _ leg: Leg, _ event: TelephoneEventSender.Event) {
        let session = localSession(id)
        guard path.isOpen(session: session, generation: id.generation) else { return }
        if !path.send(event, session: session, leg: leg) { path.count(.digitsLost) }
    }

    @inline(never)
    private mutating func reportDigit(_ verdict: Verdict) {
        let number = Int(verdict.leg)
        let (code, milliseconds) = verdict.digit
        post(.digit(sessionID(number / 2), number & 1 == 0 ? .caller : .callee, code: code, milliseconds: milliseconds))
    }

    private mutating func listen(_ id: SessionID, _ leg: Leg, _ isOn: Bool) {
        let session = localSession(id)
        guard path.isOpen(session: session, generation: id.generation) else { return }
        path.listen(session: session, leg: leg, isOn)
    }

    private mutating func tap(_ id: SessionID, _ isOn: Bool) {
        let session = localSession(id)
        guard path.isOpen(session: session, generation: id.generation) else { return }
        path.tap(session: session, isOn)
    }

    private mutating func close(_ id: SessionID) {
        let session = localSession(id)
        guard path.isOpen(session: session, generation: id.generation) else { return }
        path.close(session: session, now: Instant(nanoseconds: now))
        slots[session] = .closing
        for number in (session * 2)...(session * 2 + 1) { endConnection(leg: number) }
        finishClosing(session: session)
    }

    /// Has a leg's RTP socket hear everybody, and say whom, whether or not it did. When the kernel takes nothing now,
    /// housekeeping comes by again.
    private mutating func endConnection(leg number: Int) {
        if path[leg: number].wasConnected && !path[leg: number].isDisconnecting {
            let token = Token(kind: Self.disconnected, generation: path[leg: number].generation, index: UInt32(number))
            path[leg: number].isDisconnecting = ring.disconnect(File(fixed: UInt32(number * 2)), token: token)
            path[leg: number].isConnected = false
            path[leg: number].isConnecting = false
        }
        want(.message, leg: number)
    }

    /// Once the sockets of a closed session hear everybody they are there for the next one. None of which something failed.
    private mutating func finishClosing(session: Int) {
        guard slots[session] == .closing else { return }
        var hasFailed = false
        for number in (session * 2)...(session * 2 + 1) {
            let leg = path[leg: number]
            guard !leg.wasConnected, leg.rtpReceive != .plain else { return }
            if leg.hasFailedSocket { hasFailed = true }
        }
        openSessions -= 1
        slots[session] = .kept
        noteHearing(session: session)
        post(.closed(sessionID(session), keepsSockets: !hasFailed), isAwaited: false)
        if hasFailed { drop(session: session) }
    }

    /// Closes the sockets of a slot that no session has.
    private mutating func drop(session: Int) {
        precondition(slots[session] == .kept, "control has seen that there are sockets")
        slots[session] = .dropping
        for stream in (session * 4)..<(session * 4 + 4) { cancelReceive(stream: stream) }
        finishDropping(session: session)
    }

    /// Once no receive is left, closes the sockets.
    private mutating func finishDropping(session: Int) {
        guard slots[session] == .dropping else { return }
        for stream in (session * 4)..<(session * 4 + 4) where mode(stream: stream) != .none { return }
        slots[session] = .empty
        ring.clearFixedFiles(at: UInt32(session * 4))
        post(.dropped(slot: sessionID(session).index))
    }

    // MARK: Failures in tests

    private mutating func fail(_ faults: KernelFaults) {
        for fault in faults.take() {
            switch fault {
            case .refuseFixedFiles(let count): fixedFilesToRefuse = count
            case .refuseEntries(let count): ring.entriesToRefuse = count
            case .failDisconnects(let count): disconnectsToFail = count
            case .endReceives(let code):
                let armed = (0..<(slotsUsed * 4)).filter { mode(stream: $0) != .none }
                for stream in armed { cancelReceive(stream: stream) }
                faultOfReceives = (code, armed.count)
            }
        }
        guard let (code, left) = faultOfReceives else { return }
        var rest = left
        for index in 0..<batch.count where batch[index].failure == .cancelled && !batch[index].hasMore {
            batch.replace(index, with: Completion(token: batch[index].token, result: -code.code, buffer: nil, hasMore: false))
            rest -= 1
        }
        faultOfReceives = rest > 0 ? (code, rest) : nil
    }

    // MARK: Events

    private mutating func post(_ event: RelayEvent) { post(.relay(event)) }

    private mutating func post(_ event: WorkerEvent, isAwaited: Bool = true) {
        if isAwaited {
            mustRingControl = true
        } else if ringControlAt == 0 {
            ringControlAt = max(1, now &+ UInt64(clamping: link.settings.doorbellDelay.nanoseconds))
        }
        if !backlog.isEmpty || !link.events.send(event) { backlog.append(event) }
    }

    private mutating func flushEvents() {
        while let event = backlog.first, link.events.send(event) {
            backlog.removeFirst()
            mustRingControl = true
        }
        if ringControlAt != 0 && (mustRingControl || now >= ringControlAt) {
            ringControlAt = 0
            if !link.events.isEmpty { mustRingControl = true }
        }
        guard mustRingControl else { return }
        mustRingControl = !ring.ringDoorbell(
            of: link.control, delivering: link.controlDoorbell, token: Token(kind: Self.doorbellFailed))
    }

    /// What control rings this worker with.
    static let doorbellToken = Token(kind: doorbell)
}
