extension Configuration {
    /// One setting that differs between the running configuration and the file, and what becomes of it.
    package struct Change: Equatable, Sendable {
        /// As `Setting.key`.
        package let key: String
        /// Secrets are masked.
        package let before: String
        package let after: String
        package let effect: ReloadClass
    }

    /// This configuration with everything of `newer` that can be taken over while calls are up. What needs a restart stays as it
    /// is, and is told: the file and the running daemon differ in it from then on.
    ///
    /// - Parameter callCapacity: `limits.calls` at start.
    package func reloaded(
        with newer: Configuration, callCapacity: Int
    ) -> (configuration: Configuration, changes: [Change]) {
        var merged = self
        var changes: [Change] = []
        for key in Self.keys where key.literal(self) != key.literal(newer) {
            let effect = effect(of: key, newer, callCapacity: callCapacity)
            changes.append(Change(key: key.name, before: key.text(self), after: key.text(newer), effect: effect))
            guard effect != .needsRestart else { continue }
            key.copy(newer, &merged)
            merged.origins[key.name] = newer.origins[key.name]
        }
        merged.trunks = newer.trunks.map { mergedTrunk($0, &changes) }
        for trunk in trunks where !newer.trunks.contains(where: { $0.name == trunk.name }) {
            changes.append(Change(key: "trunk.\(trunk.name)", before: "there", after: "removed", effect: .newCallsOnly))
        }
        if routes.map(Self.literals) != newer.routes.map(Self.literals) {
            changes.append(
                Change(key: "route", before: "\(routes.count) routes", after: "\(newer.routes.count) routes", effect: .newCallsOnly))
        }
        merged.routes = newer.routes
        mergeUsers(of: newer, into: &merged, &changes)
        let prefixes = ["trunk.", "route.", "user."]
        merged.origins = merged.origins.filter { origin in !prefixes.contains { origin.key.hasPrefix($0) } }
        for (name, origin) in newer.origins where prefixes.contains(where: { name.hasPrefix($0) }) { merged.origins[name] = origin }
        return (merged, changes)
    }

    private func effect(of key: ConfigurationKey<Configuration>, _ newer: Configuration, callCapacity: Int) -> ReloadClass {
        switch key.reload {
        case .appliedUpToStart: return newer.limits.calls <= callCapacity ? .appliedNow : .needsRestart
        case .needsRestart:
            // As long as there are no users nobody has looked at what is said of them.
            let isOfUsers = ["registrar.", "keepalive.", "protection."].contains { key.name.hasPrefix($0) }
            return users.isEmpty && isOfUsers ? .appliedNow : .needsRestart
        case .appliedNow, .newCallsOnly: return key.reload
        }
    }

    private func mergedTrunk(_ newer: Trunk, _ changes: inout [Change]) -> Trunk {
        guard let present = trunks.first(where: { $0.name == newer.name }) else {
            changes.append(Change(key: "trunk.\(newer.name)", before: "", after: "added", effect: .newCallsOnly))
            return newer
        }
        var merged = newer
        for key in Trunk.keys where key.literal(present) != key.literal(newer) {
            changes.append(
                Change(
                    key: "trunk.\(newer.name).\(key.name)", before: key.text(present), after: key.text(newer), effect: key.reload))
            if key.reload == .needsRestart { key.copy(present, &merged) }
        }
        return merged
    }

    /// Accounts may come, go and change.
    private func mergeUsers(of newer: Configuration, into merged: inout Configuration, _ changes: inout [Change]) {
        let old = Dictionary(users.map { ($0.name, Self.literals($0)) }, uniquingKeysWith: { first, _ in first })
        let new = Dictionary(newer.users.map { ($0.name, Self.literals($0)) }, uniquingKeysWith: { first, _ in first })
        let added = new.keys.filter { old[$0] == nil }.count
        let removed = old.keys.filter { new[$0] == nil }.count
        let changed = new.filter { name, literals in old[name].map { $0 != literals } ?? false }.count
        guard added + removed + changed > 0 else { return }
        changes.append(
            Change(
                key: "user", before: "\(users.count) users", after: "\(added) added, \(removed) removed, \(changed) changed",
                effect: .appliedNow))
        merged.users = newer.users
    }

    private static func literals(_ route: Route) -> [String] { Route.keys.map { $0.literal(route) } }
    private static func literals(_ user: User) -> [String] { User.keys.map { $0.literal(user) } }
}
