/// Writing into the room that an array has made for a whole line, which is checked once and not for each part of it.
extension OutputSpan<UInt8> {
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func append(copying octets: Span<UInt8>) {
        unsafe octets.withUnsafeBufferPointer { unsafe append(copying: $0) }
    }

    /// A text that the program contains.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe append(copying: $0) }
    }

    @_lifetime(self: copy self)
    mutating func append(decimal number: UInt32) { append(decimal: UInt64(number)) }

    @_lifetime(self: copy self)
    mutating func append(decimal number: UInt64) {
        guard number >= 10_000 else {
            // Statuses, ports, sequence numbers: dividing by what is known beforehand is cheap.
            if number >= 1_000 { append(Octet.zero + UInt8(number / 1_000)) }
            if number >= 100 { append(Octet.zero + UInt8(number / 100 % 10)) }
            if number >= 10 { append(Octet.zero + UInt8(number / 10 % 10)) }
            return append(Octet.zero + UInt8(number % 10))
        }
        var digits = InlineArray<20, UInt8>(repeating: Octet.zero)
        var first = digits.count
        var rest = number
        while rest > 0 {
            first -= 1
            digits[first] = Octet.zero + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        append(copying: digits.span.extracting(first..<digits.count))
    }

    /// Lower-case digits, without leading zeros.
    @_lifetime(self: copy self)
    mutating func append(hexadecimal number: UInt64) {
        var shift = number == 0 ? 0 : (63 - number.leadingZeroBitCount) / 4 * 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift) & 15)
            append(Octet.zero + digit + (digit > 9 ? 39 : 0))
            shift -= 4
        }
    }

    @inline(__always)
    @_lifetime(self: copy self)
    private mutating func append(copying octets: UnsafeBufferPointer<UInt8>) {
        precondition(octets.count <= freeCapacity)
        // SAFETY: there is room by the line above; what is copied becomes initialized, and `count` says so.
        unsafe withUnsafeMutableBufferPointer { buffer, count in
            guard let from = octets.baseAddress, let to = buffer.baseAddress else { return }
            unsafe (to + count).initialize(from: from, count: octets.count)
            count += octets.count
        }
    }
}
