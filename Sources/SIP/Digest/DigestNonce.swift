import Core

/// Nonces that need no memory until they are used: their time, a serial number, and a MAC over both and the address they were
/// given to. So nobody can use one in the name of an address he only pretends to have.
///
/// They outlive a restart when the key does, so that phones need not be challenged anew.
struct NonceMint {
    /// What a nonce says of itself once its MAC was found right.
    struct Nonce: Equatable {
        let madeAt: WallTime
        /// Unique within the millisecond, so that two phones never share a nonce.
        let serial: UInt16

        var key: UInt64 { UInt64(truncatingIfNeeded: madeAt.milliseconds) << 16 | UInt64(serial) }
    }

    /// Of the text: 18 octets in base 64, ten of them the MAC: as short as is safe, since a challenge has to be small.
    static let textCount = 24
    private static let plainCount = 8
    private static let octetCount = 18
    private let authenticator: MessageAuthenticator
    private var nextSerial: UInt16 = 0

    init(key: [UInt8]) { authenticator = MessageAuthenticator(key: key) }

    /// The text of a new one.
    mutating func make(for ip: IPAddress, now: WallTime) -> InlineArray<24, UInt8> {
        let nonce = Nonce(madeAt: now, serial: nextSerial)
        nextSerial &+= 1
        var octets = InlineArray<18, UInt8>(repeating: 0)
        for index in 0..<Self.plainCount { octets[index] = UInt8(truncatingIfNeeded: nonce.key >> UInt64(56 - 8 * index)) }
        let mac = authenticate(nonce.key, ip)
        for index in Self.plainCount..<Self.octetCount { octets[index] = mac[index - Self.plainCount] }
        return Self.text(of: octets)
    }

    private func authenticate(_ key: UInt64, _ ip: IPAddress) -> InlineArray<32, UInt8> {
        var text = InlineArray<25, UInt8>(repeating: ip.family.rawValue)
        for index in 0..<8 {
            let shift = UInt64(56 - 8 * index)
            text[index] = UInt8(truncatingIfNeeded: key >> shift)
            text[8 + index] = UInt8(truncatingIfNeeded: ip.high >> shift)
            text[16 + index] = UInt8(truncatingIfNeeded: ip.low >> shift)
        }
        return authenticator.authenticate(text.span)
    }

    /// Nil for anything this mint did not make for `ip`.
    func read(_ octets: Span<UInt8>, _ range: Range<Int>, from ip: IPAddress) -> Nonce? {
        guard range.count == Self.textCount else { return nil }
        var plain = InlineArray<18, UInt8>(repeating: 0)
        let values = Self.values
        for group in 0..<6 {
            var bits: UInt32 = 0
            for position in 0..<4 {
                let value = values[Int(octets[range.lowerBound + 4 * group + position])]
                guard value < 64 else { return nil }
                bits = bits << 6 | UInt32(value)
            }
            for position in 0..<3 { plain[3 * group + position] = UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * position)) }
        }
        var key: UInt64 = 0
        for index in 0..<Self.plainCount { key = key << 8 | UInt64(plain[index]) }
        let mac = authenticate(key, ip)
        var difference: UInt8 = 0
        for index in Self.plainCount..<Self.octetCount { difference |= plain[index] ^ mac[index - Self.plainCount] }
        guard difference == 0 else { return nil }
        return Nonce(madeAt: WallTime(milliseconds: Int64(key >> 16)), serial: UInt16(truncatingIfNeeded: key))
    }

    // RFC 4648 §5: no character that would need quoting anywhere.
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, octet) in alphabet.enumerated() { values[Int(octet)] = UInt8(value) }
        return values
    }()

    private static func text(of octets: InlineArray<18, UInt8>) -> InlineArray<24, UInt8> {
        var text = InlineArray<24, UInt8>(repeating: 0)
        let alphabet = alphabet
        for group in 0..<6 {
            let bits = UInt32(octets[3 * group]) << 16 | UInt32(octets[3 * group + 1]) << 8 | UInt32(octets[3 * group + 2])
            for position in 0..<4 { text[4 * group + position] = alphabet[Int(bits >> UInt32(18 - 6 * position) & 63)] }
        }
        return text
    }
}

/// Which nonce counts were used, so that no response is taken twice (RFC 7616 §3.4, §5.5).
///
/// Only valid responses get in, each nonce for as long as it lives. When more come than there is room for, the oldest half is
/// forgotten, and every nonce made before then counts as stale: a client is asked once more, and nothing can be replayed.
struct ReplayWindow {
    private struct Use {
        var highest: UInt32
        /// Bit n: `highest - n` was used.
        var recent: UInt32
    }

    /// Of a nonce. Its MAC was found right, so nobody else has chosen it; the nonces of many milliseconds share their serial numbers,
    /// so all of it has a part in the low bits.
    private struct Key: SerialNumber {
        let rawValue: UInt64

        func _rawHashValue(seed: Int) -> Int {
            let product = (rawValue ^ UInt64(truncatingIfNeeded: seed)) &* 0x9e37_79b9_7f4a_7c15
            return Int(truncatingIfNeeded: product ^ product >> 32)
        }
    }

    private let capacity: Int
    private let lifetime: Duration
    private var current: [Key: Use] = [:]
    private var previous: [Key: Use] = [:]
    private var rotatedAt: WallTime
    private var latest = WallTime(milliseconds: 0)
    private var previousLatest = WallTime(milliseconds: 0)
    /// Nonces made at or before this are stale.
    private(set) var floor: WallTime

    init(capacity: Int, lifetime: Duration, now: WallTime) {
        self.capacity = capacity
        self.lifetime = lifetime
        rotatedAt = now
        floor = WallTime(milliseconds: 0)
    }

    var count: Int { current.count + previous.count }

    /// Takes note of one use; false when it is a repetition, or too far behind to tell.
    mutating func use(_ nonce: NonceMint.Nonce, count: UInt32, now: WallTime) -> Bool {
        if nonce.madeAt <= floor { return false }
        if now >= rotatedAt + lifetime || current.count >= capacity / 2 { rotate(now: now) }
        if nonce.madeAt <= floor { return false }
        let key = Key(rawValue: nonce.key)
        guard var use = current[key] ?? previous.removeValue(forKey: key) else {
            current[key] = Use(highest: count, recent: 1)
            latest = max(latest, nonce.madeAt)
            return true
        }
        if count > use.highest {
            let distance = count - use.highest
            use.recent = distance < 32 ? use.recent << distance | 1 : 1
            use.highest = count
        } else {
            let distance = use.highest - count
            guard distance < 32, use.recent >> distance & 1 == 0 else {
                current[key] = use
                return false
            }
            use.recent |= 1 << distance
        }
        current[key] = use
        latest = max(latest, nonce.madeAt)
        return true
    }

    private mutating func rotate(now: WallTime) {
        // What has rested for a whole lifetime has expired by itself.
        if !previous.isEmpty, now < rotatedAt + lifetime { floor = max(floor, previousLatest) }
        previous = current
        previousLatest = latest
        current = [:]
        latest = WallTime(milliseconds: 0)
        rotatedAt = now
    }
}
