import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("The page", .inTurn, .serialized)
struct PageTests {
    @Test("a browser shows the present call, its ladder and the trunks", .needs(.sipp, .chromium))
    func browser() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let id = try #require(try bed.daemon.control.calls().first?.id)

            let calls = try await document(at: "#calls", of: bed)
            #expect(calls.contains("data-id=\"\(id)\""))
            #expect(calls.contains("<td>4420987654</td>") && calls.contains("<td>4930123456</td>"))
            #expect(calls.components(separatedBy: "<td class=\"good\">flowing</td>").count == 3)
            #expect(calls.contains("1 connected"))

            let detail = try await document(at: "#call/\(id)", of: bed)
            #expect(detail.contains("4420987654 calls 4930123456"))
            #expect(detail.contains("id=\"ladder\""))
            #expect(detail.contains("180 Ringing") && detail.contains("200 OK"))
            #expect(detail.contains("\(call.callerMedia.address)"))
            #expect(detail.contains("class=\"packets\""))
            #expect(!detail.contains("[object"))
            #expect(!detail.contains("End this call"))

            let trunks = try await document(at: "#trunks", of: bed)
            #expect(trunks.contains("<td>customers</td>") && trunks.contains("<td>carrier</td>"))
            #expect(!trunks.contains("without being a trunk"))

            try bed.daemon.control.hangUp(id)
            try await call.caller.succeeds()
            call.stopMedia()
            _ = try await bed.daemon.records(count: 1)
            let records = try await document(at: "#records", of: bed)
            #expect(records.contains("operator_hangup"))
        }
    }

    @Test("a browser shows who calls without being a trunk", .needs(.chromium))
    func strangers() async throws {
        try await Testbed.with { bed in
            let stranger = try UDPSocket(SocketAddress(ip: bed.host, port: 5099))
            stranger.send(
                """
                OPTIONS sip:4930555@\(bed.daemon.sipAddress) SIP/2.0\r
                Via: SIP/2.0/UDP \(stranger.address);branch=z9hG4bKstranger\r
                From: <sip:\(stranger.address)>;tag=1\r
                To: <sip:\(bed.daemon.sipAddress)>\r
                Call-ID: stranger\r
                CSeq: 1 OPTIONS\r
                Max-Forwards: 70\r
                User-Agent: <b>scanner</b>\r
                Content-Length: 0\r
                \r

                """, to: bed.daemon.sipAddress)
            try await eventually("he is refused") { stranger.receive() }
            let shown = try await document(at: "#trunks", of: bed)
            #expect(shown.contains("without being a trunk") && shown.contains("OPTIONS 4930555"), "\(shown)")
            #expect(shown.contains("<td>\(bed.host)</td>"), "\(shown)")
            #expect(shown.contains("&lt;b&gt;scanner&lt;/b&gt;") && !shown.contains("<b>scanner"), "his words are text: \(shown)")
            #expect(!shown.contains("[object") && !shown.contains("undefined"))
        }
    }

    @Test(
        "a browser, relayctl and Prometheus see who is registered, and how well keep-alives do", .needs(.sipp, .chromium, .promtool))
    func registrations() async throws {
        try await Testbed.with({ settings in
            settings.users = [.init("ada", "secret", numbers: ["100"])]
            settings.keepAlive = ["message = \"HELLO\"", "period = 10"]
        }) { bed in
            let none = try await document(at: "#registrations", of: bed)
            #expect(none.contains("0 phones registered"))
            let phone = try await bed.caller("phone-registers") {
                $0.address = SocketAddress(ip: bed.host, port: 5074)
                // Its Contact says another address than it has: behind NAT.
                $0.keys = ["expires": "300", "contact": "192.168.7.7:5060"]
            }
            try await phone.succeeds()
            let shown = try await document(at: "#registrations", of: bed)
            #expect(shown.contains("<td>ada</td>") && shown.contains("\(bed.host):5074"))
            #expect(shown.contains("1 phones registered, 1 kept alive"))
            #expect(!shown.contains("[object") && !shown.contains("undefined"))
            let top = try await bed.daemon.relayctl(["top", "--once"])
            #expect(top.output.contains("Phones 1 registered, 1 kept alive"), "\(top.output)")
            let status = try await bed.daemon.relayctl(["status"])
            #expect(status.output.contains("1 registered, 1 kept alive"), "\(status.output)")
            let cycle = try await eventually("a cycle is complete", within: .seconds(30)) {
                let text = try await page("/metrics", of: bed).text
                return text.contains("\nrelayd_keepalive_coverage_ratio ") ? text : nil
            }
            for line in ["relayd_registrations 1", "relayd_keepalive_bindings 1", "relayd_keepalive_coverage_ratio 1"] {
                #expect(cycle.contains("\n\(line)\n"), "\(line)")
            }
            #expect(!cycle.contains("\nrelayd_keepalive_unreachable "), "HELLO asks for no answer")
            let file = bed.daemon.directory.file("scrape.txt")
            try Data(cycle.utf8).write(to: URL(fileURLWithPath: file))
            let check = try await run("sh", ["-c", "exec promtool check metrics < \(file)"])
            #expect(check.code == 0 && check.errors.isEmpty && check.output.isEmpty, "\(check.output)\(check.errors)")
        }
    }

    @Test("calls, one call and records come as JSON; a call is ended only where that is allowed, and only by the page itself", .needs(.sipp))
    func data() async throws {
        try await Testbed.with({ $0.http = ["allow_hangup = true"] }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let calls = try await json([CallSummary].self, "/api/calls?match=4930", bed)
            let id = try #require(calls.first?.id)
            #expect(try await json([CallSummary].self, "/api/calls?match=nobody", bed).isEmpty)
            let detail = try await json(CallDetail.self, "/api/calls/\(id)", bed)
            #expect(detail.caller.callID == call.caller.callID)
            let overview = try await json(MetricsSnapshot.self, "/api/overview", bed)
            #expect(overview.trunks.map(\.name) == ["customers", "carrier"])
            let unknown = try await page("/api/calls/none", of: bed)
            #expect(unknown.status == 404)

            let foreign = try await page("/api/calls/\(id)/hangup", of: bed, method: "POST")
            #expect(foreign.status == 403)
            let own = try await page("/api/calls/\(id)/hangup", of: bed, method: "POST", headers: ["X-Relayd: 1"])
            #expect(own.status == 200)
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
            _ = try await bed.daemon.records(count: 1)
            let records = try await json([CallRecord].self, "/api/records?limit=5", bed)
            #expect(records.map(\.cause) == [.operatorHangup])
        }
        try await Testbed.with { bed in
            let refused = try await page("/api/calls/x/hangup", of: bed, method: "POST", headers: ["X-Relayd: 1"])
            #expect(refused.status == 403)
        }
    }

    private func json<Value: Decodable>(_ type: Value.Type, _ path: String, _ bed: Testbed) async throws -> Value {
        let answer = try await page(path, of: bed)
        #expect(answer.status == 200 && answer.contentType == "application/json", "\(path): \(answer.text)")
        return try JSONDecoder().decode(type, from: Data(answer.text.utf8))
    }

    /// The page as the browser has it once its data is there. With `RELAYD_SCREENSHOTS`, a directory, a picture of it too.
    private func document(at place: String, of bed: Testbed) async throws -> String {
        let directory = try TemporaryDirectory("chromium")
        defer { directory.remove() }
        let flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--user-data-dir=\(directory.path)", "--virtual-time-budget=2500", "--window-size=1300,900",
        ]
        let address = "http://\(bed.host):8380/\(place)"
        if let pictures = ProcessInfo.processInfo.environment["RELAYD_SCREENSHOTS"] {
            let name = place.filter { $0.isLetter }
            _ = try await run("chromium", flags + ["--screenshot=\(pictures)/\(name).png", address], within: .seconds(60))
        }
        let result = try await run("chromium", flags + ["--dump-dom", address], within: .seconds(60))
        guard result.code == 0 else { throw SocketError(description: "chromium: \(result.errors.suffix(2_000))") }
        #expect(result.output.contains("data-ready=\"yes\""), "the page got no answer")
        return result.output
    }
}
