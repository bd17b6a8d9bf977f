internal import Core
internal import Uring

/// Why the sockets of a session could not be made.
struct SocketRefusal: Error {
    let code: Errno
    let address: SocketAddress
}

/// The sockets of a worker's sessions, four each, at the places of their streams.
@safe
struct SessionSockets: ~Copyable {
    private let sockets: UnsafeMutablePointer<DatagramSocket?>
    private var generations: [UInt32]

    init(sessions: Int) {
        unsafe sockets = .allocate(capacity: sessions * 4)
        for index in 0..<(sessions * 4) { unsafe (sockets + index).initialize(to: nil) }
        generations = Array(repeating: 0, count: sessions)
    }

    deinit {
        unsafe sockets.deinitialize(count: generations.count * 4)
        unsafe sockets.deallocate()
    }

    func generation(session: Int) -> UInt32 { generations[session] }

    /// Makes and registers all four, or none.
    mutating func open(
        session: Int, generation: UInt32, caller: SocketAddress, callee: SocketAddress, typeOfService: UInt8,
        ring: inout Ring
    ) throws(SocketRefusal) {
        precondition(session >= 0 && session < generations.count)
        generations[session] = generation
        let addresses: InlineArray<4, SocketAddress> = [caller, caller.above, callee, callee.above]
        var descriptors = InlineArray<4, Int32>(repeating: -1)
        var refused = caller
        do throws(Errno) {
            for index in 0..<4 {
                refused = addresses[index]
                // A port of 0 would be the kernel's choice, and the one above 65535 is.
                guard refused.port != 0 else { throw .invalidArgument }
                let socket = try DatagramSocket(bindingTo: refused, typeOfService: typeOfService, isForMedia: true)
                descriptors[index] = socket.file.number
                unsafe sockets[session * 4 + index] = consume socket
            }
            try ring.setFixedFiles(descriptors, at: UInt32(session * 4))
        } catch {
            drop(session: session)
            throw SocketRefusal(code: error, address: refused)
        }
    }

    /// Closes all four. No operation on them may be under way.
    mutating func close(session: Int, ring: inout Ring) {
        // Cannot fail: nothing is put in, and the places exist.
        try? ring.setFixedFiles(InlineArray(repeating: -1), at: UInt32(session * 4))
        drop(session: session)
    }

    /// - Returns: true when the socket hears `peer` alone now.
    func connect(stream: Int, to peer: SocketAddress) -> Bool {
        precondition(stream >= 0 && stream < generations.count * 4)
        guard unsafe sockets[stream] != nil else { return false }
        do throws(Errno) {
            try unsafe sockets[stream]!.connect(to: peer)
            return true
        } catch {
            return false
        }
    }

    func disconnect(stream: Int) {
        precondition(stream >= 0 && stream < generations.count * 4)
        guard unsafe sockets[stream] != nil else { return }
        // Fails for want of kernel memory only; housekeeping of a silent stream then comes by again.
        try? unsafe sockets[stream]!.disconnect()
    }

    private mutating func drop(session: Int) {
        for index in (session * 4)..<(session * 4 + 4) { unsafe sockets[index] = nil }
    }
}

extension SocketAddress {
    /// The RTCP address that belongs to an RTP address; port 0 when there is none.
    fileprivate var above: SocketAddress { SocketAddress(ip: ip, port: port &+ 1) }
}

/// Buffers of sends that are queued but not submitted.
@safe
struct HeldBuffers: ~Copyable {
    private let ids: UnsafeMutablePointer<UInt16>
    private let capacity: Int
    private var count = 0

    /// - Parameter capacity: as many as there are buffers, so that it cannot be full.
    init(capacity: Int) {
        self.capacity = capacity
        unsafe ids = .allocate(capacity: capacity)
    }

    deinit { unsafe ids.deallocate() }

    @inline(always)
    mutating func append(_ id: UInt16) {
        precondition(count < capacity, "a buffer is held once")
        unsafe ids[count] = id
        count &+= 1
    }

    /// After a submission: the kernel has copied what they held.
    @inline(always)
    mutating func giveBack(to pool: inout BufferPool) {
        for index in 0..<count { pool.recycle(unsafe ids[index]) }
        count = 0
        pool.publish()
    }
}
