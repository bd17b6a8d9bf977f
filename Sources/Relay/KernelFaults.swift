internal import Synchronization
internal import Uring

/// Failures of the kernel that a test asks a worker for, since they cannot be had at will. Outside tests there is none.
final class KernelFaults: Sendable {
    enum Fault: Sendable {
        /// The so many-th socket made from now on, counting from 1, is refused.
        case refuseSocket(number: Int, Errno)
        /// The next operations for which the submission queue has no room find none after a submission either.
        case refuseEntries(Int)
        /// Every receive ends now, for this reason.
        case endReceives(Errno)
    }

    private let pending = Mutex<[Fault]>([])

    /// By the test. Takes effect with the worker's next turn.
    func inject(_ fault: Fault) { pending.withLock { $0.append(fault) } }

    /// By the worker.
    func take() -> [Fault] {
        pending.withLock { faults in
            defer { faults = [] }
            return faults
        }
    }
}
