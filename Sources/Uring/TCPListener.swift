public import Core
internal import CURing
internal import Glibc

/// A listening TCP socket. What it accepts is a `StreamSocket` that sends small messages at once (TCP_NODELAY) and notices
/// a peer that vanished (SO_KEEPALIVE).
public struct TCPListener: ~Copyable {
    private let descriptor: Int32

    /// - Throws: the kernel's errno; `EADDRINUSE` when another socket listens there, `EADDRNOTAVAIL` when the address is not
    ///   local.
    public init(bindingTo address: SocketAddress) throws(Errno) {
        var place = sockaddr_in6()
        let length = unsafe KernelAddress.write(address, to: &place)
        let family = address.ip.family == .ipv6 ? AF_INET6 : AF_INET
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw Errno(code: errno) }
        // Connections of the process before, in TIME_WAIT, must not keep the port; accepted sockets inherit the others.
        var options = [(SOL_SOCKET, SO_REUSEADDR), (SOL_SOCKET, SO_KEEPALIVE), (Int32(IPPROTO_TCP), TCP_NODELAY)]
        if family == AF_INET6 { options.append((Int32(IPPROTO_IPV6), IPV6_V6ONLY)) }
        var on: Int32 = 1
        for (level, option) in options {
            // SAFETY: the kernel reads four octets during the call.
            let result = unsafe setsockopt(descriptor, level, option, &on, UInt32(MemoryLayout<Int32>.size))
            if result != 0 { throw Errno(code: errno) }
        }
        // SAFETY: sockaddr_in6 starts as sockaddr does; the kernel reads `length` octets of it during the call.
        let bound = unsafe withUnsafePointer(to: &place) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
        guard bound == 0, listen(descriptor, 64) == 0 else { throw Errno(code: errno) }
    }

    /// Binds at start, as `bindingAtStart` does.
    public static func listener(on address: SocketAddress) throws(Errno) -> TCPListener {
        try bindingAtStart { () throws(Errno) in try TCPListener(bindingTo: address) }
    }

    deinit { close(descriptor) }

    public var file: File { File(descriptor: descriptor) }

    /// Where it is bound; tells the port the kernel chose when it was bound to port 0.
    public var localAddress: SocketAddress {
        get throws(Errno) {
            var place = sockaddr_in6()
            try Errno.check(unsafe curing_local_address(descriptor, &place))
            return unsafe KernelAddress.read(&place)
        }
    }
}

extension Ring {
    /// Accepts connections until cancelled; each completion's result is for `StreamSocket(accepted:)`.
    @discardableResult
    public mutating func accept(on listener: borrowing TCPListener, token: Token) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        unsafe curing_accept(entry, listener.file.number, token.rawValue)
        return true
    }
}

extension StreamSocket {
    /// Who is at the other end; nil for a unix socket, and for a peer that is gone.
    public var peerAddress: SocketAddress? {
        var place = sockaddr_in6()
        var length = UInt32(MemoryLayout<sockaddr_in6>.size)
        // SAFETY: as in `init`; the kernel writes no more than `length` octets.
        let result = unsafe withUnsafeMutablePointer(to: &place) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getpeername(file.number, $0, &length)
            }
        }
        guard result == 0, [UInt16(AF_INET), UInt16(AF_INET6)].contains(place.sin6_family) else { return nil }
        return unsafe KernelAddress.read(&place)
    }
}
