import Core

/// `[[user]]`, the users file, and what the keys of phones say together.
extension ConfigurationReader {
    mutating func readUsers(_ node: TOMLNode) {
        guard case .array(let elements) = node else {
            return refuse(["user"], key: "user", "\(node.summary), expected [[user]], one for each phone")
        }
        for (number, element) in elements.enumerated() {
            guard case .table(let entries) = element else {
                refuse(["user"], key: "user", "\(element.summary), expected [[user]], one for each phone")
                continue
            }
            readUser(number, entries)
        }
    }

    private mutating func readUser(_ number: Int, _ entries: [String: TOMLNode]) {
        let path = ["user", String(number)]
        let problemsBefore = problems.count
        var user = User(name: "")
        if entries["name"] == nil {
            refuse(path, key: "user.name", "is missing, expected \(User.keys[0].expected)")
        }
        for (leaf, node) in entries.sorted(by: { $0.key < $1.key }) {
            guard let key = User.keys.first(where: { $0.name == leaf }) else {
                refuseUnknown("user.\(leaf)", path: path + [leaf], isTable: node.isTable, candidates: [])
                continue
            }
            if let problem = key.problem(reading: node, into: &user) { refuse(path + [leaf], key: "user.\(leaf)", problem) }
        }
        guard problems.count == problemsBefore else { return }
        if user.password == nil, user.ha1.isEmpty {
            return refuse(path, key: "user.password", "is missing, expected it or ha1 for user \(user.name.quotedForTOML)")
        }
        configuration.users.append(user)
        userNumbers.append(number)
    }

    /// Fills in the profile, reads the users file, and checks names and periods.
    mutating func completePhones() {
        if let profile = configuration.keepAlive.profile {
            let origin = configuration.origins["keepalive.profile"]
            func isGiven(_ key: String) -> Bool { configuration.origins[key] != nil }
            if !isGiven("keepalive.period") {
                configuration.keepAlive.period = profile.period
                configuration.origins["keepalive.period"] = origin
            }
            if !isGiven("keepalive.interval") {
                configuration.keepAlive.interval = profile.interval
                configuration.origins["keepalive.interval"] = origin
            }
            if !isGiven("keepalive.quantity") {
                configuration.keepAlive.quantity = profile.quantity
                configuration.origins["keepalive.quantity"] = origin
            }
        }
        let keepAlive = configuration.keepAlive
        let registrar = configuration.registrar
        if keepAlive.isOn, keepAlive.period >= registrar.natExpires {
            refuse(
                ["keepalive", "period"], key: "keepalive.period",
                "\(keepAlive.period.components.seconds)s is not below registrar.nat_expires = "
                    + "\(registrar.natExpires.components.seconds)s, expected at most a fifth of it")
        }
        if keepAlive.interval > keepAlive.period {
            refuse(["keepalive", "interval"], key: "keepalive.interval", "is longer than keepalive.period, expected a part of it")
        }
        if registrar.minimumExpires > min(registrar.natExpires, registrar.expires) {
            refuse(
                ["registrar", "min_expires"], key: "registrar.min_expires",
                "is longer than what is granted at most, expected at most registrar.nat_expires and registrar.expires")
        }
        checkUsers()
    }

    /// Adds the users of `registrar.users_file`. The one part of a configuration that stands in another file.
    mutating func readUsersFile() {
        guard let path = configuration.registrar.usersFile else { return }
        do {
            configuration.users += try UsersFile.load(path: path)
        } catch {
            let place = error.line == 0 ? path : "\(path):\(error.line)"
            return refuse(["registrar", "users_file"], key: "registrar.users_file", "\(place): \(error.reason)")
        }
        checkUsers()
    }

    private mutating func checkUsers() {
        for (index, user) in configuration.users.enumerated() where index < userNumbers.count {
            guard let name = user.trunk, !configuration.trunks.contains(where: { $0.name == name }) else { continue }
            let near = Suggestion.nearest(to: name, among: configuration.trunks.map(\.name)).map { ", did you mean `\($0)`?" } ?? ""
            refuse(["user", String(userNumbers[index]), "trunk"], key: "user.trunk", "there is no trunk \(name.quotedForTOML)\(near)")
        }
        var owners: [String: String] = [:]
        for (index, user) in configuration.users.enumerated() {
            for key in [user.name] + user.numbers.filter({ $0 != user.name }) {
                guard let owner = owners.updateValue(user.name, forKey: key) else { continue }
                let text = "\(key.quotedForTOML) also names user \(owner.quotedForTOML), expected names and numbers to be unique"
                if index < userNumbers.count {
                    refuse(["user", String(userNumbers[index]), "name"], key: "user.name", text)
                } else {
                    refuse(["registrar", "users_file"], key: "registrar.users_file", text)
                }
                return  // one is enough: a file that was given twice would make a thousand
            }
        }
    }
}

extension Configuration {
    /// Lints of phones and keep-alive.
    var phoneWarnings: [String] {
        var warnings: [String] = []
        guard !users.isEmpty else { return [] }
        if !keepAlive.isOn {
            warnings.append(
                "keepalive.message: empty, so nothing keeps the pinholes of phones behind NAT open, and calls to them fail once "
                    + "their router forgets them")
        } else if keepAlive.period * 5 > registrar.natExpires {
            warnings.append(
                "keepalive.period: \(keepAlive.period.components.seconds)s is more than a fifth of registrar.nat_expires = "
                    + "\(registrar.natExpires.components.seconds)s")
        }
        if keepAlive.isOn, keepAlive.capacity < limits.bindings {
            warnings.append(
                "keepalive: \(keepAlive.period.components.seconds)s / \(keepAlive.interval.milliseconds)ms x "
                    + "\(keepAlive.quantity) is enough for \(keepAlive.capacity) phones a cycle, fewer than limits.bindings = "
                    + "\(limits.bindings)")
        }
        // What comes by a connection is never granted the shorter nat_expires.
        if sip.idleTimeout < registrar.expires, sip.allListeners.contains(where: { $0.transport != .udp }) {
            warnings.append(
                "sip.idle_timeout: \(sip.idleTimeout.components.seconds)s is shorter than registrar.expires = "
                    + "\(registrar.expires.components.seconds)s, so a phone by TCP or TLS that sends nothing "
                    + "between two REGISTERs loses its connection, and no call reaches it before the next one")
        }
        let names = registrar.algorithms.map(\.rawValue)
        for user in users where user.password == nil && !user.ha1.contains(where: { hash in
            names.contains(hash.utf8.count == 32 ? "MD5" : "SHA-256")
        }) {
            warnings.append("user \(user.name): its hash is for none of registrar.algorithms, so it can never register")
        }
        return warnings
    }
}
