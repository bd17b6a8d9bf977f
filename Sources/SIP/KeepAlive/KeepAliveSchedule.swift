package import Core

/// Which bindings get a keep-alive when: each once per period, evenly spread, the one that waits longest first.
///
/// A queue with one entry a binding. Whoever is served goes to its end with the time of its next turn, so the front is always
/// the one that is due first and nobody starves: when there are more bindings than the settings can serve, every gap grows
/// alike. A crowd that came at once is spread over the period in its second round; turns are moved forward for that, never
/// back.
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
        /// From one batch to the next: no more often than it takes to fill one, so that waking up is worth it.
        var tick: Duration { .nanoseconds(min(5_000_000, max(1_000_000, spacing * Int64(batchLimit)))) }
    }

    /// What is known of one binding's keep-alives.
    package struct State: Sendable {
        /// The last message, or when the binding was taken in.
        package internal(set) var lastSent: Instant
        /// When its turn is.
        package internal(set) var due: Instant
        package internal(set) var sent: UInt32 = 0
        /// Turns that came later than a period after the one before.
        package internal(set) var missed: UInt32 = 0
        /// Milliseconds.
        package internal(set) var longestGap: UInt32 = 0
        fileprivate var previous: UInt32
        fileprivate var next: UInt32
        fileprivate var isQueued = false
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
    /// A turn may be taken so much early, to send what is due about now in one go.
    private static let coalescing = Duration.milliseconds(8)
    /// A cycle lasts this part of the period, so that the time it takes to wake up misses no deadline.
    private static let slack = 0.98
    private static let none = UInt32.max

    package let settings: Settings
    private var states: [State] = []
    private var head = none
    private var tail = none
    package private(set) var count = 0
    /// When the next message may go out, by the even spread.
    private var sendableAt: Instant
    private var lastTick: Instant
    /// The cycle under way, and the last complete one.
    package private(set) var cycle: Cycle
    package private(set) var lastCycle: Cycle?
    package private(set) var missedDeadlines: UInt64 = 0
    package private(set) var messages: UInt64 = 0

    package init(settings: Settings, now: Instant) {
        self.settings = settings
        sendableAt = now
        lastTick = now + .nanoseconds(-settings.tick.nanoseconds)
        cycle = Cycle(startedAt: now)
    }

    package subscript(index: UInt32) -> State? {
        guard index < states.count, states[Int(index)].isQueued else { return nil }
        return states[Int(index)]
    }

    /// Whether the settings are enough for the present bindings.
    package var isOverCapacity: Bool { count > settings.capacity }

    // MARK: Bindings

    /// Takes a binding in; its REGISTER has just opened the pinhole, so its first turn can be at the end of a period.
    ///
    /// - Parameter isFresh: false for a binding of an earlier run: nobody knows how long its pinhole has been silent.
    package mutating func insert(_ index: UInt32, isFresh: Bool = true, now: Instant) {
        while states.count <= Int(index) {
            states.append(State(lastSent: now, due: now, previous: Self.none, next: Self.none))
        }
        guard !states[Int(index)].isQueued else { return }
        count += 1
        states[Int(index)] = State(
            lastSent: now, due: isFresh ? nextTurn(now: now) : max(now, tail == Self.none ? now : states[Int(tail)].due),
            previous: Self.none, next: Self.none)
        append(index)
    }

    package mutating func remove(_ index: UInt32) {
        guard index < states.count, states[Int(index)].isQueued else { return }
        unlink(index)
        count -= 1
    }

    // MARK: Ticks

    /// When `takeDue` has something to do next; nil while there is no binding.
    package var nextTick: Instant? {
        guard head != Self.none else { return nil }
        return max(states[Int(head)].due, sendableAt, lastTick + settings.tick)
    }

    /// Puts the bindings to send to now in `batch`, at most `settings.batchLimit` of them.
    package mutating func takeDue(now: Instant, into batch: inout [UInt32]) {
        batch.removeAll(keepingCapacity: true)
        closeCycle(now: now)
        guard let tick = nextTick, tick <= now else { return }
        lastTick = now
        // Time that went by unused is no credit beyond what one batch holds.
        let credit = settings.spacing * Int64(settings.batchLimit - 1)
        sendableAt = max(sendableAt, now + .nanoseconds(-credit))
        let limit = settings.batchLimit
        while batch.count < limit, head != Self.none, sendableAt <= now {
            let index = head
            guard states[Int(index)].due <= now + Self.coalescing else { break }
            // Each once in a batch: a short queue must not be gone round in it.
            if states[Int(index)].lastSent == now, states[Int(index)].sent > 0 { break }
            serve(index, now: now)
            batch.append(index)
            sendableAt += .nanoseconds(settings.spacing)
        }
        cycle.largestBatch = max(cycle.largestBatch, batch.count)
    }

    private mutating func serve(_ index: UInt32, now: Instant) {
        unlink(index)
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
        states[Int(index)].due = nextTurn(now: now)
        append(index)
    }

    /// A period from now at the latest, behind the last in the queue by an equal share of the period, and not before the whole
    /// queue can have been served once.
    private func nextTurn(now: Instant) -> Instant {
        let cycle = Int64(Double(settings.period.nanoseconds) * Self.slack)
        let share = cycle / Int64(max(1, count))
        let round = min(cycle, settings.spacing * Int64(count))
        var due = now + .nanoseconds(round)
        if tail != Self.none { due = max(due, states[Int(tail)].due + .nanoseconds(share)) }
        due = min(due, now + .nanoseconds(cycle))
        // The queue is in order: nobody overtakes.
        return tail == Self.none ? due : max(due, states[Int(tail)].due)
    }

    private mutating func closeCycle(now: Instant) {
        guard now - cycle.startedAt >= settings.period else { return }
        // Who was last served before the cycle began stands in front.
        var waiting = 0
        var index = head
        while index != Self.none, states[Int(index)].lastSent < cycle.startedAt {
            waiting += 1
            index = states[Int(index)].next
        }
        cycle.expected = cycle.served + waiting
        lastCycle = cycle
        let elapsed = (now - cycle.startedAt).nanoseconds / settings.period.nanoseconds * settings.period.nanoseconds
        cycle = Cycle(startedAt: cycle.startedAt + .nanoseconds(elapsed))
    }

    // MARK: The queue

    private mutating func append(_ index: UInt32) {
        states[Int(index)].previous = tail
        states[Int(index)].next = Self.none
        states[Int(index)].isQueued = true
        if tail == Self.none { head = index } else { states[Int(tail)].next = index }
        tail = index
    }

    private mutating func unlink(_ index: UInt32) {
        let previous = states[Int(index)].previous
        let next = states[Int(index)].next
        if previous == Self.none { head = next } else { states[Int(previous)].next = next }
        if next == Self.none { tail = previous } else { states[Int(next)].previous = previous }
        states[Int(index)].isQueued = false
    }
}
