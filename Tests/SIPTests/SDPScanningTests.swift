import Core
import Testing

@testable import SIP

/// What looks at sixteen octets of a description at a time, beside the same rules told octet by octet.
@Suite struct SDPScanningTests {
    private static let pieces = [
        "\r\n", "\r\n", "\r\n", "\n", "\r", "\0", "m=audio 4000 RTP/AVP 0 8", "a=rtpmap:96 opus/48000", "a=fmtp:101 0-16", "a=",
        "b=x", "c=IN IP4 192.0.2.1", "a=remote-candidates:1", "a=end-of-candidates", "a=Sendrecv", "a=sendonly", "a=rtcp-mux",
        ":", " ", "=", "x",
    ].map { Array($0.utf8) }

    @Test("lines and attributes are those that are found octet by octet", arguments: 1...30 as ClosedRange<UInt64>)
    func lines(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<200 {
            var octets = Array("v=0\r\n".utf8)
            for _ in 0..<Int(random.next() % 30) {
                octets += Self.pieces[Int(random.next() % UInt64(Self.pieces.count))]
                // Most lines end.
                if random.next() % 3 > 0 { octets += [13, 10] }
            }
            let comment = "seed \(seed): \(String(decoding: octets, as: UTF8.self))"
            let expected = Self.lines(octets)
            do {
                let description = try SessionDescription(parsing: octets)
                let expected = try #require(expected.lines, "\(comment)")
                #expect(description.lines.map(\.whole) == expected, "\(comment)")
                for line in description.lines where line.type == UInt8(ascii: "a") {
                    let value = octets[line.value]
                    let name = value.prefix { $0 != UInt8(ascii: ":") }
                    let attribute = SDPAttribute.allCases.first { $0 != .other && $0.text.utf8.elementsEqual(name) } ?? .other
                    #expect(line.attribute == attribute, "\(comment)")
                    #expect(line.attributeName == name.indices, "\(comment)")
                    #expect(line.attributeValue == value.dropFirst(name.count + 1).indices, "\(comment)")
                }
            } catch let error as SDPError {
                if let line = expected.malformed { #expect(error == .malformedLine(number: line), "\(comment)") }
            }
        }
    }

    @Test("fields are what stands between spaces", arguments: 1...10 as ClosedRange<UInt64>)
    func fields(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let octets = (0..<Int(random.next() % 60)).map { _ in UInt8(ascii: random.next() % 8 == 0 ? " " : "x") }
            let start = Int(random.next() % UInt64(octets.count + 1))
            let end = start + Int(random.next() % UInt64(octets.count - start + 1))
            var scanner = FieldScanner(start..<end)
            var found: [Range<Int>] = []
            while let field = scanner.next(octets.span) { found.append(field) }
            let expected = octets[start..<end].split(separator: UInt8(ascii: " ")).map(\.indices)
            #expect(found == expected, "\(start)..<\(end) of \(octets)")
        }
    }

    @Test("a usual word is read as what it is, and so is any other", arguments: 1...4 as ClosedRange<UInt64>)
    func words(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for word in ["audio", "RTP/AVP", "telephone-event", "PCMA", "0-16", "annexb=no", "t38", "", "H264/90000/1/2345678"] {
            for _ in 0..<200 {
                var octets = Array(word.utf8)
                if random.next() % 2 == 0, !octets.isEmpty {
                    octets[Int(random.next() % UInt64(octets.count))] = UInt8(random.next() % 256)
                }
                let before = [UInt8](repeating: 0x61, count: Int(random.next() % 20))
                let all = before + octets + [UInt8](repeating: 0x62, count: Int(random.next() % 20))
                let range = before.count..<before.count + octets.count
                #expect(SDPText.string(all, range) == String(decoding: octets, as: UTF8.self))
            }
        }
    }

    /// Lines end with LF, a CR before it goes with it; no other CR and no NUL; blank lines at the end only.
    private static func lines(_ octets: [UInt8]) -> (lines: [Range<Int>]?, malformed: Int?) {
        var lines: [Range<Int>] = []
        var blank: Int?
        var start = 0
        var number = 0
        while start < octets.count {
            number += 1
            let lineFeed = octets[start...].firstIndex(of: 10) ?? octets.count
            let end = lineFeed > start && octets[lineFeed - 1] == 13 ? lineFeed - 1 : lineFeed
            let line = octets[start..<end]
            if line.isEmpty {
                blank = blank ?? number
            } else {
                if let blank { return (nil, blank) }
                let isLine = line.count >= 2 && Octet.isLetter(line[start]) && line[start + 1] == 0x3d
                guard isLine, !line.contains(13), !line.contains(0) else { return (nil, number) }
                lines.append(start..<end)
            }
            start = lineFeed + 1
        }
        return (lines, nil)
    }
}
