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
}
