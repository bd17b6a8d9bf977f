import Core

/// What happens when in a simulated world. What is due at the same time happens in the order it was planned.
struct EventQueue {
    private struct Entry {
        let due: Instant
        let order: Int
        let action: () -> Void
    }

    /// Latest first, so that the next one is taken off the end.
    private var entries: [Entry] = []
    private var count = 0

    var nextDue: Instant? { entries.last?.due }

    mutating func plan(at due: Instant, _ action: @escaping () -> Void) {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].due > due { low = middle + 1 } else { high = middle }
        }
        entries.insert(Entry(due: due, order: count, action: action), at: low)
        count += 1
    }

    mutating func takeDue(at now: Instant) -> (() -> Void)? {
        guard let last = entries.last, last.due <= now else { return nil }
        return entries.removeLast().action
    }
}
