import Core
import SIP
import Testing

/// RFC 4028, one dialog's side at a time.
@Suite struct SessionTimerTests {
    typealias Terms = SessionTimer.Terms
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private static func timer(
        _ interval: Int = 1_800, minimum: Int = 90, refresher: SessionTimer.Refresher = .uac
    ) -> SessionTimer {
        SessionTimer(policy: .init(interval: .seconds(interval), minimum: .seconds(minimum), refresher: refresher))
    }

    @Test("table 2 of RFC 4028: who refreshes, as the answer to a request says", arguments: [
        (false, nil, SessionTimer.Refresher.uas, false), (false, .uac, .uas, false),
        (true, nil, .uac, true), (true, .uac, .uac, true), (true, .uas, .uas, true),
    ] as [(Bool, SessionTimer.Refresher?, SessionTimer.Refresher, Bool)])
    func refresher(isSupported: Bool, asked: SessionTimer.Refresher?, said: SessionTimer.Refresher, isRequired: Bool) {
        var timer = Self.timer()
        let answer = timer.answer(
            Terms(interval: .seconds(1_800), refresher: asked, isSupported: isSupported), now: Self.start)
        #expect(answer == .init(interval: .seconds(1_800), refresher: said, isRequired: isRequired))
        #expect(timer.isOurs == (said == .uas))
    }

    @Test("the interval granted lies between what is asked, what we want, and both minima", arguments: [
        (nil, nil, 1_800), (600, nil, 600), (3_600, nil, 1_800), (120, nil, 120), (nil, 2_400, 2_400), (3_000, 2_400, 2_400),
    ] as [(Int?, Int?, Int)])
    func interval(asked: Int?, minimum: Int?, granted: Int) {
        var timer = Self.timer()
        let terms = Terms(
            interval: asked.map { .seconds($0) }, minimum: minimum.map { .seconds($0) }, isSupported: true)
        let answer = timer.answer(terms, now: Self.start)
        #expect(answer?.interval == .seconds(granted))
    }

    @Test("too short an interval is refused with our minimum, but only to a peer that understands 422")
    func tooShort() {
        let timer = Self.timer(minimum: 300)
        #expect(timer.refusal(of: Terms(interval: .seconds(120), isSupported: true)) == .seconds(300))
        #expect(timer.refusal(of: Terms(interval: .seconds(120), isSupported: false)) == nil)
        #expect(timer.refusal(of: Terms(interval: .seconds(300), isSupported: true)) == nil)
        #expect(timer.refusal(of: Terms(isSupported: true)) == nil)
    }

    @Test("a 422 raises what we ask for; the same minimum twice is not worth another try")
    func raised() {
        var timer = Self.timer(600)
        let terms = Terms(minimum: .seconds(900))
        let isWorthIt = timer.refused(terms)
        #expect(isWorthIt && timer.offered?.interval == .seconds(900) && timer.offered?.minimum == .seconds(900))
        let isWorthItAgain = timer.refused(terms) || timer.refused(Terms())
        #expect(!isWorthItAgain)
    }

    @Test("a peer that wants more each time is given up after two more tries, until it agrees to something")
    func everLonger() {
        var timer = Self.timer(600)
        let tries = (1...4).map { timer.refused(Terms(minimum: .seconds(600 + 100 * $0))) }
        #expect(tries == [true, true, false, false])
        #expect(timer.offered?.interval == .seconds(800))
        timer.accepted(Terms(interval: .seconds(800), isSupported: true), now: Self.start)
        let isWorthIt = timer.refused(Terms(minimum: .seconds(1_200)))
        #expect(isWorthIt)
    }

    @Test("our own part: refresh at half the interval, again after each answer; without answers the session expires")
    func ours() {
        var timer = Self.timer(1_000)
        timer.accepted(Terms(interval: .seconds(1_000), refresher: .uac, isSupported: true), now: Self.start)
        #expect(timer.deadline == Self.start + .seconds(500))
        let actions = [499, 500, 500].map { timer.advance(to: Self.start + .seconds($0)) }
        #expect(actions == [nil, .refresh, nil])
        #expect(timer.deadline == Self.start + .seconds(968), "32 s before the end (§10)")
        timer.accepted(Terms(interval: .seconds(1_000), refresher: .uac), now: Self.start + .seconds(501))
        #expect(timer.deadline == Self.start + .seconds(1_001))
        _ = timer.advance(to: Self.start + .seconds(1_001))
        let last = timer.advance(to: Self.start + .seconds(1_469))
        #expect(last == .expired && timer.deadline == nil)
    }

    @Test("the peer's part: its refresh starts the interval anew; 32 s or a third before its end the session is over", arguments: [
        (1_800, 1_768), (90, 60),
    ])
    func theirs(interval: Int, end: Int) {
        var timer = Self.timer(interval)
        let terms = Terms(interval: .seconds(interval), refresher: .uac, isSupported: true)
        _ = timer.answer(terms, now: Self.start)
        #expect(!timer.isOurs && timer.deadline == Self.start + .seconds(end))
        let later = Self.start + .seconds(end - 1)
        _ = timer.answer(terms, now: later)
        let actions = [end - 1, end].map { timer.advance(to: later + .seconds($0)) }
        #expect(actions == [nil, .expired])
    }

    @Test("a peer without session timers is refreshed by us and never expires; one that refuses that is left alone")
    func unsupporting() {
        var timer = Self.timer()
        timer.accepted(Terms(), now: Self.start)
        #expect(timer.isOurs && !timer.isPeerSupporting)
        let first = timer.advance(to: Self.start + .seconds(900))
        #expect(first == .refresh && timer.deadline == nil)
        timer.refreshFailed(status: 491, retryAfter: .seconds(3), now: Self.start + .seconds(900))
        let second = timer.advance(to: Self.start + .seconds(903))
        #expect(second == .refresh)
        timer.refreshFailed(status: 488, retryAfter: .seconds(10), now: Self.start + .seconds(903))
        #expect(timer.deadline == nil)
    }

    @Test("inside the dialog the refresher keeps its part, named by the roles of each transaction")
    func roles() {
        var timer = Self.timer()
        _ = timer.answer(Terms(interval: .seconds(1_800), refresher: .uac, isSupported: true), now: Self.start)
        #expect(timer.offered?.refresher == .uas, "a request of ours: the peer, who answers it, goes on refreshing")
        let answer = timer.answer(Terms(interval: .seconds(1_800), isSupported: true), now: Self.start)
        #expect(answer?.refresher == .uac)
    }

    @Test("switched off, nothing is said, asked or ended")
    func off() {
        var timer = Self.timer(0)
        #expect(timer.offered == nil)
        let answer = timer.answer(Terms(interval: .seconds(90), isSupported: true), now: Self.start)
        #expect(answer == nil)
        timer.accepted(Terms(interval: .seconds(90), refresher: .uac), now: Self.start)
        #expect(timer.deadline == nil && timer.refusal(of: Terms(interval: .seconds(10), isSupported: true)) == nil)
    }
}
