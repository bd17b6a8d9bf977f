internal import Core
internal import CURing
internal import Glibc

/// A descriptor on its way from one thread to another, as a plain value: whoever has it last calls `close` once.
public struct OpenDescriptor: Sendable, BitwiseCopyable {
    let number: Int32

    /// An empty place among fixed files.
    public static let none = OpenDescriptor(number: -1)

    public func close() {
        if number >= 0 { _ = Glibc.close(number) }
    }
}

/// Signals as something to wait for with `Ring.pollReadable`.
public struct SignalDescriptor: ~Copyable {
    private let descriptor: Int32

    /// Blocks the signals in the calling thread. Threads started later inherit that, so make it before any other thread.
    public init(_ signals: [Int32]) throws(Errno) {
        // SAFETY: the numbers are read during the call.
        let result = unsafe signals.withUnsafeBufferPointer { signals in
            unsafe curing_signal_descriptor(signals.baseAddress, UInt32(signals.count))
        }
        descriptor = try Errno.check(result)
    }

    deinit { close(descriptor) }

    public var file: File { File(descriptor: descriptor) }

    /// The next signal that arrived; nil when none did.
    public borrowing func next() -> Int32? {
        let result = curing_next_signal(descriptor)
        return result > 0 ? result : nil
    }
}

/// Wakes a ring from a thread that has none (eventfd): the ring waits with `Ring.pollReadable`.
public final class EventDescriptor: Sendable {
    private let descriptor: Int32

    public init() throws(Errno) { descriptor = try Errno.check(curing_event_descriptor()) }

    deinit { close(descriptor) }

    public var file: File { File(descriptor: descriptor) }

    /// From any thread.
    public func signal() {
        var one: UInt64 = 1
        // Fails only when 2^64 - 2 signals are pending, and then it is readable anyway.
        _ = unsafe write(descriptor, &one, 8)
    }

    /// Blocks the calling thread until it is signalled, or `timeout` has passed; nil waits for ever.
    ///
    /// - Returns: true when it is signalled.
    @discardableResult
    public func wait(timeout: Duration? = nil) -> Bool {
        curing_wait_readable(descriptor, timeout.map { Int32(clamping: $0.milliseconds) } ?? -1) > 0
    }

    /// - Returns: true when it was signalled since the last call.
    @discardableResult
    public func clear() -> Bool {
        var count: UInt64 = 0
        return unsafe read(descriptor, &count, 8) == 8
    }
}
