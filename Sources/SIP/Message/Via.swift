package import Core

/// One Via value (RFC 3261 §20.42, RFC 3581).
package struct Via: Sendable {
    package enum Transport: Hashable, Sendable { case udp, tcp, tls, ws, wss, sctp, other }

    private let octets: [UInt8]
    let layout: ViaLayout

    init(octets: [UInt8], layout: ViaLayout) {
        self.octets = octets
        self.layout = layout
    }

    /// Reads one value, as `listValues(.via)` gives them; nil when any part of it is malformed.
    package init?(_ octets: some Collection<UInt8>) {
        let octets = Array(octets)
        guard octets.count <= OctetRange.maximumOctets,
            let layout = ViaLayout(octets.span, octets.span.trimmingWhiteSpace(0..<octets.count)), layout.isWellFormed
        else { return nil }
        self.init(octets: octets, layout: layout)
    }

    package init?(_ text: String) { self.init(text.utf8) }

    package var transport: Transport { layout.transport }
    package var transportText: String { String(decoding: octets[layout.transportRange], as: UTF8.self) }
    /// Without brackets.
    package var host: String { String(decoding: octets[layout.hostPort.hostRange], as: UTF8.self) }
    package var hostOctets: ArraySlice<UInt8> { octets[layout.hostPort.hostRange] }
    /// Nil when sent-by is a host name.
    package var hostAddress: IPAddress? { IPAddress(ascii: octets[layout.hostPort.hostRange]) }
    package var port: UInt16? { layout.hostPort.port }
    /// Host and port as written, but for what stands around an IPv6 address.
    var sentByOctets: ArraySlice<UInt8> { octets[layout.hostPort.hostRange.lowerBound..<layout.hostPort.end] }
    /// Host in lower case, brackets around IPv6, and the port when one is written: two that match are equal.
    package var sentBy: String {
        let host = host.lowercased()
        return (layout.hostPort.isIPv6 ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "")
    }
    package var branch: ArraySlice<UInt8>? { layout.branchRange.map { octets[$0] } }
    package var branchText: String? { branch.map { String(decoding: $0, as: UTF8.self) } }
    /// The branch identifies its transaction alone (RFC 3261 §17.2.3): it has the magic cookie and something after it.
    package var hasCookie: Bool {
        guard let branch else { return false }
        return branch.count > 7 && Octet.equal(branch.prefix(7), "z9hG4bK")
    }
    /// `rport`, with or without a value.
    package var hasRport: Bool { layout.hasRport }
    /// The value of `rport`, which the receiver of the request has filled in.
    package var rport: UInt16? { layout.rport }
    /// `received` as written, but without brackets around IPv6 (RFC 5118 §4.5).
    package var receivedText: String? { layout.receivedRange.map { String(decoding: octets[$0], as: UTF8.self) } }
    package var received: IPAddress? { layout.receivedRange.flatMap { IPAddress(ascii: octets[$0]) } }

    /// The value of a parameter; empty for one without a value, nil when it is not there.
    package func parameter(_ name: String) -> String? { Parameters.value(name, in: octets, layout.parameterRange) }
}

/// Where the parts of a Via value stand.
struct ViaLayout: Sendable {
    /// Sent-protocol and sent-by, which precede the parameters.
    @Compact var headRange = 0..<0
    var transport = Via.Transport.other
    @Compact var transportRange = 0..<0
    var hostPort = HostPort()
    @Compact var parameterRange = 0..<0
    @CompactOptional var branchRange: Range<Int>? = nil
    @CompactOptional var receivedRange: Range<Int>? = nil
    var hasReceived = false
    var hasRport = false
    var rport: UInt16?
    /// `rport` with its value; nil where there is none or more than one.
    @CompactOptional var rportParameter: Range<Int>? = nil
    /// Well-formed, without `received`, and with one `rport` at most.
    var isUsual: Bool { isWellFormed && !hasReceived && hasRport == (rportParameter != nil) }
    /// False when version or parameters are broken: enough is known to answer, nothing to go on with.
    var isWellFormed = true

    init() {}

    init?(_ octets: Span<UInt8>, _ range: Range<Int>) {
        guard read(octets, range) else { return nil }
    }

    /// Reads in place of nothing; false when protocol or sent-by cannot be read, and the layout is of no use.
    mutating func read(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        let end = range.upperBound
        guard let transportStart = readProtocol(octets, range) else { return false }
        let transportEnd = octets.endOfToken(from: transportStart, to: end)
        transportRange = transportStart..<transportEnd
        transport = Self.transport(octets, transportRange)
        let hostStart = octets.skippingWhiteSpace(from: transportEnd, to: end)
        guard !transportRange.isEmpty, hostStart > transportEnd,
            let hostPort = HostPort(octets, from: hostStart, to: end, allowsWhiteSpace: true)
        else { return false }
        self.hostPort = hostPort
        headRange = range.lowerBound..<hostPort.end
        parameterRange = hostPort.end..<end
        readParameters(octets)
        return true
    }

    /// `SIP/2.0/`, with white space where anyone wants it; returns where the transport begins.
    private mutating func readProtocol(_ octets: Span<UInt8>, _ range: Range<Int>) -> Int? {
        let end = range.upperBound
        if range.count > 8, Self.usualProtocol.begins(octets, at: range.lowerBound) {
            return octets.skippingWhiteSpace(from: range.lowerBound + 8, to: end)
        }
        guard let name = Self.afterSlash(octets, from: range.lowerBound, to: end), octets.equals(name.token, ignoringCase: "SIP"),
            let version = Self.afterSlash(octets, from: name.next, to: end)
        else { return nil }
        // Another version is answered 505 (RFC 4475 §3.1.2.16), so it must not hide where to answer.
        isWellFormed = octets.equals(version.token, ignoringCase: "2.0")
        return version.next
    }

    private static var usualProtocol: Keyword { "SIP/2.0/" }

    private mutating func readParameters(_ octets: Span<UInt8>) {
        var scanner = ParameterScanner(parameterRange)
        while let parameter = scanner.next(octets) {
            let name = parameter.nameRange
            if octets.equals(name, ignoringCase: "branch") {
                if branchRange == nil, let value = parameter.valueRange, !value.isEmpty { branchRange = value }
            } else if octets.equals(name, ignoringCase: "rport") {
                rportParameter = hasRport ? nil : name.lowerBound..<(parameter.valueRange?.upperBound ?? name.upperBound)
                hasRport = true
                if let value = parameter.valueRange { rport = octets.decimal(value, limit: 65535).map(UInt16.init) }
            } else if octets.equals(name, ignoringCase: "received") {
                hasReceived = true
                receivedRange = parameter.valueRange.map { Self.withoutBrackets(octets, $0) }
            }
        }
        if scanner.isMalformed { isWellFormed = false }
    }

    /// A token before a slash, and the start of what follows the slash; white space around both is skipped.
    private static func afterSlash(
        _ octets: Span<UInt8>, from start: Int, to end: Int
    ) -> (token: Range<Int>, next: Int)? {
        let tokenEnd = octets.endOfToken(from: start, to: end)
        let slash = octets.skippingWhiteSpace(from: tokenEnd, to: end)
        guard slash < end, octets[slash] == Octet.slash else { return nil }
        return (start..<tokenEnd, octets.skippingWhiteSpace(from: slash + 1, to: end))
    }

    private static func transport(_ octets: Span<UInt8>, _ range: Range<Int>) -> Via.Transport {
        if octets.equals(range, ignoringCase: "UDP") { return .udp }
        if octets.equals(range, ignoringCase: "TCP") { return .tcp }
        if octets.equals(range, ignoringCase: "TLS") { return .tls }
        if octets.equals(range, ignoringCase: "WS") { return .ws }
        if octets.equals(range, ignoringCase: "WSS") { return .wss }
        return octets.equals(range, ignoringCase: "SCTP") ? .sctp : .other
    }

    private static func withoutBrackets(_ octets: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        guard range.count >= 2, octets[range.lowerBound] == Octet.openBracket,
            octets[range.upperBound - 1] == Octet.closeBracket
        else { return range }
        return range.lowerBound + 1..<range.upperBound - 1
    }
}
