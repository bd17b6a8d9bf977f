import Dispatch
import Foundation
import Harness
import Testing

extension Trait where Self == ConditionTrait {
    /// Skips a test where the machine lacks something, with the reason; in CI (environment `CI`) it runs and fails instead.
    static func needs(_ prerequisites: Prerequisite...) -> ConditionTrait {
        let missing = prerequisites.filter { !$0.isMetOrRequired }.map(\.explanation).joined(separator: "; ")
        return .enabled(if: missing.isEmpty, "\(missing)")
    }
}

/// Makes each test of a suite wait for its turn, and gives it a thread of its own then.
///
/// A test has a daemon and peers of its own. When more of them run than a few per core they starve one another, and miss
/// time limits that then say nothing about relayd. The thread is its own because tests ask daemons and peers over blocking
/// sockets: on the threads that all share, one per core, two that wait for an answer would stop everybody else's clocks.
///
/// Its wait counts in a `.timeLimit`, so such a test bounds what it waits for itself (`eventually`, `run`).
struct InTurn: SuiteTrait, TestTrait, TestScoping {
    /// Whether nothing else runs meanwhile: what takes all that the machine has would fail, and the others with it.
    var isAlone = false
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await Turns.shared.take(all: isAlone)
        do {
            try await withTaskExecutorPreference(OwnThread()) { try await function() }
        } catch {
            await Turns.shared.giveBack(all: isAlone)
            throw error
        }
        await Turns.shared.giveBack(all: isAlone)
    }
}

extension Trait where Self == InTurn {
    static var inTurn: InTurn { InTurn() }
    static var alone: InTurn { InTurn(isAlone: true) }
}

/// Runs the tasks of one test, one after the other.
private final class OwnThread: TaskExecutor {
    private let queue = DispatchQueue(label: "test")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // SAFETY: the task that prefers this executor keeps it until the job has run, and `self` is held here.
        queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

private actor Turns {
    static let shared = Turns(count: 3 * ProcessInfo.processInfo.activeProcessorCount)

    private let count: Int
    private var free: Int
    /// In the order they came, each with how many turns it takes.
    private var waiting: [(turns: Int, CheckedContinuation<Void, Never>)] = []

    init(count: Int) {
        self.count = count
        free = count
    }

    func take(all: Bool) async {
        let turns = all ? count : 1
        if waiting.isEmpty, free >= turns {
            free -= turns
        } else {
            await withCheckedContinuation { waiting.append((turns, $0)) }
        }
    }

    func giveBack(all: Bool) {
        free += all ? count : 1
        while let (turns, next) = waiting.first, free >= turns {
            free -= turns
            waiting.removeFirst()
            next.resume()
        }
    }
}
