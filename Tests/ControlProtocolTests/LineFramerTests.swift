import Testing

@testable import ControlProtocol

@Suite("Lines from a stream")
struct LineFramerTests {
    private let stream = Array("{\"a\":1}\n\r\n{\"b\":2}\r\n\nxxxxxxxxxxxxxxxxxxxxx\n12345678901234567890\nend\npartial".utf8)
    private let expected: [LineFramer.Output] = [
        .line(Array("{\"a\":1}".utf8)), .line(Array("{\"b\":2}".utf8)), .tooLong,
        .line(Array("12345678901234567890".utf8)), .line(Array("end".utf8)),
    ]

    @Test("two reads, split at any octet, give the same lines")
    func everySplit() {
        for split in 0...stream.count {
            var framer = LineFramer(limit: 20)
            let outputs = framer.append(stream[..<split]) + framer.append(stream[split...])
            #expect(outputs == expected, "split at \(split)")
            #expect(framer.pendingCount == 7)
        }
    }

    @Test("one octet at a time gives the same lines")
    func singleOctets() {
        var framer = LineFramer(limit: 20)
        #expect(stream.flatMap { framer.append([$0]) } == expected)
    }

    @Test("an endless line is reported once and holds no memory")
    func endlessLine() {
        var framer = LineFramer(limit: 100)
        var outputs: [LineFramer.Output] = []
        for _ in 0..<1_000 { outputs += framer.append(Array(repeating: 0x78, count: 99)) }
        #expect(outputs == [.tooLong])
        #expect(framer.pendingCount == 0)
        #expect(framer.append(Array("\nok\n".utf8)) == [.line(Array("ok".utf8))])
    }
}
