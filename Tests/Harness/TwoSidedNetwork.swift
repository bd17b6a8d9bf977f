package import Core

/// A customer and a carrier, each a hop away from relayd on a network of its own.
///
/// `customer` 198.51.100.1 — `server` 198.51.100.2, 203.0.113.2 — `carrier` 203.0.113.1. Checksums are written out, as on a real
/// wire. Needs root; it goes with `remove`.
package final class TwoSidedNetwork: Sendable {
    package static let server = SocketAddress(ip: IPAddress("198.51.100.2")!, port: 5060)
    package static let customer = SocketAddress(ip: IPAddress("198.51.100.1")!, port: 5070)
    package static let carrier = SocketAddress(ip: IPAddress("203.0.113.1")!, port: 5080)
    private let hosts: NetworkNamespaces

    package init() async throws {
        hosts = try await NetworkNamespaces("customer", "server", "carrier", script: """
            ip -n ${N}server link add left type veth peer name eth0 netns ${N}customer
            ip -n ${N}server link add right type veth peer name eth0 netns ${N}carrier
            ip -n ${N}customer address add 198.51.100.1/24 dev eth0; ip -n ${N}customer link set eth0 up
            ip -n ${N}server address add 198.51.100.2/24 dev left; ip -n ${N}server link set left up
            ip -n ${N}server address add 203.0.113.2/24 dev right; ip -n ${N}server link set right up
            ip -n ${N}carrier address add 203.0.113.1/24 dev eth0; ip -n ${N}carrier link set eth0 up
            ip -n ${N}carrier route add default via 203.0.113.2
            for n in customer carrier; do ip netns exec $N$n ethtool --offload eth0 tx off >/dev/null; done
            for d in left right; do ip netns exec ${N}server ethtool --offload $d tx off >/dev/null; done
            """)
    }

    /// What runs a command at each place.
    package var atServer: [String] { hosts.command(at: "server") }
    package var atCustomer: [String] { hosts.command(at: "customer") }
    package var atCarrier: [String] { hosts.command(at: "carrier") }

    package func remove() async throws { try await hosts.remove() }
}
