import Configuration
import Control
import Core
import Relay
import SIP
import Testing

/// What a call through relayd looks like from both sides.
@Suite struct CallSpecificationTests {
    private let callerSide = SimulatedWorld.callerAddress
    private let calleeSide = SimulatedWorld.calleeAddress

    @Test("a call rings, is answered and hung up by either side: one record", arguments: Leg.allCases)
    func normalCall(leg: Leg) throws {
        let world = SimulatedWorld(seed: 1)
        var script = CallScript()
        script.hangUp = (leg, .seconds(30))
        let caller = world.placeCall(script, number: "493012")
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.statuses == [100, 180, 200])
        #expect(world.sent(to: calleeSide) == ["INVITE", "ACK"] + (leg == .caller ? ["BYE"] : []))
        let record = try #require(world.records.first)
        #expect(world.records.count == 1)
        #expect(record.cause == .normal && record.sipCode == 200 && record.q850 == 16)
        #expect(record.endedBy == (leg == .caller ? .caller : .callee))
        #expect(record.callerTrunk == "a" && record.calleeTrunk == "b")
        #expect(record.callerNumber == "4930" && record.calledNumber == "493012")
        #expect(abs(record.durationMilliseconds - 30_000) < 50)
        #expect(abs(record.talkSeconds - 30) <= 1 && record.deadAirSeconds == 0)
        #expect(record.callerAddress == callerSide && record.calleeAddress == calleeSide)
        #expect(record.ringAt != nil && record.noMediaTimeoutSeconds == 60)
    }

    @Test("both legs have Call-IDs, tags and Contacts of their own")
    func ownIdentity() throws {
        let world = SimulatedWorld(seed: 2)
        let (caller, callee) = world.establishCall()
        let answer = try #require(caller.answer)
        #expect(Array(callee.invite.callID) != Array(caller.callID.utf8))
        #expect(callee.invite.fromTag != answer.fromTag)
        #expect(answer.contact?.uri.socketAddress == SimulatedWorld.relayd)
        #expect(callee.invite.contact?.uri.socketAddress == SimulatedWorld.relayd)
        #expect(callee.invite.topVia.hostAddress == SimulatedWorld.relayd.ip)
        #expect(callee.invite.listValues(.via).count == 1)
        #expect(callee.invite.maxForwards == 69)
        #expect(callee.invite.cseq.number == 1)
        let tags = Set(world.traffic.filter { $0.message.status == 180 && !$0.isReceived }.map { $0.message.toTag })
        #expect(tags == [answer.toTag])
    }

    @Test("Request-URI, From and To keep their users and From its name, at the trunk's and relayd's addresses")
    func usersPass() throws {
        let world = SimulatedWorld(seed: 3)
        let caller = world.placeCall(number: "4930#1")
        world.run(for: .seconds(1))
        let invite = try #require(world.callees.first).invite
        #expect(String(decoding: invite.requestURI, as: UTF8.self) == "sip:4930#1@203.0.113.20:5060")
        #expect(invite.from.uri.user == "4930" && invite.from.displayName == "Ada")
        #expect(invite.from.uri.socketAddress == SimulatedWorld.relayd)
        #expect(invite.to.uri.user == caller.number)
        #expect(invite.to.uri.socketAddress == SimulatedWorld.calleeAddress)
    }

    @Test("each side's SDP names the relay, and nothing else in it changes")
    func descriptions() throws {
        let world = SimulatedWorld(seed: 4)
        let (caller, callee) = world.establishCall()
        let offer = String(decoding: callee.invite.body, as: UTF8.self)
        let answer = String(decoding: try #require(caller.answer).body, as: UTF8.self)
        guard case .open(_, let callerPort, let calleePort)? = world.commands.first else { return #expect(Bool(false)) }
        func expected(_ peer: Peer, title: String, port: UInt16) -> String {
            String(decoding: peer.description(title: title), as: UTF8.self)
                .replacing("c=IN IP4 \(peer.media.ip)", with: "c=IN IP4 192.0.2.1")
                .replacing("m=audio \(peer.media.port)", with: "m=audio \(port)")
        }
        #expect(offer == expected(caller, title: "Ada calls", port: calleePort.port))
        #expect(answer == expected(callee, title: "You answer", port: callerPort.port))
    }

    @Test("the relay is told where each side's media comes from, before that side can send")
    func expectedSources() throws {
        let world = SimulatedWorld(seed: 5)
        _ = world.establishCall()
        let expected = world.commands.compactMap { command -> (Leg, ExpectedSource)? in
            if case .expect(_, let leg, let source) = command { (leg, source) } else { nil }
        }
        #expect(expected.map(\.0) == [.callee, .caller])
        #expect(expected[0].1.rtp == SocketAddress("203.0.113.21:50000"))
        #expect(expected[0].1.rtcp == SocketAddress("203.0.113.21:50001"))
        #expect(expected[1].1.rtp == SocketAddress("198.51.100.11:40000"))
        #expect(expected[1].1.signalling == callerSide.ip)
    }

    @Test("RTCP is multiplexed when both sides say so, and only then; who may send is told as the description has it")
    func multiplexing() throws {
        func expected(offer: String, answer: String) -> [ExpectedSource] {
            let world = SimulatedWorld(seed: 5)
            var script = CallScript()
            script.offerMedia = "m=audio 40000 RTP/AVP 8\r\n" + offer
            script.answerMedia = "m=audio 50000 RTP/AVP 8\r\n" + answer
            _ = world.establishCall(script)
            return world.commands.compactMap { if case .expect(_, _, let source) = $0 { source } else { nil } }
        }
        let mux = "a=rtcp-mux\r\n"
        #expect(expected(offer: mux, answer: mux).map(\.isRTCPMuxed) == [true, true])
        #expect(expected(offer: mux, answer: "").map(\.isRTCPMuxed) == [false, false])
        #expect(expected(offer: "", answer: "").map(\.isRTCPMuxed) == [false, false])
        let oneWay = expected(offer: "a=recvonly\r\n", answer: "a=sendonly\r\n")
        #expect(oneWay.map(\.direction) == [.sendOnly, .receiveOnly])
    }

    @Test("100 goes out before anything else is known, in the moment the INVITE comes")
    func trying() {
        let world = SimulatedWorld(seed: 6)
        world.placeCall()
        world.run(for: .milliseconds(5))
        #expect(world.sent(to: callerSide) == ["100"])
        #expect(world.traffic.last?.at == world.traffic.first?.at)
    }

    @Test("18x pass with their status; with SDP it is rewritten, without there is none", arguments: [true, false])
    func provisionals(hasEarlyMedia: Bool) throws {
        let world = SimulatedWorld(seed: 7)
        var script = CallScript()
        script.ringing = [183, 180]
        script.hasEarlyMedia = hasEarlyMedia
        let (caller, _) = world.establishCall(script)
        #expect(caller.statuses == [100, 183, 180, 200])
        let progress = try #require(world.traffic.first { !$0.isReceived && $0.message.status == 183 }).message
        #expect(progress.body.isEmpty == !hasEarlyMedia)
        if hasEarlyMedia {
            #expect((try SessionDescription(parsing: progress.body)).connection == SimulatedWorld.relayd.ip)
        }
        #expect(progress.contact != nil)
    }

    @Test("a 2xx is repeated until its ACK comes")
    func answerIsRepeated() {
        let world = SimulatedWorld(seed: 8)
        var lost = 0
        world.drops = { message, destination in
            guard message.isRequest, message.method == .ack, destination == SimulatedWorld.relayd, lost < 3 else { return false }
            lost += 1
            return true
        }
        world.placeCall()
        world.run(for: .seconds(30))
        #expect(world.sent(to: callerSide) == ["100", "180", "200", "200", "200", "200"])
        #expect(world.presentCalls.count == 1)
    }

    @Test("without ACK the call ends 32 s after the answer, with BYE on both legs and cause ack_missing")
    func ackMissing() throws {
        let world = SimulatedWorld(seed: 9, noMediaTimeout: .zero)
        var script = CallScript()
        script.acknowledges = false
        world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        let record = try #require(world.records.first)
        #expect(record.cause == .ackMissing && record.durationMilliseconds == 32_000)
        #expect(world.sent(to: callerSide).last == "BYE" && world.sent(to: calleeSide).last == "BYE")
        #expect(world.sent(to: callerSide).count { $0 == "200" } == 11)
    }

    @Test("the caller's BYE ends the repetition of a 2xx whose ACK was lost")
    func byeInsteadOfACK() {
        let world = SimulatedWorld(seed: 10)
        world.drops = { message, destination in
            message.isRequest && message.method == .ack && destination == SimulatedWorld.relayd
        }
        var script = CallScript()
        script.hangUp = (.caller, .milliseconds(700))
        world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(world.sent(to: callerSide) == ["100", "180", "200", "200"])
        #expect(world.records.map(\.cause) == [.normal])
    }

    @Test("a BYE to a caller that has not acknowledged waits for its ACK")
    func byeHeldBack() throws {
        let world = SimulatedWorld(seed: 11)
        var isLosing = true
        world.drops = { message, destination in
            isLosing && message.isRequest && message.method == .ack && destination == SimulatedWorld.relayd
        }
        var script = CallScript()
        script.hangUp = (.callee, .seconds(1))
        world.placeCall(script)
        world.run(for: .seconds(5))
        #expect(!world.sent(to: callerSide).contains("BYE"))
        #expect(world.records.map(\.cause) == [.normal])
        isLosing = false
        world.run(for: .seconds(6))
        #expect(world.sent(to: callerSide).last == "BYE")
    }

    @Test("each copy of the callee's 2xx is acknowledged again")
    func lostACKToCallee() {
        let world = SimulatedWorld(seed: 12)
        var lost = 0
        world.drops = { message, destination in
            guard message.isRequest, message.method == .ack, destination == SimulatedWorld.calleeAddress, lost < 2 else {
                return false
            }
            lost += 1
            return true
        }
        world.placeCall()
        world.run(for: .seconds(20))
        #expect(world.sent(to: calleeSide) == ["INVITE", "ACK", "ACK", "ACK"])
        #expect(world.callees[0].acknowledgements == 1)
    }

    @Test("a further branch of a fork that answers is acknowledged and hung up once; the call stays")
    func secondFork() {
        let world = SimulatedWorld(seed: 13)
        var lost = 0
        world.drops = { message, destination in
            let tag = String(decoding: message.toTag ?? [], as: UTF8.self)
            guard message.isRequest, message.method == .ack, tag.hasPrefix("fork"), lost < 2 else { return false }
            lost += 1
            return true
        }
        var script = CallScript()
        script.forkDelay = .seconds(1)
        let (_, callee) = world.establishCall(script)
        world.run(for: .seconds(10))
        #expect(callee.forkByesReceived == 1 && callee.byesReceived == 0)
        #expect(world.presentCalls.count == 1)
        #expect(world.sent(to: calleeSide).count { $0 == "BYE" } == 1)
    }

    @Test("a BYE of the branch that lost does not end the call")
    func loserHangsUp() {
        let world = SimulatedWorld(seed: 14)
        let (_, callee) = world.establishCall()
        callee.send(callee.request(.bye, sequence: 1, tag: "loser").finish())
        world.run(for: .seconds(1))
        #expect(world.presentCalls.count == 1)
        #expect(world.traffic.last { !$0.isReceived && $0.message.method == .bye }?.message.status == 481)
    }

    @Test("a lost INVITE, 200 or BYE is made up for", arguments: [Method.invite, .bye])
    func lostMessages(method: Method) {
        let world = SimulatedWorld(seed: 15)
        var lost = 0
        world.drops = { message, _ in
            guard message.method == method, lost < 3 else { return false }
            lost += 1
            return true
        }
        var script = CallScript()
        script.hangUp = (.caller, .seconds(5))
        world.placeCall(script)
        world.run(for: .seconds(150))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(world.records.map(\.cause) == [.normal])
    }

    @Test("the ladder of a call shows every message of both legs, and which ones came again")
    func ladder() throws {
        let world = SimulatedWorld(seed: 31)
        var lost = 0
        world.drops = { message, destination in
            guard message.status == 200, message.method == .invite, destination == SimulatedWorld.callerAddress, lost < 1
            else { return false }
            lost += 1
            return true
        }
        let (caller, _) = world.establishCall()
        let id = try #require(world.presentCalls.first)
        caller.hangUp()
        world.run(for: .seconds(1))
        #expect(
            world.ladder(id) == [
                "caller in INVITE", "caller out 100 Trying", "callee out INVITE", "callee in 100 Trying",
                "callee in 180 Ringing", "caller out 180 Ringing", "callee in 200 OK", "callee out ACK", "caller out 200 OK",
                "caller out 200 OK again", "caller in ACK", "caller in BYE", "caller out 200 OK", "callee out BYE",
                "callee in 200 OK",
            ])
        #expect(world.ladder(caller.callID) == world.ladder(id))
    }

    @Test("a step of the wall clock changes no duration and no order")
    func wallClockStep() throws {
        let world = SimulatedWorld(seed: 32)
        let (caller, _) = world.establishCall()
        world.run(for: .seconds(10))
        world.stepWallClock(to: SimulatedWorld.wallStart + .seconds(-86_400))
        caller.hangUp()
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        let record = try #require(world.records.first)
        #expect((10_000...13_000).contains(record.durationMilliseconds))
        #expect(record.releaseAt < SimulatedWorld.wallStart)
    }

    // MARK: CANCEL

    @Test("CANCEL before and after 180: 487 to the caller, CANCEL to the callee with its Reason, one record", arguments: [
        [], [180],
    ])
    func cancel(ringing: [Int]) throws {
        let world = SimulatedWorld(seed: 16)
        var script = CallScript()
        script.ringing = ringing
        script.answer = .never
        script.cancelDelay = .seconds(1)
        let caller = world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.statuses == [100] + ringing + [487])
        #expect(world.sent(to: calleeSide) == ["INVITE", "CANCEL", "ACK"])
        #expect(world.callees[0].cancelReason?.contains("Cancelled by the caller") == true)
        #expect(world.records.map(\.cause) == [.callerCancelled])
        #expect(world.records[0].sipCode == 487 && world.records[0].endedBy == .caller)
    }

    @Test("CANCEL while the callee has said nothing is held back until it does")
    func cancelHeldBack() {
        let world = SimulatedWorld(seed: 17)
        var script = CallScript()
        script.sendsTrying = false
        script.ringDelay = .seconds(3)
        script.answer = .never
        script.cancelDelay = .seconds(1)
        let caller = world.placeCall(script)
        world.run(for: .milliseconds(2_500))
        #expect(caller.finalStatus == 487)
        #expect(!world.sent(to: calleeSide).contains("CANCEL"))
        world.run(for: .seconds(2))
        #expect(world.callees[0].cancelsReceived == 1)
    }

    @Test("an answer that crosses the CANCEL is acknowledged and hung up")
    func cancelCrossesAnswer() {
        let world = SimulatedWorld(seed: 18, latency: .milliseconds(50))
        var script = CallScript()
        script.cancelDelay = script.answerDelay + .milliseconds(60)
        let caller = world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.finalStatus == 487)
        #expect(world.callees[0].acknowledgements == 1 && world.callees[0].byesReceived == 1)
    }

    @Test("CANCEL after the answer is answered 200 and changes nothing, not even the reason of a later BYE")
    func cancelAfterAnswer() throws {
        let world = SimulatedWorld(seed: 19)
        let (caller, callee) = world.establishCall()
        var cancel = caller.request(.cancel, sequence: 1)
        cancel.add(.reason, "SIP;cause=200;text=\"elsewhere\"")
        caller.send(cancel.finish())
        world.run(for: .seconds(1))
        #expect(world.traffic.last?.message.status == 200 && world.traffic.last?.message.method == .cancel)
        #expect(world.presentCalls.count == 1)
        #expect(world.hangUp(world.presentCalls[0]))
        world.run(for: .seconds(1))
        #expect(callee.byeReason?.contains("operator") == true)
    }

    // MARK: How callees fail

    @Test("a refusal passes with its status", arguments: [404, 486, 503, 603])
    func rejected(status: Int) {
        let world = SimulatedWorld(seed: 20)
        var script = CallScript()
        script.answer = .reject(status)
        let caller = world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.finalStatus == status)
        #expect(world.records.map(\.cause) == [.rejected] && world.records[0].sipCode == status)
        #expect(world.sent(to: calleeSide) == ["INVITE", "ACK"])
    }

    @Test("a callee that never answers is given up after the ringing timeout, counted from its first 18x")
    func noAnswer() throws {
        let world = SimulatedWorld(seed: 21)
        var script = CallScript()
        script.answer = .never
        script.ringDelay = .seconds(15)
        let caller = world.placeCall(script)
        world.run(for: .seconds(300))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.finalStatus == 480)
        let record = try #require(world.records.first)
        #expect(record.cause == .ringingTimeout)
        #expect(record.releaseAt.milliseconds - record.ringAt!.milliseconds == 120_000)
        #expect(world.callees[0].cancelsReceived == 1)
    }

    @Test("a callee that says nothing at all is given up after the invite timeout; a later answer is hung up")
    func silentCallee() {
        let world = SimulatedWorld(seed: 22)
        var script = CallScript()
        script.answer = .silence
        let caller = world.placeCall(script)
        world.run(for: .seconds(15))
        #expect(caller.finalStatus == 408)
        #expect(world.records.map(\.cause) == [.inviteTimeout])
        world.run(for: .seconds(100))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(world.sent(to: calleeSide) == Array(repeating: "INVITE", count: 7))
    }

    @Test("an answer after timer B is no call any more: it is dropped")
    func answerAfterTimerB() {
        let world = SimulatedWorld(seed: 23)
        world.drops = { message, destination in destination == SimulatedWorld.calleeAddress && message.method != .invite }
        var script = CallScript()
        script.sendsTrying = false
        script.ringing = []
        script.answerDelay = .seconds(40)
        let caller = world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.finalStatus == 408)
        #expect(world.counters[.sipStrayResponses] > 0)
    }

    @Test("an answer that cannot be relayed is acknowledged and hung up, and the caller gets 488", arguments: [
        "m=audio 0 RTP/AVP 0\r\n", "m=audio 50000 RTP/AVP 0\r\nm=video 50002 RTP/AVP 31\r\n", "m=image 50000 udptl t38\r\n",
    ])
    func unusableAnswer(media: String) {
        let world = SimulatedWorld(seed: 24)
        var script = CallScript()
        script.answerMedia = media
        let caller = world.placeCall(script)
        world.run(for: .seconds(120))
        world.checkEnd()
        #expect(world.problems == [])
        #expect(caller.finalStatus == 488)
        #expect(world.sent(to: calleeSide) == ["INVITE", "ACK", "BYE"])
        #expect(world.records.map(\.cause) == [.mediaNotAcceptable])
    }

    // MARK: Within the call

    @Test("inside the dialog OPTIONS is answered 200, a method nobody knows 501, and the call goes on", arguments: Leg.allCases)
    func inDialog(leg: Leg) {
        let world = SimulatedWorld(seed: 25)
        let (caller, callee) = world.establishCall()
        func send(_ method: Method, _ sequence: Int) -> Int? {
            let builder = leg == .caller
                ? caller.request(method, sequence: sequence, branch: caller.newBranch())
                : callee.request(method, sequence: sequence)
            (leg == .caller ? caller : callee).send(builder.finish())
            world.run(for: .milliseconds(100))
            return world.traffic.compactMap { $0.isReceived || $0.message.method != method ? nil : $0.message.status }.last
        }
        #expect(send(.options, 11) == 200)
        #expect(send(.publish, 12) == 405)
        #expect(send(.bye, 9) == 500)
        #expect(world.presentCalls.count == 1)
        #expect(send(.bye, 13) == 200)
        #expect(world.presentCalls.isEmpty)
    }

    @Test("a repeated BYE gets its answer again; a second one finds nothing to end")
    func repeatedBye() throws {
        let world = SimulatedWorld(seed: 26)
        let (caller, _) = world.establishCall()
        let bye = caller.request(.bye, sequence: 2, branch: caller.newBranch()).finish()
        caller.send(bye)
        caller.send(bye)
        world.run(for: .seconds(1))
        caller.send(caller.request(.bye, sequence: 3, branch: caller.newBranch()).finish())
        world.run(for: .seconds(1))
        let answers = world.traffic.filter { !$0.isReceived && $0.message.status != nil && $0.message.method == .bye }
        #expect(answers.map { $0.message.status } == [200, 200, 200])
        #expect(world.records.count == 1)
        #expect(world.sent(to: calleeSide).count { $0 == "BYE" } == 1)
    }

    @Test("an ACK with another CSeq is not that of the answer")
    func foreignACK() {
        let world = SimulatedWorld(seed: 27)
        var script = CallScript()
        script.acknowledges = false
        let (caller, _) = world.establishCall(script)
        caller.send(caller.request(.ack, sequence: 9, branch: caller.newBranch()).finish())
        world.run(for: .seconds(40))
        #expect(world.records.map(\.cause) == [.ackMissing])
    }

    @Test("a response with a foreign Via, or with two, is dropped")
    func foreignVia() throws {
        let world = SimulatedWorld(seed: 28)
        var script = CallScript()
        script.answer = .silence
        world.placeCall(script)
        world.run(for: .seconds(1))
        let callee = try #require(world.callees.first)
        let busy = String(decoding: callee.respond(486, to: callee.invite, tag: "t"), as: UTF8.self)
        callee.send(Array(busy.replacing("UDP 192.0.2.1:5060", with: "UDP 192.0.2.9:5060").utf8))
        callee.send(Array(busy.replacing("Via: ", with: "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx, ").utf8))
        callee.send(
            Array(busy.replacing("From: ", with: "Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKx\r\nFrom: ").utf8))
        world.run(for: .seconds(1))
        #expect(world.counters[.sipStrayResponses] == 3)
        #expect(world.presentCalls.count == 1)
        callee.send(Array(busy.utf8))
        world.run(for: .seconds(1))
        #expect(world.presentCalls.isEmpty)
    }

    // MARK: relayd ends the call

    @Test("the operator's hangup: BYE to both with a Reason, one record")
    func operatorHangup() throws {
        let world = SimulatedWorld(seed: 29)
        let (caller, callee) = world.establishCall()
        let id = try #require(world.presentCalls.first)
        #expect(world.hangUp(id))
        #expect(!world.hangUp(id))
        #expect(!world.hangUp("nobody"))
        world.run(for: .seconds(2))
        #expect(caller.byesReceived == 1 && callee.byesReceived == 1)
        #expect(callee.byeReason?.contains("Hung up by the operator") == true)
        #expect(world.records.map(\.cause) == [.operatorHangup] && world.records[0].endedBy == .operator)
    }

    @Test("a shutdown ends calls in every state, and is done as soon as the BYEs are answered")
    func shutdown() {
        let world = SimulatedWorld(seed: 30)
        var ringing = CallScript()
        ringing.answer = .never
        var unacknowledged = CallScript()
        unacknowledged.acknowledges = false
        for script in [CallScript(), ringing, unacknowledged] { world.placeCall(script) }
        world.run(for: .seconds(4))
        world.placeCall()
        world.run(for: .milliseconds(6))
        #expect(world.presentCalls.count == 4)
        world.shutDown()
        #expect(!world.control.isIdle)
        world.run(for: .milliseconds(200))
        #expect(world.control.isIdle)
        #expect(world.callers.map(\.byesReceived) == [1, 0, 1, 0])
        #expect(world.callers.map(\.finalStatus) == [200, 503, 200, 503])
        #expect(world.records.count == 4 && world.records.allSatisfy { $0.cause == .shutdown })
        world.run(for: .seconds(100))
        world.checkEnd()
        #expect(world.problems == [])
    }
}
