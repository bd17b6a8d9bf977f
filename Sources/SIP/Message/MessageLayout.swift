/// Where everything is in the octets of a message, and nothing of the octets themselves: what `MessageParser` fills.
struct MessageLayout: Sendable {
    enum StartLine: Sendable {
        case request(Method, methodRange: OctetRange, uriRange: OctetRange)
        case response(status: Int, reasonRange: OctetRange)
    }

    var startLine = StartLine.response(status: 0, reasonRange: OctetRange(0..<0))
    var headers = HeaderFields()
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

/// The header lines of a message in their order. As many as nearly every message has stand in place.
struct HeaderFields: Sendable {
    static let countInPlace = 24

    private(set) var count = 0
    /// Of which names there are lines.
    private(set) var names = HeaderNames()
    private var inPlace = InlineArray<24, HeaderField>(
        repeating: HeaderField(name: .other, nameRange: 0..<0, valueRange: 0..<0))
    private var further: [HeaderField] = []

    /// - Precondition: there are so many.
    @inline(__always)
    subscript(index: Int) -> HeaderField {
        index < Self.countInPlace ? inPlace[index] : further[index - Self.countInPlace]
    }

    @inline(__always)
    mutating func append(_ field: HeaderField) {
        if count < Self.countInPlace { inPlace[count] = field } else { further.append(field) }
        count += 1
        names.insert(field.name)
    }

    /// Keeps the room that `further` has.
    mutating func removeAll() {
        count = 0
        names = HeaderNames()
        further.removeAll(keepingCapacity: true)
    }
}

/// Some of the names, one bit each.
struct HeaderNames: Sendable {
    private var bits = InlineArray<2, UInt64>(repeating: 0)

    @inline(__always)
    func contains(_ name: HeaderName) -> Bool { bits[Int(name.rawValue >> 6)] >> UInt64(name.rawValue & 63) & 1 != 0 }
    @inline(__always)
    mutating func insert(_ name: HeaderName) { bits[Int(name.rawValue >> 6)] |= 1 &<< UInt64(name.rawValue & 63) }
}
