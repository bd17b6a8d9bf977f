import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

/// Silent calls that relayd places itself, as the other side sees them and the operator is told.
@Suite struct TestCallTests {
    private static let number = "4930777"

    /// Answers requests of relayd's in the callee's place.
    private static func answer(_ world: SimulatedWorld, _ statuses: [Int], finals: [SIP.Method: Int] = [:]) {
        world.answers = { request, _ in
            if let status = finals[request.method] {
                return MessageBuilder.response(to: request, status: status, toTag: "t", source: Flow(udp: SimulatedWorld.relayd)).finish()
            }
            guard request.method == .invite else { return nil }
            guard let status = statuses.first else { return [] }
            var builder = MessageBuilder.response(to: request, status: status, toTag: "t", source: Flow(udp: SimulatedWorld.relayd))
            builder.add(.contact, "<sip:test@203.0.113.20>")
            let body = Array("v=0\r\no=- 1 1 IN IP4 203.0.113.21\r\ns=-\r\nc=IN IP4 203.0.113.21\r\nt=0 0\r\nm=audio 50000 RTP/AVP 8\r\n".utf8)
            return status == 200 ? builder.finish(body: body, contentType: "application/sdp") : builder.finish()
        }
    }

    @Test("a call that is answered is acknowledged, listened to and hung up; each step is told with its time")
    func answered() throws {
        let world = SimulatedWorld(seed: 81) { $0.trunks[1].codecs = ["PCMA"] }
        Self.answer(world, [200], finals: [.bye: 200])
        let isPlaced = world.testCall(ProbeQuery(trunk: "b", caller: "100", seconds: 2), number: Self.number)
        #expect(isPlaced)
        world.run(for: .milliseconds(500))
        let invite = try #require(world.traffic.first { !$0.isReceived && $0.message.method == .invite }?.message)
        #expect(invite.from.uri.user == "100" && invite.uri.user == Self.number)
        let offer = try SessionDescription(parsing: invite.body).media[0]
        #expect(offer.formats == ["8", "101"] && offer.rtpAddress?.ip == SimulatedWorld.relayd.ip)
        let session = try #require(world.commands.compactMap { if case .open(let id, _, _) = $0 { id } else { nil } }.first)
        world.report(.locked(session, .callee, SocketAddress("203.0.113.21:50000")!))
        world.run(for: .seconds(3))
        let report = try #require(world.probes.first?.call)
        #expect(report.steps.map(\.text) == [
            "INVITE sent", "200 OK, SDP: PCMA at 203.0.113.21:50000", "first RTP, from 203.0.113.21:50000", "BYE sent", "200 OK to BYE",
        ])
        #expect(report.answeredMilliseconds.map { (5...60).contains($0) } == true)
        let times = report.steps.map(\.milliseconds)
        #expect(times == times.sorted() && times[3] - times[1] == 2_000)
        #expect(world.probes[0].text(TextStyle(width: 80)).contains("0 RTP packets heard: silence."))
        #expect(world.sent(to: SimulatedWorld.calleeAddress).filter { $0 == "ACK" }.count == 1)
        #expect(world.records.isEmpty)
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a refusal ends it; nothing at all ends it after 32 s; ringing for ever is cancelled", arguments: [
        ([486], "486 Busy Here", 1), ([], "no response", 34), ([180], "487 Request Terminated", 50),
    ] as [([Int], String, Int)])
    func unanswered(statuses: [Int], last: String, seconds: Int) {
        let world = SimulatedWorld(seed: 82)
        Self.answer(world, statuses, finals: [.cancel: 200])
        let isPlaced = world.testCall(ProbeQuery(trunk: "b"), number: Self.number)
        #expect(isPlaced && !world.testCall(ProbeQuery(trunk: "nosuch"), number: "1"))
        world.run(for: .seconds(statuses == [180] ? 46 : seconds))
        if statuses == [180] {
            // The INVITE's own answer to the CANCEL.
            let invite = world.traffic.last { !$0.isReceived && $0.message.method == .invite && $0.message.isRequest }!.message
            #expect(world.sent(to: SimulatedWorld.calleeAddress).contains("CANCEL"))
            world.inject(
                MessageBuilder.response(to: invite, status: 487, toTag: "t", source: Flow(udp: SimulatedWorld.relayd)).finish(),
                from: SimulatedWorld.calleeAddress)
            world.run(for: .seconds(1))
        }
        #expect(world.probes.first?.result == last)
        #expect(world.probes.first?.call?.answeredMilliseconds == nil)
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("the other side may hang up first, and no more than four are placed at once")
    func limits() throws {
        let world = SimulatedWorld(seed: 83)
        Self.answer(world, [200])
        var placed: [Bool] = []
        for _ in 0..<5 { placed.append(world.testCall(ProbeQuery(trunk: "b", seconds: 30), number: Self.number)) }
        #expect(placed == [true, true, true, true, false])
        world.run(for: .seconds(1))
        let invite = try #require(world.traffic.first { !$0.isReceived && $0.message.method == .invite }?.message)
        var bye = MessageBuilder(request: .bye, uri: invite.contact!.uri.text)
        bye.add(.via, "SIP/2.0/UDP \(SimulatedWorld.calleeAddress);branch=z9hG4bKbye")
        bye.add(.from, invite.text(.to)! + ";tag=t")
        bye.add(.to, invite.text(.from)!)
        bye.add(.callID, octets: invite.callID)
        bye.add(.cseq, "1 BYE")
        bye.add(.maxForwards, "70")
        world.inject(bye.finish(), from: SimulatedWorld.calleeAddress)
        world.run(for: .seconds(1))
        #expect(world.probes.first?.result == "BYE received")
        #expect(world.problems == [])
    }
}
