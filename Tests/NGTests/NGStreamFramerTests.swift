import Core
import NG
import Testing

@Suite struct NGStreamFramerTests {
    private let messages = Sample.all + [
        #"j1 {"command":"ping","x":"}]{[\"\\","l":[{},[]]}"#, "j2 {}", "b1 de", "b2  \r\n d1:ai-5e1:b0:e",
    ]

    private func frames(_ octets: [UInt8], chunk: Int) throws -> [String] {
        var framer = NGStreamFramer()
        var frames: [String] = []
        for start in stride(from: 0, to: octets.count, by: chunk) {
            framer.append(octets[start..<min(start + chunk, octets.count)])
            while let message = try framer.next() { frames.append(Sample.text(message)) }
        }
        return frames
    }

    @Test("messages come out whole however the stream is cut", arguments: [1, 2, 3, 7, 64, 1460, 100_000])
    func chunks(size: Int) throws {
        #expect(try frames(Array(messages.joined().utf8), chunk: size) == messages)
        #expect(try frames(Array(messages.joined(separator: "\r\n ").utf8), chunk: size) == messages)
    }

    @Test("an incomplete message waits")
    func incomplete() throws {
        var framer = NGStreamFramer()
        framer.append("c d7:command4:ping".utf8)
        #expect(try framer.next() == nil)
        #expect(framer.pendingCount == 18)
        framer.append("e".utf8)
        #expect(try framer.next() == Array("c d7:command4:pinge".utf8))
        #expect(try framer.next() == nil)
        #expect(framer.pendingCount == 0)
    }

    @Test("what cannot be brought back into step fails, again and again", arguments: [
        ("cookie x", .malformed), ("c dx", .malformed), ("c di5x", .malformed), ("c d1x", .malformed),
        (String(repeating: "c", count: 200), .cookieTooLong), ("c d99999:", .tooLong),
        ("c d" + String(repeating: "5000:" + String(repeating: "x", count: 5000), count: 14), .tooLong),
        ("c {\"" + String(repeating: "x", count: 70_000), .tooLong),
    ] as [(String, NGStreamFramer.Failure)])
    func failure(text: String, failure: NGStreamFramer.Failure) {
        var framer = NGStreamFramer()
        framer.append(text.utf8)
        #expect(throws: failure) { try framer.next() }
        framer.append("e".utf8)
        #expect(throws: failure) { try framer.next() }
    }

    @Test("every frame of a valid stream is a valid message")
    func parses() throws {
        for frame in try frames(Array(messages.joined().utf8), chunk: 5) {
            #expect(throws: Never.self) { try Sample.envelope(frame) }
        }
    }
}
