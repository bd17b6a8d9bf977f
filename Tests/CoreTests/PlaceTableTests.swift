import Core
import Testing

@Suite struct PlaceTableTests {
    private struct Key: PlacedNumber {
        let rawValue: UInt64
        var place: Int { Int(rawValue % 10) }
    }

    @Test("what had a place before is not found by its number any more, nor is anybody else by it")
    func places() {
        var table = PlaceTable<Key, String>()
        #expect(table.isEmpty && table[Key(rawValue: 3)] == nil)
        table[Key(rawValue: 3)] = "first"
        table[Key(rawValue: 7)] = "other"
        table[Key(rawValue: 3)] = "changed"
        #expect(table.count == 2)
        #expect(table[Key(rawValue: 3)] == "changed")
        #expect(table[Key(rawValue: 13)] == nil)
        #expect(table.removeValue(forKey: Key(rawValue: 13)) == nil && table.count == 2)
        #expect(table.removeValue(forKey: Key(rawValue: 3)) == "changed")
        table[Key(rawValue: 13)] = "second"
        #expect(table[Key(rawValue: 3)] == nil && table[Key(rawValue: 13)] == "second")
        #expect(Array(table.values) == ["second", "other"])
        table[Key(rawValue: 13)] = nil
        table[Key(rawValue: 7)] = nil
        #expect(table.isEmpty)
    }
}
