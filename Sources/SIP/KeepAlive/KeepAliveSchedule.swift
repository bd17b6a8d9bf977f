package import Core

/// Which bindings get a keep-alive when: each once per period, evenly spread, the one that waits longest first.
///
/// A wheel of places in time that turns once in a period. Each binding has its place, one of those that have the fewest, and
/// when the wheel comes to it the binding joins the queue of those that are due, which is served in order and never faster
/// than the settings say. When there are more bindings than that can serve, who still waits when its place comes round again
/// keeps its turn: every gap grows alike, and nobody starves.
///
/// Sans-IO: `takeDue` says whom to send to now; then ask `nextTick`.
package struct KeepAliveSchedule: Sendable {
    package struct Settings: Equatable, Sendable {
        /// One full cycle over all bindings.
        package var period = Duration.seconds(30)
        /// Between bursts.
        package var interval = Duration.milliseconds(500)
        /// Messages in a burst.
        package var quantity = 3_000

        package init(
            period: Duration = .seconds(30), interval: Duration = .milliseconds(500), quantity: Int = 3_000
        ) {
            self.period = period
            self.interval = interval
            self.quantity = quantity
        }

        /// What can be sent in one period. Any fraction of an interval is left out.
        package var capacity: Int { Int(period.nanoseconds / interval.nanoseconds) * quantity }
        /// Nanoseconds from one message to the next inside a burst: a burst is spread over its whole interval.
        var spacing: Int64 { max(1, interval.nanoseconds / Int64(quantity)) }
        /// Messages that go out together: what a millisecond of the even spread holds, and never fewer than 64 may.
        package var batchLimit: Int { max(KeepAliveSchedule.batchLimit, Int((1_000_000 + spacing - 1) / spacing)) }
        /// From one batch to the next with so many bindings: what it takes for most of one to come due, so that waking up is worth
        /// it and a batch that is late by a few of them still takes all. A burst is spread over at least ten batches.
        func tick(bindings: Int) -> Duration {
            let spacing = max(spacing, period.nanoseconds / Int64(max(1, bindings)))
            let longest = max(Self.shortestTick, min(Self.longestTick, interval.nanoseconds / 10))
            return .nanoseconds(min(longest, max(Self.shortestTick, spacing * Int64(batchLimit) * 5 / 8)))
        }

        private static let shortestTick: Int64 = 1_000_000
        private static let longestTick: Int64 = 20_000_000
    }

    /// What is known of one binding's keep-alives.
    package struct State: Sendable {
        /// The last message, or when the binding was taken in.
        package internal(set) var lastSent: Instant
        package internal(set) var sent: UInt32 = 0
        /// Turns that came later than a period after the one before.
        package internal(set) var missed: UInt32 = 0
        /// Milliseconds.
        package internal(set) var longestGap: UInt32 = 0
        fileprivate var place: UInt16 = 0
        /// Neighbours at the same place.
        fileprivate var previous = UInt32.max
        fileprivate var next = UInt32.max
        /// Who is due after this one.
        fileprivate var nextDue = UInt32.max
        fileprivate var isDue = false
        fileprivate var isPresent = false
    }

    /// Over one period.
    package struct Cycle: Equatable, Sendable {
        package var startedAt: Instant
        /// Bindings that were to be served.
        package var expected = 0
        /// Those of them that were.
        package var served = 0
        package var messages = 0
        package var missedDeadlines = 0
        /// Milliseconds, of any binding.
        package var longestGap: UInt32 = 0
        /// The most that went out in one batch.
        package var largestBatch = 0

        package var coverage: Double { expected == 0 ? 1 : Double(served) / Double(expected) }
    }

    /// In any millisecond, unless the settings force more.
    package static let batchLimit = 64
    private static let placeCount = 4_096
    /// The wheel turns once in this part of the period, so that the time it takes to wake up misses no deadline.
    private static let slack = 0.98
    private static let none = UInt32.max

    package let settings: Settings
    private var states: [State] = []
    package private(set) var count = 0

    // The wheel.
    private let origin: Instant
    /// Nanoseconds from one place to the next.
    private let width: Int64
    /// The next place the wheel comes to, counted from the origin on.
    private var cursor: Int64 = 0
    private var heads = [UInt32](repeating: none, count: placeCount)
    private var loads = [UInt32](repeating: 0, count: placeCount)
    /// One bit for each place with bindings.
    private var occupied = [UInt64](repeating: 0, count: placeCount / 64)
    private var insertions: UInt64 = 0

    // Who is due, in order.
    private var firstDue = none
    private var lastDue = none
    /// When the next message may go out, by the even spread.
    private var sendableAt: Instant
    private var lastTick: Instant
    /// From the last batch to the next.
    private var tick: Duration

    /// The cycle under way, and the last complete one.
    package private(set) var cycle: Cycle
    package private(set) var lastCycle: Cycle?
    package private(set) var missedDeadlines: UInt64 = 0
    package private(set) var messages: UInt64 = 0
    /// When `takeDue` has something to do next; nil while there is no binding.
    package private(set) var nextTick: Instant?

    package init(settings: Settings, now: Instant) {
        self.settings = settings
        origin = now
        width = max(1, Int64(Double(settings.period.nanoseconds) * Self.slack) / Int64(Self.placeCount))
        sendableAt = now
        tick = settings.tick(bindings: 0)
        lastTick = now + .nanoseconds(-tick.nanoseconds)
        cycle = Cycle(startedAt: now)
    }

    package subscript(index: UInt32) -> State? {
        guard index < states.count, states[Int(index)].isPresent else { return nil }
        return states[Int(index)]
    }

    /// Whether the settings are enough for the present bindings.
    package var isOverCapacity: Bool { count > settings.capacity }

    // MARK: Bindings

    /// Takes a binding in; its REGISTER has just opened the pinhole, so its first turn may be anywhere in the next period.
    ///
    /// - Parameter isFresh: false for a binding of an earlier run: nobody knows how long its pinhole has been silent, so it is
    ///   due at once as well.
    package mutating func insert(_ index: UInt32, isFresh: Bool = true, now: Instant) {
        while states.count <= Int(index) { states.append(State(lastSent: now)) }
        guard !states[Int(index)].isPresent else { return }
        if count == 0 { skip(to: now) }
        let wasDue = states[Int(index)].isDue
        let successor = states[Int(index)].nextDue
        states[Int(index)] = State(lastSent: now)
        states[Int(index)].isPresent = true
        // A slot that was given up while it was due still stands in that queue.
        states[Int(index)].isDue = wasDue
        states[Int(index)].nextDue = successor
        count += 1
        link(index, at: freePlace())
        if !isFresh { makeDue(index) }
        setNextTick()
    }

    package mutating func remove(_ index: UInt32) {
        guard index < states.count, states[Int(index)].isPresent else { return }
        unlink(index)
        states[Int(index)].isPresent = false
        count -= 1
        setNextTick()
    }

    /// Successive multiples of the golden ratio fall evenly on the wheel, however many there are; of two of them the emptier
    /// place is taken, which evens out what those that went have left.
    private mutating func freePlace() -> Int {
        insertions += 1
        func place(_ number: UInt64) -> Int { Int((number &* 0x9e37_79b9_7f4a_7c15) >> 52) }
        let first = place(insertions)
        let second = place(insertions ^ 0x5555_5555)
        return loads[second] < loads[first] ? second : first
    }

    // MARK: Ticks

    /// Puts the bindings to send to now in `batch`, at most `settings.batchLimit` of them.
    package mutating func takeDue(now: Instant, into batch: inout [UInt32]) {
        batch.removeAll(keepingCapacity: true)
        closeCycle(now: now)
        turnWheel(to: now)
        defer { setNextTick() }
        guard firstDue != Self.none, lastTick + tick <= now else { return }
        lastTick = now
        // Time that went by unused is no credit beyond what one batch holds.
        let credit = settings.spacing * Int64(settings.batchLimit - 1)
        sendableAt = max(sendableAt, now + .nanoseconds(-credit))
        while batch.count < settings.batchLimit, firstDue != Self.none, sendableAt <= now {
            let index = firstDue
            firstDue = states[Int(index)].nextDue
            if firstDue == Self.none { lastDue = Self.none }
            states[Int(index)].nextDue = Self.none
            states[Int(index)].isDue = false
            guard states[Int(index)].isPresent else { continue }
            serve(index, now: now)
            batch.append(index)
            sendableAt += .nanoseconds(settings.spacing)
        }
        cycle.largestBatch = max(cycle.largestBatch, batch.count)
        // Who was left over is not to wait for what comes due meanwhile.
        tick = settings.tick(bindings: firstDue == Self.none ? count : .max)
    }

    private mutating func serve(_ index: UInt32, now: Instant) {
        let gap = now - states[Int(index)].lastSent
        let milliseconds = UInt32(clamping: gap.milliseconds)
        if states[Int(index)].lastSent < cycle.startedAt { cycle.served += 1 }
        if gap > settings.period {
            states[Int(index)].missed += 1
            cycle.missedDeadlines += 1
            missedDeadlines += 1
        }
        states[Int(index)].longestGap = max(states[Int(index)].longestGap, milliseconds)
        cycle.longestGap = max(cycle.longestGap, milliseconds)
        cycle.messages += 1
        messages += 1
        states[Int(index)].sent += 1
        states[Int(index)].lastSent = now
    }

    private mutating func turnWheel(to now: Instant) {
        let target = (now - origin).nanoseconds / width
        // After a long sleep everyone is due once, not once for each turn that was missed.
        if target - cursor > Int64(Self.placeCount) { cursor = target - Int64(Self.placeCount) }
        while cursor <= target {
            var index = heads[Int(cursor % Int64(Self.placeCount))]
            while index != Self.none {
                makeDue(index)
                index = states[Int(index)].next
            }
            cursor += 1
        }
    }

    /// Nothing is to be made up for from a time without bindings.
    private mutating func skip(to now: Instant) {
        cursor = max(cursor, (now - origin).nanoseconds / width)
    }

    private mutating func makeDue(_ index: UInt32) {
        guard !states[Int(index)].isDue else { return }
        states[Int(index)].isDue = true
        states[Int(index)].nextDue = Self.none
        if lastDue == Self.none { firstDue = index } else { states[Int(lastDue)].nextDue = index }
        lastDue = index
    }

    private mutating func setNextTick() {
        guard count > 0 else {
            nextTick = nil
            return
        }
        if firstDue != Self.none {
            nextTick = max(sendableAt, lastTick + tick)
        } else {
            nextTick = max(origin + .nanoseconds(nextOccupied() * width), lastTick + tick)
        }
    }

    /// The next place from the cursor on that has bindings, counted as the cursor is.
    private func nextOccupied() -> Int64 {
        let start = Int(cursor % Int64(Self.placeCount))
        let words = occupied.count
        for step in 0...words {
            let word = (start / 64 + step) % words
            var bits = occupied[word]
            if step == 0 { bits &= UInt64.max << UInt64(start % 64) }
            if step == words { bits &= ~(UInt64.max << UInt64(start % 64)) }
            guard bits != 0 else { continue }
            let place = word * 64 + bits.trailingZeroBitCount
            let distance = (place - start + Self.placeCount) % Self.placeCount
            return cursor + Int64(distance)
        }
        return cursor
    }

    private mutating func closeCycle(now: Instant) {
        guard now - cycle.startedAt >= settings.period else { return }
        // The wheel has been at every place: who was not served is due.
        var waiting = 0
        var index = firstDue
        while index != Self.none {
            if states[Int(index)].isPresent, states[Int(index)].lastSent < cycle.startedAt { waiting += 1 }
            index = states[Int(index)].nextDue
        }
        cycle.expected = cycle.served + waiting
        lastCycle = cycle
        let elapsed = (now - cycle.startedAt).nanoseconds / settings.period.nanoseconds * settings.period.nanoseconds
        cycle = Cycle(startedAt: cycle.startedAt + .nanoseconds(elapsed))
    }

    // MARK: Places

    private mutating func link(_ index: UInt32, at place: Int) {
        let first = heads[place]
        states[Int(index)].place = UInt16(place)
        states[Int(index)].next = first
        if first != Self.none { states[Int(first)].previous = index }
        heads[place] = index
        loads[place] += 1
        occupied[place / 64] |= 1 << UInt64(place % 64)
    }

    private mutating func unlink(_ index: UInt32) {
        let state = states[Int(index)]
        let place = Int(state.place)
        if state.previous == Self.none { heads[place] = state.next } else { states[Int(state.previous)].next = state.next }
        if state.next != Self.none { states[Int(state.next)].previous = state.previous }
        states[Int(index)].previous = Self.none
        states[Int(index)].next = Self.none
        loads[place] -= 1
        if loads[place] == 0 { occupied[place / 64] &= ~(1 << UInt64(place % 64)) }
    }
}
