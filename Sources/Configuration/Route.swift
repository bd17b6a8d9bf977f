/// Where called numbers with certain prefixes are routed, beside what trunks say of themselves.
package struct Route: Sendable {
    package var prefixes: [String]
    /// The name of the trunk.
    package var trunk: String
    /// Of routes with the same prefix the lowest is tried first.
    package var priority = 0
    /// Among routes of the same prefix and priority, how often this one comes first.
    package var weight = 1
    /// What becomes of the called number on this route, before the trunk's own rules.
    package var called: [NumberRule] = []
    /// What becomes of the caller's number.
    package var caller: [NumberRule] = []

    package init(prefixes: [String], trunk: String) {
        self.prefixes = prefixes
        self.trunk = trunk
    }
}

extension Route {
    /// Every key of `[[route]]`. The first two are required.
    static let keys: [ConfigurationKey<Route>] = [
        .init(
            "prefixes", \.prefixes,
            ValueFormat.prefix.list("a list of digits, each text of its own, like [\"49\", \"+49\"]; \"\" is the default route"),
            .newCallsOnly, "Called numbers that take this route; \"\" is the default route."),
        .init("trunk", \.trunk, .name, .newCallsOnly, "The name of the trunk they go to."),
        .init(
            "priority", \.priority, .integer(0...1_000), .newCallsOnly,
            "Of routes with the same prefix the one with the lowest is tried first."),
        .init(
            "weight", \.weight, .integer(1...1_000), .newCallsOnly,
            "Of routes with the same prefix and priority, how often this one comes first, compared with the others."),
        .init(
            "called", \.called, ValueFormat.rules, .newCallsOnly,
            "How the called number is rewritten on this route, before the trunk's called_out."),
        .init(
            "caller", \.caller, ValueFormat.rules, .newCallsOnly,
            "How the caller's number is rewritten on this route, before the trunk's caller_out."),
    ]
}
