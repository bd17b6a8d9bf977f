/// Where everything is in the octets of a message, and nothing of the octets themselves: what `MessageParser` fills.
struct MessageLayout: Sendable {
    enum StartLine: Sendable {
        case request(Method, methodRange: OctetRange, uriRange: OctetRange)
        case response(status: Int, reasonRange: OctetRange)
    }

    var startLine = StartLine.response(status: 0, reasonRange: OctetRange(0..<0))
    var headers = HeaderFields()
    /// A line end stands in a header value, folded or, in what is refused, bare.
    var isFolded = false
    /// Cut to Content-Length.
    @Compact var bodyRange = 0..<0

    // What every message needs is read at once.
    var uri = URILayout()
    var via = ViaLayout()
    var from = NameAddressLayout()
    var to = NameAddressLayout()
    @Compact var callIDRange = 0..<0
    var cseq = CSeqLayout()
    var maxForwards: UInt8?

    /// As before anything was read; the room for header lines stays.
    @inline(__always)
    mutating func removeAll() {
        headers.removeAll()
        isFolded = false
        bodyRange = 0..<0
        uri = URILayout()
        via = ViaLayout()
        from = NameAddressLayout()
        to = NameAddressLayout()
        callIDRange = 0..<0
        cseq = CSeqLayout()
        maxForwards = nil
    }
}

/// One header line: offsets into the octets of its message.
package struct HeaderField: Sendable, Hashable {
    package let name: HeaderName
    private let compactName: OctetRange
    private let compactValue: OctetRange

    @inline(__always)
    init(name: HeaderName, nameRange: Range<Int>, valueRange: Range<Int>) {
        self.name = name
        compactName = OctetRange(nameRange)
        compactValue = OctetRange(valueRange)
    }

    package var nameRange: Range<Int> { compactName.range }
    /// Without surrounding white space; may hold folding (CRLF and white space), which `SIPMessage.text` takes out.
    package var valueRange: Range<Int> { compactValue.range }
}

/// The header lines of a message in their order, as far as they stand in place: nearly always all of them.
struct HeaderFields: Sendable {
    static let countInPlace = 24

    /// Of all lines, also those beyond `countInPlace`, which whoever has this keeps beside it.
    private(set) var count = 0
    /// Of which names there are lines.
    private(set) var names = HeaderNames()
    /// Of which names there are several.
    private(set) var repeated = HeaderNames()
    private var inPlace = InlineArray<24, HeaderField>(
        repeating: HeaderField(name: .other, nameRange: 0..<0, valueRange: 0..<0))
    /// Where the first line is of each name up to Content-Length, whose order in `HeaderName` this relies on.
    private var firsts = InlineArray<9, UInt8>(repeating: 0)

    /// - Precondition: there are so many.
    @inline(__always)
    subscript(index: Int, further: [HeaderField]) -> HeaderField {
        index < Self.countInPlace ? inPlace[index] : further[index - Self.countInPlace]
    }

    /// The index of the first line of that name.
    @inline(__always)
    func firstIndex(of name: HeaderName, _ further: [HeaderField]) -> Int? {
        guard names.contains(name) else { return nil }
        if Self.isFrequent(name) { return Int(firsts[Int(name.rawValue)]) }
        return index(of: name, from: 0, further)
    }

    /// The index of the line of that name behind the one at `index`.
    @inline(__always)
    func index(of name: HeaderName, after index: Int, _ further: [HeaderField]) -> Int? {
        repeated.contains(name) ? self.index(of: name, from: index + 1, further) : nil
    }

    private func index(of name: HeaderName, from start: Int, _ further: [HeaderField]) -> Int? {
        var index = start
        while index < count {
            if self[index, further].name == name { return index }
            index += 1
        }
        return nil
    }

    @inline(__always)
    static func isFrequent(_ name: HeaderName) -> Bool { name.rawValue <= HeaderName.contentLength.rawValue }

    /// - Precondition: there are fewer than 256 so far.
    @inline(__always)
    mutating func append(_ field: HeaderField, further: inout [HeaderField]) {
        if Self.isFrequent(field.name), !names.contains(field.name) { firsts[Int(field.name.rawValue)] = UInt8(count) }
        if count < Self.countInPlace { inPlace[count] = field } else { further.append(field) }
        count += 1
        if names.contains(field.name) { repeated.insert(field.name) }
        names.insert(field.name)
    }

    mutating func removeAll() {
        count = 0
        names = HeaderNames()
        repeated = HeaderNames()
    }
}

/// Some of the names, one bit each.
package struct HeaderNames: Sendable {
    private var bits = InlineArray<2, UInt64>(repeating: 0)

    init() {}

    package init(_ names: [HeaderName]) {
        for name in names { insert(name) }
    }

    func intersects(_ other: HeaderNames) -> Bool { bits[0] & other.bits[0] | bits[1] & other.bits[1] != 0 }

    @inline(__always)
    package func contains(_ name: HeaderName) -> Bool { bits[Int(name.rawValue >> 6)] >> UInt64(name.rawValue & 63) & 1 != 0 }
    @inline(__always)
    mutating func insert(_ name: HeaderName) { bits[Int(name.rawValue >> 6)] |= 1 &<< UInt64(name.rawValue & 63) }
}
