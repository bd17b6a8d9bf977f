import Core
import SIP
import Testing

/// Codec filters and telephone-event in descriptions on their way through.
@Suite struct FormatPolicyTests {
    private static let offer = """
        v=0
        o=- 1 1 IN IP4 192.0.2.7
        s=-
        c=IN IP4 192.0.2.7
        t=0 0
        m=audio 4000 RTP/AVP 9 8 0 96 13 101
        a=rtpmap:96 opus/48000/2
        a=fmtp:96 useinbandfec=1
        a=rtcp-fb:96 nack
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-16
        a=ptime:20
        a=sendrecv

        """

    private static func description(_ text: String = offer) throws -> SessionDescription {
        try SessionDescription(parsing: Array(text.replacing("\n", with: "\r\n").utf8))
    }

    private static func names(_ names: String...) -> [SessionDescription.CodecName] { names.map { .init($0) } }

    private static func lines(
        _ description: SessionDescription, _ edit: SessionDescription.FormatEdit?
    ) -> [String] {
        let octets = description.rewritten([.relay(SocketAddress("192.0.2.1:10000")!)], formats: edit.map { [0: $0] } ?? [:])
        return String(decoding: octets, as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    @Test("an allow list keeps its codecs in its order, with telephone-event and comfort noise behind; maps of the others go")
    func allowed() throws {
        let description = try Self.description()
        let filter = SessionDescription.CodecFilter(allowed: Self.names("pcmu", "PCMA"))
        let edit = description.media[0].formatEdit([filter], sortedBy: filter)
        #expect(edit?.kept == [0, 8, 13, 101])
        let lines = Self.lines(description, edit)
        #expect(lines.contains("m=audio 10000 RTP/AVP 0 8 13 101"))
        #expect(lines.suffix(4) == ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv"])
        let again = try SessionDescription(parsing: Array(lines.joined(separator: "\r\n").utf8))
        #expect(again.media[0].payloads.map(\.number) == [0, 8, 13, 101])
    }

    @Test("a strip list takes out its codecs and leaves the order; both sides' filters count")
    func stripped() throws {
        let medium = try Self.description().media[0]
        let strip = SessionDescription.CodecFilter(stripped: Self.names("opus", "G722/8000", "telephone-event"))
        #expect(medium.formatEdit([strip])?.kept == [8, 0, 13])
        let allow = SessionDescription.CodecFilter(allowed: Self.names("opus", "PCMU"))
        #expect(medium.formatEdit([strip, allow])?.kept == [0, 13])
        #expect(medium.hasCodec(passing: [strip, allow]))
        #expect(medium.formatEdit([.init(stripped: Self.names("L16/16000"))]) == nil)
    }

    @Test("comfort noise and telephone-event alone are no audio")
    func nothingLeft() throws {
        let medium = try Self.description().media[0]
        #expect(!medium.hasCodec(passing: [.init(allowed: Self.names("G729"))]))
        #expect(medium.hasCodec(passing: []))
    }

    @Test("telephone-event is taken out, added with a number that is free, or as the other side had offered it")
    func telephoneEvent() throws {
        let description = try Self.description()
        #expect(description.media[0].formatEdit([], telephoneEvent: .remove)?.kept == [9, 8, 0, 96, 13])
        #expect(description.media[0].formatEdit([], telephoneEvent: .addAny) == nil)
        let bare = try Self.description(
            Self.offer.replacing("telephone-event", with: "G726-32").replacing("a=fmtp:101 0-16\n", with: ""))
        let edit = bare.media[0].formatEdit([], telephoneEvent: .addAny)
        #expect(edit?.added.map(\.number) == [97], "101 and 96 are taken")
        let lines = Self.lines(bare, edit)
        #expect(lines.contains("m=audio 10000 RTP/AVP 9 8 0 96 13 101 97"))
        #expect(lines.suffix(2) == ["a=rtpmap:97 telephone-event/8000", "a=fmtp:97 0-15"])
        let offered = description.media[0].telephoneEvents
        let plain = try Self.description(
            "v=0\ns=-\nc=IN IP4 192.0.2.7\nm=audio 4000 RTP/AVP 8\n")
        let answer = Self.lines(plain, plain.media[0].formatEdit([], telephoneEvent: .add(offered)))
        #expect(answer.contains("m=audio 10000 RTP/AVP 8 101"))
        #expect(answer.suffix(2) == ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"])
    }

    @Test("digits in INFO", arguments: [
        ("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n", UInt8(5), 250),
        ("application/dtmf-relay", "Signal= *\nDuration= 100", 10, 100),
        ("application/dtmf-relay", "duration=90\r\nsignal=11\r\n", 11, 90),
        ("application/dtmf", "#", 11, nil), ("application/dtmf", "d\r\n", 15, nil),
        ("application/dtmf-relay", "Signal=x\r\n", nil, nil), ("application/dtmf-relay", "Duration=9\r\n", nil, nil),
        ("text/plain", "5", nil, nil), ("application/dtmf", "17", nil, nil),
    ] as [(String, String, UInt8?, Int?)])
    func info(type: String, body: String, code: UInt8?, milliseconds: Int?) throws {
        var builder = MessageBuilder(request: .info, uri: "sip:a@192.0.2.1")
        builder.add(.via, "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx")
        for (name, value) in [(HeaderName.from, "<sip:a@b>;tag=1"), (.to, "<sip:c@d>;tag=2"), (.callID, "x"), (.cseq, "2 INFO")] {
            builder.add(name, value)
        }
        guard case .message(let request) = SIPMessage.parse(builder.finish(body: Array(body.utf8), contentType: type)) else {
            Issue.record("the request cannot be read")
            return
        }
        let digit = INFODigit(request)
        #expect(digit?.code == code && digit?.milliseconds == milliseconds)
        if let digit { #expect(digit.relayBody.starts(with: "Signal=\(digit.key)\r\n".utf8)) }
    }
}
