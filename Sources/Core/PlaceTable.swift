/// A number that is given out once and says where in a table its owner stands. Places are given out again, numbers are
/// not.
public protocol PlacedNumber: SerialNumber {
    var place: Int { get }
}

/// What is kept by numbers of which each has a place: found in one step, and in the memory that whoever had the place last
/// has left in the processor's cache. A dictionary spreads its entries over all of its memory.
public struct PlaceTable<Key: PlacedNumber, Value> {
    @usableFromInline struct Entry {
        @usableFromInline let key: Key
        @usableFromInline let value: Value

        @inlinable
        init(key: Key, value: Value) {
            self.key = key
            self.value = value
        }
    }

    @usableFromInline var entries: [Entry?] = []
    @usableFromInline var presentCount = 0

    @inlinable
    public init() {}

    @inlinable public var count: Int { presentCount }
    @inlinable public var isEmpty: Bool { presentCount == 0 }

    /// Nil where there is nothing by that number, whoever else has its place.
    ///
    /// - Precondition: what is added finds its place empty.
    @inlinable
    public subscript(key: Key) -> Value? {
        get {
            guard key.place < entries.count, let entry = entries[key.place], entry.key == key else { return nil }
            return entry.value
        }
        set {
            if let newValue { add(newValue, key) } else { removeValue(forKey: key) }
        }
    }

    @inlinable
    mutating func add(_ value: Value, _ key: Key) {
        while entries.count <= key.place { entries.append(nil) }
        if let present = entries[key.place] {
            precondition(present.key == key, "a place is given out again once it is empty")
        } else {
            presentCount += 1
        }
        entries[key.place] = Entry(key: key, value: value)
    }

    @inlinable @discardableResult
    public mutating func removeValue(forKey key: Key) -> Value? {
        guard key.place < entries.count, let entry = entries[key.place], entry.key == key else { return nil }
        entries[key.place] = nil
        presentCount -= 1
        return entry.value
    }

    /// In the order of their places.
    @inlinable public var values: some Sequence<Value> { entries.lazy.compactMap { $0?.value } }

    /// Sets memory aside for places below this one.
    @inlinable
    public mutating func reserveCapacity(_ count: Int) { entries.reserveCapacity(count) }

    /// Takes the memory that was set aside: see `ResidentMemory`.
    public func populate() { ResidentMemory.populate(entries) }
}

extension PlaceTable: Sendable where Value: Sendable {}
extension PlaceTable.Entry: Sendable where Value: Sendable {}
