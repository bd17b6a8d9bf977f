import Core
import Foundation
import Harness
import Testing

@Suite("strangers", .inTurn, .serialized, .needs(.sipp))
struct StrangerTests {
    @Test("sipsak, as monitoring uses it, is content where sip.monitors names it, and is not where nothing does", .needs(.sipsak))
    func monitors() async throws {
        // It sends from the loopback's own address.
        try await Testbed.with({ $0.sip = ["monitors = [\"127.0.0.1\"]"] }) { bed in
            let target = "sip:\(bed.daemon.sipAddress)"
            #expect(try await run("/usr/bin/env", ["sipsak", "-s", target], within: .seconds(20)).code == 0)
            #expect(try bed.daemon.control.counter(.sipMonitorsAnswered) == 1)
            #expect(try bed.daemon.control.counter(.sipUnknownSource) == 0)
            let path = bed.daemon.directory.file("relayd.toml")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            try text.replacing("\"127.0.0.1\"", with: "\"127.0.0.2\"").write(toFile: path, atomically: true, encoding: .utf8)
            #expect(try await bed.daemon.relayctl(["reload"]).output.contains("sip.monitors"))
            let refused = try await run("/usr/bin/env", ["sipsak", "-vv", "-s", target], within: .seconds(20))
            #expect(refused.code != 0 && refused.output.contains("403 Forbidden"), "\(refused.output)")
            #expect(try bed.daemon.control.counter(.sipUnknownSource) == 1)
        }
    }

    @Test(
        "a stranger who sprays every relay port from before the first packet on hears nothing and is heard by nobody",
        arguments: [Stranger.Pattern.random, .consecutive])
    func sprayed(pattern: Stranger.Pattern) async throws {
        try await Testbed.with({ $0.mediaPorts = 10_000...10_019 }) { bed in
            let ports = bed.daemon.settings.mediaPorts.map { SocketAddress(ip: bed.host, port: $0) }
            let stranger = try Stranger(on: Loopback.host(), targets: ports, pattern: pattern)
            defer { stranger.close() }
            try await eventually("he sprays") { stranger.sent > 0 }
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            let beforeMedia = stranger.sent
            try await eventually("some rounds between the answer and the first packet") {
                stranger.sent >= beforeMedia + 20 * ports.count
            }
            let media = try await call.exchange(packets: 100)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            for (media, relay) in [
                (call.callerMedia, call.relayTowardsCaller), (call.calleeMedia, call.relayTowardsCallee),
            ] {
                #expect(media.heard.sources == [relay])
                #expect(media.heard.foreign == 0)
                #expect(media.heard.senderReportSources.isEmpty, "nobody sent RTCP")
                #expect(media.heard.altered == 0)
            }
            #expect(stranger.received == 0)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.fromCaller.packets == UInt64(call.callerMedia.sentCount))
            #expect(record.fromCallee.packets == UInt64(call.calleeMedia.sentCount))
            #expect(try bed.daemon.control.counter(.droppedStranger) > 0)
        }
    }

    @Test("a stranger does not keep a silent call alive")
    func keepsNothingAlive() async throws {
        try await Testbed.with({
            $0.mediaPorts = 10_000...10_019
            $0.noMediaTimeout = 5
        }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            call.stopMedia()
            let ports = bed.daemon.settings.mediaPorts.map { SocketAddress(ip: bed.host, port: $0) }
            let stranger = try Stranger(on: Loopback.host(), targets: ports, pattern: .consecutive)
            defer { stranger.close() }
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.noMedia, sip: 200, by: .relayd)
            #expect(stranger.received == 0)
            #expect(call.callerMedia.heard.foreign == 0 && call.calleeMedia.heard.foreign == 0)
        }
    }
}
