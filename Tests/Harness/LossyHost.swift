/// A host of its own, a network namespace with nothing but loopback, whose kernel drops every so manieth datagram to some
/// UDP ports. Needs root; it goes with `remove`.
package final class LossyHost: Sendable {
    private let hosts: NetworkNamespaces

    /// - Parameter ports: of the receiver, as `10000:10199`.
    package init(dropping interval: Int, of ports: String) async throws {
        hosts = try await NetworkNamespaces("", script: """
            ip netns exec $N iptables -A INPUT -p udp --dport \(ports) \
                -m statistic --mode nth --every \(interval) --packet 0 -j DROP
            """)
    }

    /// What runs a command there.
    package var command: [String] { hosts.command(at: "") }

    package func remove() async throws { try await hosts.remove() }
}
