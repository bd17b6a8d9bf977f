/// Writing numbers into a message, without the text of them in between.
extension [UInt8] {
    /// - Parameter width: digits at least, 20 at most; zeros come before a shorter number.
    public mutating func append(decimal value: UInt64, width: Int = 1) {
        // From the last digit on: dividing by ten is cheap, and a UInt64 has at most twenty.
        var digits = InlineArray<20, UInt8>(repeating: UInt8(ascii: "0"))
        var first = digits.count
        var rest = value
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        append(copying: digits.span.extracting(Swift.min(first, digits.count - width)..<digits.count))
    }

    /// What `write` writes, in one allocation; the library's own of this kind is not specialized and costs twice as much.
    ///
    /// - Parameter count: of what it writes, at most.
    @inlinable
    public init(atMost count: Int, _ write: (inout OutputSpan<UInt8>) -> Void) {
        self = []
        append(addingCapacity: count, initializingWith: write)
    }

    /// The octets of a span, in one step.
    @inlinable @inline(__always)
    public mutating func append(copying octets: Span<UInt8>) {
        // SAFETY: the octets are only read, and inside this closure.
        unsafe octets.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    /// A text that the program contains, in one step.
    @inlinable
    public mutating func append(_ text: StaticString) {
        // SAFETY: the octets of a text that is no single scalar are there for good, so many as it says.
        guard text.hasPointerRepresentation else { return append(contentsOf: text.description.utf8) }
        unsafe append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
