package import Core

/// A phone behind a NAT of the kernel's, and a place for relayd beyond it: three network namespaces in a row.
///
/// `phone` 192.168.50.2 — `nat` 192.168.50.1, 198.51.100.1 — `server` 198.51.100.2. The NAT masquerades and forgets a silent UDP
/// mapping after `timeout`. Needs root; the namespaces go with `remove`.
package final class PhoneNetwork: Sendable {
    package static let server = SocketAddress(ip: IPAddress("198.51.100.2")!, port: 5060)
    /// Where what comes from phones seems to come from.
    package static let outside = IPAddress("198.51.100.1")!
    package static let phone = SocketAddress(ip: IPAddress("192.168.50.2")!, port: 5062)
    private let hosts: NetworkNamespaces

    package init(udpTimeout seconds: Int) async throws {
        hosts = try await NetworkNamespaces("phone", "nat", "server", script: """
            ip -n ${N}nat link add inside type veth peer name eth0 netns ${N}phone
            ip -n ${N}nat link add outside type veth peer name eth0 netns ${N}server
            ip -n ${N}phone address add 192.168.50.2/24 dev eth0; ip -n ${N}phone link set eth0 up
            ip -n ${N}nat address add 192.168.50.1/24 dev inside; ip -n ${N}nat link set inside up
            ip -n ${N}nat address add 198.51.100.1/24 dev outside; ip -n ${N}nat link set outside up
            ip -n ${N}server address add 198.51.100.2/24 dev eth0; ip -n ${N}server link set eth0 up
            ip -n ${N}phone route add default via 192.168.50.1
            ip netns exec ${N}nat iptables -t nat -A POSTROUTING -o outside -j MASQUERADE
            ip netns exec ${N}nat sysctl -q -w net.ipv4.ip_forward=1 \
                net.netfilter.nf_conntrack_udp_timeout=\(seconds) net.netfilter.nf_conntrack_udp_timeout_stream=\(seconds)
            """)
    }

    /// What runs a command at the server's, or at the phone's.
    package var atServer: [String] { hosts.command(at: "server") }
    package var atPhone: [String] { hosts.command(at: "phone") }

    /// Waits until the NAT has no mapping for this phone any more.
    package func forgetsMappings(of phone: SocketAddress) async throws {
        try await eventually("the NAT forgets \(phone)", within: .seconds(30)) {
            let table = try await run("ip", Array((hosts.command(at: "nat") + ["cat", "/proc/net/nf_conntrack"]).dropFirst()))
            guard table.code == 0 else { throw SocketError(description: "the NAT's table cannot be read: \(table.errors)") }
            return !table.output.split(separator: "\n").contains { $0.contains("src=\(phone.ip) ") && $0.contains("sport=\(phone.port) ") }
        }
    }

    package func remove() async throws { try await hosts.remove() }
}
