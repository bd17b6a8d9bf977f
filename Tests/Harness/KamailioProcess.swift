import Foundation

/// The real Kamailio, in the foreground with a script of a test's own, logging to standard error, with everything that it
/// writes in a directory of its own.
final class KamailioProcess: Sendable {
    let directory: TemporaryDirectory
    let process: ChildProcess

    /// - Parameter script: is told the directory, which is empty so far.
    init(script: (TemporaryDirectory) throws -> String) throws {
        directory = try TemporaryDirectory("kamailio")
        let configuration = directory.file("kamailio.cfg")
        try Data(try script(directory).utf8).write(to: URL(fileURLWithPath: configuration))
        process = try ChildProcess(
            "kamailio",
            ["-f", configuration, "-DD", "-E", "-m", "64", "-M", "8", "-Y", directory.path, "-w", directory.path],
            environment: ["PATH": (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin"],
            outputPath: directory.file("kamailio.log"))
    }

    /// `route[DIALOG]`, with which the request route of a record-routing proxy begins: done with is a CANCEL, which follows
    /// its INVITE, a request that came before, and one within a dialog, which goes by its Route. It takes the modules tm, rr
    /// and siputils.
    ///
    /// - Parameter statements: for a request within a dialog, before it is relayed.
    static func dialogRoute(before statements: String = "") -> String {
        """
        route[DIALOG] {
            if (is_method("CANCEL")) {
                if (t_check_trans()) t_relay();
                exit;
            }
            t_check_trans();
            if (!has_totag()) return;
            if (!loose_route()) exit;
            \(statements)
            t_relay();
            exit;
        }
        """
    }

    /// - Throws: what it said, when it ends or is not up after 30 s.
    func waitUntilUp(_ isUp: @Sendable () -> Bool) async throws {
        try await eventually("Kamailio listens\n\(log)", within: .seconds(30)) {
            if let exit = process.exit {
                throw SocketError(description: "Kamailio ended at its start (\(exit)):\n\(log)")
            }
            return isUp()
        }
    }

    var log: String { process.output }

    /// Ends it and its children at once. Asked politely, it now and then takes more than 5 s.
    func kill() { process.kill() }

    /// Ends it and its children once they have written what they have to write.
    func end() async throws {
        process.signal(15)
        _ = try await process.exit(within: .seconds(30))
    }
}
