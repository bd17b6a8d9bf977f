/// Up to 64 octets of ASCII on the stack, to become a `String` in one step: what is appended to a `String` or an array octet
/// by octet is allocated, and copied as it grows.
struct ShortText {
    private var octets = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    /// - Precondition: there is room.
    @inline(__always)
    mutating func append(_ octet: UInt8) {
        octets[count] = octet
        count += 1
    }

    /// Without leading zeros.
    mutating func append(decimal number: UInt16) {
        if number >= 10_000 { append(digit: number / 10_000) }
        if number >= 1_000 { append(digit: number / 1_000 % 10) }
        if number >= 100 { append(digit: number / 100 % 10) }
        if number >= 10 { append(digit: number / 10 % 10) }
        append(digit: number % 10)
    }

    @inline(__always)
    private mutating func append(digit: UInt16) { append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)) }

    mutating func append(hexadecimal number: UInt16) {
        if number >= 16 { append(hexadecimal: number / 16) }
        let digit = UInt8(truncatingIfNeeded: number % 16)
        append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }

    func append(to array: inout [UInt8]) { array.append(copying: octets.span.extracting(..<count)) }

    func append(to output: inout OutputSpan<UInt8>) {
        for index in 0..<count { output.append(octets[index]) }
    }

    var string: String {
        if count <= 15 {
            // A text of so few octets takes no memory.
            return unsafe String(unsafeUninitializedCapacity: count) { text in
                // SAFETY: there is room for `count` octets, and all of it is written.
                for index in 0..<count { unsafe text[index] = octets[index] }
                return count
            }
        }
        // ASCII is UTF-8.
        guard let text = try? UTF8Span(validating: octets.span.extracting(..<count)) else { return "" }
        return String(copying: text)
    }
}
