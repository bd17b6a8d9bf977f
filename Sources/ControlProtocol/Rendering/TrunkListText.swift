import Core

extension TrunkReport {
    /// A table for people, in the order of the configuration.
    package static func listText(_ trunks: [TrunkReport], _ style: TextStyle) -> String {
        guard !trunks.isEmpty else { return "No trunks.\n" }
        var table = Table()
        table.add("TRUNK", cells: trunks.map { .init($0.name, .strong) })
        table.add("STATE", cells: trunks.map { .init($0.state.rawValue, $0.state == .up ? .good : .bad) })
        table.add("ADDRESS", leftOutAt: 3, cells: trunks.map { .init($0.address.description) })
        table.add("CALLS", alignment: .right, cells: trunks.map { .init(of($0.calls, limit: $0.capacity)) })
        table.add("PER S", alignment: .right, cells: trunks.map { .init(of($0.callsPerSecond, limit: $0.callsPerSecondLimit)) })
        table.add("TRIED", alignment: .right, leftOutAt: 4, cells: trunks.map { .init("\($0.attempts)") })
        table.add("ASR", alignment: .right, cells: trunks.map { .init($0.answerSeizureRatio.map(percent) ?? "-") })
        table.add(
            "ACD", alignment: .right,
            cells: trunks.map { .init($0.averageCallSeconds.map { Quantity.duration(seconds: Int($0.rounded())) } ?? "-") })
        table.add("PROBE", leftOutAt: 2, leastWidth: 8, cells: trunks.map { .init($0.probeText) })
        if trunks.contains(where: { $0.registration != nil }) {
            table.add("REGISTRATION", leastWidth: 10, cells: trunks.map { .init($0.registration ?? "-") })
        }
        table.add("LAST FAILURE", leftOutAt: 1, leastWidth: 12, cells: trunks.map { .init($0.failureText, .faint) })
        return table.rendered(style).text
    }

    private static func of(_ count: Int, limit: Int) -> String { limit == 0 ? "\(count)" : "\(count)/\(limit)" }

    private static func percent(_ ratio: Double) -> String { "\(Int((ratio * 100).rounded())) %" }

    private var probeText: String {
        guard let probe else { return "-" }
        return probeMilliseconds.map { "\(probe), \(Self.milliseconds($0))" } ?? probe
    }

    private var failureText: String {
        guard let lastFailure, let lastFailureAt else { return "-" }
        return "\(Quantity.timeOfDay(lastFailureAt).prefix(8)) \(lastFailure)"
    }

    /// `12.3 ms`
    static func milliseconds(_ value: Double) -> String {
        let tenths = Int((max(0, min(value, 1e9)) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) ms"
    }
}

extension ProbeReport {
    package func text(_ style: TextStyle) -> String {
        if let call { return call.text(trunk: trunk, address: address, style) }
        let time = milliseconds.map { " after \(TrunkReport.milliseconds($0))" } ?? ""
        return style.safe("OPTIONS to \(trunk) at \(address): \(result)\(time).") + "\n"
    }
}

extension TestCallReport {
    func text(trunk: String, address: SocketAddress, _ style: TextStyle) -> String {
        var lines = [style.painted("Test call to \(style.safe(number)) through \(style.safe(trunk)) at \(address)", .strong)]
        for step in steps {
            let time = String(repeating: " ", count: max(0, 8 - "\(step.milliseconds)".count)) + "\(step.milliseconds)"
            lines.append("\(time) ms  \(style.safe(step.text))")
        }
        if let answeredMilliseconds {
            lines.append("Answered after \(answeredMilliseconds) ms; \(packets) RTP packets heard" + (packets == 0 ? ": silence." : "."))
        } else {
            lines.append("Not answered.")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
