import Configuration
import Control
import Core
import SIP
import Testing

/// Credentials inside of dialogs, and customers known by theirs.
@Suite struct ChallengeTests {
    /// The callee's side wants credentials for every request inside a dialog.
    private static func challenge(_ world: SimulatedWorld, _ methods: Set<SIP.Method>, accepts: Bool = true) {
        world.answers = { request, destination in
            guard destination == SimulatedWorld.calleeAddress, request.toTag != nil, methods.contains(request.method) else { return nil }
            let credentials = request.text(.authorization) ?? ""
            guard !accepts || !credentials.contains("username=\"relayd\"") else { return nil }
            var builder = MessageBuilder.response(to: request, status: 401, toTag: nil, source: Flow(udp: SimulatedWorld.relayd))
            builder.add(.wwwAuthenticate, "Digest realm=\"carrier\", nonce=\"\(request.cseq.number)\", qop=\"auth\"")
            return builder.finish()
        }
    }

    private static func world(seed: UInt64) -> SimulatedWorld {
        SimulatedWorld(seed: seed) {
            $0.trunks[1].username = "relayd"
            $0.trunks[1].password = "secret"
        }
    }

    @Test("a challenged re-INVITE, UPDATE, INFO and BYE goes out once more with credentials and the next CSeq")
    func inDialog() throws {
        let world = Self.world(seed: 71)
        let (caller, callee) = world.establishCall()
        Self.challenge(world, [.invite, .update, .info, .bye])
        for (method, offer) in [(SIP.Method.invite, ""), (.update, ""), (.info, nil)] as [(SIP.Method, String?)] {
            let request = caller.ask(method, offer: offer, body: method == .info ? ("text/plain", "x") : nil)
            world.run(for: .seconds(2))
            #expect(request.status == 200 && request.finalCount == 1, "\(method)")
        }
        #expect(callee.midDialog.received.map(\.method) == [.invite, .update, .info])
        #expect(callee.midDialog.received.allSatisfy { $0.first(.authorization) != nil })
        let numbers = callee.midDialog.received.map(\.cseq.number)
        #expect(numbers == numbers.sorted() && Set(numbers).count == 3)
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(2))
        #expect(callee.byesReceived == 1)
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a challenged PRACK goes out once more, with its body, in the dialog of its own branch", arguments: [true, false])
    func prack(offers: Bool) throws {
        let world = Self.world(seed: 73)
        Self.challenge(world, [.prack])
        var script = CallScript()
        script.offers = offers
        script.callerReliability = .supported
        script.ringsReliably = true
        script.hasEarlyMedia = true
        let (caller, callee) = world.establishCall(script)
        #expect(callee.isRungReliably && caller.finalStatus == 200 && callee.acknowledgements == 1)
        let sent = world.traffic.filter { !$0.isReceived && $0.message.method == .prack && $0.message.isRequest }.map(\.message)
        #expect(sent.map(\.cseq.number) == [2, 3] && sent.map { $0.first(.authorization) != nil } == [false, true])
        #expect(Set(sent.map { $0.text(.rack) }) == ["4711 1 INVITE"] && Set(sent.map { Array($0.body) }).count == 1)
        #expect(sent[0].body.isEmpty == offers)
        caller.hangUp()
        world.run(for: .seconds(1))
        world.checkEnd()
        #expect(world.problems == [] && world.records.map(\.cause) == [.normal])
    }

    @Test("that an edge proxy has lost its flow (430) is said of our leg alone: the other side gets 488 or 500, and the call goes on")
    func flowFailed() {
        let world = Self.world(seed: 73)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = .refuse(430)
        callee.midDialog.refusedMethods[.info] = 430
        let reinvite = caller.ask(.invite, offer: "")
        world.run(for: .seconds(2))
        let info = caller.ask(.info, body: ("text/plain", "x"))
        world.run(for: .seconds(2))
        #expect(reinvite.status == 488 && info.status == 500)
        #expect(world.presentCalls.count == 1 && world.problems == [])
    }

    @Test("credentials that are refused are not tried for ever, and the refusal is the other side's 488 or 500")
    func refused() {
        let world = Self.world(seed: 72)
        let (caller, callee) = world.establishCall()
        Self.challenge(world, [.invite, .info], accepts: false)
        let reinvite = caller.ask(.invite, offer: "")
        world.run(for: .seconds(2))
        let info = caller.ask(.info, body: ("text/plain", "x"))
        world.run(for: .seconds(2))
        #expect(reinvite.status == 488 && info.status == 500)
        #expect(callee.midDialog.received.isEmpty && world.presentCalls.count == 1)
        let sent = world.traffic.filter { !$0.isReceived && $0.message.method == .info && $0.message.isRequest }
        #expect(Set(sent.map(\.message.cseq.number)).count == 2)
        #expect(world.problems == [])
    }
}
