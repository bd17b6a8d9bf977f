import Core

extension StrangerReport {
    /// For people: the busiest sources, and what may be wrong with those that are close to a trunk.
    package func text(_ style: TextStyle) -> String {
        guard !shown.isEmpty else { return "No request has come from a source that is no trunk and no phone.\n" }
        var table = Table()
        table.add("SOURCE", cells: shown.map { .init($0.source, .strong) })
        table.add("REQUESTS", alignment: .right, cells: shown.map { .init("\($0.requests)") })
        table.add("ANSWERED", alignment: .right, leftOutAt: 3, cells: shown.map { .init("\($0.answers)") })
        table.add("LAST", cells: shown.map { .init(Quantity.dateAndTime($0.lastAt)) })
        table.add("FROM PORT", alignment: .right, leftOutAt: 2, cells: shown.map { .init("\($0.transport.rawValue):\($0.lastAddress.port)") })
        table.add("ASKED", leastWidth: 6, cells: shown.map { .init("\($0.method) \($0.called)") })
        table.add("AGENT", leftOutAt: 1, leastWidth: 6, cells: shown.map { .init($0.userAgent) })
        var lines = [style.painted("\(requests) requests from sources that are no trunk and no phone, \(unanswered) not answered.", .faint)]
        if policy == "drop" { lines.append("sip.strangers = \"drop\": they get no answer.") }
        let slips = shown.filter(\.isSlip)
        for slip in slips {
            lines += wrapped(style.safe("A request from \(slip.lastAddress) which is no trunk: \(slip.hint)."), to: style.width)
                .map { style.painted($0, .bad) }
        }
        return table.rendered(style).text + lines.map { $0 + "\n" }.joined()
    }
}
