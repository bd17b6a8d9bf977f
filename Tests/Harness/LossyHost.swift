import Foundation
import Synchronization

/// A host of its own, a network namespace with nothing but loopback, whose kernel drops every so manieth datagram to some
/// UDP ports. Needs root; it goes with `remove`.
package final class LossyHost: Sendable {
    private let name: String
    private static let counter = Atomic<UInt32>(0)

    /// - Parameter ports: of the receiver, as `10000:10199`.
    package init(dropping interval: Int, of ports: String) async throws {
        name = "rly\(ProcessInfo.processInfo.processIdentifier)l\(Self.counter.wrappingAdd(1, ordering: .relaxed).newValue)"
        let script = """
            set -e
            ip netns add \(name); ip -n \(name) link set lo up
            ip netns exec \(name) iptables -A INPUT -p udp --dport \(ports) \
                -m statistic --mode nth --every \(interval) --packet 0 -j DROP
            """
        let result = try await run("sh", ["-c", script])
        guard result.code == 0 else {
            try? await remove()
            throw SocketError(description: "the namespace cannot be made: \(result.errors)")
        }
    }

    /// What runs a command there.
    package var command: [String] { ["ip", "netns", "exec", name] }

    package func remove() async throws { _ = try await run("ip", ["netns", "delete", name]) }
}
