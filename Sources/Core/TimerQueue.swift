/// What is due next, for many keys on one clock.
///
/// A binary heap with lazy removal: a key may stand in it several times, and the owner checks a key that comes due
/// against its own deadline. One entry costs 16 octets; setting and taking cost log n.
///
/// Timers of one length come due in the order in which they are set. Where most are of a few lengths, lanes in front of the
/// heap take those that come behind what they have already: then setting and taking cost the same however many wait, and
/// are done where the memory is still in the processor's cache. What fits no lane goes to the heap.
///
/// Inlinable, so that each module gets it for its own keys: control looks at `nextDue` in every turn.
public struct TimerQueue<Key: Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline let due: Instant
        @usableFromInline let key: Key

        @inlinable
        init(due: Instant, key: Key) {
            self.due = due
            self.key = key
        }
    }

    /// Entries in the order of their time.
    @usableFromInline
    struct Lane: Sendable {
        @usableFromInline var entries: [Entry] = []
        /// The first one that was not taken.
        @usableFromInline var head = 0
        /// When that is due; never, when there is none.
        @usableFromInline var first = Instant(nanoseconds: .max)
        /// When the last one is due; zero, when there is none.
        @usableFromInline var last = Instant(nanoseconds: 0)

        @inlinable init() {}

        @inlinable
        mutating func append(_ entry: Entry) {
            if head == entries.count { first = entry.due }
            entries.append(entry)
            last = entry.due
        }

        @inlinable
        mutating func takeFirst() -> Key {
            let key = entries[head].key
            head += 1
            if head == entries.count {
                keep([])
            } else if head >= 1_024, 2 * head >= entries.count {
                entries.removeFirst(head)
                head = 0
            }
            if head < entries.count { first = entries[head].due }
            return key
        }

        /// Has these entries and no others; the memory stays.
        @inlinable
        mutating func keep(_ kept: [Entry]) {
            entries.removeAll(keepingCapacity: true)
            entries.append(contentsOf: kept)
            head = 0
            first = kept.first?.due ?? Instant(nanoseconds: .max)
            last = kept.last?.due ?? Instant(nanoseconds: 0)
        }
    }

    @usableFromInline var heap: [Entry] = []
    @usableFromInline var lanes: [Lane]
    /// Of those in lanes.
    @usableFromInline var laneCount = 0
    /// The heap takes no memory for more entries than this before there are as many.
    public var expectedCount = Int.max

    /// - Parameter lanes: a few more than there are lengths of timers.
    @inlinable
    public init(lanes: Int = 0) { self.lanes = (0..<lanes).map { _ in Lane() } }

    /// When the next entry is due; nil when nothing waits.
    @inlinable public var nextDue: Instant? {
        guard laneCount > 0 else { return heap.first?.due }
        let first = lanes[earliestLane].first
        return heap.first.map { min($0.due, first) } ?? first
    }

    @inlinable public var count: Int { heap.count + laneCount }

    /// Sets memory aside for so many entries.
    @inlinable
    public mutating func reserveCapacity(_ count: Int) {
        heap.reserveCapacity(count / (lanes.isEmpty ? 1 : 4))
        for index in lanes.indices { lanes[index].entries.reserveCapacity(count / 4) }
    }

    @inlinable
    public mutating func schedule(_ key: Key, at due: Instant) {
        let entry = Entry(due: due, key: key)
        if let lane = lane(for: due) {
            lanes[lane].append(entry)
            laneCount += 1
            return
        }
        heap.append(entry, expectingAtMost: expectedCount)
        var place = heap.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard due < heap[parent].due else { break }
            heap[place] = heap[parent]
            place = parent
        }
        heap[place] = entry
    }

    /// The lane behind whose last entry such a one comes, and soonest; nil when it comes before the last one of each.
    @inlinable
    func lane(for due: Instant) -> Int? {
        var best: Int?
        for index in lanes.indices where lanes[index].last <= due {
            if best.map({ lanes[$0].last < lanes[index].last }) ?? true { best = index }
        }
        return best
    }

    /// The lane whose first entry is due first.
    ///
    /// - Precondition: there is an entry in a lane.
    @inlinable
    var earliestLane: Int {
        var earliest = 0
        for index in 1..<lanes.count where lanes[index].first < lanes[earliest].first { earliest = index }
        return earliest
    }

    /// Takes the earliest entry that is due at `now`; nil when there is none.
    @inlinable
    public mutating func takeDue(at now: Instant) -> Key? {
        if laneCount > 0 {
            let lane = earliestLane
            let due = lanes[lane].first
            if heap.isEmpty || due <= heap[0].due {
                guard due <= now else { return nil }
                laneCount -= 1
                return lanes[lane].takeFirst()
            }
        }
        guard let first = heap.first, first.due <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        return first.key
    }

    /// Whether entries that mean nothing any more are most of the queue, so that `removeAll` is due. A call that ends long
    /// before its session timer leaves one for a quarter of an hour. On average taking them out costs each a few steps.
    ///
    /// - Parameter live: how many keys there are.
    @inlinable
    public func isMostlyStale(live: Int) -> Bool { count > 2 * live + 64 }

    @inlinable
    public mutating func removeAll(where isStale: (Key, Instant) -> Bool) {
        laneCount = 0
        for index in lanes.indices {
            lanes[index].keep(lanes[index].entries[lanes[index].head...].filter { !isStale($0.key, $0.due) })
            laneCount += lanes[index].entries.count
        }
        heap.removeAll { isStale($0.key, $0.due) }
        for parent in (0..<heap.count / 2).reversed() { siftDown(from: parent) }
    }

    @inlinable
    mutating func siftDown(from start: Int = 0) {
        let entry = heap[start]
        var place = start
        while true {
            var child = 2 * place + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].due < heap[child].due { child += 1 }
            guard heap[child].due < entry.due else { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = entry
    }
}
