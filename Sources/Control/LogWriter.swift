import Dispatch
import Foundation
import Synchronization

/// Writes log lines to standard error from a queue of its own: a reader that stalls (a terminal held with Ctrl-S, a pager)
/// must not stall calls.
///
/// Beyond `limit` waiting lines further ones are dropped, and their count is written once there is room again.
final class LogWriter: Sendable {
    private let queue = DispatchQueue(label: "relayd-log")
    private let waiting = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)
    private let limit: Int
    private let output: @Sendable (String) -> Void

    /// - Parameter output: writes one line; errors are nobody's business but the reader's.
    init(
        limit: Int = 10_000,
        output: @escaping @Sendable (String) -> Void = { try? FileHandle.standardError.write(contentsOf: Data($0.utf8)) }
    ) {
        self.limit = limit
        self.output = output
    }

    /// From any thread; never waits.
    func write(_ line: String) {
        guard waiting.load(ordering: .relaxed) < limit else {
            lost.add(1, ordering: .relaxed)
            return
        }
        waiting.add(1, ordering: .relaxed)
        queue.async { [self] in
            waiting.subtract(1, ordering: .relaxed)
            let count = lost.exchange(0, ordering: .relaxed)
            if count > 0 { output("warning log.lost lines=\(count)\n") }
            output(line)
        }
    }

    /// Waits until everything is written, a second at the most.
    func flush() {
        let done = DispatchSemaphore(value: 0)
        queue.async { done.signal() }
        _ = done.wait(timeout: .now() + .seconds(1))
    }
}
