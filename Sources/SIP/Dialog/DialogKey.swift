/// What a table of dialogs has them under: the tag of our side, which is drawn at random for each and is in every request of
/// the peer's (RFC 3261 §12.2.2).
///
/// Whoever finds a dialog compares the Call-ID too. Nobody else chooses what is in the table, so the tag serves as its own hash.
package struct DialogKey: Hashable, Sendable {
    private let octets: UInt128

    package static let longestTag = 16

    /// - Precondition: `longestTag` octets at most.
    package init(localTag: String) {
        precondition(localTag.utf8.count <= Self.longestTag, "our own tags are short")
        octets = localTag.utf8.span.vector(at: 0).number(ofFirst: localTag.utf8.count)
    }

    /// Nil when it is no tag of ours.
    package init?(_ tag: ArraySlice<UInt8>?) {
        guard let tag, tag.count <= Self.longestTag else { return nil }
        octets = tag.span.vector(at: 0).number(ofFirst: tag.count)
    }

    package func _rawHashValue(seed: Int) -> Int {
        let word = UInt64(truncatingIfNeeded: octets) ^ UInt64(truncatingIfNeeded: octets >> 64)
        let product = (word ^ UInt64(truncatingIfNeeded: seed)) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: product ^ product >> 32)
    }
}
