import ControlProtocol
import Core
import RTP
import Relay

/// What the relay measured, in the words of the control socket and of records.
extension MediaReport {
    init(
        _ figures: LegStatistics, timeline buckets: (firstSecond: UInt32, buckets: [TimelineBucket])?,
        _ wallTime: (Instant) -> WallTime
    ) {
        self.init()
        quality = figures.quality.map {
            Quality(
                averageMOS: $0.average.score, lowestMOS: $0.lowest.score, highestMOS: $0.highest.score,
                lowestAt: wallTime($0.lowest.at))
        }
        lossPercent = figures.lossPercent ?? 0
        lossBursts = Int(figures.lossBursts)
        largestSequenceGap = Int(figures.largestSequenceGap)
        reordered = Int(figures.reordered)
        duplicates = Int(figures.duplicates)
        jitterMilliseconds = figures.jitter.inMilliseconds
        highestJitterMilliseconds = figures.highestJitter.inMilliseconds
        longestGapMilliseconds = figures.longestGap.inMilliseconds
        roundTripMilliseconds = figures.roundTrip?.inMilliseconds
        ssrc = figures.ssrc
        ssrcChanges = Int(figures.ssrcChanges)
        payloadType = figures.payloadType.map(Int.init)
        payloadTypeChanges = Int(figures.payloadTypeChanges)
        restarts = Int(figures.restarts)
        timestampJumps = Int(figures.timestampJumps)
        telephoneEvents = Int(figures.telephoneEvents)
        inBandDigits = Int(figures.inBandDigits)
        comfortNoisePackets = Int(figures.comfortNoisePackets)
        rtcpPackets = figures.rtcpPackets
        sentPackets = figures.sentPackets
        withheldPackets = figures.withheldPackets
        guard let buckets else { return }
        timelineStart = wallTime(Instant(nanoseconds: UInt64(buckets.firstSecond) * 1_000_000_000))
        timeline = buckets.buckets.map {
            Second(packets: Int($0.packets), lost: Int($0.lost), jitterMilliseconds: Int($0.jitterMilliseconds))
        }
    }
}

extension CallSummary.Media {
    init(state: MediaState, silenceSeconds: Double?, packets: UInt64, _ figures: LegStatistics) {
        self.init(
            state: state, silenceSeconds: silenceSeconds, packets: packets, mos: figures.quality?.average.score,
            jitterMilliseconds: figures.packets > 0 ? figures.jitter.inMilliseconds : nil, lossPercent: figures.lossPercent)
    }
}

extension CallDetail.FurtherMedium.Party {
    init(
        _ figures: LegStatistics, direction: String?, relayAddress: SocketAddress?, sdpAddress: SocketAddress?,
        lockedSource: SocketAddress?, now: Instant
    ) {
        let silence = figures.lastPacket.map { max(.zero, now - $0) }
        self.init(
            media: CallSummary.Media(
                state: silence.map { $0 < .seconds(1) ? .flowing : .silent } ?? .waiting, silenceSeconds: silence?.inSeconds,
                packets: figures.packets, figures),
            direction: direction, relayAddress: relayAddress, sdpAddress: sdpAddress, lockedSource: lockedSource,
            octets: figures.octets, lost: figures.lost, strangersDropped: figures.strangersDropped, sentPackets: figures.sentPackets)
    }
}

extension CallRecord.Direction {
    mutating func add(_ figures: LegStatistics) {
        mos = figures.quality?.average.score.inThousandths
        lowestMOS = figures.quality?.lowest.score.inThousandths
        jitterMilliseconds = figures.quality?.average.jitter.inMilliseconds
        highestJitterMilliseconds = figures.packets > 0 ? figures.highestJitter.inMilliseconds : nil
        lossPercent = figures.lossPercent?.inThousandths
        roundTripMilliseconds = figures.roundTrip?.inMilliseconds
    }
}

extension LegStatistics {
    /// Of the packets that should have come; nil when none should.
    var lossPercent: Double? { expected > 0 ? 100 * Double(lost) / Double(expected) : nil }
}

extension Double {
    /// Rounded to three decimals: more of them say nothing, and make a record longer.
    fileprivate var inThousandths: Double { (self * 1_000).rounded() / 1_000 }
}

extension Duration {
    /// To the microsecond.
    var inMilliseconds: Double { Double(nanoseconds / 1000) / 1000 }
}
