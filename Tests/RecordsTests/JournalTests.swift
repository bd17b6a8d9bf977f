import Core
import Foundation
import Testing

@testable import Records

/// Serialized: one of them lowers a limit of the process.
@Suite(.serialized) struct JournalTests {
    private let directory = TemporaryDirectory()

    @Test("a record the disk takes only half of leaves the journal as it was")
    func shortWrite() throws {
        let limit = 64 << 20
        var journal = try Self.journal(in: directory.path)
        try journal.append(record(1))
        // A file that large costs nothing while it is empty, and no other test writes one.
        let handle = try #require(FileHandle(forWritingAtPath: directory.journal))
        try handle.truncate(atOffset: UInt64(limit - 101))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("\n".utf8))
        try journal.reopen()
        #expect(journal.size == limit - 100)

        var before = rlimit()
        // SAFETY: both calls use the structure only while they run.
        try #require(unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &before) == 0)
        var lowered = before
        lowered.rlim_cur = rlim_t(limit)
        try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &lowered) == 0)
        #expect(throws: RecordError.file(path: directory.journal, operation: "written", errno: ENOSPC)) {
            try journal.append(record(2))
        }
        try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &before) == 0)
        #expect(try handle.seekToEnd() == UInt64(limit - 100))

        try journal.append(record(3))
        #expect(try handle.seekToEnd() == UInt64(journal.size))
    }

    @Test("of records written together those that fit whole are in the journal, and no piece of the next")
    func shortWriteOfSeveral() throws {
        let limit = 32 << 20
        var journal = try Self.journal(in: directory.path)
        let handle = try #require(FileHandle(forWritingAtPath: directory.journal))
        // Room for two and a half.
        let lines = (1...3).map { record($0).line.count }
        let room = lines[0] + lines[1] + lines[2] / 2
        try handle.truncate(atOffset: UInt64(limit - room - 1))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("\n".utf8))
        try journal.reopen()
        journal.markAllStored()

        var before = rlimit()
        // SAFETY: both calls use the structure only while they run.
        try #require(unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &before) == 0)
        var lowered = before
        lowered.rlim_cur = rlim_t(limit)
        try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &lowered) == 0)
        var written = 0
        #expect(throws: RecordError.file(path: directory.journal, operation: "written", errno: ENOSPC)) {
            try journal.append((1...5).map(record), written: &written)
        }
        try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &before) == 0)
        #expect(written == 2)
        #expect(try handle.seekToEnd() == UInt64(journal.size))
        try journal.append((3...5).map(record), written: &written)
        #expect(written == 5)
        #expect(try journal.readBatch().records == (1...5).map(record))
    }

    @Test("it is read a piece at a time, also when a line is longer than a piece")
    func pieces() throws {
        var journal = try Self.journal(in: directory.path)
        for number in 1...5 { try journal.append(record(number)) }
        var sizes: [Int] = []
        var records: [CallRecord] = []
        while !journal.isInStore {
            let batch = try journal.readBatch(limit: 10)
            sizes.append(batch.records.count)
            records += batch.records
            journal.markStored(batch)
        }
        #expect(records == (1...5).map(record))
        #expect(sizes.count > 1)
    }

    @Test("a journal that somebody shortened is taken up from its start")
    func shortened() throws {
        var journal = try Self.journal(in: directory.path)
        for number in 1...5 { try journal.append(record(number)) }
        journal.markAllStored()
        try "".write(toFile: directory.journal, atomically: true, encoding: .utf8)
        try journal.reopen()
        #expect(journal.size == 0)
        try journal.append(record(6))
        #expect(try journal.readBatch().records == [record(6)])
    }

    private static func journal(in directory: String) throws -> Journal {
        try Journal(directory: directory, opener: { (path) throws(RecordError) in try AppendFile(path: path) })
    }
}
