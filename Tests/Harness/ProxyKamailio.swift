package import Core

/// The real Kamailio as a record-routing proxy before relayd: what its caller sends goes to relayd over TCP or TLS, what
/// relayd sends goes to its callee over UDP.
package final class ProxyKamailio: Sendable {
    package struct Plan: Sendable {
        package var host: IPAddress
        /// `tcp` or `tls`.
        package var transport: String
        package var relayd: SocketAddress
        package var callee: SocketAddress
        package var certificate: Certificate

        package init(
            host: IPAddress, transport: String, relayd: SocketAddress, callee: SocketAddress, certificate: Certificate
        ) {
            self.host = host
            self.transport = transport
            self.relayd = relayd
            self.callee = callee
            self.certificate = certificate
        }

        /// Where callers reach it over UDP, and relayd over TCP.
        package var address: SocketAddress { SocketAddress(ip: host, port: 5064) }
        package var streamAddress: SocketAddress { SocketAddress(ip: host, port: transport == "tls" ? 5065 : 5064) }
    }

    package let plan: Plan
    private let process: KamailioProcess

    /// It listens when this returns.
    package static func start(_ plan: Plan) async throws -> ProxyKamailio {
        let kamailio = try ProxyKamailio(plan)
        try await kamailio.process.waitUntilUp {
            SIPp.isBound(plan.address) && SIPp.isBound(plan.streamAddress, isStream: true)
        }
        return kamailio
    }

    private init(_ plan: Plan) throws {
        self.plan = plan
        process = try KamailioProcess { _ in Self.script(plan) }
    }

    package var log: String { process.log }

    package func stop() { process.kill() }

    private static func script(_ plan: Plan) -> String {
        let isTLS = plan.transport == "tls"
        let modules = ["tm", "sl", "rr", "pv", "corex", "textops", "siputils", "xlog"] + (isTLS ? ["tls"] : [])
        let tls =
            isTLS
            ? """
            modparam("tls", "private_key", "\(plan.certificate.key)")
            modparam("tls", "certificate", "\(plan.certificate.certificate)")
            modparam("tls", "ca_list", "\(plan.certificate.certificate)")
            modparam("tls", "tls_method", "TLSv1.2+")
            modparam("tls", "verify_certificate", 1)
            """ : ""
        return """
            #!KAMAILIO
            debug=2
            log_stderror=yes
            children=2
            tcp_children=2
            auto_aliases=no
            tcp_accept_no_cl=no
            tcp_source_ipv4=\(plan.host)
            \(isTLS ? "enable_tls=yes" : "")
            listen=udp:\(plan.address)
            listen=\(plan.transport):\(plan.streamAddress)
            \(modules.map { "loadmodule \"\($0).so\"" }.joined(separator: "\n"))
            \(tls)

            \(KamailioProcess.dialogRoute())

            request_route {
                route(DIALOG);
                if (!is_method("INVITE")) {
                    sl_send_reply("405", "Method Not Allowed");
                    exit;
                }
                record_route();
                if ($proto == "udp") $du = "sip:\(plan.relayd);transport=\(plan.transport)";
                else $du = "sip:\(plan.callee);transport=udp";
                t_relay();
            }

            """
    }
}
