import Core
import Testing

@testable import SIP

@Suite struct MessageGrammarTests {
    struct URICase: Sendable {
        var text: String
        var scheme = SIPURI.Scheme.sip
        var user: String?
        var password: String?
        var host = ""
        var port: UInt16?
        var parameters = ""
        var headers: String?
    }

    @Test(arguments: [
        URICase(text: "sip:example.com", host: "example.com"),
        URICase(text: "SIP:a@Example.com:5070", user: "a", host: "Example.com", port: 5070),
        URICase(text: "sips:a:secret@h;lr", scheme: .sips, user: "a", password: "secret", host: "h", parameters: ";lr"),
        URICase(
            text: "sip:+1-555;phone-context=x@h;user=phone", user: "+1-555;phone-context=x", host: "h",
            parameters: ";user=phone"),
        URICase(text: "sip:a%40b@h?Subject=x", user: "a%40b", host: "h", headers: "Subject=x"),
        URICase(text: "sip:*21#@h", user: "*21#", host: "h"),
        URICase(
            text: "sip:[2001:db8::1]:5070;transport=udp", host: "2001:db8::1", port: 5070,
            parameters: ";transport=udp"),
        URICase(text: "sip:a?b@h", user: "a?b", host: "h"),
        URICase(text: "tel:+15551234;phone-context=x", scheme: .tel, user: "+15551234", parameters: ";phone-context=x"),
        URICase(text: "urn:service:sos", scheme: .other),
    ])
    func uri(expected: URICase) throws {
        let uri = try #require(SIPURI(expected.text))
        #expect(uri.text == expected.text)
        #expect(uri.scheme == expected.scheme)
        #expect(uri.user == expected.user)
        #expect(uri.password == expected.password)
        #expect(uri.host == expected.host)
        #expect(uri.port == expected.port)
        #expect(uri.parameters == expected.parameters)
        #expect(uri.headers == expected.headers)
    }

    @Test(arguments: [
        "", "sip", "sip:", "sip:@", "sip:a@", "sip:a@h:", "sip:a@h:0", "sip:a@h:65536", "sip:a@h:5x", "sip:[::1",
        "sip:[1.2.3.4]",
        "sip:[::1]x", "sip:2001:db8::1", "sip:a b@h", "sip:a@h;=x", "sip:a@h;;lr", "sip:a@h@i", "sip:a@h\r\nVia: x",
        "<sip:h>",
        "1sip:h", "sip:\"a\"@h", "sip:a@h/x",
    ])
    func malformedURI(text: String) { #expect(SIPURI(text) == nil) }

    @Test("a parameter is found in any case, with and without a value")
    func uriParameters() throws {
        let uri = try #require(SIPURI("sip:h;LR;transport=UDP;x=%20"))
        #expect(uri.parameter("lr") == "")
        #expect(uri.parameter("Transport") == "UDP")
        #expect(uri.parameter("x") == "%20")
        #expect(uri.parameter("maddr") == nil)
    }

    @Test(
        "an IP literal is a destination with the scheme's port, a name is not",
        arguments: [
            ("sip:a@192.0.2.1", "192.0.2.1:5060"), ("sips:192.0.2.1", "192.0.2.1:5061"),
            ("sip:192.0.2.1:7000", "192.0.2.1:7000"),
            ("sip:[2001:db8::1]", "[2001:db8::1]:5060"), ("sip:example.com", nil), ("tel:192", nil),
        ] as [(String, String?)])
    func socketAddress(text: String, expected: String?) {
        #expect(SIPURI(text)?.socketAddress?.description == expected)
    }

    struct AddressCase: Sendable {
        var text: String
        var displayName: String?
        var uri: String
        var tag: String?
    }

    @Test(arguments: [
        AddressCase(text: "sip:a@b", uri: "sip:a@b"),
        AddressCase(text: "sip:a@b;tag=x", uri: "sip:a@b", tag: "x"),
        AddressCase(text: "sip:a@b ; TAG = x ; y", uri: "sip:a@b", tag: "x"),
        AddressCase(text: "<sip:a@b;tag=uri>;tag=header", uri: "sip:a@b;tag=uri", tag: "header"),
        AddressCase(text: "Alice B. <sip:a@b>", displayName: "Alice B.", uri: "sip:a@b"),
        AddressCase(text: "Jörg <sip:a@b>", displayName: "Jörg", uri: "sip:a@b"),
        AddressCase(
            text: #""A \"quoted\" \\ <x>"<sip:a@b>;tag=1"#,
            displayName: #"A "quoted" \ <x>"#, uri: "sip:a@b", tag: "1"),
        AddressCase(text: #""" <sip:a@b>;x="a;tag=no";tag=yes"#, displayName: "", uri: "sip:a@b", tag: "yes"),
        AddressCase(text: "<tel:+123>", uri: "tel:+123"),
        AddressCase(text: "<sip:a@b?Route=%3Cx%3E>", uri: "sip:a@b?Route=%3Cx%3E"),
        AddressCase(text: "<sip:a@b>;tag=", uri: "sip:a@b"),
    ])
    func nameAddress(expected: AddressCase) throws {
        let address = try #require(NameAddress(expected.text))
        #expect(address.displayName == expected.displayName)
        #expect(text(address.uriOctets) == expected.uri)
        #expect(address.tag.map(text) == expected.tag)
    }

    @Test(arguments: [
        "", "*", "<sip:a@b", "sip:a@b>", "\"A <sip:a@b>", "\"A\" sip:a@b", "A, B <sip:a@b>", "sip:a@b?x=y", "<>", "< >",
        "<sip:a@b>;;tag=x", "<sip:a@b> tag=x", "<sip:a@b>;tag=\"x", "A \"B\" <sip:a@b>", "<sip:a@b>,<sip:c@d>",
    ])
    func malformedNameAddress(text: String) { #expect(NameAddress(text) == nil) }

    @Test("a Via is read with white space wherever the grammar has it")
    func via() throws {
        let via = try #require(
            Via(
                "sip / 2.0 / Udp  Host.Example.com : 5070 ; branch = z9hG4bKx ;rport=4000; received=[2001:db8::1];ttl=1"
            ))
        #expect(via.transport == .udp)
        #expect(via.sentBy == "host.example.com:5070")
        #expect(via.hostAddress == nil)
        #expect(via.branchText == "z9hG4bKx")
        #expect(via.hasCookie)
        #expect(via.rport == 4000)
        #expect(via.receivedText == "2001:db8::1")
        #expect(via.parameter("ttl") == "1")
    }

    @Test(arguments: [
        "", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 h", "SIP/2.0/UDPh", "SIP/2.0/UDP h:x", "SIP/2.0/UDP [::g]",
        "HTTP/2.0/UDP h", "SIP/3.0/UDP h", "SIP/2.0/UDP h;;branch=x", "SIP/2.0/UDP h i", "SIP/2.0/UDP h;branch=\"",
    ])
    func malformedVia(text: String) { #expect(Via(text) == nil) }

    @Test(
        "a response goes to the source, at its port unless sent-by is believable",
        arguments: [
            ("192.0.2.1:5070;rport", "192.0.2.1:40000"), ("192.0.2.1:5070", "192.0.2.1:5070"),
            ("192.0.2.1", "192.0.2.1:5060"),
            ("10.0.0.1:5070", "192.0.2.1:40000"), ("host.example.com:5070", "192.0.2.1:5070"),
            ("192.0.2.1:5070;maddr=203.0.113.9", "192.0.2.1:5070"),
            ("192.0.2.1;received=203.0.113.9", "192.0.2.1:5060"),
        ])
    func responseDestination(sentBy: String, expected: String) throws {
        let via = try #require(Via("SIP/2.0/UDP \(sentBy)"))
        let source = try #require(SocketAddress("192.0.2.1:40000"))
        #expect(ResponseDestination.address(for: via, source: source).description == expected)
    }
}
