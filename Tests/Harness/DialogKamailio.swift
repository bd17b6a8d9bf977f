package import Core
import Foundation
import Glibc

/// A Kamailio that keeps dialogs, passes calls on to one callee and ends them when its remote procedure call says so.
package final class DialogKamailio: Sendable {
    /// Where it takes SIP, over UDP.
    package let address: SocketAddress
    /// Where it takes remote procedure calls.
    package let rpcAddress: SocketAddress
    private let process: ChildProcess
    private let directory: TemporaryDirectory

    package enum RPC: String, CaseIterable, Sendable {
        case xmlrpc, jsonrpc
    }

    package static func start(
        at address: SocketAddress, callee: SocketAddress, relay: SocketAddress, rpc: RPC, rpcAddress: SocketAddress
    ) async throws -> DialogKamailio {
        let kamailio = try DialogKamailio(address, callee, relay, rpc, rpcAddress)
        try await eventually("Kamailio takes SIP", within: .seconds(20)) {
            if let exit = kamailio.process.exit {
                throw SocketError(description: "Kamailio ended (\(exit)): \(kamailio.log)")
            }
            // Its TCP process is the last to start.
            return (try? StreamPeer(connectingTo: rpcAddress)) != nil
        }
        return kamailio
    }

    private init(
        _ address: SocketAddress, _ callee: SocketAddress, _ relay: SocketAddress, _ rpc: RPC, _ rpcAddress: SocketAddress
    ) throws {
        self.address = address
        self.rpcAddress = rpcAddress
        directory = try TemporaryDirectory("kamailio")
        let modules = ["tm", "sl", "rr", "pv", "textops", "siputils", "dialog", "rtpengine"]
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
            listen=udp:\(address)
            listen=tcp:\(rpcAddress)
            \((modules + rpcModules).map { "loadmodule \"\($0).so\"" }.joined(separator: "\n"))
            \(rpc == .xmlrpc ? "modparam(\"xmlrpc\", \"route\", \"XMLRPC\")" : "modparam(\"jsonrpcs\", \"transport\", 1)")
            modparam("rtpengine", "rtpengine_sock", "udp:\(relay)")
            modparam("dialog", "dlg_match_mode", 2)
            request_route {
                dlg_manage();
                if (is_method("ACK") && !has_totag()) { exit; }
                if (!has_totag()) { $du = "sip:\(callee)"; record_route(); }
                else { loose_route(); }
                if (is_method("CANCEL|BYE")) { rtpengine_delete(); }
                if (is_method("INVITE")) { rtpengine_manage("replace-origin ICE=remove"); t_on_reply("MEDIA"); }
                t_relay();
            }
            onreply_route[MEDIA] { if (has_body("application/sdp")) { rtpengine_manage("replace-origin ICE=remove"); } }
            \(rpcRoute)

            """
        let configuration = directory.file("kamailio.cfg")
        try Data(text.utf8).write(to: URL(fileURLWithPath: configuration))
        process = try ChildProcess(
            "kamailio", ["-DD", "-E", "-f", configuration, "-Y", directory.path, "-m", "32", "-M", "4"],
            environment: ["PATH": (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin"],
            outputPath: directory.file("log"))
    }

    package var log: String { process.output }

    /// Ends it with its children.
    package func stop() async throws {
        process.signal(SIGTERM)
        _ = try await process.exit(within: .seconds(10))
    }
}
