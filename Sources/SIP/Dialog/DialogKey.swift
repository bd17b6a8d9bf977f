/// What a request is matched to its dialog by: Call-ID and the tag of our side (RFC 3261 §12).
package struct DialogKey: Hashable, Sendable {
    private let fingerprint: Fingerprint

    package init(_ dialog: Dialog) {
        var hasher = Hasher()
        hasher.combine(octets: dialog.callID)
        hasher.combine(octets: dialog.localTag)
        fingerprint = Fingerprint(hasher)
    }

    package init(callID: ArraySlice<UInt8>, localTag: ArraySlice<UInt8>) {
        var hasher = Hasher()
        hasher.combine(octets: callID)
        hasher.combine(octets: localTag)
        fingerprint = Fingerprint(hasher)
    }

    /// It is a hash already, and a secret one.
    package func _rawHashValue(seed: Int) -> Int { fingerprint.hash ^ seed }
}
