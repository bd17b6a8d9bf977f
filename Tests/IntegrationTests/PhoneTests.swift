import ControlProtocol
import Core
import Harness
import Testing

@Suite("phones behind a NAT of the kernel's", .inTurn, .needs(.baresip), .needs(.root))
struct PhoneTests {
    private func with(
        udpTimeout: Int, keepAlive: [String] = [], _ body: (PhoneNetwork, DaemonSettings) async throws -> Void
    ) async throws {
        let network = try await PhoneNetwork(udpTimeout: udpTimeout)
        var settings = DaemonSettings(listen: PhoneNetwork.server, mediaPorts: 20_000...20_199)
        settings.httpPort = nil
        settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])]
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
            }
            let report = try await daemon.relayctl(["keepalive"])
            #expect(report.code == 0 && report.output.contains("SIP OPTIONS"))
            ada.kill()
            _ = try await daemon.stop()
        }
    }
}
