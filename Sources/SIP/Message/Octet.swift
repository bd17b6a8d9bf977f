/// Characters and character classes of RFC 3261 §25.1, on octets.
enum Octet {
    static var tab: UInt8 { 0x09 }
    static var lineFeed: UInt8 { 0x0a }
    static var carriageReturn: UInt8 { 0x0d }
    static var space: UInt8 { 0x20 }
    static var quote: UInt8 { 0x22 }
    static var percent: UInt8 { 0x25 }
    static var asterisk: UInt8 { 0x2a }
    static var comma: UInt8 { 0x2c }
    static var hyphen: UInt8 { 0x2d }
    static var slash: UInt8 { 0x2f }
    static var zero: UInt8 { 0x30 }
    static var colon: UInt8 { 0x3a }
    static var semicolon: UInt8 { 0x3b }
    static var less: UInt8 { 0x3c }
    static var equals: UInt8 { 0x3d }
    static var greater: UInt8 { 0x3e }
    static var question: UInt8 { 0x3f }
    static var at: UInt8 { 0x40 }
    static var openBracket: UInt8 { 0x5b }
    static var backslash: UInt8 { 0x5c }
    static var closeBracket: UInt8 { 0x5d }

    /// The characters of `token`, one bit each: `-.!%*_+'~` and the back quote, digits, letters.
    @inline(__always)
    static func isToken(_ octet: UInt8) -> Bool {
        let low: UInt64 = 1 << 33 | 1 << 37 | 1 << 39 | 1 << 42 | 1 << 43 | 1 << 45 | 1 << 46 | 0x3ff << 48
        let high: UInt64 = 0x3ff_ffff << 1 | 1 << 31 | 1 << 32 | 0x3ff_ffff << 33 | 1 << 62
        if octet < 64 { return low >> UInt64(octet) & 1 != 0 }
        return octet < 128 && high >> UInt64(octet & 63) & 1 != 0
    }

    /// For looking at eight octets at a time.
    static var ones: UInt64 { 0x0101_0101_0101_0101 }
    static var highBits: UInt64 { 0x8080_8080_8080_8080 }
    /// The highest bit of each octet that is zero; right up to the first such octet, perhaps set by mistake behind it.
    @inline(__always)
    static func zeros(_ word: UInt64) -> UInt64 { below(1, word) }
    /// The same of each octet below `limit`, which is at most 0x80.
    @inline(__always)
    static func below(_ limit: UInt8, _ word: UInt64) -> UInt64 { (word &- ones &* UInt64(limit)) & ~word & highBits }

    @inline(__always)
    static func isDigit(_ octet: UInt8) -> Bool { octet &- zero < 10 }

    @inline(__always)
    static func isLetter(_ octet: UInt8) -> Bool { (octet | 0x20) &- 0x61 < 26 }

    /// Linear white space inside a header value, where CR and LF can only belong to folding.
    @inline(__always)
    static func isWhiteSpace(_ octet: UInt8) -> Bool {
        octet == space || octet == tab || octet == carriageReturn || octet == lineFeed
    }

    @inline(__always)
    static func lowercased(_ octet: UInt8) -> UInt8 { octet &- 0x41 < 26 ? octet | 0x20 : octet }

    static func hexValue(_ octet: UInt8) -> UInt8? {
        if isDigit(octet) { return octet - zero }
        let letter = octet | 0x20
        return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : nil
    }

    /// ASCII comparison without regard to case.
    static func equal(_ left: some Collection<UInt8>, _ right: String) -> Bool {
        guard left.count == right.utf8.count else { return false }
        var index = left.startIndex
        for octet in right.utf8 {
            guard lowercased(left[index]) == lowercased(octet) else { return false }
            left.formIndex(after: &index)
        }
        return true
    }

    /// The same octets, letters of the same case.
    static func isSame(_ left: ArraySlice<UInt8>, _ right: String) -> Bool {
        guard left.count == right.utf8.count else { return false }
        let (left, right) = (left.span, right.utf8.span)
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }

    static func equal(_ left: String, _ right: String) -> Bool {
        guard left.utf8.count == right.utf8.count else { return false }
        let (left, right) = (left.utf8.span, right.utf8.span)
        for index in left.indices where lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }

    /// The value as one line: a line end with the white space around it becomes one space (RFC 3261 §7.3.1).
    ///
    /// No octet sequence comes through that could end a line, whatever is put in.
    static func appendUnfolded(_ value: some Collection<UInt8>, to output: inout [UInt8]) {
        // Nearly no value is folded, and what is not goes out as a whole.
        let isCopied = value.withContiguousStorageIfAvailable { octets in
            // SAFETY: the octets are only read, and inside this closure.
            if unsafe octets.span.hasLineEnd { return false }
            unsafe output.append(contentsOf: octets)
            return true
        }
        if isCopied == true { return }
        let start = output.count
        var afterLineEnd = false
        for octet in value {
            if octet == carriageReturn || octet == lineFeed {
                while output.count > start, let last = output.last, last == space || last == tab { output.removeLast() }
                afterLineEnd = true
            } else if afterLineEnd {
                if octet == space || octet == tab { continue }
                if output.count > start { output.append(space) }
                output.append(octet)
                afterLineEnd = false
            } else {
                output.append(octet)
            }
        }
    }

    /// The value as text on one line; octets that are not UTF-8 become U+FFFD.
    static func text(_ value: ArraySlice<UInt8>) -> String {
        guard value.span.hasLineEnd else { return String(decoding: value, as: UTF8.self) }
        var unfolded: [UInt8] = []
        unfolded.reserveCapacity(value.count)
        appendUnfolded(value, to: &unfolded)
        return String(decoding: unfolded, as: UTF8.self)
    }
}

/// What the grammars share: looking at a part of the datagram without copying it.
extension Span where Element == UInt8 {
    /// The first index from `start` on that holds no white space, or `end`.
    @inline(__always)
    func skippingWhiteSpace(from start: Int, to end: Int) -> Int {
        var index = start
        while index < end, Octet.isWhiteSpace(self[index]) { index += 1 }
        return index
    }

    func trimmingWhiteSpace(_ range: Range<Int>) -> Range<Int> {
        let start = skippingWhiteSpace(from: range.lowerBound, to: range.upperBound)
        var end = range.upperBound
        while end > start, Octet.isWhiteSpace(self[end - 1]) { end -= 1 }
        return start..<end
    }

    /// The index after the quoted string that opens at `start`; nil when it does not end before `end`.
    func endOfQuotedString(from start: Int, to end: Int) -> Int? {
        var index = start + 1
        while index < end {
            let octet = self[index]
            if octet == Octet.quote { return index + 1 }
            index += octet == Octet.backslash ? 2 : 1
        }
        return nil
    }

    func endOfToken(from start: Int, to end: Int) -> Int {
        var index = start
        while index < end, Octet.isToken(self[index]) { index += 1 }
        return index
    }

    func firstIndex(of octet: UInt8, in range: Range<Int>) -> Int? {
        var index = range.lowerBound
        let pattern = Octet.ones &* UInt64(octet)
        while index + 8 <= range.upperBound {
            let found = Octet.zeros(word(at: index) ^ pattern)
            if found != 0 { return index + found.trailingZeroBitCount >> 3 }
            index += 8
        }
        if index < range.upperBound, range.count >= 8 {
            // The last eight once more: none of those that were looked at before is found again.
            let start = range.upperBound - 8
            let found = Octet.zeros(word(at: start) ^ pattern)
            return found == 0 ? nil : start + found.trailingZeroBitCount >> 3
        }
        while index < range.upperBound {
            if self[index] == octet { return index }
            index += 1
        }
        return nil
    }

    /// The first octet below `limit`, which is at most 0x80; the range's end when there is none.
    func firstIndex(below limit: UInt8, in range: Range<Int>) -> Int {
        var index = range.lowerBound
        while index + 8 <= range.upperBound {
            let found = Octet.below(limit, word(at: index))
            if found != 0 { return index + found.trailingZeroBitCount >> 3 }
            index += 8
        }
        if index < range.upperBound, range.count >= 8 {
            let start = range.upperBound - 8
            let found = Octet.below(limit, word(at: start))
            return found == 0 ? range.upperBound : start + found.trailingZeroBitCount >> 3
        }
        while index < range.upperBound, self[index] >= limit { index += 1 }
        return index
    }

    var hasLineEnd: Bool {
        var index = 0
        while true {
            index = firstIndex(below: Octet.carriageReturn + 1, in: index..<count)
            guard index < count else { return false }
            if self[index] == Octet.carriageReturn || self[index] == Octet.lineFeed { return true }
            index += 1
        }
    }

    /// Eight octets, the first one lowest.
    @inline(__always)
    func word(at index: Int) -> UInt64 {
        precondition(index >= 0 && index + 8 <= count)
        // SAFETY: inside by the line above; every bit pattern is a number.
        return unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
    }

    @inline(__always)
    func equals(_ range: Range<Int>, ignoringCase text: String) -> Bool {
        range.count == text.utf8.count && matches(range, ignoringCase: text)
    }

    private func matches(_ range: Range<Int>, ignoringCase text: String) -> Bool {
        let other = text.utf8.span
        for offset in 0..<other.count
        where Octet.lowercased(self[range.lowerBound + offset]) != Octet.lowercased(other[offset]) { return false }
        return true
    }

    func equals(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        guard left.count == right.count else { return false }
        for offset in 0..<left.count where self[left.lowerBound + offset] != self[right.lowerBound + offset] {
            return false
        }
        return true
    }

    /// A decimal number of digits only, leading zeros allowed; nil when empty, not a number, or above `limit`.
    func decimal(_ range: Range<Int>, limit: Int) -> Int? {
        guard !range.isEmpty else { return nil }
        var value = 0
        for index in range {
            guard Octet.isDigit(self[index]) else { return nil }
            value = value * 10 + Int(self[index] - Octet.zero)
            guard value <= limit else { return nil }
        }
        return value
    }

    func copy(_ range: Range<Int>) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(range.count)
        for index in range { octets.append(self[index]) }
        return octets
    }
}
