package import Core
import Dispatch
import Foundation
import Synchronization

/// Keeps the call records: first in the journal, then in the store, both on a thread of its own.
///
/// `directory/journal.jsonl` is the truth and `directory/records.sqlite` is made from it. What is journaled survives the
/// death of the process in any way, SIGKILL included, and is in the store after the next start, once. The journal is put
/// on the disk at most once a second, so a power cut can cost the records of the last second.
///
/// A disk that is full or gone loses nothing while the process runs: records wait in memory until the journal takes them,
/// and in the journal until the store takes them.
///
/// All functions may be called from any thread. None of them waits for a disk, except `init` and `stop`.
package final class RecordKeeper: Sendable {
    package struct Options: Sendable {
        /// Records that may wait for the journal.
        package var queueLimit = 100_000
        /// The journal is put aside once it is larger than this, in octets.
        package var rotationSize = 16 << 20
        /// How many of those are kept.
        package var rotatedCount = 8
        /// Records older than so many days are removed from the store, once an hour; zero keeps them for ever.
        package var keepDays = 0
        /// How long to wait after the first failure; doubled with each, up to 100 times as long.
        package var retryDelay = Duration.milliseconds(100)
        /// Called on the store thread for each record, once it is in the journal.
        package var onJournaled: (@Sendable (CallRecord) -> Void)?
        /// Called on the store thread with a sentence for the log when records begin to wait, and when they no longer do.
        package var onTrouble: (@Sendable (String) -> Void)?
        /// How the journal is opened; another one in tests.
        var journalOpener: Journal.Opener = { (path) throws(RecordError) in try AppendFile(path: path) }

        package init() {}
    }

    /// `recordsJournaled`, `recordsStored` (of those, found in the journal at start: `recordsReplayed`) and
    /// `recordFailures` (attempts, not records). The store thread writes it.
    package let counters = CounterBlock()
    private let inbox: Inbox
    private let isFinished = DispatchSemaphore(value: 0)

    /// Creates the directory if needed, locks it, opens the journal and starts the thread, which first replays the journal
    /// into the store.
    ///
    /// - Throws: `RecordError` when the directory is in use or cannot be written. A store that cannot be opened is no
    ///   reason not to start: it is tried again and again.
    package init(directory: String, options: Options = Options()) throws(RecordError) {
        inbox = Inbox(limit: options.queueLimit)
        let outcome = StartOutcome()
        let thread = Thread { [inbox, counters, isFinished] in
            runStoreThread(directory: directory, options: options, inbox: inbox, counters: counters, outcome: outcome)
            isFinished.signal()
        }
        thread.name = "relayd-store"
        thread.start()
        if let error = outcome.wait() { throw error }
    }

    /// Records submitted and not yet in the journal.
    package var pending: Int { inbox.pending }

    /// Hands over a record.
    ///
    /// - Returns: false when the queue is full or the keeper was stopped; the record is then the caller's to log in full.
    package func submit(_ record: CallRecord) -> Bool { inbox.add(record) }

    /// Answers on the store thread, after the records submitted before are in the store, or with why they are not.
    package func query(
        _ query: RecordQuery, completion: @escaping @Sendable (Result<[CallRecord], RecordError>) -> Void
    ) {
        ask({ (store) throws(RecordError) in try store.records(matching: query) }, completion)
    }

    /// As `query`: how calls went, by group.
    package func report(
        _ query: ReportQuery, completion: @escaping @Sendable (Result<[ReportRow], RecordError>) -> Void
    ) {
        ask({ (store) throws(RecordError) in try store.report(query) }, completion)
    }

    /// As `query`: looks for ghost calls. Takes a second or two over very many records, in which new ones wait.
    package func audit(
        _ query: AuditQuery, completion: @escaping @Sendable (Result<AuditReport, RecordError>) -> Void
    ) {
        ask({ (store) throws(RecordError) in try store.audit(query) }, completion)
    }

    private func ask<Answer>(
        _ question: @escaping @Sendable (RecordStore) throws(RecordError) -> Answer,
        _ completion: @escaping @Sendable (Result<Answer, RecordError>) -> Void
    ) {
        let isTaken = inbox.add { store in
            switch store {
            case .failure(let error): completion(.failure(error))
            case .success(let store):
                do throws(RecordError) {
                    completion(.success(try question(store)))
                } catch {
                    completion(.failure(error))
                }
            }
        }
        if !isTaken { completion(.failure(.stopped)) }
    }

    /// Writes what is left and ends the thread, within 3 seconds. Calling it again does nothing.
    ///
    /// - Returns: the records that no disk would take, for the log.
    package func stop() -> [CallRecord] {
        guard inbox.beginStopping() else { return [] }
        // The thread ends by itself; only a disk that answers nothing at all can hold it.
        _ = isFinished.wait(timeout: .now() + .seconds(3))
        return inbox.leftOver
    }
}

/// How the thread's start went, told once.
final class StartOutcome: Sendable {
    private let error = Mutex<RecordError?>(nil)
    private let isKnown = DispatchSemaphore(value: 0)

    func tell(_ error: RecordError?) {
        self.error.withLock { $0 = error }
        isKnown.signal()
    }

    /// Called once.
    func wait() -> RecordError? {
        isKnown.wait()
        return error.withLock { $0 }
    }
}
