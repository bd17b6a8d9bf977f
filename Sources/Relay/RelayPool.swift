public import Core
internal import Synchronization
public import Uring

/// Why the relay did not start. Each description is one sentence for an operator.
public enum RelayStartError: Error, CustomStringConvertible {
    case ring(RingError)
    case thread(Errno)
    case descriptorLimit(needed: Int, allowed: Int)

    public var description: String {
        switch self {
        case .ring(let error): "\(error)"
        case .thread(let code): "A relay thread could not be started: \(code)."
        case .descriptorLimit(let needed, let allowed):
            "The relay needs \(needed) open files for its sessions but may have \(allowed): raise LimitNOFILE of the unit "
                + "(or `ulimit -n`), or lower the session capacity."
        }
    }
}

/// What one worker and control share.
final class WorkerLink: Sendable {
    let number: Int
    let settings: RelaySettings
    let commands: Mailbox<WorkerCommand>
    let events: Mailbox<WorkerEvent>
    let counters = CounterBlock()
    let tap = PacketTap()
    /// What came until then the worker has looked at, in nanoseconds. Written by the worker alone, in each turn that left nothing
    /// behind, and so once a second at least. Releasing: what `ActivityTable.lastStray` says was written before.
    let heardUntil = Atomic<UInt64>(0)
    let reports: PacketTap?
    let kernel: KernelPath?
    let activity: ActivityTable
    let statistics: StatisticsTable
    let control: RingDescriptor
    let controlDoorbell: Token
    /// Set once by the worker, then `started` is signalled.
    let start = Mutex<Result<RingDescriptor, RingError>?>(nil)
    let started: EventDescriptor

    init(
        number: Int, settings: RelaySettings, kernel: KernelPath?, activity: ActivityTable, statistics: StatisticsTable,
        control: RingDescriptor, controlDoorbell: Token, started: EventDescriptor
    ) {
        self.number = number
        self.settings = settings
        // A session has one command or answer of each kind under way, plus offers and locks that change its sources. Not all
        // sessions do at once: whoever finds a mailbox full keeps the rest for the next turn.
        reports = settings.copiesReports ? PacketTap(capacity: 1 << 20) : nil
        commands = Mailbox(capacity: min(settings.sessionsPerWorker * 4 + 64, 4096))
        events = Mailbox(capacity: min(settings.sessionsPerWorker * 4 + 64, 8192))
        self.kernel = kernel
        self.activity = activity
        self.statistics = statistics
        self.control = control
        self.controlDoorbell = controlDoorbell
        self.started = started
    }
}

/// The relay workers, as the control thread sees them. Made, used and stopped by that thread.
public struct RelayPool: ~Copyable {
    /// When each leg was last heard.
    public let activity: ActivityTable
    /// What each leg counted.
    public let statistics: StatisticsTable
    public let settings: RelaySettings
    /// The program inside the kernel; nil when there is none, for `kernelRefusal` if it was asked for.
    private let kernel: KernelPath?
    public let kernelRefusal: KernelPathRefusal?
    /// The devices at which it stands; nil when there is none.
    public var kernelDevices: [String]? { kernel?.devices }
    private let links: [WorkerLink]
    private let threads: [Thread]
    private let rings: [RingDescriptor]
    private enum Doorbell { case none, later, now }

    /// A session whose slot has sockets of other addresses, which are being closed.
    private struct Waiting {
        let id: SessionID
        let caller: SocketAddress
        let callee: SocketAddress
        /// What was sent to it meanwhile.
        var commands: [RelayCommand] = []
    }

    private struct LegSet: OptionSet {
        let rawValue: UInt8

        init(rawValue: UInt8) { self.rawValue = rawValue }
        init(_ leg: Leg) { rawValue = 1 << UInt8(leg.offset) }
    }

    private var doorbells: [Doorbell]
    /// Of each session, the legs whose sources were announced since it was opened.
    private var expectedLegs: [LegSet]
    private var sockets: SlotSockets
    private var waiting: [UInt32: Waiting] = [:]
    /// When workers that were sent something that nobody waits for are woken; nil while there are none.
    public private(set) var nextDoorbell: Instant?
    private var nextWorker = 0
    /// What opening sessions came to, from `nextOutcome` on.
    private var outcomes: [RelayEvent] = []
    private var nextOutcome = 0
    /// What is counted here and not by a worker: refused sockets.
    public let counters = CounterBlock()

    /// Starts the workers.
    ///
    /// - Parameter doorbell: what appears on `controlRing` when there are events to take.
    public init(settings: RelaySettings, controlRing: borrowing Ring, doorbell: Token) throws(RelayStartError) {
        precondition(settings.workers > 0 && settings.sessionCapacity > 0)
        // Each worker's table of fixed files holds four sockets a session and may be no larger than the limit, though it
        // takes no descriptors. SIP, the control socket, the store, the rings and sockets in the making do.
        let needed = max(settings.sessionsPerWorker * 4, 128)
        let allowed = SystemLimits.raiseDescriptorLimit()
        guard needed <= allowed else { throw .descriptorLimit(needed: needed, allowed: allowed) }

        let sessions = settings.sessionsPerWorker * settings.workers
        var kernel: KernelPath?
        var kernelRefusal: KernelPathRefusal?
        if settings.usesKernelPath {
            do throws(KernelPathRefusal) {
                kernel = try KernelPath(legCapacity: sessions * 2, withLoopback: settings.kernelPathHasLoopback)
            } catch {
                kernelRefusal = error
            }
        }
        let activity = ActivityTable(sessionCapacity: sessions, kernel: kernel)
        let statistics = StatisticsTable(activity: activity)
        var links: [WorkerLink] = []
        var threads: [Thread] = []
        var rings: [RingDescriptor] = []
        do throws(RelayStartError) {
            for number in 0..<settings.workers {
                do throws(Errno) {
                    let link = WorkerLink(
                        number: number, settings: settings, kernel: kernel, activity: activity, statistics: statistics,
                        control: controlRing.descriptor, controlDoorbell: doorbell, started: try EventDescriptor())
                    links.append(link)
                    threads.append(
                        try Thread(
                            name: "relay-\(number)", cpu: number < settings.cpus.count ? settings.cpus[number] : nil,
                            context: link, body: runWorker))
                } catch {
                    throw .thread(error)
                }
            }
            for link in links {
                link.started.wait()
                switch link.start.withLock({ $0 }) {
                case .success(let ring)?: rings.append(ring)
                case .failure(let error)?: throw .ring(error)
                case nil: preconditionFailure("a worker says how it started")
                }
            }
        } catch {
            for index in threads.indices {
                // Mailboxes are still empty, and a worker that has started reads its own before its first wait.
                _ = links[index].commands.send(.relay(.stop))
                threads[index].join()
            }
            throw error
        }
        self.settings = settings
        self.kernel = kernel
        self.kernelRefusal = kernelRefusal
        self.activity = activity
        self.statistics = statistics
        self.links = links
        self.threads = threads
        self.rings = rings
        doorbells = Array(repeating: .none, count: settings.workers)
        expectedLegs = Array(repeating: [], count: activity.sessionCapacity)
        sockets = SlotSockets(capacity: activity.sessionCapacity)
    }

    /// Makes the sockets of a session to be opened, or takes those its slot has, so that the outcome is the next event; queues any
    /// other command for the session's worker, and `stop` for all of them. A worker reads them after `flushDoorbells`.
    ///
    /// - Returns: false when a mailbox is full: the worker is behind, and the command was not taken.
    public mutating func send(_ command: RelayCommand) -> Bool {
        if !waiting.isEmpty, let session = command.session, waiting[session.index]?.id == session {
            waiting[session.index]?.commands.append(command)
            return true
        }
        switch command {
        case .open(let id, let caller, let callee):
            return open(id, caller: caller, callee: callee)
        case .close(let id), .listen(let id, _, _):
            return send(.relay(command), to: worker(of: id), doorbell: .later)
        case .expect(let id, let leg, _):
            // The first packet of a new session wakes the worker, which then reads what is expected. Later a connected socket
            // keeps a new source's packets from it.
            let isFirst = expectedLegs[Int(id.index)].insert(LegSet(leg)).inserted
            return send(.relay(command), to: worker(of: id), doorbell: isFirst ? .none : .now)
        case .treat(let id, _, _), .sendEvent(let id, _, _), .tap(let id, _):
            return send(.relay(command), to: worker(of: id), doorbell: .now)
        case .stop:
            var isSent = true
            for worker in links.indices where !send(.relay(.stop), to: worker, doorbell: .now) { isSent = false }
            return isSent
        }
    }

    private func worker(of id: SessionID) -> Int { Int(id.index) % links.count }

    private mutating func send(_ command: WorkerCommand, to worker: Int, doorbell: Doorbell) -> Bool {
        let isSent = links[worker].commands.send(command)
        if doorbell == .now || !isSent { doorbells[worker] = .now } else if doorbells[worker] == .none { doorbells[worker] = doorbell }
        return isSent
    }

    /// Slots that have sockets for the next session.
    public var keptCount: Int { sockets.keptCount }

    /// Closes what sockets a slot has kept; one that has none, or is in use, stays as it is.
    ///
    /// - Returns: false when the worker is behind, and nothing was done.
    public mutating func drop(slot: UInt32) -> Bool {
        guard sockets[slot] == .kept else { return true }
        guard send(.drop(slot: slot), to: Int(slot) % links.count, doorbell: .later) else { return false }
        sockets[slot] = .closing
        return true
    }

    private mutating func open(_ id: SessionID, caller: SocketAddress, callee: SocketAddress) -> Bool {
        let worker = worker(of: id)
        guard links[worker].commands.hasRoom else {
            doorbells[worker] = .now
            return false
        }
        // Before the worker hears of the session, or anybody reads of it.
        activity.clear(id.index)
        statistics.clear(id.index)
        expectedLegs[Int(id.index)] = []
        switch sockets[id.index] {
        case .none: make(id, caller: caller, callee: callee)
        case .kept where sockets.has(caller, callee, in: id.index) && isQuiet(id.index):
            // Nobody needs to wake the worker: the first packet does.
            let isSent = send(.reopen(id), to: worker, doorbell: .none)
            precondition(isSent, "there was room, and nobody else sends")
            sockets[id.index] = .inUse
            counters.add(to: .socketsReused)
            outcomes.append(.opened(id))
        case .kept:
            let isSent = send(.drop(slot: id.index), to: worker, doorbell: .now)
            precondition(isSent, "there was room, and nobody else sends")
            sockets[id.index] = .closing
            waiting[id.index] = Waiting(id: id, caller: caller, callee: callee)
        case .closing:
            doorbells[worker] = .now
            waiting[id.index] = Waiting(id: id, caller: caller, callee: callee)
        case .inUse: preconditionFailure("a slot has one session")
        }
        return true
    }

    /// True when nothing came to the slot's sockets for a while after the end of their session, as far as its worker has looked.
    func isQuiet(_ slot: UInt32) -> Bool {
        guard let quietTime = settings.quietTime else { return true }
        let heardUntil = Instant(nanoseconds: links[Int(slot) % links.count].heardUntil.load(ordering: .acquiring))
        let stray = activity.lastStray(slot)
        return stray <= heardUntil && heardUntil - stray >= quietTime
    }

    /// The slot has no sockets, and its worker's mailbox has room.
    private mutating func make(_ id: SessionID, caller: SocketAddress, callee: SocketAddress) {
        do throws(SocketRefusal) {
            let made = try SessionSockets(
                caller: caller, callee: callee, typeOfService: settings.typeOfService, faults: settings.faults)
            kernel?.add(session: id.index, caller: caller, callee: callee, typeOfService: settings.typeOfService)
            let isSent = send(.adopt(id, made), to: worker(of: id), doorbell: .later)
            precondition(isSent, "there was room, and nobody else sends")
            sockets.set(caller, callee, in: id.index)
            outcomes.append(.opened(id))
        } catch {
            counters.add(to: .socketsRefused)
            outcomes.append(.openFailed(id, errno: error.code.code, address: error.address))
        }
    }

    /// The slot has no sockets any more: whoever waited for that gets its own.
    private mutating func dropped(slot: UInt32) {
        sockets[slot] = .none
        kernel?.remove(session: slot)
        guard let next = waiting.removeValue(forKey: slot) else { return }
        guard links[worker(of: next.id)].commands.hasRoom else {
            return outcomes.append(.openFailed(next.id, errno: Errno.noBuffers.code, address: next.caller))
        }
        make(next.id, caller: next.caller, callee: next.callee)
        // What finds no room is lost with a worker that far behind; nothing but a change would have come before `opened`.
        for command in next.commands { _ = send(command) }
    }

    /// Rings each worker that was sent something, once a turn of control. Goes out with the ring's next submission.
    ///
    /// - Parameter now: leaves those for which nothing is urgent until `nextDoorbell`; nil rings them too.
    public mutating func flushDoorbells(on ring: inout Ring, now: Instant? = nil) {
        let isDue: Bool
        if let now { isDue = nextDoorbell.map { $0 <= now } ?? false } else { isDue = true }
        var isWaiting = false
        for worker in links.indices where doorbells[worker] != .none {
            if doorbells[worker] == .later && !isDue {
                isWaiting = true
            } else if ring.ringDoorbell(of: rings[worker], delivering: Worker.doorbellToken) {
                doorbells[worker] = .none
            }
        }
        guard isWaiting, let now else { return nextDoorbell = nil }
        if nextDoorbell == nil { nextDoorbell = now + settings.doorbellDelay }
    }

    /// The next event; nil when there is none now. Call until nil after each doorbell, and after `open` was sent.
    public mutating func nextEvent() -> RelayEvent? {
        while true {
            if nextOutcome < outcomes.count {
                nextOutcome += 1
                return outcomes[nextOutcome - 1]
            }
            if nextOutcome > 0 {
                outcomes.removeAll(keepingCapacity: outcomes.count <= 64)
                nextOutcome = 0
            }
            switch nextWorkerEvent() {
            case .relay(let event)?: return event
            case .closed(let id, let keepsSockets)?:
                sockets[id.index] = keepsSockets ? .kept : .closing
                return .closed(id)
            case .dropped(let slot)?: dropped(slot: slot)
            case nil: return nil
            }
        }
    }

    private mutating func nextWorkerEvent() -> WorkerEvent? {
        for _ in links.indices {
            if let event = links[nextWorker].events.receive() { return event }
            nextWorker = (nextWorker + 1) % links.count
        }
        return nil
    }

    /// Where one worker puts copies of the datagrams of tapped sessions; one thread may read each.
    public func tap(worker: Int) -> PacketTap { links[worker].tap }

    /// The next RTCP datagram that some worker accepted, nil when there is none at the moment: with `copiesReports` only.
    public func nextReport() -> (packet: TappedPacket, octets: [UInt8])? {
        for link in links {
            if let report = link.reports?.next() { return report }
        }
        return nil
    }

    /// One worker's counters.
    public func counters(worker: Int) -> CounterBlock { links[worker].counters }

    /// Waits until every worker thread has ended; after `stop` was sent, and its doorbells were submitted.
    public func join() {
        for thread in threads { thread.join() }
    }
}

/// A worker thread's whole life.
private func runWorker(_ link: WorkerLink) {
    Thread.runSoon()
    do throws(RingError) {
        var worker = try Worker(link: link)
        link.start.withLock { $0 = .success(worker.descriptor) }
        link.started.signal()
        do throws(Errno) {
            try worker.run()
        } catch {
            worker.abandon()
        }
    } catch {
        link.start.withLock { $0 = .failure(error) }
        link.started.signal()
    }
}
