import Core
import NG
import Testing

@Suite struct NGReplyCacheTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    private func key(_ cookie: String, _ command: String = "offer", call: String = "c") throws -> NGReplyCache.Key {
        let dictionary: NGDictionary = ["command": .text(command), "call-id": .text(call)]
        return try NGReplyCache.Key(NGEnvelope(
            parsing: Array("\(cookie) ".utf8) + NGFormat.bencode.encoded(dictionary)))
    }

    @Test("a repeated cookie gets the identical answer, and the command runs once")
    func repetition() throws {
        var cache = NGReplyCache()
        let key = try key("1_2")
        #expect(cache.begin(key, now: start) == .new)
        #expect(cache.begin(key, now: start + .seconds(1)) == .inProgress)
        cache.finish(key, reply: [1, 2, 3])
        #expect(cache.begin(key, now: start + .seconds(2)) == .answered([1, 2, 3]))
        cache.finish(key, reply: [9])
        #expect(cache.begin(key, now: start + .seconds(3)) == .answered([1, 2, 3]))
    }

    @Test("another command, call or cookie is another request")
    func keys() throws {
        var cache = NGReplyCache()
        for key in [try key("1"), try key("2"), try key("1", "answer"), try key("1", call: "d")] {
            #expect(cache.begin(key, now: start) == .new)
            cache.finish(key, reply: [0])
        }
        #expect(cache.count == 4)
        // The octets of cookie, command and call together are the same, their borders are not.
        #expect(try key("a", "bc", call: "d") != key("a", "b", call: "cd"))
    }

    @Test("an answer is kept for 15 s from the request on")
    func expiry() throws {
        var cache = NGReplyCache()
        let (first, second, stuck) = (try key("1"), try key("2"), try key("3"))
        #expect(cache.begin(first, now: start) == .new)
        cache.finish(first, reply: [1])
        #expect(cache.begin(second, now: start + .seconds(8)) == .new)
        cache.finish(second, reply: [2])
        #expect(cache.begin(stuck, now: start + .seconds(8)) == .new)
        #expect(cache.begin(first, now: start + .seconds(15) + .nanoseconds(-1)) == .answered([1]))
        #expect(cache.begin(first, now: start + .seconds(15)) == .new)
        #expect(cache.begin(second, now: start + .seconds(15)) == .answered([2]))
        // An answer that came too late for its request does not end up with the next one.
        cache.removeExpired(now: start + .seconds(23))
        cache.finish(stuck, reply: [3])
        #expect(cache.begin(stuck, now: start + .seconds(23)) == .new)
        cache.removeExpired(now: start + .seconds(1000))
        #expect(cache.count == 0)
        #expect(cache.octetCount == 0)
    }

    @Test("the oldest goes when there are too many, or their answers are too long")
    func bounds() throws {
        var cache = NGReplyCache(capacity: 3, octetCapacity: 100)
        let keys = try (0..<5).map { try key("\($0)") }
        for key in keys[..<4] {
            #expect(cache.begin(key, now: start) == .new)
            cache.finish(key, reply: [UInt8](repeating: 0, count: 10))
        }
        #expect(cache.count == 3)
        #expect(cache.begin(keys[1], now: start) == .answered([UInt8](repeating: 0, count: 10)))
        #expect(cache.begin(keys[4], now: start) == .new)
        #expect(cache.begin(keys[1], now: start) == .new)
        cache.finish(keys[1], reply: [UInt8](repeating: 1, count: 95))
        #expect(cache.octetCount <= 100)
        #expect(cache.begin(keys[1], now: start) == .answered([UInt8](repeating: 1, count: 95)))
    }

    @Test("count and octets stay right through a long run")
    func longRun() throws {
        var cache = NGReplyCache(capacity: 100, octetCapacity: 2000, lifetime: .seconds(60))
        var random = SeededRandom(seed: 5)
        var now = start
        let keys = try (0..<300).map { try key("\($0)") }
        for _ in 0..<20_000 {
            now += .milliseconds(Int64.random(in: 0...900, using: &random))
            let key = keys.randomElement(using: &random)!
            if cache.begin(key, now: now) == .new, Bool.random(using: &random) {
                cache.finish(key, reply: [UInt8](repeating: 0, count: Int.random(in: 0...60, using: &random)))
            }
            #expect(cache.count <= 100 && cache.octetCount <= 2000)
        }
        cache.removeExpired(now: now + .seconds(61))
        #expect(cache.count == 0 && cache.octetCount == 0)
    }

    @Test("it finds what a plain list of answers would find, through a long run", arguments: 1...4 as ClosedRange<UInt64>)
    func model(seed: UInt64) throws {
        var cache = NGReplyCache(capacity: 150, octetCapacity: 5000, lifetime: .seconds(60))
        var list: [(key: Int, expiry: Instant, reply: [UInt8]?)] = []
        var random = SeededRandom(seed: seed)
        var now = start
        let keys = try (0..<400).map { try key("\($0)") }
        for step in 0..<10_000 {
            now += .milliseconds(Int64.random(in: 0...600, using: &random))
            let number = Int.random(in: 0..<keys.count, using: &random)
            list.removeAll { $0.expiry <= now }
            let known = list.firstIndex { $0.key == number }
            let expected: NGReplyCache.Lookup = known.map { list[$0].reply.map { .answered($0) } ?? .inProgress } ?? .new
            if known == nil {
                if list.count >= 150 { list.removeFirst() }
                list.append((number, now + .seconds(60), nil))
            }
            try #require(cache.begin(keys[number], now: now) == expected, "seed \(seed), step \(step)")
            let place = try #require(list.firstIndex { $0.key == number })
            guard list[place].reply == nil, Bool.random(using: &random) else { continue }
            let reply = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: Int.random(in: 0...90, using: &random))
            cache.finish(keys[number], reply: reply)
            list[place].reply = reply
            func total() -> Int { list.reduce(0) { $0 + ($1.reply?.count ?? 0) } }
            while total() > 5000, list.count > 1 { list.removeFirst() }
            try #require(cache.count == list.count && cache.octetCount == total(), "seed \(seed), step \(step)")
        }
    }
}
