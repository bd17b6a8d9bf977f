package import Core

/// A Kamailio that keeps dialogs, passes calls on to one callee and ends them when its remote procedure call says so.
package final class DialogKamailio: Sendable {
    /// Where it takes SIP, over UDP.
    package let address: SocketAddress
    /// Where it takes remote procedure calls.
    package let rpcAddress: SocketAddress
    private let process: KamailioProcess

    package enum RPC: String, CaseIterable, Sendable {
        case xmlrpc, jsonrpc
    }

    package static func start(
        at address: SocketAddress, callee: SocketAddress, relay: SocketAddress, rpc: RPC, rpcAddress: SocketAddress
    ) async throws -> DialogKamailio {
        let kamailio = try DialogKamailio(address, callee, relay, rpc, rpcAddress)
        // Its TCP process is the last to start.
        try await kamailio.process.waitUntilUp { (try? StreamPeer(connectingTo: rpcAddress)) != nil }
        return kamailio
    }

    private init(
        _ address: SocketAddress, _ callee: SocketAddress, _ relay: SocketAddress, _ rpc: RPC, _ rpcAddress: SocketAddress
    ) throws {
        self.address = address
        self.rpcAddress = rpcAddress
        let modules = ["tm", "sl", "rr", "pv", "textops", "siputils", "dialog", "rtpengine", "cfgutils"]
        let rpcModules = rpc == .xmlrpc ? ["xmlrpc"] : ["xhttp", "jsonrpcs"]
        let rpcRoute =
            rpc == .xmlrpc
            ? "route[XMLRPC] { dispatch_rpc(); }" : "event_route[xhttp:request] { jsonrpc_dispatch(); }"
        let text = """
            #!KAMAILIO
            debug=2
            log_stderror=yes
            children=2
            tcp_children=1
            max_while_loops=5001
            listen=udp:\(address)
            listen=tcp:\(rpcAddress)
            \((modules + rpcModules).map { "loadmodule \"\($0).so\"" }.joined(separator: "\n"))
            \(rpc == .xmlrpc ? "modparam(\"xmlrpc\", \"route\", \"XMLRPC\")" : "modparam(\"jsonrpcs\", \"transport\", 1)")
            modparam("rtpengine", "rtpengine_sock", "udp:\(relay)")
            modparam("dialog", "dlg_match_mode", 2)
            modparam("pv", "shvset", "byes=i:0")
            request_route {
                dlg_manage();
                if (is_method("ACK") && !has_totag()) { exit; }
                if (!has_totag()) { $du = "sip:\(callee)"; record_route(); }
                else { loose_route(); }
                if (is_method("CANCEL|BYE")) { rtpengine_delete(); }
                if (is_method("INVITE")) { rtpengine_manage("replace-origin ICE=remove"); t_on_reply("MEDIA"); }
                t_relay();
            }
            # A dialog is ended by a BYE to one side and then one to the other. Here the first may be answered before the second
            # is sent, and once that answer is handled, this version does not send it: answers wait, 5 s at most.
            event_route[tm:local-request] { if (is_method("BYE")) { $shv(byes) = $shv(byes) + 1; } }
            reply_route {
                $var(turns) = 0;
                while (is_method("BYE") && $shv(byes) < 2 && $var(turns) < 5000) {
                    usleep("1000");
                    $var(turns) = $var(turns) + 1;
                }
            }
            onreply_route[MEDIA] { if (has_body("application/sdp")) { rtpengine_manage("replace-origin ICE=remove"); } }
            \(rpcRoute)

            """
        process = try KamailioProcess { _ in text }
    }

    package var log: String { process.log }

    package func stop() async throws { try await process.end() }
}
