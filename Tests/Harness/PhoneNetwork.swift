import Foundation
import Synchronization
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
    private let name: String
    private static let counter = Atomic<UInt32>(0)

    package init(udpTimeout seconds: Int) async throws {
        name = "rly\(ProcessInfo.processInfo.processIdentifier)n\(Self.counter.wrappingAdd(1, ordering: .relaxed).newValue)"
        let script = """
            set -e
            for n in phone nat server; do ip netns add \(name)$n; ip -n \(name)$n link set lo up; done
            ip -n \(name)nat link add inside type veth peer name eth0 netns \(name)phone
            ip -n \(name)nat link add outside type veth peer name eth0 netns \(name)server
            ip -n \(name)phone address add 192.168.50.2/24 dev eth0; ip -n \(name)phone link set eth0 up
            ip -n \(name)nat address add 192.168.50.1/24 dev inside; ip -n \(name)nat link set inside up
            ip -n \(name)nat address add 198.51.100.1/24 dev outside; ip -n \(name)nat link set outside up
            ip -n \(name)server address add 198.51.100.2/24 dev eth0; ip -n \(name)server link set eth0 up
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

    /// Waits until the NAT has no mapping for this phone any more.
    package func forgetsMappings(of phone: SocketAddress) async throws {
        try await eventually("the NAT forgets \(phone)", within: .seconds(30)) {
            let table = try await run("ip", ["netns", "exec", "\(name)nat", "cat", "/proc/net/nf_conntrack"])
            guard table.code == 0 else { throw SocketError(description: "the NAT's table cannot be read: \(table.errors)") }
            return !table.output.split(separator: "\n").contains { $0.contains("src=\(phone.ip) ") && $0.contains("sport=\(phone.port) ") }
        }
    }

    package func remove() async throws {
        for place in ["phone", "nat", "server"] { _ = try await run("ip", ["netns", "delete", "\(name)\(place)"]) }
    }
}
