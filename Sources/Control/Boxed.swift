/// A large value that is seldom there, kept out of line so that its absence costs one word.
final class Boxed<Value: Sendable>: Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
