public import Core
public import CURing
internal import Glibc

/// A run of octets in a `BufferPool`.
@frozen
public struct BufferSlice: Sendable, BitwiseCopyable {
    /// From the start of the pool.
    public let offset: Int
    public let count: UInt32

    @inlinable @inline(always)
    public init(offset: Int, count: UInt32) {
        self.offset = offset
        self.count = count
    }
}

/// A datagram that multishot recvmsg put into a buffer.
///
/// The kernel writes a header of four words (name length, control length, payload length, flags), room for the name, and
/// the payload (struct io_uring_recvmsg_out).
@frozen
public struct ReceivedDatagram: Sendable, BitwiseCopyable {
    /// Octets of a sockaddr_in6, which is what the ring's layout asks for.
    @usableFromInline static let nameRoom = 28
    /// What lies before the payload.
    public static let headerCount = 16 + nameRoom

    public let source: SocketAddress
    public let payload: BufferSlice
    /// True when the datagram was longer than the buffer; `payload` is then its beginning.
    public let isTruncated: Bool

    @inlinable @inline(always)
    init(source: SocketAddress, payload: BufferSlice, isTruncated: Bool) {
        self.source = source
        self.payload = payload
        self.isTruncated = isTruncated
    }
}

/// Buffers a ring picks from when something arrives (a ring of provided buffers).
///
/// Made for one `Ring`, used by its thread, and to be dropped before or after it but not while it still receives.
/// When it runs dry, multishot receives end with `ENOBUFS` and have to be armed again.
@safe
public struct BufferPool: ~Copyable {
    @usableFromInline let data: UnsafeMutableRawPointer
    @usableFromInline let entries: UnsafeMutableRawPointer
    public let bufferCount: Int
    public let bufferSize: Int
    /// The number by which operations name this pool.
    public let group: UInt16
    @usableFromInline var tail: UInt32
    /// Buffers that the kernel has not got for now: see `recycle(_:keeping:)`.
    private var withheld: [UInt16] = []

    /// - Parameters:
    ///   - count: a power of two, at most 32768.
    ///   - size: octets of each buffer.
    public init(ring: borrowing Ring, group: UInt16, count: Int, size: Int = 2048) throws(RingError) {
        let (data, entries) = unsafe try Self.map(count: count, size: size)
        var registration = io_uring_buf_reg()
        registration.ring_addr = UInt64(UInt(bitPattern: entries))
        registration.ring_entries = UInt32(count)
        registration.bgid = group
        // SAFETY: the kernel reads the registration during the call; the memory is page-aligned and lives as long as the pool.
        let result = unsafe io_uring_register_buf_ring(ring.ring, &registration, 0)
        guard result == 0 else {
            unsafe munmap(data, count * size)
            unsafe munmap(entries, count * MemoryLayout<io_uring_buf>.size)
            throw .failed(step: "registering \(count) receive buffers", Errno(code: -result))
        }
        unsafe self.init(group: group, count: count, size: size, data: data, entries: entries)
    }

    /// Buffers no ring knows, for benchmarks and tests of what happens to packets after their arrival.
    public static func withoutRing(count: Int, size: Int = 2048) throws(RingError) -> BufferPool {
        let (data, entries) = unsafe try map(count: count, size: size)
        return unsafe BufferPool(group: 0, count: count, size: size, data: data, entries: entries)
    }

    private static func map(
        count: Int, size: Int
    ) throws(RingError) -> (data: UnsafeMutableRawPointer, entries: UnsafeMutableRawPointer) {
        precondition(count > 0 && count <= 32768 && count & (count - 1) == 0, "a power of two up to 32768")
        precondition(size > ReceivedDatagram.headerCount)
        let outOfMemory = RingError.failed(step: "allocating \(count) receive buffers", .outOfMemory)
        guard let data = unsafe curing_map(count * size) else { throw outOfMemory }
        guard let entries = unsafe curing_map(count * MemoryLayout<io_uring_buf>.size) else {
            unsafe munmap(data, count * size)
            throw outOfMemory
        }
        return unsafe (data, entries)
    }

    private init(
        group: UInt16, count: Int, size: Int, data: UnsafeMutableRawPointer, entries: UnsafeMutableRawPointer
    ) {
        unsafe self.data = data
        unsafe self.entries = entries
        bufferCount = count
        bufferSize = size
        self.group = group
        tail = 0
        for id in 0..<count { recycle(UInt16(id)) }
        publish()
    }

    deinit {
        unsafe munmap(data, bufferCount * bufferSize)
        unsafe munmap(entries, bufferCount * MemoryLayout<io_uring_buf>.size)
    }

    /// Gives a buffer back; the kernel sees it after `publish`. Each completion's buffer is given back once.
    @inlinable @inline(always)
    public mutating func recycle(_ id: UInt16) {
        precondition(Int(id) < bufferCount)
        // SAFETY: the entry ring has `bufferCount` places, a power of two, and the buffer lies inside the pool.
        unsafe curing_provide(
            entries, tail, UInt32(truncatingIfNeeded: bufferCount &- 1),
            UInt64(UInt(bitPattern: data)) &+ UInt64(id) &* UInt64(bufferSize), UInt32(truncatingIfNeeded: bufferSize), id)
        tail &+= 1
    }

    /// Gives a buffer back where it is one of the first `few`, and the others once `provideWithheld` is called.
    ///
    /// The kernel takes buffers in turn, so that of many each was long ago in the processor's cache. A few are enough as long
    /// as little comes at a time.
    public mutating func recycle(_ id: UInt16, keeping few: Int) {
        if Int(id) < few { recycle(id) } else { withheld.append(id) }
    }

    /// Gives the kernel every buffer: after a receive that has ended, as it does for want of buffers.
    public mutating func provideWithheld() {
        for id in withheld { recycle(id) }
        withheld.removeAll(keepingCapacity: true)
    }

    /// Shows the kernel what was given back.
    @inlinable @inline(always)
    public mutating func publish() {
        unsafe curing_publish_buffers(entries, UInt16(truncatingIfNeeded: tail))
    }

    /// What a completion of `Ring.receiveDatagrams` brought; nil when it brought nothing or is too short to be that.
    @inlinable @inline(always)
    public func datagram(_ completion: Completion) -> ReceivedDatagram? {
        let count = Int(completion.result)
        let id = Int(completion.bufferID)
        guard completion.hasBuffer, id < bufferCount, count >= ReceivedDatagram.headerCount, count <= bufferSize else {
            return nil
        }
        let offset = id &* bufferSize
        // SAFETY: the buffer lies inside the pool and is at least as long as the header.
        let start = unsafe UnsafeRawPointer(data + offset)
        let flags = unsafe start.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        return ReceivedDatagram(
            source: unsafe KernelAddress.read(start + 16),
            payload: BufferSlice(
                offset: offset &+ ReceivedDatagram.headerCount,
                count: UInt32(truncatingIfNeeded: count &- ReceivedDatagram.headerCount)),
            isTruncated: flags & 0x20 != 0)  // MSG_TRUNC
    }

    /// What a completion of `Ring.receive` brought; empty when it brought nothing.
    @inlinable @inline(always)
    public func slice(_ completion: Completion) -> BufferSlice {
        guard completion.hasBuffer, completion.result > 0, Int(completion.bufferID) < bufferCount else {
            return BufferSlice(offset: 0, count: 0)
        }
        return BufferSlice(
            offset: Int(completion.bufferID) &* bufferSize,
            count: UInt32(truncatingIfNeeded: min(Int(completion.result), bufferSize)))
    }

    @inlinable @inline(always)
    public func contains(_ slice: BufferSlice) -> Bool {
        slice.offset >= 0 && slice.offset &+ Int(slice.count) <= bufferCount &* bufferSize
    }

    /// The octets of a slice, readable until its buffer is recycled.
    @inlinable @inline(always)
    @_lifetime(borrow self)
    public func octets(_ slice: BufferSlice) -> Span<UInt8> {
        precondition(contains(slice))
        // SAFETY: inside the pool by the line above; the kernel leaves a buffer alone until it is recycled.
        let octets = unsafe UnsafeBufferPointer(
            start: (data + slice.offset).assumingMemoryBound(to: UInt8.self), count: Int(slice.count))
        return unsafe _overrideLifetime(octets.span, borrowing: self)
    }

    /// The octets of a slice, to outlive its buffer.
    public func copy(_ slice: BufferSlice) -> [UInt8] {
        let octets = self.octets(slice)
        // SAFETY: the octets are only read, and inside this closure.
        return unsafe octets.withUnsafeBufferPointer { unsafe Array($0) }
    }

    /// Overwrites octets of a buffer that was received into and is not recycled. Nothing may read them meanwhile.
    public func fill(_ slice: BufferSlice, with octet: UInt8) {
        precondition(contains(slice))
        // SAFETY: inside the pool by the line above, and the kernel leaves a buffer alone until it is recycled.
        unsafe (data + slice.offset).initializeMemory(as: UInt8.self, repeating: octet, count: Int(slice.count))
    }

    /// Writes a datagram as the kernel would. For benchmarks and tests over a pool without a ring.
    public mutating func fabricate(_ octets: Span<UInt8>, from source: SocketAddress?, in id: UInt16, token: Token) -> Completion {
        let header = source == nil ? 0 : ReceivedDatagram.headerCount
        precondition(Int(id) < bufferCount && octets.count + header <= bufferSize)
        // SAFETY: inside the buffer by the line above.
        let start = unsafe data + Int(id) * bufferSize
        if let source {
            unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: header)
            unsafe start.storeBytes(of: UInt32(octets.count), toByteOffset: 8, as: UInt32.self)
            _ = unsafe KernelAddress.write(source, to: start + 16)
        }
        unsafe octets.withUnsafeBytes { octets in
            if let base = octets.baseAddress { unsafe (start + header).copyMemory(from: base, byteCount: octets.count) }
        }
        return Completion(token: token, result: Int32(octets.count + header), buffer: id, hasMore: true)
    }
}
