public import Core
internal import CURing
internal import Glibc

/// Sends many datagrams from one socket with a system call for all of them. For one thread.
@safe
public struct DatagramBatch: ~Copyable {
    /// One datagram that the network refused.
    public struct Failure: Sendable {
        /// Its place in the batch.
        public let index: Int
        public let error: Errno
    }

    public let capacity: Int
    private let batch: OpaquePointer
    private let errors: UnsafeMutablePointer<Int32>

    /// - Throws: `ENOMEM`.
    public init(capacity: Int) throws(Errno) {
        precondition(capacity > 0, "a batch holds something")
        guard let batch = unsafe curing_batch_open(UInt32(capacity)) else { throw Errno(code: ENOMEM) }
        self.capacity = capacity
        unsafe errors = .allocate(capacity: capacity)
        unsafe errors.initialize(repeating: 0, count: capacity)
        unsafe self.batch = batch
    }

    deinit {
        unsafe curing_batch_close(batch)
        unsafe errors.deallocate()
    }

    /// Sends to each of `peers` the octets of `payload` up to its entry in `ends`, from where the one before ended; without
    /// `ends` each gets all of them. At most `capacity` peers.
    ///
    /// - Returns: which were refused. `EAGAIN` says that the socket's buffer is full.
    public borrowing func send(
        _ payload: Span<UInt8>, ends: [Int], to peers: ArraySlice<SocketAddress>, on socket: borrowing DatagramSocket
    ) -> [Failure] {
        precondition(peers.count <= capacity && (ends.isEmpty || ends.count == peers.count), "a batch has its limit")
        var failures: [Failure] = []
        unsafe payload.withUnsafeBytes { octets in
            var place = sockaddr_in6()
            for (index, peer) in peers.enumerated() {
                let length = unsafe KernelAddress.write(peer, to: &place)
                let start = ends.isEmpty || index == 0 ? 0 : ends[index - 1]
                let part = unsafe octets[start..<(ends.isEmpty ? octets.count : ends[index])]
                // SAFETY: the octets stay where they are until they are sent below.
                let first = unsafe octets.baseAddress.map { unsafe $0 + start }
                unsafe curing_batch_set(batch, UInt32(index), &place, length, first, part.count)
            }
            let sent = unsafe curing_batch_send(batch, socket.file.number, UInt32(peers.count), errors)
            guard Int(sent) < peers.count else { return }
            for index in 0..<peers.count where unsafe errors[index] != 0 {
                failures.append(Failure(index: index, error: Errno(code: unsafe errors[index])))
            }
        }
        return failures
    }
}

extension DatagramSocket {
    /// Has the kernel keep ICMP errors for `takeError`. From then on any call on this socket may fail with such an error
    /// although it is about another datagram: it has to be made again.
    public borrowing func reportErrors() throws(Errno) {
        let family = try localAddress.ip.family
        try Errno.check(curing_report_errors(file.number, family == .ipv6 ? AF_INET6 : AF_INET))
    }

    private var quoteLimit: Int { 1_280 }

    /// The next ICMP error about a datagram that was sent from here; nil when there is none.
    public borrowing func takeError() -> DatagramError? {
        var error = curing_datagram_error()
        var octets = [UInt8](repeating: 0, count: quoteLimit)
        // SAFETY: the kernel writes no more than the capacity that is given.
        let isTaken = unsafe octets.withUnsafeMutableBytes { octets in
            unsafe curing_take_error(file.number, &error, octets.baseAddress, octets.count) == 1
        }
        guard isTaken else { return nil }
        octets.removeSubrange(min(octets.count, Int(error.count))...)
        var (destination, reporter) = (error.destination, error.reporter)
        let isReporterKnown = reporter.sin6_family != 0
        return unsafe DatagramError(
            destination: KernelAddress.read(&destination), errno: error.error,
            icmp: ICMPMessage(isIPv6: error.is_icmpv6 != 0, type: error.type, code: error.code),
            reporter: isReporterKnown ? KernelAddress.read(&reporter).ip : nil, quoted: octets)
    }
}

extension Errno {
    /// A call on a socket that reports errors may have failed because of ICMP about an earlier datagram.
    public var mayBeAboutAnother: Bool { curing_is_icmp_error(code) == 1 }
}
