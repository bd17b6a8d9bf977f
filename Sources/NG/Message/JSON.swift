/// JSON (RFC 8259) as far as NG messages go: objects, arrays, strings and integers.
///
/// Read here and not by Foundation so that the order of keys, the last of equal keys and the limits hold as they do for
/// bencode. `true` and `false` become 1 and 0, a number with a fraction or exponent becomes the text it was written as,
/// and `null` is left out, which is how rtpengine treats them.
package enum JSON {
    /// - Throws: `NGSyntaxError`.
    package static func decode(
        _ octets: ArraySlice<UInt8>, limits: NGLimits = NGLimits()
    ) throws(NGSyntaxError) -> NGDictionary {
        var reader = Reader(octets: octets, limits: limits)
        return try reader.message()
    }

    /// Octets that are not UTF-8 become U+FFFD, since JSON cannot say them.
    static func encode(_ string: ArraySlice<UInt8>, to octets: inout [UInt8]) {
        octets.append(UInt8(ascii: "\""))
        for octet in String(decoding: string, as: UTF8.self).utf8 {
            switch octet {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): octets += [UInt8(ascii: "\\"), octet]
            case 0x08: octets += #"\b"#.utf8
            case 0x09: octets += #"\t"#.utf8
            case 0x0a: octets += #"\n"#.utf8
            case 0x0c: octets += #"\f"#.utf8
            case 0x0d: octets += #"\r"#.utf8
            case 0..<0x20:
                let digits = String(octet, radix: 16)
                octets += (digits.count == 1 ? #"\u000"# : #"\u00"#).utf8
                octets += digits.utf8
            default: octets.append(octet)
            }
        }
        octets.append(UInt8(ascii: "\""))
    }
}

private struct Reader {
    let octets: ArraySlice<UInt8>
    let limits: NGLimits
    private var position: Int
    private var valueCount = 0

    init(octets: ArraySlice<UInt8>, limits: NGLimits) {
        self.octets = octets
        self.limits = limits
        position = octets.startIndex
    }

    mutating func message() throws(NGSyntaxError) -> NGDictionary {
        guard case .dictionary(let dictionary)? = try value(depth: 0) else { throw .noDictionary }
        skipWhiteSpace()
        guard position == octets.endIndex else { throw malformed }
        return dictionary
    }

    /// Nil for `null`.
    private mutating func value(depth: Int) throws(NGSyntaxError) -> NGValue? {
        valueCount += 1
        guard valueCount <= limits.values else { throw .tooManyValues }
        skipWhiteSpace()
        switch try peek() {
        case UInt8(ascii: "{"):
            try open(depth)
            return .dictionary(try entries(depth: depth + 1))
        case UInt8(ascii: "["):
            try open(depth)
            return .list(try elements(depth: depth + 1))
        case UInt8(ascii: "\""):
            return .string(try string())
        case UInt8(ascii: "t"):
            try expect("true")
            return .integer(1)
        case UInt8(ascii: "f"):
            try expect("false")
            return .integer(0)
        case UInt8(ascii: "n"):
            try expect("null")
            return nil
        default:
            return try number()
        }
    }

    private mutating func open(_ depth: Int) throws(NGSyntaxError) {
        guard depth < limits.depth else { throw .tooDeep }
        position += 1
    }

    private mutating func entries(depth: Int) throws(NGSyntaxError) -> NGDictionary {
        var dictionary = NGDictionary()
        if try takes(UInt8(ascii: "}")) { return dictionary }
        while true {
            skipWhiteSpace()
            let key = try string()
            guard try takes(UInt8(ascii: ":")) else { throw malformed }
            dictionary[key] = try value(depth: depth)
            if try takes(UInt8(ascii: "}")) { return dictionary }
            guard try takes(UInt8(ascii: ",")) else { throw malformed }
        }
    }

    private mutating func elements(depth: Int) throws(NGSyntaxError) -> [NGValue] {
        var values: [NGValue] = []
        if try takes(UInt8(ascii: "]")) { return values }
        while true {
            if let value = try value(depth: depth) { values.append(value) }
            if try takes(UInt8(ascii: "]")) { return values }
            guard try takes(UInt8(ascii: ",")) else { throw malformed }
        }
    }

    private mutating func number() throws(NGSyntaxError) -> NGValue {
        let start = position
        var digitCount = 0
        while position < octets.endIndex {
            let octet = octets[position]
            if ASCII.isDigit(octet) {
                digitCount += 1
            } else if !"+-.eE".utf8.contains(octet) {
                break
            }
            position += 1
        }
        guard digitCount > 0, octets[start] != UInt8(ascii: "+") else { throw malformed }
        let text = octets[start..<position]
        return Int64(String(decoding: text, as: UTF8.self)).map { .integer($0) } ?? .string(text)
    }

    private mutating func string() throws(NGSyntaxError) -> ArraySlice<UInt8> {
        guard try peek() == UInt8(ascii: "\"") else { throw malformed }
        position += 1
        var result: [UInt8] = []
        while true {
            let octet = try peek()
            position += 1
            switch octet {
            case UInt8(ascii: "\""): return result[...]
            case UInt8(ascii: "\\"): try appendEscape(to: &result)
            case 0..<0x20: throw malformed
            default: result.append(octet)
            }
        }
    }

    private mutating func appendEscape(to result: inout [UInt8]) throws(NGSyntaxError) {
        let octet = try peek()
        position += 1
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(octet)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0c)
        case UInt8(ascii: "n"): result.append(0x0a)
        case UInt8(ascii: "r"): result.append(0x0d)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"):
            var units = [try codeUnit()]
            // The two halves of a character beyond U+FFFF come as two escapes; a lone half becomes U+FFFD below.
            if units[0] & 0xfc00 == 0xd800, octets[position...].starts(with: #"\u"#.utf8) {
                position += 2
                units.append(try codeUnit())
            }
            result += String(decoding: units, as: UTF16.self).utf8
        default: throw malformed
        }
    }

    private mutating func codeUnit() throws(NGSyntaxError) -> UInt16 {
        guard octets.endIndex - position >= 4 else { throw .truncated }
        var unit: UInt16 = 0
        for octet in octets[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(octet)).hexDigitValue else { throw malformed }
            unit = unit << 4 | UInt16(digit)
        }
        position += 4
        return unit
    }

    private mutating func expect(_ word: String) throws(NGSyntaxError) {
        guard octets[position...].starts(with: word.utf8) else { throw malformed }
        position += word.utf8.count
    }

    private mutating func takes(_ octet: UInt8) throws(NGSyntaxError) -> Bool {
        skipWhiteSpace()
        guard try peek() == octet else { return false }
        position += 1
        return true
    }

    private mutating func skipWhiteSpace() {
        while position < octets.endIndex, ASCII.isWhiteSpace(octets[position]) { position += 1 }
    }

    private func peek() throws(NGSyntaxError) -> UInt8 {
        guard position < octets.endIndex else { throw .truncated }
        return octets[position]
    }

    private var malformed: NGSyntaxError { .malformed(offset: position - octets.startIndex) }
}
