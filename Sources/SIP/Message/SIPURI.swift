package import Core

/// A URI of a message: `sip:` and `sips:` in full (RFC 3261 §19.1), `tel:` and others as scheme and text.
///
/// It shares the octets it was read from and makes strings only when asked.
package struct SIPURI: Sendable {
    package enum Scheme: Hashable, Sendable { case sip, sips, tel, other }

    private let octets: [UInt8]
    let layout: URILayout

    init(octets: [UInt8], layout: URILayout) {
        self.octets = octets
        self.layout = layout
    }

    /// Reads a whole URI; nil when it is not one.
    package init?(_ octets: some Collection<UInt8>) {
        let octets = Array(octets)
        guard octets.count <= OctetRange.maximumOctets, let layout = URILayout(octets.span, 0..<octets.count) else { return nil }
        self.init(octets: octets, layout: layout)
    }

    package init?(_ text: String) { self.init(text.utf8) }

    package var scheme: Scheme { layout.scheme }
    /// The URI as written.
    package var slice: ArraySlice<UInt8> { octets[layout.range] }
    package var text: String { String(decoding: slice, as: UTF8.self) }

    /// As written, escapes kept, without the password; for `tel:` the number. Nil when there is none.
    package var user: String? { layout.userRange.map { Octet.string(octets.span.extracting($0)) } }
    /// `user` with `%41` read as `A`: for comparing (RFC 3261 §19.1.4). Octets, because an escape may be any octet.
    package var unescapedUser: [UInt8]? { layout.userRange.map { Self.unescaped(octets[$0]) } }
    /// Whether `unescapedUser` is `name`.
    package func hasUser(_ name: [UInt8]) -> Bool {
        guard let range = layout.userRange else { return false }
        let user = octets.span.extracting(range)
        // Without escapes it stands there as it is.
        if user.firstIndex(of: Octet.percent, in: 0..<user.count) == nil { return user.isEqual(to: name.span) }
        return unescapedUser == name
    }
    package var password: String? { layout.passwordRange.map { String(decoding: octets[$0], as: UTF8.self) } }
    /// Without brackets; empty for other schemes than `sip` and `sips`.
    package var host: String { String(decoding: octets[layout.hostPort.hostRange], as: UTF8.self) }
    package var hostOctets: ArraySlice<UInt8> { octets[layout.hostPort.hostRange] }
    package var port: UInt16? { layout.hostPort.port }
    /// As written: `;a=b;lr`, or empty.
    package var parameters: String { String(decoding: octets[layout.parameterRange], as: UTF8.self) }
    /// What follows `?`, as written; nil without one.
    package var headers: String? { layout.headerRange.map { String(decoding: octets[$0], as: UTF8.self) } }

    /// The value of a URI parameter; empty for one without a value (`lr`), nil when it is not there.
    package func parameter(_ name: String) -> String? { Parameters.value(name, in: octets, layout.parameterRange) }

    /// Where to send when the host is an IP literal; the default port is 5060, for TLS 5061.
    package var socketAddress: SocketAddress? {
        guard scheme == .sip || scheme == .sips, let ip = IPAddress(ascii: hostOctets) else { return nil }
        return SocketAddress(ip: ip, port: port ?? (transport ?? .udp).defaultPort)
    }

    /// What the URI asks for (RFC 3261 §19.1.2); nil when it leaves that open, or names one that we do not speak.
    package var transport: Transport? {
        let parameter = parameter("transport").flatMap { Transport(rawValue: $0.lowercased()) }
        // TCP with `sips` is TLS over TCP (§26.2.2).
        return scheme == .sips ? .tls : parameter
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == Octet.percent, index + 2 < text.endIndex,
                let high = Octet.hexValue(text[index + 1]), let low = Octet.hexValue(text[index + 2])
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }
}

/// Where the parts of a URI stand.
struct URILayout: Sendable {
    var scheme = SIPURI.Scheme.other
    @Compact var range = 0..<0
    @CompactOptional var userRange: Range<Int>? = nil
    @CompactOptional var passwordRange: Range<Int>? = nil
    var hostPort = HostPort()
    @Compact var parameterRange = 0..<0
    @CompactOptional var headerRange: Range<Int>? = nil

    init() {}

    init?(_ octets: Span<UInt8>, _ range: Range<Int>) {
        guard read(octets, range) else { return nil }
    }

    /// Reads in place of nothing; false when it is no URI, and the layout is of no use.
    mutating func read(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        self.range = range
        parameterRange = range.upperBound..<range.upperBound
        guard Self.hasOnlyURIOctets(octets, range) else { return false }
        if range.count > 4, Self.usualScheme.begins(octets, at: range.lowerBound) {
            scheme = .sip
            return readSIP(octets, range.lowerBound + 4..<range.upperBound)
        }
        guard !range.isEmpty, Octet.isLetter(octets[range.lowerBound]) else { return false }
        var colon = range.lowerBound
        while colon < range.upperBound, Self.isScheme(octets[colon]) { colon += 1 }
        guard colon + 1 < range.upperBound, octets[colon] == Octet.colon else { return false }
        let schemeRange = range.lowerBound..<colon
        let rest = colon + 1..<range.upperBound
        if octets.equals(schemeRange, ignoringCase: "sips") {
            scheme = .sips
            return readSIP(octets, rest)
        }
        guard octets.equals(schemeRange, ignoringCase: "tel") else { return true }
        scheme = .tel
        let numberEnd = octets.firstIndex(of: Octet.semicolon, in: rest) ?? rest.upperBound
        userRange = rest.lowerBound..<numberEnd
        parameterRange = numberEnd..<rest.upperBound
        return true
    }

    /// `[user[:password]@]host[:port];parameters?headers`
    private mutating func readSIP(_ octets: Span<UInt8>, _ rest: Range<Int>) -> Bool {
        var hostStart = rest.lowerBound
        // An `@` may stand nowhere else unescaped, while `;` and `?` may stand in the user (RFC 4475 §3.1.1.9).
        if let at = octets.firstIndex(of: Octet.at, in: rest) {
            let userEnd = octets.firstIndex(of: Octet.colon, in: rest.lowerBound..<at) ?? at
            userRange = rest.lowerBound..<userEnd
            if userEnd < at { passwordRange = userEnd + 1..<at }
            hostStart = at + 1
        }
        guard let hostPort = HostPort(octets, from: hostStart, to: rest.upperBound, allowsWhiteSpace: false) else {
            return false
        }
        self.hostPort = hostPort
        if hostPort.end == rest.upperBound {
            parameterRange = rest.upperBound..<rest.upperBound
            return true
        }
        let question = octets.firstIndex(of: Octet.question, in: hostPort.end..<rest.upperBound)
        parameterRange = hostPort.end..<(question ?? rest.upperBound)
        if let question { headerRange = question + 1..<rest.upperBound }
        var scanner = ParameterScanner(parameterRange)
        while scanner.next(octets) != nil {}
        return !scanner.isMalformed
    }

    private static var usualScheme: Keyword { "sip:" }

    private static func isScheme(_ octet: UInt8) -> Bool {
        Octet.isLetter(octet) || Octet.isDigit(octet) || octet == 0x2b || octet == 0x2d || octet == 0x2e
    }

    /// Liberal about the user (`#` is dialled, UTF-8 is seen) but never white space, controls, quotes or angle
    /// brackets: these would break out of the place the URI is written to.
    private static func hasOnlyURIOctets(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        octets.firstIndex(in: range) {
            $0.below(Octet.space + 1) .| $0.equal(Octet.quote) .| $0.equal(Octet.less) .| $0.equal(Octet.greater)
                .| $0.equal(Octet.delete)
        } == range.upperBound
    }
}
