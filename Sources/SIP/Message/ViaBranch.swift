package import Core

/// The branch of a request of ours: the magic cookie and octets drawn at random behind it, which name its transaction (RFC 3261
/// §8.1.1.7).
///
/// Nobody else chooses it, so it serves as its own hash in a table of requests that were sent.
package struct ViaBranch: Hashable, Sendable {
    /// Behind the cookie, the first one lowest; zeros behind the last one.
    private let octets: UInt128

    private static let longest = 16
    private static var cookie: Keyword { "z9hG4bK" }
    private static let cookieCount = 7

    package init(random: inout SeededRandom) {
        let start = random.tokenWord()
        octets = UInt128(random.tokenWord()) << 64 | UInt128(start)
    }

    /// Nil when it is none of ours.
    package init?(_ branch: ArraySlice<UInt8>) { self.init(branch.span, 0..<branch.count) }

    package init?(_ branch: String) { self.init(branch.utf8.span, 0..<branch.utf8.count) }

    init?(_ octets: Span<UInt8>, _ range: Range<Int>) {
        let count = range.count - Self.cookieCount
        guard count > 0, count <= Self.longest, Self.cookie.begins(octets, at: range.lowerBound) else { return nil }
        self.octets = octets.vector(at: range.lowerBound + Self.cookieCount).number(ofFirst: count)
    }

    /// Octets that `append(to:)` writes.
    var count: Int { Self.cookieCount + (128 - octets.leadingZeroBitCount + 7) / 8 }

    func append(to output: inout OutputSpan<UInt8>) {
        output.append("z9hG4bK")
        var rest = octets
        while rest != 0 {
            output.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    package func _rawHashValue(seed: Int) -> Int {
        let word = UInt64(truncatingIfNeeded: octets) ^ UInt64(truncatingIfNeeded: octets >> 64) ^ UInt64(truncatingIfNeeded: seed)
        let product = word &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: product ^ product >> 32)
    }
}

extension ViaBranch: CustomStringConvertible {
    package var description: String {
        String(decoding: [UInt8](atMost: count) { append(to: &$0) }, as: UTF8.self)
    }
}

extension ViaBranch: ExpressibleByStringLiteral {
    /// - Precondition: it begins with the cookie, and has up to sixteen octets behind it.
    package init(stringLiteral branch: String) {
        guard let branch = Self(branch) else { preconditionFailure("\(branch) is no branch of ours") }
        self = branch
    }
}
