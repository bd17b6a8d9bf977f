import Core
import Harness
import Testing

/// What is lost on the way to or from a peer looks, from here, like a peer that is late: the scenarios play that.
@Suite("lost messages", .inTurn, .serialized, .needs(.sipp))
struct LossTests {
    @Test("a lost INVITE is sent again and the call goes through")
    func lostInvite() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-misses-first-invite") { $0.hangsUpWhenTold = true }
            let caller = try await bed.caller("caller-hangs-up") { $0.pause = .milliseconds(300) }
            try await eventually("it has come twice") { callee.receptions("INVITE").count >= 2 }
            try callee.hangUp()  // its scenario answers then
            try await caller.succeeds()
            try await callee.succeeds()
            let invites = callee.receptions("INVITE")
            #expect(Set(invites.map(\.text)).count == 1, "a retransmission is the same, octet for octet")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("a lost 200, or a lost ACK, makes relayd send its 200 again")
    func lostAnswer() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-acknowledges-late") { $0.hangsUpWhenTold = true }
            func answers() -> [TracedMessage] { caller.receptions("200 OK").filter { $0.transactionMethod == "INVITE" } }
            // At 0, 0.5 and 1.5 s (RFC 3261 section 13.3.1.4).
            try await eventually("the answer has come three times") { answers().count >= 3 }
            try caller.hangUp()  // its scenario acknowledges then
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(Set(answers().map(\.text)).count == 1)
            #expect(callee.received("ACK").count == 1, "the callee's own ACK waits for nobody")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }
}

@Suite("no ACK at all", .inTurn, .needs(.sipp))
struct MissingAcknowledgementTests {
    @Test("without an ACK both legs are hung up after 64 x T1, and the record says so")
    func ackMissing() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-never-acknowledges")
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectConsistent(with: bed, callerCallID: caller.callID, calleeCallID: callee.callID)
            record.expectOutcome(.ackMissing, sip: 200, q850: 102, by: .relayd)
            #expect(record.verdict == .ackLost && record.explanation?.contains("\(bed.daemon.sipAddress)") == true)
            let answers = caller.received("200 OK").filter { $0.transactionMethod == "INVITE" }
            let bye = try #require(caller.received("BYE").first)
            let wait = Double(bye.microseconds - answers[0].microseconds) / 1e6
            #expect(wait >= 31.9 && wait < 45, "64 x T1 is 32 s; it took \(wait) s")
            #expect(bye.q850Cause == 102)
            #expect(callee.received("BYE").first?.q850Cause == 102)
        }
    }
}
