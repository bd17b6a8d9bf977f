public import Core
public import CURing
internal import Glibc

/// Names a ring from another thread, so that a doorbell can be rung there.
public struct RingDescriptor: Sendable, BitwiseCopyable {
    let number: Int32
}

/// A socket or other descriptor as an operation names it.
///
/// It does not own anything: the value whose `file` this is must stay open while operations on it are queued.
@frozen
public struct File: Hashable, Sendable, BitwiseCopyable {
    /// A descriptor, or an index into the ring's table of fixed files.
    public let number: Int32
    public let isFixed: Bool

    @inlinable @inline(always)
    public init(descriptor: Int32) {
        number = descriptor
        isFixed = false
    }

    @inlinable @inline(always)
    public init(fixed index: UInt32) {
        number = Int32(truncatingIfNeeded: index)
        isFixed = true
    }
}

/// One io_uring instance. Only the thread that created it may use it; `descriptor` may be handed to others.
///
/// Operations are queued and reach the kernel with the next `submit` or `submitAndWait`. A full queue is submitted on the
/// way. Operations answer false when the kernel takes no more right now, which happens only when it is out of memory or
/// more completions wait than it can hold: the operation was then not queued.
@safe
public struct Ring: ~Copyable {
    @usableFromInline let ring: UnsafeMutablePointer<io_uring>
    /// One address per submission entry, so that it lives until the kernel has consumed that entry.
    @usableFromInline let addresses: UnsafeMutablePointer<curing_address>
    /// The layout multishot recvmsg writes: a name of up to 28 octets and no control data.
    @usableFromInline let messageLayout: UnsafeMutablePointer<msghdr>
    /// Octets of queued sends; free again after each submission.
    private let arena: UnsafeMutableRawPointer
    private let arenaSize: Int
    private var arenaUsed = 0
    /// When the timer is due, and the same as the kernel reads it at the next submission.
    private var timerDue: Instant?
    private let timerTime: UnsafeMutablePointer<__kernel_timespec>
    private let enterDescriptor: Int32
    private let enterFlags: UInt32
    private let fixedFileCount: UInt32
    /// True when the kernel can wait for a batch up to a time and for the first completion after it (Linux 6.12).
    public let canGather: Bool
    /// True when system calls name the ring by a registered number, which saves the kernel looking it up.
    public var hasRegisteredDescriptor: Bool { enterFlags != 0 }
    /// For tests: so many times a full queue stays full after a submission, as when the kernel takes nothing.
    package var entriesToRefuse = 0
    /// System calls made by submitting and waiting so far.
    public private(set) var systemCalls: UInt64 = 0

    /// - Parameters:
    ///   - submissionEntries: a power of two; more operations than this in one turn cost a system call each time it fills up.
    ///   - completionEntries: a power of two. For a relay worker 32768: a burst on all sockets must fit.
    ///   - fixedFiles: size of the fixed-file table; may not exceed RLIMIT_NOFILE.
    ///   - arenaOctets: room for the octets of `send(copying:)` between two submissions.
    public init(
        submissionEntries: UInt32 = 256, completionEntries: UInt32 = 4096, fixedFiles: UInt32 = 0, arenaOctets: Int = 0
    ) throws(RingError) {
        var parameters = io_uring_params()
        parameters.flags =
            UInt32(IORING_SETUP_SINGLE_ISSUER) | UInt32(IORING_SETUP_DEFER_TASKRUN) | UInt32(IORING_SETUP_CQSIZE)
            | UInt32(IORING_SETUP_SUBMIT_ALL)
        parameters.cq_entries = completionEntries
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        unsafe ring.initialize(to: io_uring())
        // SAFETY: both point to initialised structures that live through the call.
        let result = unsafe io_uring_queue_init_params(submissionEntries, ring, &parameters)
        guard result == 0 else {
            unsafe ring.deallocate()
            throw RingError(setup: Errno(code: -result), sysctl: RingError.readSysctl())
        }
        // SAFETY: the queue was mapped by the call above; the array has one place per entry. Identity for good: entry n is
        // always submitted through place n, whatever this version of liburing does by itself.
        for index in 0..<Int(unsafe ring.pointee.sq.kring_entries.pointee) {
            unsafe ring.pointee.sq.array[index] = UInt32(index)
        }
        if fixedFiles > 0 {
            let registered = unsafe io_uring_register_files_sparse(ring, fixedFiles)
            guard registered == 0 else {
                unsafe io_uring_queue_exit(ring)
                unsafe ring.deallocate()
                throw .failed(step: "registering \(fixedFiles) fixed files", Errno(code: -registered))
            }
        }
        fixedFileCount = fixedFiles
        canGather = parameters.features & CURING_FEAT_MIN_TIMEOUT != 0
        // A registered ring descriptor saves the look-up on each enter; where it fails, the ordinary one does.
        if unsafe io_uring_register_ring_fd(ring) == 1 {
            enterDescriptor = unsafe ring.pointee.enter_ring_fd
            enterFlags = UInt32(IORING_ENTER_REGISTERED_RING)
        } else {
            enterDescriptor = unsafe ring.pointee.ring_fd
            enterFlags = 0
        }
        let entries = Int(unsafe ring.pointee.sq.kring_entries.pointee)
        unsafe addresses = .allocate(capacity: entries)
        unsafe addresses.initialize(repeating: curing_address(), count: entries)
        unsafe messageLayout = .allocate(capacity: 1)
        unsafe messageLayout.initialize(to: msghdr())
        unsafe messageLayout.pointee.msg_namelen = UInt32(ReceivedDatagram.nameRoom)
        unsafe timerTime = .allocate(capacity: 1)
        unsafe timerTime.initialize(to: __kernel_timespec())
        unsafe arena = .allocate(byteCount: max(1, arenaOctets), alignment: 64)
        arenaSize = arenaOctets
        unsafe self.ring = ring
    }

    deinit {
        if fixedFileCount > 0 {
            // Otherwise the sockets, and with them their ports, outlive the ring for a moment.
            _ = unsafe io_uring_unregister_files(ring)
        }
        unsafe io_uring_queue_exit(ring)
        unsafe ring.deallocate()
        unsafe addresses.deallocate()
        unsafe messageLayout.deallocate()
        unsafe arena.deallocate()
        unsafe timerTime.deallocate()
    }

    /// Where other threads ring this ring's doorbell. Valid as long as the ring.
    public var descriptor: RingDescriptor { unsafe RingDescriptor(number: ring.pointee.ring_fd) }

    // MARK: Submitting and waiting

    /// Hands everything queued to the kernel without waiting.
    public mutating func submit() throws(Errno) {
        try enter(wait: -1, gatherMicroseconds: 0, timeoutNanoseconds: -1)
    }

    /// Hands everything queued to the kernel and waits.
    ///
    /// - Parameters:
    ///   - count: returns as soon as so many completions are there.
    ///   - gather: how long to wait for `count`; after it the first completion ends the wait. Without kernel support, and
    ///     when zero, the first completion ends the wait at once.
    ///   - timeout: the longest wait; nil waits for ever. Reaching it is no error.
    public mutating func submitAndWait(
        atLeast count: UInt32 = 1, gather: Duration = .zero, timeout: Duration?
    ) throws(Errno) {
        let gathers = canGather && count > 1 && gather > .zero
        do throws(Errno) {
            try enter(
                wait: Int32(gathers ? count : min(count, 1)),
                gatherMicroseconds: gathers ? UInt32(clamping: gather.nanoseconds / 1000) : 0,
                timeoutNanoseconds: timeout.map { max(0, $0.nanoseconds) } ?? -1)
        } catch {
            // Time is up, a signal came, or completions must be taken first: all of them end the wait.
            guard error.code == ETIME || error.code == EINTR || error.code == EBUSY || error.code == EAGAIN else { throw error }
        }
    }

    /// Moves the completions that are ready, as many as fit, and frees their places.
    ///
    /// - Returns: how many there are now in `batch`; what was there before is overwritten.
    @discardableResult
    public mutating func takeCompletions(into batch: inout CompletionBatch) -> Int {
        let count = min(Int(unsafe curing_ready(ring)), batch.capacity)
        for index in 0..<count {
            // SAFETY: `count` completions are ready, and the batch has room for them.
            let entry = unsafe curing_completion(ring, UInt32(index))!.pointee
            unsafe (batch.storage + index).initialize(
                to: Completion(token: Token(rawValue: entry.user_data), result: entry.res, flags: entry.flags))
        }
        unsafe curing_advance(ring, UInt32(count))
        batch.count = count
        return count
    }

    /// True when `takeCompletions` would find something.
    public var hasCompletions: Bool { unsafe curing_ready(ring) > 0 || curing_overflowed(ring) != 0 }

    /// How many wait to be taken.
    public var completionsReady: Int { Int(unsafe curing_ready(ring)) }

    /// True when the kernel has consumed everything that was queued.
    public var isSubmitted: Bool { unsafe curing_unsubmitted(ring) == 0 }

    private mutating func enter(wait: Int32, gatherMicroseconds: UInt32, timeoutNanoseconds: Int64) throws(Errno) {
        // SAFETY: the ring is alive; entries were filled by the operations below.
        let result = unsafe curing_enter(
            enterDescriptor, enterFlags, curing_flush(ring), wait, gatherMicroseconds, timeoutNanoseconds)
        systemCalls &+= 1
        // What a failing call did not consume keeps its octets.
        if isSubmitted { arenaUsed = 0 }
        try Errno.check(result)
    }

    /// The next entry, after a submission when the queue is full; nil when the kernel takes nothing now.
    @inlinable @inline(__always)
    mutating func nextEntry() -> UnsafeMutablePointer<io_uring_sqe>? {
        if let entry = unsafe curing_next_entry(ring) { return unsafe entry }
        return unsafe nextEntryAfterSubmission()
    }

    @usableFromInline @inline(never)
    mutating func nextEntryAfterSubmission() -> UnsafeMutablePointer<io_uring_sqe>? {
        guard entriesToRefuse == 0 else {
            entriesToRefuse -= 1
            return nil
        }
        try? submit()
        return unsafe curing_next_entry(ring)
    }

    // MARK: Receiving and sending

    /// Receives datagrams with their source addresses until cancelled; see `BufferPool.datagram(_:)`.
    @discardableResult
    public mutating func receiveDatagrams(on file: File, into pool: borrowing BufferPool, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        // SAFETY: the layout lives as long as the ring.
        unsafe curing_receive(entry, file.number, file.isFixed ? 1 : 0, token.rawValue, messageLayout, pool.group)
        return true
    }

    /// Receives octets of a stream, or datagrams of a connected socket, until cancelled; see `BufferPool.octets(_:)`.
    ///
    /// For a stream a completion with result 0 means that the peer closed it.
    @discardableResult
    public mutating func receive(on file: File, into pool: borrowing BufferPool, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_receive(entry, file.number, file.isFixed ? 1 : 0, token.rawValue, nil, pool.group)
        return true
    }

    /// Sends the octets of a buffer of `pool`, now or not at all. Only a failure completes, with `token`.
    ///
    /// The buffer must not be recycled before the next submission. With `address` nil the socket must be connected.
    @inlinable @inline(always)
    @discardableResult
    public mutating func send(
        _ octets: BufferSlice, of pool: borrowing BufferPool, on file: File, to address: SocketAddress?, token: Token
    ) -> Bool {
        precondition(pool.contains(octets))
        guard let entry = unsafe nextEntry() else { return false }
        unsafe fillSend(entry, octets: pool.data + octets.offset, count: octets.count, file: file, address: address, token: token)
        return true
    }

    /// Copies `octets` and sends them, now or not at all. Only a failure completes, with `token`.
    ///
    /// With `address` nil the socket must be connected, or a stream. A full arena is emptied by a submission.
    ///
    /// - Returns: false when `octets` are more than the arena holds, or the kernel takes nothing now.
    @discardableResult
    public mutating func send(
        copying octets: Span<UInt8>, on file: File, to address: SocketAddress?, token: Token
    ) -> Bool {
        guard octets.count <= arenaSize else { return false }
        if arenaUsed + octets.count > arenaSize {
            try? submit()
            guard arenaUsed + octets.count <= arenaSize else { return false }
        }
        guard let entry = unsafe nextEntry() else { return false }
        // SAFETY: room was checked; what lies before `arenaUsed` belongs to entries the kernel has not consumed, and
        // taking an entry can only have lowered it.
        let start = unsafe arena + arenaUsed
        unsafe octets.withUnsafeBytes { octets in
            if let base = octets.baseAddress { unsafe start.copyMemory(from: base, byteCount: octets.count) }
        }
        arenaUsed += octets.count
        unsafe fillSend(entry, octets: start, count: UInt32(octets.count), file: file, address: address, token: token)
        return true
    }

    @inlinable @inline(__always)
    mutating func fillSend(
        _ entry: UnsafeMutablePointer<io_uring_sqe>, octets: UnsafeRawPointer, count: UInt32, file: File,
        address: SocketAddress?, token: Token
    ) {
        if let address {
            // SAFETY: each entry has its own place for an address, which the kernel reads before it gives the entry back.
            let place = unsafe addresses + Int(curing_entry_index(ring, entry))
            let length = unsafe KernelAddress.write(address, to: place)
            unsafe curing_send(entry, file.number, file.isFixed ? 1 : 0, token.rawValue, octets, count, place, UInt16(length))
        } else {
            unsafe curing_send(entry, file.number, file.isFixed ? 1 : 0, token.rawValue, octets, count, nil, 0)
        }
    }

    // MARK: Everything else

    /// Lets only `peer` into a datagram socket; completes with `token`. Sends queued before go where they say, and what came
    /// in before stays.
    @discardableResult
    public mutating func connect(_ file: File, to peer: SocketAddress, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        // SAFETY (both): as in `fillSend`; the kernel reads the address while it consumes the entry.
        let place = unsafe addresses + Int(curing_entry_index(ring, entry))
        let length = unsafe KernelAddress.write(peer, to: place)
        unsafe curing_connect_file(entry, file.number, file.isFixed ? 1 : 0, token.rawValue, place, length, 1)
        return true
    }

    /// Lets everyone in again; completes with `token`. Without one a failure, for want of kernel memory, is not reported.
    @discardableResult
    public mutating func disconnect(_ file: File, token: Token? = nil) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        let place = unsafe addresses + Int(curing_entry_index(ring, entry))
        unsafe place.pointee = curing_address()
        let length = UInt32(MemoryLayout<sockaddr>.size)
        unsafe curing_connect_file(
            entry, file.number, file.isFixed ? 1 : 0, (token ?? .ignored).rawValue, place, length, token == nil ? 0 : 1)
        return true
    }

    /// Accepts connections until cancelled; each completion's result is for `StreamSocket(accepted:)`.
    @discardableResult
    public mutating func accept(on listener: borrowing UnixListener, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_accept(entry, listener.file.number, token.rawValue)
        return true
    }

    /// Sets this ring's one timer, unless it is due earlier already: then it may complete before there is anything to do.
    ///
    /// A wait with a time limit sets the processor's timer, and takes it back when something comes: where many things come
    /// in the meantime, this costs once what that costs each time.
    ///
    /// - Parameter token: the same each time. Its completion, of whatever result, is to be told to `timerEnded`.
    /// - Returns: false when the kernel takes nothing now.
    public mutating func setTimer(at due: Instant, token: Token) -> Bool {
        if let timerDue, timerDue <= due { return true }
        guard let entry = unsafe nextEntry() else { return false }
        unsafe timerTime.pointee.tv_sec = Int64(due.nanoseconds / 1_000_000_000)
        unsafe timerTime.pointee.tv_nsec = Int64(due.nanoseconds % 1_000_000_000)
        if timerDue == nil {
            unsafe curing_timeout(entry, timerTime, token.rawValue)
        } else {
            unsafe curing_move_timeout(entry, timerTime, token.rawValue)
        }
        timerDue = due
        return true
    }

    /// The timer completed, or was over when it should have been moved.
    public mutating func timerEnded() { timerDue = nil }

    /// Completes when `file` becomes readable; again and again when `repeating`.
    @discardableResult
    public mutating func pollReadable(_ file: File, repeating: Bool, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_poll(entry, file.number, token.rawValue, UInt32(POLLIN), repeating ? 1 : 0)
        return true
    }

    /// Completes once when `file` can be written to.
    @discardableResult
    public mutating func pollWritable(_ file: File, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_poll(entry, file.number, token.rawValue, UInt32(POLLOUT), 0)
        return true
    }

    /// Cancels the operation with this token. It ends with a completion without `hasMore`, usually `ECANCELED`.
    @discardableResult
    public mutating func cancel(_ token: Token, completingWith own: Token = .ignored) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_cancel(entry, token.rawValue, own.rawValue)
        return true
    }

    /// Makes a completion with `delivered` appear on another ring. Only a failure completes here, with `token`.
    @discardableResult
    public mutating func ringDoorbell(of target: RingDescriptor, delivering delivered: Token, token: Token = .ignored) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_ring_doorbell(entry, target.number, delivered.rawValue, token.rawValue)
        return true
    }

    /// Puts descriptors into the fixed-file table from `index` on. The table keeps a file open by itself: its descriptor may
    /// be closed, and it closes when its place is emptied and nothing is under way on it.
    public mutating func setFixedFiles(_ descriptors: InlineArray<4, OpenDescriptor>, at index: UInt32) throws(Errno) {
        try setFixedFiles(InlineArray { descriptors[$0].number }, at: index)
    }

    /// Empties four places of the fixed-file table from `index` on.
    public mutating func clearFixedFiles(at index: UInt32) {
        // Cannot fail: nothing is put in, and the places exist.
        try? setFixedFiles(InlineArray<4, Int32>(repeating: -1), at: index)
    }

    private mutating func setFixedFiles(_ descriptors: InlineArray<4, Int32>, at index: UInt32) throws(Errno) {
        precondition(index + 4 <= fixedFileCount, "fixed file index past the table")
        let span = descriptors.span
        let result = unsafe span.withUnsafeBufferPointer { buffer in
            // SAFETY: the kernel reads four descriptors during the call.
            unsafe io_uring_register_files_update(ring, index, buffer.baseAddress!, 4)
        }
        try Errno.check(result)
    }
}
