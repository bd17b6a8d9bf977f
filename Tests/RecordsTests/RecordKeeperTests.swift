import Core
import Foundation
import Synchronization
import Testing

@testable import Records

@Suite struct RecordKeeperTests {
    private let directory = TemporaryDirectory()

    @Test("a submitted record is journaled, stored and reported, once")
    func submitted() throws {
        var options = RecordKeeper.Options()
        let journaled = Collector<CallRecord>()
        options.onJournaled = { journaled.add($0) }
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        #expect(keeper.submit(record(1)))
        #expect(keeper.submit(record(1)))
        #expect(keeper.submit(bareRecord(2)))
        #expect(keeper.answer() == .success([record(1), bareRecord(2)]))
        #expect(journaled.all == [record(1), record(1), bareRecord(2)])
        #expect(keeper.pending == 0)
        #expect(keeper.counters[.recordsJournaled] == 3)
        #expect(keeper.counters[.recordsStored] == 2)
        #expect(keeper.counters[.recordsReplayed] == 0)
        #expect(keeper.counters[.recordFailures] == 0)
        #expect(keeper.stop() == [])
        #expect(try directory.text(directory.journal).split(separator: "\n").count == 3)
    }

    @Test("what is only in the journal is in the store after a start, once, however often it is replayed")
    func replay() throws {
        // What a SIGKILL between journal and store leaves behind.
        var journal = try Journal(directory: directory.path, opener: { (path) throws(RecordError) in try AppendFile(path: path) })
        for number in 1...500 { try journal.append(record(number)) }
        let octets = try directory.text(directory.journal)

        for start in 1...3 {
            let keeper = try RecordKeeper(directory: directory.path)
            #expect(try keeper.answer().get() == (1...500).reversed().map(record))
            #expect(keeper.counters[.recordsReplayed] == (start == 1 ? 500 : 0))
            #expect(keeper.counters[.recordsStored] == (start == 1 ? 500 : 0))
            #expect(keeper.stop() == [])
        }
        #expect(try directory.text(directory.journal) == octets)
    }

    @Test("a torn last line is counted and put aside, and blocks nothing")
    func tornLine() throws {
        var journal = try Journal(directory: directory.path, opener: { (path) throws(RecordError) in try AppendFile(path: path) })
        for number in 1...3 { try journal.append(record(number)) }
        let whole = try directory.text(directory.journal)
        try String(whole.dropLast(40)).write(toFile: directory.journal, atomically: true, encoding: .utf8)

        var options = RecordKeeper.Options()
        let troubles = Collector<String>()
        options.onTrouble = { troubles.add($0) }
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        #expect(try keeper.answer().get() == [2, 1].map(record))
        #expect(keeper.submit(record(4)))
        #expect(try keeper.answer().get() == [4, 2, 1].map(record))
        #expect(keeper.counters[.recordFailures] == 1)
        #expect(troubles.all.count == 1)
        #expect(keeper.stop() == [])

        #expect(try directory.names("journal-").count == 1)
        #expect(try directory.text(directory.journal).split(separator: "\n").count == 1)
        let second = try RecordKeeper(directory: directory.path)
        #expect(try second.answer().get() == [4, 2, 1].map(record))
        #expect(second.counters[.recordFailures] == 0)
        #expect(second.stop() == [])
    }

    @Test("a last line that lacks only its end is a record, and the next one does not join it")
    func unendedLine() throws {
        var journal = try Journal(directory: directory.path, opener: { (path) throws(RecordError) in try AppendFile(path: path) })
        try journal.append(record(1))
        let whole = try directory.text(directory.journal)
        try String(whole.dropLast()).write(toFile: directory.journal, atomically: true, encoding: .utf8)

        let keeper = try RecordKeeper(directory: directory.path)
        #expect(keeper.submit(record(2)))
        #expect(try keeper.answer().get() == [2, 1].map(record))
        #expect(keeper.counters[.recordFailures] == 0)
        #expect(keeper.stop() == [])
        #expect(try directory.text(directory.journal).split(separator: "\n").count == 2)
    }

    @Test("while the disk is full records wait in memory, and are written in order when it is not")
    func fullDisk() throws {
        let disk = Disk(isFull: true)
        var options = RecordKeeper.Options()
        options.retryDelay = .milliseconds(5)
        options.journalOpener = { (path) throws(RecordError) in try AppendFile(path: disk.isFull ? "/dev/full" : path) }
        let troubles = Collector<String>()
        let journaled = Collector<CallRecord>()
        options.onTrouble = { troubles.add($0) }
        options.onJournaled = { journaled.add($0) }
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        for number in 1...50 { #expect(keeper.submit(record(number))) }
        #expect(troubles.wait(for: 1))
        #expect(troubles.all == ["/dev/full cannot be written: No space left on device; call records wait in memory"])
        #expect(keeper.pending == 50)
        #expect(keeper.answer() == .success([]))

        disk.isFull = false
        #expect(journaled.wait(for: 50))
        #expect(try keeper.answer().get() == (1...50).reversed().map(record))
        #expect(journaled.all == (1...50).map(record))
        #expect(keeper.counters[.recordFailures] >= 1)
        #expect(keeper.pending == 0)
        #expect(troubles.all.last == "call records are written again")
        #expect(keeper.stop() == [])
    }

    @Test("records no disk takes are given back at the stop, in time")
    func stopWithFullDisk() throws {
        var options = RecordKeeper.Options()
        options.journalOpener = { (path) throws(RecordError) in try AppendFile(path: "/dev/full") }
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        for number in 1...3 { #expect(keeper.submit(record(number))) }
        let start = ContinuousClock.now
        #expect(keeper.stop() == (1...3).map(record))
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(keeper.stop() == [])
        #expect(!keeper.submit(record(4)))
        #expect(keeper.answer() == .failure(.stopped))
    }

    @Test("while the store cannot be opened the journal keeps the records, and the store gets them later")
    func storeAway() throws {
        try FileManager.default.createDirectory(atPath: directory.store, withIntermediateDirectories: true)
        var options = RecordKeeper.Options()
        options.retryDelay = .milliseconds(5)
        let troubles = Collector<String>()
        options.onTrouble = { troubles.add($0) }
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        for number in 1...20 { #expect(keeper.submit(record(number))) }
        #expect(troubles.wait(for: 1))
        #expect(keeper.answer() == .failure(.store("unable to open database file")))
        #expect(try directory.text(directory.journal).split(separator: "\n").count == 20)

        try FileManager.default.removeItem(atPath: directory.store)
        #expect(troubles.wait(for: 1))
        #expect(try keeper.answer().get() == (1...20).reversed().map(record))
        #expect(troubles.all.last == "the record store is up to date again")
        #expect(keeper.stop() == [])
    }

    @Test("ten thousand records at once all arrive")
    func many() throws {
        let keeper = try RecordKeeper(directory: directory.path)
        let accepted = (1...10_000).count { keeper.submit(record($0)) }
        #expect(accepted == 10_000)
        #expect(try keeper.answer().get().count == 10_000)
        #expect(keeper.stop() == [])
        #expect(try RecordStore(path: directory.store).count() == 10_000)
    }

    @Test("a full queue refuses instead of growing")
    func queueLimit() throws {
        var options = RecordKeeper.Options()
        options.queueLimit = 2
        options.journalOpener = { (path) throws(RecordError) in try AppendFile(path: "/dev/full") }
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        #expect((1...3).map { keeper.submit(record($0)) } == [true, true, false])
        #expect(keeper.pending == 2)
        #expect(keeper.stop() == [1, 2].map(record))
    }

    @Test("a large journal is put aside once the store has it, and only the newest of those stay")
    func rotation() throws {
        var options = RecordKeeper.Options()
        options.rotationSize = 1
        options.rotatedCount = 2
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        for number in 1...6 {
            #expect(keeper.submit(record(number)))
            #expect(try keeper.answer(RecordQuery(limit: 1)).get() == [record(number)])
            // The journal is put aside after the answer; a second one is given after that.
            _ = keeper.answer()
        }
        #expect(keeper.stop() == [])
        #expect(try directory.names("journal-").count == 2)
        #expect(try directory.text(directory.journal) == "")
        let next = try RecordKeeper(directory: directory.path)
        #expect(try next.answer().get() == (1...6).reversed().map(record))
        #expect(next.stop() == [])
    }

    @Test("a second daemon on the same directory is refused, and let in when the first is gone")
    func lock() throws {
        let keeper = try RecordKeeper(directory: directory.path)
        #expect(throws: RecordError.inUse(directory: directory.path)) { try RecordKeeper(directory: directory.path) }
        #expect(
            RecordError.inUse(directory: "/d").description
                == "/d is in use by another relayd; give each its own records.directory")
        #expect(keeper.stop() == [])
        let next = try RecordKeeper(directory: directory.path)
        #expect(next.stop() == [])
    }

    @Test("a directory is made with those above it")
    func makesDirectory() throws {
        let keeper = try RecordKeeper(directory: directory.path + "/a/b")
        #expect(keeper.stop() == [])
        #expect(FileManager.default.fileExists(atPath: directory.path + "/a/b/records.sqlite"))
    }

    @Test("a directory that cannot be made is refused with its path and reason")
    func noDirectory() throws {
        try "".write(toFile: directory.path + "/file", atomically: true, encoding: .utf8)
        let path = directory.path + "/file/records"
        #expect(throws: RecordError.file(path: path, operation: "created", errno: ENOTDIR)) {
            try RecordKeeper(directory: path)
        }
    }
}

private final class Disk: Sendable {
    private let state: Mutex<Bool>

    init(isFull: Bool) { state = Mutex(isFull) }

    var isFull: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
