/// BitTorrent's bencoding (BEP 3): `i42e`, `4:spam`, `l…e`, `d…e`.
///
/// Reading is lenient where senders are: dictionary keys come in any order, the last of equal keys counts, white space
/// may follow the message. `NGWriter` writes.
package enum Bencode {
    /// - Throws: `NGSyntaxError`. The strings of the result share the storage of `octets`.
    package static func decode(
        _ octets: ArraySlice<UInt8>, limits: NGLimits = NGLimits()
    ) throws(NGSyntaxError) -> NGDictionary {
        var reader = Reader(octets: octets, limits: limits)
        return try reader.message()
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
        guard case .dictionary(let dictionary) = try value(depth: 0) else { throw .noDictionary }
        while position < octets.endIndex, ASCII.isWhiteSpace(octets[position]) { position += 1 }
        guard position == octets.endIndex else { throw malformed }
        return dictionary
    }

    private mutating func value(depth: Int) throws(NGSyntaxError) -> NGValue {
        valueCount += 1
        guard valueCount <= limits.values else { throw .tooManyValues }
        switch try peek() {
        case UInt8(ascii: "i"):
            position += 1
            return .integer(try integer())
        case UInt8(ascii: "l"):
            try open(depth)
            var values: [NGValue] = []
            values.reserveCapacity(2)
            while try !closes() { values.append(try value(depth: depth + 1)) }
            return .list(values)
        case UInt8(ascii: "d"):
            try open(depth)
            var dictionary = NGDictionary()
            // A request has so many; what is within it has few.
            if depth == 0 { dictionary.reserveCapacity(16) }
            while try !closes() {
                let key = try string()
                dictionary[key] = try value(depth: depth + 1)
            }
            return .dictionary(dictionary)
        default:
            return .string(try string())
        }
    }

    private mutating func open(_ depth: Int) throws(NGSyntaxError) {
        guard depth < limits.depth else { throw .tooDeep }
        position += 1
    }

    private mutating func closes() throws(NGSyntaxError) -> Bool {
        guard try peek() == UInt8(ascii: "e") else { return false }
        position += 1
        return true
    }

    private mutating func integer() throws(NGSyntaxError) -> Int64 {
        let start = position
        if try peek() == UInt8(ascii: "-") { position += 1 }
        while try ASCII.isDigit(peek()) { position += 1 }
        guard try peek() == UInt8(ascii: "e"),
            let value = Int64(String(decoding: octets[start..<position], as: UTF8.self))
        else { throw malformed }
        position += 1
        return value
    }

    private mutating func string() throws(NGSyntaxError) -> ArraySlice<UInt8> {
        var count = 0
        let start = position
        while try ASCII.isDigit(peek()) {
            guard position - start < 9 else { throw malformed }
            count = count * 10 + Int(octets[position] - UInt8(ascii: "0"))
            position += 1
        }
        guard position > start, try peek() == UInt8(ascii: ":") else { throw malformed }
        position += 1
        guard count <= octets.endIndex - position else { throw .truncated }
        defer { position += count }
        return octets[position..<position + count]
    }

    private func peek() throws(NGSyntaxError) -> UInt8 {
        guard position < octets.endIndex else { throw .truncated }
        return octets[position]
    }

    private var malformed: NGSyntaxError { .malformed(offset: position - octets.startIndex) }
}
