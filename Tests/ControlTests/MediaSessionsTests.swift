import Configuration
import Core
import Testing

@testable import Control
@testable import Relay

@Suite("Slots and ports of ended sessions")
struct MediaSessionsTests {
    private static let here = IPAddress("192.0.2.1")!
    private static let there = IPAddress("192.0.2.2")!

    /// The stock, the sessions that are taken from it, and what must hold of them.
    private struct Stock {
        let media: MediaSessions
        let activity: ActivityTable
        var now = Instant(nanoseconds: 10_000_000_000)

        init(capacity: Int, workers: Int = 1, ports: ClosedRange<UInt16> = 10_000...10_999, quarantine: Duration = .seconds(30)) {
            var configuration = Configuration().media
            configuration.ports = ports
            configuration.quarantine = quarantine
            activity = ActivityTable(sessionCapacity: capacity)
            media = MediaSessions(
                configuration: configuration, allocator: SessionAllocator(workers: workers, capacity: capacity), activity: activity,
                statistics: StatisticsTable(activity: activity), random: SeededRandom(seed: 1))
        }

        func take(_ callee: IPAddress = here) -> MediaSessions.Taken? {
            try? media.take(caller: here, callee: callee, now: now).get()
        }

        /// Slots whose sockets the relay is told to close.
        func unwanted() -> [UInt32] {
            var slots: [UInt32] = []
            while let slot = media.nextUnwanted(now: now) {
                slots.append(slot)
                media.removeUnwanted()
            }
            return slots
        }
    }

    @Test("a call takes, at random, one of the slots whose ports have rested, with these ports")
    func reuse() throws {
        var stock = Stock(capacity: 16)
        let first = try (0..<8).map { _ in try #require(stock.take()) }
        for taken in first { stock.media.giveBack(taken, now: stock.now) }
        #expect(stock.media.quarantinedPairCount == 16 && stock.media.usedPairCount == 0)
        // They rest.
        let other = try #require(stock.take())
        #expect(!other.isKept && !first.contains { $0.session.index == other.session.index })
        stock.now += .seconds(30)
        var order: [Int] = []
        var former: [MediaSessions.Taken] = []
        for _ in 0..<7 {
            let taken = try #require(stock.take())
            let place = try #require(first.firstIndex { $0.session.index == taken.session.index })
            #expect(taken.isKept && taken.callerPort == first[place].callerPort && taken.calleePort == first[place].calleePort)
            #expect(taken.session.generation == first[place].session.generation + 1)
            order.append(place)
            former.append(taken)
        }
        #expect(order != order.sorted() && Set(order).count == 7)
        #expect(stock.media.freePairCount == 500 - 2 * 8)
    }

    @Test("of few that are ready none is likelier than one in 32: their ports could be guessed")
    func fewReady() throws {
        var stock = Stock(capacity: 256)
        let first = try (0..<8).map { _ in try #require(stock.take()) }
        for taken in first { stock.media.giveBack(taken, now: stock.now) }
        stock.now += .seconds(30)
        var draws = Array(repeating: 0, count: first.count)
        for _ in 0..<3_200 {
            let taken = try #require(stock.take())
            if let place = first.firstIndex(where: { $0.session.index == taken.session.index }) { draws[place] += 1 }
            #expect(taken.isKept == first.contains { $0.session.index == taken.session.index })
            stock.media.giveBackUnused(taken, now: stock.now)
        }
        // A hundred of each, give or take three times their standard deviation.
        #expect(draws.allSatisfy { (70...130).contains($0) }, "\(draws)")
    }

    @Test("one that still hears its old peers is passed by, and so is one whose addresses are others")
    func passedBy() throws {
        var stock = Stock(capacity: 8)
        let taken = try #require(stock.take())
        stock.media.giveBack(taken, now: stock.now)
        stock.now += .seconds(60)
        stock.activity.noteStray(taken.session.index, at: stock.now.nanoseconds - 3_000_000_000)
        let noisy = try #require(stock.take())
        #expect(noisy.session.index != taken.session.index)
        stock.activity.noteStray(taken.session.index, at: .max)
        let deaf = try #require(stock.take())
        #expect(deaf.session.index != taken.session.index)
        stock.activity.noteStray(taken.session.index, at: 0)
        let other = try #require(stock.take(Self.there))
        #expect(other.session.index != taken.session.index)
        let same = try #require(stock.take())
        #expect(same.session.index == taken.session.index && same.isKept)
    }

    @Test("nothing is refused because a slot keeps ports: neither for want of slots nor of ports, nor while others rest")
    func scarcity() throws {
        // Slots are short.
        var stock = Stock(capacity: 2)
        let first = try #require(stock.take())
        let second = try #require(stock.take())
        stock.media.giveBack(first, now: stock.now)
        stock.media.giveBack(second, now: stock.now + .seconds(1))
        // Ports of both rest: the slot that ended first goes on with others.
        let third = try #require(stock.take(Self.there))
        #expect(third.session.index == first.session.index && !third.isKept)
        #expect(Set([third.callerPort, third.calleePort]).isDisjoint(with: [first.callerPort, first.calleePort]))
        #expect(stock.media.quarantinedPairCount == 4)
        stock.now += .seconds(31)
        let fourth = try #require(stock.take(Self.there))
        #expect(fourth.session.index == second.session.index && fourth.isKept && fourth.callerPort == second.callerPort)
        #expect(stock.take() == nil && stock.media.take(caller: Self.here, callee: Self.here, now: stock.now) == .failure(.sessions))

        // Ports are short: two sessions have them all.
        stock = Stock(capacity: 8, ports: 10_000...10_007)
        let one = try #require(stock.take())
        let two = try #require(stock.take())
        #expect(stock.media.take(caller: Self.here, callee: Self.here, now: stock.now) == .failure(.ports))
        for taken in [one, two] { stock.media.giveBack(taken, now: stock.now) }
        #expect(stock.media.take(caller: Self.here, callee: Self.here, now: stock.now) == .failure(.ports))
        stock.now += .seconds(30)
        let three = try #require(stock.take(Self.there))
        let four = try #require(stock.take(Self.there))
        #expect(Set([three, four].flatMap { [$0.callerPort, $0.calleePort] }) == [10_000, 10_002, 10_004, 10_006])
    }

    @Test("where calls come and go too fast for it slots keep no sockets, and some seconds later they do again")
    func pressed() throws {
        var stock = Stock(capacity: 8)
        let first = try (0..<8).map { _ in try #require(stock.take()) }
        for taken in first { stock.media.giveBack(taken, now: stock.now) }
        #expect(stock.unwanted() == [])
        // None has rested.
        let early = try #require(stock.take())
        #expect(early.session.index == first[0].session.index && !early.isKept)
        stock.media.giveBack(early, now: stock.now)
        // Its own sockets are closed, and with each session that ends those of four slots more.
        #expect(Set(stock.unwanted()) == Set(first[0..<5].map(\.session.index)))
        let next = try #require(stock.take())
        #expect(!next.isKept && stock.unwanted() == [])
        stock.media.giveBack(next, now: stock.now)
        #expect(Set(stock.unwanted()) == Set(first[5..<8].map(\.session.index) + [next.session.index]))
        // Every port still rests.
        #expect(stock.media.quarantinedPairCount == 20 && stock.media.usedPairCount == 0)
        stock.now += MediaSessions.pressedTime
        let late = try #require(stock.take())
        stock.media.giveBack(late, now: stock.now)
        #expect(stock.unwanted() == [])
        stock.now += .seconds(30)
        let again = try #require(stock.take())
        #expect(again.isKept && again.callerPort == late.callerPort)
    }

    @Test("after five minutes a slot gives its ports back and its sockets are closed; what was never opened is as it was")
    func idle() throws {
        var stock = Stock(capacity: 8)
        let taken = try #require(stock.take())
        let unused = try #require(stock.take())
        stock.media.giveBack(taken, now: stock.now)
        stock.media.giveBackUnused(unused, now: stock.now)
        #expect(stock.unwanted() == [unused.session.index])
        #expect(stock.media.nextDeadline == stock.now + .seconds(330))
        stock.now += .seconds(329)
        #expect(stock.unwanted() == [])
        // Taken and not used, it is there for the next one.
        let again = try #require(stock.take())
        #expect(again.isKept)
        stock.media.giveBackUnused(again, now: stock.now)
        #expect(stock.media.nextDeadline == stock.now + .seconds(300))
        stock.now += .seconds(300)
        #expect(stock.unwanted() == [taken.session.index])
        #expect(stock.media.nextDeadline == nil && stock.media.quarantinedPairCount == 2)
        stock.now += .seconds(1)
        let last = try #require(stock.take())
        #expect(!last.isKept && stock.media.freePairCount == 498)
    }

    @Test("calls that come and go at random never share a slot or port, nor have one before its quarantine is over", arguments: 0..<20)
    func atRandom(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let quarantine = Duration.seconds([0, 1, 30][seed % 3])
        // 40 pairs for 24 slots of two pairs each.
        var stock = Stock(capacity: 24, workers: 1 + seed % 3, ports: 10_000...10_079, quarantine: quarantine)
        var open: [MediaSessions.Taken] = []
        var freeAt: [UInt16: Instant] = [:]
        // While sockets are being closed their ports rest.
        var portsOfSlots: [UInt32: [UInt16]] = [:]
        func close(_ slot: UInt32, _ now: Instant) {
            for port in portsOfSlots.removeValue(forKey: slot) ?? [] {
                freeAt[port] = max(freeAt[port] ?? now, now + MediaSessions.closingTime)
            }
        }
        var reused = 0
        for _ in 0..<20_000 {
            stock.now += .milliseconds(Int.random(in: 0...2_000, using: &random))
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<50:
                let callee = Bool.random(using: &random) ? Self.here : Self.there
                guard let taken = stock.take(callee) else {
                    let resting = freeAt.values.count { $0 > stock.now }
                    #expect(open.count == 24 || 40 - 2 * open.count - resting < 2, "seed \(seed): refused without need")
                    continue
                }
                if taken.isKept { reused += 1 }
                #expect(taken.callerPort != taken.calleePort)
                for port in [taken.callerPort, taken.calleePort] {
                    #expect(!open.contains { $0.callerPort == port || $0.calleePort == port }, "seed \(seed): port \(port) twice")
                    #expect(freeAt[port].map { $0 <= stock.now } ?? true, "seed \(seed): port \(port) too early")
                }
                #expect(!open.contains { $0.session.index == taken.session.index }, "seed \(seed): slot twice")
                if !taken.isKept { close(taken.session.index, stock.now) }
                portsOfSlots[taken.session.index] = [taken.callerPort, taken.calleePort]
                open.append(taken)
            case 50..<95:
                guard let place = open.indices.randomElement(using: &random) else { continue }
                let taken = open.remove(at: place)
                if Int.random(in: 0..<10, using: &random) == 0 {
                    stock.media.giveBackUnused(taken, now: stock.now)
                    if !taken.isKept { portsOfSlots[taken.session.index] = nil }
                } else {
                    for port in [taken.callerPort, taken.calleePort] { freeAt[port] = stock.now + quarantine }
                    if Int.random(in: 0..<10, using: &random) == 0 {
                        stock.media.giveBackRefused(taken, now: stock.now)
                        portsOfSlots[taken.session.index] = nil
                    } else {
                        stock.media.giveBack(taken, now: stock.now)
                    }
                }
            case 95 where Int.random(in: 0..<20, using: &random) == 0: stock.now += .seconds(400)
            default: break
            }
            for slot in stock.unwanted() { close(slot, stock.now) }
            #expect(stock.media.usedPairCount == 2 * open.count, "seed \(seed)")
            #expect(stock.media.usedPairCount + stock.media.quarantinedPairCount + stock.media.freePairCount == 40, "seed \(seed)")
        }
        #expect(reused > 100, "seed \(seed)")
    }
}
