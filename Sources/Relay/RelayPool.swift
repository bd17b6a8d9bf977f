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
    let commands: Mailbox<RelayCommand>
    let events: Mailbox<RelayEvent>
    let counters = CounterBlock()
    let tap = PacketTap()
    let activity: ActivityTable
    let statistics: StatisticsTable
    let control: RingDescriptor
    let controlDoorbell: Token
    /// Set once by the worker, then `started` is signalled.
    let start = Mutex<Result<RingDescriptor, RingError>?>(nil)
    let started: EventDescriptor

    init(
        number: Int, settings: RelaySettings, activity: ActivityTable, statistics: StatisticsTable,
        control: RingDescriptor, controlDoorbell: Token, started: EventDescriptor
    ) {
        self.number = number
        self.settings = settings
        // A session has one command or answer of each kind under way, plus offers and locks that change its sources. Not all
        // sessions do at once: whoever finds a mailbox full keeps the rest for the next turn.
        commands = Mailbox(capacity: min(settings.sessionsPerWorker * 4 + 64, 4096))
        events = Mailbox(capacity: min(settings.sessionsPerWorker * 4 + 64, 8192))
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
    private let links: [WorkerLink]
    private let threads: [Thread]
    private let rings: [RingDescriptor]
    private var mustRing: [Bool]
    private var nextWorker = 0

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

        let activity = ActivityTable(sessionCapacity: settings.sessionsPerWorker * settings.workers)
        let statistics = StatisticsTable(activity: activity)
        var links: [WorkerLink] = []
        var threads: [Thread] = []
        var rings: [RingDescriptor] = []
        do throws(RelayStartError) {
            for number in 0..<settings.workers {
                do throws(Errno) {
                    let link = WorkerLink(
                        number: number, settings: settings, activity: activity, statistics: statistics,
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
                _ = links[index].commands.send(.stop)
                threads[index].join()
            }
            throw error
        }
        self.settings = settings
        self.activity = activity
        self.statistics = statistics
        self.links = links
        self.threads = threads
        self.rings = rings
        mustRing = Array(repeating: false, count: settings.workers)
    }

    /// Queues a command for the session's worker; `stop` goes to all of them. It is read after `flushDoorbells`.
    ///
    /// - Returns: false when a mailbox is full: the worker is behind, and the command was not taken.
    public mutating func send(_ command: RelayCommand) -> Bool {
        switch command {
        case .open(let id, _, _), .expect(let id, _, _), .treat(let id, _, _), .tap(let id, _), .close(let id):
            let worker = Int(id.index) % links.count
            mustRing[worker] = true
            return links[worker].commands.send(command)
        case .stop:
            var isSent = true
            for worker in links.indices {
                mustRing[worker] = true
                if !links[worker].commands.send(.stop) { isSent = false }
            }
            return isSent
        }
    }

    /// Rings each worker that was sent something, once a turn of control. Goes out with the ring's next submission.
    public mutating func flushDoorbells(on ring: inout Ring) {
        for worker in links.indices where mustRing[worker] {
            mustRing[worker] = !ring.ringDoorbell(of: rings[worker], delivering: Worker.doorbellToken)
        }
    }

    /// The next event of any worker; nil when there is none now. Call until nil after each doorbell.
    public mutating func nextEvent() -> RelayEvent? {
        for _ in links.indices {
            if let event = links[nextWorker].events.receive() { return event }
            nextWorker = (nextWorker + 1) % links.count
        }
        return nil
    }

    /// Where one worker puts copies of the datagrams of tapped sessions; one thread may read each.
    public func tap(worker: Int) -> PacketTap { links[worker].tap }

    /// One worker's counters.
    public func counters(worker: Int) -> CounterBlock { links[worker].counters }

    /// Waits until every worker thread has ended; after `stop` was sent, and its doorbells were submitted.
    public func join() {
        for thread in threads { thread.join() }
    }
}

/// A worker thread's whole life.
private func runWorker(_ link: WorkerLink) {
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
