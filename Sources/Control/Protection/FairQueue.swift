package import Core

/// What waits for its turn, from many sources: one that sends a thousand messages is served no more often than one that sends
/// one.
///
/// A source may have as many waiting as there is room left, so one that floods fills half of the queue, the next one half of
/// the rest, and who comes with little finds room (Choudhury and Hahne, "Dynamic queue length thresholds", 1998). Nobody is shut
/// out. One thread.
package struct FairQueue<Element> {
    private struct Waiting {
        let element: Element
        let octets: Int
    }

    private struct Line {
        var waiting: [Waiting]
        /// The first of `waiting` that is still there.
        var head = 0

        var count: Int { waiting.count - head }

        mutating func takeFirst() -> Waiting {
            let first = waiting[head]
            head += 1
            if head >= 32, 2 * head >= waiting.count {
                waiting.removeFirst(head)
                head = 0
            }
            return first
        }
    }

    private let limit: Int
    private let octetLimit: Int
    /// Of sources with something that waits, and of no others.
    private var lines: [IPAddress: Line] = [:]
    /// Memory of a line that is over, for the next one.
    private var spare: [Waiting] = []
    /// The same sources in the order of their turns, from `nextTurn` on.
    private var turns: [IPAddress] = []
    private var nextTurn = 0
    private var octets = 0
    package private(set) var count = 0

    /// - Parameters: how many elements may wait, and how many octets they may have together.
    package init(limit: Int, octetLimit: Int) {
        self.limit = limit
        self.octetLimit = octetLimit
    }

    package var isEmpty: Bool { count == 0 }

    /// - Returns: false when there is no room for it.
    package mutating func add(_ element: Element, octets size: Int, from source: IPAddress) -> Bool {
        let waiting = lines[source]?.count ?? 0
        guard waiting < limit - count, size <= octetLimit - octets else { return false }
        if waiting == 0 {
            turns.append(source)
            var line = Line(waiting: spare.taken())
            line.waiting.append(Waiting(element: element, octets: size))
            lines[source] = line
        } else {
            lines[source]?.waiting.append(Waiting(element: element, octets: size))
        }
        count += 1
        octets += size
        return true
    }

    /// Everything that one source has waiting, out of turn.
    package mutating func takeAll(of source: IPAddress) -> [Element] {
        guard let line = lines.removeValue(forKey: source) else { return [] }
        turns = turns[nextTurn...].filter { $0 != source }
        nextTurn = 0
        let taken = line.waiting[line.head...]
        count -= taken.count
        octets -= taken.reduce(0) { $0 + $1.octets }
        return taken.map(\.element)
    }

    /// The first of the source whose turn it is.
    package mutating func takeNext() -> Element? {
        guard nextTurn < turns.count else { return nil }
        let source = turns[nextTurn]
        nextTurn += 1
        if nextTurn >= 1_024, 2 * nextTurn >= turns.count {
            turns.removeFirst(nextTurn)
            nextTurn = 0
        }
        guard let line = lines.index(forKey: source) else { preconditionFailure("a source with a turn has something") }
        let first = lines.values[line].takeFirst()
        count -= 1
        octets -= first.octets
        if lines.values[line].count == 0 {
            var memory = lines.remove(at: line).value.waiting
            spare.giveBack(&memory)
        } else {
            turns.append(source)
        }
        return first.element
    }
}
