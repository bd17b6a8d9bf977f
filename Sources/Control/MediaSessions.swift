package import Configuration
package import Core
package import Relay

/// The relay's session slots and ports, as the control thread hands them out, and what the workers report of them.
///
/// One for the daemon: SIP calls and calls that a proxy drives take from the same stock. Control thread only.
///
/// A slot keeps its ports when its session ends, since the relay keeps its sockets (`SlotSockets`), and a call takes, on the
/// worker with the fewest sessions, the first of these that there is:
/// 1. one of the slots with the same addresses whose ports have rested, at random, and none likelier than 1 in `choice`, so that a
///    stranger cannot guess its ports: the fewer there are, the oftener it is none. It costs no system call. One that heard something within the last seconds is passed by: while an old peer
///    goes on sending, nobody gets the ports it sends to;
/// 2. a slot that has no ports, and two pairs at random;
/// 3. the slot whose ports have rested for longest, with these ports, for other addresses too;
/// 4. the one whose ports will have rested first, and two pairs at random: its own ports go on resting.
///
/// Where it comes to the last of these, or to one that is not quiet yet, calls come and go too fast for sockets to be used again.
/// Each that waits then makes it dearer to close another, since the kernel looks for it among all that wait: for a while slots
/// keep nothing, as long as a quarter of the ports are free, and those that do give it back.
///
/// So nothing is refused for the sake of a slot that keeps ports, and no port is used again before its quarantine is over. After
/// `idleTime` a slot gives its ports back, and its sockets are closed.
package final class MediaSessions {
    /// A slot with the RTP port of each leg; RTCP is one port above.
    package struct Taken: Hashable, Sendable {
        package let session: SessionID
        package let callerPort: UInt16
        package let calleePort: UInt16
        /// The slot had them before.
        let isKept: Bool
    }

    /// Why there is no session.
    package enum Shortage: Error, Hashable, Sendable {
        case sessions, ports
    }

    /// How long slots keep their ports and sockets without a session.
    static let idleTime = Duration.seconds(300)
    /// How long a worker may take to close sockets: so long their ports rest in any case.
    static let closingTime = Duration.milliseconds(250)
    /// How long slots keep nothing after one was taken whose sockets could not be used again.
    static let pressedTime = Duration.seconds(10)
    /// Slots that give back what they keep with each session that ends meanwhile: many at once would hold a worker up.
    private static let releasedAtOnce = 4

    package let activity: ActivityTable
    package let statistics: StatisticsTable
    private var allocator: SessionAllocator
    private var ports: PortPool
    private var random: SeededRandom
    private var resting: RestingSlots
    /// The addresses of each slot's last session, by their place in `addresses`.
    private var slotAddresses: [UInt16]
    private var addresses: [(caller: IPAddress, callee: IPAddress)] = []
    /// A slot that is ready is drawn once in so many times at the most.
    private let choice: Int
    /// Slots whose sockets the relay is to close.
    private var unwanted: [UInt32] = []
    private var pressedUntil = Instant(nanoseconds: 0)

    package init(
        configuration: Configuration.Media, allocator: SessionAllocator, activity: ActivityTable,
        statistics: StatisticsTable, random: SeededRandom
    ) {
        self.activity = activity
        self.statistics = statistics
        self.allocator = allocator
        self.random = random
        ports = PortPool(ports: configuration.ports, quarantine: configuration.quarantine)
        resting = RestingSlots(capacity: allocator.capacity, workers: allocator.workers)
        slotAddresses = Array(repeating: 0, count: allocator.capacity)
        choice = max(1, min(32, allocator.capacity / allocator.workers / 8))
    }

    // MARK: Sessions

    /// Takes a slot and two port pairs. The relay knows nothing of it before `open` is sent.
    ///
    /// - Parameters:
    ///   - caller, callee: the local address of each leg.
    package func take(caller: IPAddress, callee: IPAddress, now: Instant) -> Result<Taken, Shortage> {
        resting.advance(to: now)
        ports.advance(to: now)
        let addresses = number(of: caller, callee)
        var tried = -1
        // Usually the first one has something. Workers with as many sessions in the order of their numbers.
        while let worker = nextWorker(after: tried) {
            if let taken = take(onWorker: worker, addresses: addresses, now: now) {
                slotAddresses[Int(taken.session.index)] = addresses
                return .success(taken)
            }
            tried = worker
        }
        return .failure(allocator.count == allocator.capacity ? .sessions : .ports)
    }

    /// The worker with the fewest sessions, or the one that comes after another in that order.
    private func nextWorker(after tried: Int) -> Int? {
        func load(_ worker: Int) -> (Int, Int) { (allocator.count(onWorker: worker), worker) }
        var best: Int?
        for worker in 0..<allocator.workers where tried < 0 || load(worker) > load(tried) {
            if best == nil || load(worker) < load(best!) { best = worker }
        }
        return best
    }

    private func take(onWorker worker: Int, addresses: UInt16, now: Instant) -> Taken? {
        for _ in 0..<4 {
            let drawn = resting.anyReady(addresses: addresses, worker: worker, choice: choice, random: &random)
            guard let slot = drawn else { break }
            if isQuiet(slot, now: now) { return take(ready: slot) }
        }
        if ports.freeCount >= 2, let session = allocator.take(onWorker: worker) { return taken(session) }
        if let slot = resting.oldest(worker: worker, isReady: true) {
            if !isQuiet(slot, now: now) { pressedUntil = now + Self.pressedTime }
            return take(ready: slot)
        }
        guard ports.freeCount >= 2, let slot = resting.oldest(worker: worker, isReady: false) else { return nil }
        giveBackPorts(of: slot, now: now)
        pressedUntil = now + Self.pressedTime
        return taken(allocator.take(kept: slot))
    }

    /// While calls come and go too fast for it, gives back what some slots keep.
    private func relieve(now: Instant) {
        for _ in 0..<Self.releasedAtOnce {
            guard let first = resting.first else { return }
            release(kept: first.slot, now: now)
        }
    }

    private func release(kept slot: UInt32, now: Instant) {
        giveBackPorts(of: slot, now: now)
        allocator.giveBack(kept: slot)
        unwanted.append(slot)
    }

    private func isQuiet(_ slot: UInt32, now: Instant) -> Bool {
        let stray = activity.lastStray(slot)
        return stray <= now && now - stray >= RelaySettings.usualQuietTime
    }

    private func take(ready slot: UInt32) -> Taken {
        let ports = resting.remove(slot).ports
        return Taken(session: allocator.take(kept: slot), callerPort: ports.caller, calleePort: ports.callee, isKept: true)
    }

    /// With two of the free pairs, which there are.
    private func taken(_ session: SessionID) -> Taken {
        Taken(
            session: session, callerPort: ports.takeFree(random: &random), calleePort: ports.takeFree(random: &random),
            isKept: false)
    }

    private func number(of caller: IPAddress, _ callee: IPAddress) -> UInt16 {
        if let known = addresses.firstIndex(where: { $0.caller == caller && $0.callee == callee }) { return UInt16(known) }
        addresses.append((caller, callee))
        return UInt16(addresses.count - 1)
    }

    /// Once the worker has answered `closed`. The ports go to quarantine, and stay with the slot.
    package func giveBack(_ taken: Taken, now: Instant) {
        keep(taken, until: now + ports.quarantineTime)
        // Ports rest while their sockets are closed, and what a slot keeps needs no free ones.
        guard now < pressedUntil, freePairCount >= ports.capacity / 4 else { return }
        release(kept: taken.session.index, now: now)
        relieve(now: now)
    }

    private func keep(_ taken: Taken, until: Instant) {
        allocator.keep(taken.session)
        let slot = taken.session.index
        resting.add(
            slot, addresses: slotAddresses[Int(slot)], RestingSlots.Ports(caller: taken.callerPort, callee: taken.calleePort),
            until: until)
    }

    /// Once the relay has answered `openFailed`: some port is not to be had. They go to quarantine.
    package func giveBackRefused(_ taken: Taken, now: Instant) {
        ports.giveBack(taken.callerPort, now: now)
        ports.giveBack(taken.calleePort, now: now)
        allocator.giveBack(taken.session)
    }

    /// What no worker was told of; its ports need no rest.
    package func giveBackUnused(_ taken: Taken, now: Instant) {
        if taken.isKept { return keep(taken, until: now) }
        ports.giveBackUnused(taken.callerPort)
        ports.giveBackUnused(taken.calleePort)
        allocator.giveBack(taken.session)
        // It may have sockets, with the ports it had before.
        unwanted.append(taken.session.index)
    }

    // MARK: Sockets without a session

    /// When the next slot has been without a session for so long that its sockets are closed.
    package var nextDeadline: Instant? { resting.first.map { $0.until + Self.idleTime } }

    /// The next slot whose sockets are to be closed; nil when there is none now. What the relay does not take is asked for again.
    package func nextUnwanted(now: Instant) -> UInt32? {
        while unwanted.isEmpty, let first = resting.first, first.until + Self.idleTime <= now {
            resting.advance(to: now)
            release(kept: first.slot, now: now)
        }
        return unwanted.last
    }

    /// The relay was told of it.
    package func removeUnwanted() { unwanted.removeLast() }

    private func giveBackPorts(of slot: UInt32, now: Instant) {
        let former = resting.remove(slot)
        let until = max(former.until, now + Self.closingTime)
        ports.giveBack(former.ports.caller, until: until)
        ports.giveBack(former.ports.callee, until: until)
    }

    // MARK: Figures

    /// For ports that are given back from now on.
    package func setQuarantine(_ duration: Duration) { ports.quarantineTime = duration }

    package var usedPairCount: Int { ports.usedCount - 2 * (resting.restingCount + resting.readyCount) }
    package var quarantinedPairCount: Int { ports.quarantinedCount + 2 * resting.restingCount }
    /// Those that slots keep are among them: a call that needs them gets them.
    package var freePairCount: Int { ports.freeCount + 2 * resting.readyCount }

    /// The present session that a tap means.
    func session(tapped: SessionID) -> SessionID? {
        allocator.session(index: tapped.index, lowGeneration: tapped.generation)
    }

    package func sessionCount(onWorker worker: Int) -> Int { allocator.count(onWorker: worker) }
}
