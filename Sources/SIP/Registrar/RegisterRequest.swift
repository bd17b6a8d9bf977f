/// What a REGISTER asks for (RFC 3261 §10.2, RFC 3327, RFC 5626 §4.2), checked as far as that needs no state.
package struct RegisterRequest: Sendable {
    package struct Contact: Sendable {
        /// The URI as written.
        let uri: SIPURI
        /// Nil: what `Expires` says, or the registrar's default.
        let expires: Int?
        /// 0–1000.
        let quality: UInt16
        /// `+sip.instance` with its quotes and angle brackets, or empty.
        let instance: ArraySlice<UInt8>
        /// Zero when there is none, or when it does not count.
        let registrationID: UInt32
    }

    enum Kind: Sendable {
        /// Only asks which bindings there are.
        case query
        case removeAll
        case update([Contact])
    }

    package struct Refusal: Error, Equatable, Sendable {
        package let status: Int
        package let reason: String
    }

    let kind: Kind
    let expires: Int?
    let callIDHash: UInt64
    let branchHash: UInt32
    let sequence: UInt32
    /// All Path values, comma between them, or empty.
    package let path: [UInt8]
    package let supportsOutbound: Bool
    /// Its beginning.
    let userAgent: ArraySlice<UInt8>

    /// It adds or refreshes one binding and nothing else, as nearly every REGISTER does. That binding then remembers what a
    /// transaction would have to: see `Registrar.isRepetition`.
    package var isOfOneBinding: Bool {
        guard case .update(let contacts) = kind, contacts.count == 1 else { return false }
        return (contacts[0].expires ?? expires) != 0
    }

    /// It would add or refresh something.
    package var bindsContacts: Bool {
        guard case .update(let contacts) = kind else { return false }
        return contacts.contains { ($0.expires ?? expires) != 0 }
    }

    /// Contacts beyond this are refused: nobody has so many phones on one name in one request.
    static let maximumContacts = 16
    private static let maximumURI = 1_024
    private static let maximumPath = 1_024

    package init(_ request: SIPMessage) throws(Refusal) {
        let span = request.octets.span
        expires = request.number(.expires)
        callIDHash = Self.hash(request.callID)
        branchHash = Self.branchHash(of: request)
        sequence = request.cseq.number
        supportsOutbound = request.hasToken("outbound", in: .supported)
        userAgent = request.first(.userAgent).map { request.value($0).prefix(48) } ?? []
        var path: [UInt8] = []
        for value in request.listValues(.path) {
            if !path.isEmpty { path += ", ".utf8 }
            Octet.appendUnfolded(value.span, to: &path)
        }
        guard path.count <= Self.maximumPath else { throw Refusal(status: 400, reason: "Path Too Long") }
        self.path = path
        var contacts: [Contact] = []
        var hasWildcard = false
        for field in request.all(.contact) {
            var scanner = ListScanner(field.valueRange)
            while let range = scanner.next(span) {
                if span.equals(range, ignoringCase: "*") {
                    hasWildcard = true
                } else {
                    guard contacts.count < Self.maximumContacts else { throw Refusal(status: 400, reason: "Too Many Contacts") }
                    // The first one was read with the message.
                    let layout = contacts.isEmpty ? request.contactLayout : NameAddressLayout(span, range)
                    contacts.append(try Self.contact(request, layout))
                }
            }
        }
        if hasWildcard {
            guard contacts.isEmpty, expires == 0 else { throw Refusal(status: 400, reason: "Contact * Needs Expires 0") }
            kind = .removeAll
        } else if contacts.isEmpty {
            kind = .query
        } else {
            // A reg-id counts with one contact only (RFC 5626 §4.2).
            kind = .update(contacts.count == 1 ? contacts : contacts.map(\.withoutRegistrationID))
        }
    }

    private static func contact(_ request: SIPMessage, _ layout: NameAddressLayout?) throws(Refusal) -> Contact {
        let octets = request.octets
        let span = octets.span
        guard let layout else { throw Refusal(status: 400, reason: "Bad Contact") }
        guard layout.uri.scheme == .sip || layout.uri.scheme == .sips, layout.uri.range.count <= maximumURI else {
            throw Refusal(status: 400, reason: "Bad Contact URI")
        }
        let uri = SIPURI(octets: octets, layout: layout.uri)
        var expires: Int?
        var quality: UInt16 = 1_000
        var instance: ArraySlice<UInt8> = []
        var registrationID: UInt32 = 0
        var scanner = ParameterScanner(layout.parameterRange)
        while let parameter = scanner.next(span) {
            guard let value = parameter.valueRange else { continue }
            if span.equals(parameter.nameRange, ignoringCase: "expires") {
                // What is no number counts as if it were not there (RFC 3261 §20.19 asks for 3600, which the default is).
                expires = span.decimal(value, limit: Int(UInt32.max))
            } else if span.equals(parameter.nameRange, ignoringCase: "q") {
                quality = Self.quality(span, value)
            } else if span.equals(parameter.nameRange, ignoringCase: "+sip.instance"), value.count <= 128 {
                instance = octets[value]
            } else if span.equals(parameter.nameRange, ignoringCase: "reg-id") {
                registrationID = UInt32(span.decimal(value, limit: Int(UInt32.max)) ?? 0)
            }
        }
        return Contact(
            uri: uri, expires: expires, quality: quality, instance: instance,
            registrationID: instance.isEmpty ? 0 : registrationID)
    }

    /// `0`, `0.5`, `1.000` in thousandths; anything else counts as 1.
    private static func quality(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt16 {
        guard (1...5).contains(range.count), Octet.isDigit(octets[range.lowerBound]) else { return 1_000 }
        var value = UInt16(octets[range.lowerBound] - Octet.zero) * 1_000
        var weight: UInt16 = 100
        for index in range.dropFirst() {
            if index == range.lowerBound + 1 {
                guard octets[index] == UInt8(ascii: ".") else { return 1_000 }
                continue
            }
            guard Octet.isDigit(octets[index]) else { return 1_000 }
            value += UInt16(octets[index] - Octet.zero) * weight
            weight /= 10
        }
        return min(value, 1_000)
    }

    /// Never zero.
    static func branchHash(of request: SIPMessage) -> UInt32 {
        max(1, UInt32(truncatingIfNeeded: hash(request.topVia.branch ?? []) >> 16))
    }

    /// FNV-1a. A collision could only confuse the order of one user's own requests.
    static func hash(_ octets: some Collection<UInt8>) -> UInt64 {
        octets.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}

extension RegisterRequest.Contact {
    fileprivate var withoutRegistrationID: Self {
        Self(uri: uri, expires: expires, quality: quality, instance: instance, registrationID: 0)
    }
}

extension SIPURI {
    init?(octets: [UInt8]) {
        guard octets.count <= OctetRange.maximumOctets, let layout = URILayout(octets.span, 0..<octets.count) else { return nil }
        self.init(octets: octets, layout: layout)
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4), for sip and sips.
    package func isEquivalent(to other: SIPURI) -> Bool {
        if slice == other.slice { return true }
        guard scheme == other.scheme, port == other.port, unescapedUser == other.unescapedUser, password == other.password,
            Octet.equal(hostOctets, other.host)
        else { return false }
        for name in ["user", "ttl", "method", "maddr", "transport"] where !Self.isEqual(parameter(name), other.parameter(name)) {
            return false
        }
        return true
    }

    private static func isEqual(_ left: String?, _ right: String?) -> Bool { left?.lowercased() == right?.lowercased() }
}
