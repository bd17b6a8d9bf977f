internal import Synchronization
internal import Uring

/// Failures of the kernel that a test asks a worker for, since they cannot be had at will. Outside tests there is none.
final class KernelFaults: Sendable {
    enum Fault: Sendable {
        /// So many times the table of fixed files takes no sockets.
        case refuseFixedFiles(Int)
        /// The next operations for which the submission queue has no room find none after a submission either.
        case refuseEntries(Int)
        /// So many disconnects at the end of a session fail.
        case failDisconnects(Int)
        /// Every receive ends now, for this reason.
        case endReceives(Errno)
    }

    private let pending = Mutex<[Fault]>([])
    private let socketRefusal = Mutex<(number: Int, code: Errno)?>(nil)

    /// By the test. The so many-th socket that control makes from now on, counting from 1, is refused.
    func refuseSocket(number: Int, _ code: Errno) { socketRefusal.withLock { $0 = (number, code) } }

    /// By control, before it makes a socket.
    func refusalOfNextSocket() -> Errno? {
        socketRefusal.withLock { refusal in
            guard let (number, code) = refusal else { return nil }
            refusal = number > 1 ? (number - 1, code) : nil
            return number == 1 ? code : nil
        }
    }

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
