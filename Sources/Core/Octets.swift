/// Writing numbers into a message, without the text of them in between.
extension [UInt8] {
    /// - Parameter width: digits at least; zeros come before a shorter number.
    public mutating func append(decimal value: UInt64, width: Int = 1) {
        var divisor: UInt64 = 1
        var digits = 1
        while digits < width || value / divisor >= 10 {
            divisor *= 10
            digits += 1
        }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}
