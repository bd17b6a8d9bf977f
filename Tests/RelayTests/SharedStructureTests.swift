import Core
import Synchronization
import Testing
import Uring

@testable import Relay

@Suite("Tables, mailboxes and slots")
struct SharedStructureTests {
    @Test("a million values cross a mailbox in order, through a full and an empty one")
    func mailbox() throws {
        let mailbox = Mailbox<UInt64>(capacity: 64)
        let sender = try Thread(name: "sender", context: mailbox, body: sendMillion)
        var expected: UInt64 = 0
        let deadline = MonotonicClock.now + .seconds(30)
        while expected < 1_000_000, MonotonicClock.now < deadline {
            guard let value = mailbox.receive() else {
                yieldProcessor()
                continue
            }
            guard value == expected else { break }
            expected += 1
        }
        sender.join()
        #expect(expected == 1_000_000)
        #expect(mailbox.receive() == nil)
    }

    @Test("a full mailbox refuses, and takes again after one was taken out")
    func fullMailbox() {
        let mailbox = Mailbox<UInt64>(capacity: 2)
        #expect(mailbox.send(1) && mailbox.send(2) && !mailbox.send(3))
        #expect(mailbox.receive() == 1)
        #expect(mailbox.send(3))
        #expect(mailbox.receive() == 2 && mailbox.receive() == 3 && mailbox.receive() == nil)
    }

    @Test("activity is kept for each leg of each slot, until cleared")
    func activity() {
        let table = ActivityTable(sessionCapacity: 4)
        table.touch(2, .callee, at: Instant(nanoseconds: 7))
        #expect(table.last(2, .callee) == Instant(nanoseconds: 7))
        #expect(table.last(2, .caller) == nil && table.last(1, .callee) == nil && table.last(3, .caller) == nil)
        table.clear(2)
        #expect(table.last(2, .callee) == nil)
    }

    @Test("slots go to the emptiest worker, each use has a new generation, and all come back")
    func allocator() throws {
        var allocator = SessionAllocator(workers: 2, capacity: 5)
        let sessions = (0..<5).compactMap { _ in allocator.take() }
        #expect(sessions.map { $0.index % 2 } == [0, 1, 0, 1, 0])
        #expect(Set(sessions.map(\.index)) == [0, 1, 2, 3, 4])
        #expect(allocator.take() == nil)
        allocator.giveBack(sessions[3])
        allocator.giveBack(sessions[1])
        let taken = allocator.take()
        let again = try #require(taken)
        #expect(again.index == sessions[3].index && again.generation == sessions[3].generation + 1)
        #expect(allocator.take()?.index == sessions[1].index)
        #expect(allocator.count == 5 && allocator.count(onWorker: 1) == 2)
    }

    @Test("taking and giving back at random never hands out a slot twice")
    func allocatorAtRandom() {
        var allocator = SessionAllocator(workers: 3, capacity: 10)
        var random = SeededRandom(seed: 3)
        var taken: [SessionID] = []
        for _ in 0..<10_000 {
            if Bool.random(using: &random), let session = allocator.take() {
                #expect(!taken.contains { $0.index == session.index })
                taken.append(session)
            } else if let position = taken.indices.randomElement(using: &random) {
                allocator.giveBack(taken.remove(at: position))
            }
            #expect(allocator.count == taken.count)
        }
    }
}

private func sendMillion(_ mailbox: Mailbox<UInt64>) {
    for value in 0..<1_000_000 as Range<UInt64> {
        while !mailbox.send(value) { yieldProcessor() }
    }
}
