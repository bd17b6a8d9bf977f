package import Core
import Foundation

extension FuzzTarget {
    /// Where a fuzzer's finds are kept, one file each: Tests/FuzzTargets/Corpus/TARGET.
    private var folder: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Corpus/\(rawValue)")
    }

    /// What a fuzzer starts from: good octets, the finds of earlier runs, and for SIP the messages of RFC 4475 and RFC 5118.
    package var seeds: [[UInt8]] {
        var seeds = written.map { Array($0.replacing("\n", with: "\r\n").utf8) } + binary + Self.files(in: folder)
        switch self {
        case .sip: seeds += Self.torture
        case .sipStream: seeds += Self.torture.map { [16] + $0 }
        case .call: seeds += Self.calls + Self.torture.map { [0, 0] + $0 }
        default: break
        }
        return seeds
    }

    private static var torture: [[UInt8]] {
        files(
            in: URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("SIPTests/Torture"), named: ".dat")
    }

    private static func files(in folder: URL, named suffix: String = "") -> [[UInt8]] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.sorted().compactMap { name in
            (try? Data(contentsOf: folder.appendingPathComponent(name))).map { Array($0) }
        }
    }

    private var written: [String] {
        switch self {
        case .sip:
            [
                """
                INVITE sip:100@192.0.2.1;transport=tcp SIP/2.0
                Via: SIP/2.0/TCP [2001:db8::7]:5062;branch=z9hG4bK1;rport;alias, SIP/2.0/UDP a.example;received=192.0.2.9
                From: "Ada \\"A\\"" <sip:ada@a.example;user=phone>;tag=theirs
                To: <tel:+49301234;phone-context=example.com>
                Call-ID: c1@a.example
                CSeq: 7 INVITE
                Route: <sip:192.0.2.1;lr>, <sips:[2001:db8::1]:5061;lr>
                Contact: <sip:ada@198.51.100.7:5062;ob>;q=0.5;expires=60
                Require: timer
                Authorization: Digest username="ada", realm="a.example", nonce="00", uri="sip:a", response="11", qop=auth, nc=00000001
                Max-Forwards: 70
                Content-Type: application/sdp
                Content-Length: 5

                v=0

                """,
                "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\nf: <sip:a@b>;tag=1\nt: <sip:c@d>;tag=2\ni: x\nCSeq: 1 BYE\nl: 0\n\n",
            ]
        case .sipStream: ["\n\nOPTIONS sip:a@b SIP/2.0\nl: 0\n\n\n\nINFO sip:a@b SIP/2.0\nContent-Length: 3\n\nabcOPTIONS sip:a@b SIP/2.0\nl:0\n\n"]
        case .call: []
        case .sdp:
            [
                """
                v=0
                o=- 1 1 IN IP4 192.0.2.7
                s=a
                c=IN IP6 2001:db8::7
                t=0 0
                m=audio 40000 RTP/AVP 8 0 101
                a=rtpmap:101 telephone-event/8000
                a=rtcp:40009 IN IP4 192.0.2.8
                a=rtcp-mux
                a=sendonly
                m=image 40010 udptl t38
                c=IN IP4 0.0.0.0

                """
            ]
        case .ng, .ngStream:
            [
                "1_2 d7:command5:offer7:call-id3:abc8:from-tag1:a5:flagsl13:trust-addresse3:sdp3:v=0e",
                "x {\"command\": \"ping\", \"flags\": [\"a\\u00e4\", 1.5e3, null, true]}",
                "k d10:rtpp-flags41:a=[b=[c d] e=f] RTP direction=x [ ] ]=[ =7:command5:offere",
            ]
        case .control:
            [
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n",
                "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"records\",\"params\":{\"limit\":20,\"cause\":\"no_media\"}}\n[]\n",
            ]
        case .digest:
            [
                "username=\"ada\", realm=\"relayd\", nonce=\"00aa\", uri=\"sip:a\", response=\"11\", qop=auth, nc=00000001, "
                    + "cnonce=\"x\", algorithm=SHA-256, opaque=\"\"",
                "username = \"a\\\"b\" ,realm=\"relayd\",nonce=\"\",uri=\"\",response=\"\"",
            ]
        case .configuration:
            [
                """
                [sip]
                listen = "192.0.2.1:5060"
                listeners = ["tls:192.0.2.1:5061", "udp:[2001:db8::1]:5060!2001:db8::2"]
                [media]
                ports = "10000-20000"
                quarantine = "30s"
                no_media_prefixes = ["49=120"]
                [[trunk]]
                name = "a"
                address = "tcp:192.0.2.2"
                sources = ["192.0.2.0/24", "[2001:db8::2]:5060"]
                called_in = ["s/^00//"]
                [[route]]
                trunk = "a"
                prefixes = [""]
                [[user]]
                name = "ada"
                password = "secret"

                """
            ]
        case .media: []
        }
    }

    private var binary: [[UInt8]] {
        guard self == .media else { return [] }
        return [
            [0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4] + [UInt8](repeating: 0xd5, count: 160),
            // Padding, an extension of one word and one contributing source.
            [0xb1, 101, 0, 2, 0, 0, 1, 64, 1, 2, 3, 4, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 0, 0, 0, 0, 5, 0, 0, 2],
            // A sender report with two blocks and a description with a name; a receiver report and a goodbye.
            [0x82, 200, 0, 18] + [UInt8](repeating: 1, count: 72) + [0x81, 202, 0, 2, 1, 2, 3, 4, 1, 1, 0x61, 0],
            [0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4],
            // A STUN binding request (RFC 8489) with a fingerprint; DTLS, ZRTP and a TURN channel by their first octets.
            [0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42] + [UInt8](repeating: 7, count: 12) + [0x80, 0x28, 0, 4, 1, 2, 3, 4],
            [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], [16, 0, 0, 1, 0x5a, 0x52, 0x54, 0x50], [0x40, 0, 0, 4, 1, 2, 3, 4],
        ]
    }

    /// A call that is answered and hung up, one that is cancelled, and a request of a stranger, as `CallReading` reads them.
    private static var calls: [[UInt8]] {
        let body = "v=0\no=- 1 1 IN IP4 198.51.100.10\ns=-\nc=IN IP4 198.51.100.10\nt=0 0\nm=audio 40000 RTP/AVP 8\n"
        func request(_ method: String, _ more: String = "", body: String = "", from source: String = "198.51.100.10") -> String {
            "\(method) sip:49123@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP \(source):5060;branch=z9hG4bK\(method);rport\n"
                + "From: <sip:30@a.example>;tag=f\nTo: <sip:49123@b.example>\nCall-ID: c\nCSeq: 1 \(method)\nMax-Forwards: 70\n"
                + "Contact: <sip:30@\(source)>\n\(more)Content-Length: \(body.utf8.count + body.count { $0 == "\n" })\n\n\(body)"
        }
        func datagrams(_ parts: [(source: UInt8, delay: UInt8, text: String)]) -> [UInt8] {
            Array(parts.map { part in [part.source, part.delay] + Array(part.text.replacing("\n", with: "\r\n").utf8) }.joined(separator: [1]))
        }
        let invite = request("INVITE", "Content-Type: application/sdp\nSupported: timer, 100rel\n", body: body)
        return [
            datagrams([(0, 0, invite), (0, 5, invite), (0, 9, request("CANCEL")), (0, 9, request("ACK"))]),
            datagrams([(0, 0, invite), (0, 250, invite), (0, 250, request("BYE")), (0, 2, request("OPTIONS"))]),
            datagrams([(3, 0, request("INVITE", body: body)), (3, 2, request("REGISTER")), (2, 2, request("OPTIONS"))]),
        ]
    }

    /// One random change of `octets`, with what readers stumble over.
    package static func mutate(_ octets: inout [UInt8], with others: [[UInt8]], random: inout SeededRandom) {
        let interesting = Array("\r\n :;,=<>\"/@?%0919{}[]del-.".utf8) + [0, 1, 0x7f, 0x80, 0xff]
        let count = octets.count
        let place = count == 0 ? 0 : Int.random(in: 0..<count, using: &random)
        let end = min(count, place + Int.random(in: 1...24, using: &random))
        switch Int.random(in: 0..<8, using: &random) {
        case 0 where count > 0: octets[place] = UInt8.random(in: 0...255, using: &random)
        case 1 where count > 0: octets[place] = interesting.randomElement(using: &random)!
        case 2 where count > 0: octets.removeSubrange(place..<end)
        case 3 where count > 0: octets.insert(contentsOf: octets[place..<end], at: place)
        case 4 where count > 0: octets.removeSubrange(place...)
        case 5:
            let other = others.randomElement(using: &random) ?? []
            octets.insert(contentsOf: other.prefix(Int.random(in: 0...64, using: &random)), at: place)
        case 6 where count > 0:
            // A whole line from somewhere else: a header twice, or one that does not belong.
            let lines = (others.randomElement(using: &random) ?? octets).split(separator: 10, omittingEmptySubsequences: false)
            let start = octets[..<place].lastIndex(of: 10).map { $0 + 1 } ?? 0
            octets.insert(contentsOf: (lines.randomElement(using: &random) ?? []) + [10], at: start)
        default: octets.insert(interesting.randomElement(using: &random)!, at: place)
        }
    }
}
