internal import Core
internal import Uring

/// Why the sockets of a session could not be made.
struct SocketRefusal: Error {
    let code: Errno
    let address: SocketAddress
}

/// Makes the sockets of a worker's sessions, four each, at the places of their streams among the ring's fixed files.
///
/// The table of fixed files alone keeps them open: their descriptors are closed at once, so that the calls do not share the
/// limit of open files with everything else. Connecting them goes through the ring.
struct SessionSockets: ~Copyable {
    private var generations: [UInt32]
    /// For tests: the so many-th socket from now on is refused, for this reason.
    var refusal: (number: Int, code: Errno)?

    init(sessions: Int) { generations = Array(repeating: 0, count: sessions) }

    func generation(session: Int) -> UInt32 { generations[session] }

    /// Makes and registers all four, or none.
    mutating func open(
        session: Int, generation: UInt32, caller: SocketAddress, callee: SocketAddress, typeOfService: UInt8,
        ring: inout Ring
    ) throws(SocketRefusal) {
        generations[session] = generation
        let addresses: InlineArray<4, SocketAddress> = [caller, caller.above, callee, callee.above]
        let sockets = try InlineArray<4, DatagramSocket> { index throws(SocketRefusal) in
            do throws(Errno) {
                return try makeSocket(on: addresses[index], typeOfService: typeOfService)
            } catch {
                throw SocketRefusal(code: error, address: addresses[index])
            }
        }
        let descriptors = InlineArray<4, Int32> { sockets[$0].file.number }
        do throws(Errno) {
            try ring.setFixedFiles(descriptors, at: UInt32(session * 4))
        } catch {
            throw SocketRefusal(code: error, address: caller)
        }
        withExtendedLifetime(sockets) {}  // open until the table has them
    }

    private mutating func makeSocket(on address: SocketAddress, typeOfService: UInt8) throws(Errno) -> DatagramSocket {
        if let (number, code) = refusal {
            refusal = number > 1 ? (number - 1, code) : nil
            if number == 1 { throw code }
        }
        // A port of 0 would be the kernel's choice, and the one above 65535 is.
        guard address.port != 0 else { throw .invalidArgument }
        return try DatagramSocket(bindingTo: address, typeOfService: typeOfService, isForMedia: true)
    }

    /// Closes all four. No operation on them may be under way.
    func close(session: Int, ring: inout Ring) {
        // Cannot fail: nothing is put in, and the places exist.
        try? ring.setFixedFiles(InlineArray(repeating: -1), at: UInt32(session * 4))
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
