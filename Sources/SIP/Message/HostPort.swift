import Core

/// `host [":" port]` of URIs and Via (RFC 3261 §25.1).
struct HostPort: Sendable {
    /// An IPv6 reference is here without its brackets.
    @Compact var hostRange = 0..<0
    var isIPv6 = false
    var port: UInt16?
    /// The index after the last octet that was read.
    var end: Int { Int(endIndex) }
    private var endIndex: UInt16 = 0

    init() {}

    /// Reads from `start`; nil when no host stands there, the port is not 1–65535, or brackets hold no IPv6 address.
    ///
    /// - Parameter allowsWhiteSpace: around the colon, as in Via.
    init?(_ octets: Span<UInt8>, from start: Int, to limit: Int, allowsWhiteSpace: Bool) {
        guard start < limit else { return nil }
        if octets[start] == Octet.openBracket {
            guard let close = octets.firstIndex(of: Octet.closeBracket, in: start..<limit) else { return nil }
            hostRange = start + 1..<close
            isIPv6 = true
            guard let ip = IPAddress(ascii: octets.extracting(hostRange)), ip.family == .ipv6 else { return nil }
            endIndex = UInt16(close + 1)
        } else {
            let index = octets.firstIndex(in: start..<limit) { .!Self.hosts($0) }
            guard index > start else { return nil }
            hostRange = start..<index
            endIndex = UInt16(index)
        }
        var colon = end
        if allowsWhiteSpace { colon = octets.skippingWhiteSpace(from: colon, to: limit) }
        guard colon < limit, octets[colon] == Octet.colon else { return }
        let digitsStart = allowsWhiteSpace ? octets.skippingWhiteSpace(from: colon + 1, to: limit) : colon + 1
        let digits = octets.digits(from: digitsStart, to: limit, limit: 65535)
        guard digits.value > 0, digits.value <= 65535 else { return nil }
        port = UInt16(digits.value)
        endIndex = UInt16(digits.end)
    }

    /// Letters, digits, hyphen and the point behind it; the underscore is not in the grammar but in many networks' names.
    @inline(__always)
    private static func hosts(_ octets: OctetVector) -> OctetMarks {
        octets.letters .| octets.digits .| octets.within(Octet.hyphen, count: 2) .| octets.equal(0x5f)
    }
}
