import Core
import Records
import Testing

/// Ordinary traffic with ghosts put in by hand. One seed gives one set of calls.
struct Traffic {
    private(set) var rows: [AuditRow] = []
    private var random: SeededRandom
    private var next = 0
    private let start = WallTime("2026-01-31T00:00:00.000Z")!

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// Durations spread as those of real calls do (log-normal, median 100 s), media until the end, arrivals all day long.
    mutating func addClean(
        _ count: Int, from: String = "customers", host: String = "198.51.100.7", to: String = "carrier", hours: Double = 24,
        median: Double = 100, busyHours: Bool = true
    ) {
        for _ in 0..<count {
            let normal = (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &random) }
            let duration = max(2, median * pow2(normal * 1.3))
            var hour = Double.random(in: 0..<hours, using: &random)
            // Twice as many in the middle of the day.
            if busyHours, Bool.random(using: &random) { hour = hours * (0.3 + 0.4 * hour / hours) }
            let silence = Double.random(in: 0...0.9, using: &random)
            // One in twelve is hung up after some seconds of hold music or silence on one side.
            let oneSided = Int.random(in: 0..<12, using: &random) == 0 ? Double.random(in: 0...min(30, duration), using: &random) : 0
            add(from, host, to, hour: hour, duration: duration, silence: min(silence, duration), oneSided: oneSided)
        }
    }

    mutating func add(
        _ from: String, _ host: String, _ to: String, calleeHost: String = "203.0.113.5", hour: Double, duration: Double,
        silence: Double, oneSided: Double = 0, deadAir: Double? = nil
    ) {
        next += 1
        let answerAt = start + .milliseconds(Int(hour * 3_600_000))
        let releaseAt = answerAt + .milliseconds(Int(duration * 1_000))
        let hasMedia = silence < duration
        let last = releaseAt + .milliseconds(-Int(silence * 1_000))
        rows.append(
            AuditRow(
                id: "r\(next)", callerTrunk: from, calleeTrunk: to, callerHost: host, calleeHost: calleeHost,
                answerAt: answerAt, releaseAt: releaseAt, duration: duration, deadAir: deadAir ?? silence.rounded(.down),
                lastFromCaller: hasMedia ? last : nil,
                lastFromCallee: hasMedia ? last + .milliseconds(-Int(oneSided * 1_000)) : nil))
    }

    private func pow2(_ exponent: Double) -> Double {
        let whole = exponent.rounded(.down)
        return (1 + (exponent - whole)) * Double(sign: .plus, exponent: Int(whole), significand: 1)
    }

    mutating func uniform(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &random) }
}

@Suite("Audit for ghost calls")
struct GhostAuditTests {
    @Test("ordinary traffic of any size gives no alarm", arguments: [0, 1, 30, 300, 3_000, 30_000])
    func clean(count: Int) {
        for seed in 1...5 as ClosedRange<UInt64> {
            var traffic = Traffic(seed: seed)
            traffic.addClean(count)
            traffic.addClean(count / 4, from: "office", host: "198.51.100.8", to: "carrier", median: 160)
            traffic.addClean(count / 4, from: "customers", to: "mobile", median: 70)
            let findings = GhostAudit(rows: traffic.rows).findings()
            #expect(findings.isEmpty, "seed \(seed): \(findings.map { "\($0.subject): \($0.evidence)" })")
        }
    }

    @Test("announcements of one length, hung up while they play, are no ghosts")
    func announcements() {
        var traffic = Traffic(seed: 9)
        traffic.addClean(500)
        for index in 0..<60 {
            traffic.add("office", "198.51.100.9", "carrier", hour: Double(index) / 3, duration: 34, silence: 0.1)
        }
        // That their route differs from the others is so; that anything ended them by a timer is not.
        let findings = GhostAudit(rows: traffic.rows).findings()
        #expect(!findings.contains { [.identicalDurations, .endedByTimer, .longWithoutMedia].contains($0.pattern) })
    }

    @Test("long calls without media are found on their route, with minutes and the longest")
    func longWithoutMedia() throws {
        var traffic = Traffic(seed: 2)
        traffic.addClean(2_000)
        for index in 0..<4 {
            traffic.add(
                "office", "198.51.100.9", "mobile", hour: Double(index * 5), duration: 1_800 + Double(index) * 317,
                silence: 1_790 + Double(index) * 117)
        }
        let finding = try #require(GhostAudit(rows: traffic.rows).findings().first)
        #expect(finding.pattern == .longWithoutMedia)
        #expect(finding.subject == "route office > mobile")
        #expect(finding.calls == 4 && finding.of == 4)
        #expect(finding.evidence.contains("131 minutes of dead air"), "\(finding.evidence)")
        #expect(finding.evidence.contains("2751 s"))
    }

    @Test("an endpoint whose calls all last 1,800 s and end without media is named, and not the carrier that everybody uses")
    func identicalDurations() throws {
        var traffic = Traffic(seed: 3)
        traffic.addClean(5_000)
        for index in 0..<12 {
            traffic.add(
                "office", "198.51.100.9", "carrier", hour: Double(index) * 1.7, duration: 1_800 + traffic.uniform(-0.4...0.4),
                silence: traffic.uniform(20...90))
        }
        let findings = GhostAudit(rows: traffic.rows).findings().filter { $0.pattern == .identicalDurations }
        let finding = try #require(findings.first)
        #expect(findings.count == 1)
        #expect(finding.subject == "endpoint 198.51.100.9 of trunk office")
        #expect(finding.calls == 12 && finding.of == 12)
        #expect(finding.evidence.contains("1800 s"))
    }

    @Test("calls that end 60 s after their last packet show the timer, however long they were")
    func endedByTimer() throws {
        var traffic = Traffic(seed: 4)
        traffic.addClean(3_000)
        for index in 0..<20 {
            let media = traffic.uniform(10...900)
            traffic.add(
                "customers", "198.51.100.66", "carrier", hour: Double(index), duration: media + 60.2,
                silence: 60 + traffic.uniform(0...0.4))
        }
        let findings = GhostAudit(rows: traffic.rows).findings()
        #expect(findings.map(\.pattern) == [.endedByTimer])
        #expect(findings.first?.subject == "endpoint 198.51.100.66 of trunk customers")
        #expect(findings.first?.calls == 20)
        #expect(findings.first?.evidence.contains("60 s after their last packet") == true)
        #expect(findings.first?.evidence.contains("20 minutes") == true)
    }

    @Test("a route whose calls last five times as long as the others' is named with both averages", arguments: [(500.0, "times as long"), (8.0, "times shorter")])
    func unusualDuration(median: Double, words: String) throws {
        var traffic = Traffic(seed: 5)
        traffic.addClean(3_000)
        traffic.addClean(200, from: "wholesale", host: "198.51.100.44", to: "premium", median: median)
        let findings = GhostAudit(rows: traffic.rows).findings().filter { $0.subject == "route wholesale > premium" }
        #expect(findings.map(\.pattern) == [.unusualDuration])
        #expect(findings.first?.evidence.contains(words) == true, "\(findings.first?.evidence ?? "")")
    }

    @Test("calls that pile up although no more come are found, with the time and both numbers")
    func pileUp() throws {
        var traffic = Traffic(seed: 6)
        traffic.addClean(3_000, busyHours: false)
        // From ten o'clock on one call in the quarter of an hour never ends, until all are cut at four.
        for index in 0..<60 {
            let hour = 10 + Double(index) / 10
            traffic.add("customers", "198.51.100.7", "carrier", hour: hour, duration: (16 - hour) * 3_600, silence: 0.2)
        }
        let findings = GhostAudit(rows: traffic.rows).findings().filter { $0.pattern == .pileUp }
        #expect(findings.count == 1)
        #expect(findings.first?.subject == "route customers > carrier")
        #expect(findings.first?.evidence.contains("2026-01-31T1") == true, "\(findings.first?.evidence ?? "none")")
    }

    @Test("a rush of calls is not a pile-up")
    func rush() {
        var traffic = Traffic(seed: 7)
        traffic.addClean(3_000, busyHours: false)
        traffic.addClean(3_000, hours: 2, busyHours: false)
        #expect(!GhostAudit(rows: traffic.rows).findings().contains { $0.pattern == .pileUp })
    }
}
