import Core
import Harness
import Testing

@Suite("offers before the answer, with peers no one here wrote", .inTurn, .serialized, .needs(.sipp))
struct EarlyChangeTests {
    /// Plays a call to its end.
    private func play(
        _ bed: Testbed, _ callerScenario: String, _ calleeScenario: String,
        meanwhile: (_ caller: SIPp, _ callee: SIPp) async throws -> Void = { _, _ in }
    ) async throws -> (caller: SIPp, callee: SIPp) {
        let callee = try await bed.callee(calleeScenario) {
            $0.media = SocketAddress(ip: bed.host, port: 50_002)
        }
        let caller = try await bed.caller(callerScenario) {
            $0.media = SocketAddress(ip: bed.host, port: 50_000)
            $0.pause = .milliseconds(200)
        }
        try await meanwhile(caller, callee)
        try await caller.succeeds()
        try await callee.succeeds()
        let record = try #require(try await bed.daemon.records(count: 1).first)
        record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        return (caller, callee)
    }

    @Test("the caller holds by UPDATE before the answer, and by an offer in its PRACK", arguments: [
        ("caller-updates-early", "UPDATE"), ("caller-offers-in-prack", "PRACK"),
    ])
    func caller(scenario: String, method: String) async throws {
        try await Testbed.with { bed in
            let (caller, callee) = try await play(bed, scenario, "callee-takes-early-update")
            let offer = try #require(callee.received("UPDATE").first)
            #expect(offer.sdpLines("a=sendonly").count == 1 && offer.header("Session-Expires") == nil)
            #expect(offer.mediaAddress == callee.received("INVITE").first?.mediaAddress)
            let answer = try #require(caller.received("200 OK").first { $0.transactionMethod == method && $0.mediaAddress != nil })
            #expect(answer.sdpLines("a=recvonly").count == 1)
            #expect(answer.mediaAddress == caller.received("183 Session Progress").first?.mediaAddress)
            let final = try #require(caller.received("200 OK").first { $0.transactionMethod == "INVITE" })
            #expect(final.mediaAddress == nil && callee.received("PRACK").first?.header("RAck") == "4711 1 INVITE")
        }
    }

    @Test("the callee holds by UPDATE before it answers")
    func callee() async throws {
        try await Testbed.with { bed in
            let (caller, callee) = try await play(bed, "caller-takes-early-update", "callee-updates-early") { caller, callee in
                _ = try await caller.receives("200 to PRACK") { $0.status == 200 && $0.transactionMethod == "PRACK" }
                try callee.proceed(1)
            }
            let offer = try #require(caller.received("UPDATE").first)
            #expect(offer.sdpLines("a=sendonly").count == 1)
            #expect(offer.mediaAddress == caller.received("183 Session Progress").first?.mediaAddress)
            let answer = try #require(callee.received("200 OK").first { $0.transactionMethod == "UPDATE" })
            #expect(answer.sdpLines("a=recvonly").count == 1)
            #expect(answer.mediaAddress == callee.received("INVITE").first?.mediaAddress)
        }
    }

    @Test("without an offer in the INVITE: it comes in the reliable 183, and the answer in the PRACK; media flows both ways")
    func offerInResponse() async throws {
        try await Testbed.with { bed in
            let callerMedia = try MediaEndpoint(on: bed.host, call: 8, party: .caller)
            let calleeMedia = try MediaEndpoint(on: bed.host, call: 8, party: .callee)
            defer {
                callerMedia.close()
                calleeMedia.close()
            }
            let callee = try await bed.callee("callee-offers-reliably") { $0.media = calleeMedia.address }
            let caller = try await bed.caller("caller-answers-in-prack") {
                $0.media = callerMedia.address
                $0.hangsUpWhenTold = true
            }
            let offer = try await caller.receives("183 with SDP") { $0.status == 183 && $0.mediaAddress != nil }
            let answer = try await callee.receives("PRACK with SDP") { $0.method == "PRACK" && $0.mediaAddress != nil }
            #expect(offer.header("Require") == "100rel" && callee.received("INVITE").first?.mediaAddress == nil)
            #expect(callee.received("INVITE").first?.header("Supported")?.contains("100rel") == true)
            callerMedia.start(to: try #require(offer.mediaAddress))
            calleeMedia.start(to: try #require(answer.mediaAddress))
            try await eventually("each party hears the other") {
                !callerMedia.heard.numbers.isEmpty && !calleeMedia.heard.numbers.isEmpty
            }
            _ = try await callee.receives("ACK") { $0.method == "ACK" && $0.mediaAddress == nil }
            callerMedia.stop()
            calleeMedia.stop()
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.fromCaller.packets > 0 && record.fromCallee.packets > 0)
        }
    }

    @Test("a PRACK that is challenged goes out once more with credentials that SIPp accepts")
    func challenge() async throws {
        try await Testbed.with({ $0.trunks[1].lines = ["username = \"relayd\"", "password = \"secret\""] }) { bed in
            let (_, callee) = try await play(bed, "caller-acknowledges-reliably", "callee-challenges-prack")
            let pracks = callee.received("PRACK")
            #expect(pracks.map { $0.header("CSeq") } == ["2 PRACK", "3 PRACK"])
            #expect(pracks.map { $0.header("Authorization") != nil } == [false, true])
            #expect(Set(pracks.map { $0.header("RAck") }) == ["4711 1 INVITE"])
        }
    }
}
