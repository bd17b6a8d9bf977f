/// Everything that the packets of one direction tell about themselves, without RTCP: a plain fixed layout without references.
///
/// It takes only packets of the genuine source: whoever feeds it has checked that, so there is no probation (RFC 3550 §A.1).
/// The common packet, the next one in sequence of the same source and payload type, is handled inline and touches two cache
/// lines; all others go out of line. One thread at a time.
///
/// Arrival times are those of the caller's clock. Where packets are handled in batches with one reading of the clock, jitter
/// and gaps are good to the length of a batch.
@frozen
public struct StreamStatistics: Sendable, BitwiseCopyable {
    /// A step forward up to this is loss, not a restart (RFC 3550 §A.1).
    static let maximumDropout: UInt16 = 3000
    /// A step back up to this is reordering or a repeat. The record of missing packets reaches further.
    static let maximumMisorder: UInt16 = 100

    // What every packet touches comes first.

    /// SSRC in bits 8 to 39, payload type of the medium below, and the flags that follow: with any of them set, no packet is
    /// the common one.
    @usableFromInline var key: UInt64
    /// The highest sequence number of this run, plus 65536 and its wraps: 16 bits of it are the number itself.
    @usableFromInline var extendedHighest: UInt64 = 0
    /// Bit n is set when the packet n before the highest one is missing.
    @usableFromInline var missing: UInt128 = 0
    @usableFromInline var packetCount: UInt64 = 0
    @usableFromInline var octetCount: UInt64 = 0
    @usableFromInline var lastArrival: UInt64 = 0
    @usableFromInline var longestInterval: UInt64 = 0
    /// Ticks of the timestamp per nanosecond, times 2^64.
    @usableFromInline var tickScale: UInt64 = 0
    /// Arrival less timestamp of the last packet, in ticks (RFC 3550 §A.8).
    @usableFromInline var transit: UInt32 = 0
    /// A change of transit beyond this is a jump of the timestamps, not jitter.
    @usableFromInline var transitLimit: UInt32 = 0
    /// The jitter estimate in sixteenths of a tick (RFC 3550 §A.8).
    @usableFromInline var scaledJitter: UInt32 = 0
    /// The highest since the last bucket of the time line.
    @usableFromInline var jitterPeak: UInt32 = 0
    @usableFromInline var markerCount: UInt32 = 0
    /// The second of the monotonic clock whose bucket is open; zero before the first packet.
    @usableFromInline var openSecond: UInt32 = 0

    /// Payload types as the leg's SDP says. Changing it takes effect with the next change of payload type; call `breakRun`.
    public var formats: PayloadFormats
    /// What telephone-events came.
    public private(set) var telephoneEvents: TelephoneEventCounter

    private var lostCount: UInt64 = 0
    /// `extendedHighest` at the run's first packet.
    private var runStart: UInt64 = 0
    private var firstArrival: UInt64 = 0
    private var lastComfortNoise: UInt64 = 0
    /// The sequence number that, coming next, proves a restart; past 65535 when there is none.
    private var restartAt: UInt32 = 0x10000
    private var clockRate: UInt32 = 8000
    private var highestJitterMicroseconds: UInt32 = 0
    private var bucketPackets: UInt64 = 0
    private var bucketLost: UInt64 = 0

    /// Packets that had come before; they are part of `packets`.
    public private(set) var duplicates: UInt32 = 0
    /// Packets that came after one with a higher sequence number, repeats left out.
    public private(set) var reordered: UInt32 = 0
    /// Stretches of packets missing one after the other.
    public private(set) var lossBursts: UInt32 = 0
    /// Packets too far from the run to belong to it, while no second one proved a restart.
    public private(set) var strays: UInt32 = 0
    /// Times that the same SSRC went on at a sequence number out of reach (RFC 3550 §A.1).
    public private(set) var restarts: UInt32 = 0
    public private(set) var ssrcChanges: UInt32 = 0
    /// Changes of the media's payload type; comfort noise and telephone-events in between are none.
    public private(set) var payloadTypeChanges: UInt32 = 0
    /// Packets.
    public private(set) var comfortNoisePackets: UInt32 = 0
    /// Times that the timestamps went on somewhere else, by more than two seconds.
    public private(set) var timestampJumps: UInt32 = 0
    /// The most packets missing between two that came one after the other.
    public private(set) var largestSequenceGap: UInt16 = 0

    public init(formats: PayloadFormats = PayloadFormats()) {
        self.formats = formats
        key = Self.noMedia | Self.isBroken
        telephoneEvents = TelephoneEventCounter()
    }

    /// Takes one well-formed RTP packet into account.
    ///
    /// - Parameters:
    ///   - header: parsed from `datagram`.
    ///   - now: nanoseconds of the monotonic clock, never less than before.
    @inlinable @inline(always)
    public mutating func receive(_ header: RTPHeader, in datagram: Span<UInt8>, now: UInt64) {
        let packetKey = UInt64(header.ssrc) &<< 8 | UInt64(header.payloadType)
        let next = UInt16(truncatingIfNeeded: extendedHighest) &+ 1
        guard packetKey == key, header.sequenceNumber == next else {
            receiveUncommon(datagram, now: now)
            return
        }
        extendedHighest &+= 1
        missing = missing &+ missing
        packetCount &+= 1
        octetCount &+= UInt64(truncatingIfNeeded: datagram.count)
        markerCount &+= header.marker ? 1 : 0
        let interval = now &- lastArrival
        if interval > longestInterval { noteInterval(interval) }
        lastArrival = now
        // Read again, here: kept since the header was parsed, it would be kept as four octets in four places.
        takeTransit(of: datagram.uint32(at: 4), now: now)
    }

    /// Says which second it is; call it before `receive`, and now and then for a stream that may have fallen silent, so that
    /// its last seconds are written. Costs a comparison while the second is the same.
    ///
    /// - Parameter second: of the clock of `receive`, whole seconds.
    @inlinable @inline(always)
    public mutating func advance(to second: UInt32, timeline: borrowing MediaTimeline) {
        if second != openSecond { closeBucket(at: second, timeline: timeline) }
    }

    /// The next packet begins a new run: nothing between it and the last one is loss, a gap or jitter. For a source that was
    /// locked to anew, for hold and resume, and after a change of `formats`.
    public mutating func breakRun() { key |= Self.isBroken }

    /// Jitter as RFC 3550 §A.8 has it, over every packet but repeats and telephone-events: these keep their timestamp while
    /// time goes on.
    @inlinable @inline(always)
    mutating func takeTransit(of timestamp: UInt32, now: UInt64) {
        let arrival = UInt32(truncatingIfNeeded: now.multipliedFullWidth(by: tickScale).high)
        let newTransit = arrival &- timestamp
        let change = Int32(bitPattern: newTransit &- transit)
        transit = newTransit
        let distance = UInt32(bitPattern: change < 0 ? 0 &- change : change)
        if distance > transitLimit {
            noteTimestampJump()
            return
        }
        scaledJitter = scaledJitter &+ distance &- (scaledJitter &+ 8) &>> 4
        if scaledJitter > jitterPeak { jitterPeak = scaledJitter }
    }

    // MARK: - Out of line

    /// In `key`: no medium's payload type yet.
    private static let noMedia: UInt64 = 0x80
    /// In `key`: the next packet begins a run.
    private static let isBroken: UInt64 = 1 << 63
    /// In `key`: transit is measured from the next packet on that is no telephone-event.
    private static let isUnanchored: UInt64 = 1 << 62

    @usableFromInline @inline(never)
    mutating func noteTimestampJump() { timestampJumps &+= 1 }

    /// Who sends comfort noise falls silent after it: that is no gap.
    @usableFromInline @inline(never)
    mutating func noteInterval(_ interval: UInt64) {
        guard interval < 1 << 63 else { return }  // a clock that went back
        if lastComfortNoise != lastArrival { longestInterval = interval }
    }

    /// Any packet but the common one. It parses once more: handing the header over would cost every packet.
    @usableFromInline @inline(never)
    mutating func receiveUncommon(_ datagram: Span<UInt8>, now: UInt64) {
        guard let header = RTPHeader(parsing: datagram) else { return }
        packetCount &+= 1
        octetCount &+= UInt64(datagram.count)
        if packetCount == 1 {
            firstArrival = now
            openSecond = UInt32(truncatingIfNeeded: now / 1_000_000_000)
        }
        if key & Self.isBroken == 0 {
            let interval = now &- lastArrival
            if interval > longestInterval { noteInterval(interval) }
        }
        lastArrival = now
        let place = place(of: header)
        if place == .newRun { key = key & ~Self.isBroken | Self.isUnanchored }
        guard place != .repeated, place != .stray else { return }
        markerCount &+= header.marker ? 1 : 0

        switch formats.use(of: header.payloadType) {
        case .telephoneEvent:
            telephoneEvents.receive(header, in: datagram)
        case .comfortNoise:
            // It goes by the clock of the medium around it.
            if key & Self.noMedia != 0 { setClockRate(formats.clockRate(of: header.payloadType)) }
            comfortNoisePackets &+= 1
            lastComfortNoise = now
            measureTransit(of: header.timestamp, now: now)
        case .media:
            if key & 0xff != UInt64(header.payloadType) {
                // A late packet from before the change is not a change back.
                guard place != .late else { return }
                if key & Self.noMedia == 0 { payloadTypeChanges &+= 1 }
                key = key & ~0xff | UInt64(header.payloadType) | Self.isUnanchored
            }
            if key & Self.isUnanchored != 0 { setClockRate(formats.clockRate(of: header.payloadType)) }
            measureTransit(of: header.timestamp, now: now)
        }
    }

    private enum Place {
        case newRun, advanced, late, repeated, stray
    }

    /// Where the packet lies in the sequence (RFC 3550 §A.1).
    private mutating func place(of header: RTPHeader) -> Place {
        let isChanged = UInt32(truncatingIfNeeded: key >> 8) != header.ssrc
        if isChanged || key & Self.isBroken != 0 {
            if isChanged {
                if packetCount > 1 { ssrcChanges &+= 1 }
                key = key & (0xff | Self.isBroken) | UInt64(header.ssrc) << 8
                telephoneEvents.sourceChanged()
            }
            begin(at: header.sequenceNumber)
            return .newRun
        }
        let step = header.sequenceNumber &- UInt16(truncatingIfNeeded: extendedHighest)
        if step == 0 {
            duplicates &+= 1
            return .repeated
        }
        if step < Self.maximumDropout {
            skip(step &- 1)
            return .advanced
        }
        if step > 0 &- Self.maximumMisorder { return placeLate(Int(0 &- step)) }
        if UInt32(header.sequenceNumber) == restartAt {
            // The one that jumped belongs to the new run.
            begin(at: header.sequenceNumber)
            runStart &-= 1
            strays &-= 1
            restarts &+= 1
            telephoneEvents.sourceChanged()
            return .newRun
        }
        restartAt = UInt32(header.sequenceNumber &+ 1)
        strays &+= 1
        return .stray
    }

    private mutating func begin(at sequenceNumber: UInt16) {
        extendedHighest = 0x1_0000 | UInt64(sequenceNumber)
        runStart = extendedHighest
        missing = 0
        restartAt = 0x10000
    }

    /// The next packet came, and `count` before it are missing.
    private mutating func skip(_ count: UInt16) {
        extendedHighest &+= UInt64(count) &+ 1
        let shift = UInt128(count) &+ 1
        missing = shift < 128 ? missing << shift | (1 << shift &- 2) : ~1
        restartAt = 0x10000
        guard count > 0 else { return }
        lostCount &+= UInt64(count)
        lossBursts &+= 1
        largestSequenceGap = max(largestSequenceGap, count)
    }

    /// The same of a run that was counted elsewhere.
    mutating func noteLoss(of run: PlainRun) {
        restartAt = 0x10000
        lostCount &+= UInt64(run.lost)
        lossBursts &+= run.lossBursts
        largestSequenceGap = run.largestSequenceGap
    }

    /// A packet `distance` before the highest, 1 to 99.
    private mutating func placeLate(_ distance: Int) -> Place {
        if extendedHighest &- UInt64(distance) < runStart {
            reordered &+= 1  // from before the first that came: it was never taken for lost
            return .late
        }
        let own = UInt128(1) << UInt128(distance)
        guard missing & own != 0 else {
            duplicates &+= 1
            return .repeated
        }
        missing &= ~own
        lostCount &-= 1
        reordered &+= 1
        // It splits a stretch of missing packets, shortens it, or was all of it.
        let neighbours = (missing & own << 1 != 0 ? 1 : 0) + (missing & own >> 1 != 0 ? 1 : 0)
        if neighbours == 2 { lossBursts &+= 1 } else if neighbours == 0 { lossBursts &-= 1 }
        return .late
    }

    private mutating func setClockRate(_ rate: UInt32) {
        guard rate != clockRate || tickScale == 0 else { return }
        keepHighestJitter()
        scaledJitter = UInt32(clamping: UInt64(scaledJitter) * UInt64(rate) / UInt64(clockRate))
        jitterPeak = scaledJitter
        clockRate = rate
        transitLimit = 2 * rate
        tickScale = UInt64(rate) * (UInt64.max / 1_000_000_000)
    }

    private mutating func measureTransit(of timestamp: UInt32, now: UInt64) {
        if key & Self.isUnanchored != 0 {
            key &= ~Self.isUnanchored
            transit = UInt32(truncatingIfNeeded: now.multipliedFullWidth(by: tickScale).high) &- timestamp
        } else {
            takeTransit(of: timestamp, now: now)
        }
    }

    private mutating func keepHighestJitter() {
        highestJitterMicroseconds = max(highestJitterMicroseconds, microseconds(scaled: jitterPeak))
    }

    private func microseconds(scaled jitter: UInt32) -> UInt32 {
        UInt32(clamping: UInt64(jitter) * 62_500 / UInt64(clockRate))
    }

    @usableFromInline @inline(never)
    mutating func closeBucket(at second: UInt32, timeline: borrowing MediaTimeline) {
        guard packetCount > 0, second > openSecond else { return }
        // Late packets can take away more than this second lost: what is owed is taken from the next ones.
        let lost = lostCount > bucketLost ? lostCount &- bucketLost : 0
        let bucket = TimelineBucket(
            packets: packetCount &- bucketPackets, lost: lost,
            jitterMilliseconds: UInt64(microseconds(scaled: jitterPeak) / 1000))
        timeline.append(bucket, for: openSecond)
        if second > openSecond &+ 1 { timeline.append(TimelineBucket(word: 0), for: second &- 1) }
        bucketLost &+= lost
        bucketPackets = packetCount
        keepHighestJitter()
        jitterPeak = 0
        openSecond = second
    }
}

// MARK: - Figures

extension StreamStatistics {
    /// Packets of the source, repeats included.
    public var packets: UInt64 { packetCount }
    /// Octets of their datagrams.
    public var octets: UInt64 { octetCount }
    /// Packets that never came, over all runs. RFC 3550 §A.3 lets a repeated packet hide a lost one; this does not.
    public var lost: UInt64 { lostCount }
    /// The figure of RFC 3550 §A.3, as receiver reports carry it; negative when more came than were sent.
    public var cumulativeLost: Int64 { Int64(lostCount) - Int64(duplicates) }
    /// Packets that should have come: those that came once, and those that did not.
    public var expected: UInt64 { packetCount - UInt64(duplicates) - UInt64(strays) + lostCount }
    /// Of 100 packets expected; zero when none was.
    public var lossPercent: Double { expected > 0 ? 100 * Double(lostCount) / Double(expected) : 0 }

    /// How much longer the stretches of loss are than if each packet were lost by itself (G.107 §7.5, BurstR); 1 when
    /// nothing is lost.
    public var burstRatio: Double {
        guard lossBursts > 0, expected > lostCount else { return 1 }
        let meanLength = Double(lostCount) / Double(lossBursts)
        return max(1, meanLength * (1 - Double(lostCount) / Double(expected)))
    }

    /// Wraps of the sequence number in this run.
    public var sequenceWraps: UInt32 { extendedHighest == 0 ? 0 : UInt32(truncatingIfNeeded: extendedHighest >> 16) &- 1 }
    /// The highest sequence number of this run with its wraps above it, as receiver reports carry it.
    public var extendedHighestSequenceNumber: UInt32 { sequenceWraps << 16 | UInt32(truncatingIfNeeded: extendedHighest & 0xffff) }

    /// The newest packet's source; nil before the first.
    public var ssrc: UInt32? { packetCount > 0 ? UInt32(truncatingIfNeeded: key >> 8) : nil }
    /// The medium's payload type, neither comfort noise nor telephone-event; nil before its first packet.
    public var payloadType: UInt8? { key & Self.noMedia == 0 ? UInt8(key & 0x7f) : nil }
    /// Ticks of the timestamp per second.
    public var currentClockRate: UInt32 { clockRate }

    /// The estimate of RFC 3550 §A.8 in ticks of the timestamp.
    public var jitterTicks: UInt32 { scaledJitter >> 4 }
    public var jitter: Duration { .microseconds(microseconds(scaled: scaledJitter)) }
    /// The highest value of the estimate so far.
    public var highestJitter: Duration {
        .microseconds(max(highestJitterMicroseconds, microseconds(scaled: jitterPeak)))
    }

    /// The longest time between two packets, but for silence after comfort noise and for broken runs.
    public var longestGap: Duration { .nanoseconds(Int64(clamping: longestInterval)) }
    /// Nanoseconds of the monotonic clock; nil before the first packet.
    public var firstPacketNanoseconds: UInt64? { packetCount > 0 ? firstArrival : nil }
    public var lastPacketNanoseconds: UInt64? { packetCount > 0 ? lastArrival : nil }

    /// Packets with the marker: for audio, each begins a stretch of talk (RFC 3551 §4.1), or a telephone-event.
    public var markers: UInt32 { markerCount }
    /// The newest packet was comfort noise: silence that follows is meant.
    public var isInComfortNoise: Bool { packetCount > 0 && lastComfortNoise == lastArrival }
}
