import ControlProtocol
import Core
import Harness
import Testing

@Suite("digits", .inTurn, .serialized, .needs(.sipp))
struct DigitTests {
    @Test("a carrier that speaks INFO and a customer that speaks telephone-event hear each other's digits")
    func converts() async throws {
        try await Testbed.with({ settings in
            settings.trunks[1].lines.append("dtmf = \"info\"")
        }) { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-stays", callee: "callee-sends-info", hangsUpWhenTold: .callee)
            let invite = try #require(call.callee.received("INVITE").first)
            #expect(invite.sdpLines("m=audio")[0].hasSuffix("RTP/AVP 0") && invite.sdpLines("a=rtpmap:101").isEmpty)
            let answer = try #require(call.caller.received("200 OK").first)
            #expect(answer.sdpLines("a=rtpmap:101") == [" telephone-event/8000"])
            #expect(answer.sdpLines("a=fmtp:101") == [" 0-15"])
            try await call.startMedia()
            call.callerMedia.press(7)
            let info = try await call.callee.receives("INFO") { $0.method == "INFO" }
            #expect(info.header("Content-Type") == "application/dtmf-relay")
            #expect(info.body.contains("Signal=7\r\nDuration=120") || info.body.contains("Signal=7\nDuration=120"))
            // Its own digit follows, and is heard in its stream, between its packets.
            try await eventually("the caller hears the key") { call.callerMedia.heard.keys == [5] }
            #expect(call.calleeMedia.heard.keys.isEmpty)
            #expect(call.callerMedia.heard.foreign == 0 && call.callerMedia.heard.altered == 0)
            let summary = try #require(try bed.daemon.control.calls().first)
            let shown = try await bed.daemon.relayctl(["call", summary.id])
            #expect(shown.output.contains("caller passthrough, 1 converted; callee info, 1 converted"))
            call.stopMedia()
            try call.hangUp()
            try await call.callee.succeeds()
            try await call.caller.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .callee)
        }
    }
}
