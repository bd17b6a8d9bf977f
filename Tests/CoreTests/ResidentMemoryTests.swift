import Core
import Foundation
import Testing

@Suite struct ResidentMemoryTests {
    /// Pages that the kernel gave this thread while it ran `body`.
    private func faults(_ body: () -> Void) -> Int {
        // `RUSAGE_THREAD`
        let thread = __rusage_who_t(1)
        func count() -> Int {
            var usage = rusage()
            unsafe getrusage(thread, &usage)
            return usage.ru_minflt
        }
        let before = count()
        body()
        return count() - before
    }

    private static let entries = 200_000

    @Test("a table that was populated is filled without one page from the kernel; otherwise it takes hundreds")
    func table() {
        func fill(_ prepare: ([UInt64: UInt64]) -> Void) -> Int {
            var table: [UInt64: UInt64] = [:]
            table.reserveCapacity(Self.entries)
            prepare(table)
            return faults { for key in 0..<UInt64(Self.entries) { table[key] = key } }
        }
        #expect(fill { _ in } > 500)
        #expect(fill { ResidentMemory.populate($0) } < 50)
    }

    @Test("so is a set; what is in it stays")
    func set() {
        var set: Set<UInt64> = [1, 2, 3]
        set.reserveCapacity(Self.entries)
        ResidentMemory.populate(set)
        #expect(set == [1, 2, 3])
        #expect(faults { for key in 0..<UInt64(Self.entries) { set.insert(key) } } < 50)
    }

    @Test("small tables, and empty ones, are left alone")
    func small() {
        ResidentMemory.populate([Int: Int]())
        ResidentMemory.populate(Set<Int>())
        ResidentMemory.populate([1: "one"])
    }
}
