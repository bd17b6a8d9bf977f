import ControlProtocol
import Core
import Harness
import Testing

/// Phones played by SIPp: registrations, several contacts of one user, wrong passwords.
@Suite("phones at the registrar", .inTurn, .needs(.sipp))
struct PhoneRegistrarTests {
    private static let phonePort: UInt16 = 5_074

    private static func with(_ registrar: [String] = [], _ body: (Testbed) async throws -> Void) async throws {
        try await Testbed.with({ settings in
            settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])]
            settings.further = ["[registrar]"] + registrar
        }, body: body)
    }

    /// One REGISTER of ada's with these headers, up to the answer that is expected.
    @discardableResult
    private static func register(
        _ bed: Testbed, _ headers: [String], password: String = "secret", final: Int = 200, calls: Int = 1, through proxy: SocketAddress? = nil
    ) async throws -> SIPp {
        let phone = try await bed.caller("registers") {
            $0.address = SocketAddress(ip: bed.host, port: Self.phonePort)
            if let proxy { $0.remote = proxy }
            $0.calls = calls
            $0.keys = ["user": "ada", "password": password, "headers": headers.joined(separator: "\n"), "final": "\(final)"]
        }
        try await phone.succeeds()
        return phone
    }

    private static func contact(_ bed: Testbed, _ port: UInt16, q: String) -> String { "Contact: <sip:ada@\(bed.host):\(port)>;q=\(q)" }

    private static func callee(_ scenario: String, _ bed: Testbed, _ port: UInt16, keys: [String: String] = [:]) async throws -> SIPp {
        try await bed.callee(scenario) {
            $0.address = SocketAddress(ip: bed.host, port: port)
            $0.keys = keys
        }
    }

    @Test("less than min_expires is refused with 423 and Min-Expires, and nothing is kept; that much is granted")
    func minimumExpires() async throws {
        try await Self.with(["min_expires = 90"]) { bed in
            let phone = try await Self.register(bed, ["Contact: <sip:ada@\(bed.host):5074>", "Expires: 30"], final: 423)
            #expect(phone.messages.first { $0.status == 423 }?.header("Min-Expires") == "90")
            #expect(try bed.daemon.control.registrations().total == 0)
            try await Self.register(bed, ["Contact: <sip:ada@\(bed.host):5074>", "Expires: 90"])
            #expect(try bed.daemon.control.registrations().bindings.map { (85...90).contains($0.expiresInSeconds) } == [true])
        }
    }

    @Test("Contact: * with Expires 0 takes every contact of the user back, and no other's")
    func wildcard() async throws {
        try await Self.with { bed in
            try await Self.register(bed, [5_081, 5_082, 5_083].map { Self.contact(bed, $0, q: "1.0") } + ["Expires: 300"])
            #expect(try bed.daemon.control.registrations().total == 3)
            try await Self.register(bed, ["Contact: *", "Expires: 60"], final: 400)
            #expect(try bed.daemon.control.registrations().total == 3)
            let phone = try await Self.register(bed, ["Contact: *", "Expires: 0"])
            #expect(try bed.daemon.control.registrations().total == 0)
            #expect(phone.messages.last { $0.status == 200 }?.header("Contact") == nil)
            let caller = try await bed.caller("caller-is-refused") { $0.calledNumber = "100" }
            try await caller.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.sipCode == 480 && record.explanation?.hasPrefix("ada took its registration back") == true, "\(record.explanation ?? "")")
        }
    }

    @Test("a nonce that has become too old is answered with stale=true, and the phone goes on with the new one")
    func staleNonce() async throws {
        try await Self.with(["nonce_lifetime = 10"]) { bed in
            let phone = try await bed.caller("phone-reuses-nonce") {
                $0.address = SocketAddress(ip: bed.host, port: Self.phonePort)
                $0.pause = .seconds(12)
            }
            try await phone.succeeds()
            let challenges = phone.messages.filter { $0.status == 401 }.compactMap { $0.header("WWW-Authenticate") }
            #expect(challenges.count == 2 && challenges.map { $0.contains("stale=true") } == [false, true], "\(challenges)")
            #expect(try bed.daemon.control.counter(.noncesStale) == 1)
            #expect(try bed.daemon.control.counter(.credentialsWrong) == 0)
        }
    }

    @Test("six wrong passwords suspend a user at its address: relayctl lists that and lifts it, and says when there is nothing to lift")
    func suspension() async throws {
        try await Self.with { bed in
            let contact = ["Contact: <sip:ada@\(bed.host):5074>"]
            #expect(try await bed.daemon.relayctl(["suspensions"]).output == "Nobody is suspended.\n")
            try await Self.register(bed, contact, password: "guess", final: 403, calls: 6)
            // The right one does not help either, until it is over.
            try await Self.register(bed, contact, final: 403)
            #expect(try bed.daemon.control.counter(.credentialsSuspended) == 1)
            let listed = try await bed.daemon.relayctl(["suspensions"])
            #expect(listed.code == 0 && listed.output.contains("ada") && listed.output.contains("\(bed.host)"), "\(listed.output)")
            for (arguments, words) in [
                (["suspensions", "lift", "bob"], "\"bob\" is not suspended: see `relayctl suspensions`."),
                (["suspensions", "lift", "ada", "--address", "192.0.2.1"], "\"ada\" is not suspended at 192.0.2.1"),
            ] {
                let refused = try await bed.daemon.relayctl(arguments)
                #expect(refused.code == 1 && refused.errors.contains(words), "\(refused.errors)")
            }
            let nonsense = try await bed.daemon.relayctl(["suspensions", "lift", "ada", "--address", "home"])
            #expect(nonsense.code == 2 && nonsense.errors.contains("--address home is no IP address."), "\(nonsense.code) \(nonsense.errors)")
            let lifted = try await bed.daemon.relayctl(["suspensions", "lift", "ada"])
            #expect(lifted.code == 0 && lifted.output == "ada may try again at \(bed.host).\n", "\(lifted.output)\(lifted.errors)")
            try await Self.register(bed, contact)
        }
    }

    @Test("all contacts of one q ring at once, the first that answers has the call, and the others get CANCEL")
    func oneWinner() async throws {
        try await Self.with { bed in
            let ringing = [try await Self.callee("callee-rings", bed, 5_081), try await Self.callee("callee-rings", bed, 5_082)]
            let winner = try await Self.callee("callee-hangs-up", bed, 5_083)
            try await Self.register(bed, [5_081, 5_082, 5_083].map { Self.contact(bed, $0, q: "0.7") })
            let caller = try await bed.caller("caller-stays") { $0.calledNumber = "100" }
            try await winner.succeeds()
            try await caller.succeeds()
            for phone in ringing { try await phone.succeeds() }
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.calleeAddress == winner.plan.address && record.cause == .normal && record.endedBy == .callee)
        }
    }

    @Test("after 486 the next q rings and answers; after 603 it is not called, who rings beside is cancelled, and the caller gets the 603", arguments: [486, 603])
    func qualities(status: Int) async throws {
        try await Self.with { bed in
            let refusing = try await Self.callee(
                "callee-refuses", bed, 5_081, keys: ["status": status == 486 ? "486 Busy Here" : "603 Decline"])
            let beside = status == 603 ? try await Self.callee("callee-rings", bed, 5_082) : nil
            let next = try await Self.callee("callee-hangs-up", bed, 5_083)
            let contacts = [Self.contact(bed, 5_081, q: "1.0"), Self.contact(bed, 5_083, q: "0.4")]
            try await Self.register(bed, contacts + (beside == nil ? [] : [Self.contact(bed, 5_082, q: "1.0")]))
            let listed = try await bed.daemon.relayctl(["registrations"])
            #expect(listed.output.contains("0.4"), "\(listed.output)")
            let caller = try await bed.caller(status == 486 ? "caller-stays" : "caller-is-refused") { $0.calledNumber = "100" }
            try await caller.succeeds()
            try await refusing.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            if status == 486 {
                try await next.succeeds()
                #expect(record.calleeAddress == next.plan.address && record.cause == .normal)
            } else {
                try await beside?.succeeds()
                #expect(caller.messages.contains { $0.status == 603 })
                #expect(record.sipCode == 603 && record.cause == .rejected && record.calleeAddress == refusing.plan.address)
                #expect(next.messages.isEmpty)
                next.process.kill()
            }
        }
    }

    @Test("a phone behind an edge proxy that adds Path is called through it, over UDP and TCP", .needs(.kamailio), arguments: ["udp", "tcp"])
    func edgeProxy(transport: String) async throws {
        let host = Loopback.host()
        try await Testbed.with({ settings in
            settings.users = [.init("ada", "secret", numbers: ["100"])]
            settings.sip = ["listeners = [\"tcp:\(settings.listen)\"]"]
        }) { bed in
            let relayd = bed.daemon.sipAddress
            let edge = try await EdgeKamailio.start(SocketAddress(ip: host, port: 5_064), transport: transport, relayd: relayd)
            defer { edge.stop() }
            let phone = SocketAddress(ip: host, port: 5_074)
            var plan = SIPp.Plan("registers", at: phone, calling: edge.address)
            plan.keys = ["user": "ada", "password": "secret", "headers": "Supported: path\nContact: <sip:ada@\(phone)>", "final": "200"]
            do { try await SIPp.start(plan).succeeds() } catch {
                throw SocketError(description: "\(error)\n--- Kamailio\n\(edge.log.suffix(4_000))")
            }
            let binding = try #require(try bed.daemon.control.registrations().bindings.first)
            #expect(binding.path?.contains("\(edge.address)") == true && binding.path?.contains(";lr") == true, "\(binding.path ?? "")")
            #expect(try await bed.daemon.relayctl(["registrations"]).output.contains("Path <sip:"))
            #expect(try await bed.daemon.relayctl(["keepalive", "ada"]).output.contains("<sip:"))
            plan = SIPp.Plan("proxied-callee-stays", at: phone)
            plan.media = SocketAddress(ip: host, port: 9)
            let answering = try await SIPp.start(plan)
            let caller = try await bed.caller("caller-hangs-up") { $0.calledNumber = "100" }
            do {
                try await caller.succeeds()
                try await answering.succeeds()
            } catch { throw SocketError(description: "\(error)\n--- Kamailio\n\(edge.log.suffix(4_000))") }
            let placed = try #require(answering.received("INVITE").first)
            let vias = placed.text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("Via:") }
            #expect(vias.count == 2 && vias.last?.contains("SIP/2.0/\(transport.uppercased()) \(relayd);") == true, "\(vias)")
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("a phone with a flow by each of two edge proxies rings once, by the other one when the latest has lost its flow", .needs(.kamailio))
    func lostFlow() async throws {
        let host = Loopback.host()
        try await Self.with { bed in
            let relayd = bed.daemon.sipAddress
            let edges = [
                try await EdgeKamailio.start(SocketAddress(ip: host, port: 5_064), transport: "udp", relayd: relayd),
                try await EdgeKamailio.start(SocketAddress(ip: host, port: 5_066), transport: "udp", relayd: relayd, hasLostFlow: true),
            ]
            defer { for edge in edges { edge.stop() } }
            let phone = SocketAddress(ip: bed.host, port: Self.phonePort)
            for (number, edge) in edges.enumerated() {
                let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\""
                let headers = ["Supported: path, outbound", "Contact: <sip:ada@\(phone)>;\(instance);reg-id=\(number + 1)"]
                try await Self.register(bed, headers, through: edge.address)
            }
            #expect(try bed.daemon.control.registrations().total == 2)
            var plan = SIPp.Plan("proxied-callee-stays", at: phone)
            plan.media = SocketAddress(ip: host, port: 9)
            let answering = try await SIPp.start(plan)
            let caller = try await bed.caller("caller-hangs-up") { $0.calledNumber = "100" }
            try await caller.succeeds()
            try await answering.succeeds()
            #expect(answering.received("INVITE").count == 1)
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(try bed.daemon.control.registrations().bindings.map { $0.path?.contains("\(edges[0].address)") } == [true])
            #expect(try bed.daemon.control.counter(.bindingsCutOff) == 1)
        }
    }

    @Test("a Path with a host name is refused with 400, and the trace says why", .needs(.kamailio))
    func unusablePath() async throws {
        let host = Loopback.host()
        try await Self.with { bed in
            let edge = try await EdgeKamailio.start(
                SocketAddress(ip: host, port: 5_064), transport: "udp", relayd: bed.daemon.sipAddress, host: "edge.test")
            defer { edge.stop() }
            var plan = SIPp.Plan("registers", at: SocketAddress(ip: host, port: 5_074), calling: edge.address)
            plan.keys = ["user": "ada", "password": "secret", "headers": "Contact: <sip:ada@\(host):5074>", "final": "400"]
            try await SIPp.start(plan).succeeds()
            #expect(try bed.daemon.control.registrations().total == 0)
            let trace = try await bed.daemon.relayctl(["trace", "--registrations", "--json"])
            #expect(trace.output.contains("Path names a host, and relayd calls IP addresses only"), "\(trace.output.suffix(3_000))")
        }
    }
}
