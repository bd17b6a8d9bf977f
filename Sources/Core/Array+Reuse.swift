/// A step that fills an array for the next one needs no memory of its own each time: `taken` it, filled, read, given back.
extension Array {
    /// Empty, with the memory that was given back last.
    @inlinable
    package mutating func taken() -> [Element] {
        var memory: [Element] = []
        swap(&memory, &self)
        return memory
    }

    /// Empties `memory` and keeps it for the next `taken`.
    @inlinable
    package mutating func giveBack(_ memory: inout [Element]) {
        if !memory.isEmpty { memory.removeAll(keepingCapacity: true) }
        swap(&memory, &self)
    }

    /// Appends. When that takes more memory, it is as much again as before, and no more than `limit` elements need as long as they
    /// are enough: an array that only doubles keeps up to twice what it ever needs.
    @inlinable
    public mutating func append(_ element: Element, expectingAtMost limit: Int) {
        if count == capacity, count < limit { reserveCapacity(Swift.min(Swift.max(2 * count, 16), limit)) }
        append(element)
    }

    /// Moves everything to `taken`, whose own memory serves for what comes next.
    @inlinable
    package mutating func moveAll(into taken: inout [Element]) {
        taken.removeAll(keepingCapacity: true)
        swap(&taken, &self)
    }
}
