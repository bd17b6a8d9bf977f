/// The attributes that relayd acts on, or gives a place of their own where it writes a description anew. Any other travels
/// through unread.
package enum SDPAttribute: UInt8, Sendable, CaseIterable {
    case rtpmap, fmtp, rtcpFeedback, sendrecv, sendonly, recvonly, inactive
    /// RFC 3605, RFC 5761 and RFC 8858.
    case rtcp, rtcpMux, rtcpMuxOnly
    /// RFC 5888, RFC 4574, RFC 8285, RFC 4568, RFC 4145, RFC 8122, RFC 8866 §6.4 and §6.5.
    case mid, label, extmap, crypto, setup, fingerprint, ptime, maxptime
    /// ICE (RFC 8839 §5, RFC 8840).
    case candidate, remoteCandidates, endOfCandidates, iceUfrag, icePwd, iceOptions, iceLite, iceMismatch, icePacing
    /// RFC 6947.
    case altc
    /// RFC 5888; BUNDLE (RFC 9143) puts all media on one port.
    case group, bundleOnly
    case other

    /// On the wire; empty for `other`.
    var text: String {
        switch self {
        case .rtpmap: "rtpmap"
        case .fmtp: "fmtp"
        case .rtcpFeedback: "rtcp-fb"
        case .sendrecv: "sendrecv"
        case .sendonly: "sendonly"
        case .recvonly: "recvonly"
        case .inactive: "inactive"
        case .rtcp: "rtcp"
        case .rtcpMux: "rtcp-mux"
        case .rtcpMuxOnly: "rtcp-mux-only"
        case .mid: "mid"
        case .label: "label"
        case .extmap: "extmap"
        case .crypto: "crypto"
        case .setup: "setup"
        case .fingerprint: "fingerprint"
        case .ptime: "ptime"
        case .maxptime: "maxptime"
        case .candidate: "candidate"
        case .remoteCandidates: "remote-candidates"
        case .endOfCandidates: "end-of-candidates"
        case .iceUfrag: "ice-ufrag"
        case .icePwd: "ice-pwd"
        case .iceOptions: "ice-options"
        case .iceLite: "ice-lite"
        case .iceMismatch: "ice-mismatch"
        case .icePacing: "ice-pacing"
        case .altc: "altc"
        case .group: "group"
        case .bundleOnly: "bundle-only"
        case .other: ""
        }
    }

    init(_ octets: Span<UInt8>, _ name: Range<Int>) {
        let key = octets.vector(at: name.lowerBound).number(ofFirst: min(name.count, Self.keyOctets))
        self = Self.names[min(name.count, Self.names.count - 1)].first { $0.key == key }?.attribute ?? .other
    }

    /// Names are told apart by their length, at whose place they stand, and so many octets, as one number. The last place,
    /// of all that are longer, is empty.
    private static let keyOctets = 16
    private static let names: [[(key: UInt128, attribute: SDPAttribute)]] = {
        let known = allCases.filter { $0 != .other }
        let longest = known.map(\.text.utf8.count).max() ?? 0
        return (0...longest + 1).map { count in
            known.filter { $0.text.utf8.count == count }.map { attribute in
                (attribute.text.utf8.prefix(keyOctets).reversed().reduce(0) { $0 << 8 | UInt128($1) }, attribute)
            }
        }
    }()

    package var direction: SessionDescription.Direction? {
        switch self {
        case .sendrecv: .sendrecv
        case .sendonly: .sendonly
        case .recvonly: .recvonly
        case .inactive: .inactive
        default: nil
        }
    }

    /// ICE, and alternative addresses.
    package var isICE: Bool { leadsPastRelay && self != .bundleOnly }

    /// Everything that would lead media past the relay.
    var leadsPastRelay: Bool {
        switch self {
        case .candidate, .remoteCandidates, .endOfCandidates, .iceUfrag, .icePwd, .iceOptions, .iceLite, .iceMismatch,
            .icePacing, .altc, .bundleOnly: true
        default: false
        }
    }
}
