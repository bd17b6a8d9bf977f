import ControlProtocol
import Core
import Harness
import Testing

@Suite("phones by TCP and TLS", .inTurn, .needs(.sipp), .needs(.baresip), .needs(.openssl))
struct PhoneStreamTests {
    private func call(_ bed: Testbed, _ scenario: String) async throws {
        let caller = try await bed.caller(scenario) {
            $0.calledNumber = "100"
            $0.pause = .milliseconds(300)
        }
        try await caller.succeeds()
    }

    /// A call is refused because the connection is gone, with these words.
    private func expectRefusal(_ bed: Testbed, records: Int, words: String) async throws {
        try await call(bed, "caller-is-refused")
        let record = try #require(try await bed.daemon.records(count: records).first)
        #expect(record.sipCode == 480 && record.cause == .notRegistered && record.verdict == .connectionClosed)
        #expect(record.explanation?.contains(words) == true, "\(record.explanation ?? "")")
        let why = try await bed.daemon.relayctl(["why", record.id])
        #expect(why.output.contains("registers anew"), "\(why.output)")
    }

    @Test("one registers and is called by its connection; when that dies a call says so, after a restart too; it comes back by registering", arguments: [
        Transport.tcp, .tls,
    ])
    func phone(transport: Transport) async throws {
        let certificate = try await Certificate(for: .ipv4Loopback)
        defer { certificate.directory.remove() }
        try await Testbed.with({ settings in
            let secure = SocketAddress(ip: settings.listen.ip, port: 5_061)
            settings.sip = ["listeners = [\"tcp:\(settings.listen)\", \"tls:\(secure)\"]"] + certificate.settings
            settings.users = [.init("ada", "secret", numbers: ["100"])]
        }) { bed in
            let server = SocketAddress(ip: bed.host, port: transport.defaultPort)
            func phone() async throws -> Baresip {
                let phone = try Baresip(
                    user: "ada", password: "secret", at: SocketAddress(ip: bed.host, port: 5_090), server: server, transport: transport, launcher: [])
                try await phone.isRegistered()
                return phone
            }
            func list() async throws -> [RegistrationSummary] { try bed.daemon.control.registrations().bindings }
            let ada = try await phone()
            let binding = try #require(try await list().first)
            #expect(binding.connection == "open" && binding.source.hasPrefix("\(transport.rawValue):"), "\(binding)")
            #expect(try await bed.daemon.relayctl(["keepalive", "ada"]).output.contains("connection, which is open"))
            try await call(bed, "caller-hangs-up")
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(try bed.daemon.control.counter(.sipConnectionsOpened) == 0, "it took the phone's own connection")
            ada.kill()
            try await eventually("relayd hears that the connection is gone") { try await list().first?.connection == "closed" }
            let listed = try await bed.daemon.relayctl(["registrations"])
            #expect(listed.output.contains("closed"), "\(listed.output)")
            try await expectRefusal(bed, records: 2, words: "\(transport.viaToken) connection, which closed")
            // The next one comes by a connection of its own and is called by that.
            let again = try await phone()
            #expect(Set(try await list().compactMap(\.connection)).contains("open"))
            try await call(bed, "caller-hangs-up")
            again.kill()
            try await eventually("that one is gone too") { try await list().allSatisfy { $0.connection == "closed" } }
        }
    }

    @Test("a restart brings the contact back without its connection: a call says so, and the phone registers anew")
    func restart() async throws {
        let host = Loopback.host()
        var settings = DaemonSettings(listen: SocketAddress(ip: host, port: 5_060), mediaPorts: 10_000...10_199)
        settings.sip = ["listeners = [\"tcp:\(settings.listen)\"]"]
        settings.users = [.init("ada", "secret", numbers: ["100"])]
        settings.trunks = [.init("customers", SocketAddress(ip: host, port: 5_070))]
        var daemon = try await Daemon.start(settings)
        func phone() async throws -> Baresip {
            let phone = try Baresip(
                user: "ada", password: "secret", at: SocketAddress(ip: host, port: 5_090), server: settings.listen, transport: .tcp, launcher: [])
            try await phone.isRegistered()
            return phone
        }
        let ada = try await phone()
        // Nobody is there to come back by itself.
        ada.kill()
        _ = try await daemon.stop(9)
        daemon = try await Daemon.start(settings, in: daemon.directory)
        #expect(try daemon.control.registrations().bindings.map(\.connection) == ["closed"])
        let detail = try await daemon.relayctl(["keepalive", "ada"])
        #expect(detail.output.contains("connection ended with the last run of relayd"), "\(detail.output)")
        var plan = SIPp.Plan("caller-is-refused", at: SocketAddress(ip: host, port: 5_070), calling: settings.listen)
        plan.media = SocketAddress(ip: host, port: 9)
        plan.calledNumber = "100"
        try await SIPp.start(plan).succeeds()
        let record = try #require(try await daemon.records(count: 1).first)
        #expect(record.sipCode == 480 && record.verdict == .connectionClosed)
        #expect(record.explanation?.contains("which did not outlive the restart of relayd") == true, "\(record.explanation ?? "")")
        let again = try await phone()
        plan.scenario = "caller-hangs-up"
        try await SIPp.start(plan).succeeds()
        #expect(try await daemon.records(count: 2).first?.cause == .normal)
        again.kill()
        _ = try await daemon.stop()
    }
}
