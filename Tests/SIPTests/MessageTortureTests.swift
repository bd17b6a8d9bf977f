import Core
import Foundation
import Testing

@testable import SIP

/// The messages of RFC 4475 and RFC 5118, received over UDP.
@Suite struct MessageTortureTests {
    enum Expected: Equatable, CustomTestStringConvertible {
        case accepted
        case refused(Int)
        case discarded

        var testDescription: String { "\(self)" }
    }

    static let expectations: [(name: String, expected: Expected)] = [
        // RFC 4475 §3.1.1: valid.
        ("wsinv", .accepted), ("intmeth", .accepted), ("esc01", .accepted), ("escnull", .accepted),
        ("esc02", .accepted),
        ("lwsdisp", .accepted), ("longreq", .accepted), ("dblreq", .accepted), ("semiuri", .accepted),
        ("transports", .accepted), ("mpart01", .accepted), ("unreason", .accepted), ("noreason", .accepted),
        // §3.1.2: invalid. Where the RFC leaves a choice, a meaning that is plain is taken (badaspec, baddate).
        ("badinv01", .refused(400)), ("clerr", .refused(400)), ("ncl", .refused(400)), ("scalar02", .refused(400)),
        ("scalarlg", .discarded), ("quotbal", .refused(400)), ("ltgtruri", .refused(400)), ("lwsruri", .refused(400)),
        ("lwsstart", .refused(400)), ("trws", .refused(400)), ("escruri", .refused(400)), ("baddate", .accepted),
        ("regbadct", .refused(400)), ("badaspec", .accepted), ("baddn", .refused(400)), ("badvers", .refused(505)),
        ("mismatch01", .refused(400)), ("mismatch02", .refused(400)), ("bigcode", .discarded),
        // §3.2 to §3.4: for the transaction and the application. Two of them fail here already.
        ("badbranch", .accepted), ("insuf", .refused(400)), ("unkscm", .refused(416)), ("novelsc", .refused(416)),
        ("unksm2", .accepted), ("bext01", .accepted), ("invut", .accepted), ("regaut01", .accepted),
        ("multi01", .refused(400)), ("mcl01", .refused(400)), ("bcast", .accepted), ("zeromf", .accepted),
        ("cparam01", .accepted), ("cparam02", .accepted), ("regescrt", .accepted), ("sdp01", .accepted),
        ("inv2543", .accepted),
        // RFC 5118. With three colons §4.10 allows to refuse.
        ("ipv6-good", .accepted), ("ipv6-bad", .refused(400)), ("port-ambiguous", .accepted),
        ("port-unambiguous", .accepted), ("via-received-param-with-delim", .accepted),
        ("via-received-param-no-delim", .accepted), ("ipv6-in-sdp", .accepted), ("mult-ip-in-header", .accepted),
        ("mult-ip-in-sdp", .accepted), ("ipv4-mapped-ipv6", .accepted), ("ipv6-bug-abnf-3-colons", .refused(400)),
        ("ipv6-correct-abnf-2-colons", .accepted),
    ]

    @Test("is accepted, refused with a status, or discarded as the RFC advises", arguments: expectations)
    func treatment(name: String, expected: Expected) throws {
        switch SIPMessage.parse(try Self.octets(name)) {
        case .message: #expect(expected == .accepted)
        case .answerable(_, let status, let reason): #expect(expected == .refused(status), "\(reason)")
        case .keepAlive: Issue.record("taken for a keep-alive")
        case .discard(let reason): #expect(expected == .discarded, "\(reason)")
        }
    }

    @Test func everyFileHasAnExpectation() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        let names = files.filter { $0.hasSuffix(".dat") }.map { String($0.dropLast(4)) }
        #expect(Set(names) == Set(Self.expectations.map(\.name)))
    }

    @Test("whatever is refused can be answered")
    func answers() throws {
        let source = try #require(SocketAddress("198.51.100.7:5071"))
        for (name, _) in Self.expectations {
            guard case .answerable(let request, let status, let reason) = SIPMessage.parse(try Self.octets(name)) else {
                continue
            }
            let octets = MessageBuilder.response(
                to: request, status: status, reason: reason, toTag: "ours", source: source
            ).finish()
            #expect(octets.starts(with: "SIP/2.0 \(status) \(reason)\r\nVia: SIP/".utf8), "\(name)")
            if case .keepAlive = SIPMessage.parse(octets) { Issue.record("\(name)") }
        }
    }

    // MARK: What is in the accepted ones

    @Test("wsinv: folding, compact forms and white space at every legal place")
    func wsinv() throws {
        let message = try Self.message("wsinv")
        #expect(message.method == .invite)
        #expect(message.uri.user == "vivekg")
        #expect(message.uri.parameter("unknownparam") == "")
        #expect(message.to.uri.text == "sip:vivekg@chair-dnrc.example.com")
        #expect(message.toTag.map(text) == "1918181833n")
        #expect(message.from.displayName == #"J Rosenberg \""#)
        #expect(message.fromTag.map(text) == "98asjd8")
        #expect(message.maxForwards == 68)
        #expect(message.cseq == CSeq(number: 9, method: .invite))
        let vias = message.listValues(.via).compactMap { Via($0) }
        #expect(vias.map(\.branchText) == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"])
        #expect(vias.map(\.host) == ["192.0.2.2", "spindle.example.com", "192.168.255.111"])
        #expect(vias.map(\.transport) == [.udp, .tcp, .udp])
        #expect(vias.map(\.hasCookie) == [false, true, true])
        #expect(message.text(.subject) == "")
        #expect(
            message.headers.filter { $0.name == .other }.map(message.text).first
                == "newfangled value continued newfangled value")
        #expect(message.contact?.displayName == #"Quoted string """#)
        #expect(message.contact?.parameter("newparam") == "newvalue")
        #expect(message.contact?.parameter("q") == "0.33")
        #expect(message.nameAddresses(in: .route).first?.uri.parameter("lr") == "")
        #expect(message.body.count == 150)
    }

    @Test("intmeth: an unknown method, NUL in a quoted string, UTF-8 in parameters")
    func intmeth() throws {
        let message = try Self.message("intmeth")
        #expect(message.method == .unknown)
        #expect(message.methodText == "!interesting-Method0123456789_*+`.%indeed'~")
        #expect(message.cseq.methodText == message.methodText)
        #expect(message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
        #expect(message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
        #expect(message.uri.host == "example.com")
        #expect(message.to.displayName == "BEL:\u{7} NUL:\0 DEL:\u{7f}")
        #expect(message.from.displayName == "token1~` token2'+_ token3*%!.-")
        #expect(message.from.parameter("fromParam''~+*_!.-%") == "работающий")
        #expect(message.fromTag.map(text) == "_token~1'+`*%!-.")
        #expect(message.maxForwards == 255)
    }

    @Test("esc01, escnull, esc02: escapes stay as written and mean nothing outside URIs")
    func escapes() throws {
        let esc01 = try Self.message("esc01")
        #expect(esc01.uri.user == "sips%3Auser%40example.com")
        #expect(esc01.uri.scheme == .sip)
        #expect(esc01.uri.unescapedUser == Array("sips:user@example.com".utf8))
        #expect(esc01.to.uri.unescapedUser == Array("user".utf8))
        let contacts = try Self.message("escnull").nameAddresses(in: .contact)
        #expect(contacts.map(\.uri.user) == ["%00", "%00%00"])
        #expect(contacts.map(\.uri.unescapedUser) == [[0], [0, 0]])
        let esc02 = try Self.message("esc02")
        #expect(esc02.method == .unknown)
        #expect(esc02.methodText == "RE%47IST%45R")
        #expect(esc02.headers.contains { esc02.nameText($0) == "C%6Fntact" && $0.name == .other })
    }

    @Test("dblreq: what follows the body in the datagram is not part of the message")
    func dblreq() throws {
        let message = try Self.message("dblreq")
        #expect(message.method == .register)
        #expect(message.body.isEmpty)
        #expect(message.bodyRange.upperBound < message.octets.count)
    }

    @Test("semiuri: a semicolon in the user does not start parameters")
    func semiuri() throws {
        let uri = try Self.message("semiuri").uri
        #expect(uri.user == "user;par=u%40example.net")
        #expect(uri.host == "example.com")
        #expect(uri.parameters.isEmpty)
    }

    @Test func transports() throws {
        let vias = try Self.message("transports").listValues(.via).compactMap { Via($0) }
        #expect(vias.map(\.transport) == [.udp, .sctp, .tls, .other, .tcp])
        #expect(vias.map(\.transportText) == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"])
    }

    @Test func reasonPhrases() throws {
        let unreason = try Self.message("unreason")
        #expect(unreason.status == 200)
        #expect(unreason.reasonPhrase.hasPrefix("= 2**3 * 5**2 "))
        #expect(unreason.method == .invite)
        let noreason = try Self.message("noreason")
        #expect(noreason.status == 100)
        #expect(noreason.reasonPhrase.isEmpty)
    }

    @Test("mpart01: a binary body is cut exactly")
    func mpart01() throws {
        let message = try Self.message("mpart01")
        #expect(message.method == .message)
        #expect(message.text(.contentLength).flatMap { Int($0) } == message.body.count)
        #expect(message.hasContentType("multipart/mixed"))
    }

    @Test("bext01: option tags of Require and Proxy-Require")
    func optionTags() throws {
        let message = try Self.message("bext01")
        #expect(message.listValues(.require).map(text) == ["nothingSupportsThis", "nothingSupportsThisEither"])
        #expect(message.hasToken("nothingsupportsthis", in: .require))
        #expect(message.listValues(.proxyRequire).count == 2)
    }

    @Test("inv2543: no branch, no From tag, no Max-Forwards, no Content-Length")
    func rfc2543() throws {
        let message = try Self.message("inv2543")
        #expect(message.topVia.branch == nil)
        #expect(message.topVia.sentBy == "iftgw.example.com")
        #expect(message.fromTag == nil)
        #expect(message.maxForwards == nil)
        #expect(message.body.starts(with: "v=0\r\n".utf8))
    }

    @Test("unksm2: other schemes in From, To and Contact are text")
    func otherSchemes() throws {
        let message = try Self.message("unksm2")
        #expect(message.to.uri.scheme == .other)
        #expect(message.to.uri.text == "isbn:2983792873")
        #expect(message.contact?.uri.text == "name:John_Smith")
    }

    @Test("badbranch: the magic cookie alone identifies no transaction")
    func bareCookie() throws {
        let via = try Self.message("badbranch").topVia
        #expect(via.branchText == "z9hG4bK")
        #expect(!via.hasCookie)
    }

    @Test func contactParameters() throws {
        #expect(try Self.message("cparam01").contact?.parameter("unknownparam") == "")
        #expect(try Self.message("cparam02").contact?.uri.parameter("unknownparam") == "")
        #expect(try Self.message("regescrt").contact?.uri.headers == "Route=%3Csip:sip.example.com%3E")
    }

    @Test("RFC 5118: the port of an IPv6 reference stands after the brackets")
    func ipv6Ports() throws {
        let ambiguous = try Self.message("port-ambiguous").uri
        #expect(ambiguous.host == "2001:db8::10:5070")
        #expect(ambiguous.port == nil)
        #expect(ambiguous.socketAddress == SocketAddress("[2001:db8::10:5070]:5060"))
        #expect(try Self.message("port-unambiguous").uri.socketAddress == SocketAddress("[2001:db8::10]:5070"))
        #expect(try Self.message("ipv4-mapped-ipv6").topVia.sentBy == "[::ffff:192.0.2.10]:19823")
    }

    @Test("RFC 5118 §4.5: received is an IPv6 address with and without brackets")
    func ipv6Received() throws {
        for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
            #expect(try Self.message(name).topVia.received == IPAddress("2001:db8::9:255"), "\(name)")
        }
    }

    // MARK: Helpers

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Torture")

    static func octets(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appendingPathComponent("\(name).dat")))
    }

    static func message(_ name: String) throws -> SIPMessage {
        guard case .message(let message) = SIPMessage.parse(try octets(name)) else { throw NotAccepted() }
        return message
    }

    struct NotAccepted: Error {}
}
