package import Core

/// Makes commands happen once: who repeats a request, since no answer came in time, gets the same answer.
///
/// For every message: `begin`; when it says `.new`, carry the command out, `finish` with the answer and send it. The
/// owner is one thread, the clock is the caller's.
package struct NGReplyCache: Sendable {
    /// Cookie and command, and the Call-ID: two proxies in containers of the same image produce the same cookies, and
    /// one must never be given the other's description.
    package struct Key: Hashable, Sendable {
        /// A copy: slices would keep the whole datagrams.
        private let octets: [UInt8]
        private let cookieCount: UInt32
        /// It is looked up several times, and hashed once.
        private let digest: Int

        package init(_ envelope: NGEnvelope) {
            let command = envelope.dictionary["command"]?.octets ?? []
            let callID = envelope.dictionary["call-id"]?.octets ?? []
            var octets: [UInt8] = []
            octets.reserveCapacity(envelope.cookie.count + command.count + callID.count + 2)
            octets += envelope.cookie
            octets.append(0)
            octets += command
            octets.append(0)
            octets += callID
            self.octets = octets
            cookieCount = UInt32(envelope.cookie.count)
            var hasher = Hasher()
            // SAFETY: the hasher reads the octets during the call.
            unsafe octets.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
            digest = hasher.finalize()
        }

        package var cookie: ArraySlice<UInt8> { octets[..<Int(cookieCount)] }

        package static func == (left: Key, right: Key) -> Bool { left.digest == right.digest && left.octets == right.octets }

        package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
    }

    package enum Lookup: Equatable, Sendable {
        /// Carry it out. From now on a repetition is `.inProgress`.
        case new
        /// It is being carried out; its answer will be sent when it is there. Say nothing.
        case inProgress
        /// Send this again, octet for octet.
        case answered([UInt8])
    }

    private struct Entry {
        var reply: [UInt8]?
        let expiry: Instant
        let number: UInt64
    }

    private let capacity: Int
    private let octetCapacity: Int
    private let lifetime: Duration
    private var entries: [Key: Entry] = [:]
    /// In the order in which they began, which is the order in which they expire. May name entries that are gone.
    private var order: [(key: Key, number: UInt64)] = []
    private var orderStart = 0
    private var nextNumber: UInt64 = 0
    /// Of all answers kept.
    package private(set) var octetCount = 0
    package var count: Int { entries.count }

    /// - Parameters:
    ///   - capacity: answers kept. When there are more within the life time, the oldest goes early.
    ///   - octetCapacity: of all answers together.
    ///   - lifetime: from the request on. Kamailio gives up after 6 s, rtpengine keeps answers for 30 to 60.
    package init(capacity: Int = 16_384, octetCapacity: Int = 16 << 20, lifetime: Duration = .seconds(60)) {
        precondition(capacity > 0, "a cache without room would carry every repetition out")
        self.capacity = capacity
        self.octetCapacity = octetCapacity
        self.lifetime = lifetime
    }

    package mutating func begin(_ key: Key, now: Instant) -> Lookup {
        removeExpired(now: now)
        if let entry = entries[key] { return entry.reply.map { .answered($0) } ?? .inProgress }
        if entries.count >= capacity { removeOldest() }
        entries[key] = Entry(reply: nil, expiry: now + lifetime, number: nextNumber)
        order.append((key, nextNumber))
        nextNumber += 1
        return .new
    }

    /// Keeps the answer, whole with its cookie. Without effect when the entry has had to go meanwhile.
    package mutating func finish(_ key: Key, reply: [UInt8]) {
        guard let index = entries.index(forKey: key), entries.values[index].reply == nil else { return }
        entries.values[index].reply = reply
        octetCount += reply.count
        while octetCount > octetCapacity, entries.count > 1 { removeOldest() }
    }

    /// Gives up the memory of answers that nobody asks for any more. `begin` does it too.
    package mutating func removeExpired(now: Instant) {
        while orderStart < order.count {
            let (key, number) = order[orderStart]
            if let entry = entries[key], entry.number == number {
                guard entry.expiry <= now else { break }
                remove(key)
            }
            orderStart += 1
        }
        compact()
    }

    private mutating func removeOldest() {
        while orderStart < order.count {
            let (key, number) = order[orderStart]
            orderStart += 1
            if entries[key]?.number == number {
                remove(key)
                break
            }
        }
        compact()
    }

    private mutating func remove(_ key: Key) {
        if let entry = entries.removeValue(forKey: key) { octetCount -= entry.reply?.count ?? 0 }
    }

    /// Moves the queue down once half of it is used up, so that a removal costs the same whatever the count.
    private mutating func compact() {
        guard orderStart > 32, orderStart * 2 > order.count else { return }
        order.removeFirst(orderStart)
        orderStart = 0
    }
}
