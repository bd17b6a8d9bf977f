extension ConfigurationRow {
    /// A table for people, in the order given.
    package static func listText(_ rows: [ConfigurationRow], _ style: TextStyle) -> String {
        var table = Table()
        table.add("KEY", cells: rows.map { .init($0.key, .strong) })
        table.add("VALUE", leastWidth: 12, cells: rows.map { .init($0.value) })
        table.add("ORIGIN", leastWidth: 12, cells: rows.map { .init($0.origin, $0.origin == "default" ? .faint : .plain) })
        table.add("CHANGE NEEDS", leftOutAt: 1, cells: rows.map { .init($0.reload) })
        table.add("IN VOS3000", leftOutAt: 2, cells: rows.map { .init($0.vosName ?? "-") })
        return table.rendered(style).text
    }
}
