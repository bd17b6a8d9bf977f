internal import CURing
internal import Glibc

/// What the system lets this process have.
public enum SystemLimits {
    /// Has memory of a mebibyte and more go back to the kernel as soon as it is freed: tables of all phones grow by moving into
    /// one twice as large. Once, before there are threads.
    public static func returnLargeMemory() { curing_return_large_memory(1 << 20) }

    /// Gives the kernel back what is free now: reading a large configuration leaves much.
    public static func returnFreeMemory() { curing_return_free_memory() }

    /// Raises the number of descriptors this process may open to the hard limit.
    ///
    /// - Returns: the limit that holds now.
    @discardableResult
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// The ports the kernel hands out by itself; a relay port among them may be taken at any time. Nil when unknown.
    public static var ephemeralPorts: ClosedRange<UInt16>? {
        guard let text = text(ofFile: "/proc/sys/net/ipv4/ip_local_port_range") else { return nil }
        let bounds = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
        guard bounds.count == 2, bounds[0] <= bounds[1] else { return nil }
        return bounds[0]...bounds[1]
    }

    /// The first 4096 octets of a small file; nil when it cannot be read.
    static func text(ofFile path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var octets = [UInt8](repeating: 0, count: 4096)
        let count = unsafe octets.withUnsafeMutableBytes { octets in
            unsafe read(descriptor, octets.baseAddress, octets.count)
        }
        guard count > 0 else { return nil }
        return String(decoding: octets[..<count], as: UTF8.self)
    }
}
