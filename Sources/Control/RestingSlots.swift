import Core

/// Session slots whose last session has ended, each with the two port pairs and the addresses it had.
///
/// A slot rests until the quarantine of its ports is over; then it is ready for a session of the same addresses. They are kept in
/// the order in which they have rested. Which one is taken `MediaSessions` decides.
struct RestingSlots {
    struct Ports {
        var caller: UInt16 = 0
        var callee: UInt16 = 0
    }

    private enum State: UInt8 { case away, resting, ready }

    private struct Slot {
        var older = RestingSlots.none
        var newer = RestingSlots.none
        /// Among those that are ready, of its worker and addresses.
        var place: UInt32 = 0
        var addresses: UInt16 = 0
        var ports = Ports()
        var state = State.away
        /// When its ports have rested.
        var until = Instant(nanoseconds: 0)
    }

    private static let none = UInt32.max
    private let workers: Int
    private var slots: [Slot]
    /// All of them, from the one that has rested first, and from where on they rest.
    private var oldest = RestingSlots.none
    private var newest = RestingSlots.none
    private var firstResting = RestingSlots.none
    /// By `addresses` × workers + worker, in no order.
    private var ready: [[UInt32]] = []
    private(set) var readyCount = 0
    private(set) var restingCount = 0

    init(capacity: Int, workers: Int) {
        self.workers = workers
        slots = Array(repeating: Slot(), count: capacity)
    }

    /// - Parameter addresses: a small number for the addresses of both legs.
    mutating func add(_ slot: UInt32, addresses: UInt16, _ ports: Ports, until: Instant) {
        precondition(slots[Int(slot)].state == .away)
        // In the order in which they will have rested: usually behind all others.
        var (older, newer) = (newest, Self.none)
        while older != Self.none, slots[Int(older)].state == .resting, slots[Int(older)].until > until {
            (older, newer) = (slots[Int(older)].older, older)
        }
        slots[Int(slot)] = Slot(
            older: older, newer: newer, addresses: addresses, ports: ports, state: .resting, until: until)
        if older == Self.none { oldest = slot } else { slots[Int(older)].newer = slot }
        if newer == Self.none { newest = slot } else { slots[Int(newer)].older = slot }
        if firstResting == newer { firstResting = slot }
        restingCount += 1
    }

    /// Slots that have rested become ready.
    mutating func advance(to now: Instant) {
        while firstResting != Self.none, slots[Int(firstResting)].until <= now {
            let slot = firstResting
            firstResting = slots[Int(slot)].newer
            let list = list(of: slot)
            while ready.count <= list { ready.append([]) }
            slots[Int(slot)].state = .ready
            slots[Int(slot)].place = UInt32(ready[list].count)
            ready[list].append(slot)
            restingCount -= 1
            readyCount += 1
        }
    }

    private func list(of slot: UInt32) -> Int { Int(slots[Int(slot)].addresses) * workers + Int(slot) % workers }

    /// One of those that are ready, each as likely as the others and none likelier than 1 in `choice`: where they are fewer, the
    /// draw may fall on none.
    func anyReady(addresses: UInt16, worker: Int, choice: Int, random: inout SeededRandom) -> UInt32? {
        let list = Int(addresses) * workers + worker
        guard list < ready.count, !ready[list].isEmpty else { return nil }
        let drawn = Int.random(in: 0..<max(choice, ready[list].count), using: &random)
        return drawn < ready[list].count ? ready[list][drawn] : nil
    }

    /// The first slot of this worker: of those that are ready, or of those that rest.
    func oldest(worker: Int, isReady: Bool) -> UInt32? {
        var slot = isReady ? oldest : firstResting
        let end = isReady ? firstResting : Self.none
        while slot != end {
            if Int(slot) % workers == worker { return slot }
            slot = slots[Int(slot)].newer
        }
        return nil
    }

    /// The first one of all, and when it had rested or will have.
    var first: (slot: UInt32, until: Instant)? { oldest == Self.none ? nil : (oldest, slots[Int(oldest)].until) }

    /// Takes it out.
    mutating func remove(_ slot: UInt32) -> (ports: Ports, addresses: UInt16, until: Instant) {
        let former = slots[Int(slot)]
        switch former.state {
        case .away: preconditionFailure("a slot is taken out once")
        case .resting:
            restingCount -= 1
            if firstResting == slot { firstResting = former.newer }
        case .ready:
            readyCount -= 1
            let list = list(of: slot)
            let last = ready[list].removeLast()
            if last != slot {
                ready[list][Int(former.place)] = last
                slots[Int(last)].place = former.place
            }
        }
        if former.older == Self.none { oldest = former.newer } else { slots[Int(former.older)].newer = former.newer }
        if former.newer == Self.none { newest = former.older } else { slots[Int(former.newer)].older = former.older }
        slots[Int(slot)] = Slot()
        return (former.ports, former.addresses, former.until)
    }
}
