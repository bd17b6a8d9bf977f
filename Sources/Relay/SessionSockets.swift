internal import Core
internal import Uring

/// Why the sockets of a session could not be made.
struct SocketRefusal: Error {
    let code: Errno
    let address: SocketAddress
}

/// The four sockets of a session, bound, on their way from control, which makes them, to the worker, whose ring keeps them.
///
/// Control makes them so that no packet waits for it, and so that it knows the outcome at once: an offer is answered without
/// waking a worker. What arrives before the worker has taken them over waits in the kernel. A plain value: the worker closes
/// the descriptors once its table of fixed files has them, which alone keeps the sockets open from then on, so that calls do
/// not share the limit of open files with everything else. Connecting them goes through the ring.
struct SessionSockets: BitwiseCopyable, Sendable {
    /// Each leg's RTP and RTCP socket, in the order of the streams.
    let descriptors: InlineArray<4, OpenDescriptor>

    /// Makes all four, or none.
    init(
        caller: SocketAddress, callee: SocketAddress, typeOfService: UInt8, faults: KernelFaults?
    ) throws(SocketRefusal) {
        let addresses: InlineArray<4, SocketAddress> = [caller, caller.above, callee, callee.above]
        var made = InlineArray<4, OpenDescriptor?>(repeating: nil)
        for index in made.indices {
            do throws(Errno) {
                if let code = faults?.refusalOfNextSocket() { throw code }
                // A port of 0 would be the kernel's choice, and the one above 65535 is.
                guard addresses[index].port != 0 else { throw .invalidArgument }
                made[index] = try DatagramSocket(bindingTo: addresses[index], typeOfService: typeOfService, isForMedia: true)
                    .release()
            } catch {
                for earlier in 0..<index { made[earlier]?.close() }
                throw SocketRefusal(code: error, address: addresses[index])
            }
        }
        descriptors = InlineArray { made[$0]! }
    }

    /// Closes the descriptors: the fixed files have the sockets, or nobody shall.
    func close() { for index in descriptors.indices { descriptors[index].close() } }
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
    private(set) var count = 0

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
