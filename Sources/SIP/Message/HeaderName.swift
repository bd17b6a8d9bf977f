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
        self.init(octets.span, 0..<octets.count, hash: octets.reduce(0, Self.hashStep))
    }

    /// `| 0x20` folds letters; what else it maps together only costs a comparison.
    @inline(__always)
    static func hashStep(_ hash: UInt32, _ octet: UInt8) -> UInt32 { (hash &+ UInt32(octet | 0x20)) &* 0x0100_0193 }

    /// - Parameter hash: `hashStep` folded over the octets in `range` from 0, which the parser
    ///   has at hand once it found the name's end.
    init(_ octets: Span<UInt8>, _ range: Range<Int>, hash: UInt32) {
        self = HeaderNameTable.shared.find(octets, range, hash: hash)
    }
}

/// One header line: offsets into the octets of its message.
package struct HeaderField: Sendable, Hashable {
    package let name: HeaderName
    private let compactName: OctetRange
    private let compactValue: OctetRange

    init(name: HeaderName, nameRange: Range<Int>, valueRange: Range<Int>) {
        self.name = name
        compactName = OctetRange(nameRange)
        compactValue = OctetRange(valueRange)
    }

    package var nameRange: Range<Int> { compactName.range }
    /// Without surrounding white space; may hold folding (CRLF and white space), which `SIPMessage.text` takes out.
    package var valueRange: Range<Int> { compactValue.range }
}

/// Open-addressed table over every spelling, so that a header name is found with one probe and no string.
private struct HeaderNameTable: Sendable {
    static let shared = HeaderNameTable()

    private struct Entry {
        var name = HeaderName.other
        var start: UInt16 = 0
        var count: UInt8 = 0
    }
    private static let capacity: UInt32 = 512  // a quarter full: an unknown name nearly always meets a free entry
    private var entries = [Entry](repeating: Entry(), count: Int(capacity))
    private var spellings: [UInt8] = []

    private init() {
        for name in HeaderName.allCases where name != .other {
            insert(name, spelling: name.text)
            if let compact = name.compactForm { insert(name, spelling: String(compact)) }
        }
    }

    private mutating func insert(_ name: HeaderName, spelling: String) {
        let octets = spelling.utf8.map(Octet.lowercased)
        var slot = Self.slot(octets.reduce(0, HeaderName.hashStep))
        while entries[slot].count > 0 { slot = (slot + 1) % Int(Self.capacity) }
        entries[slot] = Entry(name: name, start: UInt16(spellings.count), count: UInt8(octets.count))
        spellings += octets
    }

    @inline(__always)
    private static func slot(_ hash: UInt32) -> Int { Int((hash ^ hash >> 15) % capacity) }

    func find(_ octets: Span<UInt8>, _ range: Range<Int>, hash: UInt32) -> HeaderName {
        var slot = Self.slot(hash)
        while entries[slot].count > 0 {
            if isSpelling(entries[slot], octets, range) { return entries[slot].name }
            slot = (slot + 1) % Int(Self.capacity)
        }
        return .other
    }

    private func isSpelling(_ entry: Entry, _ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard Int(entry.count) == range.count else { return false }
        let spelling = spellings.span
        for offset in 0..<range.count
        where Octet.lowercased(octets[range.lowerBound + offset]) != spelling[Int(entry.start) + offset] {
            return false
        }
        return true
    }
}
