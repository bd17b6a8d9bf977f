internal import CDigest
import Core

/// Digests of OpenSSL by one algorithm. Belongs to one thread, as everything does that holds one.
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

    /// Memory for what is hashed, used again and again.
    private var text: [UInt8] = []

    /// The digest of what `write` appends.
    func digest(_ write: (inout [UInt8]) -> Void) -> DigestValue {
        var text = text.taken()
        write(&text)
        var output = InlineArray<32, UInt8>(repeating: 0)
        var span = output.mutableSpan
        // SAFETY: room for the longest digest; the text is read during the call only.
        unsafe span.withUnsafeMutableBufferPointer { output in
            unsafe text.span.withUnsafeBytes { unsafe cdigest_hash_compute(context, $0.baseAddress, $0.count, output.baseAddress!) }
        }
        self.text.giveBack(&text)
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
    package static func == (left: DigestValue, right: DigestValue) -> Bool {
        guard left.algorithm == right.algorithm else { return false }
        return unsafe left.octets.span.withUnsafeBytes { ours in
            unsafe right.octets.span.withUnsafeBytes { theirs in
                unsafe cdigest_equal(ours.baseAddress!, theirs.baseAddress!, ours.count) == 1
            }
        }
    }
}
