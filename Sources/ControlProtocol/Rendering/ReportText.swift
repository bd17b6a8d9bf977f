package import Core

extension ReportRow {
    /// A table for people, in the order given.
    package static func listText(_ rows: [ReportRow], by grouping: ReportQuery.Grouping, _ style: TextStyle) -> String {
        guard !rows.isEmpty else { return "No records in that time.\n" }
        var table = Table()
        table.add(grouping.rawValue.uppercased(), leastWidth: 8, cells: rows.map { .init($0.name, .strong) })
        if rows.contains(where: { $0.side != nil }) { table.add("CALLS", cells: rows.map { .init($0.side ?? "") }) }
        table.add("ATTEMPTS", alignment: .right, cells: rows.map { "\($0.attempts)" })
        table.add("ANSWERED", alignment: .right, leftOutAt: 3, cells: rows.map { "\($0.answered)" })
        table.add("ASR", alignment: .right, cells: rows.map { .init($0.answerRatio.map { Quantity.percent($0) } ?? "-") })
        table.add(
            "ACD", alignment: .right,
            cells: rows.map { .init($0.averageSeconds.map { Quantity.duration(seconds: Int($0.rounded())) } ?? "-") })
        table.add(
            "MINUTES", alignment: .right, leftOutAt: 4, cells: rows.map { "\(Int(($0.connectedSeconds / 60).rounded()))" })
        table.add(
            "DEAD AIR", alignment: .right, leftOutAt: 2,
            cells: rows.map { row in
                guard row.connectedSeconds > 0 else { return "-" }
                let share = Double(row.deadAirSeconds) / row.connectedSeconds
                return .init(Quantity.percent(share), share > 0.1 ? .bad : .plain)
            })
        table.add("NOT NORMAL", leastWidth: 12, cells: rows.map { .init($0.failuresText) })
        return table.rendered(style).text
    }

    /// The most frequent first: `rejected 120, invite_timeout 7`.
    private var failuresText: String {
        let failures = causes.filter { $0.key != ReleaseCause.normal.rawValue }
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return failures.isEmpty ? "-" : failures.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}

extension Quantity {
    /// `66.7 %` of 0.667.
    package static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1_000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }
}

extension AuditReport {
    /// For people: what each pattern came to.
    package func text(_ style: TextStyle) -> String {
        guard let from, let to else { return "No answered calls in that time.\n" }
        let more = isComplete ? "" : ", the newest of more: narrow the time with --since and --until"
        var text = "\(examined) answered calls, released from \(Quantity.dateAndTime(from)) to \(Quantity.dateAndTime(to)) UTC\(more).\n"
        for pattern in AuditPattern.allCases {
            let found = findings.filter { $0.pattern == pattern }
            let mark = found.isEmpty ? style.painted("none ", .good) : style.painted("FOUND", .bad)
            text += "\n\(mark)  \(pattern.meaning)\n"
            for finding in found {
                var list = FactList()
                list.add("      ", "\(finding.subject): \(finding.calls) of \(finding.of) calls. \(finding.evidence).", .strong)
                list.add("", "records \(finding.examples.joined(separator: ", "))\(finding.calls > finding.examples.count ? ", and more" : "")", .faint)
                text += list.rendered(style)
            }
        }
        return text
    }
}
