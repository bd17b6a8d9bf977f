import Core
import Glibc

/// A UDP socket on an address of this machine, IPv4 or IPv6. It closes itself.
final class TestSocket {
    struct Failure: Error {
        let reason: String
    }

    let address: SocketAddress
    private let descriptor: Int32

    /// - Parameter ip: any free port of it.
    init(on ip: IPAddress) throws(Failure) {
        let family = ip.family == .ipv4 ? AF_INET : AF_INET6
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("a socket", errno) }
        // SAFETY: the name is valid for the call, with its size beside it.
        let result = unsafe Self.withName(of: SocketAddress(ip: ip, port: 0)) { name, size in unsafe bind(descriptor, name, size) }
        guard result == 0 else {
            let failure = Self.failure("a port on \(ip)", errno)
            close(descriptor)
            throw failure
        }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the structure is as large as any address, and outlives the call.
        _ = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(descriptor, $0, &size) }
        }
        self.descriptor = descriptor
        address = SocketAddress(ip: ip, port: Self.address(storage).port)
    }

    deinit { close(descriptor) }

    func send(_ octets: [UInt8], to peer: SocketAddress) {
        // SAFETY: both pointers are valid for the call, with their sizes beside them.
        _ = unsafe Self.withName(of: peer) { name, size in
            unsafe octets.withUnsafeBytes { buffer in
                unsafe Int32(clamping: sendto(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL), name, size))
            }
        }
    }

    /// The next datagram that is there; nil when there is none. An error of an earlier send is passed over.
    func receive() -> (octets: [UInt8], source: SocketAddress)? {
        var storage = sockaddr_storage()
        var octets = [UInt8](repeating: 0, count: 16_384)
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the kernel writes at most the counts that are given.
        let count = unsafe octets.withUnsafeMutableBytes { buffer in
            unsafe withUnsafeMutablePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe recvfrom(descriptor, buffer.baseAddress, buffer.count, 0, $0, &size)
                }
            }
        }
        return count < 0 ? nil : (Array(octets[..<count]), Self.address(storage))
    }

    /// Until one of them has a datagram, at most so long.
    static func wait(for sockets: [TestSocket], milliseconds: Int32) {
        var waits = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        // SAFETY: the array outlives the call.
        _ = unsafe poll(&waits, nfds_t(waits.count), milliseconds)
    }

    /// A clock that runs on.
    static var seconds: Double {
        var time = timespec()
        // SAFETY: the kernel fills in the structure during the call.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func failure(_ what: String, _ code: Int32) -> Failure {
        // SAFETY: glibc's text is its own and constant for the errors it knows.
        Failure(reason: "there is no \(what): \(unsafe String(cString: strerror(code)))")
    }

    private static func withName(
        of address: SocketAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        // SAFETY: each structure outlives the call it is passed to, with its own size.
        switch address.ip.family {
        case .ipv4:
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = address.port.bigEndian
            name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.ip.low).bigEndian
            return unsafe withUnsafePointer(to: name) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .ipv6:
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = address.port.bigEndian
            unsafe withUnsafeMutableBytes(of: &name.sin6_addr) { octets in
                for index in 0..<8 {
                    unsafe octets[index] = UInt8(truncatingIfNeeded: address.ip.high >> UInt64(56 - 8 * index))
                    unsafe octets[index + 8] = UInt8(truncatingIfNeeded: address.ip.low >> UInt64(56 - 8 * index))
                }
            }
            return unsafe withUnsafePointer(to: name) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
    }

    private static func address(_ storage: sockaddr_storage) -> SocketAddress {
        // SAFETY: a sockaddr_storage holds either structure, as its family says.
        unsafe withUnsafeBytes(of: storage) { octets in
            let port = unsafe UInt16(octets[2]) << 8 | UInt16(octets[3])
            guard storage.ss_family == sa_family_t(AF_INET6) else {
                let ip = unsafe octets[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
                return SocketAddress(ip: IPAddress(ipv4: ip), port: port)
            }
            let high = unsafe octets[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
            let low = unsafe octets[16..<24].reduce(0) { $0 << 8 | UInt64($1) }
            return SocketAddress(ip: IPAddress(ipv6High: high, low: low), port: port)
        }
    }
}
