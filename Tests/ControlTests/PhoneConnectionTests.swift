import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Phones by TCP and TLS: reached by the connection they opened, and by nothing else.
@Suite struct PhoneConnectionTests {
    private static let server = SocketAddress("192.0.2.1:5060")!

    private func phones(_ transport: Transport = .tcp, _ configure: @escaping (inout Configuration) -> Void = { _ in }) -> PhoneWorld {
        let phones = PhoneWorld { configuration in
            configuration.sip.listeners = [SIPListener(.tcp, Self.server), SIPListener(.tls, SocketAddress("192.0.2.1:5061")!)]
            configure(&configuration)
        }
        phones.world.connect(PhoneWorld.phone, by: transport, listener: transport == .tls ? 2 : 1)
        return phones
    }

    private func registrations(_ phones: PhoneWorld) -> [RegistrationSummary] {
        phones.world.control.registrations(RegistrationQuery(), now: phones.world.now).bindings
    }

    private func verdict(_ phones: PhoneWorld, _ user: String = "ada") -> String? {
        phones.world.control.bindingDetails(user, now: phones.world.now).first?.verdict
    }

    @Test("a call goes by the connection of the REGISTER; once that is closed it is refused and says so; a new one brings it back", arguments: [Transport.tcp, .tls])
    func closed(transport: Transport) throws {
        let phones = phones(transport)
        let world = phones.world
        #expect(phones.prove("REGISTER")?.status == 200)
        #expect(registrations(phones).map(\.connection) == ["open"])
        #expect(verdict(phones)?.contains("by its \(transport.viaToken) connection, which is open") == true)
        phones.call()
        #expect(phones.invited == [PhoneWorld.phone] && world.flows.last { $0.remote == PhoneWorld.phone }?.connection == 1)
        #expect(world.hangUp(world.presentCalls[0]))
        world.disconnect(PhoneWorld.phone)
        world.run(for: .seconds(40))
        #expect(world.counters[.bindingsCutOff] == 1)
        let finding = try #require(
            world.control.keepAliveReport(now: world.now).findings.first { $0.symptom == "phones by TCP or TLS are cut off" })
        #expect(finding.isPresent && finding.evidence.hasPrefix("the connection of 1 contacts, one of ada for one, has closed"))
        let event = try #require(world.events.first { $0.name == .registrationCutOff })
        #expect(event.fields["user"] == "ada" && event.fields["source"] == "\(transport.rawValue):198.51.100.77:40000")
        #expect(registrations(phones).map(\.connection) == ["closed"], "it stays, so that it is seen")
        #expect(verdict(phones) == "Its \(transport.viaToken) connection closed 40 s ago: no call reaches it before it registers anew.")
        let refused = try #require(phones.call())
        #expect(refused.status == 480 && phones.invited.count == 1)
        let record = try #require(world.records.last)
        #expect(record.cause == .notRegistered && record.verdict == .connectionClosed)
        #expect(
            record.explanation?.hasPrefix(
                "ada is registered by a \(transport.viaToken) connection, which closed 40 s before the call: nothing reaches it before it "
                    + "registers anew.") == true, "\(record.explanation ?? "")")
        world.connect(PhoneWorld.phone, by: transport, listener: transport == .tls ? 2 : 1)
        #expect(phones.prove("REGISTER")?.status == 200)
        #expect(registrations(phones).map(\.connection) == ["open"])
        phones.call()
        #expect(phones.invited.count == 2 && world.flows.last { $0.remote == PhoneWorld.phone }?.connection == 2)
    }

    @Test("an old connection that closes after the phone came by another one changes nothing; all users of one connection lose it together")
    func several() {
        let phones = phones()
        let world = phones.world
        #expect(phones.prove("REGISTER")?.status == 200)
        #expect(phones.prove("REGISTER", user: "bob", password: "word")?.status == 200)
        let old = world.streams[PhoneWorld.phone]?.connection ?? 0
        world.connect(PhoneWorld.phone, by: .tcp)
        #expect(phones.prove("REGISTER")?.status == 200)
        world.endConnection(old, of: PhoneWorld.phone)
        #expect(Set(registrations(phones).map { "\($0.user) \($0.connection ?? "")" }) == ["ada open", "bob closed"])
        #expect(phones.call("200")?.status == 480)
        #expect(phones.call("100")?.status != 480)
        #expect(world.counters[.bindingsCutOff] == 1)
    }

    @Test("a phone that comes by one connection after another takes the place of its own contacts, not of one that is reached")
    func room() {
        let phones = phones { $0.limits.bindingsPerUser = 3 }
        // The oldest, and up all the time.
        #expect(phones.prove("REGISTER", from: PhoneWorld.other)?.status == 200)
        for port in UInt16(40_001)...40_006 {
            let flapping = SocketAddress(ip: PhoneWorld.phone.ip, port: port)
            phones.world.connect(flapping, by: .tcp)
            #expect(phones.prove("REGISTER", from: flapping)?.status == 200)
            phones.world.disconnect(flapping)
        }
        #expect(registrations(phones).filter { $0.connection == "closed" }.count == 2)
        #expect(registrations(phones).contains { $0.source == "\(PhoneWorld.other)" })
        #expect(phones.world.counters[.bindingsReplaced] == 4)
        phones.call()
        #expect(phones.invited == [PhoneWorld.other])
    }

    @Test("of several contacts those whose connection is closed are left out")
    func oneOfTwo() {
        let phones = phones()
        #expect(phones.prove("REGISTER")?.status == 200)
        #expect(phones.prove("REGISTER", from: PhoneWorld.other)?.status == 200)
        phones.world.disconnect(PhoneWorld.phone)
        phones.call()
        #expect(phones.invited == [PhoneWorld.other])
    }

    @Test("a connection that goes with the INVITE is the phone's and not this host's: 480")
    func closesWithTheCall() throws {
        let phones = phones()
        #expect(phones.prove("REGISTER")?.status == 200)
        phones.world.disconnect(PhoneWorld.phone, isHeard: false)
        #expect(phones.call()?.status == 480)
        let record = try #require(phones.world.records.last)
        #expect(record.cause == .notRegistered && record.sipCode == 480 && record.verdict == .connectionClosed)
    }

    @Test("what a restart brings back of a phone by TCP is not reached before it registers; one by UDP is")
    func restart() throws {
        let before = phones()
        #expect(before.prove("REGISTER")?.status == 200)
        #expect(before.prove("REGISTER", user: "bob", password: "word", from: PhoneWorld.other)?.status == 200)
        let after = phones()
        #expect(after.world.restore(before.world.registrationLines) == 2)
        #expect(Set(registrations(after).map { "\($0.user) \($0.connection ?? "-")" }) == ["ada closed", "bob -"])
        #expect(verdict(after) == "Its TCP connection ended with the last run of relayd: no call reaches it before it registers anew.")
        #expect(after.call()?.status == 480)
        #expect(
            after.world.records.last?.explanation?.hasPrefix(
                "ada is registered by a TCP connection, which did not outlive the restart of relayd") == true)
        after.call("200")
        #expect(after.invited == [PhoneWorld.other])
        #expect(after.prove("REGISTER")?.status == 200)
        after.call()
        #expect(after.invited.last == PhoneWorld.phone)
    }

    @Test("a REGISTER that waits for its turn while its connection closes registers nobody")
    func queued() {
        let phones = phones {
            $0.protection.registers = 1
            $0.protection.registersPerSource = 1
        }
        let world = phones.world
        let text = phones.proof("REGISTER") ?? ""
        for _ in 0..<20 { world.inject(Array(phones.request("REGISTER").replacing("\n", with: "\r\n").utf8), from: PhoneWorld.phone) }
        world.inject(Array(text.replacing("\n", with: "\r\n").utf8), from: PhoneWorld.phone)
        #expect(world.counters[.registersQueued] > 1)
        world.disconnect(PhoneWorld.phone)
        world.run(for: .seconds(60))
        #expect(registrations(phones).isEmpty)
        // Others at that address are served as before.
        world.connect(PhoneWorld.phone, by: .tcp)
        _ = phones.prove("REGISTER")
        world.run(for: .seconds(5))
        #expect(registrations(phones).map(\.connection) == ["open"])
    }

    // MARK: Path

    private func lastInvite(_ phones: PhoneWorld) -> SimulatedWorld.Traffic? {
        phones.world.traffic.last { !$0.isReceived && $0.message.isRequest && $0.message.method == .invite }
    }

    @Test("the transport that the first element of Path names is taken, and a connection opened for it", arguments: [
        ("sip:203.0.113.50:5070;transport=tcp;lr", Transport.tcp, "203.0.113.50:5070"), ("sip:203.0.113.50;transport=TCP;lr", .tcp, "203.0.113.50:5060"),
        ("sips:203.0.113.50;lr", .tls, "203.0.113.50:5061"), ("sip:203.0.113.50;transport=tls;lr", .tls, "203.0.113.50:5061"),
        ("sip:203.0.113.50:5070;transport=udp;lr;ob", .udp, "203.0.113.50:5070"), ("sip:203.0.113.50;lr", .udp, "203.0.113.50:5060"),
    ])
    func pathTransport(uri: String, transport: Transport, address: String) throws {
        let phones = phones()
        // Over UDP, from somewhere else than the Path names.
        let edge = PhoneWorld.other
        #expect(phones.prove("REGISTER", from: edge, headers: "Supported: path\nPath: <\(uri)>")?.status == 200)
        phones.call()
        let invite = try #require(lastInvite(phones))
        let flow = try #require(phones.world.flows.last { $0.remote == invite.peer })
        #expect("\(invite.peer)" == address && flow.transport == transport && flow.mayConnect)
        #expect(invite.message.topVia.transportText == transport.viaToken)
        #expect(invite.message.listValues(.route).map { String(decoding: $0, as: UTF8.self) } == ["<\(uri)>"])
    }

    @Test("a proxy whose Path is where its connection comes from is called by that connection; when it has closed, by a new one")
    func pathConnection() throws {
        let phones = phones()
        let edge = PhoneWorld.phone
        #expect(phones.prove("REGISTER", headers: "Supported: path\nPath: <sip:\(edge);transport=tcp;lr>")?.status == 200)
        #expect(registrations(phones).map(\.connection) == [nil])
        phones.call()
        #expect(phones.world.flows.last { $0.remote == edge }?.connection == 1)
        #expect(phones.world.hangUp(phones.world.presentCalls[0]))
        phones.world.disconnect(edge)
        #expect(phones.world.counters[.bindingsCutOff] == 0 && !phones.world.events.contains { $0.name == .registrationCutOff })
        #expect(verdict(phones) == "It gets no keep-alives: calls reach it by its Path.")
        phones.call()
        let flow = try #require(phones.world.flows.last { $0.remote == edge })
        #expect(phones.invited.count == 2 && flow.connection == nil && flow.mayConnect && flow.transport == .tcp)
    }

    @Test("a Path that relayd could not call along is refused with 400 and the reason, and a removal with it is not", arguments: [
        ("sip:edge.example;lr", "Path names a host, and relayd calls IP addresses only"),
        ("sip:203.0.113.50;transport=ws;lr", "Path asks for transport=ws, which relayd does not speak"),
        ("sip:[2001:db8::1];lr", "Path asks for UDP over IPv6, and relayd has no such listener"),
    ])
    func badPath(uri: String, sentence: String) throws {
        let phones = phones()
        let refused = try #require(
            phones.prove("REGISTER", from: PhoneWorld.other, headers: "Supported: path\nPath: <\(uri)>"))
        #expect(refused.status == 400 && refused.text(.warning) == "399 relayd \"\(sentence)\"")
        #expect(registrations(phones).isEmpty && phones.world.counters[.registrationsRefused] == 1)
        #expect(phones.prove("REGISTER", from: PhoneWorld.other, headers: "Expires: 0\nPath: <\(uri)>")?.status == 200)
        // Further elements are the proxy's business.
        #expect(
            phones.prove("REGISTER", from: PhoneWorld.other, headers: "Supported: path\nPath: <sip:203.0.113.50;lr>, <\(uri)>")?.status == 200)
    }

    // MARK: 430 (RFC 5626)

    private static let edge = SocketAddress("203.0.113.50:5060")!

    /// Ada through an edge proxy, and beside it by herself with a lower q, where she is said to be.
    private func edgePhones(isElsewhere: Bool = false) -> PhoneWorld {
        let phones = PhoneWorld()
        #expect(phones.prove("REGISTER", headers: "Supported: path\nPath: <sip:\(Self.edge);lr>")?.status == 200)
        guard isElsewhere else { return phones }
        phones.qualities[PhoneWorld.other] = "0.5"
        #expect(phones.prove("REGISTER", from: PhoneWorld.other)?.status == 200)
        return phones
    }

    /// The edge proxy answers every INVITE with 430, and the phone beside it so.
    private func failFlow(_ phones: PhoneWorld, other: Int? = nil) {
        phones.world.answers = { request, destination in
            guard request.method == .invite, let status = destination == Self.edge ? 430 : other else { return [] }
            let relayd = Flow(udp: SimulatedWorld.relayd)
            return MessageBuilder.response(to: request, status: status, toTag: "there", source: relayd).finish()
        }
    }

    @Test("430 of the edge proxy on its Path takes a contact away; the caller gets 480, and the verdict says why")
    func flowFailed() throws {
        let phones = edgePhones()
        let world = phones.world
        failFlow(phones)
        #expect(phones.call()?.status == 480)
        #expect(phones.invited == [Self.edge] && registrations(phones).isEmpty && world.registrationLines.last?.kind == .gone)
        let record = try #require(world.records.last)
        #expect(record.cause == .notRegistered && record.sipCode == 480 && record.endedBy == .relayd)
        #expect(record.verdict == .connectionClosed)
        #expect(record.explanation?.contains("that ada registered through answered 430 (Flow Failed) to this INVITE") == true)
        let event = try #require(world.events.first { $0.name == .registrationRemoved })
        #expect(event.fields["user"] == "ada" && event.fields["reason"] == "flow_failed")
        #expect(world.counters[.bindingsCutOff] == 1)
        world.run(for: .seconds(20))
        #expect(phones.call()?.status == 480)
        let next = try #require(world.records.last)
        #expect(phones.invited.count == 1 && next.verdict == .connectionClosed)
        #expect(next.explanation?.contains("430 (Flow Failed) 20 s before the call") == true, "\(next.explanation ?? "")")
        world.answers = { _, _ in nil }
        #expect(phones.prove("REGISTER")?.status == 200)
        phones.call()
        #expect(phones.invited.last == PhoneWorld.phone)
    }

    @Test("after a 430 the next contact is called, and what that says counts", arguments: [180, 486, 480, 503])
    func flowFailedBesideAnother(status: Int) throws {
        let phones = edgePhones(isElsewhere: true)
        failFlow(phones, other: status)
        #expect(phones.call()?.status == status)
        #expect(phones.invited == [Self.edge, PhoneWorld.other])
        #expect(registrations(phones).map(\.source) == ["\(PhoneWorld.other)"])
        guard status >= 300 else { return }
        let record = try #require(phones.world.records.last)
        #expect(record.cause == .rejected && record.sipCode == status && record.verdict != .connectionClosed)
    }

    @Test("a phone that registers anew while its edge proxy says 430 keeps its contact")
    func flowFailedTooLate() throws {
        let phones = edgePhones()
        phones.world.answers = { _, _ in [] }
        phones.call()
        let invite = try #require(lastInvite(phones)).message
        #expect(phones.prove("REGISTER", headers: "Supported: path\nPath: <sip:\(Self.edge);lr>")?.status == 200)
        let response = MessageBuilder.response(to: invite, status: 430, toTag: "edge", source: Flow(udp: SimulatedWorld.relayd))
        phones.world.inject(response.finish(), from: Self.edge)
        phones.world.run(for: .seconds(1))
        #expect(phones.world.records.last?.sipCode == 480 && registrations(phones).count == 1)
        #expect(phones.world.counters[.bindingsCutOff] == 0)
    }

    @Test("a 430 of anybody else is no word about a flow, and the caller gets 480 all the same")
    func strangeFlowFailed() {
        let phones = PhoneWorld()
        #expect(phones.prove("REGISTER")?.status == 200)
        failFlow(phones, other: 430)
        #expect(phones.call()?.status == 480 && phones.call("49123")?.status == 480)
        #expect(phones.invited == [PhoneWorld.phone, SimulatedWorld.calleeAddress] && registrations(phones).count == 1)
        #expect(phones.world.records.map(\.cause) == [.rejected, .rejected])
        #expect(phones.world.records.map(\.sipCode) == [430, 430])
    }

    @Test("without a listener for TLS a Path that asks for it is refused")
    func pathWithoutListener() {
        let phones = PhoneWorld()
        let refused = phones.prove("REGISTER", headers: "Supported: path\nPath: <sips:203.0.113.50;lr>")
        #expect(refused?.status == 400)
        #expect(refused?.text(.warning) == "399 relayd \"Path asks for TLS over IPv4, and relayd has no such listener\"")
    }
}
