import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// When a silent call is hung up.
@Suite struct NoMediaSpecificationTests {
    @Test("a call whose legs both fall silent is released with BYE and Reason on each leg and one record")
    func bothSilent() throws {
        let world = SimulatedWorld(seed: 7, loss: 0.05, latency: .milliseconds(20))
        let (caller, callee) = world.establishCall()
        world.run(for: .seconds(30))
        caller.stopMedia()
        callee.stopMedia()
        let silentSince = world.now
        world.run(for: .milliseconds(59_900))
        #expect(world.presentCalls.count == 1)
        world.run(for: .seconds(60))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.byesReceived > 0 && callee.byesReceived > 0)
        let byes = world.traffic.filter { !$0.isReceived && $0.message.isRequest && $0.message.method == .bye }
        #expect(Set(byes.map(\.peer)) == [SimulatedWorld.callerAddress, SimulatedWorld.calleeAddress])
        #expect(byes.allSatisfy { $0.message.text(.reason) == "Q.850;cause=102;text=\"No RTP received\"" })
        #expect(byes[0].at - silentSince < .milliseconds(60_200))
        let record = try #require(world.records.first)
        #expect(world.records.count == 1)
        #expect(record.cause == .noMedia && record.sipCode == 200 && record.endedBy == .relayd && record.q850 == 102)
        #expect(abs(record.deadAirSeconds - 60) <= 1 && abs(record.talkSeconds - 30) <= 2)
        #expect(world.counters[.callsReleasedNoMedia] == 1)
    }

    @Test("one silent direction ends the call in mode any and in the mode of its name, not in the others", arguments: Leg.allCases, NoMediaMode.allCases)
    func oneSilent(leg: Leg, mode: NoMediaMode) {
        let world = SimulatedWorld(seed: 8, noMediaTimeout: .seconds(10), noMediaMode: mode)
        let (caller, callee) = world.establishCall()
        world.run(for: .seconds(5))
        (leg == .caller ? caller : callee).stopMedia()
        world.run(for: .seconds(11))
        let ends = mode == .any || mode == (leg == .caller ? .caller : .callee)
        #expect(world.records.map(\.cause) == (ends ? [.noMedia] : []))
        world.run(for: .seconds(600))
        #expect(world.presentCalls.count == (ends ? 0 : 1))
        #expect(world.problems == [])
    }

    @Test("media that never starts counts from the answer, not from ringing")
    func neverStarts() throws {
        let world = SimulatedWorld(seed: 9, noMediaTimeout: .seconds(10))
        var script = CallScript()
        script.callerSendsMedia = false
        script.calleeSendsMedia = false
        script.answerDelay = .seconds(30)
        world.placeCall(script)
        world.run(for: .seconds(150))
        world.checkEnd()
        #expect(world.problems == [])
        let record = try #require(world.records.first)
        #expect(record.cause == .noMedia)
        #expect((10_000...10_200).contains(record.durationMilliseconds))
        #expect(record.deadAirSeconds == 10 && record.talkSeconds == 0)
    }

    @Test("a timeout of zero is off: silence ends nothing")
    func off() {
        let world = SimulatedWorld(seed: 10, noMediaTimeout: .zero)
        var script = CallScript()
        script.callerSendsMedia = false
        script.calleeSendsMedia = false
        _ = world.establishCall(script)
        world.run(for: .seconds(3_600))
        #expect(world.presentCalls.count == 1)
    }

    @Test("the called number decides before the trunks: the longest prefix, and never for an emergency number")
    func numbers() throws {
        for (number, timeout, mode) in [
            ("4912", 60, NoMediaMode.both), ("4930", 5, .caller), ("49301", 5, .any), ("4999", 60, .off),
            ("112", 60, .off), ("+112", 60, .off), ("1120", 60, .both),
        ] {
            var media = Configuration(host: .current).media
            media.noMediaPrefixes = ["4930=5 caller", "49301=any", "4999=off"].compactMap { NoMediaPrefix($0) }
            #expect(media.noMediaPrefixes.count == 3)
            media.noMediaPrefixes[1].timeout = .seconds(5)
            var trunk = Trunk(name: "t", address: SimulatedWorld.calleeAddress)
            trunk.noMediaTimeout = .seconds(60)
            let rule = NoMediaRule(calling: number, from: nil, to: SharedTrunk(trunk), media)
            #expect(rule.timeout == .seconds(timeout) && rule.mode == mode, "\(number): \(rule)")
        }
    }

    @Test("a call to an emergency number is never released for silence, and relayctl is told why")
    func emergency() throws {
        let world = SimulatedWorld(seed: 21, noMediaTimeout: .seconds(5)) {
            $0.media.emergencyNumbers = ["490"]
        }
        let (caller, callee) = world.establishCall()
        caller.stopMedia()
        callee.stopMedia()
        world.run(for: .seconds(5_000))
        let call = try #require(world.control.summaries(now: world.now).first)
        #expect(!call.monitored && call.monitoredReason == "emergency number" && call.noMediaMode == .off)
    }

    @Test("a call on hold has the longer timeout, and ends by it", arguments: ["sendonly", "inactive"])
    func hold(direction: String) throws {
        let world = SimulatedWorld(seed: 22, noMediaTimeout: .seconds(5)) { $0.media.holdTimeout = .seconds(50) }
        var script = CallScript()
        script.offerMedia = "m=audio 40000 RTP/AVP 0\r\na=\(direction)\r\n"
        script.callerSendsMedia = false
        script.calleeSendsMedia = false
        _ = world.establishCall(script)
        world.run(for: .seconds(40))
        let call = try #require(world.control.summaries(now: world.now).first)
        #expect(call.monitored && call.monitoredReason == "on hold, for which it is 50 s")
        world.run(for: .seconds(20))
        let record = try #require(world.records.first)
        #expect(record.cause == .noMedia && (50_000...50_200).contains(record.durationMilliseconds))
    }

    @Test("a timeout of the caller's trunk counts where the callee's has none of its own")
    func callerTrunk() {
        let world = SimulatedWorld(seed: 11) { configuration in
            configuration.trunks[0].noMediaTimeout = .seconds(3)
            configuration.trunks[0].noMediaMode = .any
        }
        let (caller, _) = world.establishCall()
        caller.stopMedia()
        world.run(for: .seconds(4))
        #expect(world.records.map(\.cause) == [.noMedia])
        #expect(world.records.first?.noMediaTimeoutSeconds == 3)
    }

    @Test("the callee's trunk decides the timeout, and a call keeps the one it began with")
    func trunkDecides() throws {
        let world = SimulatedWorld(seed: 11) { configuration in
            configuration.media.noMediaTimeout = .seconds(60)
            configuration.trunks[0].noMediaTimeout = .seconds(3)
            configuration.trunks[1].noMediaTimeout = .seconds(60)
        }
        let (caller, callee) = world.establishCall()
        caller.stopMedia()
        callee.stopMedia()
        world.run(for: .seconds(70))
        #expect(world.records.first?.noMediaTimeoutSeconds == 60)
        #expect((60_000...63_000).contains(try #require(world.records.first).durationMilliseconds))
    }

    @Test("an hour of talk with pauses shorter than the timeout is not touched")
    func pauses() {
        let world = SimulatedWorld(seed: 12, noMediaTimeout: .seconds(10))
        let (caller, callee) = world.establishCall()
        for _ in 0..<300 {
            caller.stopMedia()
            callee.stopMedia()
            world.run(for: .milliseconds(9_900))
            caller.restartMedia()
            callee.restartMedia()
            world.run(for: .seconds(2))
        }
        #expect(world.presentCalls.count == 1 && world.problems == [])
    }
}
