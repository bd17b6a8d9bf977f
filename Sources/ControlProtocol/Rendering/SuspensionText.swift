import Core

extension SuspensionSummary {
    package static func listText(_ suspensions: [SuspensionSummary], _ style: TextStyle) -> String {
        guard !suspensions.isEmpty else { return "Nobody is suspended.\n" }
        var table = Table()
        table.add("USER", leastWidth: 6, cells: suspensions.map { .init($0.user, .strong) })
        table.add("ADDRESS", cells: suspensions.map { .init("\($0.address)") })
        table.add("UNTIL", cells: suspensions.map { .init(Quantity.dateAndTime($0.until)) })
        table.add("LEFT", alignment: .right, cells: suspensions.map { .init("\($0.secondsLeft) s") })
        return table.rendered(style).text
    }

    /// After `lift`.
    package static func liftedText(_ lifted: [SuspensionSummary], _ style: TextStyle) -> String {
        lifted.map { style.safe("\($0.user) may try again at \($0.address).") + "\n" }.joined()
    }
}
