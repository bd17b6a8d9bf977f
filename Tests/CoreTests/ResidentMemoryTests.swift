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

    @Test("fresh memory is written to with a page from the kernel each, unless it was populated")
    func memory() throws {
        func write(_ prepare: (UnsafeMutableRawPointer, Int) -> Void) -> Int {
            let (pages, page) = (1_000, Int(getpagesize()))
            let memory = unsafe mmap(nil, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
            defer { unsafe munmap(memory, pages * page) }
            // Large pages would be fewer.
            unsafe madvise(memory, pages * page, MADV_NOHUGEPAGE)
            unsafe prepare(memory, pages * page)
            return faults { for index in 0..<pages { unsafe memory.storeBytes(of: 1, toByteOffset: index * page, as: UInt8.self) } }
        }
        #expect(unsafe write { _, _ in } > 900)
        #expect(unsafe write { unsafe ResidentMemory.populate($0, octets: $1) } < 50)
    }

    @Test("a table that was populated is filled without pages from the kernel")
    func table() {
        var table: [UInt64: UInt64] = [:]
        table.reserveCapacity(Self.entries)
        ResidentMemory.populate(table)
        #expect(faults { for key in 0..<UInt64(Self.entries) { table[key] = key } } < 50)
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
