import Core
import Harness
import NG
import Testing

/// The same commands to rtpengine itself and to relayd: answers with the same words, keys and descriptions.
@Suite("relayd answers as rtpengine does", .inTurn, .serialized, .needs(.rtpengine, .ipv6))
struct NGComparisonTests {
    /// One command.
    struct Step: Sendable {
        var command: String
        var entries: NGDictionary

        init(_ command: String, _ call: String, from: String? = nil, to: String? = nil, _ sdp: String? = nil,
            _ more: NGDictionary = [:]) {
            self.command = command
            entries = ["call-id": .text(call)]
            if let from { entries["from-tag"] = .text(from) }
            if let to { entries["to-tag"] = .text(to) }
            if let sdp { entries["sdp"] = .text(sdp) }
            for entry in more.entries { entries[entry.key] = entry.value }
        }
    }

    @Test("answers have the same result, keys, warnings and reasons, and descriptions of the same meaning")
    func answers() async throws {
        let host = Loopback.host()
        let engine = try await RTPEngine.start(on: host, interfaces: ["pub/\(host)", "pub/::1", "priv/127.0.0.1"])
        defer { engine.process.kill() }
        let other = Loopback.host()
        var settings = DaemonSettings(listen: SocketAddress(ip: other, port: 5060), mediaPorts: 10_000...10_999)
        settings.mediaInterfaces = ["pub/\(other)", "pub/::1", "priv/127.0.0.1"]
        settings.ngListen = SocketAddress(ip: other, port: 2223)
        settings.ngDeleteDelay = 0
        let daemon = try await Daemon.start(settings)
        defer { daemon.process.kill() }
        let theirs = try NGClient(on: host, server: engine.address)
        let ours = try NGClient(on: other, server: settings.ngListen!)
        var theirMeaning = Meaning(own: host)
        var ourMeaning = Meaning(own: other)
        for step in Self.steps {
            let expected = try await theirs.ask(step.command, step.entries)
            let answer = try await ours.ask(step.command, step.entries)
            let title = Comment("\(step.command) \(step.entries["call-id"]?.text ?? "")")
            #expect(answer["result"] == expected["result"], title)
            #expect(answer["warning"]?.text == expected["warning"]?.text, title)
            #expect(answer["error-reason"]?.text == expected["error-reason"]?.text, title)
            // Of the figures relayd tells the part that proxies read, and none by another name.
            let keys = Self.keys(answer)
            #expect(keys.isSubset(of: Self.keys(expected)), title)
            if step.command != "delete", step.command != "query" { #expect(keys == Self.keys(expected), title) }
            // rtpengine has ports of its own for each branch.
            guard step.entries["via-branch"] == nil else { continue }
            let expectedMeaning = theirMeaning.of(expected["sdp"]?.text ?? "")
            let meaning = ourMeaning.of(answer["sdp"]?.text ?? "")
            #expect(meaning == expectedMeaning, title)
        }
        #expect(try await daemon.stop() == .exited(code: 0))
    }

    private static func keys(_ answer: NGDictionary) -> Set<String> {
        Set(answer.entries.map { String(decoding: $0.key, as: UTF8.self) })
    }

    /// What a description says, however it is written: rtpengine of this age leaves `c=` at the session, keeps attributes in
    /// their order and adds `a=sendrecv` to fax. Ports are named in the order in which they first occur.
    private struct Meaning {
        let own: IPAddress
        var names: [String: String] = [:]

        init(own: IPAddress) { self.own = own }

        mutating func of(_ sdp: String) -> [[String]] {
            var blocks: [[String]] = [[]]
            for line in sdp.split(separator: "\r\n").map({ $0.replacing("\(own)", with: "own") }) {
                if line.hasPrefix("m=") { blocks.append([]) }
                blocks[blocks.count - 1].append(String(line))
            }
            let connection = blocks[0].first { $0.hasPrefix("c=") }
            let session = blocks[0].filter { !$0.hasPrefix("c=") }.sorted()
            return [session] + blocks.dropFirst().map { medium($0, connection) }
        }

        private mutating func medium(_ lines: [String], _ connection: String?) -> [String] {
            var words = lines[0].split(separator: " ").map(String.init)
            guard let port = Int(words[1]), port != 0 else { return [lines[0]] }
            let connection = lines.first { $0.hasPrefix("c=") } ?? connection ?? ""
            let key = "\(connection) \(port)"
            names[key] = names[key] ?? "port\(names.count)"
            words[1] = names[key]!
            let rest = lines.dropFirst().filter { !$0.hasPrefix("c=") && $0 != "a=sendrecv" }.map { line in
                guard line.hasPrefix("a=rtcp:"), let rtcp = Int(line.dropFirst(7)) else { return line }
                return "a=rtcp:\(rtcp - port)"
            }
            return [words.joined(separator: " "), connection] + rest.sorted()
        }
    }

    private static let events = "a=rtpmap:101 telephone-event/8000\r\n"

    private static func sdp(
        _ address: String = "198.51.100.1", _ media: String = "m=audio 30000 RTP/AVP 0 8 101\r\n" + events
    ) -> String {
        let family = address.contains(":") ? "IP6" : "IP4"
        return "v=0\r\no=- 17 1 IN \(family) \(address)\r\ns=a call\r\nc=IN \(family) \(address)\r\nt=0 0\r\n" + media
    }

    private static let answered = sdp("198.51.100.2", "m=audio 40000 RTP/AVP 0 101\r\n" + events)
    private static let replace: NGDictionary = ["replace": .list([.text("origin"), .text("session-connection")])]
    private static let removeICE: NGDictionary = ["ICE": .text("remove")]
    private static func flags(_ words: String...) -> NGDictionary { ["flags": .list(words.map { .text($0) })] }

    private static let steps: [Step] = [
        Step("ping", "x"),
        Step("answer", "x", from: "a", to: "b", answered), Step("query", "x"),
        Step("delete", "x", from: "a"), Step("delete", "x", from: "a", nil, flags("fatal")),
        // A call with hold by either side.
        Step("offer", "basic", from: "a", sdp(), replace), Step("answer", "basic", from: "a", to: "b", answered, replace),
        Step("offer", "basic", from: "a", to: "b", sdp("198.51.100.1", "m=audio 30000 RTP/AVP 0\r\na=sendonly\r\n")),
        Step("answer", "basic", from: "a", to: "b", sdp("198.51.100.2", "m=audio 40000 RTP/AVP 0\r\na=recvonly\r\n")),
        Step("offer", "basic", from: "b", to: "a", sdp("198.51.100.2", "m=audio 40000 RTP/AVP 0\r\na=inactive\r\n")),
        Step("answer", "basic", from: "b", to: "a", sdp("198.51.100.1", "m=audio 30000 RTP/AVP 0\r\na=inactive\r\n")),
        Step("query", "basic", from: "a", to: "b"), Step("query", "basic", from: "stranger"),
        Step("delete", "basic", from: "stranger"), Step("delete", "basic", from: "a", to: "stranger"),
        Step("delete", "basic", from: "b", to: "a"), Step("delete", "basic", from: "b", to: "a"),
        // Forks.
        Step("offer", "fork", from: "a", sdp()),
        Step("answer", "fork", from: "a", to: "b1", answered), Step("answer", "fork", from: "a", to: "b2", answered),
        Step("delete", "fork", from: "a", to: "b1"), Step("query", "fork"), Step("delete", "fork", from: "a", to: "b2"),
        Step("query", "fork"),
        Step("offer", "branches", from: "a", sdp(), ["via-branch": .text("1.0")]),
        Step("offer", "branches", from: "a", sdp(), ["via-branch": .text("1.1")]),
        Step("delete", "branches", from: "a", to: "busy", nil, ["via-branch": .text("1.0")]), Step("query", "branches"),
        Step("answer", "branches", from: "a", to: "b", answered, ["via-branch": .text("1.1")]),
        Step("delete", "branches", from: "a", to: "b"), Step("query", "branches"),
        Step("offer", "refused", from: "a", sdp()), Step("delete", "refused", from: "a", to: "busy"), Step("query", "refused"),
        // Attributes at every level.
        Step("offer", "attributes", from: "a", sdp("198.51.100.1", """
            b=AS:80\r\na=x-session:1\r\nm=audio 30000 RTP/AVP 96 0 101\r\nb=TIAS:64000\r\na=ptime:20\r\na=rtpmap:101 telephone-event/8000\r
            a=fmtp:101 0-15\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=x-media:2\r\na=maxptime:40\r\na=mid:1\r\n
            """), removeICE),
        Step("answer", "attributes", from: "a", to: "b", answered + "a=mid:1\r\na=ptime:20\r\n", removeICE),
        // Several media, one declined by each side.
        Step("offer", "media", from: "a", sdp("198.51.100.1", """
            m=audio 30000 RTP/AVP 0\r\nm=video 30010 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\nm=audio 0 RTP/AVP 8\r\n
            """)),
        Step("answer", "media", from: "a", to: "b", sdp("198.51.100.2", """
            m=audio 40000 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\nm=audio 0 RTP/AVP 8\r\n
            """)),
        // rtcp-mux, and a=rtcp.
        Step("offer", "mux", from: "a", sdp("198.51.100.1", "m=audio 30000 RTP/AVP 0\r\na=rtcp-mux\r\na=rtcp:30000\r\n")),
        Step("answer", "mux", from: "a", to: "b", sdp("198.51.100.2", "m=audio 40000 RTP/AVP 0\r\na=rtcp-mux\r\n")),
        Step("offer", "demux", from: "a", sdp("198.51.100.1", "m=audio 30000 RTP/AVP 0\r\na=rtcp-mux\r\n"),
            ["rtcp-mux": .list([.text("demux")])]),
        Step("answer", "demux", from: "a", to: "b", sdp("198.51.100.2", "m=audio 40000 RTP/AVP 0\r\n")),
        Step("offer", "rtcp", from: "a", sdp("198.51.100.1", "m=audio 30000 RTP/AVP 0\r\na=rtcp:31001\r\n")),
        // Hold by address.
        Step("offer", "zero", from: "a", sdp()), Step("answer", "zero", from: "a", to: "b", answered),
        Step("offer", "zero", from: "a", to: "b", sdp("0.0.0.0", "m=audio 30000 RTP/AVP 0\r\n")),
        // Fax.
        Step("offer", "fax", from: "a", sdp("198.51.100.1", "m=image 30000 udptl t38\r\na=T38FaxVersion:0\r\n")),
        Step("answer", "fax", from: "a", to: "b", sdp("198.51.100.2", "m=image 40000 udptl t38\r\na=T38FaxVersion:0\r\n")),
        // Interfaces and families.
        Step("offer", "direction", from: "a", sdp(), ["direction": .list([.text("priv"), .text("pub")])]),
        Step("answer", "direction", from: "a", to: "b", answered, ["direction": .list([.text("pub"), .text("priv")])]),
        Step("offer", "back", from: "a", sdp(), ["direction": .list([.text("pub"), .text("priv")])]),
        Step("answer", "back", from: "a", to: "b", answered),
        Step("offer", "six", from: "a", sdp("2001:db8::1"), ["address-family": .text("IP4")]),
        Step("answer", "six", from: "a", to: "b", answered),
        Step("offer", "four", from: "a", sdp(), ["address-family": .text("IP6")]),
        Step("answer", "four", from: "a", to: "b", sdp("2001:db8::2")),
        // An offer in the 200.
        Step("offer", "late", from: "b", to: "a", answered),
        Step("answer", "late", from: "b", to: "a", sdp("198.51.100.1", "m=audio 30000 RTP/AVP 0 101\r\n" + events)),
        Step("offer", "late", from: "a", to: "b", sdp()),
        Step("offer", "untrusted", from: "a", sdp(), [
            "flags": .list([.text("SIP-source-address")]), "received-from": .list([.text("IP4"), .text("198.51.100.9")]),
        ]),
        // Words nobody knows.
        Step("offer", "strange", from: "a", sdp(), ["flags": .list([.text("no-such-flag")]), "no such key": .integer(1)]),
        Step("offer", "nonsense", from: "a", "nonsense"), Step("offer", "incomplete", sdp()),
        Step("answer", "basic", from: "a", answered), Step("offer", "bodiless", from: "a"),
    ]
}
