extension MetricsSnapshot {
    /// The Prometheus text exposition format, version 0.0.4.
    package var prometheusText: String {
        var text = ""
        for family in MetricFamily.all { family.append(to: &text, self) }
        return text
    }

    package static let prometheusContentType = "text/plain; version=0.0.4; charset=utf-8"
}

extension MetricFamily {
    fileprivate func append(to text: inout String, _ snapshot: MetricsSnapshot) {
        text += "# HELP \(name) \(help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n"
        text += "# TYPE \(name) \(kind.rawValue)\n"
        for point in points(snapshot) {
            let pairs = zip(labels, point.labels).map { (name: $0, value: $1) }
            switch point.value {
            case .count(let value): text += "\(name)\(Self.braced(pairs)) \(value)\n"
            case .number(let value): text += "\(name)\(Self.braced(pairs)) \(Self.text(of: value))\n"
            case .histogram(let histogram):
                var total: UInt64 = 0
                for (bound, count) in zip(histogram.bounds + [.infinity], histogram.counts) {
                    total += count
                    text += "\(name)_bucket\(Self.braced(pairs + [("le", Self.text(of: bound))])) \(total)\n"
                }
                text += "\(name)_sum\(Self.braced(pairs)) \(Self.text(of: histogram.sum))\n"
                text += "\(name)_count\(Self.braced(pairs)) \(total)\n"
            }
        }
    }

    private static func braced(_ pairs: [(name: String, value: String)]) -> String {
        guard !pairs.isEmpty else { return "" }
        let items = pairs.map { pair in
            let value = pair.value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return "\(pair.name)=\"\(value)\""
        }
        return "{\(items.joined(separator: ","))}"
    }

    private static func text(of value: Double) -> String {
        if value == .infinity { return "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }
}

extension MetricFamily {
    /// docs/metrics.md.
    package static func referenceMarkdown() -> String {
        var lines = [
            "# Metrics", "",
            "This page is made by `relayd reference --metrics`; do not edit it.", "",
            "relayd serves them in Prometheus' text format at `http://127.0.0.1:8380/metrics` (`http.listen`), and",
            "`relayctl metrics` prints the same. Totals count from the start of the process; those of trunks and calls when a",
            "call attempt ends. A histogram has the series `_bucket`, `_sum` and `_count`. `docs/grafana/relayd.json` is a",
            "dashboard of them for Grafana.", "",
            "| Metric | Type | Labels | Meaning |", "|---|---|---|---|",
        ]
        lines += all.map { family in
            let labels = family.labels.map { "`\($0)`" }.joined(separator: ", ")
            return "| `\(family.name)` | \(family.kind.rawValue) | \(labels) | \(family.help) |"
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
