import Configuration
import Core
import SIP

/// Everything about the users of this daemon: who they are, where they are registered, and how they are kept reachable.
///
/// Part of `CallControl`, which gives it what comes from the network and sends what it wants sent.
struct Phones {
    var users: UserDirectory
    /// Users whose calls are a trunk's.
    var trunks: [UserIndex: String]
    let engine: DigestEngine
    var registrar: Registrar
    var digest: DigestServer
    var credentialGuard: CredentialGuard
    var queue: RegisterQueue
    var keepAlives: KeepAlives
    var connections = PhoneConnections()
    /// Who sent the request that is being received: it has proven that.
    var admitted: UserIndex?
    /// When and how the last contact of a user that has none went; since the start of the process.
    var departures: [UserIndex: (at: Instant, how: Registrar.Removal)] = [:]
    /// Calls in progress by address, of those that are no trunk.
    var callsBySource: [IPAddress: Int] = [:]

    init(_ configuration: Configuration, key: [UInt8], runName: String, seed: UInt64, now: Instant, wallTime: WallTime) {
        let engine = DigestEngine()
        let realm = Array(configuration.registrar.realm.utf8)
        users = UserDirectory(configuration.users, realm: realm, engine: engine)
        trunks = Self.trunks(of: configuration, users)
        self.engine = engine
        var settings = Registrar.Settings()
        settings.expires = configuration.registrar.expires
        settings.natExpires = configuration.registrar.natExpires
        settings.minimumExpires = configuration.registrar.minimumExpires
        settings.bindings = configuration.limits.bindings
        settings.bindingsPerUser = configuration.limits.bindingsPerUser
        registrar = Registrar(userCount: users.count, settings: settings)
        digest = DigestServer(
            realm: realm, algorithms: configuration.registrar.algorithms.map { $0 == .md5 ? .md5 : .sha256 }, key: key,
            lifetime: configuration.registrar.nonceLifetime, engine: engine, now: wallTime)
        var protection = CredentialGuard.Settings()
        protection.failures = configuration.protection.failures
        protection.suspension = configuration.protection.suspension
        credentialGuard = CredentialGuard(settings: protection, seed: seed, now: now)
        queue = RegisterQueue(
            ratePerSource: configuration.protection.registersPerSource, rate: configuration.protection.registers, now: now)
        keepAlives = KeepAlives(
            configuration.keepAlive, expectedCount: configuration.limits.bindings, endpoints: configuration.sip.endpoints,
            userAgent: configuration.sip.userAgent, runName: runName, now: now)
    }

    /// The user that a called number or name belongs to.
    func user(called uri: SIPURI) -> UserIndex? { uri.unescapedUser.flatMap { users.find($0) } }

    /// Whether a called number or name is this user's.
    func isUser(_ user: UserIndex, called uri: SIPURI) -> Bool {
        uri.hasUser(users.name(of: user)) || self.user(called: uri) == user
    }

    var nextDeadline: Instant? {
        [registrar.nextExpiry, queue.nextTurn, keepAlives.nextTick].compactMap(\.self).min()
    }
}

extension UserDirectory {
    /// The users of a configuration, whose names and numbers are unique.
    init(_ users: [User], realm: [UInt8], engine: DigestEngine) {
        self.init()
        for user in users {
            let name = Array(user.name.utf8)
            let hashes = user.ha1.compactMap { DigestValue(hex: Array($0.utf8)) }
            func secret(_ algorithm: DigestAlgorithm) -> DigestValue? {
                hashes.first { $0.algorithm == algorithm }
                    ?? user.password.flatMap { engine.secret(algorithm, username: name, realm: realm, password: Array($0.utf8)) }
            }
            let isAdded = add(
                name: name, numbers: user.numbers.map { Array($0.utf8) }, md5: secret(.md5), sha256: secret(.sha256))
            precondition(isAdded, "names and numbers were checked with the configuration")
        }
    }
}
