package import Core

/// All bindings, in one array with a free list; found by user, by source and by name.
package struct BindingTable: Sendable {
    /// A generation is odd while its slot is in use.
    private var slots: [Binding] = []
    private var free: [UInt32] = []
    private var heads: [UInt32]
    private var sources = SourceIndex()
    package private(set) var count = 0

    /// It takes no memory for more bindings than this before there are as many.
    var expectedCount: Int

    package init(userCount: Int, expectedCount: Int = .max) {
        heads = Array(repeating: .max, count: userCount)
        self.expectedCount = expectedCount
    }

    mutating func makeRoom(forUsers count: Int) {
        if count > heads.count { heads += Array(repeating: .max, count: count - heads.count) }
    }

    package subscript(id: BindingID) -> Binding? {
        guard id.index < slots.count, slots[Int(id.index)].generation == id.generation else { return nil }
        return slots[Int(id.index)]
    }

    /// How many slots there are, free ones included: what an array beside this one needs to hold.
    package var slotCount: Int { slots.count }

    func index(_ index: UInt32) -> Binding { slots[Int(index)] }

    func id(at index: UInt32) -> BindingID { BindingID(index: index, generation: slots[Int(index)].generation) }

    /// The binding in a slot; nil when that is free.
    package func binding(at index: UInt32) -> (id: BindingID, binding: Binding)? {
        guard index < slots.count, slots[Int(index)].generation % 2 == 1 else { return nil }
        return (id(at: index), slots[Int(index)])
    }

    /// Appends the ways to the bindings in those of the slots that are in use, without copies of all the rest.
    package func appendFlows(at indices: [UInt32], ids: inout [BindingID], flows: inout [Flow]) {
        for index in indices {
            let generation = slots[Int(index)].generation
            guard generation % 2 == 1 else { continue }
            ids.append(BindingID(index: index, generation: generation))
            flows.append(slots[Int(index)].flow)
        }
    }

    /// A user's bindings, the newest first.
    package func bindings(of user: UserIndex) -> [BindingID] {
        var ids: [BindingID] = []
        forEachBinding(of: user) { id, _ in ids.append(id) }
        return ids
    }

    /// The same one by one, with what is known of each.
    func forEachBinding(of user: UserIndex, _ body: (BindingID, Binding) -> Void) {
        var index = heads[Int(user.rawValue)]
        while index != .max {
            body(id(at: index), slots[Int(index)])
            index = slots[Int(index)].next
        }
    }

    /// The newest of a user's bindings that fits.
    func firstBinding(of user: UserIndex, where condition: (Binding) -> Bool) -> BindingID? {
        var index = heads[Int(user.rawValue)]
        while index != .max {
            if condition(slots[Int(index)]) { return id(at: index) }
            index = slots[Int(index)].next
        }
        return nil
    }

    /// A binding whose REGISTER came from `source`; of several the latest.
    package func binding(from source: SocketAddress) -> BindingID? {
        sources.find(source) { slots[Int($0)].source }.map(id(at:))
    }

    mutating func insert(_ binding: Binding) -> BindingID {
        var binding = binding
        let user = Int(binding.user.rawValue)
        binding.next = heads[user]
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
            binding.generation = slots[Int(index)].generation &+ 1
            slots[Int(index)] = binding
        } else {
            index = UInt32(slots.count)
            binding.generation = 1
            slots.append(binding, expectingAtMost: expectedCount)
        }
        heads[user] = index
        count += 1
        sources.insert(index, binding.source) { slots[Int($0)].source }
        return id(at: index)
    }

    mutating func update(_ id: BindingID, _ change: (inout Binding) -> Void) {
        precondition(slots[Int(id.index)].generation == id.generation, "a binding that is gone is not updated")
        let before = slots[Int(id.index)].source
        change(&slots[Int(id.index)])
        let after = slots[Int(id.index)].source
        if before != after { sources.remove(id.index, before) { $0 == id.index ? before : slots[Int($0)].source } }
        sources.insert(id.index, after) { slots[Int($0)].source }
    }

    mutating func remove(_ id: BindingID) {
        let index = id.index
        precondition(slots[Int(index)].generation == id.generation, "a binding is removed once")
        let user = Int(slots[Int(index)].user.rawValue)
        if heads[user] == index {
            heads[user] = slots[Int(index)].next
        } else {
            var previous = heads[user]
            while slots[Int(previous)].next != index { previous = slots[Int(previous)].next }
            slots[Int(previous)].next = slots[Int(index)].next
        }
        sources.remove(index, slots[Int(index)].source) { slots[Int($0)].source }
        slots[Int(index)].setOctets(contact: [], path: [], instance: [])
        slots[Int(index)].generation &+= 1
        free.append(index)
        count -= 1
    }
}

/// Slots by source address: open addressing, four octets a place, at most half full.
struct SourceIndex: Sendable {
    private static let empty = UInt32.max
    private var places: [UInt32] = Array(repeating: empty, count: 16)
    private var count = 0

    func find(_ address: SocketAddress, addressOf: (UInt32) -> SocketAddress) -> UInt32? {
        var place = start(address)
        while places[place] != Self.empty {
            if addressOf(places[place]) == address { return places[place] }
            place = (place + 1) & (places.count - 1)
        }
        return nil
    }

    /// Of several slots with one address only the latest has a place: a proxy may stand for thousands.
    mutating func insert(_ index: UInt32, _ address: SocketAddress, addressOf: (UInt32) -> SocketAddress) {
        if 2 * (count + 1) > places.count {
            let old = places
            places = Array(repeating: Self.empty, count: 2 * old.count)
            for entry in old where entry != Self.empty { put(entry, addressOf(entry)) }
        }
        var place = start(address)
        while places[place] != Self.empty {
            if addressOf(places[place]) == address {
                places[place] = index
                return
            }
            place = (place + 1) & (places.count - 1)
        }
        places[place] = index
        count += 1
    }

    /// Nothing happens when another slot has taken the place.
    mutating func remove(_ index: UInt32, _ address: SocketAddress, addressOf: (UInt32) -> SocketAddress) {
        var place = start(address)
        while places[place] != index {
            if places[place] == Self.empty { return }
            place = (place + 1) & (places.count - 1)
        }
        count -= 1
        places[place] = Self.empty
        // What stands behind may have been pushed there: it moves up, so that no search ends at the gap.
        var next = (place + 1) & (places.count - 1)
        while places[next] != Self.empty {
            let entry = places[next]
            places[next] = Self.empty
            put(entry, addressOf(entry))
            next = (next + 1) & (places.count - 1)
        }
    }

    private mutating func put(_ index: UInt32, _ address: SocketAddress) {
        var place = start(address)
        while places[place] != Self.empty { place = (place + 1) & (places.count - 1) }
        places[place] = index
    }

    private func start(_ address: SocketAddress) -> Int {
        var value = address.ip.low ^ address.ip.high &* 0x9e37_79b9_7f4a_7c15 ^ UInt64(address.port) << 40
        value = (value ^ value >> 32) &* 0xd6e8_feb8_6659_fd93
        value = (value ^ value >> 32) &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: value ^ value >> 32) & (places.count - 1)
    }
}
