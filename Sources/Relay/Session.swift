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
public struct SessionID: Hashable, Sendable, BitwiseCopyable {
    /// Over all workers: slot `index / workers` of worker `index % workers`.
    public let index: UInt32
    /// Tells apart the sessions that use one slot after the other; tokens carry its low 24 bits.
    public let generation: UInt32

    public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// What a leg's SDP and signalling say about its media.
public struct ExpectedSource: Hashable, Sendable, BitwiseCopyable {
    /// The unspecified address (`c=0.0.0.0`, hold as of RFC 2543) says nothing about where media comes from: what was
    /// announced before stays.
    public var rtp: SocketAddress
    public var rtcp: SocketAddress
    /// Where the leg's SIP messages come from.
    public var signalling: IPAddress
    /// RTP and RTCP share the leg's RTP port (RFC 5761): RTCP to it leaves from the RTP socket. Say so only once both sides
    /// of the leg agreed on it.
    public var isRTCPMuxed = false
    public var transport = MediaTransport.rtp
    public var direction = MediaDirection.sendReceive
    /// Payload types that RFC 3551 does not say all about, for the leg's statistics.
    public var formats = PayloadFormats()

    public init(
        rtp: SocketAddress, rtcp: SocketAddress, signalling: IPAddress, isRTCPMuxed: Bool = false,
        transport: MediaTransport = .rtp, direction: MediaDirection = .sendReceive, formats: PayloadFormats = PayloadFormats()
    ) {
        self.rtp = rtp
        self.rtcp = rtcp
        self.signalling = signalling
        self.isRTCPMuxed = isRTCPMuxed
        self.transport = transport
        self.direction = direction
        self.formats = formats
    }
}

/// What a leg's datagrams are.
@frozen
public enum MediaTransport: UInt8, Sendable, BitwiseCopyable {
    case rtp
    /// Anything, such as T.38 over udptl: every datagram of the leg's source passes and counts as media. While an offer to
    /// change from one to the other is not answered, this one lets both pass.
    case datagram
}

/// What a leg's own SDP says it does (RFC 3264 §5.1).
@frozen
public enum MediaDirection: UInt8, Sendable, BitwiseCopyable {
    case sendReceive
    case sendOnly
    case receiveOnly
    case inactive

    public var sends: Bool { self == .sendReceive || self == .sendOnly }
    public var receives: Bool { self == .sendReceive || self == .receiveOnly }
}

/// What is done to the media a leg sends. All of it keeps the call alive and is counted as the leg's; RTCP passes.
public struct MediaTreatment: Hashable, Sendable, BitwiseCopyable {
    /// Nothing is relayed.
    public var isBlocked: Bool
    /// G.711 (payload types 0 and 8) is relayed as silence of its law, with its sequence numbers and times. All else is
    /// dropped: the silence of another codec would have to be encoded, and telephone-events would be heard.
    public var isSilenced: Bool
    /// RTP of these payload types is dropped: those of telephone-event (RFC 4733) in the leg's SDP, to keep digits from the
    /// other side. Its sequence has gaps then.
    public var blockedPayloadTypes: PayloadTypes

    public init(isBlocked: Bool = false, isSilenced: Bool = false, blockedPayloadTypes: PayloadTypes = []) {
        self.isBlocked = isBlocked
        self.isSilenced = isSilenced
        self.blockedPayloadTypes = blockedPayloadTypes
    }
}

/// A set of RTP payload types, 0 to 127.
public struct PayloadTypes: Hashable, Sendable, BitwiseCopyable, ExpressibleByArrayLiteral {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    public init(arrayLiteral elements: UInt8...) {
        for element in elements { insert(element) }
    }

    public var isEmpty: Bool { low | high == 0 }

    /// - Parameter payloadType: at most 127.
    public mutating func insert(_ payloadType: UInt8) {
        precondition(payloadType < 128)
        if payloadType < 64 { low |= 1 << UInt64(payloadType) } else { high |= 1 << UInt64(payloadType - 64) }
    }

    public func contains(_ payloadType: UInt8) -> Bool {
        (payloadType < 64 ? low : high) &>> UInt64(payloadType & 63) & 1 != 0
    }
}

/// What control tells a worker.
public enum RelayCommand: Sendable, BitwiseCopyable, Equatable {
    /// Make the sockets. The addresses are each leg's local RTP address; RTCP is one port above. Answered by `opened` or `openFailed`.
    case open(SessionID, caller: SocketAddress, callee: SocketAddress)
    /// The leg's media may come from now on. Sent again with another value after a new offer: see `SourceLock`.
    case expect(SessionID, Leg, ExpectedSource)
    /// What is done from now on to the media the leg sends.
    case treat(SessionID, Leg, MediaTreatment)
    /// Answered by `closed`, after which the slot and its ports are free. Ignored when the session is not open, as `expect`
    /// and `treat` are.
    case close(SessionID)
    /// Drop everything and end the thread; answered by `stopped`.
    case stop
}

/// What a worker tells control.
public enum RelayEvent: Sendable, BitwiseCopyable, Equatable {
    case opened(SessionID)
    /// No socket of the session is left open. `address` is the one that was refused.
    case openFailed(SessionID, errno: Int32, address: SocketAddress)
    /// The leg's media comes from, and goes to, this address now.
    case locked(SessionID, Leg, SocketAddress)
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
    /// How long a busy worker gathers packets before it handles them; zero never waits.
    public var waitWindow: Duration = .milliseconds(1)
    /// Packets a second from which on a worker counts as busy.
    public var busyRate = 5_000
    /// How often a worker looks after its sockets.
    public var housekeepingInterval: Duration = .milliseconds(250)
    /// How long a connected socket is still asked for sources: strangers' datagrams may have been queued before the connect.
    var plainReceiveDelay: Duration = .milliseconds(500)
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
