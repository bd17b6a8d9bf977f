import Configuration
import SIP

/// What a request on its way from one trunk to the other may say of its sender (RFC 3323, RFC 3325).
///
/// Trunks that are `trusted` make up the trust domain: what they assert is believed, and they are told everything, with the
/// sender's wish for privacy. An untrusted trunk asserts nothing, and is told no more than the sender wants to be known.
struct IdentityPolicy: Equatable {
    /// From names nobody.
    var isAnonymous = false
    /// Header lines that stay behind.
    var withheld: Set<HeaderName> = []
    /// The next hop is asked to keep what it is told to itself.
    var asksForPrivacy = false
    /// Who has proven to be the sender, to be asserted by us.
    var assertsIdentity = false

    static let identities: Set<HeaderName> = [.pAssertedIdentity, .pPreferredIdentity, .remotePartyID]
    /// What else may tell who it is.
    private static let hints: Set<HeaderName> = [.callInfo, .organization, .subject, .diversion, .historyInfo]

    /// - Parameters:
    ///   - source: the trunk it comes from; nil for a phone, whose word counts only as far as it has proven it.
    ///   - target: nil for a phone, which is told as much as an untrusted trunk.
    init(_ request: SIPMessage, from source: SharedTrunk?, to target: SharedTrunk?) {
        let wishes = Set(request.listValues(.privacy).flatMap { value in
            String(decoding: value, as: UTF8.self).lowercased().split(separator: ";").map { $0.filter { $0 != " " } }
        }).subtracting(["none", "critical"])
        let isTrusted = target?.isTrusted ?? false
        let mode = target?.identity ?? .pass
        if source?.isTrusted != true || mode == .strip { withheld.formUnion(Self.identities) }
        if !wishes.isEmpty, !isTrusted {
            // What was asked for is done here, and nobody has to be asked for it any more (RFC 3323 §5).
            withheld.formUnion(Self.identities.union(Self.hints))
            withheld.insert(.privacy)
            isAnonymous = true
        }
        // A phone cannot make itself anonymous: its From is replaced by what it has proven to be.
        if source == nil, !wishes.isEmpty {
            isAnonymous = true
            assertsIdentity = isTrusted && mode == .pass
        }
        if mode == .anonymise {
            isAnonymous = true
            withheld.formUnion(Self.hints)
            if isTrusted { asksForPrivacy = wishes.isEmpty } else { withheld.formUnion(Self.identities) }
        }
    }

    /// The value of From without its tag, where nobody is named (RFC 3323 §4.1.1.3).
    static var anonymousFrom: StaticString { "\"Anonymous\" <sip:anonymous@anonymous.invalid>" }
}
