internal import Glibc

/// Memory for tables that are sized for the most there may be: the kernel gives each page when it is first written to, so a
/// table costs what is used of it.
public enum ZeroedMemory {
    /// Room for `count` values whose initial value is zeros throughout; that they are, and need no deinitialisation, is the
    /// caller's to argue.
    ///
    /// The process ends when there is no address space left, as with any allocation.
    public static func allocate<Value: ~Copyable>(_ type: Value.Type, count: Int) -> UnsafeMutablePointer<Value> {
        precondition(count > 0 && MemoryLayout<Value>.alignment <= 16)
        guard let memory = unsafe calloc(count, MemoryLayout<Value>.stride) else { fatalError("out of memory") }
        return unsafe memory.assumingMemoryBound(to: Value.self)
    }

    public static func free<Value: ~Copyable>(_ memory: UnsafeMutablePointer<Value>) { unsafe Glibc.free(memory) }
}
