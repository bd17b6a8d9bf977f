/// One row of `relayctl config show`.
package struct Setting: Hashable, Sendable {
    /// The dotted name; `trunk.NAME.KEY` for a trunk's, `route.NUMBER.KEY` for a route's.
    package var key: String
    /// The value in effect, also where it follows another key; empty when there is none.
    package var value: String
    package var origin: Configuration.Origin
    package var vosName: String?
    package var reload: ReloadClass
    package var explanation: String
}

extension Configuration {
    /// Every key with the value in effect, in the order of the reference file, then every trunk's.
    package var settings: [Setting] {
        let own = Self.keys.map { key in
            Setting(
                key: key.name, value: key.text(self), origin: origins[key.name] ?? .default, vosName: key.vosName,
                reload: key.reload, explanation: key.explanation)
        }
        return own + trunks.flatMap(settings(of:)) + routes.enumerated().flatMap { settings(of: $1, number: $0 + 1) }
    }

    private func settings(of route: Route, number: Int) -> [Setting] {
        Route.keys.map { key in
            let name = "route.\(number).\(key.name)"
            return Setting(
                key: name, value: key.text(route), origin: origins[name] ?? .default, vosName: key.vosName,
                reload: key.reload, explanation: key.explanation)
        }
    }

    private func settings(of trunk: Trunk) -> [Setting] {
        var effective = trunk
        effective.noMediaTimeout = noMediaTimeout(for: trunk)
        effective.noMediaMode = noMediaMode(for: trunk)
        let timers = timers(for: trunk)
        effective.inviteTimeout = timers.invite
        effective.tryingTimeout = timers.trying
        effective.progressTimeout = timers.progress
        effective.earlyMediaTimeout = timers.earlyMedia
        effective.ringingTimeout = timers.ringing
        effective.failover = failover(for: trunk)
        effective.sessionTimer = trunk.sessionTimer ?? sip.sessionTimer
        effective.sessionTimerMinimum = trunk.sessionTimerMinimum ?? sip.sessionTimerMinimum
        effective.sessionTimerRefresher = trunk.sessionTimerRefresher ?? sip.sessionTimerRefresher
        effective.maximumDuration = maximumDuration(trunk.maximumDuration, nil) ?? .zero
        return Trunk.keys.map { key in
            let name = "trunk.\(trunk.name).\(key.name)"
            return Setting(
                key: name, value: key.text(effective), origin: origins[name] ?? .default, vosName: key.vosName,
                reload: key.reload, explanation: key.explanation)
        }
    }
}

extension Configuration.Origin: CustomStringConvertible {
    /// `default`, `FILE:LINE`, or `NAME at FILE:LINE`.
    package var description: String {
        switch self {
        case .default: "default"
        case .file(let file, let line): "\(file):\(line)"
        case .vosAlias(let name, let file, let line): "\(name) at \(file):\(line)"
        }
    }
}
