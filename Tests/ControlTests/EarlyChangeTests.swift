import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

/// Offers and answers before the call is answered (RFC 3262 §5, RFC 3311).
@Suite struct EarlyChangeTests {
    private static let allow = [("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")]
    private static let hold = "m=audio 42000 RTP/AVP 8 0 101\r\na=sendonly\r\n"

    /// Both sides know reliable responses and UPDATE, unless a test spoils it, and the callee rings for ten seconds.
    private static func script(_ adjust: (inout CallScript) -> Void = { _ in }) -> CallScript {
        var script = CallScript()
        script.callerReliability = .supported
        script.ringsReliably = true
        script.hasEarlyMedia = true
        script.ringing = [183]
        script.answerDelay = .seconds(10)
        script.offerHeaders = allow
        script.ringingHeaders = allow
        adjust(&script)
        return script
    }

    private static func ring(_ script: CallScript, seed: UInt64, _ configure: (SimulatedWorld) -> Void = { _ in }) -> (
        world: SimulatedWorld, caller: Caller, callee: Callee
    ) {
        let world = SimulatedWorld(seed: seed)
        configure(world)
        let caller = world.placeCall(script)
        world.run(for: .seconds(1))
        return (world, caller, world.callees[0])
    }

    private static func answersOfRelayd(_ world: SimulatedWorld, status: Int = 200) -> [SIPMessage] {
        world.traffic.filter {
            !$0.isReceived && $0.peer == SimulatedWorld.callerAddress && $0.message.method == .invite && $0.message.status == status
        }.map(\.message)
    }

    private static func expectAgreement(_ world: SimulatedWorld, _ caller: Caller, _ callee: Callee) {
        #expect(caller.midDialog.remoteTitle == callee.midDialog.ownTitle)
        #expect(callee.midDialog.remoteTitle == caller.midDialog.ownTitle)
    }

    private static func finish(_ world: SimulatedWorld, cause: ReleaseCause = .operatorHangup) {
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [] && world.records.map(\.cause) == [cause])
    }

    @Test("an UPDATE before the answer passes to the other side, and the answer repeats no description", arguments: Leg.allCases)
    func update(leg: Leg) throws {
        let (world, caller, callee) = Self.ring(Self.script(), seed: 1)
        let (asking, asked): (Peer, Peer) = leg == .caller ? (caller, callee) : (callee, caller)
        let update = asking.ask(.update, offer: Self.hold)
        world.run(for: .seconds(1))
        #expect(update.status == 200 && update.finalCount == 1)
        let passed = try #require(asked.midDialog.received.first)
        #expect(passed.method == .update && passed.first(.sessionExpires) == nil)
        let offer = try SessionDescription(parsing: passed.body)
        #expect(offer.media[0].direction == .sendonly && offer.media[0].rtpAddress?.ip == SimulatedWorld.relayd.ip)
        #expect(update.response?.first(.sessionExpires) == nil && update.response?.contact?.uri.socketAddress == SimulatedWorld.relayd)
        Self.expectAgreement(world, caller, callee)
        #expect(caller.finalStatus == nil)
        // The relay waits for the asking side where it says now.
        let expected = world.commands.compactMap { command -> UInt16? in
            guard case .expect(_, leg, let source) = command else { return nil }
            return source.rtp.port
        }
        #expect(expected.last == 42_000)

        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200 && Self.answersOfRelayd(world).allSatisfy(\.body.isEmpty))
        #expect(world.commands.compactMap { command -> UInt16? in
            guard case .expect(_, leg, let source) = command else { return nil }
            return source.rtp.port
        }.last == 42_000)
        Self.expectAgreement(world, caller, callee)
        // Resumed by a re-INVITE, as always.
        let resume = asking.ask(.invite, offer: "")
        world.run(for: .seconds(1))
        #expect(resume.status == 200 && world.events.last { $0.name == .callChanged }?.fields["hold"] == "none")
        Self.expectAgreement(world, caller, callee)
        Self.finish(world)
    }

    @Test("two UPDATEs at once, and two that cross")
    func glare() {
        let (world, caller, callee) = Self.ring(Self.script(), seed: 2)
        callee.midDialog.reply = .acceptLater(.seconds(1))
        let first = caller.ask(.update, offer: "")
        world.run(for: .milliseconds(100))
        let second = caller.ask(.update, offer: "")
        let crossing = callee.ask(.update, offer: "")
        world.run(for: .seconds(3))
        #expect(second.status == 500 && second.response?.number(.retryAfter) != nil)
        #expect(crossing.status == 491)
        // The callee asks itself at that moment, and so says 491, which is passed back.
        #expect(first.status == 200 || first.status == 491)
        Self.finish(world)
    }

    @Test("too early: nothing was agreed on yet, or only on the one leg", arguments: Leg.allCases)
    func tooEarly(leg: Leg) {
        // Whose UPDATE comes before the offer of the INVITE has its reliable answer.
        let unreliable = Self.script { $0.ringsReliably = false; $0.callerReliability = leg == .caller ? .require : nil }
        let (world, caller, callee) = Self.ring(unreliable, seed: 3)
        let update = (leg == .caller ? caller : callee as Peer).ask(.update, offer: "")
        let reinvite = (leg == .caller ? caller : callee as Peer).ask(.invite, offer: "")
        world.run(for: .seconds(1))
        // The caller has its answer, from relayd; the callee has none to give before it answers.
        #expect(update.status == (leg == .caller ? 504 : 491))
        #expect(reinvite.status == (leg == .caller ? 500 : 491))
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200)
        Self.finish(world)
    }

    @Test("a side that cannot be asked: without UPDATE in its Allow, or without reliable responses", arguments: [0, 1, 2])
    func unable(index: Int) {
        let script = Self.script {
            switch index {
            case 0: $0.ringingHeaders = []
            case 1: $0.offerHeaders = []
            default: $0.callerReliability = nil
            }
        }
        let (world, caller, callee) = Self.ring(script, seed: 4)
        let update = (index == 0 ? caller : callee as Peer).ask(.update, offer: "")
        world.run(for: .seconds(1))
        #expect(update.status == 504)
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200 && Self.answersOfRelayd(world).allSatisfy { !$0.body.isEmpty })
        Self.finish(world)
    }

    @Test("a refused UPDATE leaves the early session as it was, and the call goes on", arguments: [488, 481, 408])
    func refused(status: Int) {
        let (world, caller, callee) = Self.ring(Self.script(), seed: 5)
        callee.midDialog.reply = .refuse(status)
        let update = caller.ask(.update, offer: Self.hold)
        world.run(for: .seconds(1))
        #expect(update.status == status)
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200 && world.presentCalls.count == 1)
        #expect(caller.midDialog.remoteTitle == "You answer" && callee.midDialog.remoteTitle == "Ada calls")
        Self.finish(world)
    }

    @Test("the call ends, or is answered, while an UPDATE waits for its answer", arguments: [true, false])
    func overtaken(isCancelled: Bool) {
        let (world, caller, callee) = Self.ring(Self.script(), seed: 6)
        callee.midDialog.reply = .acceptLater(.seconds(12))
        let update = caller.ask(.update, offer: Self.hold)
        world.run(for: .seconds(1))
        if isCancelled { caller.cancel() }
        world.run(for: .seconds(14))
        #expect(update.finalCount == 1 && update.status == (isCancelled ? 487 : 200))
        #expect(caller.finalStatus == (isCancelled ? 487 : 200))
        if !isCancelled { Self.expectAgreement(world, caller, callee) }
        Self.finish(world, cause: isCancelled ? .callerCancelled : .operatorHangup)
    }

    @Test("an early session that was changed ends with its route: the next one gets the offer of the INVITE")
    func failsOver() throws {
        let script = Self.script { $0.answer = .reject(503); $0.otherAnswer = .accept; $0.answerDelay = .seconds(3); $0.calleeSendsMedia = false }
        let world = SimulatedWorld(seed: 7) {
            $0.trunks.append(.init(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"]))
            $0.trunks[2].priority = 9
        }
        let caller = world.placeCall(script)
        world.run(for: .seconds(1))
        let update = caller.ask(.update, offer: Self.hold)
        world.run(for: .seconds(9))
        #expect(update.status == 200 && caller.finalStatus == 200 && world.callees.count == 2)
        #expect(MidDialog.title(of: world.callees[1].invite.body) == "Ada calls")
        let expected = world.commands.compactMap { command -> UInt16? in
            guard case .expect(_, .caller, let source) = command else { return nil }
            return source.rtp.port
        }
        #expect(expected.contains(42_000) && expected.last == 40_000)
        #expect(Self.answersOfRelayd(world).allSatisfy { !$0.body.isEmpty })
        Self.finish(world)
    }

    @Test("an offer in the caller's PRACK passes to the callee by UPDATE; the PRACK's 200 has the answer")
    func offerInPRACK() throws {
        let (world, caller, callee) = Self.ring(Self.script { $0.offersInPRACK = true }, seed: 8)
        let prack = try #require(caller.midDialog.sent.first)
        #expect(prack.message.method == .prack && prack.status == 200 && prack.finalCount == 1)
        #expect(callee.midDialog.received.map(\.method) == [.update])
        Self.expectAgreement(world, caller, callee)
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200 && Self.answersOfRelayd(world).allSatisfy(\.body.isEmpty))
        Self.finish(world)
    }

    @Test("where the callee cannot be asked, or refuses, its first answer answers the PRACK's offer, if it fits", arguments: [
        (true, "", 200), (false, "", 200), (false, "m=audio 42000 RTP/AVP 8\r\n", 488), (false, hold, 488),
    ] as [(Bool, String, Int)])
    func offerStays(asks: Bool, offer: String, status: Int) throws {
        let script = Self.script { $0.acknowledgesReliably = false; if !asks { $0.ringingHeaders = [] } }
        let (world, caller, callee) = Self.ring(script, seed: 9)
        callee.midDialog.reply = .refuse(488)
        let sequence = try #require(Self.answersOfRelayd(world, status: 183).first?.number(.rseq))
        let prack = caller.ask(.prack, offer: offer, headers: [("RAck", "\(sequence) 1 INVITE")])
        world.run(for: .seconds(1))
        #expect(prack.status == status && callee.midDialog.received.count == (asks ? 1 : 0))
        if status == 200 { #expect(caller.midDialog.remoteTitle == "You answer") }
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200)
        Self.finish(world)
    }

    @Test("without an offer in the INVITE: the callee's reliable response makes it, the caller's PRACK answers", arguments: [
        HeaderName.supported, .require,
    ])
    func offerInResponse(reliability: HeaderName) throws {
        let (world, caller, callee) = Self.ring(Self.script { $0.offers = false; $0.callerReliability = reliability }, seed: 10)
        #expect(callee.invite.body.isEmpty && callee.invite.hasToken("100rel", in: .supported))
        let offered = try #require(Self.answersOfRelayd(world, status: 183).first)
        #expect(MidDialog.title(of: offered.body) == "You answer" && offered.hasToken("100rel", in: .require))
        #expect(caller.midDialog.sent[0].status == 200 && callee.isRungReliably)
        #expect(MidDialog.title(of: callee.earlyAnswer) == "Ada answers")
        let answer = try SessionDescription(parsing: callee.earlyAnswer[...])
        #expect(answer.media[0].rtpAddress?.ip == SimulatedWorld.relayd.ip)
        // Then either side may ask anew.
        let update = callee.ask(.update, offer: Self.hold)
        world.run(for: .seconds(1))
        #expect(update.status == 200)
        Self.expectAgreement(world, caller, callee)
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200 && Self.answersOfRelayd(world).allSatisfy(\.body.isEmpty))
        let acknowledgements = world.traffic.filter { $0.peer == SimulatedWorld.calleeAddress && $0.message.method == .ack && $0.message.isRequest }
        #expect(acknowledgements.count == 1 && acknowledgements[0].message.body.isEmpty)
        Self.expectAgreement(world, caller, callee)
        Self.finish(world)
    }

    @Test("a caller without an offer that wants only reliable responses gets none that makes none")
    func nothingToOffer() {
        let script = Self.script { $0.offers = false; $0.callerReliability = .require; $0.ringsReliably = false; $0.hasEarlyMedia = false }
        let (world, caller, _) = Self.ring(script, seed: 11)
        world.run(for: .seconds(11))
        #expect(caller.statuses == [100, 200])
        #expect(Self.answersOfRelayd(world).allSatisfy { !$0.body.isEmpty })
        Self.finish(world)
    }

    @Test("a caller that never answers the offer in a reliable response ends the call")
    func forgottenAnswer() {
        let (world, caller, _) = Self.ring(Self.script { $0.offers = false; $0.forgetsAnswer = true }, seed: 12)
        world.run(for: .seconds(3))
        #expect(caller.finalStatus == 488)
        Self.finish(world, cause: .mediaNotAcceptable)
    }
}
