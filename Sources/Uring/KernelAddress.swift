public import Core

/// Addresses as the kernel writes and reads them: sockaddr_in, or sockaddr_in6, in the room of the larger.
@usableFromInline
enum KernelAddress {
    /// AF_INET and AF_INET6 of Linux. Written out: which module a C constant comes from depends on what else is compiled
    /// with this file, and inlinable code must name it.
    @inlinable @inline(__always)
    static var inet: UInt16 { 2 }
    @inlinable @inline(__always)
    static var inet6: UInt16 { 10 }

    /// - Parameter raw: the 28 octets of a sockaddr_in6.
    /// - Returns: the length to tell the kernel.
    @inlinable @inline(__always)
    static func write(_ address: SocketAddress, to raw: UnsafeMutableRawPointer) -> UInt32 {
        // SAFETY (both): sockaddr_in6 has 28 octets, aligned to 4: family 0, port 2, then IPv4 at 4, or flow 4, IPv6 at 8, scope 24.
        unsafe raw.storeBytes(of: address.port.bigEndian, toByteOffset: 2, as: UInt16.self)
        if address.ip.family == .ipv4 {
            unsafe raw.storeBytes(of: inet, as: UInt16.self)
            unsafe raw.storeBytes(
                of: UInt32(truncatingIfNeeded: address.ip.low).bigEndian, toByteOffset: 4, as: UInt32.self)
            unsafe raw.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
            return 16
        }
        unsafe raw.storeBytes(of: inet6, as: UInt16.self)
        unsafe raw.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        unsafe raw.storeBytes(of: address.ip.high.bigEndian, toByteOffset: 8, as: UInt64.self)
        unsafe raw.storeBytes(of: address.ip.low.bigEndian, toByteOffset: 16, as: UInt64.self)
        unsafe raw.storeBytes(of: 0, toByteOffset: 24, as: UInt32.self)
        return 28
    }

    /// Reads 28 octets. Neither family: the unspecified IPv4 address with port 0, which matches no peer.
    @inlinable @inline(__always)
    static func read(_ raw: UnsafeRawPointer) -> SocketAddress {
        // SAFETY: the caller has 28 octets there; loads are unaligned.
        let family = unsafe raw.loadUnaligned(as: UInt16.self)
        let port = UInt16(bigEndian: unsafe raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        if family == inet {
            let value = UInt32(bigEndian: unsafe raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            return SocketAddress(ip: IPAddress(ipv4: value), port: port)
        }
        if family == inet6 {
            let high = UInt64(bigEndian: unsafe raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            let low = UInt64(bigEndian: unsafe raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            return SocketAddress(ip: IPAddress(ipv6High: high, low: low), port: port)
        }
        return SocketAddress(ip: IPAddress(ipv4: 0), port: 0)
    }
}
