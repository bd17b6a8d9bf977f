import Core
import SIP
import Testing

struct FlowTests {
    private static let udp = SocketAddress("192.0.2.1:5060")!
    private static let tls = SocketAddress("192.0.2.1:5061")!
    private static let ipv6 = SocketAddress("[2001:db8::1]:5060")!
    private let endpoints = LocalEndpoints([.init(.udp, Self.udp), .init(.tls, Self.tls), .init(.udp, Self.ipv6)])

    @Test("Via and Contact follow the flow: transport and address family", arguments: [
        ("udp", "198.51.100.7:5060", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKb;rport", "<sip:192.0.2.1:5060>"),
        ("udp", "[2001:db8::7]:5060", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKb;rport", "<sip:[2001:db8::1]:5060>"),
        ("tls", "198.51.100.7:5061", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKb;rport;alias", "<sip:192.0.2.1:5061;transport=tls>"),
        // Nobody listens for TCP: answers come by the connection, requests of the peer's by UDP.
        ("tcp", "198.51.100.7:5060", "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKb;rport;alias", "<sip:192.0.2.1:5060>"),
    ])
    func endpoint(transport: String, remote: String, via: String, contact: String) throws {
        let flow = Flow(try #require(Transport(rawValue: transport)), to: try #require(SocketAddress(remote)))
        let endpoint = endpoints.endpoint(for: flow)
        #expect(endpoint.via(branch: "z9hG4bKb") == via)
        #expect(endpoint.contact == contact)
    }

    @Test("a response to a request by TCP goes by its connection, and if that is gone to the port in sent-by")
    func responseByStream() throws {
        let source = Flow(
            .tcp, to: try #require(SocketAddress("198.51.100.7:40123")), listener: 1, connection: 7, mayConnect: false)
        for (sentBy, port) in [("198.51.100.7:5070", 5070), ("a.example", 5060)] {
            let request = try #require(Self.request(via: "SIP/2.0/TCP \(sentBy);branch=z9hG4bKt;rport"))
            let flow = ResponseDestination.flow(for: request, source: source)
            #expect(flow.connection == 7)
            #expect(flow.remote.description == "198.51.100.7:\(port)")
            #expect(flow.mayConnect)
        }
    }

    @Test("by TCP an INVITE is sent once and given up after 32 s, a response is sent once and its transaction is over")
    func reliable() throws {
        var layer = TransactionLayer()
        var outputs: [TransactionLayer.Output] = []
        var now = clockStart
        let peer = Flow(.tcp, to: try #require(SocketAddress("198.51.100.7:5060")))
        _ = layer.send([], method: .invite, branch: "z9hG4bKa", to: peer, now: now, outputs: &outputs)
        let options = try #require(Self.request(via: "SIP/2.0/TCP a.example;branch=z9hG4bKo"))
        layer.receive(options, from: peer, now: now, outputs: &outputs)
        guard case .request(let id, _, _) = outputs[1] else { throw Missing() }
        layer.respond(id, status: 200, [], now: now, outputs: &outputs)
        #expect(layer.count == 1)
        while let due = layer.nextDeadline {
            now = due
            layer.advance(to: now, outputs: &outputs)
        }
        #expect(now - clockStart == .seconds(32))
        let sent = outputs.count { if case .send = $0 { true } else { false } }
        #expect(sent == 2)
        #expect(layer.count == 0)
    }

    private struct Missing: Error {}

    private static func request(via: String) -> SIPMessage? {
        let text = """
            OPTIONS sip:192.0.2.1 SIP/2.0
            Via: \(via)
            From: <sip:a@a.example>;tag=f
            To: <sip:b@b.example>
            Call-ID: c
            CSeq: 1 OPTIONS
            Max-Forwards: 70
            Content-Length: 0


            """
        guard case .message(let message) = SIPMessage.parse(Array(text.replacing("\n", with: "\r\n").utf8)) else { return nil }
        return message
    }
}
