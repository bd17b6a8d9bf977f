import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("Metrics", .inTurn)
struct MetricsTests {
    @Test("Prometheus' own parser finds nothing to complain of, and a call is in every figure", .needs(.sipp, .promtool))
    func scrape() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let during = try await page("/metrics", of: bed)
            #expect(during.contentType?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(during.text.contains("\nrelayd_calls{state=\"connected\"} 1\n"))
            #expect(during.text.contains("\nrelayd_trunk_calls{trunk=\"carrier\"} 1\n"))
            #expect(during.text.contains("\nrelayd_media_ports{state=\"in_use\"} 4\n"))
            let id = try #require(try bed.daemon.control.calls().first?.id)
            try bed.daemon.control.hangUp(id)
            try await call.caller.succeeds()
            call.stopMedia()
            _ = try await bed.daemon.records(count: 1)

            let after = try await eventually("the scrape shows the release") {
                let text = try await page("/metrics", of: bed).text
                return text.contains("\nrelayd_call_releases_total{cause=\"operator_hangup\"} 1\n") ? text : nil
            }
            for line in [
                "relayd_trunk_attempts_total{trunk=\"customers\",direction=\"incoming\"} 1",
                "relayd_trunk_answered_total{trunk=\"carrier\",direction=\"outgoing\"} 1",
                "relayd_call_setup_seconds_count 1", "relayd_call_duration_seconds_bucket{le=\"+Inf\"} 1",
                "relayd_call_loss_ratio_count{from=\"caller\"} 1", "relayd_calls{state=\"connected\"} 0",
            ] { #expect(after.contains("\n\(line)\n"), "\(line)") }

            let fromSocket = try await bed.daemon.relayctl(["metrics"])
            #expect(fromSocket.code == 0)
            #expect(names(in: fromSocket.output) == names(in: after))
            for text in [after, fromSocket.output] {
                let file = bed.daemon.directory.file("scrape.txt")
                try Data(text.utf8).write(to: URL(fileURLWithPath: file))
                let check = try await run("sh", ["-c", "exec promtool check metrics < \(file)"])
                #expect(check.code == 0 && check.errors.isEmpty && check.output.isEmpty, "\(check.output)\(check.errors)")
            }
        }
    }

    @Test("a page of another name, another method and another path get a plain refusal")
    func refusals() async throws {
        try await Testbed.with { bed in
            let foreign = try await page("/metrics", of: bed, host: "evil.example:8380")
            let post = try await page("/metrics", of: bed, method: "POST")
            let nothing = try await page("/nothing", of: bed)
            let local = try await page("/metrics", of: bed, host: "localhost:8380")
            let statuses: [Int] = [foreign.status, post.status, nothing.status, local.status]
            #expect(statuses == [403, 405, 404, 200])
        }
    }

    @Test("http.listen = \"\" serves nothing; an address that is taken is an error that names the key")
    func off() async throws {
        try await Testbed.with({ $0.httpPort = nil }) { bed in
            await #expect(throws: (any Error).self) { try await page("/metrics", of: bed) }
        }
        try await Testbed.with { bed in
            let directory = try TemporaryDirectory("http")
            defer { directory.remove() }
            let file = directory.file("second.toml")
            let text = """
                [sip]
                listen = "\(bed.host):5090"
                [http]
                listen = "\(bed.host):8380"
                [control]
                socket = "\(directory.file("s"))"
                [records]
                directory = "\(directory.file("r"))"
                """
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
            let second = try await run(Daemon.executable, ["--config", file])
            #expect(second.code == 71)
            #expect(second.errors.contains("http.listen = \(bed.host):8380"), "\(second.errors)")
        }
    }

    private func names(in text: String) -> [Substring] {
        text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
    }
}
