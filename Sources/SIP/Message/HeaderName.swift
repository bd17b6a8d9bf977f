/// The header fields relayd knows by name. Any other is `other`: kept, copied, never interpreted.
package enum HeaderName: UInt8, Hashable, Sendable, CaseIterable {
    case via, from, to, callID, cseq, contact, maxForwards, contentType, contentLength, contentDisposition
    case contentEncoding, contentLanguage, route, recordRoute, require, supported, proxyRequire, unsupported, allow
    case allowEvents, accept, acceptEncoding, acceptLanguage, reason, retryAfter, expires, minExpires, minSE
    case sessionExpires, userAgent, server, warning, privacy, pAssertedIdentity, pPreferredIdentity, authorization
    case proxyAuthorization, wwwAuthenticate, proxyAuthenticate, authenticationInfo, rack, rseq, event, date, subject
    case path, serviceRoute, referTo, referredBy, replaces, diversion, historyInfo, timestamp, callInfo, alertInfo
    case organization, inReplyTo, replyTo, mimeVersion, subscriptionState, priority, errorInfo, join, identity
    case requestDisposition, acceptContact, rejectContact, sipETag, sipIfMatch, infoPackage, recvInfo
    case pEarlyMedia, pChargingVector, pAccessNetworkInfo, remotePartyID, sessionID, maxBreadth, geolocation
    case other

    /// The spelling relayd writes; empty for `other`.
    package var text: String {
        switch self {
        case .via: "Via"
        case .from: "From"
        case .to: "To"
        case .callID: "Call-ID"
        case .cseq: "CSeq"
        case .contact: "Contact"
        case .maxForwards: "Max-Forwards"
        case .contentType: "Content-Type"
        case .contentLength: "Content-Length"
        case .contentDisposition: "Content-Disposition"
        case .contentEncoding: "Content-Encoding"
        case .contentLanguage: "Content-Language"
        case .route: "Route"
        case .recordRoute: "Record-Route"
        case .require: "Require"
        case .supported: "Supported"
        case .proxyRequire: "Proxy-Require"
        case .unsupported: "Unsupported"
        case .allow: "Allow"
        case .allowEvents: "Allow-Events"
        case .accept: "Accept"
        case .acceptEncoding: "Accept-Encoding"
        case .acceptLanguage: "Accept-Language"
        case .reason: "Reason"
        case .retryAfter: "Retry-After"
        case .expires: "Expires"
        case .minExpires: "Min-Expires"
        case .minSE: "Min-SE"
        case .sessionExpires: "Session-Expires"
        case .userAgent: "User-Agent"
        case .server: "Server"
        case .warning: "Warning"
        case .privacy: "Privacy"
        case .pAssertedIdentity: "P-Asserted-Identity"
        case .pPreferredIdentity: "P-Preferred-Identity"
        case .authorization: "Authorization"
        case .proxyAuthorization: "Proxy-Authorization"
        case .wwwAuthenticate: "WWW-Authenticate"
        case .proxyAuthenticate: "Proxy-Authenticate"
        case .authenticationInfo: "Authentication-Info"
        case .rack: "RAck"
        case .rseq: "RSeq"
        case .event: "Event"
        case .date: "Date"
        case .subject: "Subject"
        case .path: "Path"
        case .serviceRoute: "Service-Route"
        case .referTo: "Refer-To"
        case .referredBy: "Referred-By"
        case .replaces: "Replaces"
        case .diversion: "Diversion"
        case .historyInfo: "History-Info"
        case .timestamp: "Timestamp"
        case .callInfo: "Call-Info"
        case .alertInfo: "Alert-Info"
        case .organization: "Organization"
        case .inReplyTo: "In-Reply-To"
        case .replyTo: "Reply-To"
        case .mimeVersion: "MIME-Version"
        case .subscriptionState: "Subscription-State"
        case .priority: "Priority"
        case .errorInfo: "Error-Info"
        case .join: "Join"
        case .identity: "Identity"
        case .requestDisposition: "Request-Disposition"
        case .acceptContact: "Accept-Contact"
        case .rejectContact: "Reject-Contact"
        case .sipETag: "SIP-ETag"
        case .sipIfMatch: "SIP-If-Match"
        case .infoPackage: "Info-Package"
        case .recvInfo: "Recv-Info"
        case .pEarlyMedia: "P-Early-Media"
        case .pChargingVector: "P-Charging-Vector"
        case .pAccessNetworkInfo: "P-Access-Network-Info"
        case .remotePartyID: "Remote-Party-ID"
        case .sessionID: "Session-ID"
        case .maxBreadth: "Max-Breadth"
        case .geolocation: "Geolocation"
        case .other: ""
        }
    }

    /// The one-letter form of IANA's registry, in lower case.
    package var compactForm: Character? {
        switch self {
        case .via: "v"
        case .from: "f"
        case .to: "t"
        case .callID: "i"
        case .contact: "m"
        case .contentType: "c"
        case .contentLength: "l"
        case .contentEncoding: "e"
        case .supported: "k"
        case .subject: "s"
        case .event: "o"
        case .allowEvents: "u"
        case .referTo: "r"
        case .referredBy: "b"
        case .sessionExpires: "x"
        case .identity: "y"
        case .requestDisposition: "d"
        case .acceptContact: "a"
        case .rejectContact: "j"
        default: nil
        }
    }

    /// Long or compact form, in any case. `other` for a name that is not known.
    package init(_ text: String) {
        let octets = Array(text.utf8)
        self.init(octets.span, 0..<octets.count)
    }

    init(_ octets: Span<UInt8>, _ range: Range<Int>) { self = HeaderNameTable.shared.find(octets, range) }
}

/// Open-addressed table over every spelling, so that a header name is found with one probe and no string.
struct HeaderNameTable: Sendable {
    static let shared = HeaderNameTable()

    private struct Spelling {
        var name = HeaderName.other
        /// 0 where there is no spelling.
        var count = 0
        /// The first sixteen octets, or all, in lower case as one number.
        var start: UInt128 = 0
        /// The last sixteen, of a longer name.
        var end: UInt128 = 0
    }
    private static let longest = 32
    private static let capacity = 512  // a quarter full: an unknown name nearly always meets a free slot
    /// Places in `spellings`, of which the first is no spelling.
    private var slots = [UInt8](repeating: 0, count: capacity)
    private var spellings = [Spelling()]
    /// `Via: From: To: ` and so on: what stands before a value where relayd writes it.
    private var written: [UInt8] = []
    private var writtenRanges: [OctetRange] = []

    private init() {
        for name in HeaderName.allCases {
            let start = written.count
            written += "\(name.text): ".utf8
            writtenRanges.append(OctetRange(start..<written.count))
        }
        for name in HeaderName.allCases where name != .other {
            insert(name, spelling: name.text)
            if let compact = name.compactForm { insert(name, spelling: String(compact)) }
        }
    }

    private mutating func insert(_ name: HeaderName, spelling: String) {
        let octets = Array(spelling.utf8)
        precondition(octets.count <= Self.longest && spellings.count <= UInt8.max)
        let start = Self.start(octets.span, 0..<octets.count)
        let end = octets.count > 16 ? Self.end(octets.span, 0..<octets.count) : 0
        var slot = Self.slot(start)
        while slots[slot] != 0 { slot = (slot + 1) % Self.capacity }
        slots[slot] = UInt8(spellings.count)
        spellings.append(Spelling(name: name, count: octets.count, start: start, end: end))
    }

    @inline(__always)
    private static func start(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt128 {
        octets.vector(at: range.lowerBound).lowercased.number(ofFirst: min(range.count, 16))
    }

    @inline(__always)
    private static func end(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt128 {
        octets.vector(at: range.upperBound - 16).lowercased.number(ofFirst: 16)
    }

    @inline(__always)
    private static func slot(_ start: UInt128) -> Int {
        let folded = UInt64(truncatingIfNeeded: start) ^ UInt64(truncatingIfNeeded: start >> 64)
        return Int((folded &* 0x9e37_79b9_7f4a_7c15) >> 55)  // nine bits: below `capacity`
    }

    /// Name, colon and space.
    @_lifetime(borrow self)
    func written(_ name: HeaderName) -> Span<UInt8> { written.span.extracting(writtenRanges[Int(name.rawValue)].range) }

    @inline(__always)
    func find(_ octets: Span<UInt8>, _ range: Range<Int>) -> HeaderName {
        guard range.count <= Self.longest else { return .other }
        let start = Self.start(octets, range)
        var slot = Self.slot(start)
        while true {
            let spelling = spellings[Int(slots[slot])]
            if spelling.count == range.count, spelling.start == start,
                range.count <= 16 || spelling.end == Self.end(octets, range)
            {
                return spelling.name
            }
            if spelling.count == 0 { return .other }
            slot = (slot + 1) % Self.capacity
        }
    }
}
