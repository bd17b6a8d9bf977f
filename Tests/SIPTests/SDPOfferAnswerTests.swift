import SIP
import Testing

@Suite struct SDPOfferAnswerTests {
    private func parse(_ lines: [String]) throws -> SessionDescription {
        let text = (["v=0", "c=IN IP4 192.0.2.1"] + lines).joined(separator: "\n")
        return try SessionDescription(parsing: SDPSample.octets(text))
    }

    @Test("what is an answer to what, and why not", arguments: [
        (["m=audio 4 RTP/AVP 0 8"], ["m=audio 6 RTP/AVP 8"], nil),
        (["m=audio 4 RTP/AVP 0 8"], ["m=audio 0 RTP/AVP 0"], nil),
        (["m=audio 4 RTP/AVPF 0"], ["m=audio 6 RTP/AVP 0"], nil),
        (["m=AUDIO 4 rtp/avp 0"], ["m=audio 6 RTP/AVP 0"], nil),
        (["m=audio 4 RTP/AVP 0", "a=sendonly"], ["m=audio 6 RTP/AVP 0"], nil),
        (["m=image 4 udptl t38"], ["m=image 6 UDPTL t38"], nil),
        ([], [], nil),
        (["m=audio 4 RTP/AVP 0", "m=video 6 RTP/AVP 31"], ["m=audio 6 RTP/AVP 0", "m=video 0 RTP/AVP 31"], nil),
        (["m=audio 4 RTP/AVP 0", "m=video 6 RTP/AVP 31"], ["m=audio 6 RTP/AVP 0"], .mediaCount),
        (["m=audio 4 RTP/AVP 0"], [], .mediaCount),
        (["m=audio 4 RTP/AVP 0", "m=video 6 RTP/AVP 31"], ["m=video 6 RTP/AVP 31", "m=audio 6 RTP/AVP 0"], .mediaKind),
        (["m=audio 4 RTP/AVP 0"], ["m=audio 6 udptl t38"], .transport),
        (["m=image 4 udptl t38"], ["m=image 6 TCP t38"], .transport),
        (["m=audio 0 RTP/AVP 0"], ["m=audio 6 RTP/AVP 0"], .revivedMedia),
        (["m=audio 4 RTP/AVP 0"], ["m=audio 6 RTP/AVP 8"], .noCommonFormat),
    ] as [([String], [String], SessionDescription.AnswerMismatch?)])
    func mismatch(offer: [String], answer: [String], mismatch: SessionDescription.AnswerMismatch?) throws {
        #expect(try parse(answer).mismatch(asAnswerTo: parse(offer)) == mismatch)
    }

    @Test("formats are compared by encoding, clock rate and channels, not by number; the answer's order counts")
    func commonFormats() throws {
        let offer = try parse([
            "m=audio 4 RTP/AVP 0 8 96 97 98 99", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/8000",
            "a=rtpmap:98 L16/8000",
        ]).media[0]
        let answer = try parse([
            "m=audio 4 RTP/AVP 101 111 8 18 120 99", "a=rtpmap:111 OPUS/48000/2", "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:120 L16/16000",
        ]).media[0]
        #expect(SessionDescription.commonFormats(offer: offer, answer: answer).map(\.number) == [101, 111, 8, 99])
        let mono = try parse(["m=audio 4 RTP/AVP 96", "a=rtpmap:96 opus/48000"]).media[0]
        #expect(SessionDescription.commonFormats(offer: offer, answer: mono).isEmpty)
    }
}
