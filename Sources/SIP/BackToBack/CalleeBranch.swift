import Core

/// Names one branch of a call: one INVITE towards a callee. In the order they were placed, from 0.
package struct BranchID: Hashable, Comparable, Sendable {
    package let rawValue: Int

    package init(_ rawValue: Int) { self.rawValue = rawValue }

    package static func < (left: BranchID, right: BranchID) -> Bool { left.rawValue < right.rawValue }
}

/// What `BackToBackCall` knows of one branch.
struct CalleeBranch: Sendable {
    var state = BackToBackCall.CalleeState.inviting
    /// The INVITE client transaction has not ended: something may still come.
    var isTransactionAlive = true
    /// Why it will not answer. The branch itself may still have to be cancelled.
    var failure: BackToBackCall.Release?

    /// Neither answered nor given up.
    var isOpen: Bool { failure == nil && state != .confirmed }
}

extension BackToBackCall.Release {
    /// Which of several branches' failures the caller hears of, the lowest first (RFC 3261 §16.7, step 6): a global
    /// failure, then the lowest class; within 4xx those that tell what to do differently, and last those that only say that
    /// nobody came to the phone. A contact that nothing reaches is as if it had not been called.
    var rank: Int {
        if cause == .notRegistered { return 6 }
        return switch status {
        case 600...: 0
        case 300..<400: 1
        case 401, 407, 415, 420, 484: 2
        case 408, 480, 487: 4
        case 400..<500: 3
        default: 5
        }
    }
}
