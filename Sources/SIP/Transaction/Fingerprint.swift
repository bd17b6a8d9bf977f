/// 128 bits of a hash with the process's own secret, in place of the octets: nobody can make two that are alike, and two are by
/// chance once in more messages than will ever be sent.
struct Fingerprint: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    init(_ hasher: Hasher) {
        var other = hasher
        other.combine(1 as UInt8)
        high = UInt64(truncatingIfNeeded: other.finalize())
        low = UInt64(truncatingIfNeeded: hasher.finalize())
    }

    /// For the table it is a key of.
    var hash: Int { Int(truncatingIfNeeded: low) }
}

extension Hasher {
    /// The octets and how many, so that what follows cannot be taken for a part of them.
    mutating func combine(octets: ArraySlice<UInt8>) {
        // SAFETY: the octets are only read, and inside this closure.
        unsafe octets.withUnsafeBytes { unsafe combine(bytes: $0) }
        combine(octets.count)
    }
}
