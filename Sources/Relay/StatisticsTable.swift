public import Core
package import RTP
internal import Synchronization
internal import Uring

/// What one leg did in its session so far.
public struct LegStatistics: Equatable, Sendable {
    /// When the last valid RTP packet of the locked source came.
    public var lastPacket: Instant?
    /// Valid RTP packets of the locked source, whether or not the other side could be sent to.
    public var packets: UInt64 = 0
    /// Their UDP payload octets.
    public var octets: UInt64 = 0
    /// Packets that never came, over all runs of the sequence. This and what follows `source` is as of the last whole second,
    /// and final with `closed`.
    public var lost: UInt64 = 0
    /// Datagrams of other sources.
    public var strangersDropped: UInt64 = 0
    /// RTCP packets accepted, on either port.
    public var rtcpPackets: UInt64 = 0
    /// Times that the locked source's host refused RTP or RTCP: ICMP port unreachable and the like. Only a leg that is locked is
    /// sent anything.
    public var portRefusals: UInt32 = 0
    /// RTP packets of the other leg sent to this one.
    public var sentPackets: UInt64 = 0
    /// Packets of `packets` that were not relayed because of the leg's `MediaTreatment`.
    public var withheldPackets: UInt64 = 0
    /// Packets of `packets` that passed inside the kernel.
    public var kernelPackets: UInt64 = 0
    /// The locked source; nil while there is none.
    public var source: SocketAddress?

    public var duplicates: UInt32 = 0
    public var reordered: UInt32 = 0
    /// Stretches of packets missing one after the other.
    public var lossBursts: UInt32 = 0
    /// The most packets missing one after the other.
    public var largestSequenceGap: UInt32 = 0
    /// The longest time between two packets; silence after comfort noise and what a hold interrupts are none.
    public var longestGap = Duration.zero
    /// The estimate of RFC 3550 §A.8, and the highest it has been.
    public var jitter = Duration.zero
    public var highestJitter = Duration.zero
    /// Nil before the first packet.
    public var ssrc: UInt32?
    /// The medium's; nil before its first packet.
    public var payloadType: UInt8?
    public var ssrcChanges: UInt32 = 0
    public var payloadTypeChanges: UInt32 = 0
    /// Times that a sequence went on out of reach.
    public var restarts: UInt32 = 0
    public var timestampJumps: UInt32 = 0
    public var comfortNoisePackets: UInt32 = 0
    /// The last packet was comfort noise: the silence after it is meant.
    public var isInComfortNoise = false
    /// Distinct ones (RFC 4733).
    public var telephoneEvents: UInt32 = 0
    /// Tones in the audio, while they are listened for: `RelayCommand.listen`.
    public var inBandDigits: UInt32 = 0
    /// From here to the leg and back, by RTCP; nil before the first measurement.
    public var roundTrip: Duration?
    public var shortestRoundTrip: Duration?
    public var longestRoundTrip: Duration?
    public var roundTripMeasurements: UInt32 = 0
    /// How it was heard, window by window of five seconds; nil before the first is over. Final with `closed`.
    public var quality: StreamQuality?
    /// Packets that should have come: those that came once, and those that never did.
    public var expected: UInt64 = 0

    public init() {}
}

/// The speech quality of one leg's stream: the mean of its windows, the worst and the best of them.
public struct StreamQuality: Equatable, Sendable {
    public struct Measure: Equatable, Sendable {
        /// MOS-CQE by G.107, 1 to 4.5.
        public var score: Double
        public var jitter: Duration
        /// 0 to 1.
        public var lossRatio: Double
        /// From one party to the other and back; nil when RTCP did not tell.
        public var roundTrip: Duration?
        /// When the window ended, to the second.
        public var at: Instant

        init(_ measure: QualityTally.Measure) {
            score = measure.score
            jitter = measure.jitter
            lossRatio = measure.lossRatio
            roundTrip = measure.roundTrip
            at = Instant(nanoseconds: UInt64(measure.second) * 1_000_000_000)
        }
    }

    public var average: Measure
    public var lowest: Measure
    public var highest: Measure
    public var windows: UInt32
}

/// Counts of every leg: relaxed atomics whose only writer is the session's worker, read by control at any time until the
/// slot is used again. After `closed` they are final.
@safe
public final class StatisticsTable: @unchecked Sendable {
    // SAFETY of @unchecked: as `ActivityTable`.
    /// A page of it takes memory once something came to one of its legs; so does one of `timelines`.
    let slots: UnsafeMutablePointer<LegCounts>
    let timelines: UnsafeMutablePointer<MediaTimeline>
    /// Apart from the counts: every leg has one.
    private let expectations: UnsafeMutablePointer<Atomic<UInt8>>
    private let activity: ActivityTable

    public init(activity: ActivityTable) {
        self.activity = activity
        let count = activity.sessionCapacity * 2
        // SAFETY (all): they are made of atomic words that begin as zero.
        unsafe slots = ZeroedMemory.allocate(LegCounts.self, count: count)
        unsafe timelines = ZeroedMemory.allocate(MediaTimeline.self, count: count)
        unsafe expectations = ZeroedMemory.allocate(Atomic<UInt8>.self, count: count)
    }

    deinit {
        unsafe ZeroedMemory.free(slots)
        unsafe ZeroedMemory.free(timelines)
        unsafe ZeroedMemory.free(expectations)
    }

    public subscript(index: UInt32, leg: Leg) -> LegStatistics {
        precondition(index < activity.sessionCapacity)
        let place = Int(index) * 2 + leg.offset
        var statistics = unsafe slots[place].snapshot
        statistics.lastPacket = activity.last(index, leg)
        guard let kernel = activity.kernel else { return statistics }
        let (received, sent) = (kernel.pending(place), kernel.pending(place ^ 1))
        var later = unsafe slots[place].snapshot
        later.lastPacket = statistics.lastPacket
        // Else the worker has taken it into account meanwhile.
        guard later == statistics else { return later }
        statistics.packets += received.packets
        statistics.octets += received.octets
        statistics.kernelPackets += received.packets
        statistics.sentPackets += sent.packets
        return statistics
    }

    /// The last two minutes, second by second; nil while there is no whole one. Any thread, at any time.
    ///
    /// - Returns: the buckets, oldest first, and which second of the monotonic clock the first one is.
    package func timeline(_ index: UInt32, _ leg: Leg) -> (firstSecond: UInt32, buckets: [TimelineBucket])? {
        precondition(index < activity.sessionCapacity)
        return unsafe timelines[Int(index) * 2 + leg.offset].snapshot()
    }

    /// What the leg's SDP says it does; nil before its first `expect`.
    public func direction(_ index: UInt32, _ leg: Leg) -> MediaDirection? {
        expectation(index, leg)?.direction
    }

    /// True when the leg's last packet was comfort noise, as of the last whole second: silence after it is meant.
    public func isInComfortNoise(_ index: UInt32, _ leg: Leg) -> Bool {
        precondition(index < activity.sessionCapacity)
        return unsafe slots[Int(index) * 2 + leg.offset].isInComfortNoise
    }

    /// True when both SDPs let the leg send: it does, and the other leg receives. One that is not known yet stands in no way.
    /// A call none of whose legs is expected to send is on hold on both sides.
    public func isExpectedToSend(_ index: UInt32, _ leg: Leg) -> Bool {
        guard let own = expectation(index, leg), own.direction.sends else { return false }
        guard let other = expectation(index, leg.other) else { return true }
        return other.direction.receives && other.hasAddress
    }

    private struct Expectation {
        let direction: MediaDirection
        /// False when the leg can be sent nothing: `c=0.0.0.0`.
        let hasAddress: Bool
    }

    /// Nil before the first `expect`.
    private func expectation(_ index: UInt32, _ leg: Leg) -> Expectation? {
        precondition(index < activity.sessionCapacity)
        let word = unsafe expectations[Int(index) * 2 + leg.offset].load(ordering: .relaxed)
        guard word & 1 != 0, let direction = MediaDirection(rawValue: word >> 2) else { return nil }
        return Expectation(direction: direction, hasAddress: word & 2 == 0)
    }

    /// Called by the session's worker.
    func setExpectation(_ index: UInt32, _ leg: Leg, _ expected: ExpectedSource) {
        precondition(index < activity.sessionCapacity)
        let word = 1 | (expected.rtp.ip.isUnspecified ? 2 : 0) | expected.direction.rawValue << 2
        unsafe expectations[Int(index) * 2 + leg.offset].store(word, ordering: .relaxed)
    }

    /// Called by control before a session opens: see `ActivityTable.clear`.
    func clear(_ index: UInt32) {
        precondition(index < activity.sessionCapacity)
        for leg in 0..<2 {
            unsafe slots[Int(index) * 2 + leg].clear()
            unsafe timelines[Int(index) * 2 + leg].clear()
            unsafe expectations[Int(index) * 2 + leg].store(0, ordering: .relaxed)
        }
    }
}

/// The atomics of one leg.
struct LegCounts: ~Copyable {
    /// What is published once a second, each in one word: counts, and durations in microseconds.
    enum Detail: Int, CaseIterable {
        case duplicates, reordered, lossBursts, largestSequenceGap, longestGap, jitter, highestJitter
        case ssrc, payloadTypePlusOne, ssrcChanges, payloadTypeChanges, restarts, timestampJumps
        case comfortNoisePackets, isInComfortNoise, telephoneEvents
        case roundTrip, shortestRoundTrip, longestRoundTrip, roundTripMeasurements
        case windows
        // Three measures of five words each.
        case average, lowest = 26, highest = 31

    }

    let packets = Atomic<UInt64>(0)
    let octets = Atomic<UInt64>(0)
    let sentPackets = Atomic<UInt64>(0)
    let withheldPackets = Atomic<UInt64>(0)
    let strangersDropped = Atomic<UInt64>(0)
    let rtcpPackets = Atomic<UInt64>(0)
    let portRefusals = Atomic<UInt64>(0)
    let kernelPackets = Atomic<UInt64>(0)
    // The source takes three words: readers go by a version that is odd while it is being written.
    private let version = Atomic<UInt32>(0)
    /// Family in bits 16 and above, port below; zero means no source.
    private let sourceTag = Atomic<UInt32>(0)
    private let sourceHigh = Atomic<UInt64>(0)
    private let sourceLow = Atomic<UInt64>(0)
    private let lost = Atomic<UInt64>(0)
    private let mediaPackets = Atomic<UInt64>(0)
    private let inBandDigits = Atomic<UInt32>(0)
    private let details: InlineArray<36, Atomic<UInt32>> = InlineArray { _ in Atomic(0) }

    func clear() {
        packets.clear()
        octets.clear()
        sentPackets.clear()
        withheldPackets.clear()
        strangersDropped.clear()
        rtcpPackets.clear()
        portRefusals.clear()
        kernelPackets.clear()
        if sourceTag.load(ordering: .relaxed) != 0 { setSource(nil) }
        lost.clear()
        mediaPackets.clear()
        inBandDigits.clear()
        for index in details.indices { details[index].clear() }
    }

    var isInComfortNoise: Bool { self[.isInComfortNoise] != 0 }

    private subscript(detail: Detail) -> UInt32 {
        get { details[detail.rawValue].load(ordering: .relaxed) }
        nonmutating set { details[detail.rawValue].store(newValue, ordering: .relaxed) }
    }

    /// Writer only; once a second. The words are each right, and may be of two seconds for a moment.
    @inline(never)
    func publish(_ media: StreamStatistics, roundTrip trip: RoundTripTracker) {
        guard media.packets > 0 || trip.measurements > 0 else { return }
        lost.store(media.lost, ordering: .relaxed)
        mediaPackets.store(media.packets, ordering: .relaxed)
        self[.duplicates] = media.duplicates
        self[.reordered] = media.reordered
        self[.lossBursts] = media.lossBursts
        self[.largestSequenceGap] = UInt32(media.largestSequenceGap)
        self[.longestGap] = Self.microseconds(media.longestGap)
        self[.jitter] = Self.microseconds(media.jitter)
        self[.highestJitter] = Self.microseconds(media.highestJitter)
        self[.ssrc] = media.ssrc ?? 0
        self[.payloadTypePlusOne] = media.payloadType.map { UInt32($0) + 1 } ?? 0
        self[.ssrcChanges] = media.ssrcChanges
        self[.payloadTypeChanges] = media.payloadTypeChanges
        self[.restarts] = media.restarts
        self[.timestampJumps] = media.timestampJumps
        self[.comfortNoisePackets] = media.comfortNoisePackets
        self[.isInComfortNoise] = media.isInComfortNoise ? 1 : 0
        self[.telephoneEvents] = media.telephoneEvents.events
        guard let latest = trip.latest else { return }
        self[.roundTrip] = Self.microseconds(latest)
        if let shortest = trip.shortest { self[.shortestRoundTrip] = Self.microseconds(shortest) }
        if let longest = trip.longest { self[.longestRoundTrip] = Self.microseconds(longest) }
        self[.roundTripMeasurements] = trip.measurements
    }

    /// Writer only; once a second.
    func publish(inBandDigits count: UInt32) { inBandDigits.store(count, ordering: .relaxed) }

    /// Writer only: takes in one window.
    ///
    /// - Parameter startingAnew: what was published before was preliminary.
    @inline(never)
    func publish(_ measure: QualityTally.Measure, startingAnew: Bool) {
        var tally = startingAnew ? QualityTally() : tally
        tally.add(measure)
        store(tally.average, at: .average)
        store(tally.lowest, at: .lowest)
        store(tally.highest, at: .highest)
        self[.windows] = tally.windows
    }

    private var tally: QualityTally {
        var tally = QualityTally()
        tally.windows = self[.windows]
        tally.average = measure(at: .average)
        tally.lowest = measure(at: .lowest)
        tally.highest = measure(at: .highest)
        return tally
    }

    private func store(_ measure: QualityTally.Measure, at first: Detail) {
        let words: InlineArray<5, UInt32> = [
            measure.scaledRating, measure.jitterNanoseconds, measure.scaledLoss, measure.roundTripNanoseconds, measure.second,
        ]
        for index in words.indices { details[first.rawValue + index].store(words[index], ordering: .relaxed) }
    }

    private func measure(at first: Detail) -> QualityTally.Measure {
        func word(_ index: Int) -> UInt32 { details[first.rawValue + index].load(ordering: .relaxed) }
        var measure = QualityTally.Measure()
        measure.scaledRating = word(0)
        measure.jitterNanoseconds = word(1)
        measure.scaledLoss = word(2)
        measure.roundTripNanoseconds = word(3)
        measure.second = word(4)
        return measure
    }

    private static func microseconds(_ duration: Duration) -> UInt32 { UInt32(clamping: duration.nanoseconds / 1000) }

    private func duration(_ detail: Detail) -> Duration { .microseconds(Int64(self[detail])) }

    /// Writer only. Sequentially consistent, because it is rare: the words can be seen neither before the odd version nor
    /// after the even one.
    func setSource(_ source: SocketAddress?) {
        let start = version.load(ordering: .relaxed)
        version.store(start &+ 1, ordering: .sequentiallyConsistent)
        sourceHigh.store(source?.ip.high ?? 0, ordering: .sequentiallyConsistent)
        sourceLow.store(source?.ip.low ?? 0, ordering: .sequentiallyConsistent)
        let tag = source.map { UInt32($0.ip.family.rawValue) << 16 | UInt32($0.port) } ?? 0
        sourceTag.store(tag, ordering: .sequentiallyConsistent)
        version.store(start &+ 2, ordering: .sequentiallyConsistent)
    }

    private var source: SocketAddress? {
        while true {
            let start = version.load(ordering: .sequentiallyConsistent)
            let high = sourceHigh.load(ordering: .sequentiallyConsistent)
            let low = sourceLow.load(ordering: .sequentiallyConsistent)
            let tag = sourceTag.load(ordering: .sequentiallyConsistent)
            guard start & 1 == 0, version.load(ordering: .sequentiallyConsistent) == start else { continue }
            guard tag != 0 else { return nil }
            let isIPv4 = tag >> 16 == 4
            let ip = isIPv4 ? IPAddress(ipv4: UInt32(truncatingIfNeeded: low)) : IPAddress(ipv6High: high, low: low)
            return SocketAddress(ip: ip, port: UInt16(truncatingIfNeeded: tag))
        }
    }

    var snapshot: LegStatistics {
        var statistics = LegStatistics()
        statistics.packets = packets.load(ordering: .relaxed)
        statistics.octets = octets.load(ordering: .relaxed)
        statistics.lost = lost.load(ordering: .relaxed)
        statistics.strangersDropped = strangersDropped.load(ordering: .relaxed)
        statistics.rtcpPackets = rtcpPackets.load(ordering: .relaxed)
        statistics.sentPackets = sentPackets.load(ordering: .relaxed)
        statistics.withheldPackets = withheldPackets.load(ordering: .relaxed)
        statistics.kernelPackets = kernelPackets.load(ordering: .relaxed)
        statistics.portRefusals = UInt32(clamping: portRefusals.load(ordering: .relaxed))
        statistics.source = source
        statistics.duplicates = self[.duplicates]
        statistics.reordered = self[.reordered]
        statistics.lossBursts = self[.lossBursts]
        statistics.largestSequenceGap = self[.largestSequenceGap]
        statistics.longestGap = duration(.longestGap)
        statistics.jitter = duration(.jitter)
        statistics.highestJitter = duration(.highestJitter)
        if mediaPackets.load(ordering: .relaxed) > 0 { statistics.ssrc = self[.ssrc] }
        let payloadType = self[.payloadTypePlusOne]
        if payloadType > 0 { statistics.payloadType = UInt8(truncatingIfNeeded: payloadType - 1) }
        statistics.ssrcChanges = self[.ssrcChanges]
        statistics.payloadTypeChanges = self[.payloadTypeChanges]
        statistics.restarts = self[.restarts]
        statistics.timestampJumps = self[.timestampJumps]
        statistics.comfortNoisePackets = self[.comfortNoisePackets]
        statistics.isInComfortNoise = self[.isInComfortNoise] != 0
        statistics.telephoneEvents = self[.telephoneEvents]
        statistics.inBandDigits = inBandDigits.load(ordering: .relaxed)
        let media = mediaPackets.load(ordering: .relaxed)
        statistics.expected = media + statistics.lost - min(media, UInt64(statistics.duplicates))
        let tally = tally
        if tally.windows > 0 {
            statistics.quality = StreamQuality(
                average: StreamQuality.Measure(tally.average), lowest: StreamQuality.Measure(tally.lowest),
                highest: StreamQuality.Measure(tally.highest), windows: tally.windows)
        }
        statistics.roundTripMeasurements = self[.roundTripMeasurements]
        if statistics.roundTripMeasurements > 0 {
            statistics.roundTrip = duration(.roundTrip)
            statistics.shortestRoundTrip = duration(.shortestRoundTrip)
            statistics.longestRoundTrip = duration(.longestRoundTrip)
        }
        return statistics
    }
}

extension Atomic where Value == UInt32 {
    /// Leaves a zero alone: a page that nothing was written to takes no memory.
    @inline(always)
    func clear() { if load(ordering: .relaxed) != 0 { store(0, ordering: .relaxed) } }
}

extension Atomic where Value == UInt64 {
    /// Leaves a zero alone: a page that nothing was written to takes no memory.
    @inline(always)
    func clear() { if load(ordering: .relaxed) != 0 { store(0, ordering: .relaxed) } }

    /// For the one writer: no read-modify-write.
    @inline(always)
    func bump(_ amount: UInt64 = 1) { store(load(ordering: .relaxed) &+ amount, ordering: .relaxed) }
}
