extension RegistrationList {
    package func text(_ style: TextStyle) -> String {
        guard !bindings.isEmpty else { return total == 0 ? "Nobody is registered.\n" : "None of \(total) matches.\n" }
        var table = Table()
        table.add("ID", cells: bindings.map { .init($0.id, .strong) })
        table.add("USER", leastWidth: 6, cells: bindings.map { .init($0.user) })
        table.add("CONTACT", leastWidth: 12, cells: bindings.map { .init($0.contact) })
        table.add("SOURCE", leastWidth: 12, cells: bindings.map { .init($0.source) })
        if bindings.contains(where: { $0.connection != nil }) {
            table.add("CONNECTION", cells: bindings.map { .init($0.connection ?? "-", $0.connection == "closed" ? .bad : .plain) })
        }
        if bindings.contains(where: { $0.q < 1 }) {
            table.add("Q", alignment: .right, cells: bindings.map { .init($0.qText) })
        }
        table.add("NAT", leftOutAt: 1, cells: bindings.map { .init($0.nat) })
        table.add("EXPIRES", alignment: .right, cells: bindings.map { "\($0.expiresInSeconds) s" })
        table.add("AGENT", leftOutAt: 2, leastWidth: 8, cells: bindings.map { .init($0.agent) })
        let shown = bindings.count < matching ? ", \(bindings.count) shown" : ""
        let matches = matching < total ? "\(matching) of \(total)" : "\(total)"
        return table.rendered(style).text + pathText(style) + "\(matches) \(total == 1 ? "contact" : "contacts")\(shown).\n"
    }
}

extension RegistrationList {
    /// Which contacts are called along which Path: mostly many along the same, so once for each.
    private func pathText(_ style: TextStyle) -> String {
        var paths: [String] = []
        for case let path? in bindings.map(\.path) where !paths.contains(path) && paths.count < 8 { paths.append(path) }
        let lines = paths.flatMap { path in
            let ids = bindings.filter { $0.path == path }.map(\.id)
            let more = ids.count > 6 ? " and \(ids.count - 6) more" : ""
            return wrapped(style.safe("Path \(path): \(ids.prefix(6).joined(separator: ", "))\(more)."), to: style.width)
        }
        return lines.map { $0 + "\n" }.joined()
    }
}

extension RegistrationSummary {
    /// At most three digits behind the point, and no more than there are.
    fileprivate var qText: String {
        var text = KeepAliveReport.decimal(q, 3)
        while text.hasSuffix("0") { text.removeLast() }
        return text.hasSuffix(".") ? text + "0" : text
    }
}

extension KeepAliveReport {
    package func text(_ style: TextStyle) -> String {
        var facts = FactList()
        facts.add("Message", message, isOn ? .plain : .bad)
        facts.add("Capacity", arithmetic, served > 0 && findings.contains { $0.isPresent && $0.symptom == "starved phones" } ? .bad : .plain)
        facts.add("Phones", "\(registered) registered, \(behindNAT) behind NAT, \(served) kept alive")
        if let cycle = lastCycle {
            facts.add(
                "Last cycle",
                "\(Self.decimal(cycle.coveragePercent, 1)) % reached (\(cycle.served) of \(cycle.expected)), \(cycle.missedDeadlines) "
                    + "deadlines missed, longest gap \(Self.decimal(cycle.longestGapSeconds, 1)) s, at most \(cycle.largestBatch) at once, "
                    + "\(Self.decimal(cycle.processorMilliseconds, 1)) ms of processor",
                cycle.missedDeadlines == 0 && cycle.served == cycle.expected ? .plain : .bad)
        } else if isOn {
            facts.add("Last cycle", "none is complete yet")
        }
        facts.add(
            "Since start",
            "\(messages) sent, \(errors) refused by the network, \(answers) answered, \(missedDeadlines) deadlines missed, "
                + "\(Self.decimal(processorMicrosecondsPerMessage, 2)) us of processor each")
        for finding in findings {
            facts.add(finding.isPresent ? "Trouble" : "Fine", "\(finding.symptom): \(finding.evidence)", finding.isPresent ? .bad : .faint)
        }
        return facts.rendered(style)
    }

    static func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = Int((value.isFinite ? min(max(value, 0), 1e12) : 0) * scale + 0.5)
        let fraction = String(whole % Int(scale))
        return digits == 0 ? "\(whole)" : "\(whole / Int(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }
}

extension BindingDetail {
    package static func listText(_ details: [BindingDetail], _ style: TextStyle) -> String {
        details.map { $0.text(style) }.joined(separator: "\n")
    }

    private func text(_ style: TextStyle) -> String {
        var facts = FactList()
        facts.add("Binding", "\(binding.id) of \(binding.user), expires in \(binding.expiresInSeconds) s", .strong)
        facts.add("Contact", binding.contact)
        facts.add("Source", binding.source)
        if let connection = binding.connection { facts.add("Connection", connection, connection == "closed" ? .bad : .plain) }
        facts.add("Priority", "q=\(binding.qText)")
        if let path = binding.path { facts.add("Path", path) }
        facts.add("Behind NAT", binding.nat)
        if let keepAlive {
            facts.add(
                "Last sent",
                "\(Quantity.silence(seconds: keepAlive.lastSentSecondsAgo)) ago; \(keepAlive.sent) in all, longest gap "
                    + "\(KeepAliveReport.decimal(keepAlive.longestGapSeconds, 1)) s, \(keepAlive.missedDeadlines) deadlines missed")
            facts.add("Last heard", "\(Quantity.silence(seconds: keepAlive.lastHeardSecondsAgo)) ago")
            if let unanswered = keepAlive.unanswered {
                facts.add(
                    "Answers",
                    "\(keepAlive.answers), \(unanswered) unanswered since the last, longest silence survived "
                        + "\(KeepAliveReport.decimal(keepAlive.survivedSilenceSeconds ?? 0, 1)) s", unanswered > 1 ? .bad : .plain)
            }
            facts.add("Errors", keepAlive.lastError.map { "\(keepAlive.errors), the last: \($0)" } ?? "none", keepAlive.errors > 0 ? .bad : .plain)
        }
        facts.add("Verdict", verdict)
        return facts.rendered(style)
    }
}
