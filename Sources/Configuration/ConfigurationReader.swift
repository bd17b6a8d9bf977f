import Core
import Foundation

extension Configuration {
    /// Reads a file. All that is wrong with it is reported at once.
    package static func load(path: String, host: HostFacts = .current) throws(ConfigurationError) -> Configuration {
        func refused(_ message: String) -> ConfigurationError {
            ConfigurationError(problems: [.init(file: path, message: message)])
        }
        let octets: Data
        do {
            octets = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            switch (error as? CocoaError)?.code {
            case .fileReadNoSuchFile?: throw refused("cannot be read: there is no such file")
            case .fileReadNoPermission?: throw refused("cannot be read: this user may not")
            default: throw refused("cannot be read: \(error.localizedDescription)")
            }
        }
        guard let text = String(validating: octets, as: UTF8.self) else {
            throw refused("is not UTF-8 text, expected TOML")
        }
        return try parse(text: text, file: path, host: host, readsUsersFile: true)
    }

    /// Reads a text; `file` is what its problems and origins name. The file of further users is left alone
    /// unless `readsUsersFile`. All that is wrong with it is reported at once.
    package static func parse(
        text: String, file: String, host: HostFacts = .current, readsUsersFile: Bool = false
    ) throws(ConfigurationError) -> Configuration {
        let document: (top: [String: TOMLNode], lines: KeyLines)
        do {
            document = try TOMLNode.parse(text)
        } catch {
            throw ConfigurationError(
                problems: [.init(file: file, line: error.line, column: error.column, message: error.message)])
        }
        var reader = ConfigurationReader(file: file, lines: document.lines, configuration: Configuration(host: host))
        reader.read(document.top)
        reader.checkAddresses()
        reader.checkTrunks()
        reader.checkRoutes()
        reader.completePhones()
        if readsUsersFile { reader.readUsersFile() }
        guard reader.problems.isEmpty else {
            throw ConfigurationError(problems: reader.problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) })
        }
        return reader.configuration
    }
}

/// Fills a configuration from a parsed file and collects what is wrong.
struct ConfigurationReader {
    let file: String
    let lines: KeyLines
    var configuration: Configuration
    var problems: [ConfigurationError.Problem] = []
    /// Which `[[trunk]]` each trunk of the configuration is; one that could not be read has none.
    var trunkNumbers: [Int] = []
    /// The same for each `[[route]]`.
    var routeNumbers: [Int] = []
    /// Which `[[user]]` each user of the file is.
    var userNumbers: [Int] = []

    init(file: String, lines: KeyLines, configuration: Configuration) {
        self.file = file
        self.lines = lines
        self.configuration = configuration
    }

    mutating func refuse(_ path: [String], key: String, _ message: String) {
        problems.append(.init(file: file, line: lines[path], key: key, message: message))
    }

    mutating func read(_ top: [String: TOMLNode]) {
        let tables = Dictionary(grouping: Configuration.keys) { key in String(key.name.prefix { $0 != "." }) }
        for (name, node) in top.sorted(by: { $0.key < $1.key }) {
            if name == "trunk" {
                readTrunks(node)
            } else if name == "route" {
                readRoutes(node)
            } else if name == "user" {
                readUsers(node)
            } else if tables[name] != nil {
                readTable(name, node)
            } else if let key = Configuration.keys.first(where: { $0.vosName == name }) {
                readAlias(name, key, node, isGivenTwice: isPresent(key.name, in: top))
            } else {
                refuseUnknown(name, isTable: node.isTable, candidates: Array(tables.keys) + ["trunk", "route", "user"])
            }
        }
    }

    private mutating func readTable(_ table: String, _ node: TOMLNode) {
        guard case .table(let entries) = node else {
            return refuse([table], key: table, "\(node.summary), expected a table [\(table)]")
        }
        for (leaf, node) in entries.sorted(by: { $0.key < $1.key }) {
            let name = "\(table).\(leaf)"
            if let key = Configuration.keys.first(where: { $0.name == name }) {
                if let problem = key.problem(reading: node, into: &configuration) { refuse([table, leaf], key: name, problem) }
                configuration.origins[name] = .file(file, line: lines[[table, leaf]])
            } else if Configuration.keys.contains(where: { $0.vosName == leaf }) {
                refuse(
                    [table, leaf], key: name, "a VOS name inside a table, expected at the top of the file, before any table")
            } else {
                refuseUnknown(name, isTable: node.isTable, candidates: [])
            }
        }
    }

    private mutating func readAlias(
        _ alias: String, _ key: ConfigurationKey<Configuration>, _ node: TOMLNode, isGivenTwice: Bool
    ) {
        if isGivenTwice {
            let other = lines[key.name.split(separator: ".").map(String.init)]
            return refuse([alias], key: alias, "is the VOS name of \(key.name), which stands in line \(other), expected one of them")
        }
        if let problem = key.problem(reading: node, into: &configuration) { refuse([alias], key: alias, problem) }
        configuration.origins[key.name] = .vosAlias(alias, file: file, line: lines[[alias]])
    }

    private mutating func readTrunks(_ node: TOMLNode) {
        guard case .array(let elements) = node else {
            return refuse(["trunk"], key: "trunk", "\(node.summary), expected [[trunk]], one for each trunk")
        }
        for (number, element) in elements.enumerated() {
            guard case .table(let entries) = element else {
                refuse(["trunk"], key: "trunk", "\(element.summary), expected [[trunk]], one for each trunk")
                continue
            }
            readTrunk(number, entries)
        }
    }

    private mutating func readTrunk(_ number: Int, _ entries: [String: TOMLNode]) {
        let path = ["trunk", String(number)]
        let problemsBefore = problems.count
        // Replaced below: a trunk without a name or address is refused.
        var trunk = Trunk(name: "", address: SocketAddress(ip: .ipv4Any, port: 0))
        for required in ["name", "address"] where entries[required] == nil {
            let expected = Trunk.keys.first { $0.name == required }?.expected ?? ""
            refuse(path, key: "trunk.\(required)", "is missing, expected \(expected)")
        }
        var origins: [String: Configuration.Origin] = [:]
        for (leaf, node) in entries.sorted(by: { $0.key < $1.key }) {
            guard let key = Trunk.keys.first(where: { $0.name == leaf }) else {
                refuseUnknown("trunk.\(leaf)", path: path + [leaf], isTable: node.isTable, candidates: [])
                continue
            }
            if let problem = key.problem(reading: node, into: &trunk) {
                refuse(path + [leaf], key: "trunk.\(leaf)", problem)
            }
            origins[leaf] = .file(file, line: lines[path + [leaf]])
        }
        guard problems.count == problemsBefore else { return }
        if !trunk.addressHasPort { trunk.address.port = (trunk.addressTransport ?? trunk.transport).defaultPort }
        if entries["sources"] == nil { trunk.sources = [TrunkSource(trunk.address)] }
        for (leaf, origin) in origins { configuration.origins["trunk.\(trunk.name).\(leaf)"] = origin }
        configuration.trunks.append(trunk)
        trunkNumbers.append(number)
    }

    private mutating func readRoutes(_ node: TOMLNode) {
        guard case .array(let elements) = node else {
            return refuse(["route"], key: "route", "\(node.summary), expected [[route]], one for each route")
        }
        for (number, element) in elements.enumerated() {
            guard case .table(let entries) = element else {
                refuse(["route"], key: "route", "\(element.summary), expected [[route]], one for each route")
                continue
            }
            readRoute(number, entries)
        }
    }

    private mutating func readRoute(_ number: Int, _ entries: [String: TOMLNode]) {
        let path = ["route", String(number)]
        let problemsBefore = problems.count
        var route = Route(prefixes: [], trunk: "")
        for key in Route.keys.prefix(2) where entries[key.name] == nil {
            refuse(path, key: "route.\(key.name)", "is missing, expected \(key.expected)")
        }
        for (leaf, node) in entries.sorted(by: { $0.key < $1.key }) {
            guard let key = Route.keys.first(where: { $0.name == leaf }) else {
                refuseUnknown("route.\(leaf)", path: path + [leaf], isTable: node.isTable, candidates: [])
                continue
            }
            if let problem = key.problem(reading: node, into: &route) {
                refuse(path + [leaf], key: "route.\(leaf)", problem)
            }
            configuration.origins["route.\(configuration.routes.count + 1).\(leaf)"] = .file(file, line: lines[path + [leaf]])
        }
        guard problems.count == problemsBefore else { return }
        configuration.routes.append(route)
        routeNumbers.append(number)
    }

    mutating func refuseUnknown(
        _ name: String, path: [String]? = nil, isTable: Bool, candidates: [String]
    ) {
        var names = candidates
        if !isTable {
            names += Configuration.keys.map(\.name) + Configuration.keys.compactMap(\.vosName)
            names += Trunk.keys.map { "trunk.\($0.name)" } + Route.keys.map { "route.\($0.name)" }
            names += User.keys.map { "user.\($0.name)" }
        }
        let suggestion = Suggestion.nearest(to: name, among: names).map { ", did you mean `\($0)`?" } ?? ""
        refuse(
            path ?? name.split(separator: ".").map(String.init), key: name,
            "unknown \(isTable ? "table" : "key")\(suggestion)")
    }

    private func isPresent(_ name: String, in top: [String: TOMLNode]) -> Bool {
        let parts = name.split(separator: ".").map(String.init)
        guard case .table(let entries)? = top[parts[0]] else { return false }
        return entries[parts[1]] != nil
    }
}

extension TOMLNode {
    var isTable: Bool {
        switch self {
        case .table: true
        case .array(let elements): elements.contains { $0.isTable }
        default: false
        }
    }
}
