import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// A configuration that changes while calls are up.
@Suite struct ReloadTests {
    @Test("a trunk that is removed loses no call and gets no new one; one that is added is used at once")
    func trunks() {
        let world = SimulatedWorld(seed: 91)
        let (caller, callee) = world.establishCall()
        world.reload { configuration in
            configuration.trunks.remove(at: 1)
            configuration.trunks.append(Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"]))
        }
        let second = world.establishCall()
        #expect(second.callee.address == SimulatedWorld.otherCalleeAddress && second.caller.finalStatus == 200)
        // The first one lives on: it can change, and it ends.
        let hold = caller.ask(.invite, offer: "m=audio 40000 RTP/AVP 8\r\na=sendonly\r\n")
        world.run(for: .seconds(1))
        #expect(hold.status == 200)
        callee.hangUp()
        world.run(for: .seconds(1))
        #expect(world.records.map(\.cause) == [.normal] && world.records[0].calleeTrunk == "b")
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("the limits of calls, and of calls a second, count from the reload on")
    func limits() {
        let world = SimulatedWorld(seed: 93)
        world.reload {
            $0.limits.calls = 1
            $0.limits.callsPerSecond = 1
        }
        _ = world.establishCall()
        let refused = [world.placeCall(), world.placeCall()]
        world.run(for: .seconds(1))
        #expect(refused.map(\.finalStatus) == [503, 503])
        #expect(world.counters[.callsRefusedCapacity] == 1 && world.counters[.callsRefusedRate] == 1)
        world.reload {
            $0.limits.calls = 100
            $0.limits.callsPerSecond = 0
        }
        let served = (0..<3).map { _ in world.placeCall() }
        world.run(for: .seconds(4))
        #expect(served.map(\.finalStatus) == [200, 200, 200])
    }

    @Test("limits, rules and the timeout of silence hold for calls that begin afterwards")
    func settings() throws {
        let world = SimulatedWorld(seed: 92)
        _ = world.establishCall()
        let before = try #require(world.detail(world.presentCalls[0])).summary.noMediaTimeoutSeconds
        world.reload {
            $0.trunks[1].capacity = 2
            $0.trunks[1].codecs = ["PCMU"]
            $0.media.noMediaTimeout = .seconds(7)
        }
        #expect(try #require(world.detail(world.presentCalls[0])).summary.noMediaTimeoutSeconds == before)
        let second = world.establishCall()
        #expect(try SessionDescription(parsing: second.callee.invite.body).media[0].formats == ["0", "101"])
        #expect(try #require(world.detail(world.presentCalls[1])).summary.noMediaTimeoutSeconds == 7)
        let third = world.placeCall()
        world.run(for: .seconds(1))
        #expect(third.finalStatus == 503, "the capacity counts calls from before")
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(5))
        #expect(world.trunk("b").calls == 0)
    }
}
