import Configuration
import Control
import Core
import SIP
import Testing

/// Codec filters of trunks, as both sides of a call see them.
@Suite struct CodecFilterTests {
    private static let offer = """
        m=audio 40000 RTP/AVP 9 8 0 18 101\r
        a=rtpmap:9 G722/8000\r
        a=rtpmap:18 G729/8000\r
        a=fmtp:18 annexb=no\r
        a=rtpmap:101 telephone-event/8000\r

        """

    private static func formats(_ body: ArraySlice<UInt8>) throws -> [String] {
        try SessionDescription(parsing: body).media[0].formats
    }

    @Test("the callee is offered what both trunks allow, in its trunk's order; the answer passes the same filters")
    func offered() throws {
        let world = SimulatedWorld(seed: 41) {
            $0.trunks[0].codecsStripped = ["g722"]
            $0.trunks[1].codecs = ["G729", "PCMA"]
        }
        let answer = "m=audio 50000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        let (caller, callee) = world.establishCall(CallScript(answerMedia: answer, offerMedia: Self.offer))
        #expect(try Self.formats(callee.invite.body) == ["18", "8", "101"])
        let sdp = String(decoding: callee.invite.body, as: UTF8.self)
        #expect(sdp.contains("a=fmtp:18 annexb=no") && !sdp.contains("G722"))
        #expect(try Self.formats(try #require(caller.answer).body) == ["8", "101"], "an answer with a codec that was not offered")
        #expect(world.problems == [])
    }

    @Test("a re-INVITE passes the filters too, in either direction; one of which nothing is left gets 488 and changes nothing")
    func reinvite() throws {
        let world = SimulatedWorld(seed: 42) { $0.trunks[1].codecs = ["PCMA"] }
        let (caller, callee) = world.establishCall()
        caller.ask(.invite, offer: Self.offer)
        world.run(for: .seconds(1))
        #expect(callee.midDialog.remoteDescription?.media[0].formats == ["8", "101"])
        callee.ask(.invite, offer: "m=audio 50000 RTP/AVP 0 8\r\n")
        world.run(for: .seconds(1))
        #expect(caller.midDialog.remoteDescription?.media[0].formats == ["8"])
        let before = caller.midDialog.received.count
        let request = callee.ask(.invite, offer: "m=audio 50000 RTP/AVP 0 3\r\n")
        world.run(for: .seconds(1))
        #expect(request.status == 488 && request.response?.text(.warning)?.hasPrefix("305 ") == true)
        #expect(caller.midDialog.received.count == before)
        #expect(world.presentCalls.count == 1 && world.problems == [])
    }

    @Test("a route that allows nothing of the offer is not taken; without another one the caller gets 488 and the cause says so")
    func refused() throws {
        let world = SimulatedWorld(seed: 43) {
            $0.trunks[1].codecs = ["opus"]
            var other = Trunk(name: "c", address: SimulatedWorld.otherCalleeAddress, prefixes: ["49"])
            other.priority = 1
            other.codecs = ["PCMU"]
            $0.trunks.append(other)
        }
        let (caller, _) = world.establishCall(CallScript(answerMedia: "m=audio 50000 RTP/AVP 0\r\n"))
        #expect(caller.finalStatus == 200 && world.callees.map(\.address) == [SimulatedWorld.otherCalleeAddress])
        let refusedWorld = SimulatedWorld(seed: 44) { $0.trunks[1].codecs = ["opus"] }
        let refused = refusedWorld.placeCall()
        refusedWorld.run(for: .seconds(1))
        #expect(refused.finalStatus == 488 && refusedWorld.callees.isEmpty)
        #expect(refusedWorld.records.map(\.cause) == [.noCommonCodec])
        #expect(refusedWorld.records.first?.explanation?.contains("codec filters") == true)
        refusedWorld.checkEnd()
        #expect(refusedWorld.problems == [])
    }
}
