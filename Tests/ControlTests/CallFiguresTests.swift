import Control
import ControlProtocol
import Core
import Testing

@Suite("Figures of ended calls")
struct CallFiguresTests {
    @Test("answered and failed calls add up by trunk, side and cause, and into the distributions")
    func figures() throws {
        let world = SimulatedWorld(seed: 11)
        for _ in 0..<3 {
            let (caller, _) = world.establishCall()
            world.run(for: .seconds(10))
            caller.hangUp()
            world.run(for: .seconds(2))
        }
        world.placeCall(number: "7")  // no route
        world.run(for: .seconds(40))
        var figures = CallFigures()
        for record in world.records { figures.add(record) }
        #expect(figures.releases == ["normal": 3, "no_route": 1])
        let customers = figures.complete(TrunkFigures(name: "a", address: SimulatedWorld.callerAddress))
        #expect(customers.incoming.attempts == 4 && customers.incoming.answered == 3)
        #expect(customers.incoming.answerRatio == 0.75)
        #expect(customers.incoming.releases == ["normal": 3, "no_route": 1])
        #expect(customers.outgoing == TrunkFigures.Side())
        let carrier = figures.complete(TrunkFigures(name: "b", address: SimulatedWorld.calleeAddress))
        #expect(carrier.outgoing.attempts == 3 && carrier.outgoing.answered == 3)
        #expect((9.0...13.0).contains(carrier.outgoing.averageSeconds ?? 0))
        #expect(figures.distributions.setup.count == 3)
        #expect(figures.distributions.duration.count == 3)
    }

    @Test("a call that ended is shown with its figures for as long as it is remembered")
    func endedCall() throws {
        let world = SimulatedWorld(seed: 12)
        let (caller, _) = world.establishCall()
        world.run(for: .seconds(3))
        let id = try #require(world.presentCalls.first)
        let before = try #require(world.detail(id))
        #expect(before.caller.packets > 100 && before.callee?.packets ?? 0 > 100 && before.caller.kind == "audio")
        caller.hangUp()
        world.run(for: .seconds(5))
        #expect(world.records.count == 1)
        let after = try #require(world.detail(id))
        #expect(after.caller.packets >= before.caller.packets && after.callee?.packets ?? 0 >= before.callee?.packets ?? 0)
        #expect(after.caller.kind == "audio" && after.callee?.kind == "audio" && after.callee?.sdpAddress == before.callee?.sdpAddress)
    }
}
