/// A value of an authentication header, without its quotes: offsets into the message.
struct DigestText: Sendable {
    var range = 0..<0
    /// Backslashes are to be taken out.
    var hasEscapes = false

    func unescaped(_ octets: Span<UInt8>) -> [UInt8] {
        guard hasEscapes else { return octets.copy(range) }
        var text: [UInt8] = []
        var index = range.lowerBound
        while index < range.upperBound {
            if octets[index] == Octet.backslash, index + 1 < range.upperBound { index += 1 }
            text.append(octets[index])
            index += 1
        }
        return text
    }

    func equals(_ octets: Span<UInt8>, _ text: [UInt8]) -> Bool {
        if hasEscapes { return unescaped(octets) == text }
        guard range.count == text.count else { return false }
        for offset in 0..<text.count where octets[range.lowerBound + offset] != text[offset] { return false }
        return true
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
            guard let close = octets.endOfQuotedString(from: start, to: end) else { return nil }
            text.range = start + 1..<close - 1
            text.hasEscapes = octets.firstIndex(of: Octet.backslash, in: text.range) != nil
            index = close
        } else {
            var stop = start
            while stop < end, octets[stop] != Octet.comma, !Octet.isWhiteSpace(octets[stop]) { stop += 1 }
            guard stop > start else { return nil }
            text.range = start..<stop
            index = stop
        }
        let next = octets.skippingWhiteSpace(from: index, to: end)
        guard next == end || octets[next] == Octet.comma else { return nil }
        return text
    }

    private func skippingCommas(_ octets: Span<UInt8>, from start: Int) -> Int {
        var position = octets.skippingWhiteSpace(from: start, to: end)
        while position < end, octets[position] == Octet.comma {
            position = octets.skippingWhiteSpace(from: position + 1, to: end)
        }
        return position
    }
}
