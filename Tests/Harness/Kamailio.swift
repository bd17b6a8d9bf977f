package import Core
import Foundation

/// The real Kamailio as a record-routing proxy whose media pass one or several relayd, by its rtpengine module.
package final class Kamailio: Sendable {
    /// A relayd by its NG address.
    package struct Node: Sendable {
        package var address: SocketAddress
        package var weight: Int

        package init(_ address: SocketAddress, weight: Int = 1) {
            self.address = address
            self.weight = weight
        }
    }

    package struct Plan: Sendable {
        package var address: SocketAddress
        package var nodes: [Node]
        /// Every call goes to all of them at once.
        package var callees: [SocketAddress]
        /// What the script gives to `rtpengine_manage`.
        package var flags = "replace-origin replace-session-connection"

        package init(at address: SocketAddress, nodes: [Node], callees: [SocketAddress]) {
            self.address = address
            self.nodes = nodes
            self.callees = callees
        }
    }

    package let plan: Plan
    private let process: KamailioProcess

    /// It listens when this returns, and has asked every node whether it is there.
    package static func start(_ plan: Plan) async throws -> Kamailio {
        let kamailio = try Kamailio(plan)
        try await kamailio.process.waitUntilUp { SIPp.isBound(plan.address) }
        return kamailio
    }

    private init(_ plan: Plan) throws {
        self.plan = plan
        process = try KamailioProcess { _ in Self.script(plan) }
    }

    package var log: String { process.log }

    /// What `$rtpstat` said when a BYE came, one text a call.
    package var statistics: [String] {
        log.split(separator: "\n").compactMap { line in
            line.range(of: "rtpstat=").map { String(line[$0.upperBound...]) }
        }
    }

    /// What the MOS variables said once a BYE had deleted the call: the words `mos=average/lowest/highest` and
    /// `jitter`, `loss`, `samples`, `roundtrip`, `min_at`.
    package var quality: [[String: String]] {
        log.split(separator: "\n").compactMap { line in
            guard let start = line.range(of: "quality ") else { return nil }
            let words = line[start.upperBound...].split(separator: " ").map { $0.split(separator: "=", maxSplits: 1) }
            return Dictionary(words.map { (String($0[0]), $0.count > 1 ? String($0[1]) : "") }) { first, _ in first }
        }
    }

    package func stop() { process.kill() }

    private static func script(_ plan: Plan) -> String {
        let modules = ["tm", "sl", "rr", "pv", "corex", "textops", "siputils", "xlog", "rtpengine"]
        let nodes = plan.nodes.map { "udp:\($0.address)=\($0.weight)" }.joined(separator: " ")
        let branches = plan.callees.dropFirst().map { #"    append_branch("sip:callee@\#($0)");"# }
        // Where the statistics of a deleted call go (module rtpengine, §5 of its documentation).
        let variables = [
            "mos_average_pv": "mos", "mos_min_pv": "min", "mos_max_pv": "max", "mos_average_jitter_pv": "jitter",
            "mos_average_packetloss_pv": "loss", "mos_average_samples_pv": "samples",
            "mos_average_roundtrip_pv": "roundtrip", "mos_min_at_pv": "min_at",
        ]
        let parameters = variables.sorted { $0.key < $1.key }.map { name, variable in
            "modparam(\"rtpengine\", \"\(name)\", \"$avp(\(variable))\")"
        }
        let shown = "quality mos=$avp(mos)/$avp(min)/$avp(max) jitter=$avp(jitter) loss=$avp(loss) samples=$avp(samples) "
            + "roundtrip=$avp(roundtrip) min_at=$avp(min_at)"
        let mediaOfDialog = """
            if (is_method("BYE")) xlog("L_NOTICE", "rtpstat=$rtpstat\\n");
            if (!is_method("ACK") || has_body("application/sdp")) rtpengine_manage("\(plan.flags)");
            if (is_method("BYE")) xlog("L_NOTICE", "\(shown)\\n");
            t_on_reply("MEDIA");
            """
        return """
            #!KAMAILIO
            debug=2
            log_stderror=yes
            children=4
            disable_tcp=yes
            auto_aliases=no
            listen=udp:\(plan.address)
            \(modules.map { "loadmodule \"\($0).so\"" }.joined(separator: "\n"))
            modparam("rtpengine", "rtpengine_sock", "\(nodes)")
            modparam("rtpengine", "rtpengine_tout_ms", 1000)
            \(parameters.joined(separator: "\n"))
            modparam("rtpengine", "rtpengine_retr", 1)
            modparam("rtpengine", "rtpengine_disable_tout", 1)
            modparam("rtpengine", "rtpengine_allow_op", 1)

            \(KamailioProcess.dialogRoute(before: mediaOfDialog))

            request_route {
                route(DIALOG);
                if (!is_method("INVITE")) {
                    sl_send_reply("405", "Method Not Allowed");
                    exit;
                }
                record_route();
                $ru = "sip:callee@\(plan.callees[0])";
                if (has_body("application/sdp") && !rtpengine_manage("\(plan.flags)")) {
                    sl_send_reply("503", "No Media Relay");
                    exit;
                }
            \(branches.joined(separator: "\n"))
                t_on_reply("MEDIA");
                t_on_failure("REFUSED");
                t_relay();
            }

            # A branch that is refused is deleted by its tag.
            onreply_route[MEDIA] {
                if (!is_method("INVITE")) exit;
                if (status =~ "[3-6][0-9][0-9]") rtpengine_delete("to-tag");
                else if (has_body("application/sdp")) rtpengine_manage("\(plan.flags)");
            }

            failure_route[REFUSED] {
                rtpengine_manage();
            }

            """
    }
}
