import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Credentials towards trunks, and registrations with them.
@Suite struct RegistrationSpecificationTests {
    private static let challenge = "Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256"

    private func world(_ seed: UInt64, _ change: @escaping (inout Trunk) -> Void = { _ in }) -> SimulatedWorld {
        SimulatedWorld(seed: seed) { configuration in
            configuration.trunks[1].username = "relayd"
            configuration.trunks[1].password = "secret"
            configuration.trunks[1].register = .on
            change(&configuration.trunks[1])
        }
    }

    private static func answer(_ status: Int, to request: SIPMessage, _ headers: [(HeaderName, String)] = []) -> [UInt8] {
        var builder = MessageBuilder.response(
            to: request, status: status, toTag: "registrar", source: Flow(udp: SimulatedWorld.relayd))
        for (name, value) in headers { builder.add(name, value) }
        return builder.finish()
    }

    private func registers(_ world: SimulatedWorld) -> [SIPMessage] {
        world.traffic.filter { !$0.isReceived && $0.message.isRequest && $0.message.method == .register }.map(\.message)
    }

    @Test("registers with credentials, refreshes in time, and takes its contact off at the end")
    func registers() throws {
        let world = world(1)
        world.answers = { request, _ in
            guard request.method == .register else { return nil }
            guard request.text(.authorization) != nil else {
                return Self.answer(401, to: request, [(.wwwAuthenticate, Self.challenge)])
            }
            // The registrar grants less than was asked for, and knows another contact too.
            return Self.answer(200, to: request, [
                (.contact, "<sip:relayd@192.0.2.77:5060>;expires=9999"), (.contact, "<sip:relayd@192.0.2.1:5060>;expires=100"),
            ])
        }
        world.startTrunks()
        world.run(for: .seconds(1))
        var sent = registers(world)
        #expect(sent.map { $0.cseq.number } == [1, 2] && Set(sent.map { Array($0.callID) }).count == 1)
        #expect(sent[0].text(.expires) == "3600" && sent[0].contact?.uri.socketAddress == SimulatedWorld.relayd)
        #expect(String(decoding: sent[0].requestURI, as: UTF8.self) == "sip:203.0.113.20:5060")
        let credentials = try #require(sent[1].text(.authorization))
        #expect(credentials.contains("username=\"relayd\"") && credentials.contains("nc=00000001"))
        #expect(world.trunk("b").registration == "registered, 99 s left")
        #expect(world.events.contains { $0.name == .trunkRegistered })

        world.run(for: .seconds(58))
        #expect(registers(world).count == 2)
        world.run(for: .seconds(4))
        sent = registers(world)
        #expect(sent.count == 3 && sent[2].text(.authorization)?.contains("nc=00000002") == true)

        world.shutDown()
        #expect(!world.control.isIdle)
        world.run(for: .seconds(1))
        #expect(registers(world).last?.text(.expires) == "0" && world.control.isIdle)
        world.run(for: .seconds(200))
        #expect(registers(world).count == 4)
    }

    @Test("423: the registrar's least time is asked for")
    func tooBrief() {
        let world = world(2)
        world.answers = { request, _ in
            guard request.method == .register else { return nil }
            guard request.text(.expires) == "7200" else { return Self.answer(423, to: request, [(.minExpires, "7200")]) }
            return Self.answer(200, to: request, [(.expires, "7200")])
        }
        world.startTrunks()
        world.run(for: .seconds(1))
        #expect(registers(world).map { $0.text(.expires) } == ["3600", "7200"])
        #expect(world.trunk("b").registration == "registered, 7199 s left")
    }

    @Test("a refusal is tried again after 30 s, then after twice that; Retry-After counts; wrong credentials are not repeated")
    func failures() throws {
        let world = world(3)
        world.answers = { request, _ in
            guard request.method == .register else { return nil }
            if world.now - SimulatedWorld.start > .seconds(80) { return Self.answer(503, to: request, [(.retryAfter, "7")]) }
            return Self.answer(401, to: request, [(.wwwAuthenticate, Self.challenge)])
        }
        world.startTrunks()
        world.run(for: .seconds(29))
        #expect(registers(world).count == 2)
        #expect(world.trunk("b").registration == "not registered: 401: it refuses our credentials")
        #expect(world.events.count { $0.name == .trunkNotRegistered } == 1)
        world.run(for: .seconds(2))
        // The nonce is known by now: one REGISTER with credentials, and a second one for the new challenge.
        #expect(registers(world).count == 4)
        world.run(for: .seconds(58))
        #expect(registers(world).count == 4)
        world.run(for: .seconds(2))
        #expect(registers(world).count == 5)
        world.run(for: .seconds(8))
        #expect(registers(world).count == 6)
    }

    @Test("a trunk's challenge of an INVITE is answered in the same dialog, and the next call brings credentials along", arguments: [401, 407])
    func invite(status: Int) throws {
        let world = world(4) { $0.register = .off }
        let name: (challenge: HeaderName, credentials: HeaderName) =
            status == 407 ? (.proxyAuthenticate, .proxyAuthorization) : (.wwwAuthenticate, .authorization)
        world.answers = { request, _ in
            guard request.method == .invite, request.text(name.credentials) == nil else { return nil }
            return Self.answer(status, to: request, [(name.challenge, Self.challenge)])
        }
        let (caller, callee) = world.establishCall()
        #expect(caller.statuses == [100, 180, 200] && callee.invite.cseq.number == 2)
        #expect(world.sent(to: SimulatedWorld.calleeAddress) == ["INVITE", "ACK", "INVITE", "ACK"])
        let invites = world.traffic.filter { !$0.isReceived && $0.message.isRequest && $0.message.method == .invite }.map(\.message)
        #expect(invites[0].callID == invites[1].callID && invites[0].fromTag == invites[1].fromTag)
        #expect(invites[0].topVia.branchText != invites[1].topVia.branchText)
        #expect(invites[1].text(name.credentials)?.contains("uri=\"sip:490@203.0.113.20:5060\"") == true)
        let (_, second) = world.establishCall()
        #expect(second.invite.cseq.number == 1 && second.invite.text(name.credentials)?.contains("nc=00000002") == true)
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("credentials that are refused end the attempt; without any, a challenge is a refusal", arguments: [true, false])
    func refused(hasCredentials: Bool) {
        let world = world(5) {
            $0.register = .off
            if !hasCredentials { $0.username = nil }
        }
        world.answers = { request, _ in
            request.method == .invite ? Self.answer(407, to: request, [(.proxyAuthenticate, Self.challenge)]) : nil
        }
        let caller = world.placeCall()
        world.run(for: .seconds(2))
        #expect(caller.finalStatus == 503)
        #expect(world.sent(to: SimulatedWorld.calleeAddress).count { $0 == "INVITE" } == (hasCredentials ? 2 : 1))
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("CANCEL while the second INVITE is out waits for its first response")
    func cancelled() {
        let world = world(6) { $0.register = .off }
        world.answers = { request, _ in
            guard request.method == .invite, request.text(.proxyAuthorization) == nil else { return nil }
            return Self.answer(407, to: request, [(.proxyAuthenticate, Self.challenge)])
        }
        var script = CallScript()
        script.sendsTrying = false
        script.ringDelay = .seconds(2)
        script.answer = .never
        script.cancelDelay = .seconds(1)
        let caller = world.placeCall(script)
        world.run(for: .milliseconds(1_500))
        #expect(caller.finalStatus == 487)
        #expect(!world.sent(to: SimulatedWorld.calleeAddress).contains("CANCEL"))
        world.run(for: .seconds(2))
        #expect(world.callees[0].cancelsReceived == 1)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
    }
}
