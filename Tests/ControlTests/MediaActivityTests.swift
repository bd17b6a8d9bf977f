import Configuration
import Control
import Core
import Testing

@Suite struct MediaActivityTests {
    private let answer = Instant(nanoseconds: 1_000_000_000_000)
    private func at(_ milliseconds: Int) -> Instant { answer + .milliseconds(milliseconds) }

    private func isSilent(
        _ activity: MediaActivity, at now: Instant, timeout: Duration, mode: NoMediaMode, caller: LegMediaState = LegMediaState(),
        callee: LegMediaState = LegMediaState(), hold: Duration = .seconds(100), vad: Duration = .seconds(50)
    ) -> Bool {
        let rule = NoMediaRule(timeout: timeout, mode: mode, holdTimeout: hold, vadTimeout: vad)
        return activity.silenceEnds(rule, caller: caller, callee: callee).map { $0 <= now } ?? false
    }

    @Test("silence counts from the answer, and ends the call at the timeout, never before", arguments: [
        NoMediaMode.both, .any, .caller, .callee,
    ])
    func neverHeard(mode: NoMediaMode) {
        let activity = MediaActivity(connectedAt: answer)
        #expect(!isSilent(activity, at: at(59_999), timeout: .seconds(60), mode: mode))
        #expect(isSilent(activity, at: at(60_000), timeout: .seconds(60), mode: mode))
        #expect(activity.silence(of: .caller, at: at(1_500)) == .milliseconds(1_500))
    }

    @Test("packets before the answer do not count")
    func earlyMedia() {
        var activity = MediaActivity(connectedAt: answer)
        activity.observe(caller: Instant(nanoseconds: 1), callee: nil)
        #expect(!isSilent(activity, at: at(9_999), timeout: .seconds(10), mode: .any))
        #expect(isSilent(activity, at: at(10_000), timeout: .seconds(10), mode: .any))
    }

    @Test("one silent direction: enough in mode any, not in mode both", arguments: Leg.allCases)
    func oneDirection(leg: Leg) {
        var activity = MediaActivity(connectedAt: answer)
        activity.observe(caller: leg == .caller ? at(9_000) : at(20_000), callee: leg == .callee ? at(9_000) : at(20_000))
        #expect(isSilent(activity, at: at(20_000), timeout: .seconds(11), mode: .any))
        #expect(!isSilent(activity, at: at(20_000), timeout: .milliseconds(11_001), mode: .any))
        #expect(!isSilent(activity, at: at(30_999), timeout: .seconds(11), mode: .both))
        #expect(isSilent(activity, at: at(31_000), timeout: .seconds(11), mode: .both))
    }

    @Test("a timeout of zero is off")
    func off() {
        let activity = MediaActivity(connectedAt: answer)
        #expect(!isSilent(activity, at: at(10_000_000), timeout: .zero, mode: .both))
        #expect(!isSilent(activity, at: at(10_000_000), timeout: .zero, mode: .any))
    }

    @Test("modes caller and callee look at that side alone, and off at none", arguments: Leg.allCases)
    func oneSide(leg: Leg) {
        var activity = MediaActivity(connectedAt: answer)
        activity.observe(caller: leg == .caller ? at(1_000) : at(90_000), callee: leg == .callee ? at(1_000) : at(90_000))
        let mode = leg == .caller ? NoMediaMode.caller : .callee
        let other = leg == .caller ? NoMediaMode.callee : .caller
        #expect(!isSilent(activity, at: at(10_999), timeout: .seconds(10), mode: mode))
        #expect(isSilent(activity, at: at(11_000), timeout: .seconds(10), mode: mode))
        #expect(!isSilent(activity, at: at(99_999), timeout: .seconds(10), mode: other))
        #expect(!isSilent(activity, at: at(1_000_000), timeout: .seconds(10), mode: .off))
    }

    @Test("whoever holds, the call has the timeout of hold on both sides; zero never ends it", arguments: [
        NoMediaMode.both, .any, .caller, .callee,
    ], Leg.allCases)
    func hold(mode: NoMediaMode, holder: Leg) {
        let activity = MediaActivity(connectedAt: answer)
        let held = LegMediaState(holds: true)
        let caller = holder == .caller ? held : LegMediaState()
        let callee = holder == .callee ? held : LegMediaState()
        #expect(!isSilent(activity, at: at(99_999), timeout: .seconds(10), mode: mode, caller: caller, callee: callee))
        #expect(isSilent(activity, at: at(100_000), timeout: .seconds(10), mode: mode, caller: caller, callee: callee))
        #expect(
            !isSilent(
                activity, at: at(10_000_000), timeout: .seconds(10), mode: mode, caller: caller, callee: callee, hold: .zero))
        // It is meant to be more patient than the other one, not less.
        #expect(
            !isSilent(
                activity, at: at(9_999), timeout: .seconds(10), mode: mode, caller: caller, callee: callee, hold: .seconds(1)))
    }

    @Test("a leg that may be silent has more time, the other one has not")
    func silenceSuppression() {
        let activity = MediaActivity(connectedAt: answer)
        let quiet = LegMediaState(mayBeSilent: true)
        #expect(isSilent(activity, at: at(10_000), timeout: .seconds(10), mode: .any, caller: quiet))
        #expect(!isSilent(activity, at: at(49_999), timeout: .seconds(10), mode: .both, caller: quiet))
        #expect(isSilent(activity, at: at(50_000), timeout: .seconds(10), mode: .both, caller: quiet))
        #expect(!isSilent(activity, at: at(49_999), timeout: .seconds(10), mode: .caller, caller: quiet))
        #expect(isSilent(activity, at: at(10_000), timeout: .seconds(10), mode: .callee, caller: quiet))
        #expect(!isSilent(activity, at: at(10_000_000), timeout: .seconds(10), mode: .caller, caller: quiet, vad: .zero))
        #expect(!isSilent(activity, at: at(49_999), timeout: .seconds(10), mode: .any, caller: quiet, callee: quiet))
    }

    @Test("a change of hold begins the silence anew")
    func restart() {
        var activity = MediaActivity(connectedAt: answer)
        activity.restart(at: at(500_000))
        #expect(!isSilent(activity, at: at(509_999), timeout: .seconds(10), mode: .any))
        #expect(isSilent(activity, at: at(510_000), timeout: .seconds(10), mode: .any))
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
