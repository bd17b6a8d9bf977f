/// How one stream was heard, in windows of a few seconds each: the mean of all, the worst and the best. Flat memory.
///
/// A window's loss is the packets that never came of those that were due in it. One in which nothing was due (silence
/// suppression, hold, a stream that ended) says nothing and is left out: for that there are activity and time line.
package struct QualityGauge: Sendable, BitwiseCopyable {
    /// What one window said, or all of them on average.
    package struct Measure: Sendable, BitwiseCopyable, Equatable {
        /// R of G.107.
        package var rating: Double
        package var jitterMicroseconds: Double
        /// 0 to 1.
        package var lossRatio: Double
        /// From one end of the call to the other and back; zero when RTCP did not tell.
        package var roundTripMicroseconds: UInt32
        /// The second of the monotonic clock at which the window ended.
        package var second: UInt32

        package var score: Double { EModel.meanOpinionScore(rating: rating) }
    }

    package static let windowSeconds: UInt32 = 5
    /// Packets of a second or so.
    private static let shortWindow: UInt64 = 50

    package private(set) var windows: UInt32 = 0
    private var worst = Measure(rating: .infinity, jitterMicroseconds: 0, lossRatio: 0, roundTripMicroseconds: 0, second: 0)
    private var best = Measure(rating: -.infinity, jitterMicroseconds: 0, lossRatio: 0, roundTripMicroseconds: 0, second: 0)
    private var ratingSum = 0.0
    private var jitterSum = 0.0
    private var lossSum = 0.0
    private var roundTripSum: UInt64 = 0
    private var roundTrips: UInt32 = 0
    // The window under way.
    private var endsAt: UInt32 = 0
    private var countedExpected: UInt64 = 0
    private var countedLost: UInt64 = 0

    package init() {}

    package var lowest: Measure? { windows > 0 ? worst : nil }
    package var highest: Measure? { windows > 0 ? best : nil }
    /// The score of the mean rating; `second` is that of the last window.
    package var average: Measure? {
        guard windows > 0 else { return nil }
        let count = Double(windows)
        return Measure(
            rating: ratingSum / count, jitterMicroseconds: jitterSum / count, lossRatio: lossSum / count,
            roundTripMicroseconds: roundTrips > 0 ? UInt32(clamping: roundTripSum / UInt64(roundTrips)) : 0, second: endsAt)
    }

    /// Once a second, after `media` took the packets of the second that is over.
    ///
    /// - Parameters:
    ///   - roundTrip: of the whole call; nil counts as none.
    ///   - isFinal: the stream is over, and so is the window. A short one would make much of one lost packet: it counts only
    ///     when there is no other.
    package mutating func advance(
        to second: UInt32, _ media: StreamStatistics, roundTrip: Duration?, isFinal: Bool = false
    ) {
        if endsAt == 0 { endsAt = second &+ Self.windowSeconds }
        guard second >= endsAt || isFinal else { return }
        defer { endsAt = second &+ Self.windowSeconds }
        // Packets that come late take away loss that was counted before: then less than none was lost.
        let expected = media.expected > countedExpected ? media.expected - countedExpected : 0
        let lost = media.lost > countedLost ? min(media.lost - countedLost, expected) : 0
        countedExpected = media.expected
        countedLost = media.lost
        guard expected > (isFinal && windows > 0 ? Self.shortWindow : 0) else { return }
        let window = CallQuality.Window(
            packets: expected - lost, lost: lost, burstRatio: media.burstRatio, jitter: media.jitter, roundTrip: roundTrip)
        let codec = media.payloadType.map { media.formats.codec(of: $0) } ?? .g711
        let measure = Measure(
            rating: EModel.rating(
                codec.impairment, lossPercent: window.lossPercent, burstRatio: window.burstRatio,
                oneWayDelay: window.oneWayDelay),
            jitterMicroseconds: media.jitter.inMicroseconds, lossRatio: window.lossPercent / 100,
            roundTripMicroseconds: UInt32(clamping: Int64(roundTrip?.inMicroseconds ?? 0)), second: second)
        windows &+= 1
        ratingSum += measure.rating
        jitterSum += measure.jitterMicroseconds
        lossSum += measure.lossRatio
        if roundTrip != nil {
            roundTripSum &+= UInt64(measure.roundTripMicroseconds)
            roundTrips &+= 1
        }
        if measure.rating < worst.rating { worst = measure }
        if measure.rating > best.rating { best = measure }
    }
}

extension Duration {
    fileprivate var inMicroseconds: Double { Double(components.seconds) * 1e6 + Double(components.attoseconds) / 1e12 }
}

/// The codecs whose effect on quality is known apart, as few bits of a payload type's entry.
@frozen
public enum SpeechCodec: UInt8, Sendable, BitwiseCopyable {
    /// And everything else of which nothing is known.
    case g711
    case g729, g723, gsm, gsmEnhanced, g726, opus, ilbc

    /// By the name in `a=rtpmap`, in any case.
    public init(encodingName: String) {
        switch encodingName.uppercased() {
        case "G729", "G729A": self = .g729
        case "G723": self = .g723
        case "GSM": self = .gsm
        case "GSM-EFR", "AMR": self = .gsmEnhanced
        case "G726-32": self = .g726
        case "ILBC": self = .ilbc
        case "OPUS": self = .opus
        default: self = .g711
        }
    }

    /// By static payload type (RFC 3551 §6).
    public init(payloadType: UInt8) {
        switch payloadType {
        case 3: self = .gsm
        case 4: self = .g723
        case 18: self = .g729
        default: self = .g711
        }
    }

    package var impairment: CodecImpairment {
        switch self {
        case .g711: .g711
        case .g729: .g729
        case .g723: .g7231
        case .gsm: .gsm
        case .gsmEnhanced: .gsmEnhanced
        case .g726: .g726
        case .opus: .opus
        case .ilbc: .ilbc
        }
    }
}
