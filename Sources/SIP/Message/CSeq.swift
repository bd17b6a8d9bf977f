/// A CSeq value (RFC 3261 §20.16).
package struct CSeq: Hashable, Sendable {
    /// Below 2³¹.
    package let number: UInt32
    package let method: Method
    package let methodText: String

    package init(number: UInt32, method: Method, methodText: String? = nil) {
        self.number = number
        self.method = method
        self.methodText = methodText ?? method.text
    }

    /// As written in a message: `314159 INVITE`.
    package var text: String { "\(number) \(methodText)" }
}

/// Where the parts of a CSeq stand.
struct CSeqLayout: Sendable {
    var number: UInt32 = 0
    var method = Method.unknown
    @Compact var methodRange = 0..<0

    init() {}

    init?(_ octets: Span<UInt8>, _ range: Range<Int>) {
        let digits = octets.digits(from: range.lowerBound, to: range.upperBound, limit: 0x7fff_ffff)
        guard digits.end > range.lowerBound, digits.value <= 0x7fff_ffff else { return nil }
        let methodStart = octets.skippingWhiteSpace(from: digits.end, to: range.upperBound)
        guard methodStart > digits.end, methodStart < range.upperBound,
            octets.endOfToken(from: methodStart, to: range.upperBound) == range.upperBound
        else { return nil }
        number = UInt32(digits.value)
        methodRange = methodStart..<range.upperBound
        method = Method(octets, methodRange)
    }
}
