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
    /// Whether it takes most turns: what takes all that the machine has would fail, and the others with it.
    var isHeavy = false
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await Turns.shared.take(isHeavy: isHeavy)
        do {
            try await withTaskExecutorPreference(OwnThread()) { try await function() }
        } catch {
            await Turns.shared.giveBack(isHeavy: isHeavy)
            throw error
        }
        await Turns.shared.giveBack(isHeavy: isHeavy)
    }
}

extension Trait where Self == InTurn {
    static var inTurn: InTurn { InTurn() }
    static var heavyInTurn: InTurn { InTurn(isHeavy: true) }
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
    static let shared = Turns(perCore: 3, cores: ProcessInfo.processInfo.activeProcessorCount)

    private var free: Int
    /// What a heavy test takes: beside it are a few others, most of which wait for something.
    private let heavy: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []
    /// They come first: so they follow each other, and turns lie idle for them once.
    private var heavyWaiting: [CheckedContinuation<Void, Never>] = []

    init(perCore: Int, cores: Int) {
        free = perCore * cores
        heavy = (perCore - 1) * cores
    }

    func take(isHeavy: Bool) async {
        await withCheckedContinuation { continuation in
            if isHeavy { heavyWaiting.append(continuation) } else { waiting.append(continuation) }
            resumeNext()
        }
    }

    func giveBack(isHeavy: Bool) {
        free += isHeavy ? heavy : 1
        resumeNext()
    }

    private func resumeNext() {
        while !heavyWaiting.isEmpty {
            guard free >= heavy else { return }
            free -= heavy
            heavyWaiting.removeFirst().resume()
        }
        while free > 0, !waiting.isEmpty {
            free -= 1
            waiting.removeFirst().resume()
        }
    }
}
