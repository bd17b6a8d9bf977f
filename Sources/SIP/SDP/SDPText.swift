package import Core

/// The few things read out of the value of an SDP line.
package enum SDPText {
    static let space = UInt8(ascii: " ")

    /// What nearly every description says comes from a table; reading UTF-8 takes ten times as long.
    static func string(_ octets: [UInt8], _ range: Range<Int>) -> String {
        UsualWords.shared.find(octets.span, range) ?? String(decoding: octets[range], as: UTF8.self)
    }

    /// A run of digits that fits `Value`; nil for anything else, a sign included.
    package static func number<Value: FixedWidthInteger>(_ octets: Span<UInt8>, _ range: Range<Int>) -> Value? {
        guard !range.isEmpty else { return nil }
        if Value.bitWidth <= 32 {
            return octets.decimal(range, limit: Int(clamping: Value.max)).map { Value($0) }
        }
        var value: Value = 0
        for index in range {
            let octet = octets[index]
            guard (0x30...0x39).contains(octet) else { return nil }
            let (shifted, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = shifted.addingReportingOverflow(Value(octet - 0x30))
            guard !overflowed, !carried else { return nil }
            value = sum
        }
        return value
    }

    /// The literal address of `IN IP4 192.0.2.1/127`; nil for a host name or anything else.
    static func connectionAddress(_ octets: Span<UInt8>, _ line: Range<Int>) -> IPAddress? {
        var fields = FieldScanner(line)
        guard fields.next(octets) != nil, fields.next(octets) != nil, let field = fields.next(octets) else { return nil }
        let end = octets.firstIndex(of: Octet.slash, in: field) ?? field.upperBound
        return IPAddress(ascii: octets.extracting(field.lowerBound..<end))
    }

    /// `IN IP4 192.0.2.1` or `IN IP6 2001:db8::1`.
    package static func append(connection address: IPAddress, to octets: inout [UInt8]) {
        octets.append(address.family == .ipv4 ? "IN IP4 " : "IN IP6 ")
        address.append(to: &octets)
    }
}

/// Words of fifteen octets at most, found by what they are as a number.
private struct UsualWords: Sendable {
    static let shared = UsualWords([
        "audio", "video", "image", "RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "udptl", "PCMU", "PCMA", "G729", "G722", "GSM", "opus",
        "iLBC", "AMR", "AMR-WB", "telephone-event", "CN", "H264", "VP8", "0-15", "0-16", "annexb=no", "annexb=yes", "t38",
    ])

    private static let capacity = 256
    /// Empty where there is none.
    private var words = [(number: UInt128, text: String)](repeating: (0, ""), count: capacity)

    private init(_ texts: [String]) {
        for text in texts {
            let number = Self.number(text.utf8.span, 0..<text.utf8.count)
            var slot = Self.slot(number)
            while words[slot].number != 0 { slot = (slot + 1) % Self.capacity }
            words[slot] = (number, text)
        }
    }

    /// With the length in the last octet, so that no two are alike.
    @inline(__always)
    private static func number(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt128 {
        octets.vector(at: range.lowerBound).number(ofFirst: range.count) | UInt128(range.count) << 120
    }

    @inline(__always)
    private static func slot(_ number: UInt128) -> Int {
        let folded = UInt64(truncatingIfNeeded: number) ^ UInt64(truncatingIfNeeded: number >> 64)
        return Int((folded &* 0x9e37_79b9_7f4a_7c15) >> 56)  // eight bits: below `capacity`
    }

    func find(_ octets: Span<UInt8>, _ range: Range<Int>) -> String? {
        guard range.count < 16, !range.isEmpty else { return nil }
        let number = Self.number(octets, range)
        var slot = Self.slot(number)
        while words[slot].number != 0 {
            if words[slot].number == number { return words[slot].text }
            slot = (slot + 1) % Self.capacity
        }
        return nil
    }
}

/// Walks the fields of a line, which spaces divide.
package struct FieldScanner {
    private var index: Int
    private let end: Int

    package init(_ line: Range<Int>) {
        index = line.lowerBound
        end = line.upperBound
    }

    package mutating func next(_ octets: Span<UInt8>) -> Range<Int>? {
        while index < end, octets[index] == SDPText.space { index += 1 }
        guard index < end else { return nil }
        let start = index
        index = octets.firstIndex(in: start..<end) { $0.equal(SDPText.space) }
        return start..<index
    }

    /// What follows the space after the last field.
    var rest: Range<Int> { min(index + 1, end)..<end }
}
