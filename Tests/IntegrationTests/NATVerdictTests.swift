import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("verdicts on what a NAT of the kernel's does", .inTurn, .serialized, .needs(.root))
struct NATVerdictTests {
    private func with(
        udpTimeout: Int, _ adjust: (inout DaemonSettings) -> Void, _ body: (PhoneNetwork, Daemon) async throws -> Void
    ) async throws {
        let network = try await PhoneNetwork(udpTimeout: udpTimeout)
        var settings = DaemonSettings(listen: PhoneNetwork.server, mediaPorts: 20_000...20_199)
        settings.httpPort = nil
        settings.launcher = { _ in network.atServer }
        adjust(&settings)
        do {
            let daemon = try await Daemon.start(settings)
            try await body(network, daemon)
            _ = try await daemon.stop()
        } catch {
            try await network.remove()
            throw error
        }
        try await network.remove()
    }

    @Test("private c= behind a public source, and the same SDP rewritten by a SIP ALG: no packet ever comes", .needs(.sipp))
    func privateAddress() async throws {
        let outer = SocketAddress(ip: PhoneNetwork.outside, port: 30_000)
        let inner = SocketAddress(ip: PhoneNetwork.phone.ip, port: 30_000)
        let carrier = SocketAddress(ip: PhoneNetwork.server.ip, port: 5080)
        try await with(udpTimeout: 30, { settings in
            settings.trunks = [
                .init("customers", outer, lines: ["sources = [\"\(PhoneNetwork.outside)\"]"]), .init("carrier", carrier, prefixes: [""]),
            ]
        }) { network, daemon in
            let cases: [(scenario: String, media: SocketAddress, verdict: CallVerdict, words: String)] = [
                ("caller-hangs-up", inner, .privateMediaAddress, "private address \(inner.ip) while its SIP comes from \(outer.ip)"),
                ("caller-behind-alg", outer, .sipALG, "a SIP ALG on the caller's side rewrote its SDP to \(outer.ip)"),
            ]
            for (index, expected) in cases.enumerated() {
                var plan = SIPp.Plan("callee-stays-rtp", at: carrier)
                plan.launcher = network.atServer
                let callee = try await SIPp.start(plan)
                plan = SIPp.Plan(expected.scenario, at: PhoneNetwork.phone, calling: PhoneNetwork.server)
                plan.launcher = network.atPhone
                plan.media = expected.media
                plan.hangsUpWhenTold = true
                let caller = try await SIPp.start(plan)
                try await daemon.talks { $0.fromCallee.packets > 0 }
                try caller.hangUp()
                try await caller.succeeds()
                try await callee.succeeds()
                let record = try #require(try await daemon.records(count: index + 1).first)
                #expect(record.verdict == expected.verdict && record.explanation?.contains(expected.words) == true, "\(record.explanation ?? "")")
                #expect(record.callerAddress.ip == outer.ip, "the NAT translates")
            }
        }
    }

    @Test("a phone whose NAT has forgotten it, because nothing keeps its pinhole open", .needs(.baresip))
    func pinholeLost() async throws {
        try await with(udpTimeout: 2, { settings in
            settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])]
            settings.keepAlive = ["message = \"\""]
            settings.routing = ["invite_timeout = 1"]
        }) { network, daemon in
            func phone(_ user: String, _ password: String, port: UInt16) throws -> Baresip {
                try Baresip(
                    user: user, password: password, at: SocketAddress(ip: PhoneNetwork.phone.ip, port: port), server: PhoneNetwork.server,
                    launcher: network.atPhone)
            }
            let ada = try phone("ada", "secret", port: 5062)
            try await ada.isRegistered()
            try await network.forgetsMappings(of: PhoneNetwork.phone)
            let bob = try phone("bob", "word", port: 5090)
            try await bob.isRegistered()
            try bob.dial("sip:100@\(PhoneNetwork.server)")
            let record = try #require(try await daemon.records(count: 1, within: .seconds(40)).first)
            // The NAT says by ICMP that nobody is there.
            #expect(record.cause == .peerUnreachable && record.verdict == .natPinholeLost, "\(record.explanation ?? "")")
            #expect(record.sipCode == 480)
            #expect(record.explanation?.hasPrefix("ada is registered from behind NAT") == true)
            let why = try await daemon.relayctl(["why", record.id])
            #expect(why.output.contains("it was last heard") && why.output.contains("keep-alive period"), "\(why.output)")
            ada.kill()
            bob.kill()
        }
    }
}
