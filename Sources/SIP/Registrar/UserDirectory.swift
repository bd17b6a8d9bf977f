/// Names one user for as long as the process runs.
package struct UserIndex: Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// Who may register and call: names, numbers, and what their passwords come to.
package struct UserDirectory: Sendable {
    package struct Account: Sendable {
        package let name: [UInt8]
        /// Under which it is called besides its name; the first one is what others see.
        package let numbers: [[UInt8]]
        let md5: DigestValue?
        let sha256: DigestValue?

        package func secret(_ algorithm: DigestAlgorithm) -> DigestValue? { algorithm == .md5 ? md5 : sha256 }
        package var nameText: String { String(decoding: name, as: UTF8.self) }
        /// What the called side sees as the caller's user part.
        package var identity: String { String(decoding: numbers.first ?? name, as: UTF8.self) }
    }

    /// A name or number, hashed as a whole: an array would hash its octets one by one.
    private struct Key: Hashable {
        let octets: [UInt8]

        func hash(into hasher: inout Hasher) {
            // SAFETY: the octets are only read, and inside this closure.
            unsafe octets.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
    }

    private var users: [Account] = []
    private var indices: [Key: UInt32] = [:]

    package init() {}

    package var count: Int { users.count }
    package var isEmpty: Bool { users.isEmpty }
    package subscript(index: UserIndex) -> Account { users[Int(index.rawValue)] }
    package func name(of user: UserIndex) -> [UInt8] { users[Int(user.rawValue)].name }
    package func secret(of user: UserIndex, _ algorithm: DigestAlgorithm) -> DigestValue? {
        users[Int(user.rawValue)].secret(algorithm)
    }

    /// - Returns: false when the name or a number is taken; nothing was added then.
    package mutating func add(
        name: [UInt8], numbers: [[UInt8]], md5: DigestValue?, sha256: DigestValue?
    ) -> Bool {
        let keys = [name] + numbers.filter { $0 != name }
        guard keys.allSatisfy({ indices[Key(octets: $0)] == nil }) else { return false }
        let index = UInt32(users.count)
        users.append(Account(name: name, numbers: numbers, md5: md5, sha256: sha256))
        for key in keys { indices[Key(octets: key)] = index }
        return true
    }

    /// Takes the accounts of `newer` over. Users keep their index, by name; whoever is not among them any more is found by nothing
    /// and has no secret; new ones come behind.
    ///
    /// - Returns: who is gone.
    package mutating func update(to newer: UserDirectory) -> [UserIndex] {
        let places = Dictionary(users.indices.map { (users[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
        var gone = Set(users.indices)
        for account in newer.users {
            if let place = places[account.name] {
                users[place] = account
                gone.remove(place)
            } else {
                users.append(account)
            }
        }
        for place in gone { users[place] = Account(name: users[place].name, numbers: [], md5: nil, sha256: nil) }
        indices = [:]
        for (place, account) in users.enumerated() where !gone.contains(place) {
            for key in [account.name] + account.numbers { indices[Key(octets: key)] = UInt32(place) }
        }
        return gone.sorted().map { UserIndex(rawValue: UInt32($0)) }
    }

    /// The user of a name or number, escapes already read.
    package func find(_ key: [UInt8]) -> UserIndex? { indices[Key(octets: key)].map(UserIndex.init) }

    /// The user that credentials name: by its own name alone.
    package func find(name: [UInt8]) -> UserIndex? {
        guard let index = find(name), self.name(of: index) == name else { return nil }
        return index
    }
}
