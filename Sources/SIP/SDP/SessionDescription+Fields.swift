package import Core

/// The lines as they came, for whoever writes a description of its own from them.
extension SessionDescription {
    /// One line: its type letter and what follows the equals sign, without the line end.
    package struct Field: Sendable {
        package let type: UInt8
        package let value: ArraySlice<UInt8>
        /// Of an `a=` line, or nil: `rtpmap` of `a=rtpmap:0 PCMU/8000`.
        package let attributeName: String?
        /// What follows the colon of an `a=` line; empty without one.
        package let attributeValue: ArraySlice<UInt8>
    }

    /// The lines above the first `m=`, `v=0` included.
    package var sessionFields: [Field] { fields(in: 0..<(media.first?.lineRange.lowerBound ?? lines.count)) }

    /// The lines below the medium's `m=`. The medium must be one of this description.
    package func fields(of medium: Media) -> [Field] { fields(in: medium.lineRange.dropFirst()) }

    private func fields(in range: Range<Int>) -> [Field] {
        lines[range].map { line in
            let isAttribute = line.type == UInt8(ascii: "a")
            return Field(
                type: line.type, value: octets[line.value],
                attributeName: isAttribute ? SDPText.string(octets[line.attributeName]) : nil,
                attributeValue: octets[line.attributeValue])
        }
    }

    /// The address in the `o=` line of a body, which nobody routes by and so nobody rewrites without reason. Nil when there is
    /// none or it is a host name.
    package static func origin(in body: ArraySlice<UInt8>) -> IPAddress? {
        let octets = body.span
        var start = 0
        while start < octets.count {
            let end = octets.firstIndex(of: Octet.lineFeed, in: start..<octets.count) ?? octets.count
            defer { start = end + 1 }
            guard end - start > 2, octets[start] == UInt8(ascii: "o"), octets[start + 1] == Octet.equals else { continue }
            let isTrimmed = octets[end - 1] == Octet.carriageReturn
            var fields = FieldScanner(start + 2..<(isTrimmed ? end - 1 : end))
            for _ in 0..<5 where fields.next(octets) == nil { return nil }
            return fields.next(octets).flatMap { IPAddress(ascii: octets.extracting($0)) }
        }
        return nil
    }
}
