package import Configuration

/// A trunk as routes, calls and branches refer to it. A reload makes new ones; calls keep what they began with.
@dynamicMemberLookup
package final class SharedTrunk: Sendable {
    package let value: Trunk

    package init(_ trunk: Trunk) { value = trunk }

    /// Of this module alone: where the compiler does not see the key path and what it leads to together, following it takes a
    /// thousand instructions.
    package subscript<Member>(dynamicMember member: KeyPath<Trunk, Member>) -> Member { value[keyPath: member] }
}
