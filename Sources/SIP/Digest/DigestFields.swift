import Core

/// A value of an authentication header, without its quotes: offsets into the message.
struct DigestText: Sendable {
    var range = 0..<0
    /// Backslashes are to be taken out.
    var hasEscapes = false

    func unescaped(_ octets: Span<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(range.count)
        append(octets, to: &text)
        return text
    }

    /// The value as it is meant: without the escapes of its quoted form (RFC 7616 §3.4, `unq`).
    func append(_ octets: Span<UInt8>, to text: inout [UInt8]) {
        guard hasEscapes else { return text.append(copying: octets.extracting(range)) }
        var index = range.lowerBound
        while index < range.upperBound {
            if octets[index] == Octet.backslash, index + 1 < range.upperBound { index += 1 }
            text.append(octets[index])
            index += 1
        }
    }

    func equals(_ octets: Span<UInt8>, _ text: [UInt8]) -> Bool {
        hasEscapes ? unescaped(octets) == text : octets.extracting(range).isEqual(to: text.span)
    }
}

/// Walks `scheme name=value, name="value", …` of the authentication headers (RFC 3261 §25.1, RFC 7235 §2.1). One header line
/// may hold several challenges: `nextScheme` goes to each, `nextParameter` through what belongs to it.
struct DigestFieldScanner: Sendable {
    private var index: Int
    private let end: Int
    private(set) var isMalformed = false

    init(_ range: Range<Int>) {
        index = range.lowerBound
        end = range.upperBound
    }

    /// The next scheme, what is left of the one before being passed over; nil at the end.
    mutating func nextScheme(_ octets: Span<UInt8>) -> Range<Int>? {
        while nextParameter(octets) != nil {}
        guard !isMalformed else { return nil }
        index = skippingCommas(octets, from: index)
        let start = index
        index = octets.endOfToken(from: start, to: end)
        return index > start ? start..<index : nil
    }

    /// The next parameter of this scheme; nil when there is none left, or on what is none (`isMalformed`).
    mutating func nextParameter(_ octets: Span<UInt8>) -> (name: Range<Int>, value: DigestText)? {
        let nameStart = skippingCommas(octets, from: index)
        let nameEnd = octets.endOfToken(from: nameStart, to: end)
        guard nameEnd > nameStart else {
            if nameStart < end { isMalformed = true }
            index = nameStart
            return nil
        }
        let equals = octets.skippingWhiteSpace(from: nameEnd, to: end)
        // A token alone is the scheme of the next challenge.
        guard equals < end, octets[equals] == Octet.equals else { return nil }
        let valueStart = octets.skippingWhiteSpace(from: equals + 1, to: end)
        guard let value = value(octets, from: valueStart) else {
            isMalformed = true
            index = end
            return nil
        }
        return (nameStart..<nameEnd, value)
    }

    private mutating func value(_ octets: Span<UInt8>, from start: Int) -> DigestText? {
        var text = DigestText()
        if start < end, octets[start] == Octet.quote {
            guard let quoted = octets.quotedString(from: start, to: end) else { return nil }
            text.range = start + 1..<quoted.end - 1
            text.hasEscapes = quoted.hasEscapes
            index = quoted.end
        } else {
            let stop = octets.firstIndex(in: start..<end) { $0.equal(Octet.comma) .| Self.whiteSpace($0) }
            guard stop > start else { return nil }
            text.range = start..<stop
            index = stop
        }
        let next = octets.skippingWhiteSpace(from: index, to: end)
        guard next == end || octets[next] == Octet.comma else { return nil }
        return text
    }

    @inline(__always)
    private static func whiteSpace(_ octets: OctetVector) -> OctetMarks {
        octets.equal(Octet.space) .| octets.within(Octet.tab, count: 2) .| octets.equal(Octet.carriageReturn)
    }

    private func skippingCommas(_ octets: Span<UInt8>, from start: Int) -> Int {
        var position = octets.skippingWhiteSpace(from: start, to: end)
        while position < end, octets[position] == Octet.comma {
            position = octets.skippingWhiteSpace(from: position + 1, to: end)
        }
        return position
    }
}
