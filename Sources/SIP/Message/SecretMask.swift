/// A message without what must not be passed on: digest responses and nonces (RFC 7616), other credentials, and keys in SDP
/// (RFC 4568 `a=crypto`, RFC 8866 `k=`, RFC 8839 `a=ice-pwd`). Each octet of it becomes an asterisk, so lengths stay true.
///
/// Works on octets, line by line: a message too broken to be parsed is masked too.
package enum SecretMask {
    private static let headers = [
        "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info",
        "proxy-authentication-info",
    ]
    private static let secretParameters = ["response", "nonce", "cnonce", "rspauth", "nextnonce", "opaque", "auts"]
    private static let attributes = ["a=crypto:", "a=key-mgmt:", "a=ice-pwd:", "k="]

    package static func masked(_ message: [UInt8]) -> [UInt8] {
        var octets = message
        var start = 0
        var continuesSecretHeader = false
        while start < octets.count {
            let end = octets[start...].firstIndex(of: Octet.lineFeed) ?? octets.count
            // A folded line goes on with the header above it (RFC 3261 §7.3.1).
            let isFolded = octets[start] == Octet.space || octets[start] == Octet.tab
            if !isFolded { continuesSecretHeader = isSecretHeader(octets[start..<end]) }
            if continuesSecretHeader {
                maskParameters(&octets, start..<end, isFolded: isFolded)
            } else if let attribute = attributes.first(where: { starts(octets[start..<end], with: $0) }) {
                maskAttribute(&octets, start + attribute.utf8.count..<end, attribute)
            }
            start = end + 1
        }
        return octets
    }

    private static func isSecretHeader(_ line: ArraySlice<UInt8>) -> Bool {
        guard let colon = line.firstIndex(of: Octet.colon) else { return false }
        var name = line[..<colon]
        while let last = name.last, Octet.isWhiteSpace(last) { name.removeLast() }
        return headers.contains { Octet.equal(name, $0) }
    }

    private static func starts(_ line: ArraySlice<UInt8>, with text: String) -> Bool {
        Octet.equal(line.prefix(text.utf8.count), text)
    }

    /// `Digest username="alice", response="…"`: the values that are secret. Another scheme: all behind it.
    private static func maskParameters(_ octets: inout [UInt8], _ range: Range<Int>, isFolded: Bool) {
        var index = range.lowerBound
        if !isFolded, let colon = octets[range].firstIndex(of: Octet.colon) {
            index = octets.span.skippingWhiteSpace(from: colon + 1, to: range.upperBound)
            let end = octets.span.endOfToken(from: index, to: range.upperBound)
            let isParameter = end < range.upperBound && octets[end] == Octet.equals
            if !isParameter, !Octet.equal(octets[index..<end], "digest") { return fill(&octets, end..<range.upperBound) }
            if !isParameter { index = end }
        }
        while index < range.upperBound {
            let name = index..<octets.span.endOfToken(from: index, to: range.upperBound)
            guard !name.isEmpty else {
                index += 1
                continue
            }
            var value = octets.span.skippingWhiteSpace(from: name.upperBound, to: range.upperBound)
            guard value < range.upperBound, octets[value] == Octet.equals else {
                index = name.upperBound
                continue
            }
            value = octets.span.skippingWhiteSpace(from: value + 1, to: range.upperBound)
            let isQuoted = value < range.upperBound && octets[value] == Octet.quote
            let end = isQuoted
                ? octets.span.endOfQuotedString(from: value, to: range.upperBound) ?? range.upperBound
                : octets.span.endOfToken(from: value, to: range.upperBound)
            if secretParameters.contains(where: { Octet.equal(octets[name], $0) }) {
                fill(&octets, isQuoted ? value + 1..<max(value + 1, end - 1) : value..<end)
            }
            index = max(end, value)
        }
    }

    /// In `a=crypto:1 SUITE inline:KEY|…` the key alone; all of it in the others.
    private static func maskAttribute(_ octets: inout [UInt8], _ range: Range<Int>, _ attribute: String) {
        guard attribute == "a=crypto:" else { return fill(&octets, range) }
        let inline = Array("inline:".utf8)
        var index = range.lowerBound
        while index + inline.count <= range.upperBound {
            guard octets[index..<index + inline.count].elementsEqual(inline) else {
                index += 1
                continue
            }
            let start = index + inline.count
            let end = octets[start..<range.upperBound].firstIndex { $0 == 0x7c || $0 == Octet.space || $0 == Octet.semicolon }
                ?? range.upperBound
            fill(&octets, start..<end)
            index = end
        }
    }

    private static func fill(_ octets: inout [UInt8], _ range: Range<Int>) {
        for index in range where !Octet.isWhiteSpace(octets[index]) { octets[index] = Octet.asterisk }
    }
}
