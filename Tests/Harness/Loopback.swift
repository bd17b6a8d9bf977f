package import Core
import Glibc
import Synchronization

/// Addresses and ports on this machine that nobody else uses.
package enum Loopback {
    /// The next of 127.64.0.0/10, a different one for each caller, so that daemons run side by side with the same ports.
    ///
    /// Linux answers for all of 127.0.0.0/8 without being configured. The start depends on the process, for test runs
    /// side by side.
    package static func host() -> IPAddress {
        let next = counter.wrappingAdd(1, ordering: .relaxed).newValue
        let offset = (UInt32(truncatingIfNeeded: getpid()) &* 251 &+ next * 2) % 0x3f_fff0
        return IPAddress(ipv4: 0x7f40_0000 + offset + 8)
    }

    private static let counter = Atomic<UInt32>(0)

    /// A UDP port that was free a moment ago. On an address from `host()` nobody else will take it.
    package static func freePort(on host: IPAddress) throws -> UInt16 {
        try UDPSocket(SocketAddress(ip: host, port: 0)).address.port
    }

    /// Two sockets on neighbouring ports, the first even. They are bound at once: what was free a moment ago may be taken.
    static func pair(on host: IPAddress) throws -> (rtp: UDPSocket, rtcp: UDPSocket) {
        for _ in 0..<50 {
            let port = try freeRange(of: 2, on: host).lowerBound
            if let rtp = try? UDPSocket(SocketAddress(ip: host, port: port)),
                let rtcp = try? UDPSocket(SocketAddress(ip: host, port: port + 1))
            {
                return (rtp, rtcp)
            }
        }
        throw SocketError(description: "two free UDP ports on \(host) are taken whenever they are found")
    }

    /// The port of a SIPp's media: it and the second after it are another SIPp's neither here nor, as long as there are only a
    /// few hundred, elsewhere; above all that `freeRange` finds, below the ephemeral range.
    static func sippMediaPort() -> UInt16 {
        let next = sippCounter.wrappingAdd(1, ordering: .relaxed).newValue
        return 30_000 + UInt16((UInt32(truncatingIfNeeded: getpid()) &* 97 &+ next) % 690) * 4
    }

    private static let sippCounter = Atomic<UInt32>(0)

    /// A run of `count` free UDP ports, the first even: above the relay ports of a `Testbed`, below SIPp's.
    package static func freeRange(of count: UInt16, on host: IPAddress) throws -> ClosedRange<UInt16> {
        for _ in 0..<200 {
            let start = UInt16.random(in: 10_000...(15_000 - count / 2)) * 2
            let range = start...(start + count - 1)
            let isFree = range.allSatisfy { port in
                (try? UDPSocket(SocketAddress(ip: host, port: port))) != nil
            }
            if isFree { return range }
        }
        throw SocketError(description: "no \(count) free UDP ports in a row on \(host)")
    }
}
