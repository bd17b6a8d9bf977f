import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

/// Calls with more than one medium, as both sides and the relay see them.
@Suite struct FurtherMediaTests {
    private static func audio(_ port: Int, _ more: String = "") -> String { "m=audio \(port) RTP/AVP 8\r\n" + more }
    private static func video(_ port: Int, _ more: String = "") -> String {
        "m=video \(port) RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n" + more
    }
    private static let fax = "m=image 46000 udptl t38\r\na=T38FaxVersion:0\r\n"

    private static func script(offer: String, answer: String) -> CallScript {
        CallScript(answerMedia: answer, offerMedia: offer)
    }

    private static func twoMedia(
        seed: UInt64, timeout: Duration = .seconds(60), _ configure: (inout Configuration) -> Void = { _ in }
    ) -> (world: SimulatedWorld, caller: Caller, callee: Callee) {
        let world = SimulatedWorld(seed: seed, noMediaTimeout: timeout, configure: configure)
        let (caller, callee) = world.establishCall(
            script(offer: audio(40_000) + video(40_002), answer: audio(50_000) + video(50_002)))
        return (world, caller, callee)
    }

    private static func media(_ body: ArraySlice<UInt8>?) throws -> [SessionDescription.Media] {
        try SessionDescription(parsing: try #require(body)).media
    }

    private static func expected(_ world: SimulatedWorld, _ leg: Leg) -> [SocketAddress] {
        world.commands.compactMap { if case .expect(_, leg, let source) = $0 { source.rtp } else { nil } }
    }

    private static func closes(_ world: SimulatedWorld) -> Int {
        world.commands.count { if case .close = $0 { true } else { false } }
    }

    private static func opens(_ world: SimulatedWorld) -> Int {
        world.commands.count { if case .open = $0 { true } else { false } }
    }

    /// Everything is given back at the end.
    private static func end(_ world: SimulatedWorld) {
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
        #expect(opens(world) == closes(world) && world.control.usedPortPairs == 0)
    }

    @Test("audio and video: each has ports and an expected source of its own on both legs, and an order that stays")
    func audioAndVideo() throws {
        let (world, caller, callee) = Self.twoMedia(seed: 1)
        let offer = try Self.media(callee.invite.body)
        let answer = try Self.media(caller.answer?.body)
        #expect(offer.map(\.kind) == ["audio", "video"] && answer.map(\.kind) == ["audio", "video"])
        let addresses = (offer + answer).compactMap(\.rtpAddress)
        #expect(Set(addresses).count == 4 && addresses.allSatisfy { $0.ip == SimulatedWorld.relayd.ip })
        #expect(Self.expected(world, .caller) == ["198.51.100.11:40000", "198.51.100.11:40002"].map { SocketAddress($0)! })
        #expect(Self.expected(world, .callee) == ["203.0.113.21:50000", "203.0.113.21:50002"].map { SocketAddress($0)! })
        #expect(world.control.usedPortPairs == 4 && world.control.presentCount == 1 && world.control.mediaSessionCount == 2)
        let video = try #require(world.detail(world.presentCalls[0])?.furtherMedia)
        #expect(video.count == 1 && video[0].line == 2 && video[0].kind == "video" && video[0].isOpen)
        #expect(video[0].callee.relayAddress == offer[1].rtpAddress && video[0].caller.relayAddress == answer[1].rtpAddress)
        Self.end(world)
        #expect(world.records.map(\.cause) == [.operatorHangup])
    }

    @Test("what the callee declines stays on port 0, and its ports are free again", arguments: [0, 1])
    func declined(place: Int) throws {
        let world = SimulatedWorld(seed: 2)
        let offer = Self.audio(40_000) + Self.audio(40_010)
        let answer = place == 0 ? Self.audio(0) + Self.audio(50_010) : Self.audio(50_000) + Self.audio(0)
        let (caller, callee) = world.establishCall(Self.script(offer: offer, answer: answer))
        #expect(caller.finalStatus == 200)
        let ports = try Self.media(caller.answer?.body).map { $0.port == 0 }
        #expect(ports == (place == 0 ? [true, false] : [false, true]))
        world.run(for: .seconds(1))
        #expect(world.control.usedPortPairs == 2 && world.control.presentCount == 1)
        // The one that was accepted is the main one: what the record, the no-media rule and `relayctl` tell of.
        let detail = try #require(world.detail(world.presentCalls[0]))
        #expect(detail.callee?.relayAddress == (try Self.media(callee.invite.body)[1 - place]).rtpAddress)
        #expect(detail.callee?.sdpAddress == SocketAddress(place == 0 ? "203.0.113.21:50010" : "203.0.113.21:50000")!)
        #expect(detail.furtherMedia?.map(\.isOpen) == [false])
        Self.end(world)
    }

    @Test("a re-INVITE adds a medium, another one ends it, a third one has it again on new ports; audio keeps its own", arguments: Leg.allCases)
    func changes(leg: Leg) throws {
        let world = SimulatedWorld(seed: 3)
        let (caller, callee) = world.establishCall()
        let (asking, asked): (Peer, Peer) = leg == .caller ? (caller, callee) : (callee, caller)
        asked.midDialog.answerLines = Self.audio(55_000) + Self.video(55_002)
        let added = asking.ask(.invite, offer: Self.audio(45_000) + Self.video(45_002))
        world.run(for: .seconds(1))
        #expect(added.status == 200 && asked.midDialog.received.count == 1)
        let first = try Self.media(asked.midDialog.received[0].body)
        let firstAnswer = try Self.media(added.response?.body)
        let original = try Self.media(leg == .caller ? callee.invite.body : caller.answer?.body)
        #expect(first[0].port == original[0].port && first[1].port != 0 && first[1].connection == SimulatedWorld.relayd.ip)
        #expect(firstAnswer[1].port != 0 && firstAnswer[1].port != first[1].port)
        #expect(world.control.usedPortPairs == 4)

        asked.midDialog.answerLines = Self.audio(55_000) + Self.video(0)
        let ended = asking.ask(.invite, offer: Self.audio(45_000) + Self.video(0))
        world.run(for: .seconds(1))
        #expect(ended.status == 200 && world.control.usedPortPairs == 2)
        #expect(asked.midDialog.remoteDescription?.media.map { $0.port == 0 } == [false, true])

        asked.midDialog.answerLines = Self.audio(55_000) + Self.video(55_004)
        let again = asking.ask(.update, offer: Self.audio(45_000) + Self.video(45_004))
        world.run(for: .seconds(1))
        let second = try #require(asked.midDialog.remoteDescription?.media)
        #expect(again.status == 200 && world.control.usedPortPairs == 4)
        #expect(second[0].port == original[0].port && second[1].port != first[1].port && second[1].port != 0)
        #expect(Self.expected(world, leg).last == SocketAddress(leg == .caller ? "198.51.100.11:45004" : "203.0.113.21:45004")!)
        Self.end(world)
    }

    @Test("a medium that was offered and refused goes back; so does one whose answer declines it")
    func refused() throws {
        let world = SimulatedWorld(seed: 4)
        let (caller, callee) = world.establishCall()
        callee.midDialog.reply = .refuse(488)
        let request = caller.ask(.invite, offer: Self.audio(40_000) + Self.video(40_002))
        world.run(for: .seconds(1))
        #expect(request.status == 488 && Self.opens(world) == 2 && world.control.usedPortPairs == 2)
        callee.midDialog.reply = .accept
        callee.midDialog.answerLines = Self.audio(50_000) + Self.video(0)
        let declined = caller.ask(.invite, offer: Self.audio(40_000) + Self.video(40_002))
        world.run(for: .seconds(1))
        #expect(declined.status == 200 && Self.opens(world) == 3 && world.control.usedPortPairs == 2)
        #expect(try Self.media(declined.response?.body).map { $0.port == 0 } == [false, true])
        Self.end(world)
    }

    @Test("fax beside audio has its own session; fax in place of audio keeps the ports")
    func fax() throws {
        let world = SimulatedWorld(seed: 5)
        let (caller, callee) = world.establishCall()
        func transports() -> [MediaTransport] {
            world.commands.compactMap { if case .expect(_, .caller, let source) = $0 { source.transport } else { nil } }
        }
        callee.midDialog.answerLines = Self.audio(50_000) + Self.fax
        caller.ask(.invite, offer: Self.audio(40_000) + Self.fax)
        world.run(for: .seconds(1))
        let beside = try #require(callee.midDialog.remoteDescription?.media)
        #expect(beside.map(\.kind) == ["audio", "image"] && beside.allSatisfy { $0.port != 0 })
        #expect(world.control.usedPortPairs == 4 && transports().suffix(2) == [.rtp, .datagram])

        callee.midDialog.answerLines = Self.audio(50_000) + "m=image 0 udptl t38\r\n"
        caller.ask(.invite, offer: Self.audio(40_000) + "m=image 0 udptl t38\r\n")
        world.run(for: .seconds(1))
        #expect(world.control.usedPortPairs == 2)

        callee.midDialog.answerLines = Self.audio(0) + Self.fax
        caller.ask(.invite, offer: Self.audio(0) + Self.fax)
        world.run(for: .seconds(1))
        let instead = try #require(callee.midDialog.remoteDescription?.media)
        #expect(instead.map { $0.port == 0 } == [true, false])
        #expect(instead[1].port == beside[0].port && world.control.usedPortPairs == 2 && transports().last == .datagram)

        callee.midDialog.answerLines = Self.audio(50_000) + "m=image 0 udptl t38\r\n"
        caller.ask(.invite, offer: Self.audio(40_000) + "m=image 0 udptl t38\r\n")
        world.run(for: .seconds(1))
        #expect(callee.midDialog.remoteDescription?.media[0].port == beside[0].port && transports().last == .rtp)
        Self.end(world)
    }

    @Test("a call that is fax alone, or video alone, from its INVITE on: one session, expected as what it is", arguments: [
        ("m=image 40000 udptl t38\r\n", "m=image 50000 udptl t38\r\n", MediaTransport.datagram),
        ("m=audio 0 RTP/AVP 8\r\nm=image 40000 udptl t38\r\n", "m=audio 0 RTP/AVP 8\r\nm=image 50000 udptl t38\r\n", .datagram),
        ("m=video 40000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", "m=video 50000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", .rtp),
    ])
    func withoutAudio(offer: String, answer: String, transport: MediaTransport) throws {
        let world = SimulatedWorld(seed: 51) { $0.trunks[1].codecs = ["PCMA"] }
        let (caller, callee) = world.establishCall(Self.script(offer: offer, answer: answer))
        #expect(caller.finalStatus == 200)
        let offered = try #require(try Self.media(callee.invite.body).last)
        let answered = try #require(try Self.media(caller.answer?.body).last)
        #expect(offered.connection == SimulatedWorld.relayd.ip && offered.port != 40_000 && offered.port != 0)
        #expect(answered.connection == SimulatedWorld.relayd.ip && answered.port != 50_000 && answered.port != 0)
        #expect(Self.opens(world) == 1)
        for leg in Leg.allCases {
            let expected = world.commands.compactMap { if case .expect(_, leg, let source) = $0 { source } else { nil } }
            #expect(expected.last?.transport == transport && expected.last?.rtp.port == (leg == .caller ? 40_000 : 50_000))
        }
        Self.end(world)
    }

    @Test("audio and fax offered, fax alone accepted: it is the call's medium")
    func faxChosen() throws {
        let world = SimulatedWorld(seed: 52)
        let (caller, callee) = world.establishCall(
            Self.script(offer: Self.audio(40_000) + Self.fax, answer: Self.audio(0) + "m=image 50002 udptl t38\r\n"))
        #expect(caller.finalStatus == 200 && world.control.usedPortPairs == 2)
        let answer = try Self.media(caller.answer?.body)
        #expect(answer.map { $0.port == 0 } == [true, false])
        #expect(answer[1].port != 50_002 && Self.expected(world, .callee).last?.port == 50_002)
        #expect(try Self.media(callee.invite.body)[1].port != 0)
        Self.end(world)
    }

    @Test("an INVITE without an offer, and fax alone in the answer")
    func lateFax() throws {
        let world = SimulatedWorld(seed: 53)
        var script = Self.script(offer: "m=image 40000 udptl t38\r\n", answer: "m=image 50000 udptl t38\r\n")
        script.offers = false
        let (caller, callee) = world.establishCall(script)
        #expect(caller.finalStatus == 200 && callee.acknowledgements == 1)
        let transports = world.commands.compactMap { if case .expect(_, _, let source) = $0 { source.transport } else { nil } }
        #expect(!transports.isEmpty && transports.allSatisfy { $0 == .datagram })
        Self.end(world)
    }

    @Test("a fax machine that only listens is no reason to end the call, whatever the mode; when both are silent it ends", arguments: [
        NoMediaMode.any, .callee, .both,
    ])
    func quietFax(mode: NoMediaMode) {
        let world = SimulatedWorld(seed: 54, noMediaTimeout: .seconds(10), noMediaMode: mode)
        var script = Self.script(offer: "m=image 40000 udptl t38\r\n", answer: "m=image 50000 udptl t38\r\n")
        script.calleeSendsMedia = false
        script.callerMediaDuration = .seconds(40)
        world.placeCall(script)
        world.run(for: .seconds(37))
        #expect(world.presentCalls.count == 1)
        world.run(for: .seconds(30))
        #expect(world.records.map(\.cause) == [.noMedia])
        Self.end(world)
    }

    @Test("the next route gets the same media on the same ports; each branch answers for itself")
    func failover() throws {
        let world = SimulatedWorld(seed: 15) {
            var other = Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"])
            other.priority = 1
            $0.trunks.append(other)
        }
        var script = Self.script(offer: Self.audio(40_000) + Self.video(40_002), answer: Self.audio(50_000) + Self.video(50_002))
        script.answer = .reject(503)
        script.otherAnswer = .accept
        script.ringing = []
        script.answerDelay = .milliseconds(300)
        let (caller, callee) = world.establishCall(script)
        #expect(caller.finalStatus == 200 && world.callees.count == 2 && callee.address == SimulatedWorld.otherCalleeAddress)
        let first = try Self.media(world.callees[0].invite.body).map(\.port)
        #expect(try Self.media(callee.invite.body).map(\.port) == first && Self.opens(world) == 2)
        #expect(Self.expected(world, .callee) == ["203.0.113.31:50000", "203.0.113.31:50002"].map { SocketAddress($0)! })
        Self.end(world)
    }

    @Test("audio that is switched off beside living video keeps the call and its ports, and comes back on them")
    func audioOff() throws {
        let (world, caller, callee) = Self.twoMedia(seed: 16, timeout: .seconds(10))
        let ports = try Self.media(callee.invite.body).map(\.port)
        let video = world.worker.startFlow(to: try Self.media(caller.answer?.body)[1].port, at: world.now)
        callee.midDialog.answerLines = Self.audio(0) + Self.video(50_002)
        let off = caller.ask(.invite, offer: Self.audio(0) + Self.video(40_002))
        caller.stopMedia()
        callee.stopMedia()
        world.run(for: .seconds(30))
        #expect(off.status == 200 && world.presentCalls.count == 1 && world.control.usedPortPairs == 4)
        #expect(callee.midDialog.remoteDescription?.media.map { $0.port == 0 } == [true, false])
        callee.midDialog.answerLines = nil
        caller.ask(.invite, offer: Self.audio(40_000) + Self.video(40_002))
        world.run(for: .seconds(1))
        #expect(callee.midDialog.remoteDescription?.media.map(\.port) == ports)
        video.end = world.now
        Self.end(world)
    }

    @Test("before the answer a refused UPDATE costs no medium of the INVITE; one that adds a medium holds after the answer")
    func early() throws {
        var script = Self.script(offer: Self.audio(40_000) + Self.video(40_002), answer: Self.audio(50_000) + Self.video(50_002))
        let allow = [("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")]
        script.callerReliability = .supported
        script.ringsReliably = true
        script.hasEarlyMedia = true
        script.ringing = [183]
        script.answerDelay = .seconds(10)
        script.offerHeaders = allow
        script.ringingHeaders = allow
        let world = SimulatedWorld(seed: 17)
        let caller = world.placeCall(script)
        world.run(for: .seconds(1))
        let callee = world.callees[0]
        callee.midDialog.reply = .refuse(488)
        let three = Self.audio(40_000) + Self.video(40_002) + Self.audio(40_004)
        let refused = caller.ask(.update, offer: three)
        world.run(for: .seconds(1))
        #expect(refused.status == 488 && world.control.usedPortPairs == 4 && Self.opens(world) == 3)
        callee.midDialog.reply = .accept
        callee.midDialog.answerLines = Self.audio(50_000) + Self.video(0) + Self.audio(50_004)
        let added = caller.ask(.update, offer: three)
        world.run(for: .seconds(1))
        #expect(added.status == 200 && added.response.map { (try? Self.media($0.body))?.map { $0.port != 0 } } == [true, false, true])
        world.run(for: .seconds(11))
        #expect(caller.finalStatus == 200 && world.control.usedPortPairs == 4, "audio twice; the video is given back")
        Self.end(world)
    }

    @Test("hold concerns each medium by itself: video pauses, audio goes on, and no hold of the call is seen")
    func hold() throws {
        let (world, caller, callee) = Self.twoMedia(seed: 6)
        callee.midDialog.answerLines = Self.audio(50_000) + Self.video(50_002, "a=recvonly\r\n")
        caller.ask(.invite, offer: Self.audio(40_000) + Self.video(40_002, "a=sendonly\r\n"))
        world.run(for: .seconds(1))
        #expect(callee.midDialog.remoteDescription?.media.map(\.direction) == [.sendrecv, .sendonly])
        let detail = try #require(world.detail(world.presentCalls[0]))
        #expect(detail.furtherMedia?.first?.caller.direction == "sendonly" && detail.furtherMedia?.first?.callee.direction == "recvonly")
        #expect(detail.summary.monitored && detail.summary.monitoredReason.hasPrefix("relayed"))
        callee.midDialog.answerLines = Self.audio(50_000, "a=recvonly\r\n") + Self.video(50_002)
        caller.ask(.invite, offer: Self.audio(40_000, "a=sendonly\r\n") + Self.video(40_002))
        world.run(for: .seconds(1))
        #expect(world.detail(world.presentCalls[0])?.summary.monitoredReason.hasPrefix("on hold") == true)
        Self.end(world)
    }

    @Test("a call is silent when all its media are: living video keeps it, silent video ends nothing")
    func silence() throws {
        let (world, caller, callee) = Self.twoMedia(seed: 7, timeout: .seconds(10))
        world.run(for: .seconds(60))
        #expect(world.presentCalls.count == 1, "audio alone is enough")
        let port = try #require(try Self.media(caller.answer?.body)[1].rtpAddress?.port)
        let video = world.worker.startFlow(to: port, at: world.now)
        caller.stopMedia()
        callee.stopMedia()
        world.run(for: .seconds(60))
        #expect(world.presentCalls.count == 1, "video alone is enough")
        video.end = world.now
        let silentFrom = world.now
        world.run(for: .seconds(9))
        #expect(world.presentCalls.count == 1)
        world.run(for: .seconds(2))
        #expect(world.records.map(\.cause) == [.noMedia])
        let released = try #require(world.records.first?.releaseAt).milliseconds - SimulatedWorld.wallStart.milliseconds
        let silence = Duration.milliseconds(released) - (silentFrom - SimulatedWorld.start)
        #expect(silence >= .milliseconds(9_900) && silence <= .milliseconds(10_200))
        #expect(world.problems == [])
    }

    @Test("more media than a call may have, and more than there are ports for, are declined; the call is not refused")
    func bounds() throws {
        let world = SimulatedWorld(seed: 8)
        let lines = (0..<12).map { Self.audio(40_000 + 2 * $0) }.joined()
        let (_, callee) = world.establishCall(Self.script(offer: lines, answer: lines))
        #expect(try Self.media(callee.invite.body).map { $0.port == 0 } == (0..<12).map { $0 >= 8 })
        #expect(world.counters[.mediaDeclined] == 4)
        Self.end(world)

        let narrow = SimulatedWorld(seed: 9) { $0.media.ports = 10_000...10_007 }
        let (caller, _) = narrow.establishCall(Self.script(offer: lines, answer: lines))
        #expect(caller.finalStatus == 200 && narrow.control.usedPortPairs == 4)
        Self.end(narrow)
    }

    @Test("sockets that cannot be had are tried again, then declined; the change goes on without")
    func openFailures() throws {
        let world = SimulatedWorld(seed: 10)
        let (caller, callee) = world.establishCall()
        world.worker.openFailure = 1
        callee.midDialog.answerLines = Self.audio(50_000) + Self.video(0)
        let request = caller.ask(.invite, offer: Self.audio(40_000) + Self.video(40_002))
        world.run(for: .seconds(1))
        #expect(request.status == 200 && Self.opens(world) == 5)
        #expect(callee.midDialog.received.count == 1)
        #expect(callee.midDialog.remoteDescription?.media.map { $0.port == 0 } == [false, true])
        #expect(world.control.usedPortPairs == 2)
        world.worker.openFailure = 0
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a call that ends while sockets are made leaves nothing", arguments: [0, 3, 6, 12, 20, 30])
    func endWhileOpening(milliseconds: Int) {
        let world = SimulatedWorld(seed: UInt64(100 + milliseconds))
        let (caller, callee) = world.establishCall()
        callee.midDialog.answerLines = Self.audio(50_000) + Self.video(50_002)
        caller.ask(.invite, offer: Self.audio(40_000) + Self.video(40_002))
        world.run(for: .milliseconds(milliseconds))
        callee.hangUp()
        world.run(for: .seconds(2))
        Self.end(world)
        #expect(world.records.count == 1)
    }

    @Test("an offer in the 200 with two media, and one within the call: answered in the ACK, each side with ports of its own")
    func lateOffers() throws {
        var script = Self.script(offer: Self.audio(40_000) + Self.video(40_002), answer: Self.audio(50_000) + Self.video(50_002))
        script.offers = false
        let world = SimulatedWorld(seed: 11)
        let (caller, callee) = world.establishCall(script)
        let offer = try Self.media(caller.answer?.body)
        #expect(offer.map { $0.port != 0 } == [true, true] && Set(offer.map(\.port)).count == 2)
        // The scripted caller answers with audio alone, which is no answer: both media are declined, and the call ends.
        #expect(callee.acknowledgements == 1)
        world.run(for: .seconds(1))
        Self.end(world)

        let (second, ada, bob) = Self.twoMedia(seed: 12)
        bob.midDialog.answerLines = Self.audio(50_000) + Self.video(50_002) + Self.audio(50_004)
        ada.midDialog.answerLines = Self.audio(40_000) + Self.video(40_002) + Self.audio(40_004)
        let request = ada.ask(.invite)
        second.run(for: .seconds(1))
        #expect(request.status == 200 && second.control.usedPortPairs == 6)
        let answer = try Self.media(bob.midDialog.acknowledged.values.first.map { $0[...] })
        #expect(answer.count == 3 && answer.allSatisfy { $0.port != 0 && $0.connection == SimulatedWorld.relayd.ip })
        Self.end(second)
    }

    @Test("codec filters pass over every audio medium; one of which nothing is left is declined")
    func filters() throws {
        let world = SimulatedWorld(seed: 13) { $0.trunks[1].codecs = ["PCMA"] }
        let offer = Self.audio(40_000) + "m=audio 40002 RTP/AVP 0\r\n" + "m=audio 40004 RTP/AVP 0 8\r\n" + Self.video(40_006)
        let answer = Self.audio(50_000) + Self.audio(0) + Self.audio(50_004) + Self.video(50_006)
        let (caller, callee) = world.establishCall(Self.script(offer: offer, answer: answer))
        let offered = try Self.media(callee.invite.body)
        #expect(offered.map { $0.port == 0 } == [false, true, false, false])
        #expect(offered[2].formats == ["8"] && offered[3].formats == ["96"])
        #expect(caller.finalStatus == 200 && world.control.usedPortPairs == 6)
        Self.end(world)
    }
}
