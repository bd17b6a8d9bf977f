import Configuration
import Core
import SIP
import Testing

/// What the OPTIONS of a trunk is told.
@Suite struct LoadAnswerTests {
    private func ask(
        _ world: SimulatedWorld, from source: SocketAddress = SimulatedWorld.callerAddress
    ) throws -> (status: Int?, load: String?, retryAfter: String?) {
        let branch = "z9hG4bK\(world.traffic.count)"
        let request = RefusalSpecificationTests.request("OPTIONS", source: source, branch: branch, callID: branch)
        let answer = try #require(world.exchange(request, from: source).last { $0.method == .options && !$0.isRequest })
        let load = answer.headers.first { answer.nameText($0) == "X-relayd-Load" }.map { answer.text($0) }
        return (answer.status, load, answer.text(.retryAfter))
    }

    @Test("a trunk learns how many calls there are, of all and of its own, beside their limits")
    func figures() throws {
        let world = SimulatedWorld(seed: 61) {
            $0.limits.calls = 50
            $0.limits.callsPerSecond = 40
            $0.trunks[0].capacity = 3
        }
        #expect(try ask(world).load == "state=open; calls=0/50; calls-per-second=0/40; trunk-calls=0/3")
        // Two in one second, and the question in the next one.
        world.run(for: .nanoseconds(1_000_000_000 - Int64(world.now.nanoseconds % 1_000_000_000)))
        world.placeCall()
        world.placeCall()
        world.run(for: .seconds(1))
        #expect(try ask(world).load == "state=open; calls=2/50; calls-per-second=2/40; trunk-calls=2/3")
        let callee = try ask(world, from: SimulatedWorld.calleeAddress)
        #expect(callee.load == "state=open; calls=2/50; calls-per-second=2/40; trunk-calls=2", "it has no capacity of its own")
        world.run(for: .seconds(5))
        #expect(try ask(world).load == "state=open; calls=2/50; calls-per-second=0/40; trunk-calls=2/3")
    }

    @Test("a full trunk, and a full relayd, are not dead: 200, and the header says so")
    func full() throws {
        let world = SimulatedWorld(seed: 62) {
            $0.limits.calls = 2
            $0.trunks[0].capacity = 1
        }
        _ = world.establishCall()
        let own = try ask(world)
        #expect(own.status == 200 && own.load?.hasPrefix("state=full; calls=1/2;") == true)
        #expect(try ask(world, from: SimulatedWorld.calleeAddress).load?.hasPrefix("state=open") == true)
        world.reload { $0.trunks[0].capacity = 0 }
        _ = world.establishCall()
        let all = try ask(world, from: SimulatedWorld.calleeAddress)
        #expect(all.status == 200 && all.load?.hasPrefix("state=full; calls=2/2;") == true)
    }

    @Test("a relayd that is stopping says 503 with Retry-After")
    func stopping() throws {
        let world = SimulatedWorld(seed: 63)
        _ = world.establishCall()
        world.shutDown()
        let answer = try ask(world)
        #expect(answer.status == 503 && answer.retryAfter == "5" && answer.load?.hasPrefix("state=stopping") == true)
    }

    @Test("whoever is no trunk learns nothing of the load")
    func others() throws {
        let monitor = SocketAddress("192.0.2.200:5060")!
        let stranger = SocketAddress("192.0.2.201:5060")!
        let world = SimulatedWorld(seed: 64) { $0.sip.monitors = [TrunkSource("192.0.2.200")!] }
        let answer = try ask(world, from: monitor)
        #expect(answer.status == 200 && answer.load == nil)
        let refusal = try ask(world, from: stranger)
        #expect(refusal.status == 403 && refusal.load == nil)
    }
}
