package import Core
import Foundation

/// The real Kamailio in a carrier's place, which challenges every REGISTER and INVITE, checks what comes back, and lets
/// nobody through who has not the password: a REGISTER gets 200 then, an INVITE 486.
package final class ChallengingKamailio: Sendable {
    package let address: SocketAddress
    package let process: ChildProcess
    private let directory: TemporaryDirectory

    /// It listens when this returns.
    ///
    /// - Parameter algorithm: `SHA-256` or `MD5`.
    package static func start(at address: SocketAddress, password: String, algorithm: String) async throws -> ChallengingKamailio {
        let kamailio = try ChallengingKamailio(at: address, password: password, algorithm: algorithm)
        try await eventually("Kamailio listens on \(address)\n\(kamailio.log)", within: .seconds(30)) {
            if let exit = kamailio.process.exit {
                throw SocketError(description: "Kamailio ended at its start (\(exit)):\n\(kamailio.log)")
            }
            return SIPp.isBound(address)
        }
        return kamailio
    }

    private init(at address: SocketAddress, password: String, algorithm: String) throws {
        self.address = address
        directory = try TemporaryDirectory("challenge")
        let configuration = directory.file("kamailio.cfg")
        try Data(Self.script(address, password, algorithm).utf8).write(to: URL(fileURLWithPath: configuration))
        process = try ChildProcess(
            "kamailio",
            ["-f", configuration, "-DD", "-E", "-m", "64", "-M", "8", "-Y", directory.path, "-w", directory.path],
            environment: ["PATH": (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin"],
            outputPath: directory.file("kamailio.log"))
    }

    package var log: String { process.output }

    package func stop() { process.kill() }

    private static func script(_ address: SocketAddress, _ password: String, _ algorithm: String) -> String {
        """
        #!KAMAILIO
        debug=2
        log_stderror=yes
        children=1
        auto_aliases=no
        disable_tcp=yes
        listen=udp:\(address)
        loadmodule "sl.so"
        loadmodule "tm.so"
        loadmodule "pv.so"
        loadmodule "textops.so"
        loadmodule "auth.so"
        modparam("auth", "algorithm", "\(algorithm)")

        request_route {
            if (is_method("ACK")) exit;
            if (is_method("REGISTER")) {
                if (!pv_www_authenticate("carrier", "\(password)", "0")) {
                    www_challenge("carrier", "1");
                    exit;
                }
                append_to_reply("Contact: $ct;expires=300\\r\\n");
                sl_send_reply("200", "OK");
                exit;
            }
            if (is_method("INVITE")) {
                if (!pv_proxy_authenticate("carrier", "\(password)", "0")) {
                    proxy_challenge("carrier", "1");
                    exit;
                }
                sl_send_reply("486", "Busy Here");
                exit;
            }
            sl_send_reply("200", "OK");
        }

        """
    }
}
