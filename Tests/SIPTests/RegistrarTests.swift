import Core
import SIP
import Testing

@Suite struct RegistrarTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)
    private static let phone = SocketAddress("198.51.100.7:5062")!
    private static let ada = UserIndex(rawValue: 0)

    /// A registrar with the changes it reported.
    private struct World {
        var registrar: Registrar
        var now = start
        var changes: [Registrar.Change] = []
        var sequence = 0

        init(_ change: (inout Registrar.Settings) -> Void = { _ in }) {
            var settings = Registrar.Settings()
            change(&settings)
            registrar = Registrar(userCount: 2, settings: settings)
        }

        mutating func register(
            _ headers: String, callID: String = "c1", cseq: Int? = nil, via: String = "198.51.100.7:5062", source: SocketAddress = phone,
            user: UserIndex = ada
        ) throws -> Registrar.Outcome {
            sequence += 1
            let text = """
                REGISTER sip:192.0.2.1 SIP/2.0
                Via: SIP/2.0/UDP \(via);branch=z9hG4bK\(sequence)
                From: <sip:ada@192.0.2.1>;tag=t
                To: <sip:ada@192.0.2.1>
                Call-ID: \(callID)
                CSeq: \(cseq ?? sequence) REGISTER
                \(headers)

                """
            guard case .message(let message) = SIPMessage.parse(Array((text + "\n").replacing("\n", with: "\r\n").utf8)) else {
                throw Unreadable()
            }
            let request: RegisterRequest
            do {
                request = try RegisterRequest(message)
            } catch {
                return .refused(status: error.status, reason: error.reason)
            }
            var changes: [Registrar.Change] = []
            let outcome = registrar.apply(
                request, of: message, user: user, flow: Flow(udp: source, listener: 1), isProven: true, now: now, changes: &changes)
            self.changes += changes
            return outcome
        }

        var contacts: [String] {
            var builder = MessageBuilder(response: 200)
            registrar.addContacts(of: ada, now: now, to: &builder)
            let lines = String(decoding: builder.finish(), as: UTF8.self).split(separator: "\r\n")
            return lines.filter { $0.hasPrefix("Contact: ") }.map { String($0.dropFirst("Contact: ".count)) }
        }
    }

    private struct Unreadable: Error {}

    @Test("a contact is bound, refreshed, listed with what is left of its time, and unbound")
    func life() throws {
        var world = World()
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>\nExpires: 600") == .done)
        #expect(world.contacts == ["<sip:ada@198.51.100.7:5062>;expires=600"])
        world.now = world.now + .seconds(100)
        #expect(world.contacts == ["<sip:ada@198.51.100.7:5062>;expires=500"])
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=300") == .done)
        #expect(world.contacts == ["<sip:ada@198.51.100.7:5062>;expires=300"])
        #expect(try world.register("") == .done, "without Contact it asks")
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=0") == .done)
        #expect(world.contacts == [])
        #expect(world.registrar.count == 0)
        #expect(world.changes.count == 3)
    }

    @Test("3600 s are granted at most, 300 s behind NAT, and less than the minimum is refused")
    func expires() throws {
        var world = World()
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>\nExpires: 86400") == .done)
        #expect(world.contacts == ["<sip:ada@198.51.100.7:5062>;expires=3600"])
        #expect(try world.register("Contact: <sip:ada@192.168.1.2:5062>", callID: "c2", via: "192.168.1.2:5062") == .done)
        #expect(world.contacts.contains("<sip:ada@192.168.1.2:5062>;expires=300"))
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=59") == .refused(status: 423, reason: nil))
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=60") == .done)
    }

    @Test("a binding expires by itself, and a refreshed one does not")
    func expiry() throws {
        var world = World()
        _ = try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=60, <sip:ada@198.51.100.7:5070>;expires=60")
        world.now = world.now + .seconds(40)
        _ = try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=60")
        world.now = world.now + .seconds(21)
        #expect(world.contacts.count == 1, "what has expired is not listed even before it is taken out")
        var removed: [Registrar.Change] = []
        world.registrar.removeExpired(now: world.now, changes: &removed)
        #expect(removed.count == 1)
        #expect(world.registrar.count == 1)
        #expect(world.registrar.nextExpiry == Self.start + .seconds(100))
    }

    @Test("a request out of order changes nothing, from another Call-ID it counts")
    func order() throws {
        var world = World()
        _ = try world.register("Contact: <sip:ada@198.51.100.7:5062>", cseq: 10)
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=0", cseq: 10) == .refused(status: 500, reason: "CSeq Out Of Order"))
        #expect(try world.register("Contact: *\nExpires: 0", cseq: 9) == .refused(status: 500, reason: "CSeq Out Of Order"))
        // Nothing of a request is applied when a part of it is out of order.
        #expect(try world.register("Contact: <sip:new@198.51.100.7>, <sip:ada@198.51.100.7:5062>", cseq: 3) != .done)
        #expect(world.contacts.count == 1)
        #expect(try world.register("Contact: <sip:ada@198.51.100.7:5062>;expires=0", callID: "after-restart", cseq: 1) == .done)
        #expect(world.contacts == [])
    }

    @Test("the wildcard unbinds all, and needs Expires: 0 and nothing beside it")
    func wildcard() throws {
        var world = World()
        _ = try world.register("Contact: <sip:a@198.51.100.7>, <sip:b@198.51.100.7>")
        #expect(try world.register("Contact: *") != .done)
        #expect(try world.register("Contact: *\nExpires: 60") != .done)
        #expect(try world.register("Contact: *, <sip:a@198.51.100.7>\nExpires: 0") != .done)
        #expect(world.contacts.count == 2)
        #expect(try world.register("Contact: *\nExpires: 0") == .done)
        #expect(world.contacts == [])
    }

    @Test("URIs are compared as RFC 3261 §19.1.4 says")
    func equivalence() throws {
        var world = World()
        _ = try world.register("Contact: <sip:%61da@Phone.example:5062;transport=udp;x=1>")
        _ = try world.register("Contact: <sip:ada@phone.EXAMPLE:5062;transport=UDP;y=2>")
        #expect(world.registrar.count == 1)
        _ = try world.register("Contact: <sip:ADA@phone.example:5062;transport=udp>")
        _ = try world.register("Contact: <sip:ada@phone.example;transport=udp>")
        #expect(world.registrar.count == 3)
    }

    @Test("targets come by q, then the latest; q is listed")
    func quality() throws {
        var world = World()
        _ = try world.register("Contact: <sip:a@198.51.100.7>;q=0.2, <sip:b@198.51.100.7>, <sip:c@198.51.100.7>;q=0.55")
        #expect(world.registrar.targets(of: Self.ada, now: world.now).map(\.binding.contactText) == [
            "sip:b@198.51.100.7", "sip:c@198.51.100.7", "sip:a@198.51.100.7",
        ])
        #expect(world.contacts.contains { $0.hasSuffix(";q=0.550") })
    }

    @Test("one user cannot fill the table: a further contact takes the place of the one refreshed longest ago")
    func limit() throws {
        var world = World { $0.bindingsPerUser = 3 }
        for index in 0..<5 {
            world.now = world.now + .seconds(1)
            _ = try world.register("Contact: <sip:ada@198.51.100.7:\(6000 + index)>", callID: "boot\(index)")
        }
        #expect(world.registrar.count == 3)
        #expect(world.contacts.allSatisfy { !$0.contains(":6000") && !$0.contains(":6001") })
        var full = World { $0.bindings = 1 }
        _ = try full.register("Contact: <sip:a@198.51.100.7>")
        #expect(try full.register("Contact: <sip:b@198.51.100.7>") == .refused(status: 503, reason: nil))
        #expect(try full.register("Contact: <sip:a@198.51.100.7>") == .done)
    }

    @Test("with instance and reg-id a phone that comes from elsewhere keeps its binding (RFC 5626)")
    func outbound() throws {
        var world = World()
        let instance = ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id=1"
        _ = try world.register("Contact: <sip:ada@10.0.0.2>\(instance)", via: "10.0.0.2")
        let elsewhere = SocketAddress("203.0.113.9:40000")!
        _ = try world.register("Contact: <sip:ada@10.9.9.9>\(instance)", callID: "c9", via: "10.9.9.9", source: elsewhere)
        #expect(world.registrar.count == 1)
        let target = try #require(world.registrar.targets(of: Self.ada, now: world.now).first)
        #expect(target.binding.source == elsewhere)
        #expect(world.registrar.table.binding(from: elsewhere) == target.id)
        #expect(world.registrar.table.binding(from: Self.phone) == nil)
        #expect(world.contacts[0].contains("reg-id=1"))
        _ = try world.register("Contact: <sip:ada@10.0.0.2>\(instance.replacing("reg-id=1", with: "reg-id=2"))", via: "10.0.0.2")
        #expect(world.registrar.count == 2)
    }

    @Test("behind NAT is who is not where Via or Contact say; a proxy in between says nothing about it")
    func nat() throws {
        let cases: [(via: String, contact: String, path: String, expected: NATEvidence)] = [
            ("198.51.100.7:5062", "sip:ada@198.51.100.7:5062", "", .none),
            ("198.51.100.7:9", "sip:ada@198.51.100.7", "", .none),
            ("192.168.1.2:5062", "sip:ada@192.168.1.2:5062", "", .viaAddress),
            ("192.168.1.2:5062", "sip:ada@198.51.100.7:5062", "", .viaAddress),
            ("198.51.100.7:5062", "sip:ada@192.168.1.2:5062", "", .contactAddress),
            ("198.51.100.7:5062", "sip:ada@phone.invalid", "", .hostName),
            ("198.51.100.7:5062", "sip:ada@192.168.1.2:5062", "\nVia: SIP/2.0/UDP 192.168.1.2;branch=z9hG4bKx", .none),
        ]
        for (via, contact, more, expected) in cases {
            var world = World()
            _ = try world.register("Contact: <\(contact)>\(more)", via: via)
            let binding = try #require(world.registrar.targets(of: Self.ada, now: world.now).first?.binding)
            #expect(binding.evidence == expected, "\(via) \(contact)")
            #expect(binding.needsKeepAlive == (expected != .none))
        }
    }

    @Test("Path is kept with the binding")
    func path() throws {
        var world = World()
        _ = try world.register("Contact: <sip:ada@10.0.0.2>\nPath: <sip:edge1.example;lr>\nPath: <sip:192.0.2.9;lr>, <sip:e3;lr>")
        let binding = try #require(world.registrar.targets(of: Self.ada, now: world.now).first?.binding)
        #expect(String(decoding: binding.path, as: UTF8.self) == "<sip:edge1.example;lr>, <sip:192.0.2.9;lr>, <sip:e3;lr>")
    }

    @Test("what is no SIP URI is refused", arguments: ["<tel:123>", "<mailto:a@b>"])
    func broken(_ contact: String) throws {
        var world = World()
        #expect(try world.register("Contact: \(contact)") != .done)
        #expect(world.registrar.count == 0)
    }

    @Test("every binding comes back from its line, unless it has expired")
    func restart() throws {
        var users = UserDirectory()
        let isAdded = users.add(name: Array("ada".utf8), numbers: [Array("100".utf8)], md5: nil, sha256: nil)
        let isAddedAgain = users.add(name: Array("eve".utf8), numbers: [Array("100".utf8)], md5: nil, sha256: nil)
        #expect(isAdded && !isAddedAgain)
        #expect(users.find(Array("100".utf8)) == Self.ada)
        #expect(users.find(name: Array("100".utf8)) == nil)
        var world = World()
        _ = try world.register(
            "Contact: <sip:ada@10.0.0.2;a=b>;q=0.3;+sip.instance=\"<urn:x>\";reg-id=3;expires=100\nPath: <sip:p;lr>\nUser-Agent: A phone",
            via: "10.0.0.2")
        _ = try world.register("Contact: <sip:ada@10.0.0.3>;expires=200", via: "10.0.0.3")
        let wall = WallTime(milliseconds: 1_790_000_000_000)
        let lines = world.changes.map { change in
            world.registrar.line(change, user: Array("ada".utf8)) { wall + ($0 - Self.start) }
        }
        #expect(lines.count == 2)
        var after = World()
        // The machine's clock of another boot, 150 s later.
        after.now = Instant(nanoseconds: 5)
        for line in lines {
            let read = try #require(RegistrationLine(line.octets.dropLast()))
            #expect(read == line)
            _ = after.registrar.restore(
                read, user: Self.ada, instant: { after.now + .milliseconds($0.milliseconds - wall.milliseconds - 150_000) }, now: after.now)
        }
        #expect(after.contacts == ["<sip:ada@10.0.0.3>;expires=50"])
        #expect(RegistrationLine(lines[0].octets.dropLast(9)) == nil)
        let target = try #require(after.registrar.targets(of: Self.ada, now: after.now).first)
        #expect(target.binding.needsKeepAlive)
        #expect(after.registrar.table.binding(from: Self.phone) == target.id)
    }

    @Test("sources are found among many, whatever comes and goes")
    func sources() throws {
        var random = SeededRandom(seed: 5)
        var world = World { $0.bindingsPerUser = 1_000 }
        var expected: [SocketAddress: String] = [:]
        for step in 0..<3_000 {
            let port = UInt16.random(in: 1_000..<1_400, using: &random)
            let source = SocketAddress(ip: Self.phone.ip, port: port)
            let isRemoval = Bool.random(using: &random)
            _ = try world.register(
                "Contact: <sip:ada@10.0.0.2:\(port)>;expires=\(isRemoval ? 0 : 300)", callID: "c\(step)", via: "10.0.0.2", source: source)
            expected[source] = isRemoval ? nil : "sip:ada@10.0.0.2:\(port)"
        }
        #expect(world.registrar.count == expected.count)
        for port in UInt16(1_000)..<1_400 {
            let source = SocketAddress(ip: Self.phone.ip, port: port)
            let found = world.registrar.table.binding(from: source).flatMap { world.registrar.table[$0]?.contactText }
            #expect(found == expected[source])
        }
    }

    @Test("six failures suspend this user at this address for 180 s, and nobody else")
    func suspension() {
        var guarded = CredentialGuard(settings: .init(), seed: 3, capacity: 100, now: Self.start)
        let user = Array("ada".utf8)
        let ip = Self.phone.ip
        for count in 1...6 {
            #expect(!guarded.isSuspended(user, at: ip, now: Self.start))
            let begins = guarded.noteFailure(user, at: ip, now: Self.start)
            #expect(begins == (count == 6))
        }
        #expect(guarded.isSuspended(user, at: ip, now: Self.start + .seconds(179)))
        #expect(!guarded.isSuspended(user, at: ip, now: Self.start + .seconds(180)))
        #expect(!guarded.isSuspended(Array("bob".utf8), at: ip, now: Self.start))
        #expect(!guarded.isSuspended(user, at: .ipv4Loopback, now: Self.start))
        for index in 0..<10_000 { _ = guarded.noteFailure(Array("u\(index)".utf8), at: ip, now: Self.start) }
        #expect(guarded.count <= 100)
        guarded.noteSuccess(user, at: ip)
        #expect(!guarded.isSuspended(user, at: ip, now: Self.start))
    }
}
