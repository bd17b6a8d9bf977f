/// A run of packets of one stream, none late or repeated, counted by somebody else than its `StreamStatistics`: where it stands, and
/// what the next packet is. A plain fixed layout without references.
public struct PlainRun: BitwiseCopyable, Sendable {
    /// The next packet's, with those of the medium.
    public var sequenceNumber: UInt16 = 0
    public var ssrc: UInt32 = 0
    public var payloadType: UInt8 = 0
    /// Arrival of the last packet, in nanoseconds of the monotonic clock, and the longest time between two.
    public var lastArrival: UInt64 = 0
    public var longestInterval: UInt64 = 0
    /// Ticks of the timestamp per nanosecond, times 2^64.
    public var tickScale: UInt64 = 0
    /// Arrival less timestamp of the last packet, in ticks, and by how much the next one's may differ.
    public var transit: UInt32 = 0
    public var transitLimit: UInt32 = 0
    /// In sixteenths of a tick (RFC 3550 §A.8).
    public var scaledJitter: UInt32 = 0
    public var jitterPeak: UInt32 = 0

    /// Bit n is set when the packet n before the highest one is missing.
    public var missing: UInt128 = 0

    // What came of it so far.

    public var packets: UInt32 = 0
    public var markers: UInt32 = 0
    public var octets: UInt64 = 0
    /// Packets that did not come, and in how many stretches; the most in one, counted from the stream's begin.
    public var lost: UInt32 = 0
    public var lossBursts: UInt32 = 0
    public var largestSequenceGap: UInt16 = 0

    public init() {}
}

extension StreamStatistics {
    /// The run that the next common packet goes on with; nil while the next packet is none, whatever it is.
    public var plainRun: PlainRun? {
        guard key >> 40 == 0, key & 0x80 == 0, !isInComfortNoise else { return nil }
        var run = PlainRun()
        run.sequenceNumber = UInt16(truncatingIfNeeded: extendedHighest) &+ 1
        run.ssrc = UInt32(truncatingIfNeeded: key >> 8)
        run.payloadType = UInt8(truncatingIfNeeded: key)
        run.lastArrival = lastArrival
        run.longestInterval = longestInterval
        run.tickScale = tickScale
        run.transit = transit
        run.transitLimit = transitLimit
        run.scaledJitter = scaledJitter
        run.jitterPeak = jitterPeak
        run.missing = missing
        run.largestSequenceGap = largestSequenceGap
        return run
    }

    /// Takes into account what came of a run that `plainRun` began: the same as if `receive` had seen its packets.
    public mutating func take(_ run: PlainRun) {
        extendedHighest &+= UInt64(run.packets) &+ UInt64(run.lost)
        missing = run.missing
        packetCount &+= UInt64(run.packets)
        octetCount &+= run.octets
        markerCount &+= run.markers
        longestInterval = run.longestInterval
        lastArrival = run.lastArrival
        transit = run.transit
        scaledJitter = run.scaledJitter
        jitterPeak = run.jitterPeak
        if run.lost > 0 { noteLoss(of: run) }
    }
}
