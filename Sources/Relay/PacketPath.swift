internal import CKernelPath
public import Core
internal import RTP
internal import Synchronization
public import Uring

/// What is to happen with one received datagram.
public struct Verdict: BitwiseCopyable {
    /// True when `octets` go out of socket `stream`.
    public internal(set) var isForwarded = false
    /// True when the leg has locked to another source with this packet.
    public internal(set) var isLocking = false
    /// True when the leg's source is locked and its socket should be connected to it again.
    public internal(set) var isReconnecting = false
    /// A key is over that control is to be told of.
    public var hasDigit: Bool { digitWord != 0 }
    /// Zero for none; else bit 31, the code in bits 16 to 23, and milliseconds.
    var digitWord: UInt32 = 0
    /// The worker's number of the leg it came from.
    public internal(set) var leg: UInt32 = 0
    /// The socket to send on: its place among the fixed files.
    public internal(set) var stream: UInt32 = 0
    /// Nil on a connected socket.
    public internal(set) var destination: SocketAddress?
    public internal(set) var octets = BufferSlice(offset: 0, count: 0)
    /// Carried by a failure of the send.
    public internal(set) var sendToken = Token.ignored
}

extension Verdict {
    /// The key that is over with this packet (RFC 4733 §3.2), and how long it was pressed.
    var digit: (code: UInt8, milliseconds: UInt16) {
        (UInt8(truncatingIfNeeded: digitWord >> 16), UInt16(truncatingIfNeeded: digitWord))
    }
}

/// Decides each packet of one worker: parses, asks the source lock, counts, and says where the octets go.
///
/// SAFETY of its pointers: `legs`, `media` and `extras` have two places for each session, `tally` one for each counter, and the
/// shared tables, `kernelLegs` among them, two for each session of each worker (`strays` one), which `init` checks. Every stream
/// comes from a token whose session `decide` checks against `sessionCapacity`, so `stream / 2`, `stream / 2 ^ 1` and `tableIndex`
/// lie inside. Only this worker writes there; into a leg of `kernelLegs`, as long as it is its owner.
///
/// It makes no system call and knows no ring, so it runs over fabricated completions as well as over real ones. The
/// worker's streams are numbered session × 4 + leg × 2 + (1 for RTCP): that is the index of a stream's token and of its
/// socket among the fixed files. The other leg's stream is `stream ^ 2`.
@safe
public struct PacketPath: ~Copyable {
    /// Kinds of tokens.
    public static let receiveMessage: UInt8 = 1
    public static let receivePlain: UInt8 = 2
    public static let send: UInt8 = 3

    /// Longer datagrams are dropped: what fits a receive buffer in either mode.
    static let maximumDatagram = 2048 - ReceivedDatagram.headerCount

    let legs: UnsafeMutablePointer<LegSlot>
    /// One for each leg, used by those with `hasMedia`; a page of it takes memory once one of its legs is.
    let media: UnsafeMutablePointer<LegMedia>
    /// The same, of those legs that have something there.
    private let extras: UnsafeMutablePointer<LegExtra>
    let sessionCapacity: Int
    private let lockPolicy: LockPolicy
    /// Counts of this turn, by `Counter.index`; added to the shared block once a turn.
    private let tally: UnsafeMutablePointer<UInt64>
    let activitySlots: UnsafeMutablePointer<Atomic<UInt64>>
    private let strays: UnsafeMutablePointer<Atomic<UInt64>>
    let statisticsSlots: UnsafeMutablePointer<LegCounts>
    private let timelines: UnsafeMutablePointer<MediaTimeline>
    /// One for each leg, used by those that are listened to; a page of it takes memory once one of its legs is.
    private let toneDetectors: UnsafeMutablePointer<ToneDetector>
    /// Where local session n lies in the shared tables: n × stride + offset.
    private let tableStride: Int
    private let tableOffset: Int
    /// Keep alive what the pointers above point into.
    let activity: ActivityTable
    let statistics: StatisticsTable
    let counters: CounterBlock
    /// Of all legs of all workers; nil without a program in the kernel.
    let kernelLegs: UnsafeMutablePointer<kernel_leg>?
    let kernel: KernelPath?
    var routeFinder: RouteFinder
    /// Legs whose packets go out with this turn, and whose next ones may pass inside the kernel.
    let pending: UnsafeMutablePointer<UInt32>
    var pendingCount = 0
    private let tap: PacketTap?
    /// For copies of RTCP.
    private let reports: PacketTap?

    /// - Parameters:
    ///   - sessionCapacity: sessions of this worker.
    ///   - worker: its number among `workers`; the tables are shared by all.
    public init(
        sessionCapacity: Int, worker: Int = 0, workers: Int = 1, lockPolicy: LockPolicy = LockPolicy(),
        counters: CounterBlock, activity: ActivityTable, statistics: StatisticsTable, tap: PacketTap? = nil,
        reports: PacketTap? = nil
    ) {
        self.init(
            sessionCapacity: sessionCapacity, worker: worker, workers: workers, lockPolicy: lockPolicy, counters: counters,
            activity: activity, statistics: statistics, kernel: nil, tap: tap, reports: reports)
    }

    /// - Parameter kernel: the program that takes streams over; the one whose memory `activity` has.
    init(
        sessionCapacity: Int, worker: Int = 0, workers: Int = 1, lockPolicy: LockPolicy = LockPolicy(),
        counters: CounterBlock, activity: ActivityTable, statistics: StatisticsTable, kernel: KernelPath?,
        tap: PacketTap? = nil, reports: PacketTap? = nil
    ) {
        precondition(kernel == nil || kernel!.legCapacity >= activity.sessionCapacity * 2)
        precondition(sessionCapacity > 0 && (sessionCapacity - 1) * workers + worker < activity.sessionCapacity)
        self.sessionCapacity = sessionCapacity
        self.lockPolicy = lockPolicy
        // SAFETY: a slot of zeros is one that is not open, of which nothing else is read.
        unsafe legs = ZeroedMemory.allocate(LegSlot.self, count: sessionCapacity * 2)
        // SAFETY: it is written before `hasMedia` says so.
        unsafe media = ZeroedMemory.allocate(LegMedia.self, count: sessionCapacity * 2)
        // SAFETY: its parts are written before the leg's slot says that they are there.
        unsafe extras = ZeroedMemory.allocate(LegExtra.self, count: sessionCapacity * 2)
        // SAFETY: a detector begins as zeros.
        unsafe toneDetectors = ZeroedMemory.allocate(ToneDetector.self, count: sessionCapacity * 2)
        unsafe tally = .allocate(capacity: Counter.allCases.count)
        unsafe tally.initialize(repeating: 0, count: Counter.allCases.count)
        unsafe activitySlots = activity.slots
        unsafe strays = activity.strays
        unsafe statisticsSlots = statistics.slots
        unsafe timelines = statistics.timelines
        tableStride = workers
        tableOffset = worker
        self.activity = activity
        self.statistics = statistics
        self.counters = counters
        self.kernel = kernel
        unsafe kernelLegs = kernel?.legs
        routeFinder = RouteFinder(isNeeded: kernel != nil)
        unsafe pending = .allocate(capacity: Self.mostPending)
        self.tap = tap
        self.reports = reports
    }

    deinit {
        unsafe ZeroedMemory.free(legs)
        unsafe ZeroedMemory.free(media)
        unsafe ZeroedMemory.free(extras)
        unsafe ZeroedMemory.free(toneDetectors)
        unsafe tally.deallocate()
        unsafe pending.deallocate()
    }

    /// The worker's view of a leg; off the packet path.
    subscript(leg number: Int) -> LegSlot {
        _read {
            precondition(number >= 0 && number < sessionCapacity * 2)
            // SAFETY (both): inside by the line above, and initialised by `init`.
            yield unsafe legs[number]
        }
        _modify {
            precondition(number >= 0 && number < sessionCapacity * 2)
            yield unsafe &legs[number]
        }
    }

    // MARK: Sessions

    /// Starts a session in a free slot with sockets of its own. Its places in the shared tables are cleared already.
    public mutating func open(session: Int, generation: UInt32) {
        precondition(session >= 0 && session < sessionCapacity)
        for leg in 0..<2 {
            var slot = LegSlot()
            slot.socketGeneration = generation & 0xff_ffff
            slot.generation = generation & 0xff_ffff
            slot.isOpen = true
            self[leg: session * 2 + leg] = slot
        }
    }

    /// Starts a session in a slot that has the sockets of the one before, whose receives go on.
    mutating func reopen(session: Int, generation: UInt32) {
        precondition(session >= 0 && session < sessionCapacity)
        for leg in 0..<2 {
            let former = self[leg: session * 2 + leg]
            precondition(!former.isOpen && !former.isDisconnecting && former.rtpReceive != .plain, "the sockets are not free")
            var slot = LegSlot()
            slot.socketGeneration = former.socketGeneration
            slot.rtpReceive = former.rtpReceive
            slot.rtcpReceive = former.rtcpReceive
            slot.generation = generation & 0xff_ffff
            slot.isOpen = true
            self[leg: session * 2 + leg] = slot
        }
    }

    /// - Returns: true when the leg's socket must not stay connected to its present source.
    public mutating func expect(session: Int, leg: Leg, _ expected: ExpectedSource) -> Bool {
        withdraw(session: session)
        let number = session * 2 + leg.offset
        self[leg: number].isRTCPMuxed = expected.isRTCPMuxed
        if expected.transport == .datagram {
            self[leg: number].handling.insert(.datagrams)
        } else {
            self[leg: number].handling.remove(.datagrams)
        }
        let table = UInt32(session * tableStride + tableOffset)
        // What a new description or hold makes of the stream is neither loss nor a gap.
        if expected.formats != self[leg: number].formats || expected.direction != statistics.direction(table, leg) {
            self[leg: number].formats = expected.formats
            if self[leg: number].hasMedia {
                // SAFETY: inside, as the line above has found.
                unsafe media[number].stream.formats = expected.formats
                unsafe media[number].stream.breakRun()
            }
        }
        statistics.setExpectation(table, leg, expected)
        self[leg: number].control.expect(expected.rtcp)
        return self[leg: number].lock.expect(
            rtp: expected.rtp, signalling: expected.signalling, options: expected.options)
    }

    public mutating func treat(session: Int, leg: Leg, _ treatment: MediaTreatment) {
        withdraw(session: session)
        let number = session * 2 + leg.offset
        let others = self[leg: number].handling.intersection(.untreated)
        self[leg: number].handling = LegHandling(treatment).union(others)
        let named = treatment.blockedPayloadTypes.isEmpty ? treatment.passedPayloadTypes : treatment.blockedPayloadTypes
        // SAFETY: inside, as the lines above have found.
        if !named.isEmpty { unsafe extras[number].namedPayloadTypes = named }
    }

    /// Sends a key in the stream of the leg; false when too many wait.
    mutating func send(_ event: TelephoneEventSender.Event, session: Int, leg: Leg) -> Bool {
        let number = session * 2 + leg.offset
        precondition(number >= 0 && number < sessionCapacity * 2)
        withdraw(session: session)
        // SAFETY: inside by the line above.
        guard unsafe media(of: legs + number).pointee.events.add(event) else { return false }
        self[leg: number].handling.insert(.sendsEvents)
        return true
    }

    /// Copies both legs' datagrams to the tap, or no longer.
    public mutating func tap(session: Int, _ isOn: Bool) {
        withdraw(session: session)
        for number in (session * 2)...(session * 2 + 1) {
            if isOn { self[leg: number].handling.insert(.tapped) } else { self[leg: number].handling.remove(.tapped) }
        }
    }

    /// Counts DTMF in the audio of a leg, or no longer; what was counted stays.
    public mutating func listen(session: Int, leg: Leg, _ isOn: Bool) {
        let number = session * 2 + leg.offset
        guard self[leg: number].handling.contains(.listened) != isOn else { return }
        withdraw(session: session)
        if isOn {
            self[leg: number].handling.insert(.listened)
            // SAFETY: inside, as the line above has found; only this worker uses it.
            unsafe toneDetectors[number] = ToneDetector()
        } else {
            self[leg: number].handling.remove(.listened)
        }
    }

    /// What the packets of a leg tell, from its first one on. Mutating, as all that runs per packet: for another function the
    /// compiler makes a copy of this.
    @inline(always)
    private mutating func media(of leg: UnsafeMutablePointer<LegSlot>) -> UnsafeMutablePointer<LegMedia> {
        unsafe media(of: leg, at: leg - legs)
    }

    @inline(always)
    private mutating func media(of leg: UnsafeMutablePointer<LegSlot>, at number: Int) -> UnsafeMutablePointer<LegMedia> {
        if unsafe !leg.pointee.hasMedia { unsafe beginMedia(of: leg, at: number) }
        return unsafe media + number
    }

    @inline(never)
    private mutating func beginMedia(of leg: UnsafeMutablePointer<LegSlot>, at number: Int) {
        var fresh = LegMedia()
        unsafe fresh.stream.formats = leg.pointee.formats
        unsafe media[number] = fresh
        unsafe leg.pointee.hasMedia = true
    }

    /// From now on its packets are dropped, and its statistics are final.
    public mutating func close(session: Int, now: Instant) {
        withdraw(session: session)
        for leg in 0..<2 {
            let number = session * 2 + leg
            self[leg: number].isOpen = false
            // The time line takes whole seconds; the last one is over with the call.
            // SAFETY: inside by the line above.
            unsafe endSecond(
                legs + number, table: tableIndex(number * 2), now: now.nanoseconds &+ 1_000_000_000, isFinal: true)
        }
    }

    /// What is sent to the leg of `stream` does not arrive: its host said so.
    mutating func countRefusal(stream: Int) {
        precondition(stream >= 0 && stream / 4 < sessionCapacity)
        // SAFETY: inside by the line above; only this worker writes there.
        unsafe (statisticsSlots + tableIndex(stream)).pointee.portRefusals.bump()
    }

    /// True when `session` is the one opened with `generation` and not closed.
    public func isOpen(session: Int, generation: UInt32) -> Bool {
        let leg = self[leg: session * 2]
        return leg.isOpen && leg.generation == generation & 0xff_ffff
    }

    // MARK: Packets

    /// Decides one completion of a receive. The buffer stays with the caller. For benchmarks: one call per packet.
    @inline(never)
    public mutating func receive(_ completion: Completion, in pool: borrowing BufferPool, now: Instant) -> Verdict {
        decide(completion, in: pool, now: now.nanoseconds)
    }

    /// The same, compiled into the worker's loop.
    @inline(always)
    mutating func decide(_ completion: Completion, in pool: borrowing BufferPool, now: UInt64) -> Verdict {
        var verdict = Verdict()
        let stream = Int(completion.token.index)
        precondition(stream &>> 2 < sessionCapacity)
        let legNumber = stream &>> 1
        verdict.leg = UInt32(truncatingIfNeeded: legNumber)
        let leg = unsafe legs + legNumber
        guard unsafe leg.pointee.isOpen && leg.pointee.socketGeneration == completion.token.generation else {
            if completion.result >= 0 { dropped(session: stream &>> 2, now: now) }
            return verdict
        }
        var source: SocketAddress?
        if completion.token.kind == Self.receivePlain {
            guard completion.result >= 0 else { return verdict }
            verdict.octets = pool.slice(completion)
            // The kernel does not say whether more was cut off, so a full buffer may not be all of it.
            guard verdict.octets.count <= UInt32(Self.maximumDatagram) else {
                count(.droppedOversized)
                return verdict
            }
        } else {
            guard completion.result >= 0, let datagram = pool.datagram(completion) else {
                if completion.result >= 0 { count(.droppedMalformed) }
                return verdict
            }
            guard !datagram.isTruncated else {
                count(.droppedOversized)
                return verdict
            }
            source = datagram.source
            verdict.octets = datagram.payload
        }
        let octets = pool.octets(verdict.octets)
        if unsafe leg.pointee.handling.rawValue & LegHandling.detour.rawValue != 0 {
            unsafe relayByDetour(octets, from: source, stream: stream, leg: leg, of: pool, now: now, verdict: &verdict)
        } else if stream & 1 == 0, octets.count >= 2, !PacketKind.isControl(octets[1]), let header = RTPHeader(parsing: octets) {
            unsafe relay(header, in: octets, from: source, stream: stream, leg: leg, of: pool, now: now, verdict: &verdict)
        } else {
            unsafe relayOther(octets, from: source, stream: stream, leg: leg, now: now, verdict: &verdict)
        }
        return verdict
    }

    /// A datagram for sockets that no session has: the next one gets others as long as such come.
    @inline(never)
    private mutating func dropped(session: Int, now: UInt64) {
        count(.droppedNoSession)
        unsafe strays[session * tableStride + tableOffset].store(now, ordering: .relaxed)
    }

    /// The same for a leg whose media is no RTP, or is listened to.
    @inline(never)
    private mutating func relayByDetour(
        _ octets: Span<UInt8>, from source: SocketAddress?, stream: Int, leg: UnsafeMutablePointer<LegSlot>,
        of pool: borrowing BufferPool, now: UInt64, verdict: inout Verdict
    ) {
        if stream & 1 == 0, unsafe leg.pointee.isInKernel { unsafe cameToSocket(of: leg, from: source) }
        let handling = unsafe leg.pointee.handling
        if stream & 1 == 0 && handling.contains(.datagrams) {
            unsafe relayDatagram(from: source, stream: stream, leg: leg, now: now, verdict: &verdict)
        } else if stream & 1 == 0, octets.count >= 2, !PacketKind.isControl(octets[1]), let header = RTPHeader(parsing: octets) {
            let accepted = unsafe statisticsSlots[tableIndex(stream)].packets.load(ordering: .relaxed)
            unsafe relay(header, in: octets, from: source, stream: stream, leg: leg, of: pool, now: now, verdict: &verdict)
            if handling.contains(.listened), unsafe statisticsSlots[tableIndex(stream)].packets.load(ordering: .relaxed) != accepted {
                unsafe toneDetectors[stream &>> 1].receive(header, in: octets)
            }
        } else {
            unsafe relayOther(octets, from: source, stream: stream, leg: leg, now: now, verdict: &verdict)
        }
        if handling.contains(.kernel), verdict.isForwarded, stream & 1 == 0 { noteSent(leg: stream &>> 1) }
        if handling.contains(.tapped) {
            unsafe copyToTap(pool.octets(verdict.octets), from: source, stream: stream, leg: leg, now: now, verdict)
        }
    }

    /// After everything else was done with it: as it went out, silence of a silenced leg included.
    private func copyToTap(
        _ octets: Span<UInt8>, from source: SocketAddress?, stream: Int, leg: UnsafeMutablePointer<LegSlot>, now: UInt64,
        _ verdict: Verdict
    ) {
        guard let tap else { return }
        let peer = unsafe legs + ((stream &>> 1) ^ 1)
        let isOnRTCPPort = stream & 1 == 1
        var isAccepted = true
        if let source, isOnRTCPPort {
            isAccepted = unsafe leg.pointee.control.isLocked && isSame(source, leg.pointee.control.source)
        } else if let source {
            isAccepted = unsafe leg.pointee.lock.isLocked && isSame(source, leg.pointee.lock.source)
        }
        let isTreated = unsafe !leg.pointee.handling.subtracting(.detour).isEmpty
        let isWithheld = unsafe isAccepted && isTreated && !isOnRTCPPort && !verdict.isForwarded && peer.pointee.lock.isLocked
        let number = UInt32((stream &>> 2) * tableStride + tableOffset)
        unsafe tap.put(
            TappedPacket(
                session: SessionID(index: number, generation: leg.pointee.generation), leg: stream & 2 == 0 ? .caller : .callee,
                isOnRTCPPort: isOnRTCPPort, leftByRTCPPort: verdict.stream & 1 == 1, isAccepted: isAccepted,
                isWithheld: isWithheld, at: Instant(nanoseconds: now), source: source ?? leg.pointee.lock.source,
                destination: verdict.isForwarded ? verdict.destination ?? peer.pointee.lock.destination : nil),
            octets)
    }

    /// A well-formed RTP packet on an RTP port. `source` is nil on a connected socket.
    @inline(always)
    private mutating func relay(
        _ header: RTPHeader, in octets: Span<UInt8>, from source: SocketAddress?, stream: Int,
        leg: UnsafeMutablePointer<LegSlot>, of pool: borrowing BufferPool, now: UInt64, verdict: inout Verdict
    ) {
        let table = tableIndex(stream)
        let own = unsafe statisticsSlots + table
        if let source {
            let decision = unsafe leg.pointee.lock.receive(
                from: source, sequenceNumber: header.sequenceNumber, ssrc: header.ssrc, now: now, policy: lockPolicy,
                candidate: &extras[stream &>> 1].candidate)
            guard unsafe isAccepted(decision, leg: leg, table: table, verdict: &verdict) else { return }
        } else {
            unsafe leg.pointee.lock.receiveConnected(now: now)
        }
        unsafe activitySlots[table].store(now, ordering: .relaxed)
        if unsafe now >= leg.pointee.secondEnds {
            // Zero before the first packet, so that no other one needs to ask for the leg's `LegMedia`.
            _ = unsafe media(of: leg, at: stream &>> 1)
            unsafe endSecond(leg, table: table, now: now)
        }
        unsafe media[stream &>> 1].stream.receive(header, in: octets, now: now)
        unsafe own.pointee.packets.bump()
        unsafe own.pointee.octets.bump(UInt64(verdict.octets.count))

        if unsafe leg.pointee.handling.rawValue & LegHandling.treatment.rawValue != 0,
            unsafe !isPassed(of: pool, leg: leg, verdict: &verdict)
        {
            unsafe own.pointee.withheldPackets.bump()
            return
        }
        let peer = unsafe legs + ((stream &>> 1) ^ 1)
        guard unsafe peer.pointee.lock.isLocked || peer.pointee.lock.isOpenToAnnounced else {
            count(.droppedPeerUnlocked)
            return
        }
        count(.rtpPacketsReceived)
        count(.rtpOctetsReceived, UInt64(verdict.octets.count))
        count(.rtpPacketsSent)
        unsafe statisticsSlots[table ^ 1].sentPackets.bump()
        unsafe forward(to: peer, from: leg, stream: stream, verdict: &verdict)
    }

    /// Carries out what the source lock decided about a packet of media; false for a stranger's.
    @inline(always)
    private mutating func isAccepted(
        _ decision: SourceLock.Decision, leg: UnsafeMutablePointer<LegSlot>, table: Int, verdict: inout Verdict
    ) -> Bool {
        switch decision {
        case .accept:
            unsafe verdict.isReconnecting = !leg.pointee.isConnected && !leg.pointee.isConnecting && leg.pointee.lock.mayConnect
            return true
        case .lock:
            unsafe locked(leg, table: table, verdict: &verdict)
            return true
        case .reject:
            count(.droppedStranger)
            unsafe statisticsSlots[table].strangersDropped.bump()
            return false
        }
    }

    /// Media of `leg`, received on `stream`, to the peer's locked source.
    @inline(always)
    private func forward(
        to peer: UnsafeMutablePointer<LegSlot>, from leg: UnsafeMutablePointer<LegSlot>, stream: Int, verdict: inout Verdict
    ) {
        verdict.isForwarded = true
        verdict.stream = UInt32(truncatingIfNeeded: stream ^ 2)
        if unsafe !peer.pointee.isConnected { unsafe verdict.destination = peer.pointee.lock.destination }
        unsafe verdict.sendToken = Token(kind: Self.send, generation: leg.pointee.generation, index: verdict.stream)
    }

    /// What `MediaTreatment` says about an RTP packet: false when it is dropped, which is counted. A packet of the medium
    /// becomes one of a telephone-event while keys are sent in the stream.
    ///
    /// It parses once more: handing the header over would cost every packet.
    @inline(never)
    private mutating func isPassed(
        of pool: borrowing BufferPool, leg: UnsafeMutablePointer<LegSlot>, verdict: inout Verdict
    ) -> Bool {
        let octets = verdict.octets
        guard let header = RTPHeader(parsing: pool.octets(octets)) else { return false }
        let handling = unsafe leg.pointee.handling
        let media = unsafe media(of: leg)
        if handling.contains(.reportsDigits), let digit = unsafe media.pointee.digits.take(media.pointee.stream.telephoneEvents) {
            let rate = max(1, unsafe leg.pointee.formats.clockRate(of: header.payloadType))
            verdict.digitWord = 1 << 31 | UInt32(digit.code) << 16 | min(0xffff, UInt32(digit.duration) * 1_000 / rate)
        }
        if handling.contains(.sendsEvents), unsafe becomesEvent(header, of: pool, leg: leg, verdict: &verdict) { return true }
        if handling.contains(.passedPayloadTypes), unsafe extras[leg - legs].namedPayloadTypes.contains(header.payloadType) {
            return true
        }
        if handling.contains(.blocked) {
            count(.droppedBlocked)
            return false
        }
        if handling.contains(.blockedPayloadTypes), unsafe extras[leg - legs].namedPayloadTypes.contains(header.payloadType) {
            count(.droppedPayloadType)
            return false
        }
        guard handling.contains(.silenced) else { return true }
        let silence: UInt8
        switch header.payloadType {
        case 0: silence = 0xff  // µ-law
        case 8: silence = 0xd5  // A-law
        default:
            count(.droppedSilenced)
            return false
        }
        count(.rtpPacketsSilenced)
        pool.fill(
            BufferSlice(offset: octets.offset &+ header.payloadOffset, count: UInt32(truncatingIfNeeded: header.payloadCount)),
            with: silence)
        return true
    }

    /// Writes the telephone-event that is under way over a packet of the medium; false when that passes as it is.
    private mutating func becomesEvent(
        _ header: RTPHeader, of pool: borrowing BufferPool, leg: UnsafeMutablePointer<LegSlot>, verdict: inout Verdict
    ) -> Bool {
        let size = TelephoneEventSender.Packet.octetCount
        let media = unsafe media(of: leg)
        guard verdict.octets.count >= UInt32(size), unsafe leg.pointee.formats.use(of: header.payloadType) == .media,
            let packet = unsafe media.pointee.events.next(replacing: header.timestamp)
        else {
            if unsafe media.pointee.events.isIdle { unsafe leg.pointee.handling.remove(.sendsEvents) }
            return false
        }
        verdict.octets = BufferSlice(offset: verdict.octets.offset, count: UInt32(size))
        for index in 0..<size {
            pool.fill(
                BufferSlice(offset: verdict.octets.offset &+ index, count: 1),
                with: packet.octet(index, replacing: header))
        }
        if packet.isFirst { count(.digitsSent) }
        return true
    }

    /// A datagram of a leg whose media is no RTP.
    @inline(never)
    private mutating func relayDatagram(
        from source: SocketAddress?, stream: Int, leg: UnsafeMutablePointer<LegSlot>, now: UInt64, verdict: inout Verdict
    ) {
        guard verdict.octets.count > 0 else {
            count(.droppedMalformed)
            return
        }
        let table = tableIndex(stream)
        if let source {
            let decision = unsafe leg.pointee.lock.receiveDatagram(
                from: source, now: now, policy: lockPolicy, candidate: &extras[stream &>> 1].candidate)
            guard unsafe isAccepted(decision, leg: leg, table: table, verdict: &verdict) else { return }
        } else {
            unsafe leg.pointee.lock.receiveConnected(now: now)
        }
        unsafe activitySlots[table].store(now, ordering: .relaxed)
        unsafe statisticsSlots[table].packets.bump()
        unsafe statisticsSlots[table].octets.bump(UInt64(verdict.octets.count))
        let handling = unsafe leg.pointee.handling
        guard !handling.contains(.blocked), !handling.contains(.silenced) else {
            count(handling.contains(.blocked) ? .droppedBlocked : .droppedSilenced)
            unsafe statisticsSlots[table].withheldPackets.bump()
            return
        }
        let peer = unsafe legs + ((stream &>> 1) ^ 1)
        guard unsafe peer.pointee.lock.isLocked || peer.pointee.lock.isOpenToAnnounced else {
            count(.droppedPeerUnlocked)
            return
        }
        count(.mediaDatagramsReceived)
        count(.mediaDatagramsSent)
        unsafe statisticsSlots[table ^ 1].sentPackets.bump()
        unsafe forward(to: peer, from: leg, stream: stream, verdict: &verdict)
    }

    /// RTCP on either port, and everything that is neither. It feeds no activity and moves no lock of media.
    @inline(never)
    private mutating func relayOther(
        _ octets: Span<UInt8>, from source: SocketAddress?, stream: Int,
        leg: UnsafeMutablePointer<LegSlot>, now: UInt64, verdict: inout Verdict
    ) {
        let isOnRTPPort = stream & 1 == 0
        let kind = PacketKind(of: octets)
        guard kind == .rtcp else {
            let isMalformed = octets.count < 2 || (kind == .rtp && isOnRTPPort)
            count(isMalformed ? .droppedMalformed : .droppedUnexpectedProtocol)
            return
        }
        guard let header = RTCPHeader(parsing: octets) else {
            count(.droppedMalformed)
            return
        }
        let table = tableIndex(stream)
        let isAccepted: Bool
        if isOnRTPPort {
            // RTP and RTCP on one port (RFC 5761): the RTP lock decides, and RTCP never moves it.
            if let source {
                isAccepted = unsafe leg.pointee.lock.isLocked && isSame(source, leg.pointee.lock.source)
            } else {
                isAccepted = true
            }
        } else {
            isAccepted = unsafe leg.pointee.control.receive(
                from: source ?? SourceLock.nowhere, senderSSRC: header.senderSSRC, media: leg.pointee.lock,
                mediaSSRC: leg.pointee.hasMedia ? media[stream &>> 1].stream.ssrc : nil)
        }
        guard isAccepted else {
            count(.droppedStranger)
            unsafe statisticsSlots[table].strangersDropped.bump()
            return
        }
        unsafe statisticsSlots[table].rtcpPackets.bump()
        if reports != nil { unsafe copyReport(octets, from: source, stream: stream, leg: leg, now: now) }
        unsafe media(of: leg, at: stream &>> 1).pointee.roundTrip.received(octets, now: now)
        let peer = unsafe legs + ((stream &>> 1) ^ 1)
        // RTCP on an RTP port that signalling did not speak of leaves as it came.
        let leavesByRTPPort = unsafe peer.pointee.isRTCPMuxed || (isOnRTPPort && !leg.pointee.isRTCPMuxed)
        if leavesByRTPPort {
            guard unsafe peer.pointee.lock.isLocked else {
                count(.droppedPeerUnlocked)
                return
            }
            unsafe forward(to: peer, from: leg, stream: stream & ~1, verdict: &verdict)
        } else {
            guard let destination = unsafe peer.pointee.control.destination(media: peer.pointee.lock) else {
                count(.droppedPeerUnlocked)
                return
            }
            unsafe forward(to: peer, from: leg, stream: stream | 1, verdict: &verdict)
            verdict.destination = destination
        }
        unsafe media(of: peer, at: (stream &>> 1) ^ 1).pointee.roundTrip.sent(octets, now: now)
        count(.rtcpPacketsReceived)
        count(.rtcpPacketsSent)
    }

    private func copyReport(
        _ octets: Span<UInt8>, from source: SocketAddress?, stream: Int, leg: UnsafeMutablePointer<LegSlot>, now: UInt64
    ) {
        let number = UInt32((stream &>> 2) * tableStride + tableOffset)
        unsafe reports?.put(
            TappedPacket(
                session: SessionID(index: number, generation: leg.pointee.generation), leg: stream & 2 == 0 ? .caller : .callee,
                isOnRTCPPort: stream & 1 == 1, leftByRTCPPort: false, isAccepted: true, isWithheld: false,
                at: Instant(nanoseconds: now), source: source ?? leg.pointee.lock.source, destination: nil), octets)
    }

    @inline(never)
    private mutating func locked(_ leg: UnsafeMutablePointer<LegSlot>, table: Int, verdict: inout Verdict) {
        // This side sends from elsewhere, and what the other sends goes there.
        unsafe takeBack(leg)
        unsafe takeBack(legs + ((leg - legs) ^ 1))
        unsafe leg.pointee.housekeepingsWithoutKernel = 0
        let source = unsafe leg.pointee.lock.source
        let isFirst = unsafe statisticsSlots[table].snapshot.source == nil
        count(isFirst ? .sourceLocks : .sourceRelocks)
        unsafe statisticsSlots[table].setSource(source)
        unsafe leg.pointee.control.mediaMoved()
        // One that has not begun begins a run of its own.
        if unsafe leg.pointee.hasMedia { unsafe media[leg - legs].stream.breakRun() }
        verdict.isLocking = true
    }

    // MARK: Statistics

    /// Puts the second that is over into the time line, and shows what the leg's packets told so far.
    @inline(never)
    mutating func endSecond(_ leg: UnsafeMutablePointer<LegSlot>, table: Int, now: UInt64, isFinal: Bool = false) {
        guard unsafe leg.pointee.hasMedia else { return }
        let second = now / 1_000_000_000
        unsafe leg.pointee.secondEnds = (second + 1) * 1_000_000_000
        unsafe media[leg - legs].stream.advance(
            to: UInt32(truncatingIfNeeded: second), timeline: timelines[table])
        unsafe show(leg, table: table, second: second, isFinal: isFinal)
    }

    /// Shows what the packets of a leg told so far, to whoever reads the table.
    private mutating func show(_ leg: UnsafeMutablePointer<LegSlot>, table: Int, second: UInt64, isFinal: Bool) {
        // SAFETY: the two legs of a session lie side by side, the caller's at an even place.
        let peer = unsafe legs + ((leg - legs) ^ 1)
        let own = unsafe media + (leg - legs)
        let trips = unsafe (own.pointee.roundTrip.latest, peer.pointee.hasMedia ? media[peer - legs].roundTrip.latest : nil)
        let roundTrip = trips.0 == nil ? trips.1 : (trips.0 ?? .zero) + (trips.1 ?? .zero)
        let measure = unsafe own.pointee.quality.advance(
            to: UInt32(truncatingIfNeeded: second), own.pointee.stream, roundTrip: roundTrip, isFinal: isFinal)
        if let measure {
            // Until the first window is whole each second says more than the one before.
            unsafe statisticsSlots[table].publish(measure, startingAnew: own.pointee.quality.windows < 2)
        }
        unsafe statisticsSlots[table].publish(own.pointee.stream, roundTrip: own.pointee.roundTrip)
        if unsafe leg.pointee.handling.contains(.listened) {
            unsafe statisticsSlots[table].publish(inBandDigits: toneDetectors[leg - legs].digits)
        }
    }

    /// The same for a leg that may have fallen silent. Off the packet path.
    mutating func keepStatistics(leg number: Int, now: UInt64) {
        precondition(number >= 0 && number < sessionCapacity * 2)
        // SAFETY: inside by the line above.
        let leg = unsafe legs + number
        guard unsafe leg.pointee.isOpen else { return }
        keepInKernel(leg: number, now: now)
        if unsafe now >= leg.pointee.secondEnds {
            unsafe endSecond(leg, table: tableIndex(number * 2), now: now)
        } else if unsafe leg.pointee.hasMedia && media[number].quality.windows == 0 {
            // A call of less than a second has a codec and a quality, too.
            unsafe show(leg, table: tableIndex(number * 2), second: now / 1_000_000_000, isFinal: false)
        }
    }

    // MARK: Counting

    /// Adds to a counter of this worker; seen by others after `publishCounters`.
    @inline(always)
    mutating func count(_ counter: Counter, _ amount: UInt64 = 1) {
        unsafe tally[counter.index] &+= amount
    }

    /// Adds this turn's counts to the shared block.
    public mutating func publishCounters() {
        // The relay's counters are the first ones, up to `systemCalls`.
        for index in 0...Counter.systemCalls.index {
            let amount = unsafe tally[index]
            if amount != 0 {
                counters.add(amount, at: index)
                unsafe tally[index] = 0
            }
        }
    }

    /// Where the leg of a stream lies in the shared tables.
    @inline(always)
    func tableIndex(_ stream: Int) -> Int {
        ((stream &>> 2) &* tableStride &+ tableOffset) &* 2 &+ (stream &>> 1 & 1)
    }
}
