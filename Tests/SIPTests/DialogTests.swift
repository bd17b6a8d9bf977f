import Core
import SIP
import Testing

@Suite struct DialogTests {
    private static let here = LocalEndpoint(.udp, SocketAddress("192.0.2.1:5060")!)
    private static let peer = Flow(udp: SocketAddress("198.51.100.7:5062")!)

    // MARK: User agent server

    @Test("as user agent server: our tag, the peer's Contact, Record-Route in its order, CSeq from 1")
    func server() throws {
        let invite = try parse(
            """
            INVITE sip:100@192.0.2.1 SIP/2.0
            Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK1
            Record-Route: <sip:198.51.100.1;lr>, <sip:198.51.100.2:5070;lr>
            Record-Route: <sip:198.51.100.3;lr>
            From: "Ada" <sip:ada@a.example>;tag=theirs
            To: <sip:100@b.example>
            Call-ID: c1
            CSeq: 7 INVITE
            Contact: <sip:ada@198.51.100.7:5062;ob>

            """)
        let dialog = Dialog(serving: invite, localTag: "ours", source: Self.peer)
        #expect(dialog.remoteTag == "theirs")
        #expect(dialog.localTag == "ours")
        #expect(dialog.callID == "c1")
        let bye = try parse(dialog.request(.bye, branch: "z9hG4bKx", sentBy: Self.here).finish())
        #expect(String(decoding: bye.requestURI, as: UTF8.self) == "sip:ada@198.51.100.7:5062;ob")
        #expect(bye.text(.from) == "<sip:100@b.example>;tag=ours")
        #expect(bye.text(.to) == "\"Ada\" <sip:ada@a.example>;tag=theirs")
        #expect(bye.cseq.number == 1 && bye.cseq.method == .bye)
        #expect(bye.maxForwards == 70)
        #expect(bye.text(.via) == "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport")
        #expect(
            routes(bye) == ["<sip:198.51.100.1;lr>", "<sip:198.51.100.2:5070;lr>", "<sip:198.51.100.3;lr>"])
        #expect(dialog.destination.remote == SocketAddress("198.51.100.1:5060"))
        #expect(try parse(dialog.request(.bye, branch: "z9hG4bKy", sentBy: Self.here).finish()).cseq.number == 2)
    }

    @Test("a request without Contact: the peer is its From, and gets requests where its own came from")
    func serverWithoutContact() throws {
        let invite = try parse(Self.request(contact: nil))
        let dialog = Dialog(serving: invite, localTag: "ours", source: Self.peer)
        let bye = try parse(dialog.request(.bye, branch: "z9hG4bKx", sentBy: Self.here).finish())
        #expect(String(decoding: bye.requestURI, as: UTF8.self) == "sip:ada@a.example")
        #expect(dialog.destination == Self.peer)
    }

    // MARK: User agent client

    @Test("as user agent client: Record-Route reversed, tag and target of the answer, ACK with the CSeq of its INVITE")
    func client() throws {
        let dialog = Self.calling()
        let invite = try parse(dialog.request(.invite, branch: "z9hG4bKi", sentBy: Self.here, maxForwards: 9).finish())
        #expect(invite.cseq.number == 1 && invite.toTag == nil && invite.maxForwards == 9)
        #expect(dialog.destination == Self.peer)
        dialog.update(
            with: try parse(
                """
                SIP/2.0 200 OK
                Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi
                Record-Route: <sip:198.51.100.1;lr>, <sip:198.51.100.2;lr>
                From: <sip:me@192.0.2.1>;tag=mine
                To: <sip:you@198.51.100.7>;tag=yours
                Call-ID: c2
                CSeq: 1 INVITE
                Contact: <sip:you@203.0.113.5:5080>

                """), source: Self.peer)
        #expect(dialog.remoteTag == "yours")
        let ack = try parse(
            dialog.request(.ack, branch: "z9hG4bKa", sentBy: Self.here, sequence: dialog.localSequence).finish())
        #expect(ack.cseq.number == 1 && ack.cseq.method == .ack)
        #expect(ack.text(.to) == "<sip:you@198.51.100.7>;tag=yours")
        #expect(routes(ack) == ["<sip:198.51.100.2;lr>", "<sip:198.51.100.1;lr>"])
        #expect(String(decoding: ack.requestURI, as: UTF8.self) == "sip:you@203.0.113.5:5080")
        #expect(dialog.destination.remote == SocketAddress("198.51.100.2:5060"))
        let bye = try parse(dialog.request(.bye, branch: "z9hG4bKb", sentBy: Self.here).finish())
        #expect(bye.cseq.number == 2)
    }

    @Test("the final answer of another branch replaces tag, target and routes of an earlier 18x")
    func otherBranchAnswers() throws {
        let dialog = Self.calling()
        dialog.update(
            with: try parse(Self.response(180, tag: "a", contact: "sip:a@203.0.113.1", recordRoute: "<sip:198.51.100.9;lr>")),
            source: Self.peer)
        dialog.update(with: try parse(Self.response(200, tag: "b", contact: "sip:b@203.0.113.2")), source: Self.peer)
        let ack = try parse(dialog.request(.ack, branch: "z9hG4bKa", sentBy: Self.here, sequence: 1).finish())
        #expect(ack.toTag.map { String(decoding: $0, as: UTF8.self) } == "b")
        #expect(String(decoding: ack.requestURI, as: UTF8.self) == "sip:b@203.0.113.2")
        #expect(routes(ack) == [])
        #expect(dialog.destination.remote == SocketAddress("203.0.113.2:5060"))
    }

    @Test("a strict router becomes the Request-URI, the target goes to the end of the routes (RFC 3261 §12.2.1.1)")
    func strictRouting() throws {
        let dialog = Self.calling()
        dialog.update(
            with: try parse(
                Self.response(
                    200, tag: "b", contact: "sip:b@203.0.113.2", recordRoute: "<sip:198.51.100.2;lr>, <sip:198.51.100.1>")),
            source: Self.peer)
        let bye = try parse(dialog.request(.bye, branch: "z9hG4bKa", sentBy: Self.here).finish())
        #expect(String(decoding: bye.requestURI, as: UTF8.self) == "sip:198.51.100.1")
        #expect(routes(bye) == ["<sip:198.51.100.2;lr>", "<sip:b@203.0.113.2>"])
        #expect(dialog.destination.remote == SocketAddress("198.51.100.1:5060"))
    }

    // MARK: Where requests go

    @Test("a peer that came by a connection is answered on it, whatever transport its Contact leaves open", arguments: [
        ("sip:a@198.51.100.7:5070", "tcp:198.51.100.7:5070", true),
        ("sip:a@198.51.100.7:5070;transport=tcp", "tcp:198.51.100.7:5070", true),
        ("sip:a@203.0.113.9;transport=TCP", "tcp:203.0.113.9:5060", false),
        ("sip:a@203.0.113.9", "203.0.113.9:5060", false),
        ("sips:a@198.51.100.7", "tls:198.51.100.7:5061", false),
        ("sip:a@10.0.0.1:5060;transport=tcp", "tcp:198.51.100.7:40123", true),
    ])
    func streamDestination(contact: String, expected: String, isSameConnection: Bool) throws {
        let invite = try parse(Self.request(contact: contact))
        let source = Flow(
            .tcp, to: SocketAddress("198.51.100.7:40123")!, listener: 1, connection: 3, mayConnect: false)
        let destination = Dialog(serving: invite, localTag: "ours", source: source).destination
        #expect(destination.description == expected)
        #expect((destination.connection == 3) == isSameConnection)
    }

    @Test("a peer takes connections where it has named an address and no transport itself, and not by the way back through a NAT", arguments: [
        ("sip:a@203.0.113.5:5099", true), ("sip:a@198.51.100.7:5062", true), ("sip:a@203.0.113.5;transport=udp", false),
        ("sip:a@10.0.0.5:5060", false), ("sip:a@phone.example", false),
    ])
    func openDestination(contact: String, isOpen: Bool) throws {
        let dialog = Dialog(serving: try parse(Self.request(contact: contact)), localTag: "ours", source: Self.peer)
        #expect(dialog.takesAnyTransport == isOpen)
        dialog.setBehindNAT(true)
        #expect(!dialog.takesAnyTransport)
    }

    @Test("a target that cannot be reached is replaced by where its messages came from", arguments: [
        ("sip:a@10.0.0.5:5060", "198.51.100.7:5062"), ("sip:a@192.168.1.2", "198.51.100.7:5062"),
        ("sip:a@phone.example", "198.51.100.7:5062"), ("sip:a@0.0.0.0", "198.51.100.7:5062"),
        ("sip:a@203.0.113.5", "203.0.113.5:5060"), ("sip:a@203.0.113.5:5099", "203.0.113.5:5099"),
        ("sip:a@[2001:db8::9]:5070", "[2001:db8::9]:5070"),
    ])
    func destination(contact: String, expected: String) throws {
        let invite = try parse(Self.request(contact: contact))
        let dialog = Dialog(serving: invite, localTag: "ours", source: Self.peer)
        #expect(dialog.destination.description == expected)
    }

    @Test("in a private network a private target is reached as it says")
    func privateNetwork() throws {
        let invite = try parse(Self.request(contact: "sip:a@10.0.0.5:5070"))
        let dialog = Dialog(serving: invite, localTag: "ours", source: Flow(udp: SocketAddress("10.0.0.4:5060")!))
        #expect(dialog.destination.remote == SocketAddress("10.0.0.5:5070"))
    }

    // MARK: Helpers

    private static func calling() -> Dialog {
        Dialog(
            calling: "sip:you@198.51.100.7:5062", callID: "c2", localTag: "mine", local: "<sip:me@192.0.2.1>;tag=mine",
            remote: "<sip:you@198.51.100.7>", sequence: 0, destination: peer)
    }

    private static func request(contact: String?) -> String {
        """
        INVITE sip:100@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK1
        From: <sip:ada@a.example>;tag=theirs
        To: <sip:100@b.example>
        Call-ID: c1
        CSeq: 7 INVITE
        \(contact.map { "Contact: <\($0)>" } ?? "Subject: none")

        """
    }

    private static func response(_ status: Int, tag: String, contact: String, recordRoute: String? = nil) -> String {
        """
        SIP/2.0 \(status) Fine
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi
        From: <sip:me@192.0.2.1>;tag=mine
        To: <sip:you@198.51.100.7>;tag=\(tag)
        Call-ID: c2
        CSeq: 1 INVITE
        Contact: <\(contact)>
        \(recordRoute.map { "Record-Route: \($0)" } ?? "Subject: none")

        """
    }

    private func routes(_ message: SIPMessage) -> [String] {
        message.listValues(.route).map { String(decoding: $0, as: UTF8.self) }
    }

    private func parse(_ text: String) throws -> SIPMessage {
        try parse(Array((text + "\n").replacing("\n", with: "\r\n").utf8))
    }

    private func parse(_ octets: [UInt8]) throws -> SIPMessage {
        guard case .message(let message) = SIPMessage.parse(octets) else {
            throw Broken(text: String(decoding: octets, as: UTF8.self))
        }
        return message
    }

    private struct Broken: Error {
        let text: String
    }
}
