/// A large value out of line: where it is seldom there its absence costs one word, and where many share it each has one
/// reference instead of a copy.
package final class Boxed<Value: Sendable>: Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}
