import ControlProtocol
import Core
import Harness
import Testing

@Suite("phones behind a NAT of the kernel's", .inTurn, .needs(.sipp), .needs(.baresip), .needs(.root))
struct PhoneTests {
    private func with(
        udpTimeout: Int, keepAlive: [String] = [], users: [DaemonSettings.User] = [], _ body: (PhoneNetwork, DaemonSettings) async throws -> Void
    ) async throws {
        let network = try await PhoneNetwork(udpTimeout: udpTimeout)
        var settings = DaemonSettings(listen: PhoneNetwork.server, mediaPorts: 20_000...20_199)
        settings.httpPort = nil
        settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])] + users
        settings.trunks = [.init("customers", Self.customer)]
        settings.routing = ["invite_timeout = 5"]
        settings.keepAlive = keepAlive
        settings.launcher = { _ in network.atServer }
        do {
            try await body(network, settings)
        } catch {
            try await network.remove()
            throw error
        }
        try await network.remove()
    }

    /// Beside relayd: calls come from here.
    private static let customer = SocketAddress(ip: PhoneNetwork.server.ip, port: 5_070)

    private func caller(_ scenario: String, _ number: String, _ network: PhoneNetwork, calls: Int = 1) async throws -> SIPp {
        var plan = SIPp.Plan(scenario, at: Self.customer, calling: PhoneNetwork.server)
        plan.media = SocketAddress(ip: PhoneNetwork.server.ip, port: 9)
        plan.launcher = network.atServer
        plan.calls = calls
        plan.rate = 5
        plan.keys = ["service": number]
        return try await SIPp.start(plan)
    }

    private func phone(_ user: String, _ password: String, port: UInt16, _ network: PhoneNetwork) throws -> Baresip {
        try Baresip(
            user: user, password: password, at: SocketAddress(ip: PhoneNetwork.phone.ip, port: port), server: PhoneNetwork.server,
            launcher: network.atPhone)
    }

    @Test("they register, relayd is killed and comes back with them, and one calls the other with sound both ways")
    func calls() async throws {
        try await with(udpTimeout: 30) { network, settings in
            var daemon = try await Daemon.start(settings)
            let ada = try phone("ada", "secret", port: 5062, network)
            try await ada.isRegistered()
            let listed = try await daemon.relayctl(["registrations", "ada"])
            #expect(listed.code == 0 && listed.output.contains("\(PhoneNetwork.outside):"), "the source is the NAT's: \(listed.output)")
            _ = try await daemon.stop(9)
            daemon = try await Daemon.start(settings, in: daemon.directory)
            let bob = try phone("bob", "word", port: 5090, network)
            try await bob.isRegistered()
            try bob.dial("sip:100@\(PhoneNetwork.server)")
            let call = try await eventually("media flows both ways: \(bob.log.suffix(2_000))", within: .seconds(40)) {
                try daemon.control.calls().first { call in
                    [call.fromCaller, call.fromCallee].allSatisfy { $0.packets > 25 }
                }
            }
            #expect(call.callerNumber == "200")
            try daemon.control.hangUp(call.id)
            let record = try #require(try await daemon.records(count: 1).first)
            #expect(record.cause == .operatorHangup && record.calledNumber == "100")
            bob.kill()
            ada.kill()
            _ = try await daemon.stop()
        }
    }

    @Test("a keep-alive period below the NAT's timeout keeps a phone reachable; above it, the proof says that it is not", arguments: [
        (udpTimeout: 13, isReachable: true), (udpTimeout: 3, isReachable: false),
    ])
    func keepAlive(udpTimeout: Int, isReachable: Bool) async throws {
        try await with(udpTimeout: udpTimeout, keepAlive: ["message = \"options\"", "period = 10"]) { network, settings in
            let daemon = try await Daemon.start(settings)
            let ada = try phone("ada", "secret", port: 5062, network)
            try await ada.isRegistered()
            // Two keep-alives: at the second the phone has been silent for longer than 3 s, whenever the first one came.
            try await eventually("two keep-alives", within: .seconds(40)) { try daemon.control.counter(.keepAlivesSent) >= 2 }
            if isReachable {
                try await eventually("both are answered") { try daemon.control.counter(.keepAliveAnswers) >= 2 }
                let bob = try phone("bob", "word", port: 5090, network)
                try await bob.isRegistered()
                try bob.dial("sip:100@\(PhoneNetwork.server)")
                try await eventually("the call is answered", within: .seconds(40)) { try daemon.control.status().calls.answered == 1 }
                bob.kill()
            } else {
                // Another phone's way there and back takes longer than an answer would have, were there one.
                let bob = try phone("bob", "word", port: 5090, network)
                try await bob.isRegistered()
                bob.kill()
                let detail = try await daemon.relayctl(["keepalive", "ada"])
                #expect(detail.output.contains("unanswered since the last"))
                #expect(!detail.output.contains(", 0 unanswered"), "\(detail.output)")
                // So no call reaches it, and both the record and the report say what for.
                let caller = try await caller("caller-is-refused", "100", network)
                try await caller.succeeds()
                let record = try #require(try await daemon.records(count: 1).first)
                #expect([408, 480].contains(record.sipCode) && record.verdict == .natPinholeLost, "\(record.explanation ?? "")")
                #expect(record.explanation?.contains("ada is registered from behind NAT") == true, "\(record.explanation ?? "")")
                try await eventually("three keep-alives without an answer, or refused", within: .seconds(40)) {
                    let report = try await daemon.relayctl(["keepalive"]).output
                    return report.contains("Trouble") && report.contains("ada for one")
                }
            }
            let report = try await daemon.relayctl(["keepalive"])
            #expect(report.code == 0 && report.output.contains("SIP OPTIONS"))
            ada.kill()
            _ = try await daemon.stop()
        }
    }

    @Test("two dozen phones, each with a pinhole of its own, are kept reachable past the NAT's timeout, and each takes a call")
    func crowd() async throws {
        let count = 24
        // SIPp numbers its calls from 1.
        let users = (1...count).map { DaemonSettings.User("phone\($0)", "secret\($0)", numbers: ["9\($0)"]) }
        try await with(udpTimeout: 13, keepAlive: ["message = \"options\"", "period = 10"], users: users) { network, settings in
            let daemon = try await Daemon.start(settings)
            var phones: [SIPp] = []
            defer { for phone in phones { phone.process.kill() } }
            for index in 1...count {
                let address = SocketAddress(ip: PhoneNetwork.phone.ip, port: 6_000 + 10 * UInt16(index))
                var plan = SIPp.Plan("phone-stays", at: address, calling: PhoneNetwork.server)
                plan.outOfCall = "phone-is-called"
                plan.launcher = network.atPhone
                plan.pause = .seconds(300)
                plan.limit = .seconds(300)
                plan.keys = ["user": "phone\(index)", "password": "secret\(index)", "headers": "Contact: <sip:phone\(index)@\(address)>"]
                phones.append(try await SIPp.start(plan))
            }
            try await eventually("all are registered", within: .seconds(60)) { try daemon.control.registrations().total == count }
            let sources = Set(try daemon.control.registrations().bindings.map(\.source))
            #expect(sources.count == count && sources.allSatisfy { $0.hasPrefix("\(PhoneNetwork.outside):") })
            // Three keep-alives of each: 20 s and more, beyond the NAT's timeout.
            try await eventually("three keep-alives of each are answered", within: .seconds(90)) {
                try daemon.control.counter(.keepAliveAnswers) >= UInt64(3 * count)
            }
            let report = try await daemon.relayctl(["keepalive"])
            #expect(report.output.contains("\(count) registered, \(count) behind NAT, \(count) kept alive"), "\(report.output)")
            #expect(report.output.contains("every phone answers"), "\(report.output)")
            let caller = try await caller("caller-hangs-up", "9[call_number]", network, calls: count)
            try await caller.succeeds()
            let records = try await daemon.records(count: count)
            #expect(Set(records.map(\.calledNumber)) == Set(users.flatMap(\.numbers)))
            #expect(records.allSatisfy { $0.cause == .normal && $0.sipCode == 200 })
            _ = try await daemon.stop()
        }
    }
}
