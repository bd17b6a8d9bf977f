import Configuration
import ControlProtocol
import Core
import SIP
import Testing

/// Calls whose INVITE comes back to relayd.
@Suite struct LoopSpecificationTests {
    private func world(_ seed: UInt64, _ change: (inout Configuration) -> Void = { _ in }) -> SimulatedWorld {
        SimulatedWorld(seed: seed) { configuration in
            configuration.trunks[1].address = SimulatedWorld.relayd
            change(&configuration)
        }
    }

    @Test("a trunk at relayd's own address: 482 at the first pass, and one record that names it", arguments: ["", "prepend 49"])
    func itself(rule: String) throws {
        let world = world(71) { if !rule.isEmpty { $0.trunks[1].calledOut = [NumberRule(rule)!] } }
        let caller = world.placeCall()
        world.run(for: .seconds(1))
        #expect(caller.finalStatus == 482)
        let invites = world.traffic.filter { !$0.isReceived && $0.peer == SimulatedWorld.relayd && $0.message.method == .invite && $0.message.isRequest }
        #expect(invites.count == 1)
        let record = try #require(world.records.first)
        #expect(world.records.count == 1)
        #expect(record.cause == .loopDetected && record.sipCode == 482 && record.endedBy == .relayd && record.calleeTrunk == "b")
        #expect(record.verdict == .routingLoop)
        let explanation = try #require(world.explain(caller.callID))
        #expect(explanation.sentence == "b (192.0.2.1:5060) is relayd itself: the INVITE to it came straight back (SIP 482).")
        world.run(for: .seconds(60))
        #expect(world.isForgotten)
    }

    @Test("also where relayd does not know itself as a trunk: the address may be one that a NAT turns back")
    func byNAT() throws {
        let outside = SocketAddress("203.0.113.99:5060")!
        let world = world(72) { $0.trunks[1].address = outside }
        world.answers = { message, destination in
            guard destination == outside else { return nil }
            return message.isRequest && message.method == .invite ? Array(message.octets) : []
        }
        let caller = world.placeCall()
        world.run(for: .seconds(1))
        // From the NAT's address nobody is known, and with users the INVITE would be challenged.
        #expect(world.traffic.contains { !$0.isReceived && $0.peer == outside && $0.message.status == 482 })
        #expect(caller.finalStatus == 482)
        #expect(world.records.map(\.cause) == [.loopDetected])
    }

    @Test("the next way is tried where failover has 482")
    func failover() {
        let world = world(73) {
            var other = Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"])
            other.priority = 1
            $0.trunks.append(other)
            $0.trunks[1].failover = [StatusPattern("482")!]
        }
        let caller = world.placeCall()
        world.run(for: .seconds(4))
        #expect(caller.finalStatus == 200)
        #expect(world.events.contains { $0.name == .callRerouted && $0.fields["cause"] == "loop_detected" })
    }

    @Test("a made-up Via of relayd's is no loop: an INVITE that nobody sent is a call like any")
    func madeUp() {
        let world = SimulatedWorld(seed: 74)
        let offer = "v=0\no=- 1 1 IN IP4 198.51.100.11\ns=-\nc=IN IP4 198.51.100.11\nt=0 0\nm=audio 40000 RTP/AVP 8\n"
        let request = RefusalSpecificationTests.request("INVITE", contentType: "application/sdp", body: offer)
            .replacing("Via: SIP/2.0/UDP \(SimulatedWorld.callerAddress);", with: "Via: SIP/2.0/UDP \(SimulatedWorld.relayd);")
        _ = world.exchange(request)
        #expect(world.presentCalls.count == 1 && world.records.isEmpty)
    }
}
