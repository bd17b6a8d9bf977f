import Core
import Foundation
import Testing

@testable import ControlProtocol

@Suite("Metrics")
struct MetricsTests {
    @Test("the exposition is as in the golden file: help and type for every metric, labels quoted, histograms added up")
    func golden() throws {
        let text = Samples.metrics.prometheusText
        // The counters, one alike the other, come last.
        let end = try #require(text.range(of: "# HELP \(Counter.rtpPacketsReceived.metricName)")).lowerBound
        try expectGolden(String(text[..<end]), "metrics.txt")
        #expect(text[end...].contains("\nrelayd_rtp_packets_received_total 1965230983\n"))
    }

    @Test("names, units and help are as Prometheus wants them, and every name is there once")
    func names() {
        var seen: Set<String> = []
        for family in MetricFamily.all {
            for name in family.seriesNames { #expect(seen.insert(name).inserted, "\(name) is there twice") }
            #expect(family.name.hasPrefix("relayd_"))
            #expect(family.name.utf8.allSatisfy { $0 == UInt8(ascii: "_") || (0x61...0x7a).contains($0) }, "\(family.name)")
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            #expect(family.help.hasSuffix("."), "\(family.name): \(family.help)")
        }
    }

    @Test("every counter is a metric")
    func counters() {
        let names = Set(MetricFamily.all.map(\.name))
        for counter in Counter.allCases { #expect(names.contains(counter.metricName)) }
    }

    @Test("docs/metrics.md is up to date: `make docs` writes it")
    func reference() throws {
        try expectPage(MetricFamily.referenceMarkdown(), "metrics.md")
    }

    @Test("every metric and label that the dashboard names exists, and it is one Grafana can import")
    func dashboard() throws {
        let file = repository.appendingPathComponent("docs/grafana/relayd.json")
        let dashboard = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        #expect(dashboard["title"] as? String == "relayd")
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        let expressions = panels.flatMap { ($0["targets"] as? [[String: Any]] ?? []).compactMap { $0["expr"] as? String } }
        #expect(expressions.count >= panels.count)
        var labelsByName: [String: Set<String>] = [:]
        for family in MetricFamily.all {
            for name in family.seriesNames {
                // A scrape adds job and instance, a bucket has its bound.
                labelsByName[name] = Set(family.labels + ["job", "instance"] + (family.kind == .histogram ? ["le"] : []))
            }
        }
        for expression in expressions {
            let series = expression.matches(of: /(relayd_[a-z0-9_]+)\{([^}]*)\}/)
            #expect(!series.isEmpty, "\(expression)")
            for match in series {
                let labels = labelsByName[String(match.1)]
                #expect(labels != nil, "there is no metric \(match.1)")
                for label in match.2.matches(of: /([a-z_]+)(=~|!~|!=|=)"/) {
                    #expect(labels?.contains(String(label.1)) ?? true, "\(match.1) has no label \(label.1)")
                }
            }
        }
    }

    @Test("a histogram counts a value in the range that ends at or above it, and keeps out what is no number")
    func histogram() {
        var histogram = Histogram(bounds: [1, 2])
        for value in [0.5, 1, 1.5, 2.5, .nan, .infinity] { histogram.add(value) }
        #expect(histogram.counts == [2, 1, 1])
        #expect(histogram.count == 4)
        #expect(histogram.sum == 5.5)
        #expect(histogram.mean == 1.375)
    }
}
