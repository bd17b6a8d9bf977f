import Configuration
import Control
import ControlProtocol
import Core
import NG
import Testing

/// Random proxies that say anything in any order: whatever they do, each command gets one answer, and what was taken is
/// given back.
@Suite struct NGSimulationTests {
    @Test("thousands of calls in random order leave nothing behind", arguments: 1...8 as ClosedRange<UInt64>)
    func randomCommands(seed: UInt64) {
        let world = NGWorld(seed: seed, ports: 10_000...10_159) {
            $0.limits.calls = 45
            $0.media.quarantine = .seconds(2)
            $0.ng.timeout = .seconds(10)
            $0.ng.silentTimeout = .seconds(30)
            $0.ng.offerTimeout = .seconds(20)
            $0.ng.deleteDelay = .seconds(5)
            $0.media.noMediaMode = seed % 2 == 0 ? .both : .any
        }
        world.worker.openFailure = 0.05
        var sent = 0
        var ports: [String: [String: UInt16]] = [:]
        var checked = 0
        for step in 0..<2_000 {
            let call = "call\(step / 5 + Int.random(in: -8...8, using: &world.random))"
            let cookie = world.sendRandom(call)
            sent += 1
            // The proxy did not hear the answer, or hears it twice.
            if Int.random(in: 0..<10, using: &world.random) == 0 {
                world.run(for: .milliseconds(Int.random(in: 0...30, using: &world.random)))
            }
            world.run(for: .milliseconds(Int.random(in: 0...400, using: &world.random)))
            guard let answer = world.answers.last, answer.cookie == cookie, let port = answer.port(), port != 0 else { continue }
            // As long as the call lasts each side is told one port.
            let side = answer.line("s=") ?? ""
            let life = "\(call) \(world.events.count { $0.name == .callReleased && $0.fields["sip_call_id"] == call })"
            if let known = ports[life]?[side] {
                #expect(known == port, "\(life) \(side)")
                checked += 1
            }
            ports[life, default: [:]][side] = port
        }
        #expect(checked > 150)
        let released = world.events.count { $0.name == .callReleased }
        #expect(released + world.control.callCount == world.events.count { $0.name == .callSetup })
        #expect(released > 150)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(Set(world.answers.map(\.cookie)).count == sent && world.answers.count == sent)
        // Answers from the cache too are the same.
        #expect(world.control.nextDeadline == nil)
    }

    @Test("a deadline that passed does not stay due, and shutting down closes everything", arguments: 1...20 as ClosedRange<UInt64>)
    func shutDown(seed: UInt64) {
        let world = NGWorld(seed: seed)
        for step in 0..<100 {
            world.sendRandom("call\(step / 5)")
            world.run(for: .milliseconds(Int.random(in: 0...20, using: &world.random)))
        }
        world.control.closeAll(now: world.now)
        world.flush()
        #expect(world.control.callCount == 0)
        world.checkEnd()
        #expect(world.problems == [])
    }
}

extension NGWorld {
    /// One random command for that call. The session name tells whose description it is.
    @discardableResult
    fileprivate func sendRandom(_ call: String) -> String {
        func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &random) < probability }
        let callee = ["b1", "b2"].randomElement(using: &random)!
        func description(_ side: String) -> String {
            let attribute = ["sendrecv", "sendonly", "recvonly", "inactive"].randomElement(using: &random)!
            let address = chance(0.1) ? "0.0.0.0" : "198.51.100.\(side == "a" ? 1 : 2)"
            let more = chance(0.2) ? "m=video \(chance(0.3) ? 0 : 32_000) RTP/AVP 96\r\n" : ""
            return NGWorld.audio(address, attribute, more: more).replacing("s=-", with: "s=\(side)")
        }
        var more = NGDictionary()
        if chance(0.2) { more["via-branch"] = .text(["1.0", "1.1"].randomElement(using: &random)!) }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35: return send("offer", NGWorld.entries(call, "a", chance(0.3) ? callee : nil, description("a"), more))
        case 35..<40: return send("offer", NGWorld.entries(call, callee, "a", description("b"), more))
        case 40..<70: return send("answer", NGWorld.entries(call, "a", callee, description("b"), more))
        case 70..<75: return send("answer", NGWorld.entries(call, callee, "a", description("a"), more))
        case 75..<95:
            more["delete-delay"] = chance(0.5) ? .integer(Int64.random(in: 0...6, using: &random)) : nil
            let from = chance(0.1) ? "stranger" : "a"
            return send("delete", NGWorld.entries(call, from, chance(0.5) ? callee : nil, nil, more))
        case 95..<98: return send("query", NGWorld.entries(call, "a"))
        default: return send("list")
        }
    }
}
