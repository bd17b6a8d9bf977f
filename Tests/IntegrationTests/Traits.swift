import Harness
import Testing

extension Trait where Self == ConditionTrait {
    /// Skips a test where the machine lacks something, with the reason; in CI (environment `CI`) it runs and fails instead.
    static func needs(_ prerequisites: Prerequisite...) -> ConditionTrait {
        let missing = prerequisites.filter { !$0.isMetOrRequired }.map(\.explanation).joined(separator: "; ")
        return .enabled(if: missing.isEmpty, "\(missing)")
    }
}
