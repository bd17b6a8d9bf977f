import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

/// Which route a call takes, and when it takes the next one.
@Suite struct FailoverSpecificationTests {
    private let callerSide = SimulatedWorld.callerAddress
    private let firstSide = SimulatedWorld.calleeAddress
    private let secondSide = SimulatedWorld.otherCalleeAddress

    /// Trunk b first, then trunk c.
    private func world(_ seed: UInt64, _ change: @escaping (inout Configuration) -> Void = { _ in }) -> SimulatedWorld {
        SimulatedWorld(seed: seed) { configuration in
            var other = Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"])
            other.priority = 1
            configuration.trunks.append(other)
            change(&configuration)
        }
    }

    private func script(_ answer: CallScript.Answer, other: CallScript.Answer = .accept) -> CallScript {
        var script = CallScript()
        script.answer = answer
        script.otherAnswer = other
        script.answerDelay = .milliseconds(300)
        return script
    }

    private func expectNothingLeft(_ world: SimulatedWorld) {
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("after 408 and 5xx the next trunk is tried; the caller hears of the answer only", arguments: [408, 500, 502, 503, 504])
    func nextRoute(status: Int) throws {
        let world = world(1)
        var refused = script(.reject(status))
        refused.ringing = []
        let caller = world.placeCall(refused)
        world.run(for: .seconds(3))
        #expect(caller.statuses == [100, 200])
        #expect(world.sent(to: firstSide) == ["INVITE", "ACK"])
        #expect(world.sent(to: secondSide) == ["INVITE", "ACK"])
        #expect(world.counters[.callsRerouted] == 1)
        let event = try #require(world.events.first { $0.name == .callRerouted })
        #expect(event.fields["from_trunk"] == "b" && event.fields["to_trunk"] == "c" && event.fields["status"] == "\(status)")
        // One session, whose callee is now expected elsewhere.
        let opened = world.commands.count { command in
            if case .open = command { return true }
            return false
        }
        #expect(opened == 1)
        caller.hangUp()
        world.run(for: .seconds(5))
        let record = try #require(world.records.first)
        #expect(record.calleeTrunk == "c" && record.calleeAddress == secondSide && record.cause == .normal)
        #expect(record.calleeCallID == String(decoding: world.callees[1].invite.callID, as: UTF8.self))
        #expect(world.trunk("b").calls == 0 && world.trunk("c").answerSeizureRatio == 1)
        expectNothingLeft(world)
    }

    @Test("of two trunks for one prefix calls go to each as often as its weight says, and to the other when that one fails")
    func weights() {
        let world = SimulatedWorld(seed: 77) { configuration in
            configuration.trunks[1].weight = 3
            configuration.trunks.append(Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"]))
        }
        let calls = 200
        var first = 0
        for _ in 0..<calls {
            let before = world.sent(to: firstSide).count
            let caller = world.placeCall(script(.reject(500)))
            world.run(for: .milliseconds(30))
            if world.sent(to: firstSide).count > before { first += 1 }
            world.run(for: .seconds(2))
            #expect(caller.finalStatus == 200, "the other one answers")
            for id in world.presentCalls { _ = world.hangUp(id) }
        }
        // Three in four, give or take four standard deviations.
        #expect((125...175).contains(first), "\(first)")
    }

    @Test("what the callee itself says is passed on, and nobody else is called", arguments: [404, 480, 486, 487, 600, 603])
    func noNextRoute(status: Int) {
        let world = world(2)
        let caller = world.placeCall(script(.reject(status)))
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == status)
        #expect(world.sent(to: secondSide).isEmpty)
        expectNothingLeft(world)
    }

    @Test("a trunk's own list of statuses counts for it")
    func ownList() {
        let world = world(3) { $0.trunks[1].failover = [StatusPattern("404")!] }
        let moved = world.placeCall(script(.reject(404)))
        let kept = world.placeCall(script(.reject(503)))
        world.run(for: .seconds(3))
        #expect(moved.finalStatus == 200 && kept.finalStatus == 503)
        expectNothingLeft(world)
    }

    @Test("when every trunk has failed the caller gets what the last one said, which may be the callee's own word", arguments: [
        (404, 486), (404, 503), (503, 404),
    ])
    func lastTrunk(first: Int, last: Int) throws {
        let world = world(5) { configuration in
            for index in 1...2 { configuration.trunks[index].failover = [StatusPattern("404")!, StatusPattern("503")!] }
        }
        let caller = world.placeCall(script(.reject(first), other: .reject(last)))
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == last)
        let record = try #require(world.records.first)
        #expect(record.sipCode == last && record.calleeTrunk == "c")
        expectNothingLeft(world)
    }

    @Test("a trunk that says nothing is left after its invite timeout, and cancelled as soon as it says something")
    func silentTrunk() {
        let world = world(4) { $0.trunks[1].inviteTimeout = .seconds(2) }
        let caller = world.placeCall(script(.silence))
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == 200)
        #expect(world.trunk("b").lastFailure == "no response to INVITE in 2.0 seconds")
        expectNothingLeft(world)
    }

    @Test("100 and nothing more: trying timeout; progress without SDP and no ringing: progress timeout", arguments: [
        ([], ReleaseCause.tryingTimeout, 408), ([183], .progressTimeout, 480),
    ] as [([Int], ReleaseCause, Int)])
    func slowTrunks(ringing: [Int], cause: ReleaseCause, status: Int) {
        let world = SimulatedWorld(seed: 5)
        var slow = script(.never)
        slow.ringing = ringing
        let caller = world.placeCall(slow)
        world.run(for: .seconds(19))
        #expect(caller.finalStatus == nil)
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == status)
        #expect(world.records.map(\.cause) == [cause])
        expectNothingLeft(world)
        #expect(world.sent(to: firstSide).contains("CANCEL"))
    }

    @Test("early media runs 120 s, not 20")
    func earlyMedia() {
        let world = SimulatedWorld(seed: 6)
        var early = script(.never)
        early.ringing = [183]
        early.hasEarlyMedia = true
        let caller = world.placeCall(early)
        world.run(for: .seconds(115))
        #expect(caller.finalStatus == nil)
        world.run(for: .seconds(10))
        #expect(caller.finalStatus == 480 && world.records.map(\.cause) == [.earlyMediaTimeout])
        expectNothingLeft(world)
    }

    @Test("no further route once the callee's RTP has come; before it, the next callee gets a dialog of its own", arguments: [true, false])
    func afterEarlyMedia(hasRTP: Bool) throws {
        let world = world(7)
        var early = script(.reject(503))
        early.ringing = [183]
        early.hasEarlyMedia = true
        early.answerDelay = .seconds(2)
        early.calleeSendsMedia = hasRTP
        let caller = world.placeCall(early)
        world.run(for: .seconds(6))
        if hasRTP {
            #expect(caller.finalStatus == 503 && world.sent(to: secondSide).isEmpty)
        } else {
            #expect(caller.finalStatus == 200)
            let tags = world.traffic.filter { !$0.isReceived && $0.peer == callerSide && !$0.message.body.isEmpty }
                .map { String(decoding: $0.message.toTag ?? [], as: UTF8.self) }
            // 183 of the first callee, 183 of the second, and its 200 with the same tag.
            #expect(tags.count == 3 && tags[0] != tags[1] && tags[1] == tags[2])
            caller.hangUp()
            world.run(for: .seconds(2))
            #expect(world.callees[1].byesReceived == 1)
        }
        expectNothingLeft(world)
    }

    @Test("a full trunk is passed over; when all are full: 503, Retry-After, all_routes_busy")
    func busy() throws {
        let world = world(8) {
            $0.trunks[1].capacity = 1
            $0.trunks[2].capacity = 1
        }
        _ = world.establishCall()
        let (_, second) = world.establishCall()
        #expect(second.address == secondSide)
        let refused = world.placeCall()
        world.run(for: .seconds(1))
        #expect(refused.finalStatus == 503)
        #expect(world.records.map(\.cause) == [.allRoutesBusy] && world.records[0].q850 == 34)
        #expect(world.traffic.last { $0.message.status == 503 }?.message.text(.retryAfter) == "5")
        #expect(world.counters[.callsRefusedRoutesBusy] == 1)
        expectNothingLeft(world)
    }

    @Test("beyond its calls a second a trunk is passed over, and its own calls get 503")
    func callsPerSecond() {
        let out = world(9) { $0.trunks[1].callsPerSecond = 2 }
        for _ in 0..<5 { out.placeCall() }
        out.run(for: .milliseconds(500))
        #expect(out.sent(to: firstSide).count { $0 == "INVITE" } == 2)
        #expect(out.sent(to: secondSide).count { $0 == "INVITE" } == 3)
        expectNothingLeft(out)

        let incoming = world(10) { $0.trunks[0].callsPerSecond = 2 }
        let callers = (0..<5).map { _ in incoming.placeCall() }
        incoming.run(for: .milliseconds(500))
        #expect(callers.count { $0.finalStatus == 503 } == 3)
        #expect(incoming.records.map(\.cause) == [.capacity, .capacity, .capacity])
        expectNothingLeft(incoming)
    }

    @Test("503 with Retry-After lets the trunk rest for that time, and no longer")
    func retryAfter() {
        let world = world(11)
        var refused = script(.reject(503))
        refused.retryAfter = 10
        world.placeCall(refused)
        world.run(for: .seconds(2))
        #expect(world.trunk("b").state == .resting)
        world.placeCall(script(.accept))
        world.run(for: .seconds(2))
        #expect(world.sent(to: firstSide).count { $0 == "INVITE" } == 1)
        world.run(for: .seconds(7))
        #expect(world.trunk("b").state == .up)
        world.placeCall(script(.accept))
        world.run(for: .seconds(2))
        #expect(world.sent(to: firstSide).count { $0 == "INVITE" } == 2)
        expectNothingLeft(world)
    }

    @Test("a trunk that fails three times in a row is out; OPTIONS brings it back, and events say both")
    func health() throws {
        let world = world(12) { $0.trunks[1].inviteTimeout = .seconds(1) }
        world.answersOptions = false
        for _ in 0..<3 {
            world.placeCall(script(.silence))
            world.run(for: .seconds(3))
        }
        #expect(world.trunk("b").state == .down)
        #expect(world.events.first { $0.name == .trunkDown }?.fields["trunk"] == "b")
        let invites = world.callees.count { $0.address == firstSide }
        world.placeCall(script(.accept))
        world.run(for: .seconds(3))
        #expect(world.callees.count { $0.address == firstSide } == invites)
        world.run(for: .seconds(60))
        #expect(world.trunk("b").state == .down && world.trunk("b").probe == "no response")
        world.answersOptions = true
        world.run(for: .seconds(65))
        #expect(world.trunk("b").state == .up && world.events.contains { $0.name == .trunkUp })
        #expect(world.trunk("b").probeMilliseconds == 10)
        expectNothingLeft(world)
    }

    @Test("when every trunk for a number is out: 503, Retry-After, all_routes_down")
    func allDown() {
        let world = SimulatedWorld(seed: 13) {
            $0.trunks[1].inviteTimeout = .seconds(1)
            $0.routing.failures = 1
            $0.routing.lastResort = false
        }
        world.answersOptions = false
        world.placeCall(script(.silence))
        world.run(for: .seconds(3))
        let refused = world.placeCall()
        world.run(for: .seconds(1))
        #expect(refused.finalStatus == 503)
        #expect(world.records.map(\.cause) == [.inviteTimeout, .allRoutesDown])
        #expect(world.traffic.last { $0.message.status == 503 }?.message.text(.retryAfter) == "30")
        world.answersOptions = true
        expectNothingLeft(world)
    }

    @Test("when every trunk for a number is out, one call a second tries the first all the same, and brings it back")
    func lastResort() {
        let world = SimulatedWorld(seed: 15) {
            $0.trunks[1].inviteTimeout = .seconds(1)
            $0.routing.failures = 1
        }
        world.answersOptions = false
        world.placeCall(script(.silence))
        world.run(for: .seconds(3))
        #expect(world.trunk("b").state == .down)
        let first = world.placeCall(script(.silence))
        let second = world.placeCall()
        world.run(for: .seconds(3))
        #expect(first.finalStatus == 408 && second.finalStatus == 503)
        let third = world.placeCall()
        world.run(for: .seconds(3))
        #expect(third.finalStatus == 200 && world.trunk("b").state == .up)
        world.answersOptions = true
        expectNothingLeft(world)
    }

    @Test("a trunk that is not probed is tried by one call after the interval, and is out again when that fails")
    func unprobed() {
        let world = SimulatedWorld(seed: 14) {
            $0.trunks[1].inviteTimeout = .seconds(1)
            $0.trunks[1].probe = .off
            $0.routing.failures = 2
        }
        for _ in 0..<2 {
            world.placeCall(script(.silence))
            world.run(for: .seconds(3))
        }
        #expect(world.trunk("b").state == .down)
        world.run(for: .seconds(30))
        #expect(world.trunk("b").state == .up)
        world.placeCall(script(.silence))
        world.run(for: .seconds(3))
        #expect(world.trunk("b").state == .down)
        world.run(for: .seconds(30))
        #expect(!world.traffic.contains { $0.message.method == .options })
        expectNothingLeft(world)
    }

    @Test("an operator's probe says what came back, and after how long")
    func probe() {
        let world = world(15)
        #expect(world.probe("b") && !world.probe("nobody"))
        world.run(for: .seconds(1))
        #expect(world.probes.map(\.result) == ["200 OK"] && world.probes[0].milliseconds == 10)
        world.answersOptions = false
        #expect(world.probe("c"))
        world.run(for: .seconds(33))
        #expect(world.probes.last?.result == "no response" && world.probes.last?.milliseconds == nil)
        expectNothingLeft(world)
    }

    @Test("a call tries no more routes than it may")
    func attempts() {
        let world = world(16) { $0.routing.attempts = 1 }
        let caller = world.placeCall(script(.reject(503)))
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == 503 && world.sent(to: secondSide).isEmpty)
        expectNothingLeft(world)
    }

    @Test("numbers are rewritten on the way: in, by the route, out; the record has what was dialled; To follows")
    func rewriting() throws {
        let world = world(17) { configuration in
            configuration.trunks[0].calledIn = [.replace(prefix: "0049", replacement: "49")]
            configuration.trunks[0].callerIn = [.prepend("9")]
            configuration.trunks[1].prefixes = []
            configuration.trunks[1].calledOut = [.prepend("#7")]
            configuration.trunks[1].callerOut = [.strip(1)]
            configuration.trunks[2].prefixes = []
            var route = Route(prefixes: ["4930"], trunk: "b")
            route.called = [.replace(prefix: "49", replacement: "+49")]
            configuration.routes = [route]
        }
        let caller = world.placeCall(number: "0049301")
        world.run(for: .seconds(4))
        #expect(caller.finalStatus == 200)
        let invite = try #require(world.callees.first).invite
        #expect(invite.uri.user == "#7+49301" && invite.to.uri.user == "#7+49301")
        #expect(invite.from.uri.user == "4930" && invite.from.displayName == "Ada")
        expectNothingLeft(world)
        #expect(world.records.first?.calledNumber == "0049301")
    }

    @Test("CANCEL between two routes ends the call, and the next one is never called")
    func cancelled() {
        let world = world(18) { $0.trunks[1].inviteTimeout = .seconds(2) }
        var cancelling = script(.never, other: .never)
        cancelling.sendsTrying = false
        cancelling.ringing = []
        cancelling.cancelDelay = .seconds(1)
        let caller = world.placeCall(cancelling)
        world.run(for: .seconds(5))
        #expect(caller.finalStatus == 487)
        #expect(world.sent(to: secondSide).isEmpty)
        expectNothingLeft(world)
    }
}
