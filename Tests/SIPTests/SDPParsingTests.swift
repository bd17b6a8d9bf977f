import Core
import SIP
import Testing

@Suite struct SDPParsingTests {
    private func parse(_ text: String) throws -> SessionDescription {
        try SessionDescription(parsing: SDPSample.octets(text))
    }

    private func audio(_ lines: String...) throws -> SessionDescription.Media {
        let head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
        return try #require(try parse(head + lines.joined(separator: "\n")).media.first)
    }

    @Test("a typical medium, field by field")
    func fields() throws {
        let medium = try audio(
            "m=audio 49170/2 RTP/AVP 0 96 18", "c=IN IP4 198.51.100.1/127", "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1; maxptime=60", "a=recvonly", "a=rtcp-mux")
        #expect(medium.kind == "audio")
        #expect(medium.port == 49170)
        #expect(medium.portCount == 2)
        #expect(medium.transport == "RTP/AVP")
        #expect(medium.isRTP && medium.isRelayable)
        #expect(medium.formats == ["0", "96", "18"])
        #expect(medium.connection == IPAddress("198.51.100.1"))
        #expect(medium.rtpAddress == SocketAddress("198.51.100.1:49170"))
        #expect(medium.rtcpAddress == SocketAddress("198.51.100.1:49171"))
        #expect(medium.direction == .recvonly)
        #expect(medium.hasRTCPMux)
        #expect(medium.payloads.map(\.number) == [0, 96, 18])
        #expect(medium.payloads.map(\.encodingName) == ["PCMU", "opus", "G729"])
        #expect(medium.payloads.map(\.clockRate) == [8000, 48_000, 8000])
        #expect(medium.payloads.map(\.channelCount) == [1, 2, 1])
        #expect(medium.payloads.map(\.fmtp) == [nil, "useinbandfec=1; maxptime=60", nil])
    }

    @Test("c= of the medium goes before the session's; a host name is no address")
    func connection() throws {
        #expect(try audio("m=audio 4000 RTP/AVP 0").connection == IPAddress("192.0.2.1"))
        #expect(try audio("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1").connection == IPAddress("2001:db8::1"))
        for line in ["c=IN IP4 phone.example.net", "c=IN IP4", "c=", "c=IN IP4 1.2.3"] {
            let medium = try audio("m=audio 4000 RTP/AVP 0", line)
            #expect(medium.connection == nil)
            #expect(medium.rtpAddress == nil)
            #expect(medium.rtcpAddress == nil)
        }
        #expect(try parse("v=0\nm=audio 4000 RTP/AVP 0").media[0].connection == nil)
    }

    @Test("direction: medium, then session, then sendrecv; the first line counts")
    func direction() throws {
        #expect(try audio("m=audio 4000 RTP/AVP 0").direction == .sendrecv)
        #expect(try parse("v=0\na=inactive\nm=audio 4000 RTP/AVP 0").media[0].direction == .inactive)
        #expect(try parse("v=0\na=inactive\nm=audio 4000 RTP/AVP 0\na=sendonly").media[0].direction == .sendonly)
        #expect(try audio("m=audio 4000 RTP/AVP 0", "a=sendonly", "a=recvonly").direction == .sendonly)
        #expect(try parse("v=0\nm=audio 4 RTP/AVP 0\na=sendonly\nm=audio 5 RTP/AVP 0").media[1].direction == .sendrecv)
    }

    @Test("a=rtcp gives RTCP's port, and its address when it has one (RFC 3605)", arguments: [
        ("a=rtcp:5000", "192.0.2.1:5000"), ("a=rtcp:5000 IN IP4 192.0.2.2", "192.0.2.2:5000"),
        ("a=rtcp:5000 IN IP6 2001:db8::2", "[2001:db8::2]:5000"), ("a=rtcp:5000 IN IP4 host.example", nil),
        ("a=rtcp:0", nil), ("a=rtcp:66000", "192.0.2.1:4001"), ("a=rtcp:", "192.0.2.1:4001"),
        ("a=rtcp", "192.0.2.1:4001"), ("a=rtcp-mux", "192.0.2.1:4001"),
    ] as [(String, String?)])
    func rtcp(line: String, address: String?) throws {
        let medium = try audio("m=audio 4000 RTP/AVP 0", line)
        #expect(medium.rtcpAddress == address.flatMap { SocketAddress($0) })
    }

    @Test("a declined medium has no address, the last port no neighbour")
    func noRTCP() throws {
        #expect(try audio("m=audio 0 RTP/AVP 0").rtcpAddress == nil)
        #expect(try audio("m=audio 0 RTP/AVP 0").rtpAddress == nil)
        #expect(try audio("m=audio 65535 RTP/AVP 0").rtcpAddress == nil)
    }

    @Test("every form of hold", arguments: [
        ("a=sendrecv", false), ("a=sendonly", true), ("a=recvonly", true), ("a=inactive", true),
        ("c=IN IP4 0.0.0.0", true), ("c=IN IP6 ::", true), ("c=IN IP4 192.0.2.7", false),
    ])
    func hold(line: String, isHold: Bool) throws {
        let medium = try audio("m=audio 4000 RTP/AVP 0", line)
        #expect(medium.isHold == isHold)
        #expect(try audio("m=audio 0 RTP/AVP 0", line).isHold == false)
        if line.hasSuffix("0.0.0.0") || line.hasSuffix("::") { #expect(medium.rtpAddress == nil) }
    }

    @Test("a session is on hold when all its active media are")
    func sessionHold() throws {
        #expect(try parse("v=0").isHold == false)
        #expect(try parse("v=0\nm=audio 4 RTP/AVP 0\na=inactive\nm=video 0 RTP/AVP 31").isHold)
        #expect(try parse("v=0\nm=audio 4 RTP/AVP 0\na=inactive\nm=video 6 RTP/AVP 31").isHold == false)
    }

    @Test("payloads: a map overrides the table, nonsense and repetition are left out")
    func payloads() throws {
        let medium = try audio(
            "m=audio 4000 RTP/AVP 0 0 8 128 300 x 97 98", "a=rtpmap:8 L16/16000", "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:97 odd", "a=rtpmap:98", "a=rtpmap:+0 x/1", "a=rtpmap:", "a=fmtp:97")
        #expect(medium.formats == ["0", "0", "8", "128", "300", "x", "97", "98"])
        #expect(medium.payloads.map(\.number) == [0, 8, 97, 98])
        #expect(medium.payloads.map(\.encodingName) == ["PCMU", "L16", "odd", nil])
        #expect(medium.payloads.map(\.clockRate) == [8000, 16_000, nil, nil])
    }

    @Test("telephone events and comfort noise are recognised whatever their number and case")
    func specialPayloads() throws {
        let medium = try audio(
            "m=audio 4000 RTP/AVP 0 13 101 118", "a=rtpmap:101 Telephone-Event/8000", "a=rtpmap:118 cn/16000")
        #expect(medium.payloads.map(\.isTelephoneEvent) == [false, false, true, false])
        #expect(medium.payloads.map(\.isComfortNoise) == [false, true, false, true])
    }

    @Test("which transports are RTP and which can be relayed", arguments: [
        ("RTP/AVP", true, true), ("rtp/avpf", true, true), ("RTP/SAVP", true, true), ("RTP/SAVPF", true, true),
        ("UDP/TLS/RTP/SAVPF", true, true), ("udptl", false, true), ("UDPTL", false, true), ("udp", false, true),
        ("TCP/MSRP", false, false), ("TCP/RTP/AVP", false, false), ("RTP", false, false),
        ("UDP/DTLS/SCTP", false, false),
    ])
    func transports(transport: String, isRTP: Bool, isRelayable: Bool) throws {
        let medium = try audio("m=audio 4000 \(transport) 0")
        #expect(medium.isRTP == isRTP)
        #expect(medium.isRelayable == isRelayable)
        #expect(medium.payloads.isEmpty == !isRTP)
    }

    @Test("488 when active media exist and none can be relayed")
    func relayable() throws {
        #expect(throws: SDPError.unsupportedTransport("TCP/MSRP")) {
            try self.parse("v=0\nm=audio 0 RTP/AVP 0\nm=message 7 TCP/MSRP *").checkRelayable()
        }
        #expect(SDPError.unsupportedTransport("TCP/MSRP").statusCode == 488)
        try parse("v=0").checkRelayable()
        try parse("v=0\nm=message 0 TCP/MSRP *").checkRelayable()
        try parse("v=0\nm=message 7 TCP/MSRP *\nm=audio 4 RTP/AVP 0").checkRelayable()
    }

    @Test("lines phones leave out or fill oddly are no reason to refuse", arguments: [
        "v=0", "v=0 ", "v= 0", "v=0\ns=", "v=0\ns= ", "v=0\no=", "v=0\nt=", "v=0\nt=0 0\nc=IN IP4 192.0.2.1",
        "v=0\n\n\n",
        "v=0\nm=audio 0 RTP/AVP", "v=0\nZ=1", "v=0\nm=audio 4000 RTP/AVP 0 \na=", "v=0\nm=x 1 y z", "v=0\nv=1",
    ])
    func lenient(text: String) throws {
        _ = try parse(text)
    }

    @Test("what is refused, and why", arguments: [
        ("", .missingLine("v")), ("\r\n\r\n", .missingLine("v")), ("s=x\n", .missingLine("v")),
        ("o=- 1 1 IN IP4 192.0.2.1\nv=0", .missingLine("v")), ("V=0", .missingLine("v")),
        ("v=1", .malformedLine(number: 1)), ("v=", .malformedLine(number: 1)), ("v=00", .malformedLine(number: 1)),
        ("v", .malformedLine(number: 1)), ("v0", .malformedLine(number: 1)), ("=0", .malformedLine(number: 1)),
        (" v=0", .malformedLine(number: 1)), ("v=0\nhello", .malformedLine(number: 2)),
        ("v=0\n\ns=-", .malformedLine(number: 2)), ("v=0\r\r\ns=-", .malformedLine(number: 1)),
        ("v=0\ns=a\u{0}b", .malformedLine(number: 2)), ("v=0\ns=a\rb", .malformedLine(number: 2)),
        ("v=0\nss=x", .malformedLine(number: 2)), ("v=0\nm=", .malformedLine(number: 2)),
        ("v=0\nm=audio", .malformedLine(number: 2)), ("v=0\nm=audio 4000", .malformedLine(number: 2)),
        ("v=0\nm=audio 4000 RTP/AVP", .malformedLine(number: 2)),
        ("v=0\nm=audio 65536 RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio -1 RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio +1 RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio x RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio 4000/ RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio /2 RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio 4000/0 RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio 4000/2/2 RTP/AVP 0", .malformedLine(number: 2)),
        ("v=0\nm=audio 99999999999999999999999 RTP/AVP 0", .malformedLine(number: 2)),
    ] as [(String, SDPError)])
    func malformed(text: String, error: SDPError) {
        #expect(throws: error) { try SessionDescription(parsing: Array(text.utf8)) }
        #expect(error.statusCode == 400)
    }

    @Test("32 media are read, 33 refused with 488")
    func mediaLimit() throws {
        let line = "m=audio 4000 RTP/AVP 0\n"
        #expect(try parse("v=0\n" + String(repeating: line, count: 32)).media.count == 32)
        #expect(throws: SDPError.tooManyMedia(limit: 32)) {
            try self.parse("v=0\n" + String(repeating: line, count: 33))
        }
        #expect(SDPError.tooManyMedia(limit: 32).statusCode == 488)
    }

    @Test("a slice with indices of its own is read like an array")
    func slice() throws {
        let message = Array("INVITE…\r\n\r\n".utf8) + SDPSample.octets(SDPSample.all[0].input)
        let body = message.dropFirst(message.count - SDPSample.octets(SDPSample.all[0].input).count)
        #expect(try SessionDescription(parsing: body).media.count == 1)
    }
}
