package import Core

/// Suspends a user name at one source address after too many wrong passwords, and remembers nothing else.
///
/// Never a whole address: others behind the same NAT go on. Bounded: when more names than fit are tried, the oldest failures are
/// forgotten first, which only helps whoever has that many addresses anyway.
package struct CredentialGuard: Sendable {
    package struct Settings: Sendable {
        package var failures = 6
        package var suspension = Duration.seconds(180)
        package init() {}
    }

    private struct Key: Hashable {
        let user: UInt64
        let ip: IPAddress
    }

    private struct Record {
        var failures: Int
        /// Of the last failure; a suspension lasts from then.
        var at: Instant
        /// Its beginning, for people; empty as long as it is not suspended.
        var name: [UInt8] = []
    }

    /// A user name that is suspended at an address.
    package struct Suspension: Sendable {
        package let name: [UInt8]
        package let ip: IPAddress
        package let until: Instant
    }

    private let settings: Settings
    private let seed: UInt64
    private let capacity: Int
    private var records: [Key: Record] = [:]
    private var older: [Key: Record] = [:]
    private var rotatedAt: Instant

    package init(settings: Settings, seed: UInt64, capacity: Int = 65_536, now: Instant) {
        self.settings = settings
        self.seed = seed
        self.capacity = capacity
        rotatedAt = now
    }

    package func isSuspended(_ user: [UInt8], at ip: IPAddress, now: Instant) -> Bool {
        guard !(records.isEmpty && older.isEmpty) else { return false }
        let key = key(user, ip)
        guard let record = records[key] ?? older[key] else { return false }
        return record.failures >= settings.failures && now < record.at + settings.suspension
    }

    /// - Returns: true when this failure begins a suspension.
    package mutating func noteFailure(_ user: [UInt8], at ip: IPAddress, now: Instant) -> Bool {
        if now >= rotatedAt + settings.suspension || records.count >= capacity / 2 {
            older = records
            records = [:]
            rotatedAt = now
        }
        let key = key(user, ip)
        var record = records[key] ?? older.removeValue(forKey: key) ?? Record(failures: 0, at: now)
        // Failures that far apart are a person, not an attack.
        if now >= record.at + settings.suspension { record.failures = 0 }
        record.failures += 1
        record.at = now
        if record.failures >= settings.failures { record.name = Array(user.prefix(Self.nameLimit)) }
        records[key] = record
        return record.failures == settings.failures
    }

    package mutating func noteSuccess(_ user: [UInt8], at ip: IPAddress) {
        guard !(records.isEmpty && older.isEmpty) else { return }
        let key = key(user, ip)
        records[key] = nil
        older[key] = nil
    }

    private static let nameLimit = 64

    /// Who is suspended, by name and address.
    package func suspensions(now: Instant) -> [Suspension] {
        let suspended = [records, older].joined().compactMap { key, record in
            record.failures >= settings.failures && now < record.at + settings.suspension
                ? Suspension(name: record.name, ip: key.ip, until: record.at + settings.suspension) : nil
        }
        return suspended.sorted { left, right in
            left.name == right.name
                ? (left.ip.high, left.ip.low) < (right.ip.high, right.ip.low) : left.name.lexicographicallyPrecedes(right.name)
        }
    }

    /// An operator ends the suspensions of a name, at one address or at all.
    ///
    /// - Returns: what ended.
    package mutating func lift(_ name: [UInt8], at ip: IPAddress?, now: Instant) -> [Suspension] {
        let shown = Array(name.prefix(Self.nameLimit))
        let lifted = suspensions(now: now).filter { $0.name == shown && (ip == nil || $0.ip == ip) }
        let addresses = Set(lifted.map(\.ip))
        func stays(_ key: Key, _ record: Record) -> Bool { record.name != shown || !addresses.contains(key.ip) }
        records = records.filter { stays($0.key, $0.value) }
        older = older.filter { stays($0.key, $0.value) }
        return lifted
    }

    package var count: Int { records.count + older.count }

    private func key(_ user: [UInt8], _ ip: IPAddress) -> Key {
        var hash = seed
        for octet in user { hash = (hash ^ UInt64(octet)) &* 0x0000_0100_0000_01b3 }
        return Key(user: hash, ip: ip)
    }
}
