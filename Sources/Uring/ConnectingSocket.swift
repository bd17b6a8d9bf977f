public import Core
internal import CURing
internal import Glibc

extension StreamSocket {
    /// Begins to connect by TCP and does not wait. `Ring.pollWritable` completes when it is decided; `connectionFailure`
    /// then tells how.
    ///
    /// - Parameter local: the address to connect from; nil leaves it to the kernel.
    /// - Throws: the kernel's errno, when it is decided already.
    public static func connecting(to peer: SocketAddress, from local: IPAddress? = nil) throws(Errno) -> StreamSocket {
        let family = peer.ip.family == .ipv6 ? AF_INET6 : AF_INET
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(family, kind, 0)
        guard descriptor >= 0 else { throw Errno(code: errno) }
        let stream = StreamSocket(accepted: descriptor)
        var on: Int32 = 1
        var options = [(SOL_SOCKET, SO_KEEPALIVE), (Int32(IPPROTO_TCP), TCP_NODELAY)]
        // The port is chosen at connect, so that one local port serves many peers.
        if local != nil { options.append((Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT)) }
        for (level, option) in options {
            // SAFETY: the kernel reads four octets during the call.
            let result = unsafe setsockopt(descriptor, level, option, &on, UInt32(MemoryLayout<Int32>.size))
            if result != 0 { throw Errno(code: errno) }
        }
        if let local, !local.isUnspecified {
            var place = sockaddr_in6()
            let length = unsafe KernelAddress.write(SocketAddress(ip: local, port: 0), to: &place)
            // SAFETY: sockaddr_in6 starts as sockaddr does; the kernel reads `length` octets of it during the call.
            let bound = unsafe withUnsafePointer(to: &place) { place in
                unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
            }
            guard bound == 0 else { throw Errno(code: errno) }
        }
        var place = sockaddr_in6()
        let length = unsafe KernelAddress.write(peer, to: &place)
        // SAFETY: as above.
        let result = unsafe withUnsafePointer(to: &place) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, length)
            }
        }
        guard result == 0 || errno == EINPROGRESS else { throw Errno(code: errno) }
        return stream
    }

    /// Why connecting failed; nil when it succeeded, or is not decided yet.
    public var connectionFailure: Errno? {
        var code: Int32 = 0
        var length = UInt32(MemoryLayout<Int32>.size)
        // SAFETY: the kernel writes four octets during the call.
        let result = unsafe getsockopt(file.number, SOL_SOCKET, SO_ERROR, &code, &length)
        if result != 0 { return Errno(code: errno) }
        return code == 0 ? nil : Errno(code: code)
    }
}
