internal import CDigest

/// A running digest of OpenSSL. Belongs to one thread, as everything does that holds one.
@safe
final class DigestHash {
    let algorithm: DigestAlgorithm
    private let context: OpaquePointer

    /// Nil when this machine's OpenSSL does not have the algorithm: MD5 is missing in FIPS mode.
    init?(_ algorithm: DigestAlgorithm) {
        guard let context = unsafe cdigest_hash_open(Int32(algorithm == .md5 ? CDIGEST_MD5 : CDIGEST_SHA256)) else { return nil }
        self.algorithm = algorithm
        unsafe self.context = context
    }

    deinit { unsafe cdigest_hash_close(context) }

    func begin() { unsafe cdigest_hash_begin(context) }

    func add(_ octets: Span<UInt8>) {
        // SAFETY: read during the call only.
        unsafe octets.withUnsafeBytes { unsafe cdigest_hash_add(context, $0.baseAddress, $0.count) }
    }

    func add(_ octets: Span<UInt8>, _ range: Range<Int>) { add(octets.extracting(range)) }

    func add(_ octet: UInt8) {
        let one: InlineArray<1, UInt8> = [octet]
        add(one.span)
    }

    /// The value as it is meant: without the escapes of its quoted form (RFC 7616 §3.4, `unq`).
    func add(_ octets: Span<UInt8>, _ text: DigestText) {
        guard text.hasEscapes else { return add(octets, text.range) }
        var index = text.range.lowerBound
        while index < text.range.upperBound {
            if octets[index] == Octet.backslash, index + 1 < text.range.upperBound { index += 1 }
            add(octets[index])
            index += 1
        }
    }

    func addHex(_ value: DigestValue) {
        let digits = value.hex
        add(digits.span.extracting(0..<value.algorithm.hexCount))
    }

    func finish() -> DigestValue {
        var output = InlineArray<32, UInt8>(repeating: 0)
        var span = output.mutableSpan
        // SAFETY: room for the longest digest.
        unsafe span.withUnsafeMutableBufferPointer { unsafe cdigest_hash_finish(context, $0.baseAddress!) }
        return DigestValue(algorithm: algorithm, octets: output)
    }
}

/// HMAC-SHA-256 with one key.
@safe
final class MessageAuthenticator {
    private let context: OpaquePointer

    /// - Parameter key: 32 octets that nobody else knows.
    init(key: [UInt8]) {
        precondition(key.count >= 16, "a key that can be guessed is none")
        guard let context = unsafe cdigest_mac_open(key, key.count) else { preconditionFailure("OpenSSL has no HMAC-SHA-256") }
        unsafe self.context = context
    }

    deinit { unsafe cdigest_mac_close(context) }

    func authenticate(_ octets: Span<UInt8>) -> InlineArray<32, UInt8> {
        var output = InlineArray<32, UInt8>(repeating: 0)
        var span = output.mutableSpan
        // SAFETY: room for 32 octets; the input is read during the call only.
        unsafe span.withUnsafeMutableBufferPointer { output in
            unsafe octets.withUnsafeBytes { unsafe cdigest_mac_compute(context, $0.baseAddress, $0.count, output.baseAddress!) }
        }
        return output
    }
}

extension DigestValue {
    /// In a time that does not tell where the first difference is.
    func isEqualInConstantTime(to other: DigestValue) -> Bool {
        guard algorithm == other.algorithm else { return false }
        return unsafe octets.span.withUnsafeBytes { left in
            unsafe other.octets.span.withUnsafeBytes { right in
                unsafe cdigest_equal(left.baseAddress!, right.baseAddress!, left.count) == 1
            }
        }
    }
}
