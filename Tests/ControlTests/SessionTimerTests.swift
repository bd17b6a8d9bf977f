import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Session timers of both legs, and the longest duration, in whole calls.
@Suite struct SessionTimerTests {
    private static func world(_ seed: UInt64, _ configure: @escaping (inout Configuration) -> Void = { _ in }) -> SimulatedWorld {
        SimulatedWorld(seed: seed, noMediaTimeout: .zero) { configuration in
            configuration.sip.sessionTimer = .seconds(120)
            configure(&configuration)
        }
    }

    private static func requests(_ peer: Peer) -> [Method] { peer.midDialog.received.map(\.method) }

    @Test("neither side knows session timers: relayd refreshes both by re-INVITE, and nobody is dropped")
    func unsupporting() throws {
        let world = Self.world(1)
        let (caller, callee) = world.establishCall()
        world.run(for: .seconds(600))
        #expect(world.presentCalls.count == 1 && world.problems == [])
        for peer in [caller, callee] as [Peer] {
            let refreshes = Self.requests(peer)
            #expect(refreshes.count == 10 && Set(refreshes) == [.invite])
            #expect(peer.midDialog.received[0].text(.sessionExpires) == "120;refresher=uac")
            #expect(peer.midDialog.received[0].hasToken("timer", in: .supported))
        }
        // The same description as before, octet for octet.
        #expect(Array(callee.midDialog.received[3].body) == Array(callee.invite.body))
        #expect(Array(caller.midDialog.received[3].body) == Array(try #require(caller.answer).body))
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("by UPDATE where the peer allows it, and by re-INVITE after all when it does not keep its word", arguments: [true, false])
    func byUpdate(isHonest: Bool) {
        var script = CallScript()
        script.headers = [("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")]
        let world = Self.world(2)
        let (_, callee) = world.establishCall(script)
        if !isHonest { callee.midDialog.refusedMethods = [.update: 405] }
        world.run(for: .seconds(130))
        #expect(Self.requests(callee) == (isHonest ? [.update, .update] : [.update, .invite, .invite]))
        #expect(callee.midDialog.received[0].body.isEmpty)
        #expect(world.presentCalls.count == 1 && world.problems == [])
    }

    @Test("a peer that refuses to be refreshed is left alone; one that has lost the call ends it", arguments: [
        (488, nil), (481, ReleaseCause.peerLost),
    ] as [(Int, ReleaseCause?)])
    func refusedRefresh(status: Int, cause: ReleaseCause?) {
        let world = Self.world(3)
        let (_, callee) = world.establishCall()
        callee.midDialog.reply = .refuse(status)
        world.run(for: .seconds(600))
        #expect(world.records.map(\.cause) == [cause].compactMap(\.self))
        #expect(callee.midDialog.received.count == 1)
    }

    @Test("the callee refreshes: as long as it does the call lives, then it ends with session_timeout", arguments: [true, false])
    func calleeRefreshes(goesOn: Bool) throws {
        var script = CallScript()
        script.headers = [("Supported", "timer"), ("Session-Expires", "120;refresher=uas")]
        let world = Self.world(4)
        let (caller, callee) = world.establishCall(script)
        #expect(callee.invite.text(.sessionExpires) == "120;refresher=uac")
        for round in 0..<4 where goesOn || round == 0 {
            world.plan(after: .seconds(60 * round + 50)) {
                callee.ask(.update, headers: [("Supported", "timer"), ("Session-Expires", "120;refresher=uac")])
            }
        }
        world.run(for: .seconds(goesOn ? 300 : 140))
        #expect(Self.requests(callee).isEmpty)
        let refresh = try #require(callee.midDialog.sent.first?.response)
        #expect(refresh.text(.sessionExpires) == "120;refresher=uac" && refresh.hasToken("timer", in: .require))
        guard !goesOn else { return #expect(world.presentCalls.count == 1) }
        let record = try #require(world.records.first)
        #expect(record.cause == .sessionTimeout && record.cause.vosName == "Session timeout" && record.endedBy == .relayd)
        #expect(abs(record.durationMilliseconds - (52_000 + 88_000)) < 500, "120 s less 32 s after the last refresh")
        #expect(caller.byesReceived > 0 && callee.byesReceived > 0)
        #expect(world.events.first { $0.name == .callSessionExpired }?.fields["leg"] == "callee")
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a caller that asks for too short a session gets 422 with Min-SE, in the INVITE and later")
    func tooShort() throws {
        var script = CallScript()
        script.offerHeaders = [("Supported", "timer"), ("Session-Expires", "90")]
        let world = Self.world(5) { $0.sip.sessionTimerMinimum = .seconds(100) }
        let refused = world.placeCall(script)
        world.run(for: .seconds(2))
        #expect(refused.finalStatus == 422)
        #expect(world.traffic.last { $0.message.status == 422 }?.message.number(.minSE) == 100)
        #expect(world.records.map(\.cause) == [.sessionIntervalTooSmall])
        script.offerHeaders = [("Supported", "timer"), ("Session-Expires", "110;refresher=uac")]
        let (caller, _) = world.establishCall(script)
        let answer = try #require(caller.answer)
        #expect(answer.text(.sessionExpires) == "110;refresher=uac" && answer.hasToken("timer", in: .require))
        let update = caller.ask(.update, headers: [("Supported", "timer"), ("Session-Expires", "95")])
        let reinvite = caller.ask(.invite, offer: "", headers: [("Supported", "timer"), ("Session-Expires", "95")])
        world.run(for: .seconds(2))
        #expect(update.status == 422 && reinvite.status == 422)
        #expect(update.response?.number(.minSE) == 100 && reinvite.response?.number(.minSE) == 100)
    }

    @Test("a callee that wants longer sessions (422) is asked again with its minimum, once")
    func calleeWantsLonger() throws {
        var script = CallScript()
        script.minimumSession = 300
        let world = Self.world(6)
        let caller = world.placeCall(script)
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == 200)
        let invites = world.traffic.filter { !$0.isReceived && $0.message.method == .invite && $0.message.isRequest }.map(\.message)
        #expect(invites.map { $0.text(.sessionExpires) } == ["120;refresher=uac", "300;refresher=uac"])
        #expect(invites.map { $0.number(.minSE) } == [nil, 300])
        #expect(invites.map(\.cseq.number) == [1, 2] && Set(invites.map { Array($0.callID) }).count == 1)
        #expect(Array(invites[0].body) == Array(invites[1].body))
        #expect(caller.statuses == [100, 180, 200])
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a callee that wants longer sessions each time is asked three times in all, then the caller is refused", arguments: [2, 3])
    func calleeWantsEverLonger(refusals: Int) throws {
        var script = CallScript()
        script.refusedIntervals = refusals
        let world = Self.world(11)
        let caller = world.placeCall(script)
        world.run(for: .seconds(3))
        let invites = world.traffic.filter { !$0.isReceived && $0.message.method == .invite && $0.message.isRequest }.map(\.message)
        #expect(invites.map { $0.number(.sessionExpires) } == [120, 220, 320])
        #expect(caller.finalStatus == (refusals == 2 ? 200 : 500))
        if refusals == 3 {
            let record = try #require(world.records.first)
            #expect(record.cause == .rejected && record.verdict == .sessionIntervalLoop)
            #expect(record.explanation?.contains("3 times (422)") == true)
        }
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a change of the session refreshes both legs")
    func changeRefreshes() {
        let world = Self.world(7)
        let (caller, callee) = world.establishCall()
        for round in 1...4 { world.plan(after: .seconds(50 * round)) { caller.ask(.invite, offer: "") } }
        world.run(for: .seconds(220))
        #expect(callee.midDialog.received.count == 4 && caller.midDialog.received.isEmpty)
        #expect(callee.midDialog.received[0].text(.sessionExpires) == "120;refresher=uac")
        #expect(caller.midDialog.sent[0].response?.text(.sessionExpires) == "120;refresher=uas")
    }

    @Test("switched off, nothing is said and Require: timer is unknown")
    func off() {
        var script = CallScript()
        let world = Self.world(8) { $0.sip.sessionTimer = .zero }
        let (caller, callee) = world.establishCall(script)
        #expect(callee.invite.first(.sessionExpires) == nil && !callee.invite.hasToken("timer", in: .supported))
        #expect(caller.answer?.first(.sessionExpires) == nil)
        world.run(for: .seconds(7_200))
        #expect(caller.midDialog.received.isEmpty && world.presentCalls.count == 1)
        script.offerHeaders = [("Require", "timer")]
        #expect(world.placeCall(script).statuses.isEmpty)
        world.run(for: .seconds(1))
        #expect(world.callers.last?.finalStatus == 420)
    }

    @Test("the detail of a call says of each leg which timer runs, who refreshes, and how long there is")
    func detail() throws {
        let world = Self.world(18) {
            $0.limits.maximumDuration = .seconds(500)
            $0.trunks[0].sessionTimer = .seconds(300)
        }
        var script = CallScript()
        script.headers = [("Supported", "timer"), ("Session-Expires", "120;refresher=uas")]
        _ = world.placeCall(script)
        world.run(for: .seconds(1))
        let id = try #require(world.presentCalls.first)
        let ringing = try #require(world.detail(id))
        #expect(ringing.caller.sessionTimer == nil && ringing.callee?.sessionTimer == nil && ringing.endsInSeconds == nil)
        world.run(for: .seconds(21))
        let detail = try #require(world.detail(id))
        #expect(
            detail.caller.sessionTimer
                == .init(intervalSeconds: 300, refresher: .relayd, isPeerSupporting: false, refreshInSeconds: 130))
        #expect(
            detail.callee?.sessionTimer
                == .init(intervalSeconds: 120, refresher: .peer, isPeerSupporting: true, expiresInSeconds: 68))
        #expect(detail.endsInSeconds == 480)
    }

    @Test("a trunk's own interval holds on its leg")
    func perTrunk() {
        let world = Self.world(9) {
            $0.trunks[0].sessionTimer = .zero
            $0.trunks[1].sessionTimer = .seconds(200)
            $0.trunks[1].sessionTimerRefresher = .uas
        }
        let (caller, callee) = world.establishCall()
        #expect(callee.invite.text(.sessionExpires) == "200;refresher=uas")
        #expect(caller.answer?.first(.sessionExpires) == nil)
    }

    @Test("a call that nothing else would end lasts as long as limits.unwatched_duration, and says so")
    func unwatched() throws {
        let world = Self.world(12) { $0.limits.unwatchedDuration = .seconds(7_200) }
        let (caller, callee) = world.establishCall()
        world.run(for: .seconds(7_150))
        #expect(world.records.isEmpty)
        world.run(for: .seconds(100))
        let record = try #require(world.records.first)
        #expect(record.cause == .maximumDuration && record.verdict == .durationLimit && record.endedBy == .relayd)
        #expect(abs(record.durationMilliseconds - 7_200_000) < 100)
        #expect(record.explanation?.contains("limits.unwatched_duration") == true)
        #expect(caller.byesReceived == 1 && callee.byesReceived == 1)
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a call that something watches lasts longer: its media, a session timer of either side; an emergency call too", arguments: 0..<4)
    func watched(by what: Int) {
        let world = Self.world(13) {
            $0.limits.unwatchedDuration = .seconds(600)
            if what == 0 { $0.media.noMediaTimeout = .seconds(60) }
            if what == 1 { $0.media.emergencyNumbers = ["490"] }
        }
        var script = CallScript()
        let timer = [("Supported", "timer"), ("Session-Expires", "120;refresher=uas")]
        if what == 2 { script.headers = timer }
        // Of the caller's INVITE relayd is the one that refreshes.
        if what == 3 { script.offerHeaders = timer }
        let (caller, callee) = world.establishCall(script)
        let refreshing: Peer = what == 2 ? callee : caller
        // And so it says to the refreshes.
        if what == 3 { refreshing.midDialog.headers = [("Supported", "timer"), ("Session-Expires", "120;refresher=uac")] }
        if what == 2 {
            for round in 1...20 {
                world.plan(after: .seconds(50 * round)) {
                    callee.ask(.update, headers: [("Supported", "timer"), ("Session-Expires", "120;refresher=uac")])
                }
            }
        }
        world.run(for: .seconds(900))
        #expect(world.records.isEmpty && world.problems == [])
    }

    @Test("media that goes past relayd is watched by nobody, whatever the timeout")
    func unwatchedPast() {
        let world = SimulatedWorld(seed: 14) {
            $0.sip.sessionTimer = .zero
            $0.limits.unwatchedDuration = .seconds(600)
            $0.media.proxy = .off
        }
        _ = world.establishCall()
        world.run(for: .seconds(650))
        #expect(world.records.map(\.cause) == [.maximumDuration])
    }

    @Test("the time counts from when the last session timer is gone")
    func laterUnwatched() throws {
        let world = Self.world(15) { $0.limits.unwatchedDuration = .seconds(600) }
        var script = CallScript()
        script.headers = [("Supported", "timer"), ("Session-Expires", "120;refresher=uas")]
        let (caller, callee) = world.establishCall(script)
        world.run(for: .seconds(40))
        // It answers a change without a word of session timers.
        caller.ask(.invite, offer: "")
        world.run(for: .seconds(500))
        #expect(world.presentCalls.count == 1)
        world.run(for: .seconds(200))
        let record = try #require(world.records.first)
        #expect(record.cause == .maximumDuration && abs(record.durationMilliseconds - 642_000) < 1_000)
        #expect(callee.byesReceived == 1)
    }

    @Test("the longest duration ends a call that would go on, the shortest of what all and either trunk allow", arguments: [
        (nil, nil, 50), (Duration.seconds(20), .seconds(30), 20), (.zero, nil, 50), (.seconds(90), nil, 50), (.seconds(90), .seconds(40), 40),
    ] as [(Duration?, Duration?, Int?)])
    func longestDuration(caller: Duration?, callee: Duration?, seconds: Int?) {
        let world = Self.world(10) {
            $0.limits.maximumDuration = .seconds(50)
            $0.trunks[0].maximumDuration = caller
            $0.trunks[1].maximumDuration = callee
        }
        let peers = world.establishCall()
        world.run(for: .seconds(100))
        guard let seconds else { return #expect(world.records.isEmpty) }
        #expect(world.records.map(\.cause) == [.maximumDuration])
        #expect(abs((world.records.first?.durationMilliseconds ?? 0) - Int64(seconds * 1_000)) < 100)
        #expect(peers.caller.byesReceived == 1 && peers.callee.byesReceived == 1)
    }
}
