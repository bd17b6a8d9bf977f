import Foundation
import Synchronization
package import Core

/// A customer and a carrier, each a hop away from relayd on a network of its own: three network namespaces in a row.
///
/// `customer` 198.51.100.1 — `server` 198.51.100.2, 203.0.113.2 — `carrier` 203.0.113.1. Checksums are written out, as on a real
/// wire. Needs root; the namespaces go with `remove`.
package final class TwoSidedNetwork: Sendable {
    package static let server = SocketAddress(ip: IPAddress("198.51.100.2")!, port: 5060)
    package static let customer = SocketAddress(ip: IPAddress("198.51.100.1")!, port: 5070)
    package static let carrier = SocketAddress(ip: IPAddress("203.0.113.1")!, port: 5080)
    private let name: String
    private static let counter = Atomic<UInt32>(0)

    package init() async throws {
        name = "rly\(ProcessInfo.processInfo.processIdentifier)t\(Self.counter.wrappingAdd(1, ordering: .relaxed).newValue)"
        let script = """
            set -e
            for n in customer server carrier; do ip netns add \(name)$n; ip -n \(name)$n link set lo up; done
            ip -n \(name)server link add left type veth peer name eth0 netns \(name)customer
            ip -n \(name)server link add right type veth peer name eth0 netns \(name)carrier
            ip -n \(name)customer address add 198.51.100.1/24 dev eth0; ip -n \(name)customer link set eth0 up
            ip -n \(name)server address add 198.51.100.2/24 dev left; ip -n \(name)server link set left up
            ip -n \(name)server address add 203.0.113.2/24 dev right; ip -n \(name)server link set right up
            ip -n \(name)carrier address add 203.0.113.1/24 dev eth0; ip -n \(name)carrier link set eth0 up
            ip -n \(name)carrier route add default via 203.0.113.2
            for n in customer carrier; do ip netns exec \(name)$n ethtool --offload eth0 tx off >/dev/null; done
            for d in left right; do ip netns exec \(name)server ethtool --offload $d tx off >/dev/null; done
            """
        let result = try await run("sh", ["-c", script])
        guard result.code == 0 else {
            try? await remove()
            throw SocketError(description: "the namespaces cannot be made: \(result.errors)")
        }
    }

    /// What runs a command at each place.
    package var atServer: [String] { ["ip", "netns", "exec", "\(name)server"] }
    package var atCustomer: [String] { ["ip", "netns", "exec", "\(name)customer"] }
    package var atCarrier: [String] { ["ip", "netns", "exec", "\(name)carrier"] }

    package func remove() async throws {
        for place in ["customer", "server", "carrier"] { _ = try await run("ip", ["netns", "delete", "\(name)\(place)"]) }
    }
}
