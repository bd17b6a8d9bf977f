import Core
import Testing

@testable import SIP

/// What looks at sixteen octets at a time, beside the same rules told octet by octet.
@Suite struct ScanningReferenceTests {
    /// What the grammars tell apart, and ordinary text between, so that borders fall on every place of a vector.
    private static let pieces = [
        "\r\n", "\r\n", "\r\n ", "\r\n\t", "\r", "\n", ":", ":", " ", "\t", ";", ",", "<", ">", "\"", "\\", "=", "?", "@",
        "[", "]", "\0", "\u{7f}", "\u{fc}", "a", "Via", "from", "TO", "i", "CSeq", "Max-Forwards", "content-length",
        "P-Preferred-Identity", "X-Rather-Long-Name-Of-Nobody", "branch=z9hG4bK776asdhds", "host.example.com", "192.0.2.1",
        "5060", "_-.", "sip:someone@somewhere", "a value of more than sixteen octets",
    ].map { Array($0.utf8) }

    private static func text(_ random: inout SeededRandom, pieces count: Int) -> [UInt8] {
        (0..<Int(random.next() % UInt64(count))).flatMap { _ in pieces[Int(random.next() % UInt64(pieces.count))] }
    }

    @Test("header lines begin and end where they do octet by octet", arguments: 1...20 as ClosedRange<UInt64>)
    func headerLines(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let octets = Array("BYE sip:a SIP/2.0\r\n".utf8) + Self.text(&random, pieces: 60)
            var parser = MessageParser()
            _ = parser.read(octets.span)
            let found = (0..<parser.headers.count).map { parser.headers[$0] }
            let expected = SimpleReader.headerLines(octets, from: 19)
            let comment = "seed \(seed): \(String(decoding: octets, as: UTF8.self))"
            #expect(found.map(\.nameRange) == expected.map(\.name), "\(comment)")
            #expect(found.map(\.valueRange) == expected.map(\.value), "\(comment)")
            for field in found { #expect(field.name == SimpleReader.name(octets[field.nameRange])) }
        }
    }

    @Test("a header name is known in any case and with no octet changed", arguments: 1...4 as ClosedRange<UInt64>)
    func headerNames(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let spellings = HeaderName.allCases.flatMap { [$0.text] + ($0.compactForm.map { [String($0)] } ?? []) }
        for spelling in spellings.map({ Array($0.utf8) }) {
            for _ in 0..<50 {
                var name = spelling.map { random.next() % 2 == 0 ? $0 : $0 ^ (Octet.isLetter($0) ? 0x20 : 0) }
                if random.next() % 2 == 0, !name.isEmpty {
                    name[Int(random.next() % UInt64(name.count))] ^= 1 << UInt8(random.next() % 8)
                }
                let around = [UInt8](repeating: 0x41, count: Int(random.next() % 20))
                let octets = around + name + (random.next() % 2 == 0 ? around : [])
                let range = around.count..<around.count + name.count
                let found = HeaderName(octets.span, range)
                #expect(found == SimpleReader.name(octets[range]), "\(String(decoding: name, as: UTF8.self))")
            }
        }
    }

    @Test("lists, parameters and hosts end where they do octet by octet", arguments: 1...20 as ClosedRange<UInt64>)
    func values(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let octets = Self.text(&random, pieces: 12)
            let span = octets.span
            let start = Int(random.next() % UInt64(octets.count + 1))
            let range = start..<start + Int(random.next() % UInt64(octets.count - start + 1))
            let comment = "seed \(seed), \(range) of \(String(decoding: octets, as: UTF8.self))"

            var list = ListScanner(range)
            var elements: [Range<Int>] = []
            while let element = list.next(span) { elements.append(element) }
            #expect(elements == SimpleReader.listElements(octets, range), "\(comment)")

            var scanner = ParameterScanner(range)
            var parameters: [Parameter] = []
            while let parameter = scanner.next(span) { parameters.append(parameter) }
            let expected = SimpleReader.parameters(octets, range)
            #expect(parameters.map(\.nameRange) == expected.found.map(\.nameRange), "\(comment)")
            #expect(parameters.map(\.valueRange) == expected.found.map(\.valueRange), "\(comment)")
            #expect(scanner.isMalformed == expected.isMalformed, "\(comment)")

            let host = HostPort(span, from: range.lowerBound, to: range.upperBound, allowsWhiteSpace: false)
            if range.isEmpty || octets[range.lowerBound] != Octet.openBracket {
                let end = range.first { !SimpleReader.isHost(octets[$0]) } ?? range.upperBound
                if end == range.lowerBound { #expect(host == nil, "\(comment)") }
                if let host { #expect(host.hostRange == range.lowerBound..<end, "\(comment)") }
            }
        }
    }

    @Test("a keyword is one in any case, and with one octet changed it is none")
    func keywords() {
        let words: [(Keyword, String)] = [
            ("tag", "tag"), ("SIP/2.0/", "SIP/2.0/"), ("+sip.instance", "+sip.instance"), ("application/sdp", "application/sdp"),
        ]
        for (word, text) in words {
            let octets = Array(text.utf8)
            for changed in octets.indices {
                for octet in UInt8.min...UInt8.max {
                    for padding in [[], [UInt8](repeating: 0x3d, count: 20)] {
                        var other = octets + padding
                        other[changed] = octet
                        let isWord = word.matches(other.span, 0..<octets.count)
                        let isSame = Octet.lowercased(octet) == Octet.lowercased(octets[changed])
                        #expect(isWord == isSame, "\(text) with \(octet) at \(changed)")
                    }
                }
            }
            let isPartWord = word.matches(octets.span, 0..<octets.count - 1)
            #expect(!isPartWord)
        }
    }
}

/// The rules in their simplest form, slow and without a second thought.
private enum SimpleReader {
    static func isHost(_ octet: UInt8) -> Bool {
        Octet.isLetter(octet) || Octet.isDigit(octet) || [0x2d, 0x2e, 0x5f].contains(octet)
    }

    static func name(_ octets: ArraySlice<UInt8>) -> HeaderName {
        let text = String(decoding: octets.map(Octet.lowercased), as: UTF8.self)
        return HeaderName.allCases.first {
            $0 != .other && ($0.text.lowercased() == text || $0.compactForm.map(String.init) == text)
        } ?? .other
    }

    /// A name of token characters, a colon with white space before it, and all up to a CRLF that no white space follows.
    static func headerLines(_ octets: [UInt8], from start: Int) -> [(name: Range<Int>, value: Range<Int>)] {
        var lines: [(name: Range<Int>, value: Range<Int>)] = []
        var start = start
        while start < octets.count, !octets[start...].starts(with: [13, 10]) {
            var position = start
            while position < octets.count, Octet.isToken(octets[position]) { position += 1 }
            let name = start..<position
            while position < octets.count, octets[position] == 32 || octets[position] == 9 { position += 1 }
            let isField = position < octets.count && octets[position] == 58 && !name.isEmpty
            var end = isField ? position + 1 : position
            let valueStart = end
            while true {
                guard end < octets.count else { return lines }
                if octets[end...].starts(with: [13, 10]) {
                    guard end + 2 < octets.count, octets[end + 2] == 32 || octets[end + 2] == 9 else { break }
                    end += 2
                }
                end += 1
            }
            if isField { lines.append((name, octets.span.trimmingWhiteSpace(valueStart..<end))) }
            start = end + 2
        }
        return lines
    }

    static func listElements(_ octets: [UInt8], _ range: Range<Int>) -> [Range<Int>] {
        var borders: [Int] = []
        var isInAngles = false
        var position = range.lowerBound
        while position < range.upperBound {
            switch octets[position] {
            case 0x22:
                position = endOfQuoted(octets, position..<range.upperBound) ?? range.upperBound
                continue
            case 0x3c: isInAngles = true
            case 0x3e: isInAngles = false
            case 0x2c where !isInAngles:
                borders.append(position)
            default: break
            }
            position += 1
        }
        let starts = [range.lowerBound] + borders.map { $0 + 1 }
        let elements = zip(starts, borders + [range.upperBound]).map { octets.span.trimmingWhiteSpace($0..<$1) }
        return elements.filter { !$0.isEmpty }
    }

    static func parameters(_ octets: [UInt8], _ range: Range<Int>) -> (found: [Parameter], isMalformed: Bool) {
        var found: [Parameter] = []
        var position = range.lowerBound
        func skipWhiteSpace() { while position < range.upperBound, Octet.isWhiteSpace(octets[position]) { position += 1 } }
        func isValue(_ octet: UInt8) -> Bool { octet > 0x20 && octet != 0x7f && !Array("\",;<>?".utf8).contains(octet) }
        while true {
            skipWhiteSpace()
            guard position < range.upperBound else { return (found, false) }
            guard octets[position] == 0x3b else { return (found, true) }
            position += 1
            skipWhiteSpace()
            let nameStart = position
            while position < range.upperBound, isValue(octets[position]), octets[position] != 0x3d { position += 1 }
            let name = nameStart..<position
            guard !name.isEmpty else { return (found, true) }
            skipWhiteSpace()
            guard position < range.upperBound, octets[position] == 0x3d else {
                found.append(Parameter(nameRange: name, valueRange: nil))
                continue
            }
            position += 1
            skipWhiteSpace()
            let valueStart = position
            if position < range.upperBound, octets[position] == 0x22 {
                guard let end = endOfQuoted(octets, position..<range.upperBound) else { return (found, true) }
                position = end
            } else {
                while position < range.upperBound, isValue(octets[position]) { position += 1 }
            }
            found.append(Parameter(nameRange: name, valueRange: valueStart..<position))
        }
    }

    private static func endOfQuoted(_ octets: [UInt8], _ range: Range<Int>) -> Int? {
        var position = range.lowerBound + 1
        while position < range.upperBound, octets[position] != 0x22 { position += octets[position] == 0x5c ? 2 : 1 }
        return position < range.upperBound ? position + 1 : nil
    }
}
