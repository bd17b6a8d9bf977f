/// How often values fell into fixed ranges. Adding costs a search of some twenty numbers and no memory.
package struct Histogram: Codable, Equatable, Sendable {
    /// The upper ends of the ranges, rising; one more range, without end, follows them.
    package let bounds: [Double]
    /// One a range, not added up: the last is that beyond all bounds.
    package private(set) var counts: [UInt64]
    package private(set) var sum = 0.0

    package init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds rise")
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// A value that is no number is not counted.
    package mutating func add(_ value: Double) {
        guard value.isFinite else { return }
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }

    package var count: UInt64 { counts.reduce(0, +) }

    /// Nil while there is nothing.
    package var mean: Double? { count == 0 ? nil : sum / Double(count) }
}
