import Core
import Harness
import Testing

@Suite("dialogs with peers no one here wrote", .inTurn, .serialized, .needs(.sipp))
struct DialogTests {
    @Test("a reliable 183 is acknowledged on each leg by itself, with the numbers of that leg")
    func reliable() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-rings-reliably")
            let caller = try await bed.caller("caller-acknowledges-reliably") { $0.pause = .milliseconds(200) }
            try await caller.succeeds()
            try await callee.succeeds()
            let progress = try #require(caller.received("183 Session Progress").first)
            let number = try #require(progress.header("RSeq"))
            #expect(progress.header("Require") == "100rel" && number != "4711" && progress.mediaAddress?.ip == bed.host)
            #expect(callee.received("PRACK").first?.header("RAck") == "4711 1 INVITE")
            #expect(caller.sent("PRACK").first?.header("RAck") == "\(number) 1 INVITE")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("UPDATE holds and resumes a call where the other side allows it, each leg with its own port")
    func update() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: "caller-updates", callee: "callee-takes-updates", hangsUpWhenTold: .caller)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let updates = call.callee.received("UPDATE")
            #expect(updates.count == 2 && Set(updates.map(\.mediaAddress)) == [call.relayTowardsCallee])
            #expect(updates.map { $0.sdpLines("a=sendonly").count } == [1, 0])
            let answers = call.caller.received("200 OK").filter { $0.transactionMethod == "UPDATE" }
            #expect(answers.count == 2 && Set(answers.map(\.mediaAddress)) == [call.relayTowardsCaller])
            #expect(answers.map { $0.sdpLines("a=recvonly").count } == [1, 0])
        }
    }

    @Test("re-INVITEs that cross: the second one gets 491, the first one goes through, and the call goes on")
    func glare() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: "caller-reinvites", callee: "callee-crosses-reinvite", hangsUpWhenTold: .caller)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            #expect(call.callee.received("491 Request Pending").count == 1)
            #expect(call.caller.received("INVITE").isEmpty, "the crossing one is not passed on")
            #expect(call.caller.received("200 OK").filter { $0.transactionMethod == "INVITE" }.count == 2)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("a test call rings, is answered, heard and hung up; relayctl says what came when")
    func testCall() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-stays-rtp")
            let result = try await bed.daemon.relayctl(["probe", "carrier", "--call", "4930123", "--seconds", "3"])
            #expect(result.code == 0, "\(result.errors)")
            try await callee.succeeds()
            for text in ["INVITE sent", "180 Ringing", "200 OK, SDP: PCMU", "first RTP, from \(bed.host)", "BYE sent", "200 OK to BYE"] {
                #expect(result.output.contains(text), "\(result.output)")
            }
            #expect(!result.output.contains(" 0 RTP packets"))
            #expect(try bed.daemon.records().isEmpty, "it is no call of anybody's")
            #expect(try bed.daemon.control.counter(.callsAttempted) == 0)
        }
    }
}
