import Core

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
    static var delete: UInt8 { 0x7f }

    /// The characters of `token`, one bit each: `-.!%*_+'~` and the back quote, digits, letters.
    @inline(__always)
    static func isToken(_ octet: UInt8) -> Bool {
        let low: UInt64 = 1 << 33 | 1 << 37 | 1 << 39 | 1 << 42 | 1 << 43 | 1 << 45 | 1 << 46 | 0x3ff << 48
        let high: UInt64 = 0x3ff_ffff << 1 | 1 << 31 | 1 << 32 | 0x3ff_ffff << 33 | 1 << 62
        if octet < 64 { return low >> UInt64(octet) & 1 != 0 }
        return octet < 128 && high >> UInt64(octet & 63) & 1 != 0
    }

    @inline(__always)
    static func isDigit(_ octet: UInt8) -> Bool { octet &- zero < 10 }

    @inline(__always)
    static func isLetter(_ octet: UInt8) -> Bool { (octet | 0x20) &- 0x61 < 26 }

    /// Linear white space inside a header value, where CR and LF can only belong to folding.
    @inline(__always)
    static func isWhiteSpace(_ octet: UInt8) -> Bool {
        octet <= space && (octet == space || octet == tab || octet == carriageReturn || octet == lineFeed)
    }

    @inline(__always)
    static func lowercased(_ octet: UInt8) -> UInt8 { octet &- 0x41 < 26 ? octet | 0x20 : octet }

    static func hexValue(_ octet: UInt8) -> UInt8? {
        if isDigit(octet) { return octet - zero }
        let letter = octet | 0x20
        return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : nil
    }

    /// The octets as text; what is not UTF-8 becomes U+FFFD. Nearly everything is short and ASCII, which takes no memory.
    static func string(_ octets: Span<UInt8>) -> String {
        guard octets.count <= 15 else {
            return unsafe octets.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        }
        return unsafe String(unsafeUninitializedCapacity: octets.count) { text in
            // SAFETY: there is room for `count` octets, and all of it is written.
            for index in octets.indices { unsafe text[index] = octets[index] }
            return octets.count
        }
    }

    /// Neither white space nor controls.
    static func isVisible(_ octets: Span<UInt8>) -> Bool {
        octets.firstIndex(in: 0..<octets.count) { $0.below(space + 1) .| $0.equal(delete) } == octets.count
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

    static func equal(_ left: String, _ right: String) -> Bool {
        guard left.utf8.count == right.utf8.count else { return false }
        let (left, right) = (left.utf8.span, right.utf8.span)
        for index in left.indices where lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }

    /// The value as one line: a line end with the white space around it becomes one space (RFC 3261 §7.3.1).
    ///
    /// No octet sequence comes through that could end a line, whatever is put in.
    static func appendUnfolded(_ value: Span<UInt8>, to output: inout [UInt8]) {
        // Nearly no value is folded, and what is not goes out as a whole.
        guard value.hasLineEnd else { return output.append(copying: value) }
        let start = output.count
        var afterLineEnd = false
        for index in value.indices {
            let octet = value[index]
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

    static func oneLine(_ value: Span<UInt8>) -> [UInt8] {
        var octets: [UInt8] = []
        appendUnfolded(value, to: &octets)
        return octets
    }

    static func appendUnfolded(_ value: String, to output: inout [UInt8]) { appendUnfolded(value.utf8.span, to: &output) }

    /// The value as text on one line; octets that are not UTF-8 become U+FFFD.
    static func text(_ value: ArraySlice<UInt8>) -> String {
        guard value.span.hasLineEnd else { return String(decoding: value, as: UTF8.self) }
        var unfolded: [UInt8] = []
        unfolded.reserveCapacity(value.count)
        appendUnfolded(value.span, to: &unfolded)
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

    @inline(__always)
    func trimmingWhiteSpace(_ range: Range<Int>) -> Range<Int> {
        // Nearly always one space before and none behind.
        var start = range.lowerBound
        if start < range.upperBound, self[start] == Octet.space { start += 1 }
        if start < range.upperBound, self[start] > Octet.space, self[range.upperBound - 1] > Octet.space {
            return start..<range.upperBound
        }
        return trimmingAllWhiteSpace(range)
    }

    @inline(never)
    private func trimmingAllWhiteSpace(_ range: Range<Int>) -> Range<Int> {
        let start = skippingWhiteSpace(from: range.lowerBound, to: range.upperBound)
        var end = range.upperBound
        while end > start, Octet.isWhiteSpace(self[end - 1]) { end -= 1 }
        return start..<end
    }

    /// The index after the quoted string that opens at `start`; nil when it does not end before `end`.
    func endOfQuotedString(from start: Int, to end: Int) -> Int? { quotedString(from: start, to: end)?.end }

    /// The same, and whether there is a backslash in it.
    func quotedString(from start: Int, to end: Int) -> (end: Int, hasEscapes: Bool)? {
        var index = start + 1
        var hasEscapes = false
        while true {
            index = firstIndex(in: index..<Swift.max(index, end)) { $0.equal(Octet.quote) .| $0.equal(Octet.backslash) }
            guard index < end else { return nil }
            if self[index] == Octet.quote { return (index + 1, hasEscapes) }
            hasEscapes = true
            index += 2
        }
    }

    func endOfToken(from start: Int, to end: Int) -> Int {
        firstIndex(in: start..<Swift.max(start, end)) { .!$0.tokens }
    }

    @inline(__always)
    func firstIndex(of octet: UInt8, in range: Range<Int>) -> Int? {
        let index = firstIndex(in: range) { $0.equal(octet) }
        return index < range.upperBound ? index : nil
    }

    /// The first octet below `limit`; the range's end when there is none.
    func firstIndex(below limit: UInt8, in range: Range<Int>) -> Int {
        firstIndex(in: range) { $0.below(limit) }
    }

    var hasLineEnd: Bool {
        firstIndex(in: 0..<count) { $0.equal(Octet.carriageReturn) .| $0.equal(Octet.lineFeed) } < count
    }

    /// Eight octets, the first one lowest; zeros stand for what lies behind the end.
    @inline(__always)
    func word(at index: Int) -> UInt64 {
        guard isInside(index, 8) else { return paddedWord(at: index) }
        // SAFETY: inside by the line above; every bit pattern is a number.
        return unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self))
    }

    @inline(never)
    private func paddedWord(at index: Int) -> UInt64 {
        let length = count - index
        precondition(index >= 0 && length >= 0, "an index of the octets or their end")
        if length >= 4 { return half(at: index) | half(at: count - 4) << UInt64(8 * (length - 4)) }
        var word: UInt64 = 0
        for offset in 0..<length { word |= UInt64(self[index + offset]) << UInt64(8 * offset) }
        return word
    }

    /// Four octets, the first one lowest.
    @inline(__always)
    private func half(at index: Int) -> UInt64 {
        precondition(isInside(index, 4))
        // SAFETY: inside by the line above; every bit pattern is a number.
        return unsafe UInt64(UInt32(littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt32.self)))
    }

    @inline(__always)
    func equals(_ range: Range<Int>, ignoringCase word: Keyword) -> Bool { word.matches(self, range) }

    /// The same for a word that is known at run time only.
    func equals(_ range: Range<Int>, ignoringCaseOf text: String) -> Bool {
        let other = text.utf8.span
        guard range.count == other.count else { return false }
        for offset in other.indices
        where Octet.lowercased(self[range.lowerBound + offset]) != Octet.lowercased(other[offset]) { return false }
        return true
    }

    func equals(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        guard left.count == right.count else { return false }
        if left.count <= 16 {
            return vector(at: left.lowerBound).number(ofFirst: left.count)
                == vector(at: right.lowerBound).number(ofFirst: right.count)
        }
        for offset in 0..<left.count where self[left.lowerBound + offset] != self[right.lowerBound + offset] {
            return false
        }
        return true
    }

    /// The digits from `start` on as a number, and the index behind them; the number is above `limit`, and no more than ten
    /// times it, when they say so.
    @inline(__always)
    func digits(from start: Int, to end: Int, limit: Int) -> (value: Int, end: Int) {
        var (index, value) = (start, 0)
        while index < end {
            let digit = self[index] &- Octet.zero
            guard digit < 10 else { break }
            if value <= limit { value = value &* 10 &+ Int(digit) }
            index += 1
        }
        return (value, index)
    }

    /// A decimal number of digits only, leading zeros allowed; nil when empty, not a number, or above `limit`.
    func decimal(_ range: Range<Int>, limit: Int) -> Int? {
        guard !range.isEmpty else { return nil }
        let found = digits(from: range.lowerBound, to: range.upperBound, limit: limit)
        return found.end == range.upperBound && found.value <= limit ? found.value : nil
    }

    func copy(_ range: Range<Int>) -> [UInt8] {
        [UInt8](atMost: range.count) { $0.append(copying: extracting(range)) }
    }
}

extension Span where Element == UInt8 {
    /// Eight octets at a time.
    func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        guard count >= 8 else {
            for index in indices where self[index] != other[index] { return false }
            return true
        }
        var index = 0
        while index < count - 8 {
            guard word(at: index) == other.word(at: index) else { return false }
            index += 8
        }
        return word(at: count - 8) == other.word(at: count - 8)
    }
}

extension Span where Element == UInt8 {
    /// Whether `text`, which is in lower case, stands somewhere in it in letters of any case.
    fileprivate func contains(ignoringCase text: Span<UInt8>) -> Bool {
        guard text.count > 0, count >= text.count else { return false }
        let starts = 0..<count - text.count + 1
        let (lower, upper) = (text[0], Octet.isLetter(text[0]) ? text[0] & ~0x20 : text[0])
        var start = 0
        while true {
            start = firstIndex(in: start..<starts.upperBound) { $0.equal(lower) .| $0.equal(upper) }
            guard start < starts.upperBound else { return false }
            var length = 1
            while length < text.count, Octet.lowercased(self[start + length]) == text[length] { length += 1 }
            if length == text.count { return true }
            start += 1
        }
    }
}

extension ArraySlice<UInt8> {
    /// Whether one of these, which are in lower case, stands somewhere in it in letters of any case.
    package func containsAny(of texts: [[UInt8]]) -> Bool {
        let span = span
        for text in texts where span.contains(ignoringCase: text.span) { return true }
        return false
    }

    package func isEqual(to other: ArraySlice<UInt8>) -> Bool { span.isEqual(to: other.span) }

    /// Whether these are the octets of `text`, letters of the same case.
    package func isText(_ text: String) -> Bool { span.isEqual(to: text.utf8.span) }
}
