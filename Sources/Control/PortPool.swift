package import Core

/// The relay's UDP ports, in pairs: RTP on the even port, RTCP on the odd one above (RFC 3550 §11).
///
/// A pair is drawn at random, so that a stranger cannot guess the next one, and rests in quarantine after use, so that
/// late packets of the old call do not reach a new one.
package struct PortPool: Sendable {
    private struct Resting: Sendable {
        let pair: UInt16
        let until: Instant
    }

    /// The even port of each free pair, in no order.
    private var free: [UInt16]
    /// Pairs that rest, the earliest to be free first, from `firstResting` on.
    private var quarantine: [Resting] = []
    private var firstResting = 0
    /// How long a pair rests that is given back from now on.
    package var quarantineTime: Duration
    /// Which pairs are taken, by their place in the range: one handed to two calls would mix their audio.
    private var isUsed: [Bool]
    private let firstPort: UInt16
    /// How many pairs the pool has in all.
    package let capacity: Int

    /// - Parameter ports: the first port is even; an odd one left over at the end is not used.
    package init(ports: ClosedRange<UInt16>, quarantine: Duration) {
        precondition(ports.lowerBound % 2 == 0, "RTP ports are even")
        free = stride(from: Int(ports.lowerBound), to: Int(ports.upperBound), by: 2).map { UInt16($0) }
        capacity = free.count
        isUsed = Array(repeating: false, count: free.count)
        firstPort = ports.lowerBound
        quarantineTime = quarantine
    }

    package var freeCount: Int { free.count }
    package var quarantinedCount: Int { quarantine.count - firstResting }
    package var usedCount: Int { capacity - free.count - quarantinedCount }

    /// When the next pair leaves quarantine; nil when none rests.
    package var nextRelease: Instant? { quarantinedCount > 0 ? quarantine[firstResting].until : nil }

    /// Takes a random one of `freeCount` pairs, which must be one at least.
    mutating func takeFree(random: inout SeededRandom) -> UInt16 {
        free.swapAt(Int.random(in: 0..<free.count, using: &random), free.count - 1)
        let pair = free.removeLast()
        isUsed[place(of: pair)] = true
        return pair
    }

    /// Gives a pair back after use; it is free again when its quarantine is over.
    package mutating func giveBack(_ pair: UInt16, now: Instant) { giveBack(pair, until: now + quarantineTime) }

    /// The same for one whose quarantine began before.
    mutating func giveBack(_ pair: UInt16, until: Instant) {
        markUnused(pair)
        var place = quarantine.count
        while place > firstResting, quarantine[place - 1].until > until { place -= 1 }
        quarantine.insert(Resting(pair: pair, until: until), at: place)
    }

    /// Gives back a pair on which no socket was opened; it needs no rest.
    package mutating func giveBackUnused(_ pair: UInt16) {
        markUnused(pair)
        free.append(pair)
    }

    private func place(of pair: UInt16) -> Int { Int(pair - firstPort) / 2 }

    private mutating func markUnused(_ pair: UInt16) {
        precondition(isUsed[place(of: pair)], "a port pair is given back once, by the call that took it")
        isUsed[place(of: pair)] = false
    }

    /// Pairs whose quarantine is over are free.
    mutating func advance(to now: Instant) {
        while firstResting < quarantine.count, quarantine[firstResting].until <= now {
            free.append(quarantine[firstResting].pair)
            firstResting += 1
        }
        // The queue moves down once half of it is used up.
        if firstResting > 64, firstResting * 2 > quarantine.count {
            quarantine.removeFirst(firstResting)
            firstResting = 0
        }
    }
}
