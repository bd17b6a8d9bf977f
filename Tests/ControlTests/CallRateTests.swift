import Core
import Testing

@testable import Control

@Suite struct CallRateTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)
    private static let flooder = IPAddress("192.0.2.66")!
    private static let good = IPAddress("192.0.2.7")!

    @Test("beside a source that asks three thousand times a second another one has every call it asks for, up to its share")
    func fair() {
        for (limit, wanted) in [(8, 1), (100, 1), (100, 10), (100, 30)] {
            var rate = CallRate(rate: limit, now: Self.start)
            var (admitted, flooded) = (0, 0)
            for tick in 0..<30_000 {
                let now = Self.start + .microseconds(333 * tick)
                if rate.take(from: Self.flooder, now: now) { flooded += 1 }
                if tick % (3_000 / wanted) == 1_000 / wanted, rate.take(from: Self.good, now: now) { admitted += 1 }
            }
            #expect(admitted == wanted * 10, "\(wanted) a second for 10 s")
            #expect((limit * 99 / 10...limit * 11).contains(admitted + flooded), "and what it leaves is used: \(admitted + flooded)")
        }
    }

    @Test("beside twenty addresses that flood another one has every call, evenly or all of a second's at once")
    func manyFlooders() {
        for isInBursts in [false, true] {
            var rate = CallRate(rate: 500, now: Self.start)
            let flooders = (1...20).map { IPAddress("198.51.100.\($0)")! }
            var (wanted, admitted, flooded) = (0, 0, 0)
            for tick in 0..<60_000 {
                let now = Self.start + .microseconds(333 * tick)
                if rate.take(from: flooders[tick / 32 % 20], now: now) { flooded += 1 }
                // 20 a second, from a second after the flood has begun.
                guard tick >= 3_000, isInBursts ? tick % 3_000 < 20 : tick % 150 == 75 else { continue }
                wanted += 1
                if rate.take(from: Self.good, now: now) { admitted += 1 }
            }
            #expect(wanted == 380)
            // It is new in the middle of the flood; of its first burst a part passes.
            #expect(isInBursts ? admitted >= wanted - 10 : admitted == wanted, "\(admitted) of \(wanted)")
            #expect((9_900...10_500).contains(admitted + flooded), "and what it leaves is used: \(admitted + flooded)")
        }
    }

    @Test("many that begin to flood at once leave something to who has a share")
    func suddenFlood() {
        var rate = CallRate(rate: 500, now: Self.start)
        let flooders = (1...200).map { IPAddress("198.51.100.\($0)")! }
        #expect(rate.take(from: Self.good, now: Self.start) == true)
        let now = Self.start + .milliseconds(1_500)
        var flooded = 0
        for number in 0..<20_000 where rate.take(from: flooders[number % 200], now: now) { flooded += 1 }
        #expect((250...375).contains(flooded), "\(flooded) at once of 500")
        #expect(rate.take(from: Self.good, now: now) == true)
    }

    @Test("one alone has all of it; zero is without limit")
    func alone() {
        var rate = CallRate(rate: 10, now: Self.start)
        var now = Self.start
        var admitted = 0
        for _ in 0..<10_000 {
            if rate.take(from: Self.good, now: now) { admitted += 1 }
            now = now + .milliseconds(1)
        }
        #expect((99...110).contains(admitted), "10 a second for 10 s, and at most 10 at once in the beginning: \(admitted)")
        var free = CallRate(rate: 0, now: Self.start)
        var count = 0
        for _ in 0..<1_000 where free.take(from: Self.good, now: now) { count += 1 }
        #expect(count == 1_000)
    }
}
