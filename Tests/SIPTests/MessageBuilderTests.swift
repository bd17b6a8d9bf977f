import Core
import Testing

@testable import SIP

@Suite struct MessageBuilderTests {
    private let source = SocketAddress(ip: IPAddress(ipv4: 0xc633_6407), port: 40000)

    @Test("a request comes out as it was put in")
    func request() {
        var builder = MessageBuilder(request: .options, uri: "sip:a@192.0.2.9")
        builder.add(.via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")
        builder.add(name: "X-Extra", "yes")
        #expect(
            String(decoding: builder.finish(body: Array("hi".utf8), contentType: "text/plain"), as: UTF8.self)
                == """
                OPTIONS sip:a@192.0.2.9 SIP/2.0
                Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
                X-Extra: yes
                Content-Type: text/plain
                Content-Length: 2

                hi
                """.replacing("\n", with: "\r\n"))
    }

    @Test("a response repeats what the RFC asks for and tells where the request came from")
    func response() throws {
        let invite = try parsed(
            Sample.request(adding: "v: SIP/2.0/TCP p2;branch=z9hG4bK2 ,\r\n SIP/2.0/UDP p3\r\nTimestamp: 54\r\n"))
        let octets = MessageBuilder.response(to: invite, status: 180, toTag: "ours", source: source).finish()
        #expect(
            String(decoding: octets, as: UTF8.self)
                == """
                SIP/2.0 180 Ringing
                Via: SIP/2.0/UDP 192.0.2.1:5070;rport=40000;branch=z9hG4bK776asdhds;received=198.51.100.7
                Via: SIP/2.0/TCP p2;branch=z9hG4bK2 , SIP/2.0/UDP p3
                From: "Alice" <sip:alice@atlanta.example.com>;tag=1928301774
                To: Bob <sip:bob@biloxi.example.com>;tag=ours
                Call-ID: a84b4c76e66710
                CSeq: 314159 INVITE
                Record-Route: <sip:p1.example.com;lr>
                Content-Length: 0


                """.replacing("\n", with: "\r\n"))
        let response = try parsed(octets)
        #expect(response.topVia.received == source.ip)
        #expect(response.topVia.rport == source.port)
        #expect(response.listValues(.via).count == 3)
    }

    @Test("a 100 has Timestamp, no tag and no Record-Route; a failure has no Record-Route either")
    func otherStatuses() throws {
        let invite = try parsed(Sample.request(adding: "Timestamp: 54\r\n"))
        let trying = try parsed(MessageBuilder.response(to: invite, status: 100, toTag: nil, source: source).finish())
        #expect(trying.text(.timestamp) == "54")
        #expect(trying.toTag == nil)
        #expect(trying.first(.recordRoute) == nil)
        let busy = try parsed(MessageBuilder.response(to: invite, status: 486, toTag: "x", source: source).finish())
        #expect(busy.toTag.map(text) == "x")
        #expect(busy.first(.recordRoute) == nil)
        #expect(busy.first(.timestamp) == nil)
        #expect(busy.reasonPhrase == "Busy Here")
    }

    @Test("a tag that is there stays")
    func tagStays() throws {
        let request = try parsed(
            Sample.invite.replacing("To: Bob <sip:bob@biloxi.example.com>", with: "To: <sip:b@c>;tag=theirs"))
        let response = try parsed(
            MessageBuilder.response(to: request, status: 200, toTag: "x", source: source).finish())
        #expect(response.toTag.map(text) == "theirs")
    }

    @Test(
        "received is ours to say: added when sent-by differs, and a claimed one is replaced",
        arguments: [
            ("198.51.100.7", "198.51.100.7"), ("198.51.100.7;rport", "198.51.100.7;rport=40000;received=198.51.100.7"),
            ("host.example.com", "host.example.com;received=198.51.100.7"),
            ("10.0.0.1;received=203.0.113.1;x=\"a;b\"", "10.0.0.1;x=\"a;b\";received=198.51.100.7"),
            ("10.0.0.1;RPORT=1", "10.0.0.1;RPORT=40000;received=198.51.100.7"),
            ("10.0.0.1 , SIP/2.0/UDP second", "10.0.0.1;received=198.51.100.7 , SIP/2.0/UDP second"),
        ])
    func received(sentBy: String, expected: String) throws {
        let request = try parsed(
            Sample.invite.replacing("192.0.2.1:5070;rport;branch=z9hG4bK776asdhds", with: sentBy))
        let response = try parsed(
            MessageBuilder.response(to: request, status: 200, toTag: "x", source: source).finish())
        let via = try #require(response.text(.via))
        #expect(via.replacing(", SIP", with: " , SIP").replacing("  ,", with: " ,") == "SIP/2.0/UDP \(expected)")
    }

    @Test(
        "nothing that is added can start another header line",
        arguments: [
            "x\r\nVia: SIP/2.0/UDP evil", "x\nVia: SIP/2.0/UDP evil", "x\rVia: SIP/2.0/UDP evil", "x\r\n\r\nbody",
            "\r\n\r\n", "x \r\n\t y\n",
        ])
    func injection(value: String) throws {
        let invite = try parsed(Sample.invite)
        var builder = MessageBuilder.response(to: invite, status: 200, reason: value, toTag: value, source: source)
        builder.add(.subject, value)
        builder.add(name: "X-Extra", value)
        builder.add(.server, octets: Array(value.utf8))
        let octets = builder.finish(body: [], contentType: value)
        let response = octets.split(separator: 0x0a, omittingEmptySubsequences: false)
        let names = [
            "SIP", "Via", "From", "To", "Call-ID", "CSeq", "Record-Route", "Subject", "X-Extra", "Server",
            "Content-Type", "Content-Length",
        ]
        #expect(response.count == names.count + 2)
        for (line, name) in zip(response, names) {
            #expect(line.starts(with: name.utf8))
            #expect(line.firstIndex(of: 0x0d) == line.indices.last)
        }
    }

    @Test("a request URI cannot hold white space or line ends")
    func uriInjection() {
        let octets = MessageBuilder(request: .bye, uri: "sip:a@b SIP/2.0\r\nX: y").finish()
        #expect(octets.starts(with: "BYE sip:a@bSIP/2.0X:y SIP/2.0\r\nContent-Length: 0\r\n\r\n".utf8))
    }

    @Test("copied fields are unfolded, known names spelled out, unknown ones kept")
    func copying() throws {
        let message = try parsed(Sample.request(adding: "s: one\r\n\ttwo\r\nx-own: three\r\n"))
        var builder = MessageBuilder(response: 200)
        for field in message.headers where field.name == .subject || field.name == .other {
            builder.copy(field, from: message)
        }
        #expect(
            String(decoding: builder.finish(), as: UTF8.self)
                == "SIP/2.0 200 OK\r\nSubject: one two\r\nx-own: three\r\nContent-Length: 0\r\n\r\n")
    }

    @Test("every accepted torture request is answered in a way the parser accepts")
    func roundTrip() throws {
        for (name, _) in MessageTortureTests.expectations {
            guard case .message(let request) = SIPMessage.parse(try MessageTortureTests.octets(name)), request.isRequest
            else { continue }
            let octets = MessageBuilder.response(to: request, status: 200, toTag: "ours", source: source).finish()
            let response = try parsed(octets)
            #expect(response.cseq == request.cseq, "\(name)")
            #expect(response.callID == request.callID, "\(name)")
            #expect(response.listValues(.via).count == request.listValues(.via).count, "\(name)")
            #expect(response.from.uri.text == request.from.uri.text, "\(name)")
        }
    }

    @Test func reasonPhrases() {
        #expect(StatusCode.reasonPhrase(487) == "Request Terminated")
        #expect(StatusCode.reasonPhrase(299) == "OK")
        #expect(StatusCode.reasonPhrase(699) == "Busy Everywhere")
    }
}
