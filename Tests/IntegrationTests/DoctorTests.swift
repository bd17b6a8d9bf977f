import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("relayctl doctor", .inTurn, .serialized)
struct DoctorTests {
    @Test("on a daemon that is well it places its calls, every step passes that can, and the way is closed again")
    func healthy() async throws {
        try await Testbed.with { bed in
            let result = try await run(
                Daemon.commandLineTool, ["doctor", "--json", "--socket", bed.daemon.control.socketPath], within: .seconds(60))
            let report = try JSONDecoder().decode(DoctorReport.self, from: Data(result.output.utf8))
            #expect(report.steps.map(\.number) == Array(1...11))
            for step in report.steps {
                #expect(step.outcome == .passed, "\(step.number) \(step.title): \(step.evidence)")
            }
            #expect(report.steps.filter { $0.outcome == .failed }.isEmpty)
            #expect(result.code == 0, "\(result.errors)")

            let records = try bed.daemon.records()
            #expect(records.allSatisfy { $0.callerTrunk == "doctor" && $0.calleeTrunk == "doctor" })
            #expect(Set(records.map(\.cause)).isSuperset(of: [.normal, .noMedia]))
            try await eventually("nothing is left") { try bed.daemon.control.status().media.portsInUse == 0 }
            // Test calls are no traffic.
            let metrics = try await page("/metrics", of: bed)
            #expect(metrics.text.contains("\nrelayd_call_releases_total{cause=\"no_media\"} 0\n"))
            let text = try await bed.daemon.relayctl(["report"])
            #expect(text.output.contains("doctor"))
        }
    }

    @Test("what is wrong fails its step, says what to do, and the exit code says so")
    func unwell() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 0 }) { bed in
            // The customer's host, and not the port its trunk says.
            let elsewhere = SocketAddress(ip: bed.host, port: 5999)
            let caller = try await bed.caller("caller-is-refused") { $0.address = elsewhere }
            try await caller.succeeds()
            let result = try await run(
                Daemon.commandLineTool, ["doctor", "--socket", bed.daemon.control.socketPath], within: .seconds(60))
            #expect(result.code == 3)
            #expect(result.output.contains("2  FAILED"), "\(result.output)")
            #expect(result.output.contains("media.no_media_timeout"))
            #expect(result.output.contains("Do: set media.no_media_timeout to 60"))
            #expect(result.output.contains("4  passed"))
            #expect(result.output.contains("11  FAILED"), "\(result.output)")
            // Lines are wrapped.
            let words = result.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words.contains("from \(elsewhere), the last one INVITE, were refused because it is no trunk"), "\(words)")
            #expect(words.contains("that port alone: to take its requests from any port set sources"), "\(words)")
        }
    }

    @Test("nobody else gets a way through by it")
    func closed() async throws {
        try await Testbed.with { bed in
            var client = try ControlClient(path: bed.daemon.control.socketPath)
            let own = SocketAddress(ip: bed.host, port: 5999)
            do throws(ControlClientError) {
                try client.doctor(
                    DoctorQuery(caller: SocketAddress("192.0.2.1:5060")!, callee: own, noMediaTimeoutSeconds: 3, seconds: 10))
                Issue.record("an address of another machine was taken")
            } catch { #expect(error.exitCode == 1) }
        }
    }
}
