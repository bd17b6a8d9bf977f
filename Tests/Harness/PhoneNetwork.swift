import Foundation
package import Core

/// A phone behind a NAT of the kernel's, and a place for relayd beyond it: three network namespaces in a row.
///
/// `phone` 192.168.50.2 — `nat` 192.168.50.1, 10.66.0.1 — `server` 10.66.0.2. The NAT masquerades and forgets a silent UDP
/// mapping after `timeout`. Needs root; the namespaces go with `remove`.
package final class PhoneNetwork: Sendable {
    package static let server = SocketAddress(ip: IPAddress("10.66.0.2")!, port: 5060)
    package static let phone = SocketAddress(ip: IPAddress("192.168.50.2")!, port: 5062)
    private let name: String

    package init(udpTimeout seconds: Int) async throws {
        name = "rly\(ProcessInfo.processInfo.processIdentifier)\(UInt8.random(in: 0...255))"
        let script = """
            set -e
            for n in phone nat server; do ip netns add \(name)$n; ip -n \(name)$n link set lo up; done
            ip -n \(name)nat link add inside type veth peer name eth0 netns \(name)phone
            ip -n \(name)nat link add outside type veth peer name eth0 netns \(name)server
            ip -n \(name)phone address add 192.168.50.2/24 dev eth0; ip -n \(name)phone link set eth0 up
            ip -n \(name)nat address add 192.168.50.1/24 dev inside; ip -n \(name)nat link set inside up
            ip -n \(name)nat address add 10.66.0.1/24 dev outside; ip -n \(name)nat link set outside up
            ip -n \(name)server address add 10.66.0.2/24 dev eth0; ip -n \(name)server link set eth0 up
            ip -n \(name)phone route add default via 192.168.50.1
            ip netns exec \(name)nat iptables -t nat -A POSTROUTING -o outside -j MASQUERADE
            ip netns exec \(name)nat sysctl -q -w net.ipv4.ip_forward=1 \
                net.netfilter.nf_conntrack_udp_timeout=\(seconds) net.netfilter.nf_conntrack_udp_timeout_stream=\(seconds)
            """
        let result = try await run("sh", ["-c", script])
        guard result.code == 0 else {
            try? await remove()
            throw SocketError(description: "the namespaces cannot be made: \(result.errors)")
        }
    }

    /// What runs a command at the server's, or at the phone's.
    package var atServer: [String] { ["ip", "netns", "exec", "\(name)server"] }
    package var atPhone: [String] { ["ip", "netns", "exec", "\(name)phone"] }

    package func remove() async throws {
        for place in ["phone", "nat", "server"] { _ = try await run("ip", ["netns", "delete", "\(name)\(place)"]) }
    }
}
