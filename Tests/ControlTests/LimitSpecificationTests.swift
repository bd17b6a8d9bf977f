import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Each limit says that it was reached: in a counter of its own, in the answer, and to whoever asks why.
@Suite struct LimitSpecificationTests {
    private static let limits: [Counter] = [
        .callsRefusedCapacity, .callsRefusedTrunkCapacity, .callsRefusedTrunkRate, .callsRefusedSource, .callsRefusedRate,
        .callsRefusedPorts, .callsRefusedRoutesBusy, .sipRefusedOverload, .sipTooManyHeaders, .sipTooLarge,
    ]

    /// Those that are not zero.
    private static func counted(_ world: SimulatedWorld) -> [Counter] { limits.filter { world.counters[$0] > 0 } }

    struct Case: CustomTestStringConvertible {
        let counter: Counter
        let sentence: String
        let change: @Sendable (inout Configuration) -> Void
        var testDescription: String { "\(counter)" }
    }

    @Test("the second call meets the limit: 503, Retry-After, one counter, and `why` names it", arguments: [
        Case(counter: .callsRefusedCapacity, sentence: "There are 1 calls, which is limits.calls") { $0.limits.calls = 1 },
        Case(counter: .callsRefusedTrunkCapacity, sentence: "Trunk a has as many calls as its capacity, 1") { $0.trunks[0].capacity = 1 },
        Case(counter: .callsRefusedTrunkRate, sentence: "Trunk a has placed its 1 calls of this second (calls_per_second)") {
            $0.trunks[0].callsPerSecond = 1
        },
    ])
    func calls(_ limit: Case) throws {
        let world = SimulatedWorld(seed: 1, configure: limit.change)
        world.placeCall()
        world.run(for: .milliseconds(100))
        let refused = world.placeCall()
        world.run(for: .milliseconds(100))
        #expect(refused.finalStatus == 503 && Self.counted(world) == [limit.counter] && world.counters[limit.counter] == 1)
        #expect(world.traffic.last { $0.message.status == 503 }?.message.text(.retryAfter) == "5")
        let record = try #require(world.records.first)
        #expect(record.cause == .capacity && record.verdict == .capacityLimit)
        #expect(record.explanation == limit.sentence + ", so the call was refused with SIP 503.")
    }

    @Test("a message of too many header lines gets 513, and its own counter")
    func headers() {
        let world = SimulatedWorld(seed: 2)
        let lines = (0..<260).map { "X-Line: \($0)" }.joined(separator: "\n")
        let answers = world.exchange(
            "OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKlong\nFrom: <sip:a@b>;tag=1\n"
                + "To: <sip:192.0.2.1>\nCall-ID: long\nCSeq: 1 OPTIONS\n\(lines)\nContent-Length: 0\n\n")
        #expect(answers.map(\.status) == [513] && Self.counted(world) == [.sipTooManyHeaders])
    }
}
