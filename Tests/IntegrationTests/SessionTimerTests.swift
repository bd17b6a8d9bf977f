import ControlProtocol
import Core
import Harness
import Testing

/// The shortest session there may be lasts 90 s (RFC 4028 §4), so this test waits for a minute and does nothing meanwhile. It
/// takes no turn: it begins with the run and idles beside the others.
@Suite("session timers with real peers", .needs(.sipp))
struct SessionTimerTests {
    @Test("relayd refreshes both legs by UPDATE; the callee never answers, so the session expires, and the record says why")
    func refresh() async throws {
        try await Testbed.with({ settings in
            settings.sip = ["session_timer = 90"]
            settings.noMediaTimeout = 0
        }) { bed in
            let callee = try await bed.callee("callee-ignores-refresh") { $0.limit = .seconds(150) }
            let caller = try await bed.caller("caller-is-refreshed") { $0.limit = .seconds(150) }
            try await caller.succeeds()
            try await callee.succeeds()

            #expect(callee.received("INVITE").first?.header("Session-Expires") == "90;refresher=uac")
            let answer = try #require(caller.received("200 OK").first { $0.transactionMethod == "INVITE" })
            #expect(answer.header("Session-Expires") == "90;refresher=uas" && answer.header("Require") == "timer")
            let refreshes = caller.received("UPDATE")
            #expect(refreshes.count == 1 && refreshes.first?.header("Session-Expires") == "90;refresher=uac")
            #expect(refreshes.first?.header("Content-Length") == "0")
            let wait = try Double(#require(refreshes.first).microseconds - answer.microseconds) / 1e6
            #expect(wait >= 44.9 && wait < 60, "at half the interval; it took \(wait) s")

            #expect(callee.receptions("UPDATE").count > 3, "it is repeated")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == .sessionTimeout && record.endedBy == .relayd)
            #expect(record.durationMilliseconds >= 59_999 && record.durationMilliseconds < 75_000, "90 s less a third of it: \(record.durationMilliseconds) ms")
            #expect(record.verdict == .refreshUnanswered, "\(record.explanation ?? "")")
            #expect(record.explanation?.contains("callee did not answer the session refresh") == true)
            let why = try await bed.why(record.id)
            #expect(why.missing?.leg == .callee && why.missing?.text == "an answer to UPDATE")
            #expect(try bed.daemon.control.counter(.sessionRefreshes) == 2)
        }
    }

    @Test("a callee that takes no UPDATE is refreshed by re-INVITE, with the description it had")
    func refreshByReinvite() async throws {
        try await Testbed.with({ settings in
            settings.sip = ["session_timer = 90"]
            settings.trunks[0].lines = ["session_timer = 0"]
            settings.noMediaTimeout = 0
        }) { bed in
            let callee = try await bed.callee("proxied-callee-stays") { $0.limit = .seconds(150) }
            let caller = try await bed.caller("caller-hangs-up") {
                $0.hangsUpWhenTold = true
                $0.limit = .seconds(150)
            }
            let refresh = try await callee.receives("a re-INVITE", within: .seconds(70)) { $0.header("CSeq") == "2 INVITE" }
            let invite = try #require(callee.received("INVITE").first)
            let wait = Double(refresh.microseconds - invite.microseconds) / 1e6
            #expect(wait >= 44.9 && wait < 60, "at half the interval; it took \(wait) s")
            #expect(refresh.header("Session-Expires") == "90;refresher=uac")
            #expect(refresh.mediaAddress == invite.mediaAddress && refresh.sdpLines("o=") == invite.sdpLines("o="))
            try await eventually("its 200 is acknowledged") { callee.received("ACK").count == 2 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("INVITE").isEmpty)
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(try bed.daemon.control.counter(.sessionRefreshes) == 1)
        }
    }
}
