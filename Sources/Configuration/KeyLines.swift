/// The line of each table header and key of a TOML text. What it says about a text that is not TOML means nothing, except
/// that the malformation is right when everything before it is TOML.
///
/// The parser does not say where its values stand, and an error without a line is half an error. This walks over strings,
/// arrays and comments without reading them. Keys inside an inline table or array have the line of the key they belong to.
struct KeyLines {
    private var lines: [[String]: Int] = [:]
    /// How many `[[…]]` headers there were for each array of tables.
    private var elementCounts: [[String]: Int] = [:]
    /// What the parser would end the process at, by an assertion of its own, instead of reporting it. The first of its
    /// kind; nothing after it was looked at.
    struct Malformation {
        /// Where the header or key begins that it stands in: the text before can be given to the parser.
        let start: Int
        let line: Int
        let message: String
    }
    private(set) var malformation: Malformation?

    init(_ text: String) {
        var scanner = Scanner(octets: Array(text.utf8))
        var table: [String] = []
        while scanner.skipToExpression() {
            let line = scanner.line
            let start = scanner.position
            if scanner.take("[") {
                let isElement = scanner.take("[")
                guard scanner.isBeforeName() else {
                    malformation = Malformation(
                        start: start, line: line, message: "a table header that does not begin with a name")
                    return
                }
                table = resolve(scanner.dottedKey(), isElement: isElement, line: line)
                note(table, line: line)
                scanner.skipLine()
            } else {
                let key = scanner.dottedKey()
                for count in 1...key.count { note(table + key.prefix(count), line: line) }
                guard scanner.skipValue() else {
                    malformation = Malformation(
                        start: start, line: scanner.line, message: "a bracket that closes one of the other kind")
                    return
                }
            }
        }
    }

    /// The line of a key, from 1; elements of an array of tables are `trunk`, `0`. The nearest key around it when the
    /// key itself is not found.
    subscript(path: [String]) -> Int {
        var path = path
        while !path.isEmpty {
            if let line = lines[path] { return line }
            path.removeLast()
        }
        return 1
    }

    private mutating func note(_ path: [String], line: Int) {
        if lines[path] == nil { lines[path] = line }
    }

    /// Adds the element numbers to a header: below an array of tables, a header means its last element.
    private mutating func resolve(_ header: [String], isElement: Bool, line: Int) -> [String] {
        var path: [String] = []
        for (position, part) in header.enumerated() {
            path.append(part)
            if isElement, position == header.count - 1 {
                elementCounts[path, default: 0] += 1
                note(path, line: line)
            }
            if let count = elementCounts[path] { path.append(String(count - 1)) }
        }
        return path
    }
}

extension KeyLines {
    /// Reads octets of valid TOML; at the end of the text everything stops.
    private struct Scanner {
        let octets: [UInt8]
        private(set) var position = 0
        private(set) var line = 1

        init(octets: [UInt8]) { self.octets = octets }

        private var current: UInt8? { position < octets.count ? octets[position] : nil }

        private mutating func advance(_ count: Int = 1) {
            for _ in 0..<count where position < octets.count {
                if octets[position] == UInt8(ascii: "\n") { line += 1 }
                position += 1
            }
        }

        private func isAt(_ text: StaticString, repeated count: Int = 1) -> Bool {
            let octet = UInt8(String(describing: text).utf8.first ?? 0)
            return position + count <= octets.count && octets[position..<position + count].allSatisfy { $0 == octet }
        }

        mutating func take(_ text: StaticString) -> Bool {
            guard isAt(text) else { return false }
            advance()
            return true
        }

        private mutating func skipBlanks() {
            while isAt(" ") || isAt("\t") { advance() }
        }

        mutating func skipLine() {
            while current != nil, !isAt("\n") { advance() }
        }

        /// Moves to the next header or key; false at the end.
        mutating func skipToExpression() -> Bool {
            // A byte order mark may stand at the start.
            if position == 0, octets.starts(with: [0xef, 0xbb, 0xbf]) { advance(3) }
            while current != nil {
                if isAt(" ") || isAt("\t") || isAt("\r") || isAt("\n") {
                    advance()
                } else if isAt("#") {
                    skipLine()
                } else {
                    return true
                }
            }
            return false
        }

        /// Whether a bare or quoted name comes next.
        mutating func isBeforeName() -> Bool {
            skipBlanks()
            guard let octet = current else { return false }
            return UInt8(ascii: "a")...UInt8(ascii: "z") ~= octet | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet
                || "_-\"'".utf8.contains(octet)
        }

        /// At least one part.
        mutating func dottedKey() -> [String] {
            var parts: [String] = []
            repeat {
                skipBlanks()
                parts.append(keyPart())
                skipBlanks()
            } while take(".")
            return parts
        }

        private mutating func keyPart() -> String {
            let start = position
            if isAt("\"") || isAt("'") {
                skipString()
                return String(decoding: octets[start..<position].dropFirst().dropLast(), as: UTF8.self)
            }
            while let octet = current, !" \t.=]\r\n".utf8.contains(octet) { advance() }
            return String(decoding: octets[start..<position], as: UTF8.self)
        }

        /// From before the equals sign to the end of the value's last line; false, at the spot, when brackets do not match.
        mutating func skipValue() -> Bool {
            var open: [UInt8] = []
            while let octet = current {
                switch octet {
                case UInt8(ascii: "#"): skipLine()
                case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString()
                case UInt8(ascii: "\n") where open.isEmpty: return true
                case UInt8(ascii: "["), UInt8(ascii: "{"):
                    open.append(octet)
                    advance()
                case UInt8(ascii: "]"), UInt8(ascii: "}"):
                    // In ASCII a closing bracket of either kind stands two after its opening one.
                    if let last = open.popLast(), last + 2 != octet { return false }
                    advance()
                default: advance()
                }
            }
            return true
        }

        private mutating func skipString() {
            let quote: StaticString = isAt("\"") ? "\"" : "'"
            let hasEscapes = isAt("\"")
            let width = isAt(quote, repeated: 3) ? 3 : 1
            advance(width)
            while current != nil, !isAt(quote, repeated: width) {
                advance(hasEscapes && isAt("\\") ? 2 : 1)
            }
            advance(width)
            // Up to two quotes may stand right before the closing three.
            while width == 3, isAt(quote) { advance() }
        }
    }
}
