/// A large value out of line: where it is seldom there its absence costs one word, and where many share it each has one
/// reference instead of a copy.
@dynamicMemberLookup
package final class Boxed<Value: Sendable>: Sendable {
    package let value: Value

    @inlinable
    package init(_ value: Value) { self.value = value }

    /// Inlined everywhere: then the key path is gone, which else costs a hundred times what it leads to.
    @inlinable @inline(__always)
    package subscript<Member>(dynamicMember member: KeyPath<Value, Member>) -> Member { value[keyPath: member] }
}
