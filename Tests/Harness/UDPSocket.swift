package import Core
import Glibc

package struct SocketError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }

    /// What `errno` says now.
    init(_ what: String) { description = "\(what): \(errorText(errno))" }
}

func errorText(_ number: Int32) -> String {
    // SAFETY: glibc's strerror returns a string that ends in 0 and stays until this thread's next call.
    unsafe String(cString: strerror(number))
}

/// A blocking IPv4 UDP socket of a test's peer. Any thread may send; one thread receives.
package final class UDPSocket: Sendable {
    package let address: SocketAddress
    let descriptor: Int32

    /// - Parameter address: port 0: any free one.
    package init(_ address: SocketAddress) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket") }
        var name = sockaddr_in(address)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: `name` is a sockaddr_in of `size` octets and outlives the calls.
        let bound = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, size) }
        }
        guard bound == 0 else {
            let error = SocketError("UDP \(address)")
            close(descriptor)
            throw error
        }
        var actualSize = size
        _ = unsafe withUnsafeMutablePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &actualSize)
            }
        }
        self.descriptor = descriptor
        self.address = SocketAddress(name)
        // A burst of a loaded machine must not look like loss on the relay.
        var octets: Int32 = 4 << 20
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &octets, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    /// - Returns: false when the kernel refused, for example because the peer's port is closed.
    @discardableResult
    package func send(_ octets: [UInt8], to peer: SocketAddress) -> Bool {
        var name = sockaddr_in(peer)
        // SAFETY: both pointers are valid for the call, with their sizes beside them.
        let sent = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe octets.withUnsafeBytes { buffer in
                    unsafe sendto(
                        descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL), address,
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        return sent == octets.count
    }

    package func send(_ text: String, to peer: SocketAddress) { send(Array(text.utf8), to: peer) }

    /// The next datagram that is already there; nil when there is none.
    package func receive() -> (octets: [UInt8], source: SocketAddress)? {
        var name = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        var source = SocketAddress(ip: .ipv4Any, port: 0)
        var failed = false
        // SAFETY: the kernel writes at most the 65,536 octets there are, and `count` says how many it wrote.
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            let received = unsafe withUnsafeMutablePointer(to: &name) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    unsafe recvfrom(
                        descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT), address, &size)
                }
            }
            failed = received < 0
            count = max(0, received)
        }
        guard !failed else { return nil }
        source = SocketAddress(name)
        return (octets, source)
    }

    /// Waits until one of `sockets` is readable or `milliseconds` have passed.
    static func wait(for sockets: [UDPSocket], milliseconds: Int32) {
        var entries = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        // SAFETY: the array outlives the call and its count goes with it.
        _ = unsafe poll(&entries, nfds_t(entries.count), milliseconds)
    }
}

extension sockaddr_in {
    fileprivate init(_ address: SocketAddress) {
        self.init()
        sin_family = sa_family_t(AF_INET)
        sin_port = address.port.bigEndian
        sin_addr.s_addr = UInt32(truncatingIfNeeded: address.ip.low).bigEndian
    }
}

extension SocketAddress {
    fileprivate init(_ name: sockaddr_in) {
        self.init(ip: IPAddress(ipv4: UInt32(bigEndian: name.sin_addr.s_addr)), port: UInt16(bigEndian: name.sin_port))
    }
}
