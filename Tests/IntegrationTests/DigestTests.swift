import ControlProtocol
import Core
import Foundation
import Harness
import Testing

/// MD5 is what everybody else here uses; these peers know SHA-256 as well (RFC 8760), and check or make it by themselves.
@Suite("digest with SHA-256", .inTurn, .serialized)
struct DigestTests {
    @Test("Kamailio challenges relayd's REGISTER and INVITE, and takes its credentials only with the right password", .needs(.sipp, .kamailio), arguments: [
        ("SHA-256", "secret"), ("SHA-256", "wrong"), ("MD5", "secret"),
    ])
    func client(algorithm: String, password: String) async throws {
        try await Testbed.with({ settings in
            settings.trunks[1].lines = ["username = \"relayd\"", "password = \"\(password)\"", "register = \"on\""]
        }) { bed in
            // The daemon is up and has tried already; it tries again when it has its answer.
            let kamailio = try await ChallengingKamailio.start(at: bed.carrier, password: "secret", algorithm: algorithm)
            defer { kamailio.stop() }
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            let isRight = password == "secret"
            #expect(record.verdict == (isRight ? .busy : .authenticationFailed), "\(record.explanation ?? "")\n\(kamailio.log.suffix(2_000))")
            let invites = try await bed.daemon.relayctl(["trace", "--method", "INVITE"])
            #expect(invites.output.contains("algorithm=\(algorithm)"), "\(invites.output)")
            let expected = isRight ? 1 : 0
            try await eventually("the registration \(isRight ? "stands" : "is refused")", within: .seconds(60)) {
                let registers = try await bed.daemon.relayctl(["trace", "--method", "REGISTER"])
                let isAnswered = registers.output.contains("SIP/2.0 200") || registers.output.components(separatedBy: "SIP/2.0 401").count > 2
                return isAnswered && (registers.output.contains("SIP/2.0 200") ? 1 : 0) == expected
            }
        }
    }

    @Test("linphone registers with SHA-256 and unregisters; with another password it does not", .needs(.linphone))
    func server() async throws {
        try await Testbed.with({ settings in
            settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])]
            settings.further = ["[registrar]", "algorithms = [\"SHA-256\"]"]
        }) { bed in
            let port = try Loopback.freeRange(of: 2, on: bed.host)
            let ada = try Linphone(
                user: "ada", password: "secret", at: SocketAddress(ip: bed.host, port: port.lowerBound), server: bed.daemon.sipAddress)
            let bob = try Linphone(
                user: "bob", password: "wrong", at: SocketAddress(ip: bed.host, port: port.upperBound), server: bed.daemon.sipAddress)
            defer {
                ada.kill()
                bob.kill()
            }
            try await eventually("ada is registered: \(ada.log.suffix(3_000))", within: .seconds(40)) {
                try bed.daemon.control.registrations().total == 1
            }
            try await eventually("bob is refused", within: .seconds(40)) {
                let trace = try await bed.daemon.relayctl(["trace", "--registrations", "--number", "bob"])
                return trace.output.contains("username=\"bob\"")
            }
            let trace = try await bed.daemon.relayctl(["trace", "--registrations", "--number", "ada"])
            #expect(trace.output.contains("algorithm=SHA-256") && !trace.output.contains("algorithm=MD5"), "\(trace.output)")
            let list = try bed.daemon.control.registrations()
            #expect(list.total == 1, "bob is not")
            try ada.quit()
            try await eventually("ada has taken it back", within: .seconds(40)) { try bed.daemon.control.registrations().total == 0 }
        }
    }
}
