internal import CURing
internal import Glibc

/// The kernel refused a call.
@frozen
public struct Errno: Error, Hashable, Sendable, BitwiseCopyable {
    /// Positive, as in errno(3).
    public let code: Int32

    @inlinable
    public init(code: Int32) { self.code = code }

    public static let addressInUse = Errno(code: EADDRINUSE)
    public static let notPermitted = Errno(code: EPERM)
    public static let notImplemented = Errno(code: ENOSYS)
    public static let invalidArgument = Errno(code: EINVAL)
    public static let outOfMemory = Errno(code: ENOMEM)
    public static let noBuffers = Errno(code: ENOBUFS)
    /// ICMP port unreachable, or nobody listens at a stream's address.
    public static let refused = Errno(code: ECONNREFUSED)
    public static let hostUnreachable = Errno(code: EHOSTUNREACH)
    public static let cancelled = Errno(code: ECANCELED)

    /// Of a datagram that was not sent: true when the reason may be the peer, the way to it, or a shortage that passes, and the
    /// socket is as good as before.
    public var leavesSocketGood: Bool {
        switch code {
        case ECONNREFUSED, EHOSTUNREACH, EHOSTDOWN, EPROTO, ENOPROTOOPT, EACCES, EPERM, EMSGSIZE, EAGAIN, ENOBUFS, ENOMEM: true
        default: false
        }
    }

    /// - Returns: `result` when it is no error; a negative `result` is thrown as the errno it carries.
    @discardableResult
    static func check(_ result: Int32) throws(Errno) -> Int32 {
        guard result >= 0 else { throw Errno(code: -result) }
        return result
    }
}

extension Errno: CustomStringConvertible {
    /// `EADDRINUSE (Address already in use)`.
    public var description: String {
        // SAFETY: both return a string literal of the C library, or null for an unknown code.
        guard let name = unsafe curing_errno_name(code), let text = unsafe curing_errno_text(code) else {
            return "errno \(code)"
        }
        return unsafe "\(String(cString: name)) (\(String(cString: text)))"
    }
}
