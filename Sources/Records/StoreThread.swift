import Core
import Dispatch
import Foundation

/// The body of the store thread. Tells `outcome` once whether it could start.
func runStoreThread(
    directory: String, options: RecordKeeper.Options, inbox: Inbox, counters: CounterBlock, outcome: StartOutcome
) {
    giveWay()
    do {
        var thread = try StoreThread(directory: directory, options: options, inbox: inbox, counters: counters)
        outcome.tell(nil)
        thread.run()
    } catch {
        outcome.tell(error)
    }
}

/// Journals what comes in, brings the store up to the journal, answers queries.
struct StoreThread: ~Copyable {
    private let options: RecordKeeper.Options
    private let inbox: Inbox
    private let counters: CounterBlock
    private let storePath: String
    /// Held as long as this lives, and by the kernel's doing no longer than the process.
    private let lock: AppendFile
    private var journal: Journal
    /// Nil while it cannot be opened.
    private var store: RecordStore?
    private var storeError = RecordError.stopped
    /// Journaled, and all that the store lacks: given to it together, because a transaction costs more than a record.
    private var fresh: [ArraySlice<CallRecord>] = []
    private var freshCount = 0
    private var freshSince = Instant(nanoseconds: 0)

    /// What the journal held at the start.
    private let replaySize: Int
    private var journalRetry: Retry
    private var storeRetry: Retry
    private var rotationRetry: Retry
    private var synchronizedAt = Instant(nanoseconds: 0)
    private var removalDueAt = Instant(nanoseconds: 0)
    /// Set once the thread is asked to stop: from then on it gives up.
    private var stopDeadline: Instant?

    init(
        directory: String, options: RecordKeeper.Options, inbox: Inbox, counters: CounterBlock
    ) throws(RecordError) {
        try FileNames.makeDirectory(directory)
        let lock = try AppendFile(path: directory + "/lock")
        guard lock.lock() else { throw .inUse(directory: directory) }
        let journal = try Journal(directory: directory, opener: options.journalOpener)

        self.options = options
        self.inbox = inbox
        self.counters = counters
        replaySize = journal.size
        storePath = directory + "/records.sqlite"
        journalRetry = Retry(delay: options.retryDelay)
        storeRetry = Retry(delay: options.retryDelay)
        rotationRetry = Retry(delay: .seconds(60))
        self.lock = lock
        self.journal = journal
    }

    mutating func run() {
        while true {
            let content = inbox.take()
            if content.isStopping, stopDeadline == nil { stopDeadline = .now + .seconds(2) }
            write(content.records)
            if isStoreDue || !content.queries.isEmpty || stopDeadline != nil { bringStoreUp() }
            for query in content.queries { query(store.map { .success($0) } ?? .failure(storeError)) }
            synchronizeIfDue()
            removeOldIfDue()
            rotateIfDue()
            if let stopDeadline, inbox.pending == 0 || .now >= stopDeadline { break }
            if !content.hasNews { inbox.wait(timeUntilNextStep()) }
            inbox.gather(for: Self.gatherTime, isExpected: content.hasNews)
        }
        // What any disk took is in the journal, so neither of these can lose a record.
        try? journal.synchronize()
        try? store?.checkpoint()
    }

    /// Records of calls that end within this are written with one write. While calls end, the thread looks again after it without
    /// being woken, so that nobody has to wake it.
    private static let gatherTime = Duration.milliseconds(20)

    /// Journals as many as the disk takes, in order.
    private mutating func write(_ records: [CallRecord]) {
        guard !records.isEmpty, isDue(journalRetry) else { return }
        do {
            if journalRetry.isFailing { try journal.reopen() }
            var rest = records[...]
            while !rest.isEmpty {
                try write(piece: rest.prefix(Self.pieceCount))
                rest = rest.dropFirst(Self.pieceCount)
            }
            if journalRetry.succeed() { options.onTrouble?("call records are written again") }
        } catch {
            note(isFirst: journalRetry.fail(), "\(error); call records wait in memory")
        }
    }

    /// So many at a time: enough for a transaction to be worth it, few enough for `pending` to be near the truth.
    private static let pieceCount = 1_000

    private mutating func write(piece: ArraySlice<CallRecord>) throws(RecordError) {
        let wasInStore = journal.isInStore
        var written = 0
        defer {
            if written < piece.count { forgetFresh() }  // the journal has more than these, and is read back
            counters.add(UInt64(written), to: .recordsJournaled)
            inbox.markJournaled(written)
            if let onJournaled = options.onJournaled { piece.prefix(written).forEach(onJournaled) }
        }
        try journal.append(piece, written: &written)
        // The common case: what was just written is all the store lacks, and need not be read back.
        guard wasInStore || !fresh.isEmpty else { return }
        if fresh.isEmpty { freshSince = .now }
        fresh.append(piece)
        freshCount += piece.count
        if freshCount >= Self.pieceCount { bringStoreUp() }
    }

    private mutating func forgetFresh() {
        fresh = []
        freshCount = 0
    }

    /// Records wait this long for others to go into the store with.
    private static let storeDelay = Duration.seconds(1)

    /// Whether the store lacks what need not or cannot wait.
    private var isStoreDue: Bool { fresh.isEmpty || .now >= freshSince + Self.storeDelay }

    /// Gives the store what the journal has and it has not, a piece at a time.
    private mutating func bringStoreUp() {
        guard isDue(storeRetry) else { return }
        do {
            let store = try openStore()
            if !fresh.isEmpty {
                let records = fresh
                forgetFresh()  // if this fails, they are read back from the journal
                counters.add(UInt64(try store.insert(new: records)), to: .recordsStored)
                journal.markAllStored()
            }
            while !journal.isInStore {
                if let stopDeadline, .now >= stopDeadline { return }
                let batch = try journal.readBatch()
                let isReplay = journal.storedSize < replaySize
                let added = UInt64(try store.insert(batch.records))
                counters.add(added, to: .recordsStored)
                if isReplay { counters.add(added, to: .recordsReplayed) }
                if batch.rejectedLines > 0 {
                    counters.add(UInt64(batch.rejectedLines), to: .recordFailures)
                    options.onTrouble?(
                        "\(journal.path): \(batch.rejectedLines) lines are no call records, torn by a crash or edited; "
                            + "the file is put aside with them")
                }
                journal.markStored(batch)
            }
            if storeRetry.succeed() { options.onTrouble?("the record store is up to date again") }
        } catch {
            storeFailed(error)
        }
    }

    private mutating func openStore() throws(RecordError) -> RecordStore {
        if let store { return store }
        let opened = try RecordStore(path: storePath)
        store = opened
        return opened
    }

    private mutating func storeFailed(_ error: RecordError) {
        storeError = error
        note(isFirst: storeRetry.fail(), "\(error); call records stay in \(journal.path) until it takes them")
    }

    /// Some at a time, so that new records need not wait for long.
    private mutating func removeOldIfDue() {
        guard options.keepDays > 0, stopDeadline == nil, removalDueAt <= .now, let store else { return }
        do {
            let removed = try store.removeRecords(
                before: WallTime.now + .seconds(-86_400 * options.keepDays), limit: Self.removalCount)
            removalDueAt = .now + (removed == Self.removalCount ? .milliseconds(100) : .seconds(3_600))
        } catch {
            removalDueAt = .now + .seconds(3_600)
            counters.add(to: .recordFailures)
            options.onTrouble?("\(error); old call records are removed later")
        }
    }

    private static let removalCount = 2_000

    /// At most once a second: each one can hold the disk for some milliseconds.
    private mutating func synchronizeIfDue() {
        guard journal.needsSynchronizing, .now >= synchronizedAt + .seconds(1) else { return }
        synchronizedAt = .now
        do {
            try journal.synchronize()
        } catch {
            counters.add(to: .recordFailures)
            options.onTrouble?("\(error); a power cut could now lose call records")
        }
    }

    private mutating func rotateIfDue() {
        let isWorthIt = journal.size >= options.rotationSize || journal.rejectedLines > 0
        guard isWorthIt, journal.isInStore, let store, isDue(rotationRetry) else { return }
        do {
            // What is put aside is not replayed, so the store has to have it on the disk.
            try store.checkpoint()
            try journal.rotate(at: .now, keeping: options.rotatedCount)
            _ = rotationRetry.succeed()
        } catch {
            note(isFirst: rotationRetry.fail(), "\(error); the journal is put aside later")
        }
    }

    private func isDue(_ retry: Retry) -> Bool { stopDeadline != nil || retry.dueAt <= .now }

    /// Counts every failure, and tells of the first in a row.
    private func note(isFirst: Bool, _ sentence: String) {
        counters.add(to: .recordFailures)
        if isFirst { options.onTrouble?(sentence) }
    }

    /// Nil: nothing to do until something comes in.
    private func timeUntilNextStep() -> Duration? {
        var next: [Instant] = []
        if inbox.pending > 0 { next.append(journalRetry.dueAt) }
        if !fresh.isEmpty {
            next.append(max(freshSince + Self.storeDelay, storeRetry.dueAt))
        } else if !journal.isInStore || store == nil {
            next.append(storeRetry.dueAt)
        }
        if journal.needsSynchronizing { next.append(synchronizedAt + .seconds(1)) }
        if options.keepDays > 0, store != nil { next.append(removalDueAt) }
        if rotationRetry.isFailing { next.append(rotationRetry.dueAt) }
        if stopDeadline != nil { next.append(.now + options.retryDelay) }
        return next.min().map { $0 - .now }
    }
}

/// When to try again what failed: after a delay that doubles with each failure.
struct Retry {
    private let delay: Duration
    private var failures = 0
    /// In the past when it is not failing.
    private(set) var dueAt = Instant(nanoseconds: 0)

    init(delay: Duration) { self.delay = delay }

    var isFailing: Bool { failures > 0 }

    /// Returns whether this was the first failure in a row.
    mutating func fail() -> Bool {
        failures += 1
        dueAt = .now + min(delay * (1 << min(failures - 1, 7)), delay * 100)
        return failures == 1
    }

    /// Returns whether it had been failing.
    mutating func succeed() -> Bool {
        defer {
            failures = 0
            dueAt = Instant(nanoseconds: 0)
        }
        return isFailing
    }
}

extension Instant {
    fileprivate static var now: Instant { Instant(nanoseconds: DispatchTime.now().uptimeNanoseconds) }
}

extension WallTime {
    fileprivate static var now: WallTime {
        WallTime(milliseconds: Int64((Date().timeIntervalSince1970 * 1_000).rounded(.down)))
    }
}
