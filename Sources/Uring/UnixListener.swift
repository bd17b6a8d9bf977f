internal import CURing
internal import Glibc

/// A listening unix stream socket, open to its owner and group (mode 0660). Removes its file when dropped.
public struct UnixListener: ~Copyable {
    private let descriptor: Int32
    public let path: String

    /// A socket file nobody listens on any more is replaced.
    ///
    /// - Throws: the kernel's errno; `EADDRINUSE` when another process listens there, `EEXIST` when the path is no socket.
    public init(path: String) throws(Errno) {
        // SAFETY: the C string lives through the call.
        descriptor = try Errno.check(unsafe path.withCString { path in unsafe curing_unix_listen(path, 0o660) })
        self.path = path
    }

    deinit {
        // SAFETY: the C string lives through the call.
        unsafe unlink(path)
        close(descriptor)
    }

    public var file: File { File(descriptor: descriptor) }
}

/// One connection of a unix stream socket, non-blocking.
///
/// Cancel its receive before dropping it: an operation under way keeps the connection open.
public struct StreamSocket: ~Copyable {
    private let descriptor: Int32

    /// Takes over what `Ring.accept` completed with; that result must be used once.
    public init(accepted result: Int32) {
        precondition(result >= 0)
        descriptor = result
    }

    /// Connects to a listener; the daemon's own command line and tests use it.
    public init(connectingTo path: String) throws(Errno) {
        descriptor = try Errno.check(unsafe path.withCString { path in unsafe curing_unix_connect(path) })
    }

    deinit { close(descriptor) }

    public var file: File { File(descriptor: descriptor) }

    /// Writes as much as the kernel takes now.
    ///
    /// - Returns: how many octets; zero when it takes none now: then `Ring.pollWritable`.
    /// - Throws: the kernel's errno; `EPIPE` when the peer closed.
    public borrowing func write(_ octets: Span<UInt8>) throws(Errno) -> Int {
        let count = unsafe octets.withUnsafeBytes { octets in
            // SAFETY: the kernel reads the octets during the call.
            unsafe Glibc.send(
                descriptor, octets.baseAddress, octets.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
        guard count >= 0 else {
            guard errno != EAGAIN else { return 0 }
            throw Errno(code: errno)
        }
        return count
    }

    /// - Returns: what is there, empty when the peer closed, nil when nothing is there now.
    public borrowing func read(limit: Int = 65536) throws(Errno) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: limit)
        let count = unsafe octets.withUnsafeMutableBytes { octets in
            unsafe recv(descriptor, octets.baseAddress, octets.count, Int32(MSG_DONTWAIT))
        }
        guard count >= 0 else {
            guard errno != EAGAIN else { return nil }
            throw Errno(code: errno)
        }
        octets.removeSubrange(count...)
        return octets
    }
}
