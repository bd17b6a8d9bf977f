import Glibc

/// A connected unix stream socket that blocks. It closes itself.
struct UnixStream: ~Copyable {
    enum ReadResult { case octets([UInt8]), end, timedOut }

    /// What the kernel takes as a path, without the zero at its end.
    static let pathLimit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// - Parameter timeLimitSeconds: for connecting and for every write.
    static func connected(to path: String, timeLimitSeconds: Int) throws(ControlClientError) -> UnixStream {
        guard path.utf8.count <= pathLimit else { throw .pathTooLong(path: path, limit: pathLimit) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .cannotConnect(path: path, reason: reason(errno)) }
        let stream = UnixStream(descriptor: descriptor)
        stream.setTimeLimit(SO_SNDTIMEO, seconds: timeLimitSeconds)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the path with its zero fits by the check above, and each pointer lives for its call only.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
        }
        if result != 0 { throw refusal(path: path, errno: errno) }
        return stream
    }

    deinit { close(descriptor) }

    /// - Parameter seconds: how long a read may wait; nil for as long as it takes.
    borrowing func setReadLimit(seconds: Int?) { setTimeLimit(SO_RCVTIMEO, seconds: seconds ?? 0) }

    borrowing func write(_ octets: [UInt8]) throws(ControlClientError) {
        var rest = octets[...]
        while !rest.isEmpty {
            // SAFETY: the kernel reads `count` octets of the buffer during the call.
            let count = unsafe rest.withUnsafeBytes { octets in
                unsafe send(descriptor, octets.baseAddress, octets.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .closed }
            rest = rest.dropFirst(count)
        }
    }

    borrowing func read() -> ReadResult {
        while true {
            var count = 0
            // SAFETY: the kernel writes at most the capacity, and what it wrote is what is declared initialised.
            let octets = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, initializedCount in
                count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
                initializedCount = max(0, count)
            }
            if count > 0 { return .octets(octets) }
            if count < 0, errno == EINTR { continue }
            return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? .timedOut : .end
        }
    }

    private borrowing func setTimeLimit(_ option: Int32, seconds: Int) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        // SAFETY: the kernel reads the value during the call.
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func refusal(path: String, errno code: Int32) -> ControlClientError {
        switch code {
        case ENOENT, ENOTDIR: .missing(path: path)
        case EACCES, EPERM: .notPermitted(path: path, group: group(of: path) ?? group(of: directory(of: path)))
        case ECONNREFUSED: .nobodyListening(path: path)
        case EAGAIN: .cannotConnect(path: path, reason: "relayd accepts no connection, it is overloaded or stopped")
        default: .cannotConnect(path: path, reason: reason(code))
        }
    }

    private static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    /// The name of the group a file belongs to.
    private static func group(of path: String) -> String? {
        var status = stat()
        // SAFETY: both calls get a path and a place that live as long; the entry is copied before anyone asks again.
        guard unsafe stat(path, &status) == 0, let entry = unsafe getgrgid(status.st_gid),
            let name = unsafe entry.pointee.gr_name
        else { return nil }
        return unsafe String(cString: name)
    }

    private static func reason(_ code: Int32) -> String {
        // SAFETY: glibc's text is its own and constant for the errors it knows.
        unsafe String(cString: strerror(code))
    }
}
