package import Core
import Foundation

/// Debian's rtpengine in userspace, to compare answers with.
package final class RTPEngine: Sendable {
    package let address: SocketAddress
    package let process: ChildProcess
    private let directory: TemporaryDirectory

    /// - Parameter interfaces: as relayd's `media.interfaces`. The first one's address is where it is asked.
    package static func start(on host: IPAddress, interfaces: [String]) async throws -> RTPEngine {
        let engine = try RTPEngine(on: host, interfaces: interfaces)
        let client = try NGClient(on: host, server: engine.address)
        try await eventually("rtpengine answers\n\(engine.process.output)", within: .seconds(30)) {
            if let exit = engine.process.exit {
                throw SocketError(description: "rtpengine ended at its start (\(exit)):\n\(engine.process.output)")
            }
            return (try? await client.ask("ping")) != nil
        }
        return engine
    }

    private init(on host: IPAddress, interfaces: [String]) throws {
        address = SocketAddress(ip: host, port: 2223)
        directory = try TemporaryDirectory("rtpengine")
        var arguments = ["--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1"]
        arguments += interfaces.map { "--interface=\($0)" }
        arguments += ["--listen-ng=\(address)", "--port-min=10000", "--port-max=10999", "--delete-delay=0"]
        process = try ChildProcess("rtpengine", arguments, outputPath: directory.file("rtpengine.log"))
    }
}
