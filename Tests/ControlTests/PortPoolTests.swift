@testable import Control
import Core
import Testing

@Suite struct PortPoolTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test("a pair is an even port and the odd one above, both in the range", arguments: [
        (10_000...10_007, 4), (10_000...10_006, 3), (65_534...65_535, 1),
    ] as [(ClosedRange<UInt16>, Int)])
    func pairs(ports: ClosedRange<UInt16>, count: Int) {
        var random = SeededRandom(seed: 1)
        var pool = PortPool(ports: ports, quarantine: .seconds(1))
        #expect(pool.capacity == count)
        var taken: Set<UInt16> = []
        while let pair = pool.take(now: start, random: &random) {
            #expect(pair % 2 == 0 && ports.contains(pair) && ports.contains(pair + 1))
            #expect(taken.insert(pair).inserted)
        }
        #expect(taken.count == count)
        #expect(pool.usedCount == count && pool.freeCount == 0)
    }

    @Test("pairs come in no order that can be guessed")
    func randomOrder() {
        var firsts: Set<UInt16> = []
        for seed in 1...40 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var pool = PortPool(ports: 10_000...10_199, quarantine: .zero)
            let order = (0..<100).map { _ in pool.take(now: start, random: &random)! }
            #expect(order != order.sorted() && order != order.sorted().reversed())
            firsts.insert(order[0])
        }
        #expect(firsts.count > 20)
    }

    @Test("a pair rests for its quarantine, not a nanosecond less")
    func quarantine() {
        var random = SeededRandom(seed: 1)
        var pool = PortPool(ports: 10_000...10_001, quarantine: .seconds(30))
        let pair = pool.take(now: start, random: &random)!
        pool.giveBack(pair, now: start)
        #expect(pool.quarantinedCount == 1 && pool.usedCount == 0)
        #expect(pool.nextRelease == start + .seconds(30))
        #expect(pool.take(now: start + .nanoseconds(29_999_999_999), random: &random) == nil)
        #expect(pool.take(now: start + .seconds(30), random: &random) == pair)
        #expect(pool.nextRelease == nil)
    }

    @Test("a pair on which nothing was opened is free at once")
    func unused() {
        var random = SeededRandom(seed: 1)
        var pool = PortPool(ports: 10_000...10_001, quarantine: .seconds(30))
        let pair = pool.take(now: start, random: &random)!
        pool.giveBackUnused(pair)
        #expect(pool.take(now: start, random: &random) == pair)
    }

    @Test("after 100,000 takes every pair is used, free or resting, and none was handed out early")
    func longRun() {
        var random = SeededRandom(seed: 5)
        var pool = PortPool(ports: 10_000...10_399, quarantine: .seconds(3))
        var now = start
        var used: [UInt16] = []
        var isUsed: Set<UInt16> = []
        var givenBack: [UInt16: Instant] = [:]
        var takes = 0
        while takes < 100_000 {
            now += .milliseconds(Int.random(in: 0...20, using: &random))
            if Int.random(in: 0..<100, using: &random) < 52, let pair = pool.take(now: now, random: &random) {
                takes += 1
                #expect(isUsed.insert(pair).inserted)
                if let since = givenBack[pair] { #expect(now - since >= .seconds(3)) }
                used.append(pair)
            } else if !used.isEmpty {
                let pair = used.swapOut(at: Int.random(in: 0..<used.count, using: &random))
                isUsed.remove(pair)
                givenBack[pair] = nil
                if Bool.random(using: &random) {
                    pool.giveBack(pair, now: now)
                    givenBack[pair] = now
                } else {
                    pool.giveBackUnused(pair)
                }
            }
            #expect(pool.usedCount == used.count)
            #expect(pool.freeCount + pool.quarantinedCount + used.count == 200)
        }
        for pair in used { pool.giveBack(pair, now: now) }
        var all: Set<UInt16> = []
        while let pair = pool.take(now: now + .seconds(3), random: &random) { all.insert(pair) }
        #expect(all.count == 200)
    }

    @Test("giving a pair back twice stops the process: two calls would share it")
    func doubleGiveBack() async {
        await #expect(processExitsWith: .failure) {
            var random = SeededRandom(seed: 1)
            var pool = PortPool(ports: 10_000...10_007, quarantine: .seconds(30))
            let now = Instant(nanoseconds: 1)
            let pair = pool.take(now: now, random: &random)!
            _ = pool.take(now: now, random: &random)
            pool.giveBack(pair, now: now)
            pool.giveBack(pair, now: now)
        }
    }
}

extension Array {
    fileprivate mutating func swapOut(at index: Int) -> Element {
        swapAt(index, count - 1)
        return removeLast()
    }
}

extension PortPool {
    /// A pair as `MediaSessions` takes it; nil when all are in use or resting.
    fileprivate mutating func take(now: Instant, random: inout SeededRandom) -> UInt16? {
        advance(to: now)
        return freeCount == 0 ? nil : takeFree(random: &random)
    }
}
