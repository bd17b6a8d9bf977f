/// A number that is given out once and never comes from outside: consecutive ones are as good as their hashes.
///
/// What is looked up by such a number is looked up several times a message. The standard hash, which defends a table against
/// keys that somebody chose, would be most of the work.
public protocol SerialNumber: Hashable, Sendable {
    var rawValue: UInt64 { get }
}

extension SerialNumber {
    @inlinable
    public static func == (left: Self, right: Self) -> Bool { left.rawValue == right.rawValue }

    @inlinable
    public func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }

    /// What dictionaries and sets ask for: a requirement of Hashable that the standard library calls and does not document. Were
    /// it to go, `hash(into:)` would serve, more slowly. Multiplied, so that numbers of one kind that are some power of two apart do not share
    /// their low bits.
    @inlinable
    public func _rawHashValue(seed: Int) -> Int {
        Int(truncatingIfNeeded: (rawValue ^ UInt64(truncatingIfNeeded: seed)) &* 0x9e37_79b9_7f4a_7c15)
    }
}
