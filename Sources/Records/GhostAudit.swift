package import Core
import Foundation

/// What the audit wants of a record. A hundred thousand of them are some 20 MB.
package struct AuditRow: Sendable {
    package var id: String
    package var callerTrunk: String
    package var calleeTrunk: String
    package var callerHost: String
    package var calleeHost: String
    package var answerAt: WallTime
    package var releaseAt: WallTime
    package var duration: Double
    package var deadAir: Double
    /// When a packet of either side was heard last; nil: never.
    package var lastMediaAt: WallTime?
    /// The last packet of the side that fell silent first; nil: one side was never heard.
    package var firstSilenceAt: WallTime?

    package init(
        id: String, callerTrunk: String, calleeTrunk: String, callerHost: String, calleeHost: String, answerAt: WallTime,
        releaseAt: WallTime, duration: Double, deadAir: Double, lastFromCaller: WallTime?, lastFromCallee: WallTime?
    ) {
        self.id = id
        self.callerTrunk = callerTrunk
        self.calleeTrunk = calleeTrunk
        self.callerHost = callerHost
        self.calleeHost = calleeHost
        self.answerAt = answerAt
        self.releaseAt = releaseAt
        self.duration = duration
        self.deadAir = deadAir
        lastMediaAt = [lastFromCaller, lastFromCallee].compactMap(\.self).max()
        if let lastFromCaller, let lastFromCallee { firstSilenceAt = min(lastFromCaller, lastFromCallee) }
    }

    /// Seconds from the last packet of anybody, or from the answer, to the release.
    var silenceAtEnd: Double { max(0, (releaseAt - max(lastMediaAt ?? answerAt, answerAt)).inSeconds) }
    /// The same for the side that fell silent first.
    var oneSidedSilenceAtEnd: Double { max(0, (releaseAt - max(firstSilenceAt ?? answerAt, answerAt)).inSeconds) }

    fileprivate var route: String { "\(callerTrunk) > \(calleeTrunk)" }
    fileprivate var endpoints: [String] {
        ["endpoint \(callerHost) of trunk \(callerTrunk)", "endpoint \(calleeHost) of trunk \(calleeTrunk)"]
    }
}

/// Looks for the patterns that ghost calls leave in records. Pure: the same rows give the same findings.
///
/// Each pattern has a floor below which it says nothing, because a few calls prove nothing, and a bound that ordinary
/// traffic does not reach by chance.
package struct GhostAudit {
    private let rows: [AuditRow]

    /// Seconds of dead air that make a call suspicious, when they are also half of it.
    static let longDeadAir = 120.0
    /// Seconds after the last packet from which on a call was not ended by somebody who had just talked.
    static let deadEnd = 8.0
    private static let leastCalls = 5
    private static let exampleCount = 5

    package init(rows: [AuditRow]) { self.rows = rows.sorted { ($0.releaseAt, $0.id) < ($1.releaseAt, $1.id) } }

    package func findings() -> [AuditFinding] {
        [longWithoutMedia(), identicalDurations(), endedByTimer(), unusualDurations(), pileUps()].flatMap { findings in
            findings.sorted { ($1.calls, $0.subject) < ($0.calls, $1.subject) }
        }
    }

    // MARK: Long, without media

    private func longWithoutMedia() -> [AuditFinding] {
        Self.groups(rows, by: \.route).compactMap { route, calls in
            let silent = calls.filter { $0.deadAir >= Self.longDeadAir && $0.deadAir >= $0.duration / 2 }
            guard !silent.isEmpty else { return nil }
            let minutes = silent.reduce(0) { $0 + $1.deadAir } / 60
            let never = silent.count { $0.lastMediaAt == nil }
            return AuditFinding(
                pattern: .longWithoutMedia, subject: "route \(route)", calls: silent.count, of: calls.count,
                evidence: "\(Self.text(minutes)) minutes of dead air, \(never) calls without a single packet; the longest lasted "
                    + "\(Self.text(silent.map(\.duration).max() ?? 0)) s",
                examples: Self.examples(silent.sorted { $0.deadAir > $1.deadAir }))
        }
    }

    // MARK: The same endpoint, the same duration

    /// Calls that ended with media alive on both sides were ended by someone: announcements of fixed length are no ghosts.
    private func identicalDurations() -> [AuditFinding] {
        endpointFindings { endpoint, calls in
            let dead = calls.filter { $0.oneSidedSilenceAtEnd >= Self.deadEnd && $0.duration >= 20 }
            guard let peak = Self.peak(of: dead.map(\.duration)) else { return nil }
            let alike = dead.filter { abs($0.duration - peak.value) <= 1 }
            let finding = AuditFinding(
                pattern: .identicalDurations, subject: endpoint, calls: alike.count, of: calls.count,
                evidence: "\(alike.count) calls lasted \(Self.text(peak.value)) s (within a second) and ended without media, "
                    + "where chance makes it about \(Self.text(peak.expected.rounded()))",
                examples: Self.examples(alike))
            return (finding, alike)
        }
    }

    // MARK: Duration = media + a timer

    private func endedByTimer() -> [AuditFinding] {
        endpointFindings { endpoint, calls in
            let dead = calls.filter { $0.silenceAtEnd >= Self.deadEnd }
            guard let peak = Self.peak(of: dead.map(\.silenceAtEnd)) else { return nil }
            let timed = dead.filter { abs($0.silenceAtEnd - peak.value) <= 1 }
            let minutes = timed.reduce(0) { $0 + $1.silenceAtEnd } / 60
            let finding = AuditFinding(
                pattern: .endedByTimer, subject: endpoint, calls: timed.count, of: calls.count,
                evidence: "\(timed.count) calls ended \(Self.text(peak.value)) s after their last packet: their duration is the "
                    + "time with media and that timer, \(Self.text(minutes)) minutes too much",
                examples: Self.examples(timed))
            return (finding, timed)
        }
    }

    /// The value around which more than chance would have it lie within a second.
    ///
    /// Chance is a Poisson distribution with the density of the neighbourhood, and at least a part of the whole.
    private static func peak(of values: [Double]) -> (value: Double, expected: Double)? {
        guard values.count >= leastCalls else { return nil }
        let sorted = values.sorted()
        var best: (value: Double, count: Int, expected: Double)?
        for value in Set(sorted.map { $0.rounded() }).sorted() {
            let count = countWithin(sorted, value, 1)
            let neighbours = countWithin(sorted, value, 16) - countWithin(sorted, value, 2)
            // Two seconds of the 28 around it; a value that few are near still has the whole to be compared with.
            let expected = max(Double(neighbours) * 2 / 28, Double(sorted.count) / 60)
            guard count >= leastCalls, Double(count) >= expected + 6 * expected.squareRoot() + 3 else { continue }
            if count > best?.count ?? 0 { best = (value, count, expected) }
        }
        guard let best else { return nil }
        let alike = sorted.filter { abs($0 - best.value) <= 1 }
        return (alike[alike.count / 2], best.expected)
    }

    private static func countWithin(_ sorted: [Double], _ value: Double, _ distance: Double) -> Int {
        func firstIndex(notBelow bound: Double) -> Int {
            var low = 0
            var high = sorted.count
            while low < high {
                let middle = (low + high) / 2
                if sorted[middle] < bound { low = middle + 1 } else { high = middle }
            }
            return low
        }
        return firstIndex(notBelow: value + distance + 0.000_001) - firstIndex(notBelow: value - distance)
    }

    // MARK: A route unlike the others

    /// Compares logarithms: durations spread over orders of magnitude, and one very long call must not decide.
    private func unusualDurations() -> [AuditFinding] {
        let groups = Self.groups(rows.filter { $0.duration >= 1 }, by: \.route)
        guard groups.count >= 2 else { return [] }
        return groups.compactMap { route, calls in
            let others = groups.filter { $0.name != route }.flatMap(\.rows)
            // Of two that differ the smaller one is the odd one.
            guard calls.count >= 20, others.count >= calls.count else { return nil }
            let own = Self.logarithms(calls)
            let rest = Self.logarithms(others)
            let error = (own.variance / Double(calls.count) + rest.variance / Double(others.count)).squareRoot()
            let distance = own.mean - rest.mean
            let acd = Self.average(calls)
            let otherACD = Self.average(others)
            let ratio = acd / otherACD
            guard abs(distance) >= 6 * max(error, 0.01), ratio >= 3 || ratio <= 1 / 3 else { return nil }
            return AuditFinding(
                pattern: .unusualDuration, subject: "route \(route)", calls: calls.count, of: calls.count,
                evidence: "the ACD is \(Self.text(acd)) s, that of the other routes \(Self.text(otherACD)) s: "
                    + (ratio > 1 ? "\(Self.text(ratio)) times as long" : "\(Self.text(1 / ratio)) times shorter"),
                examples: Self.examples(calls.sorted { ratio > 1 ? $0.duration > $1.duration : $0.duration < $1.duration }))
        }
    }

    private static func logarithms(_ rows: [AuditRow]) -> (mean: Double, variance: Double) {
        let values = rows.map { log($0.duration) }
        let mean = values.reduce(0, +) / Double(values.count)
        return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count))
    }

    private static func average(_ rows: [AuditRow]) -> Double { rows.reduce(0) { $0 + $1.duration } / Double(rows.count) }

    // MARK: More calls at once, although no more come

    /// Concurrent calls and arrivals by quarters of an hour. Ordinary calls obey Little's law: more at once means more came, or
    /// each lasts longer. The second, beyond what routes differ, is what ghosts do.
    private func pileUps() -> [AuditFinding] {
        guard let first = rows.map(\.answerAt).min(), let last = rows.last?.releaseAt, rows.count >= 40 else { return [] }
        let width: Int64 = 15 * 60_000
        let count = Int((last.milliseconds - first.milliseconds) / width) + 1
        guard (8...200_000).contains(count) else { return [] }
        func bucket(_ time: WallTime) -> Int { min(count - 1, max(0, Int((time.milliseconds - first.milliseconds) / width))) }
        return Self.groups(rows, by: \.route).compactMap { route, calls in
            guard calls.count >= 40 else { return nil }
            var arrivals = Array(repeating: 0, count: count)
            var changes = Array(repeating: 0, count: count + 1)
            for call in calls {
                arrivals[bucket(call.answerAt)] += 1
                // At the end of which quarters it is up.
                changes[bucket(call.answerAt)] += 1
                changes[bucket(call.releaseAt)] -= 1
            }
            var present: [Int] = []
            for change in changes.dropLast() { present.append((present.last ?? 0) + change) }
            let usualPresent = Self.median(present)
            let usualArrivals = max(1, Self.median(arrivals))
            let spikes = present.indices.filter { index in
                present[index] >= 10 && present[index] >= usualPresent * 3 + 5
                    && arrivals[max(0, index - 3)...index].allSatisfy { $0 * 2 <= usualArrivals * 3 }
            }
            guard let peak = spikes.max(by: { present[$0] < present[$1] }) else { return nil }
            let at = WallTime(milliseconds: first.milliseconds + Int64(peak + 1) * width)
            let up = calls.filter { $0.answerAt < at && $0.releaseAt >= at }
            return AuditFinding(
                pattern: .pileUp, subject: "route \(route)", calls: present[peak], of: calls.count,
                evidence: "\(present[peak]) calls were up at \(at), usually \(usualPresent), while \(arrivals[peak]) came in that "
                    + "quarter of an hour, usually \(usualArrivals)",
                examples: Self.examples(up.sorted { $0.answerAt < $1.answerAt }))
        }
    }

    private static func median(_ values: [Int]) -> Int { values.sorted()[values.count / 2] }

    // MARK: Helpers

    /// Every call has an endpoint at either end. Of the two that the same calls point at, the one most of whose calls they are
    /// is named.
    private func endpointFindings(
        _ find: (String, [AuditRow]) -> (finding: AuditFinding, calls: [AuditRow])?
    ) -> [AuditFinding] {
        var groups: [String: [AuditRow]] = [:]
        for row in rows {
            for endpoint in row.endpoints { groups[endpoint, default: []].append(row) }
        }
        let found = groups.sorted { $0.key < $1.key }.compactMap { find($0.key, $0.value) }
        func share(_ finding: AuditFinding) -> Double { Double(finding.calls) / Double(finding.of) }
        var explained: Set<String> = []
        var findings: [AuditFinding] = []
        for (finding, calls) in found.sorted(by: { share($0.finding) > share($1.finding) }) {
            guard calls.count(where: { !explained.contains($0.id) }) * 2 > calls.count else { continue }
            explained.formUnion(calls.map(\.id))
            findings.append(finding)
        }
        return findings
    }

    private static func groups(
        _ rows: [AuditRow], by name: KeyPath<AuditRow, String>
    ) -> [(name: String, rows: [AuditRow])] {
        Dictionary(grouping: rows) { $0[keyPath: name] }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func examples(_ rows: [AuditRow]) -> [String] { rows.prefix(exampleCount).map(\.id) }

    /// With one decimal below ten.
    private static func text(_ value: Double) -> String {
        guard value < 10, value != value.rounded() else { return "\(Int(value.rounded()))" }
        return "\(Int((value * 10).rounded()) / 10).\(Int((value * 10).rounded()) % 10)"
    }
}
