/// What is due next, for many keys on one clock.
///
/// A binary heap with lazy removal: a key may stand in it several times, and the owner checks a key that comes due
/// against its own deadline. One entry costs 16 octets; setting and taking cost log n.
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

    @usableFromInline var heap: [Entry] = []
    /// It takes no memory for more entries than this before there are as many.
    public var expectedCount = Int.max

    @inlinable
    public init() {}

    /// When the next entry is due; nil when nothing waits.
    @inlinable public var nextDue: Instant? { heap.first?.due }
    @inlinable public var count: Int { heap.count }

    /// Sets memory aside for so many entries.
    @inlinable
    public mutating func reserveCapacity(_ count: Int) { heap.reserveCapacity(count) }

    @inlinable
    public mutating func schedule(_ key: Key, at due: Instant) {
        let entry = Entry(due: due, key: key)
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

    /// Takes the earliest entry that is due at `now`; nil when there is none.
    @inlinable
    public mutating func takeDue(at now: Instant) -> Key? {
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
    public func isMostlyStale(live: Int) -> Bool { heap.count > 2 * live + 64 }

    @inlinable
    public mutating func removeAll(where isStale: (Key, Instant) -> Bool) {
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
