internal import Core

/// How one stream was heard, in windows of a few seconds each. Flat and small: what the windows said is kept by `QualityTally`.
///
/// A window's loss is the packets that never came of those that were due in it. One in which nothing was due (silence
/// suppression, hold, a stream that ended) says nothing and is left out: for that there are activity and time line.
package struct QualityGauge: Sendable, BitwiseCopyable {
    package static let windowSeconds: UInt32 = 5
    /// Packets of a second or so.
    private static let shortWindow: UInt32 = 50

    /// Whole windows so far.
    package private(set) var windows: UInt32 = 0
    // The window under way. Counts as they were at its beginning, without their upper half.
    private var endsAt: UInt32 = 0
    private var countedExpected: UInt32 = 0
    private var countedLost: UInt32 = 0

    package init() {}

    /// Once a second, after `media` took the packets of the second that is over.
    ///
    /// - Parameters:
    ///   - roundTrip: of the whole call; nil counts as none.
    ///   - isFinal: the stream is over, and so is the window. A short one would make much of one lost packet: it counts only
    ///     when there is no other.
    /// - Returns: what a window said that is over, or, while there is no whole one yet, what the first one says so far.
    package mutating func advance(
        to second: UInt32, _ media: StreamStatistics, roundTrip: Duration?, isFinal: Bool = false
    ) -> QualityTally.Measure? {
        if endsAt == 0 { endsAt = second &+ Self.windowSeconds }
        let isOver = second >= endsAt || isFinal
        guard isOver || windows == 0 else { return nil }
        let dueNow = UInt32(truncatingIfNeeded: media.expected) &- countedExpected
        let lostNow = UInt32(truncatingIfNeeded: media.lost) &- countedLost
        // Packets that come late take away loss that was counted before: then less than none was lost, or due.
        let expected = dueNow < 1 << 31 ? dueNow : 0
        let lost = lostNow < 1 << 31 ? min(lostNow, expected) : 0
        defer {
            if isOver {
                endsAt = second &+ Self.windowSeconds
                countedExpected = UInt32(truncatingIfNeeded: media.expected)
                countedLost = UInt32(truncatingIfNeeded: media.lost)
            }
        }
        guard expected > (isFinal && windows > 0 ? Self.shortWindow : 0) else { return nil }
        if isOver { windows &+= 1 }
        let window = CallQuality.Window(
            packets: UInt64(expected - lost), lost: UInt64(lost), burstRatio: media.burstRatio, jitter: media.jitter,
            roundTrip: roundTrip)
        let codec = media.payloadType.map { media.formats.codec(of: $0) } ?? .g711
        return QualityTally.Measure(
            rating: EModel.rating(
                codec.impairment, lossPercent: window.lossPercent, burstRatio: window.burstRatio,
                oneWayDelay: window.oneWayDelay),
            jitter: media.jitter, lossRatio: window.lossPercent / 100, roundTrip: roundTrip, second: second)
    }
}

/// What the windows of a stream said: the mean of all, the worst and the best.
package struct QualityTally: Sendable, BitwiseCopyable, Equatable {
    /// As whole numbers, so that each is written and read as one word.
    package struct Measure: Sendable, BitwiseCopyable, Equatable {
        /// R of G.107, in ten millionths.
        package var scaledRating: UInt32 = 0
        /// Four seconds and a little at the most.
        package var jitterNanoseconds: UInt32 = 0
        /// In thousand millionths.
        package var scaledLoss: UInt32 = 0
        /// From one end of the call to the other and back; zero when RTCP did not tell.
        package var roundTripNanoseconds: UInt32 = 0
        /// The second of the monotonic clock at which the window ended.
        package var second: UInt32 = 0

        package init() {}

        init(rating: Double, jitter: Duration, lossRatio: Double, roundTrip: Duration?, second: UInt32) {
            scaledRating = UInt32(min(max(rating, 0), 100) * 1e7)
            jitterNanoseconds = UInt32(clamping: jitter.nanoseconds)
            scaledLoss = UInt32(min(max(lossRatio, 0), 1) * 1e9)
            roundTripNanoseconds = roundTrip.map { max(1, UInt32(clamping: $0.nanoseconds)) } ?? 0
            self.second = second
        }

        package var rating: Double { Double(scaledRating) / 1e7 }
        /// MOS-CQE.
        package var score: Double { EModel.meanOpinionScore(rating: rating) }
        package var jitter: Duration { .nanoseconds(Int64(jitterNanoseconds)) }
        package var lossRatio: Double { Double(scaledLoss) / 1e9 }
        package var roundTrip: Duration? { roundTripNanoseconds > 0 ? .nanoseconds(Int64(roundTripNanoseconds)) : nil }
    }

    package var windows: UInt32 = 0
    /// `second` is that of the last window.
    package var average = Measure()
    package var lowest = Measure()
    package var highest = Measure()

    package init() {}

    package mutating func add(_ measure: Measure) {
        windows &+= 1
        guard windows > 1 else {
            (average, lowest, highest) = (measure, measure, measure)
            return
        }
        let count = Double(windows)
        func move(_ mean: inout UInt32, to value: UInt32) {
            mean = UInt32((Double(mean) + (Double(value) - Double(mean)) / count).rounded())
        }
        move(&average.scaledRating, to: measure.scaledRating)
        move(&average.jitterNanoseconds, to: measure.jitterNanoseconds)
        move(&average.scaledLoss, to: measure.scaledLoss)
        if measure.roundTripNanoseconds > 0 {
            if average.roundTripNanoseconds == 0 {
                average.roundTripNanoseconds = measure.roundTripNanoseconds
            } else {
                move(&average.roundTripNanoseconds, to: measure.roundTripNanoseconds)
            }
        }
        average.second = measure.second
        if measure.scaledRating < lowest.scaledRating { lowest = measure }
        if measure.scaledRating > highest.scaledRating { highest = measure }
    }
}

/// The codecs whose effect on quality is known apart, as few bits of a payload type's entry.
@frozen
public enum SpeechCodec: UInt8, Sendable, BitwiseCopyable {
    /// And everything else of which nothing is known.
    case g711
    case g729, g723, gsm, gsmEnhanced, g726, opus, ilbc

    /// By the name in `a=rtpmap`, in any case.
    public init(encodingName: String) {
        // What nearly every description has, as nearly everybody spells it.
        if encodingName == "PCMU" || encodingName == "PCMA" || encodingName == "telephone-event" {
            self = .g711
            return
        }
        if encodingName == "G729" {
            self = .g729
            return
        }
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
