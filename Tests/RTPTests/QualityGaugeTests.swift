import Core
import RTP
import Testing

@Suite("Quality of a stream, window by window")
struct QualityGaugeTests {
    /// 50 packets a second, some of which are lost; a gauge that looks once a second.
    private struct Run {
        var gauge = QualityGauge()
        var tally = QualityTally()
        var media = StreamStatistics()
        var sequence: UInt16 = 100
        var second: UInt32 = 1000

        mutating func play(seconds: Int, losing lost: Set<Int> = [], payloadType: UInt8 = 0, roundTrip: Duration? = nil) {
            for _ in 0..<seconds {
                for number in 0..<50 {
                    sequence &+= 1
                    guard !lost.contains(number) else { continue }
                    let octets: [UInt8] =
                        [0x80, payloadType, UInt8(sequence >> 8), UInt8(sequence & 255), 0, 0]
                        + [UInt8(UInt32(sequence) * 160 >> 8 & 255), UInt8(UInt32(sequence) * 160 & 255), 1, 2, 3, 4]
                        + [UInt8](repeating: 0xd5, count: 160)
                    let now = UInt64(second) * 1_000_000_000 + UInt64(number) * 20_000_000
                    guard let header = RTPHeader(parsing: octets.span) else { continue }
                    media.receive(header, in: octets.span, now: now)
                }
                second += 1
                look(roundTrip: roundTrip)
            }
        }

        mutating func look(roundTrip: Duration? = nil, isFinal: Bool = false) {
            guard let measure = gauge.advance(to: second, media, roundTrip: roundTrip, isFinal: isFinal) else { return }
            if gauge.windows < 2 { tally = QualityTally() }
            tally.add(measure)
        }
    }

    @Test("until the first window is over it says what it can, then one word a window; one without packets says nothing")
    func windows() {
        var run = Run()
        #expect(run.tally.windows == 0)
        run.play(seconds: 3)
        #expect(run.tally.windows == 1 && run.gauge.windows == 0, "preliminary")
        run.play(seconds: 21)
        #expect(run.gauge.windows == 4 && run.tally.windows == 4)
        for _ in 0..<20 {
            run.second += 1
            run.look()
        }
        #expect(run.gauge.windows == 5, "the window that was under way")
    }

    @Test("G.711 without loss has 4.41; loss shows in the lowest and in the average, and when it was")
    func loss() throws {
        var run = Run()
        run.play(seconds: 16)
        #expect(run.tally.average.score > 4.40)
        #expect(run.tally.lowest.rating == run.tally.highest.rating)
        run.play(seconds: 5, losing: [3, 9, 20, 31, 44])
        run.play(seconds: 10)
        let (lowest, highest, average) = (run.tally.lowest, run.tally.highest, run.tally.average)
        #expect(abs(lowest.lossRatio - 0.1) < 0.03, "\(lowest)")
        #expect(lowest.score < 3.9 && highest.score > 4.40 && average.score > lowest.score && average.score < highest.score)
        #expect((1016...1022).contains(lowest.second))
        #expect(abs(average.lossRatio - 0.1 / 6) < 0.01)
    }

    @Test("a short last window counts only when there is no other")
    func last() {
        var run = Run()
        run.play(seconds: 1)
        run.look(isFinal: true)
        #expect(run.gauge.windows == 1 && run.tally.windows == 1)
        run.play(seconds: 7)
        let windows = run.gauge.windows
        run.look(isFinal: true)
        #expect(run.gauge.windows == windows + 1, "two seconds are enough")
        run.second += 1
        run.look(isFinal: true)
        #expect(run.gauge.windows == windows + 1)
    }

    @Test("the mean of many windows is their mean")
    func mean() {
        var tally = QualityTally()
        for number in 0..<20_000 as Range<UInt32> {
            var measure = QualityTally.Measure()
            measure.scaledRating = number % 2 == 0 ? 900_000_000 : 500_000_000
            measure.roundTripNanoseconds = number % 4 == 0 ? 80_000_000 : 0
            tally.add(measure)
        }
        #expect(abs(tally.average.rating - 70) < 0.1 && tally.average.roundTrip == .milliseconds(80))
        #expect(tally.lowest.rating == 50 && tally.highest.rating == 90)
    }

    @Test("the codec counts: G.729 is worse than G.711, and a dynamic type goes by its name; delay counts too")
    func codecs() throws {
        var g729 = Run()
        g729.play(seconds: 11, payloadType: 18)
        #expect(abs(g729.tally.average.score - 4.11) < 0.02)
        var dynamic = Run()
        dynamic.media.formats.set(97, to: .media, codec: SpeechCodec(encodingName: "ilbc"))
        dynamic.play(seconds: 11, payloadType: 97)
        #expect(abs(dynamic.tally.average.score - 4.08) < 0.05)
        var far = Run()
        far.play(seconds: 11, roundTrip: .milliseconds(600))
        #expect(far.tally.average.score < 4 && far.tally.average.roundTrip == .milliseconds(600))
    }

    @Test("payload formats of both sides add up, and the first word counts")
    func formats() {
        var own = PayloadFormats()
        own.set(101, to: .telephoneEvent)
        own.set(96, to: .media, clockRate: 48_000, codec: .opus)
        var other = PayloadFormats()
        other.set(96, to: .telephoneEvent)
        other.fill(from: own)
        #expect(other.use(of: 96) == .telephoneEvent && other.use(of: 101) == .telephoneEvent)
        #expect(other.codec(of: 96) == .g711 && own.codec(of: 96) == .opus && own.codec(of: 18) == .g729)
        #expect(own.clockRate(of: 96) == 48_000)
    }
}
