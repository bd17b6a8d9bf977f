public import Core
internal import CURing
internal import Glibc

/// A UDP socket bound to one local address: non-blocking, and without SO_REUSEADDR, so that a port has one owner.
public struct DatagramSocket: ~Copyable {
    private let descriptor: Int32

    /// - Parameter isForMedia: sets path MTU discovery to PROBE: the kernel asks for no path MTU and saves itself the IP
    ///   identification, but refuses what exceeds the interface's MTU (`EMSGSIZE`). SIP must be able to be fragmented.
    /// - Throws: the kernel's errno; `EADDRINUSE` when the port is taken, `EADDRNOTAVAIL` when the address is not local.
    public init(bindingTo address: SocketAddress, typeOfService: UInt8 = 0, isForMedia: Bool = false) throws(Errno) {
        var place = sockaddr_in6()
        let length = unsafe KernelAddress.write(address, to: &place)
        // SAFETY: the kernel reads the address during the call.
        descriptor = try Errno.check(
            unsafe curing_datagram_socket(&place, length, Int32(typeOfService), isForMedia ? 1 : 0))
    }

    /// Binds a listener at start, as `bindingAtStart` does.
    public static func listener(on address: SocketAddress, typeOfService: UInt8 = 0) throws(Errno) -> DatagramSocket {
        try bindingAtStart { () throws(Errno) in try DatagramSocket(bindingTo: address, typeOfService: typeOfService) }
    }

    deinit { close(descriptor) }

    public var file: File { File(descriptor: descriptor) }

    /// Hands the socket to another owner, who closes it.
    public consuming func release() -> OpenDescriptor {
        let open = OpenDescriptor(number: descriptor)
        discard self
        return open
    }

    /// Where it is bound; tells the port the kernel chose when it was bound to port 0.
    public var localAddress: SocketAddress {
        get throws(Errno) {
            var place = sockaddr_in6()
            try Errno.check(unsafe curing_local_address(descriptor, &place))
            return unsafe KernelAddress.read(&place)
        }
    }

    /// Lets only `peer` in from now on; datagrams that were queued before stay. Again with another peer changes it.
    public borrowing func connect(to peer: SocketAddress) throws(Errno) {
        var place = sockaddr_in6()
        let length = unsafe KernelAddress.write(peer, to: &place)
        try Errno.check(unsafe curing_connect(descriptor, &place, length))
    }

    /// Lets everyone in again. A port that was asked for stays bound; one the kernel chose is given back to it.
    public borrowing func disconnect() throws(Errno) { try Errno.check(curing_disconnect(descriptor)) }

    /// Asks for room for what comes while nobody reads.
    ///
    /// - Returns: how many octets there are, less than asked for where the system's limit (`net.core.rmem_max`) is lower and the
    ///   process may not pass it.
    @discardableResult
    public borrowing func setReceiveBuffer(octets: Int) -> Int {
        Int(max(0, curing_set_receive_buffer(descriptor, Int32(clamping: octets))))
    }

    /// Datagrams that the kernel dropped because the receive buffer was full, since the socket was made, modulo 2³².
    public var receiveDrops: UInt32 { UInt32(truncatingIfNeeded: max(0, curing_receive_drops(descriptor))) }

    /// Sends one datagram by a system call of its own.
    ///
    /// - Throws: the kernel's errno; `EAGAIN` when the socket's buffer is full.
    public borrowing func send(_ octets: Span<UInt8>, to peer: SocketAddress) throws(Errno) {
        var place = sockaddr_in6()
        let length = unsafe KernelAddress.write(peer, to: &place)
        let sent = unsafe octets.withUnsafeBytes { octets in
            // SAFETY: sockaddr_in6 starts as sockaddr does; the kernel reads both during the call.
            unsafe withUnsafePointer(to: &place) { place in
                unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                    unsafe sendto(
                        descriptor, octets.baseAddress, octets.count,
                        Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL), place, length)
                }
            }
        }
        guard sent >= 0 else { throw Errno(code: errno) }
    }

    /// Receives one datagram by a system call of its own.
    ///
    /// - Returns: its octets and source, or nil when none is queued.
    /// - Throws: the kernel's errno, an ICMP error of an earlier send among them.
    public borrowing func receive(limit: Int = 65536) throws(Errno) -> (octets: [UInt8], source: SocketAddress)? {
        var place = sockaddr_in6()
        var length = UInt32(MemoryLayout<sockaddr_in6>.size)
        var octets = [UInt8](repeating: 0, count: limit)
        // SAFETY: as in `send`; the kernel writes no more than the lengths given.
        let count = unsafe octets.withUnsafeMutableBytes { octets in
            unsafe withUnsafeMutablePointer(to: &place) { place in
                unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                    unsafe recvfrom(
                        descriptor, octets.baseAddress, octets.count, Int32(MSG_DONTWAIT), place, &length)
                }
            }
        }
        guard count >= 0 else {
            guard errno != EAGAIN else { return nil }
            throw Errno(code: errno)
        }
        octets.removeSubrange(count...)
        return (octets, unsafe KernelAddress.read(&place))
    }
}
