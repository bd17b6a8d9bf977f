package import Core

/// The real Kamailio as the edge proxy of a provider: phones register through it, it adds its Path (RFC 3327), and what comes with
/// that as Route goes on to the phone.
package final class EdgeKamailio: Sendable {
    /// Where phones reach it over UDP, and relayd over UDP or TCP.
    package let address: SocketAddress
    private let process: KamailioProcess

    /// - Parameters:
    ///   - transport: `udp` or `tcp`, between it and relayd.
    ///   - host: what its Path calls it; nil: its address.
    ///   - hasLostFlow: whether it knows no way to the phone any more, as after a restart: INVITE gets 430 (RFC 5626 §5.3.1).
    package static func start(
        _ address: SocketAddress, transport: String, relayd: SocketAddress, host: String? = nil, hasLostFlow: Bool = false
    ) async throws -> EdgeKamailio {
        let kamailio = try EdgeKamailio(address, transport: transport, relayd: relayd, host: host, hasLostFlow: hasLostFlow)
        try await kamailio.process.waitUntilUp { SIPp.isBound(address) && SIPp.isBound(address, isStream: true) }
        return kamailio
    }

    private init(
        _ address: SocketAddress, transport: String, relayd: SocketAddress, host: String?, hasLostFlow: Bool
    ) throws {
        self.address = address
        process = try KamailioProcess { _ in
            let path = host.map { "\($0):\(address.port)" } ?? "\(address)"
            return Self.script(address, transport: transport, relayd: relayd, path: path, hasLostFlow: hasLostFlow)
        }
    }

    package var log: String { process.log }

    package func stop() { process.kill() }

    private static func script(
        _ address: SocketAddress, transport: String, relayd: SocketAddress, path: String, hasLostFlow: Bool
    ) -> String {
        let refusal = hasLostFlow ? "if (is_method(\"INVITE\")) { sl_send_reply(\"430\", \"Flow Failed\"); exit; }" : ""
        // The module writes the Path of the socket that phones use; the way back to it may be another.
        let addsPath = transport == "udp" && path == "\(address)"
            ? "add_path();" : "append_hf(\"Path: <sip:\(path);transport=\(transport);lr>\\r\\n\");"
        return """
            #!KAMAILIO
            debug=2
            log_stderror=yes
            children=2
            tcp_children=2
            auto_aliases=no
            tcp_accept_no_cl=no
            tcp_source_ipv4=\(address.ip)
            listen=udp:\(address)
            listen=tcp:\(address)
            \(["tm", "sl", "rr", "path", "pv", "textops", "siputils"].map { "loadmodule \"\($0).so\"" }.joined(separator: "\n"))

            \(KamailioProcess.dialogRoute())

            request_route {
                route(DIALOG);
                if (is_method("REGISTER")) {
                    \(addsPath)
                    $du = "sip:\(relayd);transport=\(transport)";
                    t_relay();
                    exit;
                }
                \(refusal)
                # Takes the Route that names this proxy away; where that is the only one it says no all the same.
                loose_route();
                if (uri == myself) {
                    sl_send_reply("404", "Not Here");
                    exit;
                }
                record_route();
                t_relay();
            }

            """
    }
}
