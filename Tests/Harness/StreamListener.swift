package import Core
import Glibc

/// A TCP listener of a test's peer.
package final class StreamListener: Sendable {
    package let address: SocketAddress
    private let descriptor: Int32

    /// - Parameter address: IPv4, on a port that is free.
    package init(_ address: SocketAddress) throws {
        self.address = address
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket") }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = address.port.bigEndian
        name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.ip.low).bigEndian
        // SAFETY: `name` is a sockaddr_in of that size and outlives the call.
        let bound = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(descriptor, 16) == 0 else { throw SocketError("TCP \(address)") }
    }

    deinit { close(descriptor) }

    /// The next connection; nil when none comes within `milliseconds`.
    package func accept(within milliseconds: Int32) -> StreamPeer? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var ready: Int32
        repeat { ready = unsafe poll(&entry, 1, milliseconds) } while ready < 0 && errno == EINTR
        guard ready == 1 else { return nil }
        let accepted = Glibc.accept(descriptor, nil, nil)
        // A program that is started meanwhile must not keep the connection open.
        if accepted >= 0 { _ = fcntl(accepted, F_SETFD, FD_CLOEXEC) }
        return accepted >= 0 ? StreamPeer(accepted: accepted) : nil
    }
}
