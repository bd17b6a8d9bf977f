package import Core

/// Makes commands happen once: who repeats a request, since no answer came in time, gets the same answer.
///
/// For every message: `begin`; when it says `.new`, carry the command out, `finish` with the answer and send it. The
/// owner is one thread, the clock is the caller's.
///
/// Answers lie one after the other in pieces of memory, which go as a whole once everything in them has expired: a proxy that
/// sets up a thousand calls a second has a hundred thousand answers here, and each in memory of its own would take twice as
/// much.
package struct NGReplyCache: Sendable {
    /// Cookie and command, and the Call-ID: two proxies in containers of the same image produce the same cookies, and
    /// one must never be given the other's description.
    package struct Key: Hashable, Sendable {
        /// A copy: a slice would keep the whole datagram.
        private let cookieOctets: [UInt8]
        /// Stands for all three. Each process hashes with a secret of its own, so that nobody can choose keys that are taken for
        /// one another, and that two of those kept are is a chance of 1 in 10¹⁵ for each request.
        fileprivate let digest: UInt64

        package init(_ envelope: NGEnvelope) {
            let command = envelope.dictionary["command"]?.octets ?? []
            let callID = envelope.dictionary["call-id"]?.octets ?? []
            cookieOctets = Array(envelope.cookie)
            var hasher = Hasher()
            for part in [envelope.cookie[...], command[...], callID[...]] {
                hasher.combine(part.count)
                // SAFETY: the hasher reads the octets during the call.
                unsafe part.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
            }
            digest = UInt64(bitPattern: Int64(hasher.finalize()))
        }

        package var cookie: ArraySlice<UInt8> { cookieOctets[...] }
    }

    package enum Lookup: Equatable, Sendable {
        /// Carry it out. From now on a repetition is `.inProgress`.
        case new
        /// It is being carried out; its answer will be sent when it is there. Say nothing.
        case inProgress
        /// Send this again, octet for octet.
        case answered([UInt8])
    }

    /// Octets in `memory`.
    private struct Place: Sendable {
        let piece: UInt32
        let start: UInt32
        let count: UInt32
    }

    /// Of the memory: requests that are answered later than others may have theirs in any piece.
    private struct Piece: Sendable {
        var octets: [UInt8] = []
        /// Answers in it that are still kept.
        var count = 0
    }

    private struct Entry: Sendable {
        let expiry: Instant
        let digest: UInt64
        var reply: Place?
    }

    private let capacity: Int
    private let octetCapacity: Int
    private let lifetime: Duration
    /// In the order in which they began, which is the order in which they expire, from `firstEntry` on.
    private var entries: [Entry] = []
    private var firstEntry = 0
    /// How many entries were removed so far, modulo 2³¹. Entries are numbered on from it.
    private var removedCount: UInt32 = 0
    /// The numbers of entries with bit 31 set, each in its digest's place or the next free one after it; zero is a free place.
    private var table: [UInt32] = Array(repeating: 0, count: 64)
    /// The oldest first.
    private var memory: [Piece] = []
    private var firstPiece: UInt32 = 0
    /// Of all answers kept.
    package private(set) var octetCount = 0
    package var count: Int { entries.count - firstEntry }

    private static let pieceOctets = 1 << 16

    /// - Parameters:
    ///   - capacity: answers kept. When there are more within the life time, the oldest goes early.
    ///   - octetCapacity: of all answers together.
    ///   - lifetime: from the request on. Kamailio as it comes asks for the last time after 5 s and gives up after 6.
    package init(capacity: Int = 16_384, octetCapacity: Int = 16 << 20, lifetime: Duration = .seconds(15)) {
        precondition(capacity > 0, "a cache without room would carry every repetition out")
        self.capacity = capacity
        self.octetCapacity = octetCapacity
        self.lifetime = lifetime
    }

    package mutating func begin(_ key: Key, now: Instant) -> Lookup {
        removeExpired(now: now)
        if let index = index(of: key) { return entries[index].reply.map { .answered(Array(octets(at: $0))) } ?? .inProgress }
        if count >= capacity { removeOldest() }
        entries.append(Entry(expiry: now + lifetime, digest: key.digest))
        // Half of the places stay free, so that a search is short.
        if count * 2 > table.count { rebuildTable(places: table.count * 2) } else { insert(entries.count - 1) }
        return .new
    }

    /// Keeps the answer, whole with its cookie. Without effect when the entry has had to go meanwhile.
    package mutating func finish(_ key: Key, reply: [UInt8]) {
        guard let index = index(of: key), entries[index].reply == nil else { return }
        entries[index].reply = keep(reply)
        while octetCount > octetCapacity, count > 1 { removeOldest() }
    }

    /// Gives up the memory of answers that nobody asks for any more. `begin` does it too.
    package mutating func removeExpired(now: Instant) {
        while firstEntry < entries.count, entries[firstEntry].expiry <= now { removeOldest() }
    }

    private mutating func removeOldest() {
        if let reply = entries[firstEntry].reply { forget(reply) }
        removeOldestFromTable()
        firstEntry += 1
        removedCount = (removedCount + 1) & Self.numbers
        // The queue moves down once half of it is used up, so that a removal costs the same whatever the count.
        if firstEntry > 32, firstEntry * 2 > entries.count {
            entries.removeFirst(firstEntry)
            firstEntry = 0
        }
    }

    // MARK: The octets

    private mutating func keep(_ octets: [UInt8]) -> Place {
        if memory.isEmpty || memory[memory.count - 1].octets.count + octets.count > Self.pieceOctets {
            memory.append(Piece())
            memory[memory.count - 1].octets.reserveCapacity(max(Self.pieceOctets, octets.count))
        }
        let last = memory.count - 1
        let place = Place(
            piece: firstPiece &+ UInt32(last), start: UInt32(memory[last].octets.count), count: UInt32(octets.count))
        memory[last].octets += octets
        memory[last].count += 1
        octetCount += octets.count
        return place
    }

    /// A piece goes with the last answer in it, once those before it are gone.
    private mutating func forget(_ place: Place) {
        octetCount -= Int(place.count)
        memory[Int(place.piece &- firstPiece)].count -= 1
        while let first = memory.first, first.count == 0 {
            memory.removeFirst()
            firstPiece &+= 1
        }
    }

    private func octets(at place: Place) -> ArraySlice<UInt8> {
        memory[Int(place.piece &- firstPiece)].octets[Int(place.start)..<Int(place.start + place.count)]
    }

    // MARK: The table

    private static let numbers: UInt32 = 1 << 31 - 1

    private func mark(ofEntry index: Int) -> UInt32 {
        (removedCount + UInt32(index - firstEntry)) & Self.numbers | ~Self.numbers
    }

    private func index(marked mark: UInt32) -> Int { firstEntry + Int((mark &- removedCount) & Self.numbers) }

    private func home(of digest: UInt64) -> Int { Int(truncatingIfNeeded: digest) & (table.count - 1) }

    private func index(of key: Key) -> Int? {
        var place = home(of: key.digest)
        while table[place] != 0 {
            let index = index(marked: table[place])
            if entries[index].digest == key.digest { return index }
            place = (place + 1) & (table.count - 1)
        }
        return nil
    }

    private mutating func insert(_ index: Int) {
        var place = home(of: entries[index].digest)
        while table[place] != 0 { place = (place + 1) & (table.count - 1) }
        table[place] = mark(ofEntry: index)
    }

    private mutating func rebuildTable(places: Int) {
        table = Array(repeating: 0, count: places)
        for index in firstEntry..<entries.count { insert(index) }
    }

    /// Empties the oldest entry's place, and moves up those after it that would not be found any more.
    private mutating func removeOldestFromTable() {
        let mask = table.count - 1
        var free = home(of: entries[firstEntry].digest)
        while table[free] != mark(ofEntry: firstEntry) { free = (free + 1) & mask }
        table[free] = 0
        var place = (free + 1) & mask
        while table[place] != 0 {
            let home = self.home(of: entries[index(marked: table[place])].digest)
            // It may move when its own place is not between the free one and where it is.
            if (place - home) & mask >= (place - free) & mask {
                table[free] = table[place]
                table[place] = 0
                free = place
            }
            place = (place + 1) & mask
        }
    }
}
