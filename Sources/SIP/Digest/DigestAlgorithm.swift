/// The digest algorithms of SIP that relayd speaks (RFC 8760 §2.2). Those ending in `-sess` are not among them.
package enum DigestAlgorithm: UInt8, CaseIterable, Sendable {
    case md5, sha256

    /// As `algorithm=` names it.
    package var name: String {
        switch self {
        case .md5: "MD5"
        case .sha256: "SHA-256"
        }
    }

    package var octetCount: Int { self == .md5 ? 16 : 32 }

    /// Of its hexadecimal form, which is what is sent and hashed again.
    package var hexCount: Int { 2 * octetCount }

    init?(_ octets: Span<UInt8>, _ range: Range<Int>) {
        for algorithm in Self.allCases where octets.equals(range, ignoringCaseOf: algorithm.name) {
            self = algorithm
            return
        }
        return nil
    }
}

/// A digest as octets. What is behind the algorithm's length is zero.
package struct DigestValue: Equatable, Sendable {
    package let algorithm: DigestAlgorithm
    let octets: InlineArray<32, UInt8>

    init(algorithm: DigestAlgorithm, octets: InlineArray<32, UInt8>) {
        self.algorithm = algorithm
        self.octets = octets
    }

    /// Reads hexadecimal digits in either case; nil unless there are 32 (MD5) or 64 (SHA-256) of them.
    package init?(hex: [UInt8]) { self.init(hex: hex.span) }

    init?(hex: Span<UInt8>) {
        switch hex.count {
        case DigestAlgorithm.md5.hexCount: algorithm = .md5
        case DigestAlgorithm.sha256.hexCount: algorithm = .sha256
        default: return nil
        }
        var octets = InlineArray<32, UInt8>(repeating: 0)
        for start in stride(from: 0, to: hex.count, by: 16) {
            let digits = hex.vector(at: start)
            let letters = (digits | OctetVector(repeating: 0x20)).within(0x61, count: 6)
            guard (.!(letters .| digits.digits)).first == nil else { return nil }
            let values = (digits & OctetVector(repeating: 15)) &+ OctetVector(repeating: 0).replacing(with: 9, where: letters)
            let pairs = values.evenHalf &<< SIMD8(repeating: 4) | values.oddHalf
            for index in 0..<8 { octets[start / 2 + index] = pairs[index] }
        }
        self.octets = octets
    }

    /// Appends the digits in lower case.
    func appendHex(to text: inout [UInt8]) {
        var words = InlineArray<8, UInt64>(repeating: 0)
        for index in words.indices {
            // Four octets, then the four bits of each digit in an octet of their own.
            var digits = octets.span.word(at: 4 * index).byteSwapped >> 32
            digits = (digits << 16 | digits) & 0x0000_ffff_0000_ffff
            digits = (digits << 8 | digits) & 0x00ff_00ff_00ff_00ff
            digits = (digits << 4 | digits) & 0x0f0f_0f0f_0f0f_0f0f
            // Ten and more are letters: six brings these to the next bit.
            let letters = (digits &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
            words[index] = (digits &+ 0x3030_3030_3030_3030 &+ letters &* 39).bigEndian
        }
        // SAFETY: the octets are only read, and inside this closure.
        unsafe words.span.withUnsafeBytes { unsafe text.append(contentsOf: $0.prefix(algorithm.hexCount)) }
    }

    package var hexText: String {
        var digits: [UInt8] = []
        appendHex(to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }
}
