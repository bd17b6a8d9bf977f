/// What the copies of one INVITE share when it comes by several ways: Call-ID, From tag and CSeq (RFC 3261 §8.2.2.2).
package struct InviteIdentity: Hashable, Sendable {
    private let fingerprint: Fingerprint

    package init(_ invite: SIPMessage) {
        var hasher = Hasher()
        hasher.combine(octets: invite.callID)
        hasher.combine(octets: invite.fromTag ?? [])
        hasher.combine(invite.cseq.number)
        fingerprint = Fingerprint(hasher)
    }

    /// It is a hash already, and a secret one.
    package func _rawHashValue(seed: Int) -> Int { fingerprint.hash ^ seed }
}
