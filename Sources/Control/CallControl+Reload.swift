package import Configuration
package import Core
import ControlProtocol
import SIP

/// A changed configuration, taken over while calls are up. Calls keep what they began with.
extension CallControl {
    /// - Parameter digestKey: as `init` takes it, for the first users there are.
    package mutating func apply(_ newer: Configuration, digestKey: [UInt8]? = nil, now: Instant) {
        let former = configuration
        configuration = newer
        routing = Routing(trunks: newer.trunks, routes: newer.routes)
        media.setQuarantine(newer.media.quarantine)
        scanners = newer.protection.scanners.map { $0.lowercased().utf8.map { $0 } }
        for trunk in newer.trunks {
            guard let state = trunkStates[trunk.name] else {
                trunkStates[trunk.name] = TrunkState(SharedTrunk(trunk), load(of: trunk.name), now: now)
                if trunk.probe == .always { planProbe(of: trunk.name, at: now) }
                if trunk.register == .on { planRegister(of: trunk.name, at: now) }
                continue
            }
            let before = state.trunk
            state.take(trunk, now: now)
            if trunk.probe == .always, before.probe != .always, state.probe == nil { planProbe(of: trunk.name, at: now) }
            if trunk.username != before.username || trunk.password != before.password { state.digest = nil }
        }
        for trunk in former.trunks where !newer.trunks.contains(where: { $0.name == trunk.name }) {
            endRegistration(of: trunk.name, now: now)
            for waiting in waitingProbes where waiting.trunk == trunk.name {
                output(.probed(waiting.token, ProbeReport(trunk: trunk.name, address: trunk.address, result: "the trunk was removed")))
            }
            waitingProbes.removeAll { $0.trunk == trunk.name }
            trunkStates[trunk.name] = nil
        }
        if newer.limits.callsPerSecond != former.limits.callsPerSecond {
            callRate = CallRate(rate: newer.limits.callsPerSecond, now: now)
        }
        takeUsers(newer, digestKey, now: now)
        drain(now)
    }

    private mutating func takeUsers(_ newer: Configuration, _ digestKey: [UInt8]?, now: Instant) {
        if phones == nil, !newer.users.isEmpty { phones = makePhones(digestKey, now: now) }
        guard phones != nil else { return }
        let gone = phones!.takeUsers(newer)
        for user in gone { forgetRegistrations(of: user, now: now) }
        // The last one has gone: whoever calls now is a stranger, as where there never were any.
        if newer.users.isEmpty { phones = nil }
    }
}

extension TrunkState {
    /// Its settings changed; what is known of it stays.
    func take(_ newer: Trunk, now: Instant) {
        if newer.callsPerSecond != trunk.callsPerSecond {
            outgoing = TokenBucket(rate: newer.callsPerSecond, now: now)
            incoming = TokenBucket(rate: newer.callsPerSecond, now: now)
        }
        // Somebody else is there now: what befell the old address says nothing.
        if newer.address != trunk.address { health = TrunkHealth() }
        trunk = SharedTrunk(newer)
    }
}

extension Phones {
    /// - Returns: users that are no more.
    mutating func takeUsers(_ configuration: Configuration) -> [UserIndex] {
        let newer = UserDirectory(configuration.users, realm: digest.realm, engine: engine)
        let gone = users.update(to: newer)
        registrar.makeRoom(forUsers: users.count)
        registrar.setLimits(bindings: configuration.limits.bindings, perUser: configuration.limits.bindingsPerUser)
        trunks = Self.trunks(of: configuration, users)
        return gone
    }

    static func trunks(of configuration: Configuration, _ users: UserDirectory) -> [UserIndex: String] {
        configuration.users.reduce(into: [:]) { trunks, user in
            if let trunk = user.trunk, let index = users.find(name: Array(user.name.utf8)) { trunks[index] = trunk }
        }
    }
}
