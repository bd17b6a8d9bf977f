import Control
import ControlProtocol
import Core
import SIP
import Testing

/// PRACK (RFC 3262) on each leg by itself.
@Suite struct ReliableProvisionalTests {
    private static func script(_ caller: HeaderName?, callee: Bool, earlyMedia: Bool = true) -> CallScript {
        var script = CallScript()
        script.callerReliability = caller
        script.ringsReliably = callee
        script.hasEarlyMedia = earlyMedia
        script.ringing = [183]
        return script
    }

    private static func provisionals(_ world: SimulatedWorld) -> [SIPMessage] {
        world.traffic.filter { !$0.isReceived && $0.message.status == 183 }.map(\.message)
    }

    @Test("both know it: the callee gets its PRACK at once, the caller a reliable response of relayd's own", arguments: [
        HeaderName.supported, .require,
    ])
    func bothLegs(reliability: HeaderName) throws {
        let world = SimulatedWorld(seed: 1)
        let (caller, callee) = world.establishCall(Self.script(reliability, callee: true))
        #expect(callee.isRungReliably && caller.pracked.count == 1 && caller.finalStatus == 200)
        let sent = Self.provisionals(world)
        #expect(sent.count == 1 && sent[0].hasToken("100rel", in: .require) && sent[0].number(.rseq) == caller.pracked.first)
        #expect(caller.midDialog.sent[0].status == 200)
        #expect(!callee.invite.hasToken("100rel", in: .require) && callee.invite.hasToken("100rel", in: .supported))
        // The ACK repeats the CSeq of the INVITE, not that of the PRACK.
        #expect(callee.acknowledgements == 1)
        caller.hangUp()
        world.run(for: .seconds(1))
        world.checkEnd()
        #expect(world.problems == [] && world.records.map(\.cause) == [.normal])
    }

    @Test("only the callee knows it: PRACK to the callee, a plain response to the caller")
    func calleeOnly() {
        let world = SimulatedWorld(seed: 2)
        let (caller, callee) = world.establishCall(Self.script(nil, callee: true))
        #expect(callee.isRungReliably && caller.finalStatus == 200)
        #expect(Self.provisionals(world).allSatisfy { $0.first(.rseq) == nil })
    }

    @Test("the caller insists, the callee does not know it: relayd's own reliable response")
    func callerOnly() {
        let world = SimulatedWorld(seed: 3)
        let (caller, callee) = world.establishCall(Self.script(.require, callee: false))
        #expect(!callee.isRungReliably && caller.pracked.count == 1 && caller.finalStatus == 200)
        #expect(world.problems == [])
    }

    @Test("an answer that comes before the PRACK for a description waits for it")
    func answerWaits() {
        var script = Self.script(.supported, callee: true)
        script.answerDelay = .milliseconds(150)
        let world = SimulatedWorld(seed: 4, latency: .milliseconds(100))
        let caller = world.placeCall(script)
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == 200 && caller.statuses.filter { $0 >= 180 } == [183, 200])
        let order = world.traffic.compactMap { item -> String? in
            if item.isReceived, item.message.method == .prack { return "PRACK" }
            return !item.isReceived && item.peer == SimulatedWorld.callerAddress && item.message.method == .invite
                && item.message.status == 200 ? "200" : nil
        }
        #expect(order.first == "PRACK" && order.contains("200"))
        #expect(world.problems == [])
    }

    @Test("without PRACK the response is repeated with doubling intervals; after 32 s the caller gets 504")
    func prackMissing() throws {
        var script = Self.script(.require, callee: false)
        script.acknowledgesReliably = false
        script.answer = .never
        let world = SimulatedWorld(seed: 5)
        let caller = world.placeCall(script)
        world.run(for: .seconds(40))
        #expect(caller.finalStatus == 504)
        let times = world.traffic.filter { !$0.isReceived && $0.message.status == 183 }.map(\.at)
        #expect(zip(times, times.dropFirst()).map { ($1 - $0).milliseconds } == [500, 1_000, 2_000, 4_000, 8_000, 16_000])
        #expect(world.records.map(\.cause) == [.prackMissing])
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a PRACK for nothing gets 481, one whose offer cannot be read 488 or 415")
    func refused() {
        var script = Self.script(.require, callee: false)
        script.acknowledgesReliably = false
        script.answer = .never
        let world = SimulatedWorld(seed: 6)
        let caller = world.placeCall(script)
        world.run(for: .seconds(1))
        let sequence = Self.provisionals(world)[0].number(.rseq)!
        let wrong = caller.ask(.prack, headers: [("RAck", "\(sequence + 1) 1 INVITE")])
        let missing = caller.ask(.prack)
        let strange = caller.ask(.prack, headers: [("RAck", "\(sequence) 1 INVITE")], body: ("text/plain", "x"))
        world.run(for: .seconds(1))
        #expect(wrong.status == 481 && missing.status == 481 && strange.status == 415)
    }

    @Test("an ACK that never comes is reported with the Contact it should have gone to")
    func ackMissing() throws {
        var script = CallScript()
        script.acknowledges = false
        let world = SimulatedWorld(seed: 7, noMediaTimeout: .zero)
        world.placeCall(script)
        world.run(for: .seconds(40))
        #expect(world.records.map(\.cause) == [.ackMissing])
        let event = try #require(world.events.first { $0.name == .callAckMissing })
        #expect(event.fields["contact"] == "<sip:192.0.2.1:5060>" && event.fields["caller"] == "198.51.100.10:5060")
    }

    @Test("an INVITE of relayd's that comes back by way of a proxy is a loop; with another number it is none", arguments: [
        ("490", 482), ("491", nil),
    ] as [(String, Int?)])
    func loop(number: String, status: Int?) {
        let world = SimulatedWorld(seed: 8)
        world.placeCall()
        world.run(for: .seconds(1))
        let own = world.callees[0].invite.text(.via)!
        let replies = world.exchange(
            """
            INVITE sip:\(number)@192.0.2.1 SIP/2.0
            Via: SIP/2.0/UDP 203.0.113.20:5060;branch=z9hG4bKproxy
            Via: \(own)
            From: <sip:4930@a.example>;tag=again
            To: <sip:\(number)@b.example>
            Call-ID: again@b.example
            CSeq: 1 INVITE
            Contact: <sip:x@203.0.113.20>
            Content-Length: 0


            """, from: SimulatedWorld.calleeAddress)
        #expect(replies.compactMap(\.status).first { $0 >= 200 } == status)
        if status != nil { #expect(world.records.map(\.cause) == [.loopDetected]) }
    }
}
