import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("relayctl why, with real peers", .inTurn, .serialized, .needs(.sipp))
struct WhyTests {
    @Test("a normal call, calls of which one side or none sends RTP, and one in a codec the other side did not list")
    func media() async throws {
        try await Testbed.with { bed in
            let cases: [(caller: String, callee: String, verdict: CallVerdict, words: String)] = [
                ("caller-hangs-up-rtp", "callee-stays-rtp", .normal, "heard in both directions"),
                ("caller-hangs-up-rtp", "callee-stays", .oneWayFromStart, "ever came from the callee"),
                ("caller-hangs-up", "callee-stays-rtp", .oneWayFromStart, "ever came from the caller"),
                ("caller-hangs-up", "callee-stays", .noMedia, "from either side"),
                ("caller-hangs-up-rtp", "callee-answers-g729-rtp", .codecMismatch, "payload type 0"),
            ]
            for (index, expected) in cases.enumerated() {
                let callee = try await bed.callee(expected.callee)
                let caller = try await bed.caller(expected.caller) { $0.hangsUpWhenTold = true }
                try await bed.daemon.talks { call in
                    call.fromCaller.packets >= (expected.caller.hasSuffix("-rtp") ? 100 : 0)
                        && call.fromCallee.packets >= (expected.callee.hasSuffix("-rtp") ? 100 : 0)
                }
                try caller.hangUp()
                try await caller.succeeds()
                try await callee.succeeds()
                let record = try #require(try await bed.daemon.records(count: index + 1).first)
                #expect(record.verdict == expected.verdict, "\(record.explanation ?? "")")
                #expect(record.explanation?.contains(expected.words) == true, "\(record.explanation ?? "")")
                let explanation = try await bed.why(record.callerCallID)
                #expect(explanation.verdict == expected.verdict && explanation.recordID == record.id)
                #expect(explanation.ladder.contains { $0.text == "ACK" && $0.leg == .callee })
                if expected.verdict == .normal {
                    let timeline = try #require(explanation.fromCaller?.timeline)
                    #expect(timeline.packets.contains { $0 >= 45 })
                    #expect(explanation.lints.isEmpty, "\(explanation.lints)")
                    let text = try await bed.daemon.relayctl(["why", record.id])
                    #expect(text.output.contains("caller  ") && text.output.contains("###"))
                    let stored = try await bed.daemon.relayctl(["records"])
                    #expect(stored.output.contains("VERDICT") && stored.output.contains(" normal"))
                }
            }
            let oneWay = try await bed.daemon.relayctl(["records", "--verdict", "one_way_from_start", "--csv"])
            #expect(oneWay.output.split(separator: "\r\n").count == 3, "a header and two calls: \(oneWay.output)")
            #expect(oneWay.output.contains(",verdict,explanation,") && oneWay.output.contains(",one_way_from_start,"))
            let report = try await bed.daemon.relayctl(["report", "--by", "verdict"])
            #expect(report.output.contains("one_way_from_start") && report.output.contains("codec_mismatch"), "\(report.output)")
            let wrong = try await bed.daemon.relayctl(["records", "--verdict", "one_way"])
            #expect(wrong.code != 0 && wrong.errors.contains("one_way_later"), "\(wrong.errors)")
        }
    }

    @Test("a live call whose callee's RTP port has closed, told by ICMP")
    func portClosed() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let id = try #require(try bed.daemon.control.calls().first?.id)
            call.calleeMedia.close()
            let explanation = try await eventually("a verdict on the closed port", within: .seconds(40)) {
                let explanation = try await bed.why(id)
                return explanation.verdict == .portClosed ? explanation : nil
            }
            #expect(explanation.sentence.contains("callee's RTP stopped") && explanation.releaseAt == nil)
            #expect(explanation.fromCallee?.portClosed ?? 0 > 10)
            #expect(explanation.lints.contains { $0.code == "port_closed" })
            _ = try await bed.daemon.relayctl(["hangup", id])
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
        }
    }

    @Test("a callee whose Contact cannot be reached, while the call is up and after")
    func unreachableContact() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-contact-unreachable") { $0.hangsUpWhenTold = true }
            let caller = try await bed.caller("caller-stays")
            let live = try await eventually("a verdict on the live call", within: .seconds(40)) {
                guard let id = try bed.daemon.control.calls().first?.id else { return nil as CallExplanation? }
                let explanation = try await bed.why(id)
                return explanation.verdict == .privateContact ? explanation : nil
            }
            #expect(live.sentence.contains("127.9.9.9:9") && live.releaseAt == nil)
            #expect(live.missing?.leg == .callee)
            try callee.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.verdict == .privateContact, "\(record.explanation ?? "")")
        }
    }

    @Test("attempts that fail: refused codecs, busy, no response, no route, a limit")
    func failures() async throws {
        try await Testbed.with({ settings in
            settings.trunks[0].lines = ["sources = [\"\(settings.listen.ip)\"]"]
            settings.trunks[1].prefixes = ["49"]
            settings.trunks[1].lines = ["capacity = 1"]
            settings.trunks.append(
                .init("silent", SocketAddress(ip: settings.listen.ip, port: 5081), prefixes: ["44"], lines: ["invite_timeout = 1"]))
        }) { bed in
            func attempt(_ number: Int, _ callee: String?, to called: String = "4930123456", from address: SocketAddress? = nil) async throws -> CallRecord {
                var peer: SIPp?
                if let callee { peer = try await bed.callee(callee) }
                let caller = try await bed.caller("caller-is-refused") {
                    $0.calledNumber = called
                    if let address { $0.address = address }
                }
                try await caller.succeeds()
                try await peer?.succeeds()
                return try #require(try await bed.daemon.records(count: number).first)
            }
            let codecs = try await attempt(1, "callee-refuses-488")
            #expect(codecs.verdict == .codecMismatch && codecs.explanation?.contains("488") == true)
            #expect(try await attempt(2, "callee-refuses-486").verdict == .busy)
            let silent: CallRecord
            do {
                let socket = try UDPSocket(SocketAddress(ip: bed.host, port: 5081))
                silent = try await attempt(3, nil, to: "44123")
                #expect(socket.receive() != nil)
            }
            #expect(silent.verdict == .noResponse && silent.explanation?.contains("\(bed.host):5081") == true)
            let silentWhy = try await bed.why(silent.id)
            #expect(silentWhy.missing?.leg == .callee && silentWhy.advice != nil)
            #expect(try await attempt(4, nil, to: "1800555").verdict == .noRoute)

            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            #expect(try await attempt(5, nil, from: SocketAddress(ip: bed.host, port: 5071)).verdict == .allRoutesBusy)
            let id = try #require(try bed.daemon.control.calls().first { $0.state == .connected }?.id)
            _ = try await bed.daemon.relayctl(["hangup", id])
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    @Test("after a restart the record still has the verdict")
    func recordOnly() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-refuses-404")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            _ = try await bed.daemon.stop()
            let again = try await Daemon.start(bed.daemon.settings, in: bed.daemon.directory)
            let result = try await again.relayctl(["why", record.id])
            #expect(result.output.contains("number_unknown") && result.output.contains("only the record is left"), "\(result.output)\(result.errors)")
            let unknown = try await again.relayctl(["why", "nobody"])
            #expect(unknown.code == 1 && unknown.errors.contains("nobody"))
            _ = try await again.stop()
        }
    }
}
