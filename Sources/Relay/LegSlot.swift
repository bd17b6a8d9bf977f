internal import Core
internal import RTP

/// What a receive operation on a socket delivers.
enum ReceiveMode: UInt8, BitwiseCopyable {
    case none
    /// Datagrams with their source.
    case message
    /// Datagrams of the connected peer.
    case plain
}

/// What sets a leg apart from the common one, whose RTP passes as it is.
struct LegHandling: OptionSet, BitwiseCopyable {
    let rawValue: UInt16

    /// Its media is no RTP.
    static let datagrams = LegHandling(rawValue: 1)
    static let blocked = LegHandling(rawValue: 2)
    static let silenced = LegHandling(rawValue: 4)
    static let blockedPayloadTypes = LegHandling(rawValue: 8)
    /// Some payload types pass though the rest is blocked or silenced.
    static let passedPayloadTypes = LegHandling(rawValue: 32)
    /// Its datagrams are copied for a listener.
    static let tapped = LegHandling(rawValue: 16)

    /// Its audio is searched for DTMF.
    static let listened = LegHandling(rawValue: 64)
    /// Its keys are told to control.
    static let reportsDigits = LegHandling(rawValue: 128)
    /// Keys wait to be sent in its stream.
    static let sendsEvents = LegHandling(rawValue: 256)
    /// Its stream may pass inside the kernel.
    static let kernel = LegHandling(rawValue: 512)

    /// What may keep a packet from the other side, or change it, or looks at what it says.
    static let treatment: LegHandling = [
        .blocked, .silenced, .blockedPayloadTypes, .passedPayloadTypes, .reportsDigits, .sendsEvents,
    ]

    /// What sends every datagram another way than the common one's.
    static let detour: LegHandling = [.datagrams, .tapped, .listened, .kernel]
    /// What is none of a `MediaTreatment`'s.
    static let untreated: LegHandling = [.datagrams, .tapped, .listened, .sendsEvents]

    /// With what these are for nothing is done to a plain packet of the medium.
    private static let idle: LegHandling = [.kernel, .reportsDigits]

    var allowsKernel: Bool { subtracting(.idle).isEmpty }

    init(rawValue: UInt16) { self.rawValue = rawValue }

    init(_ treatment: MediaTreatment) {
        self = []
        if treatment.isBlocked { insert(.blocked) }
        if treatment.isSilenced { insert(.silenced) }
        if !treatment.blockedPayloadTypes.isEmpty {
            insert(.blockedPayloadTypes)
        } else if !isEmpty, !treatment.passedPayloadTypes.isEmpty {
            insert(.passedPayloadTypes)
        }
        if treatment.reportsDigits { insert(.reportsDigits) }
    }
}

/// What a worker knows about one leg: a plain fixed layout, no references.
struct LegSlot: BitwiseCopyable {
    // What every packet and every housekeeping looks at comes first: one cache line.

    /// Which sockets the slot has, as tokens of their receives carry it: low 24 bits of the generation of the session they were
    /// made for. Sessions after it that have the same sockets leave it as it is.
    var socketGeneration: UInt32 = 0
    /// Low 24 bits of the session's generation, as tokens of what is done for this session alone carry it.
    var generation: UInt32 = 0
    /// True from `open` to `close`: packets are handled.
    var isOpen = false
    /// The RTP socket hears, and sends to, `lock.source` alone.
    var isConnected = false
    /// It is about to; whoever sends by it still says where.
    var isConnecting = false
    /// It was connected in this session: before the next one it must not be.
    var wasConnected = false
    /// Its disconnect at the end of the session is under way.
    var isDisconnecting = false
    /// Something failed that is the socket's own fault: the next session gets another one.
    var hasFailedSocket = false
    /// Empty for the common leg: the one look that spares its packets all others.
    var handling: LegHandling = []
    /// RTCP to the leg leaves from its RTP socket.
    var isRTCPMuxed = false
    /// It has a `LegMedia`.
    var hasMedia = false
    /// The program in the kernel was given its stream. It may have handed it back.
    var isInKernel = false
    /// So often in a row it has sent nothing of what it was given.
    var fruitlessGives: UInt8 = 0
    /// For so many housekeepings it is not given another one.
    var housekeepingsWithoutKernel: UInt8 = 0
    // The sockets; changed by the worker only.
    var rtpReceive = ReceiveMode.none
    var rtcpReceive = ReceiveMode.none
    /// The mode the RTP receive shall have; it is cancelled while it has another one.
    var rtpWanted = ReceiveMode.message
    /// When the RTP socket was connected, or its receive last starved of buffers.
    var connectedSince: UInt64 = 0
    /// When the second that is being gathered is over: the next packet, or housekeeping, publishes it. Zero without `hasMedia`.
    var secondEnds: UInt64 = 0

    var lock = SourceLock()
    var control = ControlSourceLock()
    /// What the leg's SDP says of its payload types.
    var formats = PayloadFormats()
}

/// What few legs need: apart, so that the others take no memory for it.
struct LegExtra: BitwiseCopyable {
    /// Of a leg whose lock has one.
    var candidate = SourceCandidate()
    /// Blocked, or passed, as the leg's `handling` says.
    var namedPayloadTypes: PayloadTypes = []
}

/// What the packets of one leg tell, and are told: apart, so that a leg that was never heard takes no memory for it.
struct LegMedia: BitwiseCopyable {
    var stream = StreamStatistics()
    var roundTrip = RoundTripTracker()
    var quality = QualityGauge()
    var digits = DigitReporter()
    var events = TelephoneEventSender()
}
