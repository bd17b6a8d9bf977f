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
            let value = octets[line.value]
            let attribute = line.type == UInt8(ascii: "a") ? SDPText.attribute(value) : nil
            return Field(
                type: line.type, value: value, attributeName: attribute.map { SDPText.string($0.name) },
                attributeValue: attribute?.value ?? value.suffix(0))
        }
    }
}
