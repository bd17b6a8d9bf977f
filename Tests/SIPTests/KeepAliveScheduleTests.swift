import Core
import SIP
import Testing

@Suite struct KeepAliveScheduleTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    /// Runs a schedule tick by tick and keeps when each message went out.
    private struct Run {
        var schedule: KeepAliveSchedule
        var now = start
        var batch: [UInt32] = []
        var sent: [(at: Instant, index: UInt32)] = []

        init(_ settings: KeepAliveSchedule.Settings) { schedule = KeepAliveSchedule(settings: settings, now: start) }

        mutating func run(for duration: Duration, lateness: Duration = .zero) {
            let end = now + duration
            while let tick = schedule.nextTick, tick <= end {
                now = max(now, tick) + lateness
                schedule.takeDue(now: now, into: &batch)
                for index in batch { sent.append((now, index)) }
            }
            now = end
        }

        /// The most messages in any millisecond.
        var peak: Int {
            var peak = 0
            var first = 0
            for last in sent.indices {
                while sent[last].at - sent[first].at >= .milliseconds(1) { first += 1 }
                peak = max(peak, last - first + 1)
            }
            return peak
        }

        /// The longest time any of the first `count` bindings waited after `since`, the time up to now included.
        func longestGap(count: Int, since: Instant) -> Duration {
            var last = [Instant](repeating: since, count: count)
            var longest = Duration.zero
            for message in sent where message.at > since {
                longest = max(longest, message.at - last[Int(message.index)])
                last[Int(message.index)] = message.at
            }
            return max(longest, last.map { now - $0 }.max() ?? .zero)
        }
    }

    @Test("each binding gets one message a period, spread over it, never more than 64 in a millisecond", arguments: [1, 50, 10_000, 100_000])
    func cycle(_ count: Int) throws {
        var run = Run(.init())
        for index in 0..<count { run.schedule.insert(UInt32(index), now: Self.start) }
        run.run(for: .seconds(90))
        let steady = run.now
        run.sent.removeAll()
        run.run(for: .seconds(60))
        #expect(run.longestGap(count: count, since: steady) <= .seconds(30))
        #expect(run.peak <= 64)
        let messages = run.sent.count
        #expect((2 * count...(2 * count * 104 / 100 + 1)).contains(messages), "\(messages) messages for \(count) bindings in two periods")
        // Evenly: no tenth of a second has more than twice its share.
        var tenths = [Int](repeating: 0, count: 601)
        for message in run.sent { tenths[Int((message.at - steady).milliseconds / 100)] += 1 }
        #expect(tenths.max()! <= 2 * (count / 300) + 20)
        #expect(run.schedule.missedDeadlines == 0)
        #expect(run.schedule.lastCycle?.coverage == 1)
        #expect(run.schedule.lastCycle?.expected == count)
    }

    @Test("a crowd of an earlier run is served at once, in no burst, misses no deadline, and is spread from then on")
    func crowd() {
        var run = Run(.init())
        for index in 0..<100_000 { run.schedule.insert(UInt32(index), isFresh: false, now: Self.start) }
        run.run(for: .seconds(120))
        #expect(run.schedule.missedDeadlines == 0)
        #expect(run.peak <= 64)
        #expect(run.longestGap(count: 100_000, since: Self.start) <= .seconds(30))
    }

    @Test("with more bindings than the settings carry all gaps grow alike, nobody starves, and deadlines missed are counted")
    func shortfall() throws {
        // 10 s / 500 ms x 100 = 2,000 a cycle for 5,000.
        var run = Run(.init(period: .seconds(10), interval: .milliseconds(500), quantity: 100))
        #expect(run.schedule.settings.capacity == 2_000)
        for index in 0..<5_000 { run.schedule.insert(UInt32(index), now: Self.start) }
        #expect(run.schedule.isOverCapacity)
        run.run(for: .seconds(100))
        let steady = run.now
        run.sent.removeAll()
        run.run(for: .seconds(100))
        let longest = run.longestGap(count: 5_000, since: steady)
        #expect(longest >= .seconds(24) && longest <= .milliseconds(25_500), "everyone waits 25 s, not 10: \(longest)")
        #expect((19_900...20_100).contains(run.sent.count))
        var counts = [Int](repeating: 0, count: 5_000)
        for message in run.sent { counts[Int(message.index)] += 1 }
        #expect(counts.min()! >= 3 && counts.max()! <= 5)
        let cycle = try #require(run.schedule.lastCycle)
        #expect(abs(cycle.coverage - 0.4) < 0.02)
        #expect(cycle.missedDeadlines > 1_900)
    }

    @Test("bindings that come and go leave the others in their rhythm")
    func churn() {
        var random = SeededRandom(seed: 11)
        var run = Run(.init())
        for index in 0..<2_000 { run.schedule.insert(UInt32(index), now: run.now) }
        var present = Set(0..<UInt32(2_000))
        for _ in 0..<3_000 {
            run.run(for: .milliseconds(50))
            let index = UInt32.random(in: 0..<2_500, using: &random)
            if present.remove(index) != nil {
                run.schedule.remove(index)
            } else {
                present.insert(index)
                run.schedule.insert(index, now: run.now)
            }
        }
        #expect(run.schedule.count == present.count)
        #expect(run.schedule.missedDeadlines == 0)
        #expect(run.peak <= 64)
        for index in present { #expect(run.now - run.schedule[index]!.lastSent <= .seconds(30)) }
    }

    @Test("waking up late misses no deadline")
    func lateness() {
        var run = Run(.init(period: .seconds(15), interval: .milliseconds(200), quantity: 3_000))
        for index in 0..<20_000 { run.schedule.insert(UInt32(index), now: Self.start) }
        run.run(for: .seconds(100), lateness: .milliseconds(20))
        #expect(run.schedule.missedDeadlines == 0)
        #expect(run.schedule[7]!.missed == 0)
    }

    @Test("settings that ask for more than 64 in a millisecond get it, and no more")
    func forced() {
        var run = Run(.init(period: .seconds(10), interval: .milliseconds(10), quantity: 2_000))
        for index in 0..<1_500_000 { run.schedule.insert(UInt32(index), isFresh: false, now: Self.start) }
        run.run(for: .seconds(2))
        #expect(run.peak <= 200)
        #expect(run.sent.count >= 380_000)
    }

    @Test("batches follow one another a millisecond apart, four full ones between two rests")
    func rests() {
        var run = Run(.init())
        for index in 0..<100_000 { run.schedule.insert(UInt32(index), now: Self.start) }
        run.run(for: .seconds(60))
        run.sent.removeAll()
        run.run(for: .seconds(10))
        var batches = 0
        var rests = 0
        for (one, next) in zip(run.sent, run.sent.dropFirst()) where one.at != next.at {
            batches += 1
            if next.at - one.at > .milliseconds(1) { rests += 1 }
        }
        #expect(run.sent.count >= 55 * batches)
        #expect((100...150).contains(rests), "\(rests) rests in 10 s")
    }

    @Test("a batch that took its time keeps the next one at a distance")
    func slowBatch() throws {
        var schedule = KeepAliveSchedule(settings: .init(), now: Self.start)
        for index in 0..<10_000 { schedule.insert(UInt32(index), isFresh: false, now: Self.start) }
        var batch: [UInt32] = []
        let now = Self.start + .seconds(1)
        schedule.takeDue(now: now, into: &batch)
        #expect(batch.count == 64)
        #expect(schedule.nextTick == now + .milliseconds(1))
        schedule.sent(at: now + .milliseconds(30))
        #expect(schedule.nextTick == now + .milliseconds(31))
    }

    @Test("a slot that is used again begins anew; an empty schedule never wakes")
    func reuse() {
        var run = Run(.init())
        #expect(run.schedule.nextTick == nil)
        run.schedule.insert(3, now: run.now)
        run.run(for: .seconds(60))
        #expect((2...3).contains(run.schedule[3]!.sent))
        run.schedule.remove(3)
        #expect(run.schedule[3] == nil)
        #expect(run.schedule.nextTick == nil)
        run.schedule.insert(3, now: run.now)
        #expect(run.schedule[3]!.sent == 0)
    }

    @Test("OPTIONS names its binding, and its answer is recognised; others are not")
    func options() throws {
        let via = try #require(SocketAddress("192.0.2.1:5060"))
        var options = KeepAliveOptions(via: via, userAgent: "relayd", run: "abc")
        let id = BindingID(index: 77, generation: 5)
        var octets: [UInt8] = []
        for _ in 0..<12 {
            options.write(to: "sip:ada@10.0.0.2:5062;ob".utf8, route: "".utf8, id: id, into: &octets)
        }
        guard case .message(let request) = SIPMessage.parse(octets) else {
            Issue.record("not SIP: \(String(decoding: octets, as: UTF8.self))")
            return
        }
        #expect(request.method == .options)
        #expect(request.cseq.number == 12)
        #expect(request.uri.text == "sip:ada@10.0.0.2:5062;ob")
        func answer(_ request: SIPMessage) throws -> SIPMessage? {
            let octets = MessageBuilder.response(to: request, status: 200, toTag: "t", source: via).finish()
            guard case .message(let response) = SIPMessage.parse(octets) else { return nil }
            return response
        }
        let response = try #require(try answer(request))
        #expect(options.binding(answeredBy: response) == id)
        let other = KeepAliveOptions(via: via, userAgent: "relayd", run: "xyz")
        #expect(other.binding(answeredBy: response) == nil)
        #expect(KeepAlivePayload("") == .off)
        #expect(KeepAlivePayload("HELLO") == .datagram(Array("HELLO".utf8)))
        #expect(KeepAlivePayload("null4") == .datagram([0, 0, 0, 0]))
    }
}
