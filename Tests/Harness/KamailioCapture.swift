package import Core
import Foundation

/// Kamailio as a HEP3 collector (module sipcapture): it takes packets apart by its own rules, logs the SIP in them, and keeps
/// RTCP in a text table.
package final class KamailioCapture: Sendable {
    /// A row of the table for RTCP.
    package struct Report: Sendable {
        package let correlation: String
        package let source: SocketAddress
        package let destination: SocketAddress
        /// As it was sent, in JSON.
        package let text: String
    }

    private let process: KamailioProcess

    /// Listens when this returns.
    package init(at address: SocketAddress) async throws {
        let columns = [
            "date(time)", "micro_ts(int)", "correlation_id(string,null)", "source_ip(string)", "source_port(int)",
            "destination_ip(string)", "destination_port(int)", "proto(int,null)", "family(int,null)", "type(int,null)",
            "node(string,null)", "msg(string,null)",
        ]
        process = try KamailioProcess { directory in
            try Data((columns.joined(separator: " ") + "\n").utf8)
                .write(to: URL(fileURLWithPath: directory.file("rtcp_capture")))
            try Data("table_name(string) table_version(int)\nrtcp_capture:1\n".utf8)
                .write(to: URL(fileURLWithPath: directory.file("version")))
            return """
                #!KAMAILIO
                debug=2
                log_stderror=yes
                fork=yes
                children=1
                disable_tcp=yes
                auto_aliases=no
                listen=udp:\(address)
                loadmodule "db_text.so"
                loadmodule "pv.so"
                loadmodule "xlog.so"
                loadmodule "sipcapture.so"
                modparam("sipcapture", "db_url", "text://\(directory.path)")
                modparam("sipcapture", "capture_on", 1)
                modparam("sipcapture", "hep_capture_on", 1)
                request_route { xlog("L_WARN", "HEP $rm from $si:$sp id $ci end\\n"); exit; }
                onreply_route { xlog("L_WARN", "HEP $rs from $si:$sp id $ci end\\n"); exit; }

                """
        }
        try await process.waitUntilUp { SIPp.isBound(address) }
    }

    package var log: String { process.log }

    /// Ends it, and returns the RTCP it has kept.
    package func reports() async throws -> [Report] {
        try await process.end()
        return textOfFile(process.directory.file("rtcp_capture")).split(separator: "\n").dropFirst().compactMap { line in
            // Colons inside of a value have a backslash before them.
            let fields = line.replacing("\\:", with: "\u{1}").split(separator: ":", omittingEmptySubsequences: false)
                .map { String($0).replacing("\u{1}", with: ":") }
            guard fields.count == 12, let source = SocketAddress("\(fields[3]):\(fields[4])"),
                let destination = SocketAddress("\(fields[5]):\(fields[6])")
            else { return nil }
            return Report(correlation: fields[2], source: source, destination: destination, text: fields[11])
        }
    }
}
