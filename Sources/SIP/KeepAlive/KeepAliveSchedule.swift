package import Core

/// Which bindings get a keep-alive when: each once per period, evenly spread, the one that waits longest first.
///
/// A wheel of places in time that turns once in a period. Each binding has its place, one of those that have the fewest, and
/// when the wheel comes to it the binding joins the queue of those that are due, which is served in order and never faster
/// than the settings say. When there are more bindings than that can serve, who still waits when its place comes round again
/// keeps its turn: every gap grows alike, and nobody starves.
///
/// What costs most is waking up, when nothing of this is in the processor's caches: so a few batches follow one another, each
/// a millisecond after the one before, and then there is a rest.
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
        /// From the first batch after a rest to the next such one, with so many bindings: the time in which enough of them come due.
        /// A burst is spread over at least five of these times.
        func tick(bindings: Int) -> Duration {
            let spacing = max(spacing, period.nanoseconds / Int64(max(1, bindings)))
            return .nanoseconds(min(longestTick, max(Self.shortestTick, spacing * runLimit)))
        }

        /// Time that went by unused counts so much, which is what comes due in the longest tick.
        var credit: Duration { .nanoseconds(min(longestTick, spacing * (runLimit - 1))) }
        /// Messages that leave between two rests.
        private var runLimit: Int64 { Int64(Self.batchesInRun * batchLimit) }
        private var longestTick: Int64 { max(Self.shortestTick, min(Self.longestTick, interval.nanoseconds / 5)) }

        private static let batchesInRun = 4
        private static let shortestTick: Int64 = 1_000_000
        private static let longestTick: Int64 = 100_000_000
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
        /// Stands in the queue. A slot that was given up there stays until its turn comes.
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
    private static let batchGap = Duration.milliseconds(1)
    private static let placeCount = 4_096
    /// The wheel turns once in this part of the period, so that the time it takes to wake up misses no deadline.
    private static let slack = 0.98

    package let settings: Settings
    // What the settings amount to, in nanoseconds: asked for with each message.
    private let spacing: UInt64
    private let period: UInt64
    private let credit: UInt64
    private let batchLimit: Int
    private var states: [State] = []
    /// It takes no memory for more bindings than this before there are as many.
    private let expectedCount: Int
    package private(set) var count = 0

    // The wheel.
    private let origin: Instant
    /// Nanoseconds from one place to the next.
    private let width: Int64
    /// The next place the wheel comes to, counted from the origin on.
    private var cursor: Int64 = 0
    /// The bindings at each: side by side, so that looking at one need not wait for the one before.
    private var places = [[UInt32]](repeating: [], count: placeCount)
    /// One bit for each place with bindings.
    private var occupied = [UInt64](repeating: 0, count: placeCount / 64)
    private var insertions: UInt64 = 0

    /// Who is due, in order, from `dueStart` on.
    private var queue: [UInt32] = []
    private var dueStart = 0
    /// When the next message may go out, by the even spread.
    private var sendableAt: Instant
    /// When the last rest was over.
    private var runStart: Instant
    /// No batch before this.
    private var restsUntil: Instant
    /// Between two runs of batches.
    private var isRested = true

    /// The cycle under way, and the last complete one.
    package private(set) var cycle: Cycle
    package private(set) var lastCycle: Cycle?
    package private(set) var missedDeadlines: UInt64 = 0
    package private(set) var messages: UInt64 = 0
    /// When `takeDue` has something to do next; nil while there is no binding.
    package private(set) var nextTick: Instant?

    package init(settings: Settings, expectedCount: Int = .max, now: Instant) {
        self.settings = settings
        self.expectedCount = expectedCount
        spacing = UInt64(settings.spacing)
        period = UInt64(settings.period.nanoseconds)
        credit = UInt64(settings.credit.nanoseconds)
        batchLimit = settings.batchLimit
        origin = now
        width = max(1, Int64(Double(settings.period.nanoseconds) * Self.slack) / Int64(Self.placeCount))
        sendableAt = now
        runStart = now
        restsUntil = now
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
        while states.count <= Int(index) { states.append(State(lastSent: now), expectingAtMost: expectedCount) }
        guard !states[Int(index)].isPresent else { return }
        if count == 0 { skip(to: now) }
        let isDue = states[Int(index)].isDue
        states[Int(index)] = State(lastSent: now)
        states[Int(index)].isPresent = true
        states[Int(index)].isDue = isDue
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
        return places[second].count < places[first].count ? second : first
    }

    // MARK: Ticks

    /// Puts the bindings to send to now in `batch`, at most `settings.batchLimit` of them.
    package mutating func takeDue(now: Instant, into batch: inout [UInt32]) {
        batch.removeAll(keepingCapacity: true)
        closeCycle(now: now)
        turnWheel(to: now)
        defer { setNextTick() }
        guard dueCount > 0, restsUntil <= now else { return }
        sendableAt.nanoseconds = max(sendableAt.nanoseconds, now.nanoseconds - min(credit, now.nanoseconds))
        while batch.count < batchLimit, sendableAt <= now, let index = nextDue() {
            guard states[Int(index)].isPresent else { continue }
            serve(index, now: now)
            batch.append(index)
            sendableAt.nanoseconds += spacing
        }
        cycle.largestBatch = max(cycle.largestBatch, batch.count)
        if isRested { runStart = now }
        // Who is left over because of the settings is not to wait for what comes due meanwhile.
        let tick = settings.tick(bindings: dueCount == 0 ? count : .max)
        restsUntil = now + Self.batchGap
        isRested = !isNextBatchFull(at: restsUntil)
        if isRested { restsUntil = max(restsUntil, runStart + tick) }
    }

    /// All that was taken last has left: the next batch keeps its distance from that, unless the settings leave no time for it.
    package mutating func sent(at now: Instant) {
        guard batchLimit == Self.batchLimit else { return }
        restsUntil = max(restsUntil, now + Self.batchGap)
        setNextTick()
    }

    /// Whether all who are due now, or as many as a batch holds, may be sent to then.
    private func isNextBatchFull(at then: Instant) -> Bool {
        let count = min(dueCount, batchLimit)
        return count > 0 && sendableAt.nanoseconds + spacing * UInt64(count - 1) <= then.nanoseconds
    }

    private mutating func serve(_ index: UInt32, now: Instant) {
        var state = states[Int(index)]
        let gap = now.nanoseconds - min(now, state.lastSent).nanoseconds
        let milliseconds = UInt32(clamping: gap / 1_000_000)
        if state.lastSent < cycle.startedAt { cycle.served += 1 }
        if gap > period {
            state.missed += 1
            cycle.missedDeadlines += 1
            missedDeadlines += 1
        }
        state.longestGap = max(state.longestGap, milliseconds)
        cycle.longestGap = max(cycle.longestGap, milliseconds)
        cycle.messages += 1
        messages += 1
        state.sent += 1
        state.lastSent = now
        states[Int(index)] = state
    }

    private mutating func turnWheel(to now: Instant) {
        let target = (now - origin).nanoseconds / width
        // After a long sleep everyone is due once, not once for each turn that was missed.
        if target - cursor > Int64(Self.placeCount) { cursor = target - Int64(Self.placeCount) }
        while cursor <= target {
            for index in places[Int(cursor % Int64(Self.placeCount))] { makeDue(index) }
            cursor += 1
        }
    }

    /// Nothing is to be made up for from a time without bindings.
    private mutating func skip(to now: Instant) {
        cursor = max(cursor, (now - origin).nanoseconds / width)
    }

    private var dueCount: Int { queue.count - dueStart }

    private mutating func makeDue(_ index: UInt32) {
        guard !states[Int(index)].isDue else { return }
        states[Int(index)].isDue = true
        queue.append(index)
    }

    private mutating func nextDue() -> UInt32? {
        guard dueCount > 0 else { return nil }
        let index = queue[dueStart]
        dueStart += 1
        states[Int(index)].isDue = false
        if dueStart == queue.count {
            queue.removeAll(keepingCapacity: true)
            dueStart = 0
        } else if dueStart >= 4_096, dueStart * 2 >= queue.count {
            queue.removeFirst(dueStart)
            dueStart = 0
        }
        return index
    }

    private mutating func setNextTick() {
        guard count > 0 else {
            nextTick = nil
            return
        }
        nextTick = max(dueCount > 0 ? sendableAt : origin + .nanoseconds(nextOccupied() * width), restsUntil)
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
        for index in queue[dueStart...] where states[Int(index)].isPresent && states[Int(index)].lastSent < cycle.startedAt { waiting += 1 }
        cycle.expected = cycle.served + waiting
        lastCycle = cycle
        let elapsed = (now - cycle.startedAt).nanoseconds / settings.period.nanoseconds * settings.period.nanoseconds
        cycle = Cycle(startedAt: cycle.startedAt + .nanoseconds(elapsed))
    }

    // MARK: Places

    private mutating func link(_ index: UInt32, at place: Int) {
        states[Int(index)].place = UInt16(place)
        places[place].append(index)
        occupied[place / 64] |= 1 << UInt64(place % 64)
    }

    private mutating func unlink(_ index: UInt32) {
        let place = Int(states[Int(index)].place)
        guard let position = places[place].firstIndex(of: index) else { preconditionFailure("a binding is at its place") }
        places[place].swapAt(position, places[place].count - 1)
        places[place].removeLast()
        if places[place].isEmpty {
            places[place] = []
            occupied[place / 64] &= ~(1 << UInt64(place % 64))
        }
    }
}
