package import Core

/// The few things read out of the value of an SDP line.
package enum SDPText {
    static let space = UInt8(ascii: " ")

    /// What nearly every description says comes from a table; reading UTF-8 takes ten times as long.
    static func string(_ octets: [UInt8], _ range: Range<Int>) -> String {
        usualWords.find(octets.span, range) ?? String(decoding: octets[range], as: UTF8.self)
    }

    /// Encoding and clock rate of an `a=rtpmap` line that many a description has.
    static func usualMap(_ octets: Span<UInt8>, _ range: Range<Int>) -> (name: String, rate: UInt32)? {
        usualMaps.find(octets, range)
    }

    private static let usualWords = UsualTexts(
        [
            "audio", "video", "image", "RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "udptl", "PCMU", "PCMA", "G729", "G722",
            "GSM", "opus", "iLBC", "AMR", "AMR-WB", "telephone-event", "CN", "H264", "VP8", "0-15", "0-16", "annexb=no",
            "annexb=yes", "t38",
        ].map { ($0, $0) })

    private static let usualMaps = UsualTexts<(name: String, rate: UInt32)>(
        ["PCMU", "PCMA", "G729", "G722", "GSM", "CN", "iLBC"].map { ("\($0)/8000", ($0, 8_000)) })

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

/// What texts of fifteen octets at most stand for, found by what they are as a number.
private struct UsualTexts<Meaning: Sendable>: Sendable {
    private static var capacity: Int { 256 }
    /// Nil where there is none.
    private var meanings = [(number: UInt128, meaning: Meaning?)](repeating: (0, nil), count: capacity)

    init(_ texts: [(text: String, meaning: Meaning)]) {
        for (text, meaning) in texts {
            precondition(text.utf8.count < 16, "a text has fifteen octets at most")
            let number = Self.number(text.utf8.span, 0..<text.utf8.count)
            var slot = Self.slot(number)
            while meanings[slot].number != 0 { slot = (slot + 1) % Self.capacity }
            meanings[slot] = (number, meaning)
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

    func find(_ octets: Span<UInt8>, _ range: Range<Int>) -> Meaning? {
        guard range.count < 16, !range.isEmpty else { return nil }
        let number = Self.number(octets, range)
        var slot = Self.slot(number)
        while meanings[slot].number != 0 {
            if meanings[slot].number == number { return meanings[slot].meaning }
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
