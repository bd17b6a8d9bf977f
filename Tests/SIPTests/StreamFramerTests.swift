import Core
import SIP
import Testing

@Suite struct StreamFramerTests {
    private static let options = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP b;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
    private static let invite = "INVITE sip:a@b SIP/2.0\r\nSubject: x\r\n l: 99\r\nl : 0005\r\n\r\nv=0\r\n"

    private func items(_ stream: String, chunk: Int = .max, limit: Int = 65_536) -> [String] {
        var framer = SIPStreamFramer(maximumOctets: limit)
        var items: [String] = []
        var rest = Array(stream.utf8)[...]
        do {
            while !rest.isEmpty {
                framer.append(rest.prefix(chunk))
                rest = rest.dropFirst(chunk)
                while let item = try framer.next() {
                    switch item {
                    case .message(let octets): items.append(String(decoding: octets, as: UTF8.self))
                    case .ping: items.append("ping")
                    case .pong: items.append("pong")
                    case .unframed(_, let status, let reason): items.append("\(status) \(reason)")
                    }
                }
            }
            if framer.pendingCount > 0 { items.append("+\(framer.pendingCount)") }
        } catch { items.append("\(error)") }
        return items
    }

    @Test("messages are cut by Content-Length, long and compact, however the stream is cut", arguments: [1, 2, 3, 7, 64, 4_096])
    func framing(chunk: Int) {
        let stream = Self.options + Self.invite + Self.options
        #expect(items(stream, chunk: chunk) == [Self.options, Self.invite, Self.options])
    }

    @Test("line ends between messages are keep-alives, and a ping cut in two is still one")
    func keepAlives() {
        #expect(items("\r\n\r\n" + Self.options + "\r\n" + Self.options + "\r\n\r\n\r\n\r\n") == [
            "ping", Self.options, "pong", Self.options, "ping", "ping",
        ])
        #expect(items("\r\n\r\n", chunk: 2) == ["pong", "ping"])
        #expect(items("\r\n\r\n", chunk: 1) == ["pong", "ping"])
        #expect(items("\r") == ["+1"])
    }

    @Test("a message whose end cannot be found is answered and ends the stream", arguments: [
        ("Subject: none", "400 Missing Content-Length"), ("Content-Length: 1\r\nl: 2", "400 Malformed Content-Length"),
        ("Content-Length: -1", "400 Malformed Content-Length"), ("Content-Length: 4294967296", "400 Malformed Content-Length"),
        ("Content-Length:", "400 Malformed Content-Length"), ("Content-Length: 70000", "513 Message Too Large"),
    ])
    func unframed(header: String, expected: String) {
        #expect(items("OPTIONS sip:a@b SIP/2.0\r\n\(header)\r\n\r\n" + Self.options) == [expected, "unframed"])
    }

    @Test("the same Content-Length twice is no contradiction")
    func twice() {
        let message = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 2\r\nl: 2\r\n\r\nok"
        #expect(items(message) == [message])
    }

    @Test("what is no SIP, or has no end, is not collected")
    func refused() {
        #expect(items("\u{16}\u{3}\u{1}") == ["notSIP"])
        #expect(items("\rX") == ["notSIP"])
        #expect(items("OPTIONS " + String(repeating: "a", count: 5_000), limit: 4_096) == ["headerTooLong"])
        #expect(items("OPTIONS sip:a@b SIP/2.0\r\nl: 4096\r\n\r\n", limit: 4_096) == ["513 Message Too Large", "unframed"])
    }

    @Test("any octets in any pieces: no crash, nothing kept beyond the limit, and the pieces do not matter")
    func random() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let pieces = [Self.options, Self.invite, "\r\n", "\r", "\n", "l: 3\r\n", "Content-Length: 9", "\r\n\r\n", "x", "\u{0}", "OPTIONS "]
        for _ in 0..<2_000 {
            let stream = (0..<Int.random(in: 1...8, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined()
            let whole = items(stream, limit: 512)
            let cut = items(stream, chunk: Int.random(in: 1...9, using: &random), limit: 512)
            // A ping cut in two is told as a pong and a ping.
            #expect(whole.filter { $0 != "pong" && $0 != "ping" } == cut.filter { $0 != "pong" && $0 != "ping" }, "seed \(seed)")
        }
    }
}
