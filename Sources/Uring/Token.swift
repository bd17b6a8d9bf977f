/// What a completion belongs to: the 64 bits io_uring carries from a submission to its completions.
///
/// Layout: kind in bits 56–63, generation in 32–55, index in 0–31.
@frozen
public struct Token: Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt64

    @inlinable @inline(always)
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameter generation: only its low 24 bits are kept; compare with `generation` of another token or with `& 0xffffff`.
    @inlinable @inline(always)
    public init(kind: UInt8, generation: UInt32 = 0, index: UInt32 = 0) {
        rawValue = UInt64(kind) &<< 56 | UInt64(generation & 0xff_ffff) &<< 32 | UInt64(index)
    }

    /// Chosen by the ring's owner; 255 is the ring's own.
    @inlinable @inline(always)
    public var kind: UInt8 { UInt8(truncatingIfNeeded: rawValue &>> 56) }

    /// 24 bits that tell the users of one index apart.
    @inlinable @inline(always)
    public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue &>> 32) & 0xff_ffff }

    @inlinable @inline(always)
    public var index: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    /// For operations nobody waits for.
    @inlinable @inline(always)
    public static var ignored: Token { Token(kind: 255) }
}

/// One result of one submitted operation.
@frozen
public struct Completion: Sendable, BitwiseCopyable {
    public let token: Token
    /// What the system call would have returned; a negative errno on failure.
    public let result: Int32
    @usableFromInline let flags: UInt32

    @inlinable @inline(always)
    public init(token: Token, result: Int32, flags: UInt32) {
        self.token = token
        self.result = result
        self.flags = flags
    }

    /// For tests and benchmarks: a completion no kernel made.
    public init(token: Token, result: Int32, buffer: UInt16?, hasMore: Bool) {
        self.token = token
        self.result = result
        flags = (buffer.map { UInt32($0) << 16 | 1 } ?? 0) | (hasMore ? 2 : 0)
    }

    /// False when a multishot operation ended with this completion and must be armed again.
    @inlinable @inline(always)
    public var hasMore: Bool { flags & 2 != 0 }  // IORING_CQE_F_MORE

    @inlinable @inline(always)
    public var hasBuffer: Bool { flags & 1 != 0 }  // IORING_CQE_F_BUFFER

    /// The provided buffer that was used; meaningful only when `hasBuffer`.
    @inlinable @inline(always)
    public var bufferID: UInt16 { UInt16(truncatingIfNeeded: flags &>> 16) }

    /// The errno of a failed operation.
    public var failure: Errno? { result < 0 ? Errno(code: -result) : nil }
}

/// Room for the completions of one turn, taken once.
@safe
public struct CompletionBatch: ~Copyable {
    @usableFromInline let storage: UnsafeMutablePointer<Completion>
    public let capacity: Int
    public internal(set) var count = 0

    public init(capacity: Int = 256) {
        precondition(capacity > 0)
        self.capacity = capacity
        unsafe storage = .allocate(capacity: capacity)
    }

    @inlinable @inline(always)
    public subscript(index: Int) -> Completion {
        precondition(index >= 0 && index < count)
        // SAFETY: initialised up to `count` by `Ring.takeCompletions`.
        return unsafe storage[index]
    }

    /// For tests of failures: puts another completion in a place.
    package mutating func replace(_ index: Int, with completion: Completion) {
        precondition(index >= 0 && index < count)
        // SAFETY: as in the subscript.
        unsafe storage[index] = completion
    }

    deinit { unsafe storage.deallocate() }
}
