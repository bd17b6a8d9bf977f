import Core
import Harness
import Testing

@Suite("calls that change", .inTurn, .serialized, .needs(.sipp))
struct SessionChangeTests {
    @Test("a re-INVITE holds the call and another one resumes it, on the same ports without a lost packet")
    func hold() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-holds", callee: "proxied-callee-stays", pause: .milliseconds(700),
                hangsUpWhenTold: .caller)
            let media = try await call.exchange(packets: 100)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            let offers = try await call.hangUp(afterOffers: 3)
            #expect(offers.count == 3)
            #expect(Set(offers.map(\.mediaAddress)) == [call.relayTowardsCallee])
            #expect(offers.map { $0.sdpLines("a=sendonly").count } == [0, 1, 0])
            #expect(offers.map { $0.header("CSeq") } == ["1 INVITE", "2 INVITE", "3 INVITE"])
            #expect(offers.allSatisfy { $0.header("Session-Expires") == "1800;refresher=uac" })
            let answers = call.caller.received("200 OK").filter { $0.transactionMethod == "INVITE" }
            #expect(answers.count == 3 && Set(answers.map(\.mediaAddress)) == [call.relayTowardsCaller])
            #expect(call.callee.received("ACK").count == 3)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("a re-INVITE of the callee passes to the caller; each leg keeps its port")
    func calleeReoffers() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-answers-reoffer", callee: "proxied-callee-reoffers", pause: .milliseconds(400),
                hangsUpWhenTold: .callee)
            let media = try await call.exchange(packets: 50)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            try await eventually("the callee has its answer") { !call.callee.sent("ACK").isEmpty }
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            #expect(call.caller.received("INVITE").map(\.mediaAddress) == [call.relayTowardsCaller])
            let answer = call.callee.received("200 OK").first { $0.transactionMethod == "INVITE" }
            #expect(answer?.mediaAddress == call.relayTowardsCallee)
        }
    }

    @Test("an offer in the 200 and its answer in the ACK: each side is told its own leg's port")
    func lateOffer() async throws {
        try await Testbed.with { bed in
            let callerMedia = try MediaEndpoint(on: bed.host, call: 7, party: .caller)
            let calleeMedia = try MediaEndpoint(on: bed.host, call: 7, party: .callee)
            defer {
                callerMedia.close()
                calleeMedia.close()
            }
            let callee = try await bed.callee("proxied-callee-stays") { $0.media = calleeMedia.address }
            let caller = try await bed.caller("proxied-caller-offers-nothing") {
                $0.media = callerMedia.address
                $0.hangsUpWhenTold = true
            }
            let offer = try await caller.receives("200 with SDP") { $0.status == 200 && $0.mediaAddress != nil }
            let answer = try await callee.receives("ACK with SDP") { $0.method == "ACK" && $0.mediaAddress != nil }
            #expect(callee.received("INVITE").first?.mediaAddress == nil)
            #expect(offer.mediaAddress?.ip == bed.host && answer.mediaAddress?.ip == bed.host)
            #expect(offer.mediaAddress != answer.mediaAddress)
            callerMedia.start(to: try #require(offer.mediaAddress))
            calleeMedia.start(to: try #require(answer.mediaAddress))
            try await eventually("each party hears the other") {
                !callerMedia.heard.numbers.isEmpty && !calleeMedia.heard.numbers.isEmpty
            }
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
}
