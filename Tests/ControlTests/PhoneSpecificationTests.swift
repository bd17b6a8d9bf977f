import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Phones at call control: challenges, registration, calls to and from them, keep-alive.
@Suite struct PhoneSpecificationTests {
    private typealias Phones = PhoneWorld
    private static let phone = PhoneWorld.phone
    private static let other = PhoneWorld.other
    private static let stranger = SocketAddress("203.0.113.99:5060")!

    private static let offer = PhoneWorld.offer

    @Test("a REGISTER is challenged with an answer no larger than itself, and granted when it proves who it is")
    func register() throws {
        let phones = Phones()
        let text = phones.request("REGISTER")
        let challenge = try #require(phones.exchange(text))
        #expect(challenge.status == 401)
        #expect(challenge.octets.count <= text.replacing("\n", with: "\r\n").utf8.count)
        #expect(phones.world.counters[.challengesSent] == 1)
        let granted = try #require(phones.prove("REGISTER", headers: "Expires: 1800"))
        #expect(granted.status == 200)
        #expect(granted.text(.contact) == "<sip:ada@198.51.100.77:40000>;expires=1800")
        #expect(phones.world.counters[.registrations] == 1)
        #expect(phones.world.registrationLines.count == 1)
        #expect(phones.world.events.contains { $0.name == .registrationAdded && $0.fields["user"] == "ada" })
    }

    @Test("a REGISTER of one contact leaves no transaction, and a copy of it gets the same answer and changes nothing")
    func registeredAgain() throws {
        let phones = Phones()
        let text = try #require(phones.proof("REGISTER", headers: "Expires: 1800"))
        let granted = try #require(phones.exchange(text))
        #expect(granted.status == 200)
        #expect(phones.world.isForgotten)
        let again = try #require(phones.exchange(text))
        #expect(again.octets == granted.octets)
        #expect(phones.world.counters[.registrations] == 1)
        #expect(phones.world.counters[.sipRetransmissionsReceived] == 1)
        #expect(phones.world.registrationLines.count == 1)
        // From elsewhere, with another CSeq or branch, or when no phone repeats it any more, it is a replay.
        let elsewhere = SocketAddress(ip: Self.phone.ip, port: 40_001)
        #expect(phones.exchange(text, elsewhere)?.status == 401)
        #expect(phones.exchange(text.replacing("CSeq: ", with: "CSeq: 9"))?.status == 401)
        phones.world.run(for: .seconds(33))
        #expect(phones.exchange(text)?.status == 401)
        #expect(phones.world.counters[.registrations] == 1)
        #expect(phones.world.counters[.noncesStale] == 3)
    }

    @Test("a REGISTER that takes bindings away, or is refused, has its transaction: a copy gets the same answer for 32 s")
    func repeatedRemoval() throws {
        let phones = Phones()
        #expect(phones.prove("REGISTER")?.status == 200)
        for (headers, status) in [("Expires: 0", 200), ("Expires: 5", 423), ("Require: magic", 420)] {
            let text = try #require(phones.proof("REGISTER", headers: headers))
            let answer = try #require(phones.exchange(text))
            #expect(answer.status == status)
            #expect(!phones.world.isForgotten)
            #expect(phones.exchange(text)?.octets == answer.octets)
            phones.world.run(for: .seconds(33))
            #expect(phones.world.isForgotten)
        }
    }

    @Test("with no room for a transaction phones still register")
    func full() throws {
        let phones = Phones { $0.limits.calls = 1 }
        for number in 0..<1_030 {
            _ = phones.world.exchange(
                "OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP \(SimulatedWorld.callerAddress);branch=z9hG4bKfull\(number)\n"
                    + "From: <sip:a@b>;tag=1\nTo: <sip:192.0.2.1>\nCall-ID: full\(number)\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n",
                within: .milliseconds(2))
        }
        #expect(phones.world.counters[.sipRefusedOverload] > 0)
        #expect(phones.prove("REGISTER")?.status == 200)
        #expect(phones.prove("REGISTER", headers: "Expires: 0")?.status == 503)
    }

    @Test("limits of contacts and of phones' calls: each with its answer and its counter")
    func limits() throws {
        let phones = Phones {
            $0.limits.bindings = 3
            $0.limits.bindingsPerUser = 2
            $0.limits.callsPerSource = 1
        }
        let world = phones.world
        func register(_ user: String, _ password: String, _ port: Int, headers: String = "Expires: 600") -> SIPMessage? {
            phones.prove("REGISTER", user: user, password: password, from: SocketAddress("198.51.100.77:\(port)")!, headers: headers)
        }
        for port in [40_000, 40_001, 40_002] { #expect(register("ada", "secret", port)?.status == 200) }
        #expect(world.counters[.bindingsReplaced] == 1 && world.counters[.bindingsRefused] == 0)
        let contacts = (1...3).map { "Contact: <sip:ada@198.51.100.77:4\($0)>" }.joined(separator: "\n")
        #expect(register("ada", "secret", 40_002, headers: contacts)?.status == 403)
        #expect(world.counters[.contactsRefused] == 1)
        #expect(register("bob", "word", 40_003)?.status == 200)
        let full = try #require(register("bob", "word", 40_004))
        #expect(full.status == 503 && full.text(.retryAfter) == "5" && world.counters[.bindingsRefused] == 1)

        func call(_ port: UInt16) -> SIPMessage? {
            phones.prove("INVITE", "sip:49123@192.0.2.1", from: SocketAddress(ip: Self.other.ip, port: port), body: Self.offer)
        }
        #expect(call(5_060)?.status == 180)
        let refused = try #require(call(5_061))
        #expect(refused.status == 503 && refused.text(.retryAfter) == "5")
        #expect(world.counters[.callsRefusedSource] == 1 && world.counters[.callsRefusedCapacity] == 0)
        #expect(world.records.last?.explanation?.hasPrefix("198.51.100.78 has its 1 calls (limits.calls_per_source)") == true)
    }

    @Test("the first users come with a reload, and register; the last ones go, and callers are strangers again")
    func reload() {
        let phones = Phones { $0.users = [] }
        let world = phones.world
        #expect(phones.send("REGISTER")?.status == 403)
        world.reload {
            $0.users = [User(name: "ada", password: "secret", numbers: ["100"])]
            $0.limits.bindingsPerUser = 1
        }
        #expect(phones.prove("REGISTER", headers: "Expires: 600")?.status == 200)
        #expect(world.control.registrations(RegistrationQuery(), now: world.now).total == 1)
        let caller = world.placeCall(number: "100")
        world.run(for: .seconds(1))
        #expect(world.sent(to: Self.phone).first == "INVITE" && caller.statuses.first == 100)
        _ = world.hangUp(world.presentCalls[0])
        world.reload { $0.limits.bindings = 1 }
        #expect(phones.prove("REGISTER", from: Self.other, headers: "Expires: 600")?.status == 503, "ada has the only contact there may be")
        world.reload { $0.users = [] }
        #expect(phones.send("REGISTER")?.status == 403)
        #expect(world.registrationLines.last?.kind == .gone)
        world.run(for: .seconds(60))
        #expect(world.control.registrations(RegistrationQuery(), now: world.now).total == 0)
    }

    @Test("a spare REGISTER, as sipsak sends it, is challenged all the same")
    func spare() throws {
        let phones = Phones()
        let text = """
            REGISTER sip:127.0.0.1:5561 SIP/2.0
            Via: SIP/2.0/UDP 198.51.100.77:40000;branch=z9hG4bK.7ff0172d;rport;alias
            From: sip:ada@127.0.0.1:5561;tag=744dab7d
            To: sip:ada@127.0.0.1:5561
            Call-ID: 1951247229@127.0.0.1
            CSeq: 1 REGISTER
            Content-Length: 0
            Max-Forwards: 70
            User-Agent: sipsak 0.9.8.1
            Expires: 600
            Contact: sip:ada@127.0.0.1:5999


            """
        let challenge = try #require(phones.exchange(text))
        #expect(challenge.status == 401)
        #expect(challenge.octets.count <= text.replacing("\n", with: "\r\n").utf8.count)
        #expect(DigestChallenge.all(in: challenge).map(\.algorithm) == [.md5])
    }

    @Test("a request too small for any challenge gets none")
    func tiny() {
        let phones = Phones()
        let text = "REGISTER sip:x SIP/2.0\nv: SIP/2.0/UDP 198.51.100.77:40000;branch=z9hG4bK1\nf: <sip:a@b>;tag=1\nt: <sip:a@b>\ni: 1\nCSeq: 1 REGISTER\n\n"
        #expect(phones.exchange(text) == nil)
        #expect(phones.world.counters[.challengesWithheld] == 1)
    }

    @Test("an unknown user, a wrong password and a suspended user get the same answer")
    func indistinguishable() throws {
        let phones = Phones()
        func shape(_ message: SIPMessage?) -> String? {
            message.map { message in
                "\(message.status ?? 0) " + message.headers.map { $0.name.text }.joined(separator: ",")
            }
        }
        let wrong = shape(phones.prove("REGISTER", password: "guess"))
        #expect(wrong?.hasPrefix("403") == true)
        #expect(shape(phones.prove("REGISTER", user: "nobody", password: "guess")) == wrong)
        for _ in 0..<5 { _ = phones.prove("REGISTER", password: "guess") }
        #expect(phones.world.events.contains { $0.name == .credentialsSuspended && $0.fields["user"] == "ada" })
        #expect(shape(phones.prove("REGISTER")) == wrong, "suspended, although the password is right")
        #expect(phones.world.counters[.credentialsSuspended] == 1)
        #expect(phones.prove("REGISTER", from: Self.other)?.status == 200, "elsewhere the user goes on")
        #expect(phones.prove("REGISTER", user: "bob", password: "word")?.status == 200, "and so does another at that address")
        #expect(phones.send("REGISTER")?.status == 401, "without credentials nobody is suspended")
        phones.world.run(for: .seconds(181))
        #expect(phones.prove("REGISTER")?.status == 200)
    }

    @Test("suspensions are listed with address and time, and an operator lifts them: at one address, or at all")
    func suspensions() throws {
        let phones = Phones()
        let world = phones.world
        func listed() -> [String] { world.control.suspensions(now: world.now).map { "\($0.user) \($0.address)" } }
        #expect(listed().isEmpty)
        for (user, source) in [("ada", Self.phone), ("ada", Self.other), ("nobody", Self.other)] {
            for count in 1...6 {
                #expect(!listed().contains("\(user) \(source.ip)"), "after \(count - 1)")
                _ = phones.prove("REGISTER", user: user, password: "guess", from: source)
            }
        }
        #expect(listed() == ["ada 198.51.100.77", "ada 198.51.100.78", "nobody 198.51.100.78"])
        let first = try #require(world.control.suspensions(now: world.now).first)
        #expect((170...180).contains(first.secondsLeft))
        #expect(abs(first.until.milliseconds - (SimulatedWorld.wallStart.milliseconds + (world.now - SimulatedWorld.start).milliseconds + Int64(first.secondsLeft) * 1_000)) <= 1_000)
        #expect(world.lift("bob").isEmpty && world.lift("ada", at: Self.stranger.ip).isEmpty && listed().count == 3)
        #expect(world.lift("ada", at: Self.other.ip).map(\.user) == ["ada"])
        #expect(listed() == ["ada 198.51.100.77", "nobody 198.51.100.78"])
        #expect(phones.prove("REGISTER", from: Self.other)?.status == 200)
        #expect(phones.prove("REGISTER")?.status == 403, "there ada is still suspended")
        #expect(world.lift("ada").count == 1)
        #expect(phones.prove("REGISTER")?.status == 200)
        let event = try #require(world.events.last { $0.name == .credentialsLifted })
        #expect(event.fields["user"] == "ada" && event.fields["source"] == "198.51.100.77")
        world.run(for: .seconds(181))
        #expect(listed().isEmpty)
    }

    @Test("nobody registers in another's name, and scanners hear nothing")
    func others() {
        let phones = Phones()
        let text = phones.request("REGISTER", user: "bob")
        #expect(phones.exchange(text)?.status == 401)
        #expect(phones.prove("REGISTER", user: "ada")?.status == 200)
        #expect(phones.exchange(text.replacing("Testphone", with: "Friendly-Scanner"), Self.stranger) == nil)
        #expect(phones.world.counters[.sipScannersDropped] == 1)
    }

    @Test("a repeated REGISTER gets the same answer, and its credentials serve nobody else")
    func repetition() throws {
        let phones = Phones()
        #expect(phones.prove("REGISTER")?.status == 200)
        let last = try #require(phones.world.traffic.last { $0.isReceived && $0.message.method == .register }?.message)
        let text = String(decoding: last.octets, as: UTF8.self).replacing("\r\n", with: "\n")
        #expect(phones.exchange(text)?.status == 200)
        #expect(phones.world.counters[.registrations] == 1)
        let stolen = text.replacing("branch=z9hG4bK", with: "branch=z9hG4bKx")
        #expect(phones.exchange(stolen)?.status == 401)
        #expect(phones.exchange(stolen.replacing("z9hG4bKx", with: "z9hG4bKy"), Self.stranger)?.status == 401)
        #expect(phones.world.counters[.registrations] == 1)
    }

    @Test("a user calls a trunk once it has proven who it is, under its own number")
    func toTrunk() throws {
        let phones = Phones()
        #expect(phones.send("INVITE", "sip:4930@192.0.2.1", body: Self.offer)?.status == 407)
        #expect(phones.world.presentCalls.isEmpty, "nothing is kept of who has not proven anything")
        let answer = try #require(
            phones.prove(
                "INVITE", "sip:4930@192.0.2.1", headers: "P-Asserted-Identity: <sip:1@liar.example>", body: Self.offer))
        #expect(answer.status.map { $0 < 300 } == true)
        let invite = try #require(phones.world.traffic.last { !$0.isReceived && $0.message.method == .invite && $0.message.isRequest })
        #expect(invite.peer == SimulatedWorld.calleeAddress)
        #expect(invite.message.from.uri.user == "100")
        #expect(invite.message.first(.pAssertedIdentity) == nil)
    }

    @Test("a call to a user rings all contacts of the greatest q, by the way they registered; nobody registered is 480")
    func toUser() throws {
        let phones = Phones()
        let trunk = SimulatedWorld.callerAddress
        func call() -> SIPMessage? { phones.send("INVITE", "sip:100@192.0.2.1", user: "7", from: trunk, body: Self.offer) }
        #expect(call()?.status == 480)
        #expect(phones.world.records.last?.cause == .notRegistered)
        // Behind NAT: Via and Contact say 10.0.0.2.
        #expect(phones.prove("REGISTER", via: "10.0.0.2:5060")?.status == 200)
        #expect(phones.prove("REGISTER", from: Self.other)?.status == 200)
        let first = phones.world.traffic.count
        _ = call()
        let invites = phones.world.traffic[first...].filter { !$0.isReceived && $0.message.isRequest && $0.message.method == .invite }
        #expect(Set(invites.map(\.peer)) == [Self.phone, Self.other])
        #expect(Set(invites.map(\.message.uri.text)) == ["sip:ada@10.0.0.2:5060", "sip:ada@198.51.100.78:5060"])
    }

    @Test("Path is followed: the INVITE goes to its first element with all of them as Route")
    func path() throws {
        let phones = Phones()
        #expect(phones.prove("REGISTER", headers: "Supported: path\nPath: <sip:203.0.113.50:5070;lr>, <sip:p2.example;lr>")?.status == 200)
        let first = phones.world.traffic.count
        _ = phones.send("INVITE", "sip:ada@192.0.2.1", user: "7", from: SimulatedWorld.callerAddress, body: Self.offer)
        let invite = try #require(phones.world.traffic[first...].first { !$0.isReceived && $0.message.isRequest })
        #expect(invite.peer == SocketAddress("203.0.113.50:5070"))
        #expect(invite.message.listValues(.route).map { String(decoding: $0, as: UTF8.self) } == ["<sip:203.0.113.50:5070;lr>", "<sip:p2.example;lr>"])
    }

    @Test("OPTIONS that keep a pinhole open name the listener they leave from, and the answer to that is known")
    func keepAliveListener() throws {
        let second = SocketAddress("192.0.2.1:5070")!
        let phones = Phones {
            $0.keepAlive.message = "options"
            $0.sip.listeners = [SIPListener(.udp, second)]
        }
        phones.world.listeners[Self.phone] = 1
        #expect(phones.prove("REGISTER", via: "10.0.0.2:5060")?.status == 200)
        phones.world.run(for: .seconds(35))
        let batch = try #require(phones.world.keepAlives.last?.batch)
        #expect(batch.flows.map(\.listener) == [1])
        guard case .message(let options) = SIPMessage.parse(Array(batch.octets(0))) else {
            Issue.record("no SIP")
            return
        }
        #expect(options.topVia.hostAddress == second.ip && options.topVia.port == second.port)
        #expect(options.from.uri.socketAddress == second)
        let answer = MessageBuilder.response(to: options, status: 200, toTag: "x", source: second).finish()
        _ = phones.world.exchange(String(decoding: answer, as: UTF8.self).replacing("\r\n", with: "\n"), from: Self.phone)
        #expect(phones.world.counters[.keepAliveAnswers] == 1)
    }

    @Test("keep-alives go to phones behind NAT, one a period, and to nobody else; OPTIONS are answered and counted")
    func keepAlive() throws {
        let phones = Phones { $0.keepAlive.message = "options" }
        #expect(phones.prove("REGISTER", via: "10.0.0.2:5060")?.status == 200)
        #expect(phones.prove("REGISTER", user: "bob", password: "word", from: Self.other)?.status == 200)
        phones.world.run(for: .seconds(95))
        let sent = phones.world.keepAlives.flatMap(\.batch.flows).map(\.remote)
        #expect(Set(sent) == [Self.phone])
        #expect((3...4).contains(sent.count))
        let batch = try #require(phones.world.keepAlives.last?.batch)
        guard case .message(let options) = SIPMessage.parse(Array(batch.octets(0))) else {
            Issue.record("no SIP")
            return
        }
        let answer = MessageBuilder.response(to: options, status: 200, toTag: "x", source: SimulatedWorld.relayd).finish()
        _ = phones.world.exchange(String(decoding: answer, as: UTF8.self).replacing("\r\n", with: "\n"), from: Self.phone)
        #expect(phones.world.counters[.keepAliveAnswers] == 1)
        _ = phones.world.exchange(String(decoding: answer, as: UTF8.self).replacing("\r\n", with: "\n"), from: Self.stranger)
        #expect(phones.world.counters[.keepAliveAnswers] == 1, "an answer counts from where the phone is")
        // A keep-alive never extends a registration: 300 s behind NAT.
        phones.world.run(for: .seconds(210))
        #expect(phones.world.events.contains { $0.name == .registrationRemoved && $0.fields["reason"] == "expired" })
        let count = phones.world.keepAlives.count
        phones.world.run(for: .seconds(60))
        #expect(phones.world.keepAlives.count == count)
    }

    @Test("an empty message switches keep-alive off")
    func off() {
        let phones = Phones { $0.keepAlive.message = "" }
        #expect(phones.prove("REGISTER", via: "10.0.0.2:5060")?.status == 200)
        phones.world.run(for: .seconds(90))
        #expect(phones.world.keepAlives.isEmpty)
    }

    @Test("after an outage every address gets its share, nothing is refused, and what waited is served")
    func fairness() {
        let phones = Phones { configuration in
            configuration.protection.registers = 50
            configuration.protection.registersPerSource = 20
        }
        // One address floods, another sends a single REGISTER behind it.
        var texts: [String] = []
        for _ in 0..<400 { texts.append(phones.request("REGISTER")) }
        for text in texts { phones.world.deliver(Array(text.replacing("\n", with: "\r\n").utf8), from: Self.phone) }
        let before = phones.world.traffic.count
        _ = phones.exchange(phones.request("REGISTER", from: Self.other), Self.other)
        #expect(phones.world.traffic[before...].contains { !$0.isReceived && $0.peer == Self.other }, "it does not wait for the flood")
        #expect(phones.world.counters[.registersQueued] > 300)
        #expect(phones.world.counters[.registersDropped] == 0)
        phones.world.run(for: .seconds(25))
        #expect(phones.world.counters[.challengesSent] == 401)
    }
}
