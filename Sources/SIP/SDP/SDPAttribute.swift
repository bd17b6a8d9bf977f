/// The attributes that relayd acts on. Any other travels through unread.
enum SDPAttribute: UInt8, Sendable, CaseIterable {
    case rtpmap, fmtp, rtcpFeedback, sendrecv, sendonly, recvonly, inactive
    /// RFC 3605 and RFC 5761.
    case rtcp, rtcpMux
    /// ICE (RFC 8839 §5, RFC 8840).
    case candidate, remoteCandidates, endOfCandidates, iceUfrag, icePwd, iceOptions, iceLite, iceMismatch, icePacing
    /// RFC 6947.
    case altc
    /// RFC 5888; BUNDLE (RFC 9143) puts all media on one port.
    case group, bundleOnly
    case other

    /// On the wire; empty for `other`.
    private var text: String {
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
        // Most attributes of a telephone call are read; those that are not mostly differ in length.
        var key: UInt128 = 0
        for index in name.prefix(Self.keyOctets) { key = key << 8 | UInt128(octets[index]) }
        for entry in Self.names where entry.key == key && entry.count == name.count {
            self = entry.attribute
            return
        }
        self = .other
    }

    /// Names are told apart by their length and so many octets, as one number.
    private static let keyOctets = 16
    private static let names: [(key: UInt128, count: Int, attribute: SDPAttribute)] = allCases.dropLast().map { attribute in
        let octets = attribute.text.utf8
        return (octets.prefix(keyOctets).reduce(0) { $0 << 8 | UInt128($1) }, octets.count, attribute)
    }

    var direction: SessionDescription.Direction? {
        switch self {
        case .sendrecv: .sendrecv
        case .sendonly: .sendonly
        case .recvonly: .recvonly
        case .inactive: .inactive
        default: nil
        }
    }

    /// Everything that would lead media past the relay.
    var leadsPastRelay: Bool {
        switch self {
        case .candidate, .remoteCandidates, .endOfCandidates, .iceUfrag, .icePwd, .iceOptions, .iceLite, .iceMismatch,
            .icePacing, .altc, .bundleOnly: true
        default: false
        }
    }
}
