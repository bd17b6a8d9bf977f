import Control
import Core
import Testing

@Suite struct FairQueueTests {
    private func address(_ number: Int) -> IPAddress { IPAddress(ipv4: 0x0a00_0000 + UInt32(number)) }

    /// A reference, so that what changes it can stand in an expectation.
    private final class Tested {
        private var queue: FairQueue<Int>

        init(limit: Int = 4_096, octetLimit: Int = 1 << 20) { queue = FairQueue(limit: limit, octetLimit: octetLimit) }

        var count: Int { queue.count }
        func add(_ number: Int, octets: Int = 1, from address: IPAddress) -> Bool { queue.add(number, octets: octets, from: address) }
        func take() -> Int? { queue.takeNext() }
    }

    @Test("one that sends a hundred messages does not delay one that sends one, and its own stay in order")
    func turns() {
        let queue = Tested()
        for number in 0..<100 { #expect(queue.add(number, from: address(1))) }
        #expect(queue.add(1_000, from: address(2)))
        let served = (0..<101).compactMap { _ in queue.take() }
        #expect(served.prefix(2) == [0, 1_000])
        #expect(served.filter { $0 < 1_000 } == Array(0..<100))
        #expect(queue.take() == nil && queue.count == 0)
    }

    @Test("after an outage a thousand sources are served in rounds: each once before any twice")
    func outage() {
        let queue = Tested()
        for round in 0..<3 { for source in 0..<1_000 { #expect(queue.add(round, from: address(source))) } }
        let served = (0..<3_000).compactMap { _ in queue.take() }
        #expect(served.prefix(1_000).allSatisfy { $0 == 0 })
        #expect(served.suffix(1_000).allSatisfy { $0 == 2 })
    }

    @Test("one source gets half of the room, the next half of the rest; who comes with one finds room until all is full")
    func room() {
        let queue = Tested(limit: 1_024)
        #expect((0..<2_000).count { queue.add($0, from: address(1)) } == 512)
        #expect((0..<2_000).count { queue.add($0, from: address(2)) } == 256)
        #expect((0..<200).allSatisfy { queue.add($0, from: address(10 + $0)) })
        #expect((0..<2_000).count { queue.add($0, from: address(1_000 + $0)) } == 56)
        #expect(queue.count == 1_024)
        #expect(queue.take() != nil && queue.add(1, from: address(5_000)), "what was served makes room")
    }

    @Test("octets are bounded too")
    func octets() {
        let queue = Tested(octetLimit: 100_000)
        #expect((0..<10).count { queue.add($0, octets: 65_000, from: address($0)) } == 1)
        #expect(queue.add(1, octets: 35_000, from: address(11)) && !queue.add(1, octets: 1, from: address(12)))
        #expect(queue.take() == 0 && queue.add(2, octets: 65_000, from: address(13)))
    }

    @Test("whatever comes and goes, nothing is lost or served twice, and each source's messages stay in order")
    func properties() {
        let seed = UInt64.random(in: 1...1 << 40)
        var random = SeededRandom(seed: seed)
        let queue = Tested(limit: 300)
        var sent: [Int: [Int]] = [:]
        var served: [Int: [Int]] = [:]
        for number in 0..<20_000 {
            if Int.random(in: 0..<100, using: &random) < 52 {
                let source = min(Int.random(in: 0..<40, using: &random), Int.random(in: 0..<40, using: &random))
                if queue.add(number * 100 + source, from: address(source)) { sent[source, default: []].append(number) }
            } else if let taken = queue.take() {
                served[taken % 100, default: []].append(taken / 100)
            }
            guard queue.count <= 300 else {
                Issue.record("seed \(seed): \(queue.count) wait")
                return
            }
        }
        while let taken = queue.take() { served[taken % 100, default: []].append(taken / 100) }
        #expect(served == sent, "seed \(seed)")
    }
}
