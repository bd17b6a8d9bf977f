import Configuration
import Core
import Foundation
import SIP
import Testing

/// Random calls over a bad network, a seed each. `RELAYD_SEEDS=10000` runs more of them, `RELAYD_SEED=7` one alone.
@Suite struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seedCount = environment["RELAYD_SEEDS"].flatMap(UInt64.init) ?? 300
    private static let onlySeed = environment["RELAYD_SEED"].flatMap(UInt64.init)
    private static let laneCount: UInt64 = 8

    @Test("every attempt over a bad network ends as it should, and leaves nothing behind", arguments: 0..<laneCount)
    func randomWorlds(lane: UInt64) {
        if let seed = Self.onlySeed {
            if lane == 0 { Self.run(seed) }
            return
        }
        for seed in stride(from: 1 + lane, through: Self.seedCount, by: UInt64.Stride(Self.laneCount)) { Self.run(seed) }
    }

    @Test("the random worlds reach every way a call can end")
    func reach() {
        let seen = (1...250 as ClosedRange<UInt64>).reduce(into: Set<ReleaseCause>()) { $0.formUnion(Self.run($1)) }
        let others: Set<ReleaseCause> = [
            .unknownSource, .badRequest, .tooManyHops, .unsupportedExtension, .sessionTimeout, .maximumDuration, .sessionIntervalTooSmall,
            .loopDetected, .noCommonCodec,
            .notRegistered,
        ]
        #expect(seen == Set(ReleaseCause.allCases).subtracting(others))
    }

    @Test("one seed gives one run, octet for octet")
    func repeats() {
        func octets() -> [[UInt8]] {
            let world = Self.world(17)
            for _ in 0..<12 { world.placeCall(.random(&world.random)) }
            world.run(for: .seconds(60))
            return world.traffic.map(\.message.octets)
        }
        let first = octets()
        #expect(first.count > 50 && first == octets())
    }

    @Test("200 calls at once over a lossy network")
    func manyCalls() {
        let world = SimulatedWorld(
            seed: 3, loss: 0.1, latency: .milliseconds(20), jitter: .milliseconds(100), noMediaTimeout: .seconds(10)
        ) { $0.media.ports = 10_000...10_999 }
        for _ in 0..<200 { world.placeCall(.random(&world.random)) }
        world.run(for: .seconds(15))
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(world.records.count == 200 && world.counters[.callsReleased] == 200)
    }

    @discardableResult
    private static func run(_ seed: UInt64) -> [ReleaseCause] {
        let world = world(seed)
        let callCount = Int.random(in: 1...6, using: &world.random)
        for _ in 0..<callCount {
            let script = CallScript.random(&world.random)
            // One in eight comes to no route.
            let number = Int.random(in: 0..<8, using: &world.random) == 0 ? "1\(world.random.token(count: 4))" : nil
            world.plan(after: .milliseconds(Int.random(in: 0...15_000, using: &world.random))) {
                world.placeCall(script, number: number)
            }
        }
        for _ in 0..<Int.random(in: 0...2, using: &world.random) {
            world.plan(after: .milliseconds(Int.random(in: 0...25_000, using: &world.random))) {
                if let id = world.presentCalls.randomElement(using: &world.random) { _ = world.hangUp(id) }
            }
        }
        if Int.random(in: 0..<6, using: &world.random) == 0 {
            world.plan(after: .milliseconds(Int.random(in: 0...25_000, using: &world.random))) { world.shutDown() }
        }
        world.run(for: .seconds(60))
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(150))
        world.checkEnd()
        #expect(world.problems.isEmpty, "RELAYD_SEED=\(seed): \(world.problems)")
        return world.records.map(\.cause)
    }

    private static func world(_ seed: UInt64) -> SimulatedWorld {
        var random = SeededRandom(seed: seed)
        let isClean = Int.random(in: 0..<5, using: &random) == 0
        let world = SimulatedWorld(
            seed: seed, loss: isClean ? 0 : .random(in: 0...0.2, using: &random),
            latency: .milliseconds(Int.random(in: 1...80, using: &random)),
            jitter: isClean ? .zero : .milliseconds(Int.random(in: 0...300, using: &random)),
            duplication: isClean ? 0 : .random(in: 0...0.1, using: &random),
            noMediaTimeout: .seconds([0, 3, 5, 10].randomElement(using: &random)!),
            noMediaMode: Bool.random(using: &random) ? .both : .any
        ) { configuration in
            configuration.routing.lastResort = seed % 3 == 0
            configuration.media.quarantine = .seconds(Int.random(in: 0...5, using: &random))
            if Int.random(in: 0..<3, using: &random) == 0 { configuration.media.ports = 10_000...10_011 }
            if Int.random(in: 0..<5, using: &random) == 0 { configuration.limits.calls = 3 }
            configuration.trunks[1].inviteTimeout = .seconds(Int.random(in: 2...10, using: &random))
            configuration.trunks[1].tryingTimeout = .seconds(Int.random(in: 2...6, using: &random))
            configuration.trunks[1].progressTimeout = .seconds(Int.random(in: 2...8, using: &random))
            configuration.trunks[1].earlyMediaTimeout = .seconds(Int.random(in: 4...30, using: &random))
            configuration.trunks[1].ringingTimeout = .seconds(Int.random(in: 4...30, using: &random))
            if Int.random(in: 0..<5, using: &random) == 0 { configuration.trunks[1].capacity = 2 }
            if Int.random(in: 0..<8, using: &random) == 0 { configuration.trunks[1].callsPerSecond = 1 }
            if Bool.random(using: &random) {
                // A second way, of the same rank or behind.
                var other = Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"])
                other.priority = Int.random(in: 0...1, using: &random)
                other.inviteTimeout = .seconds(Int.random(in: 2...10, using: &random))
                configuration.trunks.append(other)
                configuration.trunks[1].failover = [StatusPattern("5xx")!, StatusPattern("404")!]
            }
            configuration.routing.failures = Int.random(in: 1...3, using: &random)
        }
        if Int.random(in: 0..<4, using: &random) == 0 { world.worker.openFailure = 0.3 }
        if Int.random(in: 0..<6, using: &random) == 0 { world.sendFailure = 0.05 }
        if Int.random(in: 0..<4, using: &random) == 0 {
            // The same for every copy: a callee that has heard one is not given up because of another.
            world.refusals = { message, destination in
                guard message.isRequest, message.toTag == nil, message.callID.reduce(0, { $0 &* 31 &+ Int($1) }) % 4 == 0,
                    SimulatedWorld.calleeAddresses.contains(destination)
                else { return nil }
                return ICMPMessage(isIPv6: false, type: 3, code: 3)
            }
        }
        return world
    }
}
