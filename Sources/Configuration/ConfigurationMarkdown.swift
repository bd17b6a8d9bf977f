import Core

extension Configuration {
    /// docs/configuration.md.
    package static func referenceMarkdown() -> String {
        let defaults = Configuration(host: HostFacts(processorCount: 2, environment: [:], userID: 0))
        var lines = [
            "# Configuration", "",
            "This page is made by `relayd reference --markdown`; do not edit it.", "",
            "One TOML file, every key optional, an unknown key is an error with a suggestion. `relayd check FILE` says what is wrong",
            "with a file, `relayd reference` prints one with every key, and `relayctl config show` the values in force and where",
            "each comes from. The last but one column says what a changed value needs. A VOS3000 name is accepted at the top of the",
            "file in place of the key.",
        ]
        var table = ""
        for key in keys {
            let parts = key.name.split(separator: ".").map(String.init)
            if parts[0] != table {
                table = parts[0]
                lines += ["", "## [\(table)]", ""] + tableHead
            }
            lines.append(row(key, name: parts[1], defaultLiteral: key.literal(defaults)))
        }
        let trunk = Trunk(name: "", address: SocketAddress(ip: .ipv4Loopback, port: 5060))
        lines += ["", "## [[trunk]]", "", "One table for each trunk."] + [""] + tableHead
        for (index, key) in Trunk.keys.enumerated() {
            // The first two are what a trunk is: nothing stands in for them.
            lines.append(row(key, name: key.name, defaultLiteral: index < 2 ? "" : key.literal(trunk)))
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static let tableHead = [
        "| Key | Default | Value | On reload | VOS3000 | Meaning |", "|---|---|---|---|---|---|",
    ]

    private static func row<Root>(_ key: ConfigurationKey<Root>, name: String, defaultLiteral: String) -> String {
        let value = key.example?.defaultNote ?? (defaultLiteral.isEmpty ? "required" : "`\(defaultLiteral)`")
        let cells = [
            "`\(name)`", value, key.expected, key.reload.rawValue, key.vosName.map { "`\($0)`" } ?? "", key.explanation,
        ]
        return "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
    }
}
