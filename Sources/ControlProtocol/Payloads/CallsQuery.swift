/// Which present calls `calls` answers. With many thousand calls a screen asks for those it shows.
package struct CallsQuery: Codable, Equatable, Sendable {
    /// Nil: in the order they came.
    package var order: CallOrder?
    /// Part of an id, a number or a trunk's name.
    package var match: String?
    package var limit: Int?

    package init(order: CallOrder? = nil, match: String? = nil, limit: Int? = nil) {
        self.order = order
        self.match = match
        self.limit = limit
    }

    package func answer(from calls: [CallSummary]) -> [CallSummary] {
        var calls = calls
        if let match, !match.isEmpty { calls = calls.filter { $0.contains(match) } }
        if let order { calls = order.sorted(calls) }
        if let limit { calls = Array(calls.prefix(limit)) }
        return calls
    }
}

extension CallSummary {
    fileprivate func contains(_ text: String) -> Bool {
        id.contains(text) || callerNumber.contains(text) || calledNumber.contains(text)
            || callerTrunk?.contains(text) == true || calleeTrunk?.contains(text) == true
    }
}
