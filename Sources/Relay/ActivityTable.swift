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
    public let sessionCapacity: Int

    public init(sessionCapacity: Int) {
        precondition(sessionCapacity > 0)
        self.sessionCapacity = sessionCapacity
        // SAFETY: an atomic word of zeros is `Atomic(0)`.
        unsafe slots = ZeroedMemory.allocate(Atomic<UInt64>.self, count: sessionCapacity * 2)
    }

    deinit { unsafe ZeroedMemory.free(slots) }

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

    /// Called by the session's worker when it opens.
    public func clear(_ index: UInt32) {
        precondition(index < sessionCapacity)
        for leg in 0..<2 { unsafe slots[Int(index) * 2 + leg].store(0, ordering: .relaxed) }
    }
}
