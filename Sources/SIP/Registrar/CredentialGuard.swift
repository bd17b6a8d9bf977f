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
        records[key] = record
        return record.failures == settings.failures
    }

    package mutating func noteSuccess(_ user: [UInt8], at ip: IPAddress) {
        guard !(records.isEmpty && older.isEmpty) else { return }
        let key = key(user, ip)
        records[key] = nil
        older[key] = nil
    }

    package var count: Int { records.count + older.count }

    private func key(_ user: [UInt8], _ ip: IPAddress) -> Key {
        var hash = seed
        for octet in user { hash = (hash ^ UInt64(octet)) &* 0x0000_0100_0000_01b3 }
        return Key(user: hash, ip: ip)
    }
}
