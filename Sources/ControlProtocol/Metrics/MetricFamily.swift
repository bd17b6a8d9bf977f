/// A metric with its help text, and how its values come out of a snapshot.
///
/// The exposition, docs/metrics.md and the check of the dashboard are all made from `all`.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable { case counter, gauge, histogram }

    /// With its unit, and `_total` for a counter.
    package let name: String
    package let kind: Kind
    package let help: String
    /// The names of its labels; each has few values: a trunk, a cause, a worker.
    package let labels: [String]
    let points: @Sendable (MetricsSnapshot) -> [Point]

    struct Point {
        /// Values of `labels`, in their order.
        let labels: [String]
        let value: Value
    }

    enum Value {
        case count(UInt64)
        case number(Double)
        case histogram(Histogram)
    }

    private init(
        _ name: String, _ kind: Kind, _ help: String, labels: [String] = [],
        points: @escaping @Sendable (MetricsSnapshot) -> [Point]
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.points = points
    }

    static func counter(
        _ name: String, _ help: String, _ value: @escaping @Sendable (MetricsSnapshot) -> UInt64
    ) -> MetricFamily {
        MetricFamily(name, .counter, help) { [Point(labels: [], value: .count(value($0)))] }
    }

    static func counters(
        _ name: String, _ help: String, by labels: String...,
        values: @escaping @Sendable (MetricsSnapshot) -> [([String], UInt64)]
    ) -> MetricFamily {
        MetricFamily(name, .counter, help, labels: labels) { values($0).map { Point(labels: $0, value: .count($1)) } }
    }

    /// A counter that need not be whole: seconds.
    static func sums(
        _ name: String, _ help: String, by labels: String...,
        values: @escaping @Sendable (MetricsSnapshot) -> [([String], Double)]
    ) -> MetricFamily {
        MetricFamily(name, .counter, help, labels: labels) { values($0).map { Point(labels: $0, value: .number($1)) } }
    }

    static func gauge(
        _ name: String, _ help: String, _ value: @escaping @Sendable (MetricsSnapshot) -> Double
    ) -> MetricFamily {
        MetricFamily(name, .gauge, help) { [Point(labels: [], value: .number(value($0)))] }
    }

    static func gauges(
        _ name: String, _ help: String, by labels: String...,
        values: @escaping @Sendable (MetricsSnapshot) -> [([String], Double)]
    ) -> MetricFamily {
        MetricFamily(name, .gauge, help, labels: labels) { values($0).map { Point(labels: $0, value: .number($1)) } }
    }

    static func histograms(
        _ name: String, _ help: String, by labels: String...,
        values: @escaping @Sendable (MetricsSnapshot) -> [([String], Histogram)]
    ) -> MetricFamily {
        MetricFamily(name, .histogram, help, labels: labels) { values($0).map { Point(labels: $0, value: .histogram($1)) } }
    }

    /// The names a query can use: those of a histogram have endings.
    package var seriesNames: [String] {
        kind == .histogram ? ["\(name)_bucket", "\(name)_sum", "\(name)_count"] : [name]
    }
}
