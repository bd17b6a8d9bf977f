/// Where everything is in the octets of a message, and nothing of the octets themselves: what `MessageParser` fills.
struct MessageLayout: Sendable {
    enum StartLine: Sendable {
        case request(Method, methodRange: OctetRange, uriRange: OctetRange)
        case response(status: Int, reasonRange: OctetRange)
    }

    var startLine = StartLine.response(status: 0, reasonRange: OctetRange(0..<0))
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
    /// The first Contact of a request that is an address.
    var contact: NameAddressLayout?

    /// As before anything was read.
    @inline(__always)
    mutating func removeAll() {
        isFolded = false
        bodyRange = 0..<0
        uri = URILayout()
        via = ViaLayout()
        from = NameAddressLayout()
        to = NameAddressLayout()
        callIDRange = 0..<0
        cseq = CSeqLayout()
        maxForwards = nil
        contact = nil
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

/// Which names the header lines of a message have, and where the first one is of those that every step asks for.
struct HeaderIndex: Sendable {
    private(set) var count = 0
    /// Of which names there are lines.
    private(set) var names = HeaderNames()
    /// Of which names there are several.
    private(set) var repeated = HeaderNames()
    /// Where the first line is of each name up to Content-Length, an octet each; this relies on their order in `HeaderName`.
    private var firsts: UInt128 = 0

    /// The place of the first line of that name; nil also where only a search can tell.
    @inline(__always)
    func first(_ name: HeaderName) -> Int? {
        guard names.contains(name), Self.isFrequent(name) else { return nil }
        return Int(UInt8(truncatingIfNeeded: firsts >> (8 * UInt128(name.rawValue))))
    }

    @inline(__always)
    static func isFrequent(_ name: HeaderName) -> Bool { name.rawValue <= HeaderName.contentLength.rawValue }

    /// - Precondition: there are fewer than 256 so far.
    @inline(__always)
    mutating func add(_ name: HeaderName) {
        if names.contains(name) {
            repeated.insert(name)
        } else {
            if Self.isFrequent(name) { firsts |= UInt128(UInt8(count)) << (8 * UInt128(name.rawValue)) }
            names.insert(name)
        }
        count += 1
    }
}

/// The header lines of a message in their order, as `MessageParser` fills it: nearly always all of them stand in place.
struct HeaderFields: Sendable {
    static let countInPlace = 24

    private(set) var index = HeaderIndex()
    private var inPlace = InlineArray<24, HeaderField>(
        repeating: HeaderField(name: .other, nameRange: 0..<0, valueRange: 0..<0))
    /// Those beyond `countInPlace`.
    private var further: [HeaderField] = []

    @inline(__always)
    var count: Int { index.count }

    /// - Precondition: there are so many.
    @inline(__always)
    subscript(place: Int) -> HeaderField { place < Self.countInPlace ? inPlace[place] : further[place - Self.countInPlace] }

    /// The place of the first line of that name.
    @inline(__always)
    func first(_ name: HeaderName) -> Int? {
        guard index.names.contains(name) else { return nil }
        return index.first(name) ?? (0..<count).first { self[$0].name == name }
    }

    /// - Precondition: there are fewer than 256 so far.
    @inline(__always)
    mutating func append(_ field: HeaderField) {
        if count < Self.countInPlace { inPlace[count] = field } else { further.append(field) }
        index.add(field.name)
    }

    /// The room stays.
    mutating func removeAll() {
        index = HeaderIndex()
        if !further.isEmpty { further.removeAll(keepingCapacity: true) }
    }

    /// All of them, to be kept.
    var all: [HeaderField] {
        let span = inPlace.span.extracting(..<min(count, Self.countInPlace))
        // SAFETY: they are only read, and inside this closure.
        let fields = unsafe span.withUnsafeBufferPointer { unsafe Array($0) }
        return further.isEmpty ? fields : fields + further
    }
}

/// Some of the names, one bit each.
package struct HeaderNames: Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    init() {}

    package init(_ names: [HeaderName]) {
        for name in names { insert(name) }
    }

    func intersects(_ other: HeaderNames) -> Bool { low & other.low | high & other.high != 0 }

    @inline(__always)
    package func contains(_ name: HeaderName) -> Bool {
        (name.rawValue < 64 ? low : high) >> UInt64(name.rawValue & 63) & 1 != 0
    }

    @inline(__always)
    mutating func insert(_ name: HeaderName) {
        if name.rawValue < 64 { low |= 1 &<< UInt64(name.rawValue) } else { high |= 1 &<< UInt64(name.rawValue & 63) }
    }
}
