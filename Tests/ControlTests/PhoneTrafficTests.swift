import Control
import Core
import Testing

@Suite struct PhoneTrafficTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    /// Plays messages a second for a while, and returns how long the last of them might be gathered.
    private func gatherTime(phones: Int, others: Int, milliseconds: Int = 1_000) -> Duration {
        var traffic = PhoneTraffic(now: Self.start)
        var gather = Duration.zero
        for millisecond in 0..<milliseconds {
            for _ in 0..<count(phones, millisecond) { traffic.note(isOfPhone: true) }
            for _ in 0..<count(others, millisecond) { traffic.note(isOfPhone: false) }
            gather = traffic.gatherTime(at: Self.start + .milliseconds(millisecond))
        }
        return gather
    }

    private func count(_ perSecond: Int, _ millisecond: Int) -> Int {
        perSecond * (millisecond + 1) / 1_000 - perSecond * millisecond / 1_000
    }

    @Test("a crowd of phones alone may wait a moment; few of them, or calls beside them, never")
    func crowd() {
        #expect(gatherTime(phones: 2_000, others: 0) == .milliseconds(4))
        #expect(gatherTime(phones: 2_000, others: 100) == .milliseconds(4))
        #expect(gatherTime(phones: 500, others: 0) == .zero)
        #expect(gatherTime(phones: 2_000, others: 1_000) == .zero)
        #expect(gatherTime(phones: 0, others: 4_000) == .zero)
    }

    @Test("what comes after a crowd has gone does not wait")
    func after() {
        var traffic = PhoneTraffic(now: Self.start)
        for millisecond in 0..<500 {
            for _ in 0..<3 { traffic.note(isOfPhone: true) }
            _ = traffic.gatherTime(at: Self.start + .milliseconds(millisecond))
        }
        #expect(traffic.gatherTime(at: Self.start + .milliseconds(500)) > .zero)
        #expect(traffic.gatherTime(at: Self.start + .milliseconds(900)) == .zero)
        // Calls that begin in the middle of one are noticed at once.
        for _ in 0..<300 { traffic.note(isOfPhone: true) }
        #expect(traffic.gatherTime(at: Self.start + .milliseconds(1_001)) > .zero)
        for _ in 0..<20 { traffic.note(isOfPhone: false) }
        #expect(traffic.gatherTime(at: Self.start + .milliseconds(1_002)) == .zero)
    }
}
