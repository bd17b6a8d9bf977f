package import Core
import Glibc

/// A blocking stream socket of a test's peer, TCP or unix. Each wait ends after ten seconds.
package final class StreamPeer: Sendable {
    private let descriptor: Int32

    package init(connectingTo address: SocketAddress) throws {
        descriptor = try Self.socket(AF_INET)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = address.port.bigEndian
        name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.ip.low).bigEndian
        // SAFETY: `name` is a sockaddr_in of that size and outlives the call.
        let connected = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw SocketError("TCP \(address)") }
    }

    package init(connectingTo path: String) throws {
        descriptor = try Self.socket(AF_UNIX)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: name.sun_path) else {
            throw SocketError(description: "\(path) is too long")
        }
        // SAFETY: it fits, and the rest is zero; `name` is a sockaddr_un of that size and outlives the call.
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let connected = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { throw SocketError("unix \(path)") }
    }

    /// Takes over what `accept` returned.
    init(accepted descriptor: Int32) {
        self.descriptor = descriptor
        Self.limitWaits(of: descriptor)
    }

    deinit { close(descriptor) }

    package func send(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SocketError("send") }
            rest = rest.dropFirst(count)
        }
    }

    /// Nothing more will be sent.
    package func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The octets that come until there are `count`, or until the peer closes or resets.
    package func receive(_ count: Int = .max) throws -> String {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while all.count < count {
            let room = min(chunk.count, count - all.count)
            let received = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, room, 0) }
            if received < 0, errno == EINTR { continue }
            if received == 0 || (received < 0 && errno == ECONNRESET) { break }
            guard received > 0 else { throw SocketError("receive, after \(String(decoding: all, as: UTF8.self))") }
            all += chunk.prefix(received)
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// Everything up to `end`, or until the peer closes.
    package func receive(until end: String) throws -> String {
        var all = ""
        while !all.hasSuffix(end) {
            let next = try receive(1)
            if next.isEmpty { break }
            all += next
        }
        return all
    }

    private static func socket(_ family: Int32) throws -> Int32 {
        let descriptor = Glibc.socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket") }
        limitWaits(of: descriptor)
        return descriptor
    }

    private static func limitWaits(of descriptor: Int32) {
        var time = timeval(tv_sec: 10, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }
}
