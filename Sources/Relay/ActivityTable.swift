public import Core
internal import Synchronization
internal import Uring

/// When each leg last sent valid RTP from its locked source.
///
/// One word a leg. Its only writer is the worker of the session; control sweeps it. Relaxed throughout: the sweep wants a
/// recent value and reads nothing else through it.
@safe
public final class ActivityTable: @unchecked Sendable {
    // SAFETY of @unchecked: the memory is allocated once, holds atomics only, and lives as long as the table.
    let slots: UnsafeMutablePointer<Atomic<UInt64>>
    /// When the sockets of a session that has ended last heard something.
    let strays: UnsafeMutablePointer<Atomic<UInt64>>
    public let sessionCapacity: Int
    /// Has the memory of `slots`, where its program writes, too.
    let kernel: KernelPath?

    public convenience init(sessionCapacity: Int) { self.init(sessionCapacity: sessionCapacity, kernel: nil) }

    init(sessionCapacity: Int, kernel: KernelPath?) {
        precondition(sessionCapacity > 0)
        self.sessionCapacity = sessionCapacity
        self.kernel = kernel
        // SAFETY: an atomic word of zeros is `Atomic(0)`; the program's memory has one for each leg, and as many legs.
        if let kernel {
            precondition(kernel.legCapacity >= sessionCapacity * 2)
            unsafe slots = UnsafeMutableRawPointer(kernel.activityMemory).assumingMemoryBound(to: Atomic<UInt64>.self)
        } else {
            unsafe slots = ZeroedMemory.allocate(Atomic<UInt64>.self, count: sessionCapacity * 2)
        }
        unsafe strays = ZeroedMemory.allocate(Atomic<UInt64>.self, count: sessionCapacity)
    }

    deinit {
        if kernel == nil { unsafe ZeroedMemory.free(slots) }
        unsafe ZeroedMemory.free(strays)
    }

    /// Called by the session's worker, or by a test in its place.
    public func touch(_ index: UInt32, _ leg: Leg, at now: Instant) {
        precondition(index < sessionCapacity)
        unsafe slots[Int(index) * 2 + leg.offset].store(now.nanoseconds, ordering: .relaxed)
    }

    /// Nil when the leg was never heard in this session. From any thread.
    public func last(_ index: UInt32, _ leg: Leg) -> Instant? {
        precondition(index < sessionCapacity)
        let value = unsafe slots[Int(index) * 2 + leg.offset].load(ordering: .relaxed)
        return value == 0 ? nil : Instant(nanoseconds: value)
    }

    /// When something last came to a session's sockets that was meant for none, or came too late for the one that has ended.
    /// Long ahead while the worker does not hear what comes. From any thread.
    public func lastStray(_ index: UInt32) -> Instant {
        precondition(index < sessionCapacity)
        return Instant(nanoseconds: unsafe strays[Int(index)].load(ordering: .relaxed))
    }

    /// Called by the worker of the sockets, or by a test in its place.
    public func noteStray(_ index: UInt32, at now: UInt64) {
        precondition(index < sessionCapacity)
        unsafe strays[Int(index)].store(now, ordering: .relaxed)
    }

    /// Called by control before a session opens. Its worker, which wrote here until it said that the one before was closed, is
    /// told afterwards; so nobody reads what the one before left.
    public func clear(_ index: UInt32) {
        precondition(index < sessionCapacity)
        for leg in 0..<2 { unsafe slots[Int(index) * 2 + leg].clear() }
    }
}
