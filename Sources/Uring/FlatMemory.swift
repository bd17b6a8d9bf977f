internal import CURing
internal import Core
internal import Glibc

/// Octets in one stretch, all zero at first, taken from the kernel page by page as they are written.
@safe
public struct FlatMemory: ~Copyable {
    private let base: UnsafeMutableRawPointer
    public let count: Int

    /// - Throws: `ENOMEM` when the address space is limited to less.
    public init(count: Int) throws(Errno) {
        precondition(count > 0)
        // SAFETY: a new mapping, or null.
        guard let base = unsafe curing_map(count) else { throw Errno(code: ENOMEM) }
        self.count = count
        unsafe self.base = base
    }

    deinit {
        // SAFETY: what `init` mapped, which nothing refers to any more.
        unsafe munmap(base, count)
    }

    /// Takes all of it from the kernel now.
    public func populate() {
        // SAFETY: what `init` mapped.
        unsafe ResidentMemory.populate(base, octets: count)
    }

    /// Copies `octets` to `offset` and after.
    public mutating func write(_ octets: Span<UInt8>, at offset: Int) {
        precondition(offset >= 0 && octets.count <= count - offset)
        unsafe octets.withUnsafeBytes { octets in
            guard let source = octets.baseAddress else { return }
            // SAFETY: inside the mapping by the line above; nobody else has this memory.
            unsafe memcpy(base + offset, source, octets.count)
        }
    }

    public var octets: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get {
            // SAFETY: the mapping lives as long as its owner, whom the span borrows.
            let octets = unsafe UnsafeRawBufferPointer(start: base, count: count).bindMemory(to: UInt8.self)
            return unsafe _overrideLifetime(octets.span, borrowing: self)
        }
    }
}
