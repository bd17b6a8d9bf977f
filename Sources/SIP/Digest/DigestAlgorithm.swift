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
    package init?(hex: some Collection<UInt8>) {
        switch hex.count {
        case DigestAlgorithm.md5.hexCount: algorithm = .md5
        case DigestAlgorithm.sha256.hexCount: algorithm = .sha256
        default: return nil
        }
        var octets = InlineArray<32, UInt8>(repeating: 0)
        var position = 0
        for digit in hex {
            guard let value = Octet.hexValue(digit) else { return nil }
            octets[position / 2] = octets[position / 2] << 4 | value
            position += 1
        }
        self.octets = octets
    }

    /// The lower-case digits; what is behind the algorithm's length is not to be read.
    var hex: InlineArray<64, UInt8> {
        var digits = InlineArray<64, UInt8>(repeating: 0)
        for index in 0..<algorithm.octetCount {
            digits[2 * index] = Self.digit(octets[index] >> 4)
            digits[2 * index + 1] = Self.digit(octets[index] & 15)
        }
        return digits
    }

    package var hexText: String {
        let digits = hex
        return String(decoding: (0..<algorithm.hexCount).map { digits[$0] }, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? Octet.zero + value : 0x61 + value - 10 }

    package static func == (left: DigestValue, right: DigestValue) -> Bool {
        left.algorithm == right.algorithm && left.octets.indices.allSatisfy { left.octets[$0] == right.octets[$0] }
    }
}
