import TOMLKit

/// A parsed TOML value, detached from the parser.
enum TOMLNode: Sendable {
    case string(String)
    case integer(Int)
    case boolean(Bool)
    case array([TOMLNode])
    /// In no particular order.
    case table([String: TOMLNode])
    /// A type no key has: `a float`.
    case other(kind: String)

    /// Why a text is not TOML.
    struct SyntaxError: Error {
        let message: String
        let line: Int
        let column: Int?
    }

    /// The top table of a document, and where its keys stand.
    static func parse(_ text: String) throws(SyntaxError) -> (top: [String: TOMLNode], lines: KeyLines) {
        let lines = KeyLines(text)
        guard let malformation = lines.malformation else { return (try top(of: text), lines) }
        // What is wrong before it comes first.
        _ = try top(of: String(decoding: text.utf8.prefix(malformation.start), as: UTF8.self))
        throw SyntaxError(message: "not TOML: \(malformation.message)", line: malformation.line, column: nil)
    }

    private static func top(of text: String) throws(SyntaxError) -> [String: TOMLNode] {
        // The parser takes a C string: it would silently read only what comes before a NUL.
        if let position = text.utf8.firstIndex(of: 0) {
            let before = text.utf8[..<position].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            throw SyntaxError(
                message: "not TOML: a NUL octet", line: before.count, column: (before.last?.count ?? 0) + 1)
        }
        do {
            return entries(of: try TOMLTable(string: text))
        } catch let error as TOMLParseError {
            throw SyntaxError(
                message: "not TOML: \(reason(error.description))", line: error.source.begin.line,
                column: error.source.begin.column)
        } catch {
            throw SyntaxError(message: "not TOML: \(error)", line: 1, column: 1)
        }
    }

    /// The parser's words, with the one hint that is needed often: an address without quotes starts like a number.
    private static func reason(_ description: String) -> String {
        let isNumber = ["integer", "float", "date", "time"].contains { description.contains("parsing") && description.contains($0) }
        return description.replacing("Error while", with: "while", maxReplacements: 1)
            + (isNumber ? "; text stands in quotes" : "")
    }

    /// `"abc" is a string`, or only what it is where the value is long.
    var summary: String {
        switch self {
        case .string(let text): "\(text.quotedForTOML) is a string"
        case .integer(let value): "\(value) is an integer"
        case .boolean: "this is a bool"
        case .array: "this is an array"
        case .table: "this is a table"
        case .other(let kind): "this is \(kind)"
        }
    }

    private static func entries(of table: TOMLTable) -> [String: TOMLNode] {
        table.keys.reduce(into: [:]) { entries, key in
            if let value = table[key] { entries[key] = node(value.tomlValue) }
        }
    }

    private static func node(_ value: TOMLValue) -> TOMLNode {
        if let text = value.string { return .string(text) }
        if let integer = value.int { return .integer(integer) }
        if let boolean = value.bool { return .boolean(boolean) }
        if let table = value.table { return .table(entries(of: table)) }
        if let array = value.array { return .array((0..<array.count).map { node(array[$0].tomlValue) }) }
        return .other(kind: value.type == .array ? "an array" : "a \(value.type)")
    }
}

extension String {
    /// As a TOML basic string.
    var quotedForTOML: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
