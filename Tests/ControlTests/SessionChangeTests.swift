import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

/// Changes of a call that is up, as both sides see them.
@Suite struct SessionChangeTests {
    private static func peers(
        _ world: SimulatedWorld, from leg: Leg, _ script: CallScript = CallScript()
    ) -> (asking: Peer, asked: Peer) {
        let (caller, callee) = world.establishCall(script)
        return leg == .caller ? (caller, callee) : (callee, caller)
    }

    private static let hold = "m=audio 40000 RTP/AVP 8 0 101\r\na=sendonly\r\n"

    /// Both sides hold what the other one last said, and relayd let nothing stand open.
    private static func expectAgreement(_ world: SimulatedWorld, _ first: Peer, _ second: Peer) {
        #expect(first.midDialog.remoteTitle == second.midDialog.ownTitle)
        #expect(second.midDialog.remoteTitle == first.midDialog.ownTitle)
        #expect(world.problems == [])
    }

    @Test("a re-INVITE passes to the other leg in a request of its own, and the answer back", arguments: Leg.allCases)
    func reinvite(leg: Leg) throws {
        let world = SimulatedWorld(seed: 1)
        let (asking, asked) = Self.peers(world, from: leg)
        let request = asking.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(2))
        let passed = try #require(asked.midDialog.received.first)
        #expect(asked.midDialog.received.count == 1 && request.status == 200 && request.finalCount == 1)
        #expect(passed.topVia.branch != request.message.topVia.branch)
        #expect(passed.callID != request.message.callID)
        #expect(passed.contact?.uri.socketAddress == SimulatedWorld.relayd)
        #expect(asked.midDialog.acknowledged == [passed.cseq.number: []])
        // The relay's ports stay, everything else of the description is the asking side's.
        let offer = try SessionDescription(parsing: passed.body)
        let first = leg == .caller ? world.callees[0].invite.body : world.callers[0].answer!.body
        #expect(offer.media[0].rtpAddress == (try SessionDescription(parsing: first)).media[0].rtpAddress)
        #expect(offer.media[0].direction == .sendonly)
        let answer = try SessionDescription(parsing: request.response!.body)
        #expect(answer.media[0].rtpAddress?.ip == SimulatedWorld.relayd.ip)
        #expect(answer.media[0].rtpAddress != offer.media[0].rtpAddress)
        Self.expectAgreement(world, asking, asked)
        #expect(world.events.last { $0.name == .callChanged }?.fields["hold"] == "\(leg)")
        // And resumed.
        asking.ask(.invite, offer: "")
        world.run(for: .seconds(2))
        #expect(asked.midDialog.received.last?.cseq.number == passed.cseq.number + 1)
        #expect(asked.midDialog.remoteDescription?.media[0].direction == .sendrecv)
        #expect(world.events.last { $0.name == .callChanged }?.fields["hold"] == "none")
        Self.expectAgreement(world, asking, asked)
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("each kind of hold is seen on the far side", arguments: [
        ("m=audio 40000 RTP/AVP 8\r\na=sendonly\r\n", SessionDescription.Direction.sendonly, false),
        ("m=audio 40000 RTP/AVP 8\r\na=inactive\r\n", .inactive, false),
        ("m=audio 40000 RTP/AVP 8\r\na=recvonly\r\n", .recvonly, false),
        ("m=audio 40000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n", .sendrecv, true),
    ])
    func hold(lines: String, direction: SessionDescription.Direction, isZero: Bool) throws {
        let world = SimulatedWorld(seed: 2)
        let (caller, callee) = world.establishCall()
        caller.ask(.invite, offer: lines)
        world.run(for: .seconds(2))
        let medium = try #require(callee.midDialog.remoteDescription?.media.first)
        #expect(medium.direction == direction && medium.isHeldByAddress == isZero && medium.isHold)
        #expect(world.events.last { $0.name == .callChanged }?.fields["hold"] == "caller")
        Self.expectAgreement(world, caller, callee)
    }

    @Test("the relay hears of the offerer's new address with the offer, and of the old one again when it is refused")
    func addresses() throws {
        let world = SimulatedWorld(seed: 3)
        let (caller, callee) = world.establishCall()
        func expected(_ leg: Leg) -> [SocketAddress] {
            world.commands.compactMap { command -> SocketAddress? in
                if case .expect(_, leg, let source) = command { source.rtp } else { nil }
            }
        }
        callee.midDialog.reply = .refuse(488)
        let before = expected(.caller).count
        let refused = caller.ask(.invite, offer: "m=audio 45000 RTP/AVP 8\r\nc=IN IP4 198.51.100.77\r\n")
        world.run(for: .seconds(1))
        #expect(refused.status == 488)
        let old = SocketAddress("198.51.100.11:40000")!
        let new = SocketAddress("198.51.100.77:45000")!
        #expect(Array(expected(.caller)[before...]) == [new, old])
        callee.midDialog.reply = .accept
        callee.midDialog.answerLines = "m=audio 55000 RTP/AVP 8\r\nc=IN IP4 203.0.113.99\r\n"
        caller.ask(.invite, offer: "m=audio 45000 RTP/AVP 8\r\nc=IN IP4 198.51.100.77\r\n")
        world.run(for: .seconds(1))
        #expect(expected(.caller).last == new)
        #expect(expected(.callee).last == SocketAddress("203.0.113.99:55000")!)
        // A hold by address names none: the relay is told that nothing is said, and keeps what it has.
        caller.ask(.invite, offer: "m=audio 45000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n")
        world.run(for: .seconds(1))
        #expect(expected(.caller).last?.ip.isUnspecified == true)
        #expect(world.problems == [])
    }

    @Test("a re-INVITE without an offer: it comes in the 200, and the answer in the ACK", arguments: Leg.allCases)
    func lateOffer(leg: Leg) throws {
        let world = SimulatedWorld(seed: 4)
        let (asking, asked) = Self.peers(world, from: leg)
        let request = asking.ask(.invite)
        world.run(for: .seconds(2))
        let passed = try #require(asked.midDialog.received.first)
        #expect(passed.body.isEmpty && request.status == 200)
        let answer = try #require(asked.midDialog.acknowledged[passed.cseq.number])
        #expect(try SessionDescription(parsing: answer).media[0].rtpAddress?.ip == SimulatedWorld.relayd.ip)
        Self.expectAgreement(world, asking, asked)
    }

    @Test("refusals pass back as they are, the session stays as it was", arguments: [488, 491, 500, 603])
    func refused(status: Int) {
        let world = SimulatedWorld(seed: 5)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = .refuse(status)
        let request = caller.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(2))
        #expect(request.status == status && request.finalCount == 1)
        Self.expectAgreement(world, caller, callee)
        #expect(world.presentCalls.count == 1)
    }

    @Test("both sides ask at once: both get 491, the call goes on")
    func glare() {
        let world = SimulatedWorld(seed: 6, latency: .milliseconds(40))
        let (caller, callee) = world.establishCall()
        let first = caller.ask(.invite, offer: Self.hold)
        let second = callee.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(2))
        #expect(first.status == 491 && second.status == 491)
        Self.expectAgreement(world, caller, callee)
        let again = callee.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(2))
        #expect(again.status == 200)
        Self.expectAgreement(world, caller, callee)
    }

    @Test("a second re-INVITE before the first has its answer gets 500 with Retry-After (RFC 3261 §14.2)")
    func impatient() {
        let world = SimulatedWorld(seed: 7)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = .acceptLater(.seconds(2))
        let first = caller.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(1))
        let second = caller.ask(.update, offer: Self.hold)
        world.run(for: .seconds(3))
        #expect(first.status == 200 && second.status == 500)
        #expect((0...10).contains(second.response?.number(.retryAfter) ?? -1))
        Self.expectAgreement(world, caller, callee)
    }

    @Test("CANCEL of a re-INVITE is passed on and the call stays")
    func cancelled() {
        let world = SimulatedWorld(seed: 8)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = .acceptLater(.seconds(10))
        let request = caller.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(1))
        caller.cancel(request)
        world.run(for: .seconds(2))
        #expect(request.status == 487 && callee.midDialog.cancelled.count == 1)
        Self.expectAgreement(world, caller, callee)
        #expect(world.presentCalls.count == 1)
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("an UPDATE passes as UPDATE, or as re-INVITE to a side that does not allow it", arguments: [true, false])
    func update(isAllowed: Bool) throws {
        let world = SimulatedWorld(seed: 9)
        let (caller, callee) = world.establishCall()
        if !isAllowed {
            callee.midDialog.headers = [("Allow", "INVITE, ACK, BYE, CANCEL")]
            caller.ask(.invite, offer: "")
            world.run(for: .seconds(1))
        }
        let request = caller.ask(.update, offer: Self.hold)
        world.run(for: .seconds(2))
        #expect(request.status == 200)
        #expect(callee.midDialog.received.last?.method == (isAllowed ? .update : .invite))
        Self.expectAgreement(world, caller, callee)
        let refresh = caller.ask(.update)
        world.run(for: .seconds(1))
        #expect(refresh.status == 200 && refresh.response?.body.isEmpty == true)
        #expect(callee.midDialog.received.count == (isAllowed ? 1 : 2), "a refresh concerns one leg")
    }

    @Test("a party that answers 481 or 408, or nothing, has lost the call: BYE to both, one record that says so", arguments: [
        MidDialog.Reply.refuse(481), .refuse(408), .silence,
    ])
    func halfOpen(reply: MidDialog.Reply) throws {
        let world = SimulatedWorld(seed: 10, noMediaTimeout: .zero)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = reply
        caller.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(40))
        world.checkEnd()
        #expect(world.problems == [])
        let record = try #require(world.records.first)
        #expect(record.cause == .peerLost && record.endedBy == .callee)
        #expect(caller.byesReceived > 0)
        let event = try #require(world.events.first { $0.name == .callPeerLost })
        #expect(event.fields == [
            "leg": "callee", "contact": "sip:you@203.0.113.20:5060",
            "sip_call_id": caller.callID,
        ])
    }

    @Test("an ACK that never comes for the answer to a re-INVITE ends the call", arguments: [true, false])
    func ackMissing(hasOffer: Bool) {
        let world = SimulatedWorld(seed: 11, noMediaTimeout: .zero)
        let (caller, callee) = world.establishCall()
        caller.ask(.invite, offer: hasOffer ? "" : nil, acknowledges: false)
        world.run(for: .seconds(40))
        #expect(world.records.map(\.cause) == [.ackMissing])
        #expect(caller.byesReceived > 0 && callee.byesReceived > 0)
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("BYE while a re-INVITE waits: it gets 487", arguments: Leg.allCases)
    func byeWhileAsking(leg: Leg) {
        let world = SimulatedWorld(seed: 12)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = .acceptLater(.seconds(5))
        let request = caller.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(1))
        if leg == .caller { caller.hangUp() } else { callee.hangUp() }
        world.run(for: .seconds(1))
        #expect(request.status == 487)
        world.checkEnd()
        #expect(world.problems == [])
        #expect(world.records.map(\.cause) == [.normal])
    }

    @Test("INFO and MESSAGE pass with their body, and the answer back", arguments: Leg.allCases)
    func info(leg: Leg) throws {
        let world = SimulatedWorld(seed: 13)
        var script = CallScript()
        (script.headers, script.offerHeaders) = ([("Allow", "INVITE, ACK, BYE, MESSAGE")], [("Allow", "INVITE, ACK, BYE, MESSAGE")])
        let (asking, asked) = Self.peers(world, from: leg, script)
        let info = asking.ask(.info, body: ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"))
        let message = asking.ask(.message, body: ("text/plain", "hello"))
        world.run(for: .seconds(1))
        #expect(info.status == 200 && message.status == 200)
        #expect(asked.midDialog.received.map(\.method) == [.info, .message])
        let passed = asked.midDialog.received[0]
        #expect(passed.hasContentType("application/dtmf-relay"))
        #expect(String(decoding: passed.body, as: UTF8.self) == "Signal=5\r\nDuration=160\r\n")
        #expect(world.problems == [])
    }

    @Test("a side that takes no MESSAGE gets none: 405, and what relayd allows says so beforehand", arguments: Leg.allCases)
    func message(leg: Leg) throws {
        let world = SimulatedWorld(seed: 16)
        let taking = [("Allow", "INVITE, ACK, BYE, MESSAGE")]
        var script = CallScript()
        // Only the side that asks takes messages itself.
        if leg == .caller { script.offerHeaders = taking } else { script.headers = taking }
        let (asking, asked) = Self.peers(world, from: leg, script)
        func allowed(towards peer: Peer) throws -> [Bool] {
            try world.traffic.filter { !$0.isReceived && $0.peer == peer.address && $0.message.method == .invite && $0.message.has(.allow) }
                .map { try #require($0.message.allowedMethods).contains(.message) }
        }
        #expect(try allowed(towards: asking).allSatisfy { !$0 })
        // The other one may send them: those pass.
        #expect(try allowed(towards: asked).last == true)
        let refused = asking.ask(.message, body: ("text/plain", "hello"))
        let options = asking.ask(.options)
        let passed = asked.ask(.message, body: ("text/plain", "hello"))
        let otherOptions = asked.ask(.options)
        world.run(for: .seconds(1))
        #expect(refused.status == 405 && passed.status == 200)
        #expect(asked.midDialog.received.isEmpty && asking.midDialog.received.map(\.method) == [.message])
        let basic = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK"
        #expect(refused.response?.text(.allow) == basic && options.response?.text(.allow) == basic)
        #expect(otherOptions.response?.text(.allow) == basic + ", MESSAGE")
        #expect(world.problems == [])
    }

    @Test("a side that refuses a MESSAGE in spite of its Allow gets no other")
    func refusedMessage() {
        let world = SimulatedWorld(seed: 17)
        var script = CallScript()
        script.headers = [("Allow", "INVITE, ACK, BYE, MESSAGE")]
        let (caller, callee) = world.establishCall(script)
        callee.midDialog.refusedMethods = [.message: 405]
        let first = caller.ask(.message, body: ("text/plain", "hello"))
        world.run(for: .seconds(1))
        let second = caller.ask(.message, body: ("text/plain", "hello"))
        world.run(for: .seconds(1))
        #expect(first.status == 405 && second.status == 405)
        #expect(callee.midDialog.received.map(\.method) == [.message])
    }

    @Test("what is not supported is refused politely", arguments: [(Method.refer, 603), (.subscribe, 489), (.notify, 489), (.publish, 405)])
    func refusedMethods(method: Method, status: Int) {
        let world = SimulatedWorld(seed: 14)
        let (caller, callee) = world.establishCall()
        let request = caller.ask(method, headers: [("Refer-To", "<sip:x@y.example>"), ("Event", "refer")])
        world.run(for: .seconds(1))
        #expect(request.status == status && callee.midDialog.received.isEmpty)
        #expect(world.presentCalls.count == 1)
    }

    @Test("audio becomes T.38 and audio again; the relay lets both pass until the answer says")
    func t38() throws {
        let world = SimulatedWorld(seed: 15)
        let (caller, callee) = world.establishCall()
        let image = "m=image 46000 udptl t38\r\na=T38FaxVersion:0\r\n"
        func transports(_ leg: Leg) -> [MediaTransport] {
            world.commands.compactMap { if case .expect(_, leg, let source) = $0 { source.transport } else { nil } }
        }
        callee.midDialog.answerLines = "m=image 56000 udptl t38\r\na=T38FaxVersion:0\r\n"
        let fax = caller.ask(.invite, offer: image)
        world.run(for: .seconds(1))
        #expect(fax.status == 200)
        let offered = try #require(callee.midDialog.remoteDescription?.media.first)
        #expect(offered.kind == "image" && offered.connection == SimulatedWorld.relayd.ip && offered.port % 2 == 0)
        #expect(transports(.caller).last == .datagram && transports(.callee).last == .datagram)
        callee.midDialog.reply = .refuse(488)
        let voice = caller.ask(.invite, offer: "")
        world.run(for: .seconds(1))
        #expect(voice.status == 488 && transports(.caller).last == .datagram)
        callee.midDialog.reply = .accept
        callee.midDialog.answerLines = nil
        caller.ask(.invite, offer: "")
        world.run(for: .seconds(1))
        #expect(transports(.caller).last == .rtp && transports(.callee).last == .rtp)
        Self.expectAgreement(world, caller, callee)
    }

    @Test("an INVITE without an offer: the callee makes it, the caller's ACK answers, and ours carries that on")
    func offerlessInvite() throws {
        var script = CallScript()
        script.offers = false
        let world = SimulatedWorld(seed: 16)
        let (caller, callee) = world.establishCall(script)
        #expect(callee.invite.body.isEmpty && callee.acknowledgements == 1)
        let offer = try SessionDescription(parsing: try #require(caller.answer).body)
        #expect(offer.media[0].rtpAddress?.ip == SimulatedWorld.relayd.ip)
        #expect(callee.midDialog.remoteDescription?.media[0].rtpAddress?.ip == SimulatedWorld.relayd.ip)
        Self.expectAgreement(world, caller, callee)
        caller.ask(.invite, offer: Self.hold)
        world.run(for: .seconds(30))
        Self.expectAgreement(world, caller, callee)
        caller.hangUp()
        world.run(for: .seconds(1))
        world.checkEnd()
        #expect(world.problems == [] && world.records.map(\.cause) == [.normal])
        #expect(world.records[0].talkSeconds >= 30)
    }

    @Test("an ACK that owes an answer and has none: the callee's offer is declined, both get BYE")
    func offerlessInviteWithoutAnswer() throws {
        var script = CallScript()
        script.offers = false
        script.forgetsAnswer = true
        let world = SimulatedWorld(seed: 17)
        let (caller, callee) = world.establishCall(script)
        world.run(for: .seconds(2))
        #expect(callee.acknowledgements == 1 && callee.byesReceived == 1 && caller.byesReceived == 1)
        #expect(callee.midDialog.remoteDescription?.media.map(\.port) == [0])
        world.checkEnd()
        #expect(world.problems == [] && world.records.map(\.cause) == [.mediaNotAcceptable])
    }
}
