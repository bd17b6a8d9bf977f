import Core
import Testing

@Suite struct TimerQueueTests {
    @Test("entries come out by time, none before it is due", arguments: [0, 1, 4])
    func order(lanes: Int) {
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var queue = TimerQueue<Int>(lanes: lanes)
            var expected: [(due: UInt64, key: Int)] = []
            for key in 0..<Int.random(in: 0...200, using: &random) {
                let due = UInt64.random(in: 1...100, using: &random)
                queue.schedule(key, at: Instant(nanoseconds: due))
                expected.append((due, key))
            }
            #expect(queue.count == expected.count)
            for now in 1...100 as ClosedRange<UInt64> {
                #expect(queue.nextDue?.nanoseconds == expected.map(\.due).min(), "seed \(seed)")
                var taken: Set<Int> = []
                while let key = queue.takeDue(at: Instant(nanoseconds: now)) { taken.insert(key) }
                #expect(taken == Set(expected.filter { $0.due == now }.map(\.key)), "seed \(seed)")
                expected.removeAll { $0.due == now }
            }
            #expect(queue.nextDue == nil && queue.count == 0)
        }
    }

    @Test("a key may wait several times, and comes out as often", arguments: [0, 1, 4])
    func repeatedKey(lanes: Int) {
        var queue = TimerQueue<String>(lanes: lanes)
        queue.schedule("a", at: Instant(nanoseconds: 2))
        queue.schedule("a", at: Instant(nanoseconds: 1))
        #expect(queue.takeDue(at: Instant(nanoseconds: 1)) == "a")
        #expect(queue.takeDue(at: Instant(nanoseconds: 1)) == nil)
        #expect(queue.takeDue(at: Instant(nanoseconds: 5)) == "a")
        #expect(queue.takeDue(at: Instant(nanoseconds: 5)) == nil)
    }

    @Test("taking between schedulings keeps the order", arguments: [0, 1, 4])
    func interleaved(lanes: Int) {
        var random = SeededRandom(seed: 3)
        var queue = TimerQueue<UInt64>(lanes: lanes)
        var now: UInt64 = 0
        var waiting = 0
        for _ in 0..<20_000 {
            if Bool.random(using: &random) {
                let due = now + UInt64.random(in: 1...50, using: &random)
                queue.schedule(due, at: Instant(nanoseconds: due))
                waiting += 1
            } else {
                now += UInt64.random(in: 0...20, using: &random)
                var last: UInt64 = 0
                while let due = queue.takeDue(at: Instant(nanoseconds: now)) {
                    #expect(due <= now && due >= last)
                    last = due
                    waiting -= 1
                }
            }
            #expect(queue.count == waiting)
        }
    }

    @Test("what is taken out because it is stale does not come, and the rest comes in order", arguments: [0, 1, 4])
    func removal(lanes: Int) {
        var random = SeededRandom(seed: 4)
        var queue = TimerQueue<UInt64>(lanes: lanes)
        var live: Set<UInt64> = []
        for key in 0..<500 as Range<UInt64> {
            queue.schedule(key, at: Instant(nanoseconds: UInt64.random(in: 1...1_000, using: &random)))
            if key % 10 == 0 { live.insert(key) }
        }
        #expect(queue.isMostlyStale(live: live.count) && !queue.isMostlyStale(live: queue.count))
        queue.removeAll { key, _ in !live.contains(key) }
        #expect(queue.count == live.count)
        var last: UInt64 = 0
        while let due = queue.nextDue, let key = queue.takeDue(at: due) {
            #expect(due.nanoseconds >= last && live.remove(key) != nil)
            last = due.nanoseconds
        }
        #expect(live.isEmpty && queue.count == 0)
    }

    @Test("timers of a few lengths, some of them late, come in order, also after thousands have")
    func lengths() {
        var random = SeededRandom(seed: 5)
        var queue = TimerQueue<UInt64>(lanes: 3)
        var now: UInt64 = 0
        var waiting: [UInt64: Int] = [:]
        for _ in 0..<30_000 {
            now += 1
            let length = [50, 500, 3_200].randomElement(using: &random)! as UInt64
            let due = now + length - UInt64.random(in: 0..<4, using: &random)
            queue.schedule(due, at: Instant(nanoseconds: due))
            waiting[due, default: 0] += 1
            while let due = queue.takeDue(at: Instant(nanoseconds: now)) {
                #expect(due == now)
                waiting[due]! -= 1
                if waiting[due] == 0 { waiting[due] = nil }
            }
            #expect(waiting[now] == nil)
        }
        #expect(queue.nextDue?.nanoseconds == waiting.keys.min() && queue.count == waiting.values.reduce(0, +))
    }
}
