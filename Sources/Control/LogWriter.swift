import Dispatch
import Foundation
import Synchronization

/// Writes log lines to standard error from a queue of its own: a reader that stalls (a terminal held with Ctrl-S, a pager)
/// must not stall calls.
///
/// Beyond `limit` waiting lines further ones are dropped, and their count is written after the ones that waited.
final class LogWriter: Sendable {
    private struct State {
        var lines: [String] = []
        var lost = 0
        /// The queue has been told, and will look once more before it goes back to sleep.
        var isAwake = false
    }

    private let queue = DispatchQueue(label: "relayd-log")
    private let state = Mutex(State())
    private let limit: Int
    private let output: @Sendable (String) -> Void

    /// - Parameter output: writes whole lines; errors are nobody's business but the reader's.
    init(
        limit: Int = 10_000,
        output: @escaping @Sendable (String) -> Void = { try? FileHandle.standardError.write(contentsOf: Data($0.utf8)) }
    ) {
        self.limit = limit
        self.output = output
    }

    /// From any thread; never waits.
    func write(_ line: String) {
        let mustWake = state.withLock { state in
            guard state.lines.count < limit else {
                state.lost += 1
                return false
            }
            state.lines.append(line)
            defer { state.isAwake = true }
            return !state.isAwake
        }
        if mustWake { queue.async { [self] in writeAll() } }
    }

    private func writeAll() {
        while true {
            let (lines, lost) = state.withLock { state in
                defer {
                    state.lines.removeAll(keepingCapacity: true)
                    state.lost = 0
                }
                if state.lines.isEmpty { state.isAwake = false }
                return (state.lines, state.lost)
            }
            guard !lines.isEmpty else { return }
            output(lines.joined())
            if lost > 0 { output("warning log.lost lines=\(lost)\n") }
        }
    }

    /// Waits until everything is written, a second at the most.
    func flush() {
        let done = DispatchSemaphore(value: 0)
        queue.async { done.signal() }
        _ = done.wait(timeout: .now() + .seconds(1))
    }
}
