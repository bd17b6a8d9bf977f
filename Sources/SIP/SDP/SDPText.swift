package import Core

/// The few things read out of the value of an SDP line.
package enum SDPText {
    static let space = UInt8(ascii: " ")

    static func string(_ octets: ArraySlice<UInt8>) -> String { String(decoding: octets, as: UTF8.self) }

    /// A run of digits that fits `Value`; nil for anything else, a sign included.
    package static func number<Value: FixedWidthInteger>(_ octets: Span<UInt8>, _ range: Range<Int>) -> Value? {
        guard !range.isEmpty else { return nil }
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
        octets += (address.family == .ipv4 ? "IN IP4 " : "IN IP6 ").utf8
        address.append(to: &octets)
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
        while index < end, octets[index] != SDPText.space { index += 1 }
        return start..<index
    }

    /// What follows the space after the last field.
    var rest: Range<Int> { min(index + 1, end)..<end }
}
