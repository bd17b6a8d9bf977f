public import Core
public import RTP

extension Leg {
    @inlinable @inline(always)
    var offset: Int {
        switch self {
        case .caller: 0
        case .callee: 1
        }
    }
}

/// The media of one call: a slot and which use of it.
public struct SessionID: PlacedNumber, BitwiseCopyable {
    /// Over all workers: slot `index / workers` of worker `index % workers`.
    public let index: UInt32
    /// Tells apart the sessions that use one slot after the other; tokens carry its low 24 bits.
    public let generation: UInt32

    public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    public var rawValue: UInt64 { UInt64(generation) << 32 | UInt64(index) }
    public var place: Int { Int(index) }
}

/// What control tells the relay.
public enum RelayCommand: Sendable, BitwiseCopyable, Equatable {
    /// Take the slot's sockets if these are their addresses, else make some. The addresses are each leg's local RTP address; RTCP
    /// is one port above. Answered by `opened` or `openFailed`.
    case open(SessionID, caller: SocketAddress, callee: SocketAddress)
    /// The leg's media may come from now on. Sent again with another value after a new offer: see `SourceLock`.
    case expect(SessionID, Leg, ExpectedSource)
    /// What is done from now on to the media the leg sends.
    case treat(SessionID, Leg, MediaTreatment)
    /// Sends a key to the other leg, in the stream that this one sends: see `TelephoneEventSender`.
    case sendEvent(SessionID, Leg, TelephoneEventSender.Event)
    /// From now on, or no longer, DTMF in the G.711 audio the leg sends is counted: `LegStatistics.inBandDigits`.
    case listen(SessionID, Leg, isOn: Bool)
    /// From now on, or no longer, each datagram of both legs is copied to the worker's `PacketTap`.
    case tap(SessionID, isOn: Bool)
    /// Answered by `closed`, after which the slot is free. Its sockets stay, and so do their ports, for a session that is opened
    /// with the same addresses: see `SlotSockets`. Ignored when the session is not open, as all but `open` are.
    case close(SessionID)
    /// Drop everything and end the thread; answered by `stopped`.
    case stop
}

extension RelayCommand {
    /// Whom it is about; nil for `stop`.
    var session: SessionID? {
        switch self {
        case .open(let id, _, _), .expect(let id, _, _), .treat(let id, _, _), .sendEvent(let id, _, _), .listen(let id, _, _),
            .tap(let id, _), .close(let id):
            id
        case .stop: nil
        }
    }
}

/// What a worker is sent.
enum WorkerCommand: Sendable, BitwiseCopyable {
    /// A session was opened with these sockets, in a slot that has none.
    case adopt(SessionID, SessionSockets)
    /// A session was opened with the sockets that its slot has.
    case reopen(SessionID)
    /// Close the sockets of a slot that no session has; answered by `dropped`.
    case drop(slot: UInt32)
    /// Any but `open`.
    case relay(RelayCommand)
}

/// What a worker tells.
enum WorkerEvent: Sendable, BitwiseCopyable {
    /// A session is closed. Its sockets are there for the next one, or there will be none: then `dropped` follows.
    case closed(SessionID, keepsSockets: Bool)
    /// The slot has no sockets any more.
    case dropped(slot: UInt32)
    /// Any but `closed`.
    case relay(RelayEvent)
}

/// What the relay tells control.
public enum RelayEvent: Sendable, BitwiseCopyable, Equatable {
    case opened(SessionID)
    /// No socket of the session is left open. `address` is the one that was refused.
    case openFailed(SessionID, errno: Int32, address: SocketAddress)
    /// The leg's media comes from, and goes to, this address now.
    case locked(SessionID, Leg, SocketAddress)
    /// A key that the leg sent as telephone-event is over; of legs whose treatment asks for it.
    case digit(SessionID, Leg, code: UInt8, milliseconds: UInt16)
    case closed(SessionID)
    /// The worker's last word; unasked for it means that its ring failed.
    case stopped(worker: Int)
}

/// How the relay runs. Values hold for the life of a pool.
public struct RelaySettings: Sendable {
    /// Threads; each has its own ring and sessions.
    public var workers: Int
    /// Sessions of all workers together.
    public var sessionCapacity: Int
    /// The CPU of each worker, in order; workers past its end are not pinned.
    public var cpus: [Int] = []
    /// TOS or traffic class octet of everything sent; 0xb8 is expedited forwarding.
    public var typeOfService: UInt8 = 0xb8
    public var lock = LockPolicy()
    /// Whether streams with which nothing is to be done but to send them on pass inside the kernel, if that can be.
    public var usesKernelPath = false
    /// There, also between sockets of this host: media has a loopback address.
    public var kernelPathHasLoopback = false
    /// Every RTCP datagram that is accepted is copied for `RelayPool.nextReport`.
    public var copiesReports = false
    /// How long a busy worker gathers packets before it handles them, at the most; zero never waits.
    public var waitWindow: Duration = .milliseconds(1)
    /// Packets a second from which on a worker counts as busy.
    public var busyRate = 5_000
    /// How often a worker looks after its sockets.
    public var housekeepingInterval: Duration = .milliseconds(250)
    /// What nobody waits for, that is a new session's sockets, the end of one, and its confirmation, may lie in a mailbox for
    /// so long before a sleeping thread is woken: then one awakening serves many.
    public var doorbellDelay: Duration = .milliseconds(10)
    /// How long a connected socket is still asked for sources: strangers' datagrams may have been queued before the connect.
    var plainReceiveDelay: Duration = .milliseconds(500)
    /// How long nothing may have come to the sockets of an ended session before another one gets them, as far as the worker has
    /// looked; nil, in tests, when that does not matter.
    var quietTime: Duration? = .seconds(1)
    /// After that time without a datagram sockets are usually ready: an idle worker looks once a second, and says so a turn later.
    public static let usualQuietTime = Duration.milliseconds(3_200)
    /// Receive buffers of each worker, 2 KiB each; a power of two.
    public var receiveBuffers = 4096
    /// Sizes of each worker's ring: a burst on all sockets must fit among the completions. Powers of two.
    var submissionEntries: UInt32 = 1024
    var completionEntries: UInt32 = 32768
    var faults: KernelFaults?

    public init(workers: Int = 1, sessionCapacity: Int = 2000) {
        self.workers = workers
        self.sessionCapacity = sessionCapacity
    }

    /// Sessions of one worker.
    var sessionsPerWorker: Int { (sessionCapacity + workers - 1) / workers }
}
