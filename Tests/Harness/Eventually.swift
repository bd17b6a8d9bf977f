/// A wait that ran into its bound.
package struct TimeLimitExceeded: Error, CustomStringConvertible {
    package let what: String
    package let limit: Duration

    package var description: String { "not within \(limit): \(what)" }
}

/// Asks `probe` every `interval` until it has a value. The bound is far beyond what is expected: it ends a broken run,
/// it times nothing.
///
/// - Parameter what: put into words when the bound was met, so that it can say how things stood then.
/// - Throws: `TimeLimitExceeded`, or what `probe` throws.
@discardableResult
package func eventually<Value: Sendable>(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(30), every interval: Duration = .milliseconds(10),
    _ probe: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await probe() { return value }
        guard ContinuousClock.now < deadline else { throw TimeLimitExceeded(what: what(), limit: limit) }
        try await Task.sleep(for: interval)
    }
}

/// The same until `condition` is true.
package func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(30), every interval: Duration = .milliseconds(10),
    _ condition: () async throws -> Bool
) async throws {
    try await eventually(what(), within: limit, every: interval) { () async throws -> Bool? in try await condition() ? true : nil }
}
