/// Where something stands in a message of at most 65,535 octets: four octets in place of the sixteen of a `Range<Int>`.
///
/// A message has some forty of these, and stays as long as its transaction does.
struct OctetRange: Sendable, Hashable {
    /// The longest message whose every range fits.
    static var maximumOctets: Int { Int(UInt16.max) }

    private let start: UInt16
    private let end: UInt16

    /// Traps beyond `maximumOctets`: who reads longer octets refuses them before.
    @inline(__always)
    init(_ range: Range<Int>) {
        start = UInt16(range.lowerBound)
        end = UInt16(range.upperBound)
    }

    @inline(__always)
    var range: Range<Int> { Int(start)..<Int(end) }
}

/// A `Range<Int>` kept as an `OctetRange`.
@propertyWrapper
struct Compact: Sendable, Hashable {
    private var stored: OctetRange

    @inline(__always)
    init(wrappedValue: Range<Int>) { stored = OctetRange(wrappedValue) }

    @inline(__always)
    var wrappedValue: Range<Int> {
        get { stored.range }
        set { stored = OctetRange(newValue) }
    }
}

/// A `Range<Int>?` kept as an `OctetRange?`.
@propertyWrapper
struct CompactOptional: Sendable, Hashable {
    private var stored: OctetRange?

    @inline(__always)
    init(wrappedValue: Range<Int>?) { stored = wrappedValue.map(OctetRange.init) }

    @inline(__always)
    var wrappedValue: Range<Int>? {
        get { stored?.range }
        set { stored = newValue.map(OctetRange.init) }
    }
}
