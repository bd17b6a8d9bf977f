import Core
import RTP
import Testing

@Suite("E-model (ITU-T G.107)")
struct EModelTests {
    static func isClose(_ value: Double, _ expected: Double, within tolerance: Double) -> Bool {
        abs(value - expected) <= tolerance
    }

    @Test(
        "R to MOS, as G.107 Annex B has it",
        arguments: [
            (-1, 1), (0, 1), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34), (93.2, 4.41), (100, 4.5), (101, 4.5),
        ] as [(Double, Double)])
    func score(rating: Double, expected: Double) {
        // The table rounds 4.024 to 4.03.
        #expect(Self.isClose(EModel.meanOpinionScore(rating: rating), expected, within: 0.0061))
    }

    @Test("MOS never leaves 1 to 4.5")
    func scoreLimits() {
        for rating in stride(from: -20.0, through: 120, by: 0.25) {
            let score = EModel.meanOpinionScore(rating: rating)
            #expect(score >= 1 && score <= 4.5)
        }
    }

    @Test(
        "a codec without loss or delay is 93.2 less its impairment (G.113 Appendix I)",
        arguments: [
            (CodecImpairment.g711, 93.2, 4.41), (.g729, 82.2, 4.11), (.g7231, 78.2, 3.96), (.gsmEnhanced, 88.2, 4.30),
            (.gsm, 73.2, 3.74), (.g726, 86.2, 4.24),
        ] as [(CodecImpairment, Double, Double)])
    func codecs(codec: CodecImpairment, rating: Double, score: Double) {
        let value = EModel.rating(codec, lossPercent: 0)
        #expect(Self.isClose(value, rating, within: 1e-9))
        #expect(Self.isClose(EModel.meanOpinionScore(rating: value), score, within: 0.01))
    }

    @Test(
        "loss, by Ie-eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl), worked out by hand",
        arguments: [
            (CodecImpairment.g711, 1, 1, 93.2 - 95.0 / 26.1), (.g711, 2, 1, 93.2 - 190 / 27.1), (.g711, 5, 1, 93.2 - 475 / 30.1),
            (.g711WithoutConcealment, 1, 1, 93.2 - 95 / 5.3), (.g711WithoutConcealment, 2, 1, 93.2 - 190 / 6.3),
            (.g729, 2, 1, 82.2 - 168.0 / 21), (.g729, 5, 1, 82.2 - 17.5), (.g7231, 1, 1, 78.2 - 80 / 17.1),
            (.g711, 2, 2, 93.2 - 190 / 26.1), (.g729, 2, 4, 82.2 - 168 / 19.5),
            (.g711, 2, 0.5, 93.2 - 190 / 27.1),  // below 1 there is no burst ratio
            (.g711WithoutConcealment, 100, 1, 93.2 - 9500 / 104.3), (.g711, -3, 1, 93.2), (.g711, 100, 8, 0),
        ] as [(CodecImpairment, Double, Double, Double)])
    func loss(codec: CodecImpairment, percent: Double, burst: Double, rating: Double) {
        #expect(Self.isClose(EModel.rating(codec, lossPercent: percent, burstRatio: burst), rating, within: 1e-9))
    }

    @Test(
        "delay, by Idd",
        arguments: [(0, 0), (100, 0), (150, 0.16), (200, 3.04), (400, 24.07), (800, 40.83)] as [(Int, Double)])
    func delay(milliseconds: Int, impairment: Double) {
        let rating = EModel.rating(.g711, lossPercent: 0, oneWayDelay: .milliseconds(milliseconds))
        #expect(Self.isClose(rating, 93.2 - impairment, within: 0.01))
    }

    @Test("quality only falls with loss, stretches of it, and delay, and stays in range")
    func monotone() {
        for codec in [CodecImpairment.g711, .g711WithoutConcealment, .g729, .g7231, .gsm, .ilbc, .opus] {
            var last = Double.infinity
            for loss in stride(from: 0.0, through: 100, by: 0.5) {
                let rating = EModel.rating(codec, lossPercent: loss)
                #expect(rating <= last && rating >= 0 && rating <= EModel.defaultRating)
                #expect(EModel.rating(codec, lossPercent: loss, burstRatio: 3) <= rating)
                last = rating
            }
            last = .infinity
            for delay in stride(from: 0, through: 5000, by: 10) {
                let rating = EModel.rating(codec, lossPercent: 0, oneWayDelay: .milliseconds(delay))
                #expect(rating <= last && rating >= 0)
                last = rating
            }
        }
    }

    @Test("codecs by their names in SDP and by static payload type")
    func names() {
        #expect(CodecImpairment(encodingName: "pcma") == .g711 && CodecImpairment(encodingName: "G729") == .g729)
        #expect(CodecImpairment(encodingName: "iLBC") == .ilbc && CodecImpairment(encodingName: "opus") == .opus)
        #expect(CodecImpairment(encodingName: "G722") == .g711 && CodecImpairment(encodingName: "x") == .g711)
        #expect([0, 8, 9, 96].allSatisfy { CodecImpairment(payloadType: $0) == .g711 })
        #expect(CodecImpairment(payloadType: 3) == .gsm && CodecImpairment(payloadType: 4) == .g7231)
        #expect(CodecImpairment(payloadType: 18) == .g729)
    }
}

@Suite("Quality of a call")
struct CallQualityTests {
    @Test("average, lowest and highest over windows; windows without packets say nothing")
    func windows() throws {
        var quality = CallQuality(codec: .g711)
        #expect(quality.averageScore == nil && quality.lowestRating == nil && quality.highestScore == nil)
        quality.add(.init(packets: 0, lost: 0))
        #expect(quality.windows == 0)
        quality.add(.init(packets: 500, lost: 0))
        quality.add(.init(packets: 490, lost: 10))
        #expect(quality.windows == 2)
        let clean = 93.2, lossy = 93.2 - 190 / 27.1
        #expect(try EModelTests.isClose(#require(quality.averageRating), (clean + lossy) / 2, within: 1e-9))
        #expect(try EModelTests.isClose(#require(quality.lowestRating), lossy, within: 1e-9))
        #expect(quality.highestRating == clean)
        #expect(try #require(quality.lowestScore) < #require(quality.averageScore))
        #expect(try #require(quality.averageScore) < #require(quality.highestScore))
    }

    @Test("delay is a packet, twice the jitter and half the round trip")
    func delay() {
        let window = CallQuality.Window(packets: 1, lost: 0, jitter: .milliseconds(30), roundTrip: .milliseconds(240))
        #expect(window.oneWayDelay == .milliseconds(200))
        #expect(CallQuality.Window(packets: 1, lost: 0).oneWayDelay == .milliseconds(20))
    }

    @Test("a time line is cut into windows; silence in it is left out")
    func timeline() throws {
        let second = TimelineBucket(packets: 50, lost: 0, jitterMilliseconds: 2)
        let bad = TimelineBucket(packets: 40, lost: 10, jitterMilliseconds: 90)
        let silent = TimelineBucket(word: 0)
        var quality = CallQuality(codec: .g711)
        quality.add(Array(repeating: second, count: 20) + Array(repeating: silent, count: 10) + [bad, bad, bad])
        #expect(quality.windows == 3 && quality.highestRating == 93.2)
        let expected = EModel.rating(.g711, lossPercent: 20, oneWayDelay: .milliseconds(200))
        #expect(try EModelTests.isClose(#require(quality.lowestRating), expected, within: 1e-9))
    }
}
