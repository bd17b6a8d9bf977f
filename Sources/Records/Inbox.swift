import Core
import Dispatch
import Synchronization

/// What other threads hand to the store thread. They hold the lock only to append, it only to take everything.
final class Inbox: Sendable {
    /// Asks the store, or is told why there is none; on the store thread.
    typealias Query = @Sendable (Result<RecordStore, RecordError>) -> Void

    /// Everything that came since the last time.
    struct Content: Sendable {
        var records: [CallRecord] = []
        var queries: [Query] = []
        var isStopping = false
        /// Whether some of `records` came since the last time.
        var hasNews = false
    }

    private struct State: Sendable {
        var content = Content()
        /// Taken and not yet journaled. The store thread alone shortens it.
        var waiting: [CallRecord] = []
        /// The store thread knows that it has to look, or will look of itself.
        var isRung = false
        /// A question, or the end: what is not to wait for more.
        var isUrgent: Bool { content.isStopping || !content.queries.isEmpty }
    }

    private let limit: Int
    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
    /// Rung with the bell for what is urgent.
    private let urgentBell = DispatchSemaphore(value: 0)

    init(limit: Int) { self.limit = limit }

    var pending: Int { state.withLock { $0.content.records.count + $0.waiting.count } }

    /// False when full or stopping.
    func add(_ record: CallRecord) -> Bool {
        change { state in
            guard !state.content.isStopping, state.content.records.count + state.waiting.count < limit else { return false }
            state.content.records.append(record)
            return true
        }
    }

    /// False when stopping.
    func add(query: @escaping Query) -> Bool {
        change { state in
            guard !state.content.isStopping else { return false }
            state.content.queries.append(query)
            return true
        }
    }

    /// False when it was stopping already.
    func beginStopping() -> Bool {
        change { state in
            guard !state.content.isStopping else { return false }
            state.content.isStopping = true
            return true
        }
    }

    /// Applies a change and wakes the store thread, once for any number of changes until it looks.
    private func change(_ body: (inout State) -> Bool) -> Bool {
        let (isDone, mustRing, isUrgent) = state.withLock { state in
            guard body(&state) else { return (false, false, false) }
            defer { state.isRung = true }
            return (true, !state.isRung, state.isUrgent)
        }
        if mustRing { bell.signal() }
        if isUrgent { urgentBell.signal() }
        return isDone
    }
}

/// The store thread's side.
extension Inbox {
    /// Waits for something to come, at most for `timeout`; nil waits for ever.
    func wait(_ timeout: Duration?) {
        guard let timeout else { return bell.wait() }
        _ = bell.wait(timeout: .now() + .nanoseconds(Int(max(0, timeout.nanoseconds))))
    }

    /// Waits for records to come, as long as nothing urgent does: what comes together is written together.
    ///
    /// - Parameter isExpected: some came a moment ago. Otherwise it waits only for more than there are.
    func gather(for time: Duration, isExpected: Bool) {
        guard state.withLock({ !$0.isUrgent && (isExpected || !$0.content.records.isEmpty) }) else { return }
        _ = urgentBell.wait(timeout: .now() + .nanoseconds(Int(time.nanoseconds)))
    }

    /// Everything that came, after what was still waiting for the journal. The records count as pending until they are
    /// `markJournaled`.
    ///
    /// Whoever gets `hasNews` has to gather and take again: nobody rings for records until then.
    func take() -> Content {
        state.withLock { state in
            // What it rang for is taken now. One that rings a moment too late ends the next gathering early, which does no harm.
            if state.isUrgent { while urgentBell.wait(timeout: .now()) == .success {} }
            var content = Content(isStopping: state.content.isStopping, hasNews: !state.content.records.isEmpty)
            state.isRung = content.hasNews
            if state.waiting.isEmpty {
                swap(&state.waiting, &state.content.records)
            } else {
                state.waiting += state.content.records
                state.content.records = []
            }
            // Whoever adds records need not make room for them bit by bit.
            state.content.records.reserveCapacity(min(state.waiting.count, Self.usualCount))
            content.records = state.waiting
            swap(&content.queries, &state.content.queries)
            return content
        }
    }

    /// The first `count` of what was taken are in the journal.
    func markJournaled(_ count: Int) {
        state.withLock { state in
            // Others may have the array too: it is not copied to become empty.
            if count == state.waiting.count { state.waiting = [] } else { state.waiting.removeFirst(count) }
        }
    }

    private static let usualCount = 64

    /// What is not written: for ever, once the thread has ended.
    var leftOver: [CallRecord] {
        state.withLock { $0.waiting + $0.content.records }
    }
}
