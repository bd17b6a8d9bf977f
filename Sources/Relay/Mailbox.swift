internal import Synchronization

/// A queue of fixed-size values from one thread to one other.
///
/// Releasing `tail` after the value is written, and acquiring it before the value is read, hands the value over; `head`
/// hands the place back the same way. Nothing waits: a full mailbox says so.
@safe
public final class Mailbox<Message: BitwiseCopyable & Sendable>: @unchecked Sendable {
    // SAFETY of @unchecked: places are written by the one sender and read by the one receiver, never at once, see above.
    private let places: UnsafeMutablePointer<Message>
    private let mask: Int
    /// Messages taken; written by the receiver.
    private let head = Atomic<Int>(0)
    /// Keeps the two ends out of one cache line.
    private let padding: InlineArray<14, Int> = .init(repeating: 0)
    /// Messages put in; written by the sender.
    private let tail = Atomic<Int>(0)

    /// - Parameter capacity: rounded up to a power of two.
    public init(capacity: Int) {
        precondition(capacity > 0)
        var size = 1
        while size < capacity { size *= 2 }
        unsafe places = .allocate(capacity: size)
        mask = size - 1
    }

    deinit { unsafe places.deallocate() }

    /// By the sending thread. False when it is full.
    public func send(_ message: Message) -> Bool {
        let end = tail.load(ordering: .relaxed)
        guard end &- head.load(ordering: .acquiring) <= mask else { return false }
        // SAFETY: the place is inside by the mask, and free: the receiver is less than a round behind.
        unsafe (places + (end & mask)).initialize(to: message)
        tail.store(end &+ 1, ordering: .releasing)
        return true
    }

    /// By the sending thread: true when the next `send` will be taken.
    public var hasRoom: Bool { tail.load(ordering: .relaxed) &- head.load(ordering: .acquiring) <= mask }

    /// By the sending thread: true when the receiver has taken everything.
    public var isEmpty: Bool { tail.load(ordering: .relaxed) == head.load(ordering: .acquiring) }

    /// By the receiving thread. Nil when it is empty.
    public func receive() -> Message? {
        let start = head.load(ordering: .relaxed)
        guard start != tail.load(ordering: .acquiring) else { return nil }
        // SAFETY: the sender initialised the place before it moved `tail` past it.
        let message = unsafe places[start & mask]
        head.store(start &+ 1, ordering: .releasing)
        return message
    }
}
