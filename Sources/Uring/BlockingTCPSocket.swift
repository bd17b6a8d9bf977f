public import Core
internal import Glibc

/// A TCP connection for a thread that may block, and no longer than until its deadline.
public struct BlockingTCPSocket: ~Copyable {
    private let descriptor: Int32
    private let deadline: Instant

    /// Connects.
    ///
    /// - Parameter deadline: of everything that is done with it.
    /// - Throws: the kernel's errno; `ETIMEDOUT` once the deadline has passed.
    public init(connectingTo peer: SocketAddress, deadline: Instant) throws(Errno) {
        var place = sockaddr_in6()
        let length = unsafe KernelAddress.write(peer, to: &place)
        let family = peer.ip.family == .ipv6 ? AF_INET6 : AF_INET
        descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.deadline = deadline
        guard descriptor >= 0 else { throw Errno(code: errno) }
        try limit(SO_SNDTIMEO)  // of a connect as well
        // SAFETY: sockaddr_in6 starts as sockaddr does; the kernel reads `length` octets of it during the call.
        let connected = unsafe withUnsafePointer(to: &place) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, length) }
        }
        guard connected == 0 else { throw Self.failure() }
    }

    deinit { close(descriptor) }

    /// Writes all of it.
    ///
    /// - Throws: the kernel's errno; `ETIMEDOUT` once the deadline has passed.
    public borrowing func write(_ octets: [UInt8]) throws(Errno) {
        var rest = octets[...]
        while !rest.isEmpty {
            try limit(SO_SNDTIMEO)
            // SAFETY: the kernel reads the octets during the call.
            let count = unsafe rest.withUnsafeBytes { rest in
                unsafe Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure() }
            rest = rest.dropFirst(count)
        }
    }

    /// - Returns: what came next, empty when the peer closed.
    /// - Throws: the kernel's errno; `ETIMEDOUT` once the deadline has passed.
    public borrowing func read(limit count: Int = 16_384) throws(Errno) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: count)
        while true {
            try limit(SO_RCVTIMEO)
            // SAFETY: the kernel writes no more octets than there are, during the call.
            let received = unsafe octets.withUnsafeMutableBytes { octets in
                unsafe recv(descriptor, octets.baseAddress, octets.count, 0)
            }
            if received < 0, errno == EINTR { continue }
            guard received >= 0 else { throw Self.failure() }
            octets.removeSubrange(received...)
            return octets
        }
    }

    /// The next call waits no longer than what is left of the time.
    private borrowing func limit(_ option: Int32) throws(Errno) {
        let rest = deadline - MonotonicClock.now
        guard rest > .zero else { throw Errno(code: ETIMEDOUT) }
        let microseconds = max(1, rest.nanoseconds / 1000)  // zero would be for ever
        var time = timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
        // SAFETY: the kernel reads the structure during the call.
        let result = unsafe setsockopt(descriptor, SOL_SOCKET, option, &time, UInt32(MemoryLayout<timeval>.size))
        if result != 0 { throw Errno(code: errno) }
    }

    private static func failure() -> Errno {
        Errno(code: [EAGAIN, EINPROGRESS].contains(errno) ? ETIMEDOUT : errno)
    }
}
