import Configuration
import Control
import Core
import Testing

@Suite struct MediaActivityTests {
    private let answer = Instant(nanoseconds: 1_000_000_000_000)
    private func at(_ milliseconds: Int) -> Instant { answer + .milliseconds(milliseconds) }

    @Test("silence counts from the answer, and ends the call at the timeout, never before", arguments: NoMediaMode.allCases)
    func neverHeard(mode: NoMediaMode) {
        let activity = MediaActivity(connectedAt: answer)
        #expect(!activity.isSilent(at: at(59_999), timeout: .seconds(60), mode: mode))
        #expect(activity.isSilent(at: at(60_000), timeout: .seconds(60), mode: mode))
        #expect(activity.silence(of: .caller, at: at(1_500)) == .milliseconds(1_500))
    }

    @Test("packets before the answer do not count")
    func earlyMedia() {
        var activity = MediaActivity(connectedAt: answer)
        activity.observe(caller: Instant(nanoseconds: 1), callee: nil)
        #expect(!activity.isSilent(at: at(9_999), timeout: .seconds(10), mode: .any))
        #expect(activity.isSilent(at: at(10_000), timeout: .seconds(10), mode: .any))
    }

    @Test("one silent direction: enough in mode any, not in mode both", arguments: Leg.allCases)
    func oneDirection(leg: Leg) {
        var activity = MediaActivity(connectedAt: answer)
        activity.observe(caller: leg == .caller ? at(9_000) : at(20_000), callee: leg == .callee ? at(9_000) : at(20_000))
        #expect(activity.isSilent(at: at(20_000), timeout: .seconds(11), mode: .any))
        #expect(!activity.isSilent(at: at(20_000), timeout: .milliseconds(11_001), mode: .any))
        #expect(!activity.isSilent(at: at(30_999), timeout: .seconds(11), mode: .both))
        #expect(activity.isSilent(at: at(31_000), timeout: .seconds(11), mode: .both))
    }

    @Test("a timeout of zero is off")
    func off() {
        let activity = MediaActivity(connectedAt: answer)
        #expect(!activity.isSilent(at: at(10_000_000), timeout: .zero, mode: .both))
        #expect(!activity.isSilent(at: at(10_000_000), timeout: .zero, mode: .any))
    }

    @Test("an older reading does not turn back the clock")
    func olderReading() {
        var activity = MediaActivity(connectedAt: answer)
        activity.observe(caller: at(5_000), callee: at(5_000))
        activity.observe(caller: at(1_000), callee: nil)
        #expect(activity.silence(of: .caller, at: at(5_000)) == .zero)
        #expect(activity.silence(of: .callee, at: at(6_000)) == .seconds(1))
    }

    @Test("talk is when both were heard, dead air when neither was; with one it is neither")
    func accounts() {
        var activity = MediaActivity(connectedAt: answer)
        for second in 1...30 {
            // Both until 10 s, the caller alone until 20 s, nobody after.
            let now = at(second * 1_000)
            activity.observe(
                caller: at(min(second * 1_000, 20_000) - 5), callee: at(min(second * 1_000, 10_000) - 5))
            activity.account(until: now)
        }
        #expect(activity.talk == .seconds(10))
        #expect(activity.deadAir == .seconds(10))
        #expect(activity.accountedUntil == at(30_000))
        activity.account(until: at(29_000))
        #expect(activity.deadAir == .seconds(10))
    }
}
