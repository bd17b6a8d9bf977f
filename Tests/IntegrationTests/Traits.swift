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

/// Makes each test of a suite wait for its turn.
///
/// A test has a daemon and peers of its own. When more of them run than a few per core they starve one another, and miss
/// time limits that then say nothing about relayd.
struct InTurn: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await Turns.shared.take()
        do {
            try await function()
        } catch {
            await Turns.shared.giveBack()
            throw error
        }
        await Turns.shared.giveBack()
    }
}

extension Trait where Self == InTurn {
    static var inTurn: InTurn { InTurn() }
}

private actor Turns {
    static let shared = Turns(count: 3 * ProcessInfo.processInfo.activeProcessorCount)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) { free = count }

    func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
