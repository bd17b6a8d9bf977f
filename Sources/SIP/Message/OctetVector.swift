/// Sixteen octets, looked at in one step.
typealias OctetVector = SIMD16<UInt8>
/// Which of sixteen octets are of a kind.
typealias OctetMarks = SIMDMask<SIMD16<Int8>>

extension SIMD16<UInt8> {
    @inline(__always)
    func equal(_ octet: UInt8) -> OctetMarks { self .== Self(repeating: octet) }

    @inline(__always)
    func below(_ limit: UInt8) -> OctetMarks { self .< Self(repeating: limit) }

    /// `count` octets from `first` on.
    @inline(__always)
    func within(_ first: UInt8, count: UInt8) -> OctetMarks { (self &- Self(repeating: first)).below(count) }

    @inline(__always)
    var digits: OctetMarks { within(Octet.zero, count: 10) }

    @inline(__always)
    var letters: OctetMarks { (self | Self(repeating: 0x20)).within(0x61, count: 26) }

    /// What `Octet.isToken` says: of `!%'*+-._~` and the back quote those that stand in a row together.
    @inline(__always)
    var tokens: OctetMarks {
        let marks = equal(0x21) .| equal(Octet.percent) .| equal(0x27) .| within(Octet.asterisk, count: 2)
            .| within(Octet.hyphen, count: 2) .| within(0x5f, count: 2) .| equal(0x7e)
        return letters .| digits .| marks
    }

    @inline(__always)
    var lowercased: Self { replacing(with: self | Self(repeating: 0x20), where: within(0x41, count: 26)) }

    /// The first `count` of them, zeros behind, as a number whose lowest octet is the first.
    @inline(__always)
    func number(ofFirst count: Int) -> UInt128 {
        let lanes = Self(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        // SAFETY: sixteen octets either way, and every bit pattern is a number.
        let halves = unsafe unsafeBitCast(
            replacing(with: 0, where: lanes .>= Self(repeating: UInt8(count))), to: SIMD2<UInt64>.self)
        return UInt128(halves[1]) << 64 | UInt128(halves[0])
    }
}

extension SIMDMask<SIMD16<Int8>> {
    /// The place of the first mark, 0 to 15.
    @inline(__always)
    var first: Int? {
        // SAFETY: sixteen octets either way; each is all ones or zero.
        let halves = unsafe unsafeBitCast(self, to: SIMD2<UInt64>.self)
        if halves[0] != 0 { return halves[0].trailingZeroBitCount >> 3 }
        return halves[1] == 0 ? nil : 8 | halves[1].trailingZeroBitCount >> 3
    }
}

extension Span where Element == UInt8 {
    /// The first index whose octet is marked; the range's end when there is none.
    @inline(__always)
    func firstIndex(in range: Range<Int>, where marks: (OctetVector) -> OctetMarks) -> Int {
        var index = range.lowerBound
        while index < range.upperBound {
            // What is found behind the end of the range does not count.
            if let first = marks(vector(at: index)).first { return Swift.min(index &+ first, range.upperBound) }
            index &+= 16
        }
        return range.upperBound
    }

    /// Sixteen octets from `index` on; zeros stand for what lies behind the end.
    @inline(__always)
    func vector(at index: Int) -> OctetVector {
        guard isInside(index, 16) else { return paddedVector(at: index) }
        // SAFETY: inside by the line above; every bit pattern is a vector of octets.
        return unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: OctetVector.self)
    }

    /// Whether `length` octets stand from `index` on: one comparison, to which a negative index is a very large one.
    @inline(__always)
    func isInside(_ index: Int, _ length: Int) -> Bool {
        UInt(bitPattern: index) < UInt(bitPattern: Swift.max(0, count &- length &+ 1))
    }

    @inline(never)
    private func paddedVector(at index: Int) -> OctetVector {
        let length = count - index
        precondition(index >= 0 && length >= 0, "an index of the octets or their end")
        // Two words that overlap; of the second what the first has already is shifted out.
        let low = word(at: index)
        let high = length > 8 ? word(at: count - 8) >> UInt64(8 * (16 - length)) : 0
        // SAFETY: sixteen octets either way, and every bit pattern is a vector of octets.
        return unsafe unsafeBitCast(SIMD2(low, high), to: OctetVector.self)
    }
}

/// A word of up to sixteen octets that the grammar has: written as a literal, it is two numbers in the machine code.
struct Keyword: ExpressibleByStringLiteral {
    private let count: Int
    /// In lower case, the first octet lowest.
    private let octets: UInt128
    /// 0x20 where a letter stands: what its case is told by.
    private let letters: UInt128

    @inline(__always)
    init(stringLiteral text: StaticString) {
        var (octets, letters): (UInt128, UInt128) = (0, 0)
        text.withUTF8Buffer { text in
            precondition(text.count <= 16, "a keyword has sixteen octets at most")
            for index in 0..<text.count {
                let octet = unsafe text[index]
                octets |= UInt128(Octet.lowercased(octet)) << UInt128(8 * index)
                if Octet.isLetter(octet) { letters |= 0x20 << UInt128(8 * index) }
            }
        }
        count = text.utf8CodeUnitCount
        (self.octets, self.letters) = (octets, letters)
    }

    /// Whether these octets are the word, in letters of any case.
    @inline(__always)
    func matches(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        range.count == count && begins(octets, at: range.lowerBound)
    }

    /// Whether the word stands there, whatever comes behind it.
    @inline(__always)
    func begins(_ octets: Span<UInt8>, at index: Int) -> Bool {
        if count <= 8 {
            let found = octets.word(at: index) | UInt64(truncatingIfNeeded: letters)
            return (found ^ UInt64(truncatingIfNeeded: self.octets)) << UInt64(64 - 8 * count) == 0
        }
        let found = octets.vector(at: index).number(ofFirst: count)
        return found | letters == self.octets
    }
}
