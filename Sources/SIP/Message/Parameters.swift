/// One `;name=value` of a header value or a URI: offsets into the message.
struct Parameter: Sendable {
    var nameRange: Range<Int>
    /// With the quotes when it is a quoted string; nil without `=`.
    var valueRange: Range<Int>?
}

/// Walks `;a;b=c;d="e"`. Stops for good at the first octet that does not fit (`isMalformed`).
struct ParameterScanner: Sendable {
    private var index: Int
    private let end: Int
    private(set) var isMalformed = false

    init(_ range: Range<Int>) {
        index = range.lowerBound
        end = range.upperBound
    }

    mutating func next(_ octets: Span<UInt8>) -> Parameter? {
        index = octets.skippingWhiteSpace(from: index, to: end)
        guard index < end else { return nil }
        guard octets[index] == Octet.semicolon else { return fail() }
        let nameStart = octets.skippingWhiteSpace(from: index + 1, to: end)
        let nameEnd = octets.firstIndex(in: nameStart..<end) { Self.nameEnds($0) }
        guard nameEnd > nameStart else { return fail() }
        index = octets.skippingWhiteSpace(from: nameEnd, to: end)
        guard index < end, octets[index] == Octet.equals else {
            return Parameter(nameRange: nameStart..<nameEnd, valueRange: nil)
        }
        let valueStart = octets.skippingWhiteSpace(from: index + 1, to: end)
        var valueEnd = valueStart
        if valueStart < end, octets[valueStart] == Octet.quote {
            guard let close = octets.endOfQuotedString(from: valueStart, to: end) else { return fail() }
            valueEnd = close
        } else {
            valueEnd = octets.firstIndex(in: valueStart..<end) { Self.valueEnds($0) }
        }
        index = valueEnd
        return Parameter(nameRange: nameStart..<nameEnd, valueRange: valueStart..<valueEnd)
    }

    private mutating func fail() -> Parameter? {
        isMalformed = true
        index = end
        return nil
    }

    /// What ends a name or opens something else: white space, controls, `"`, `,` and `;<=>?`, which stand in a row. What may
    /// stand in one is more than the grammar has: token, host, escapes, UTF-8.
    @inline(__always)
    private static func nameEnds(_ octets: OctetVector) -> OctetMarks {
        octets.below(Octet.space + 1) .| octets.equal(Octet.quote) .| octets.equal(Octet.comma)
            .| octets.within(Octet.semicolon, count: 5) .| octets.equal(Octet.delete)
    }

    /// The same but for `=`.
    @inline(__always)
    private static func valueEnds(_ octets: OctetVector) -> OctetMarks { nameEnds(octets) .& .!octets.equal(Octet.equals) }
}

/// Looks parameters up by name once a message is parsed.
enum Parameters {
    /// The value without quotes and escapes; empty for a parameter without a value; nil when it is not there.
    static func value(_ name: String, in octets: [UInt8], _ range: Range<Int>) -> String? {
        guard let found = find(name, in: octets, range) else { return nil }
        return found.valueRange.map { unquoted(octets[$0]) } ?? ""
    }

    static func find(_ name: String, in octets: [UInt8], _ range: Range<Int>) -> Parameter? {
        let span = octets.span
        var scanner = ParameterScanner(range)
        while let parameter = scanner.next(span) {
            if span.equals(parameter.nameRange, ignoringCaseOf: name) { return parameter }
        }
        return nil
    }

    /// The text of a quoted string, or the text as it is when there are no quotes around it.
    static func unquoted(_ value: ArraySlice<UInt8>) -> String {
        guard value.count >= 2, value.first == Octet.quote, value.last == Octet.quote else { return Octet.text(value) }
        var text: [UInt8] = []
        var isEscaped = false
        for octet in value.dropFirst().dropLast() {
            if octet == Octet.backslash, !isEscaped {
                isEscaped = true
            } else {
                text.append(octet)
                isEscaped = false
            }
        }
        return Octet.text(text[...])
    }
}

/// Splits a header value at the commas between its elements: not those in quoted strings or angle brackets.
struct ListScanner: Sendable {
    private var index: Int
    private let end: Int
    private var hasComma = false

    init(_ range: Range<Int>) {
        index = range.lowerBound
        end = range.upperBound
    }

    /// The next element without surrounding white space; empty elements are passed over (RFC 3261 §25: they carry
    /// nothing).
    mutating func next(_ octets: Span<UInt8>) -> Range<Int>? {
        while index < end {
            let start = index
            // Most lists are of one element: without a comma nothing else has to be looked at.
            if !hasComma { hasComma = octets.firstIndex(of: Octet.comma, in: index..<end) != nil }
            let stop = hasComma ? endOfElement(octets) : end
            index = min(stop + 1, end)
            let element = octets.trimmingWhiteSpace(start..<stop)
            if !element.isEmpty { return element }
        }
        return nil
    }

    private func endOfElement(_ octets: Span<UInt8>) -> Int {
        var position = index
        var isInAngles = false
        while true {
            position = octets.firstIndex(in: position..<end) {
                $0.equal(Octet.comma) .| $0.equal(Octet.quote) .| $0.equal(Octet.less) .| $0.equal(Octet.greater)
            }
            guard position < end else { return end }
            switch octets[position] {
            case Octet.quote:
                // What never closes belongs to this element; the element's own grammar then refuses it.
                position = octets.endOfQuotedString(from: position, to: end) ?? end
                continue
            case Octet.less: isInAngles = true
            case Octet.greater: isInAngles = false
            default:
                if !isInAngles { return position }
            }
            position += 1
        }
    }
}
