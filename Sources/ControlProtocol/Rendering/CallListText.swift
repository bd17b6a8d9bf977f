import Core

extension CallSummary {
    /// A table for people; calls stay in the order given.
    package static func listText(_ calls: [CallSummary], _ style: TextStyle) -> String {
        guard !calls.isEmpty else { return "No calls.\n" }
        var table = Table()
        table.add("ID", cells: calls.map { .init($0.id, .strong) })
        table.add("STATE", cells: calls.map { .init($0.state.rawValue, $0.state == .connected ? .plain : .faint) })
        table.add("CALLER", leastWidth: 6, cells: calls.map { .init($0.callerNumber) })
        table.add("CALLED", leastWidth: 6, cells: calls.map { .init($0.calledNumber) })
        table.add("TRUNKS", leftOutAt: 2, cells: calls.map { "\($0.callerTrunk ?? "-") > \($0.calleeTrunk ?? "-")" })
        table.add("H:MM:SS", alignment: .right, cells: calls.map { .init($0.durationText) })
        table.add("CALLER RTP", cells: calls.map { $0.fromCaller.cell })
        table.add("CALLEE RTP", cells: calls.map { $0.fromCallee.cell })
        table.add("MOS", leftOutAt: 3, cells: calls.map { .init($0.bothWays(\.mos)) })
        table.add("JITTER ms", leftOutAt: 5, cells: calls.map { .init($0.bothWays(\.jitterMilliseconds)) })
        table.add("LOSS %", leftOutAt: 4, cells: calls.map { .init($0.bothWays(\.lossPercent)) })
        table.add(monitoredHeading, leftOutAt: 1, cells: calls.map { .init($0.monitoredText, $0.monitored ? .plain : .bad) })
        let (text, leftOut) = table.rendered(style)
        return text + footer(calls, withReasons: leftOut.contains(monitoredHeading), style)
    }

    private static let monitoredHeading = "MONITORED"

    /// How many there are and, where the table has no room for it, which of the connected ones silence does not end, and why.
    private static func footer(_ calls: [CallSummary], withReasons: Bool, _ style: TextStyle) -> String {
        let connected = calls.count { $0.state == .connected }
        var lines = ["\(calls.count) \(calls.count == 1 ? "call" : "calls"), \(connected) connected."]
        if withReasons {
            let groups = Dictionary(grouping: calls.filter { !$0.monitored && $0.state == .connected }, by: \.monitoredReason)
            for (reason, group) in groups.sorted(by: { $0.key < $1.key }) {
                let names = group.prefix(8).map(\.id).joined(separator: ", ")
                let more = group.count > 8 ? " and \(group.count - 8) more" : ""
                lines += wrapped(style.safe("Not monitored (\(reason)): \(names)\(more)"), to: style.width)
            }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Of what came from the caller, and from the callee: `4.41/3.9`.
    private func bothWays(_ figure: KeyPath<Media, Double?>) -> String {
        let figures = [fromCaller[keyPath: figure], fromCallee[keyPath: figure]]
        guard figures.contains(where: { $0 != nil }) else { return "-" }
        return figures.map { $0.map(decimal) ?? "-" }.joined(separator: "/")
    }

    var durationText: String { answerAt == nil ? "-" : Quantity.duration(seconds: durationSeconds) }

    /// `yes: 60 s, both`, or `no: ` and why.
    var monitoredText: String {
        monitored ? "yes: \(noMediaTimeoutSeconds) s, \(noMediaMode.rawValue)" : "no: \(monitoredReason)"
    }
}

extension CallSummary.Media {
    /// `flowing`, or the state and for how long: `silent 4.2 s`.
    var text: String {
        guard state != .flowing, let silenceSeconds else { return state.rawValue }
        return "\(state.rawValue) \(Quantity.silence(seconds: silenceSeconds))"
    }

    var cell: Table.Cell {
        switch state {
        case .flowing: .init(text, .good)
        case .silent: .init(text, .bad)
        case .waiting, .held: .init(text, .faint)
        }
    }
}
