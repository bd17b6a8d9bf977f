import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// ICMP errors about SIP requests (RFC 3261 §18.4): whom they fail, and whom they must not.
@Suite struct UnreachableSpecificationTests {
    private static let portUnreachable = ICMPMessage(isIPv6: false, type: 3, code: 3)
    private static let hostUnreachable = ICMPMessage(isIPv6: false, type: 3, code: 1)
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

    private func error(
        _ octets: [UInt8], to destination: SocketAddress = SimulatedWorld.calleeAddress, _ icmp: ICMPMessage = portUnreachable
    ) -> DatagramError {
        DatagramError(destination: destination, errno: 111, icmp: icmp, reporter: destination.ip, quoted: octets)
    }

    private func expectNothingLeft(_ world: SimulatedWorld) {
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("the next route is tried at once, the trunk's health knows why, and `why` of the answered call names it")
    func failsOver() throws {
        let world = world(1)
        let first = firstSide
        world.refusals = { _, destination in destination == first ? Self.portUnreachable : nil }
        let caller = world.placeCall()
        world.run(for: .milliseconds(100))
        #expect(world.sent(to: firstSide) == ["INVITE"] && world.sent(to: secondSide) == ["INVITE"])
        #expect(world.trunk("b").lastFailure == "INVITE: ICMP port unreachable")
        #expect(world.counters[.sipPeersUnreachable] == 1 && world.counters[.sipIcmpIgnored] == 0)
        #expect(world.counters[.callsRerouted] == 1 && world.counters[.sipTransactionTimeouts] == 0)
        let event = try #require(world.events.first { $0.name == .callRerouted })
        #expect(event.fields["cause"] == "peer_unreachable" && event.fields["status"] == "503")
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == 200)
        let id = try #require(world.presentCalls.first)
        #expect(world.ladder(id).contains("callee in ICMP port unreachable"))
        #expect(world.explain(id)?.evidence.contains("203.0.113.20:5060 answered with ICMP port unreachable") == true)
        let traced = try #require(world.tracedErrors.first)
        #expect(traced.hasPrefix("ICMP port unreachable, about this request to 203.0.113.20:5060:\r\nINVITE sip:"))
        caller.hangUp()
        world.run(for: .seconds(5))
        let record = try #require(world.records.first)
        #expect(record.cause == .normal && record.calleeTrunk == "c")
        #expect(world.explain(record.id)?.evidence.contains { $0.contains("ICMP port unreachable") } == true)
        expectNothingLeft(world)
    }

    @Test("without another route: 503, peer_unreachable, Q.850 27; a router that says it is named")
    func lastRoute() throws {
        let world = SimulatedWorld(seed: 2)
        world.refusals = { message, _ in message.isRequest ? Self.hostUnreachable : nil }
        world.reporter = IPAddress("192.0.2.254")
        let caller = world.placeCall()
        world.run(for: .seconds(1))
        #expect(caller.finalStatus == 503)
        let record = try #require(world.records.first)
        #expect(record.cause == .peerUnreachable && record.q850 == 27 && record.verdict == .peerUnreachable)
        #expect(record.explanation == "b (203.0.113.20:5060) cannot be reached: the INVITE was answered with ICMP host unreachable.")
        #expect(
            world.explain(record.id)?.evidence
                == ["192.0.2.254 answered for 203.0.113.20:5060 with ICMP host unreachable"])
        #expect(world.trunk("b").lastFailure == "INVITE: ICMP host unreachable from 192.0.2.254")
        expectNothingLeft(world)
    }

    @Test("all routes unreachable: each is named")
    func allRoutes() throws {
        let world = world(3)
        world.refusals = { _, _ in Self.portUnreachable }
        world.placeCall()
        world.run(for: .seconds(1))
        let record = try #require(world.records.first)
        let why = try #require(world.explain(record.id))
        #expect(why.verdict == .allRoutesBusy)
        #expect(why.evidence.prefix(2) == ["b cannot be reached (ICMP port unreachable)", "c cannot be reached (ICMP port unreachable)"])
        expectNothingLeft(world)
    }

    @Test("a trunk whose OPTIONS or INVITEs meet with ICMP is out after so many failures, and back when it answers")
    func health() {
        let world = world(4) { $0.routing.failures = 2 }
        var isDown = true
        let first = firstSide
        world.refusals = { _, destination in isDown && destination == first ? Self.portUnreachable : nil }
        #expect(world.probe("b"))
        world.run(for: .milliseconds(50))
        #expect(world.probes.first?.result == "ICMP port unreachable")
        world.placeCall()
        world.run(for: .seconds(3))
        #expect(world.trunk("b").state == .down)
        isDown = false
        world.run(for: .seconds(40))
        #expect(world.trunk("b").state == .up)
        expectNothingLeft(world)
    }

    @Test("an outbound registration is tried again as after any failure, and says why it failed")
    func registration() {
        let world = SimulatedWorld(seed: 5) {
            $0.trunks[1].username = "relayd"
            $0.trunks[1].password = "secret"
            $0.trunks[1].register = .on
        }
        world.refusals = { _, _ in Self.portUnreachable }
        world.startTrunks()
        world.run(for: .seconds(1))
        #expect(world.sent(to: firstSide) == ["REGISTER"])
        #expect(world.trunk("b").registration?.contains("ICMP port unreachable") == true, "\(String(describing: world.trunk("b").registration))")
        // After 1, 2, 4, 8 and 16 s: it may be the other side that is being started anew.
        world.run(for: .seconds(31))
        #expect(world.sent(to: firstSide).count == 6)
    }

    @Test("what is forged ends nothing: another branch, another destination, a request that was answered, a call that is up")
    func forged() throws {
        let world = world(6)
        var script = CallScript()
        script.ringing = []
        script.answer = .silence
        world.placeCall(script)
        world.run(for: .milliseconds(100))
        let invite = try #require(world.traffic.last { !$0.isReceived && $0.peer == firstSide }).message.octets
        let text = String(decoding: invite, as: UTF8.self)
        let branch = try #require(text.firstRange(of: "branch=z9hG4bK").map { text[$0.upperBound...].prefix(16) })
        world.refuse(error(Array(text.replacing(branch, with: "0123456789abcdef").utf8)))
        world.refuse(error(invite, to: secondSide))
        world.refuse(error(invite, to: SocketAddress("203.0.113.20:5061")!))
        // Time exceeded, source quench, fragmentation needed say nothing of the kind (RFC 3261 §18.4).
        for (type, code) in [(11, 0), (4, 0), (3, 4)] as [(UInt8, UInt8)] {
            world.refuse(error(invite, ICMPMessage(isIPv6: false, type: type, code: code)))
        }
        world.refuse(error(Array(text.replacing("INVITE sip", with: "OPTIONS sip").utf8)))
        #expect(world.counters[.sipIcmpIgnored] == 7 && world.counters[.sipPeersUnreachable] == 0)
        #expect(world.sent(to: secondSide).isEmpty)
        world.refuse(error(Array(invite.prefix(200))))
        #expect(world.counters[.sipPeersUnreachable] == 1)
        world.run(for: .milliseconds(50))
        #expect(world.sent(to: secondSide) == ["INVITE"])

        expectNothingLeft(world)
    }

    @Test("a call that is up stays up: a re-INVITE that meets with ICMP is repeated until it gets through", arguments: [
        Self.portUnreachable, Self.hostUnreachable,
    ])
    func midCall(icmp: ICMPMessage) throws {
        let world = SimulatedWorld(seed: 7)
        let (caller, callee) = world.establishCall()
        world.refusals = { message, destination in
            destination == SimulatedWorld.calleeAddress && message.isRequest ? icmp : nil
        }
        let request = caller.ask(.invite, offer: "m=audio 40000 RTP/AVP 8 0 101\r\na=sendonly\r\n")
        world.run(for: .seconds(4))
        #expect(world.counters[.sipIcmpIgnored] == 4 && world.counters[.sipPeersUnreachable] == 0)
        #expect(request.status == nil && callee.midDialog.received.isEmpty)
        world.refusals = { _, _ in nil }
        world.run(for: .seconds(5))
        #expect(request.status == 200 && world.presentCalls.count == 1)
        expectNothingLeft(world)
    }

    @Test("a BYE to a port that is closed is not repeated; one that the network keeps back for a moment is", arguments: [true, false])
    func bye(isPortClosed: Bool) throws {
        let world = SimulatedWorld(seed: 8)
        let (caller, callee) = world.establishCall()
        let icmp = isPortClosed ? Self.portUnreachable : Self.hostUnreachable
        world.refusals = { _, destination in destination == SimulatedWorld.calleeAddress ? icmp : nil }
        caller.hangUp()
        world.run(for: .seconds(1))
        world.refusals = { _, _ in nil }
        world.run(for: .seconds(10))
        #expect(callee.byesReceived == (isPortClosed ? 0 : 1))
        #expect(world.counters[.sipPeersUnreachable] == (isPortClosed ? 1 : 0))
        let record = try #require(world.records.first)
        #expect(record.cause == .normal)
        let isSaid = world.explain(record.id)?.evidence.contains("203.0.113.20:5060 answered to BYE with ICMP port unreachable")
        #expect(isSaid == isPortClosed)
    }

    @Test("an error that quotes too little counts only for a destination that has said nothing, and soon", arguments: [0, 8, 28])
    func shortQuote(limit: Int) throws {
        let world = world(9)
        world.quoteLimit = limit
        var isDown = true
        let first = firstSide
        world.refusals = { _, destination in isDown && destination == first ? Self.portUnreachable : nil }
        world.placeCall()
        world.run(for: .milliseconds(100))
        #expect(world.counters[.sipPeersUnreachable] == 1 && world.sent(to: secondSide) == ["INVITE"])
        isDown = false
        let answered = world.placeCall()
        world.run(for: .seconds(3))
        #expect(answered.finalStatus == 200 && world.callees.last?.address == first)
        // Whoever forges it now is not believed.
        isDown = true
        let forged = world.placeCall()
        world.run(for: .seconds(1))
        #expect(forged.finalStatus == nil && world.counters[.sipPeersUnreachable] == 1)
        isDown = false
        world.run(for: .seconds(3))
        #expect(forged.finalStatus == 200)
        expectNothingLeft(world)
    }
}
