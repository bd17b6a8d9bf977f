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

    /// Lower-case digits, without leading zeros.
    public mutating func append(hexadecimal value: UInt64) {
        var shift: UInt64 = value == 0 ? 0 : UInt64(63 - value.leadingZeroBitCount) / 4 * 4
        while true {
            let digit = UInt8(truncatingIfNeeded: value >> shift & 15)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            guard shift > 0 else { return }
            shift -= 4
        }
    }
}
