import Core

extension Configuration {
    /// Every key with its default and explanation, as a file that can be used as it is.
    ///
    /// Prose begins with `# `; a key that begins with `#` has a default that follows another key or the machine.
    package static func referenceTOML() -> String {
        // Fixed facts, so that the text is the same everywhere; keys that depend on them are comments anyway.
        let defaults = Configuration(host: HostFacts(processorCount: 2, environment: [:], userID: 0))
        var lines = ["# relayd: every key with its default. All keys are optional."]
        var table = ""
        for key in keys {
            let parts = key.name.split(separator: ".").map(String.init)
            if parts[0] != table {
                table = parts[0]
                lines += ["", "[\(table)]"]
            } else {
                lines.append("")
            }
            lines += entry(for: key, leaf: parts[1], literal: key.literal(defaults))
        }
        lines += ["", "# One table for each trunk. Name and address are required.", "#[[trunk]]"]
        let trunk = Trunk(name: "carrier", address: SocketAddress(ip: IPAddress(ipv4: 0xc633_6407), port: 5060))
        for key in Trunk.keys {
            lines += entry(for: key, leaf: key.name, literal: key.literal(trunk), isComment: true) + [""]
        }
        lines += ["# Further routes to a trunk. Prefixes and trunk are required.", "#[[route]]"]
        let route = Route(prefixes: ["49"], trunk: "carrier")
        for key in Route.keys {
            lines += entry(for: key, leaf: key.name, literal: key.literal(route), isComment: true) + [""]
        }
        lines += ["# One table for each phone. The name is required, and either password or ha1.", "#[[user]]"]
        for key in User.keys {
            lines += entry(for: key, leaf: key.name, literal: key.literal(User(name: "ada")), isComment: true) + [""]
        }
        return lines.joined(separator: "\n")
    }

    private static func entry<Root>(
        for key: ConfigurationKey<Root>, leaf: String, literal: String, isComment: Bool = false
    ) -> [String] {
        var lines = ["# " + key.explanation, "# Value: \(key.expected). On reload: \(key.reload.rawValue)."]
        if let vosName = key.vosName { lines.append("# VOS name: \(vosName), at the top of the file.") }
        if let example = key.example {
            lines += ["# Default: \(example.defaultNote).", "#\(leaf) = \(example.literal)"]
        } else {
            lines.append("\(isComment ? "#" : "")\(leaf) = \(literal)")
        }
        return lines
    }
}
