package import Core
import Foundation
import Glibc

/// A capture on the loopback interface and what tshark makes of it. Needs root.
package final class Tshark: Sendable {
    private let process: ChildProcess
    private let directory: TemporaryDirectory
    /// Sends what marks the beginning and the end in the file: packets reach it in order, but late.
    private let marker: UDPSocket
    private var file: String { directory.file("capture.pcap") }

    /// Packets are being written when this returns.
    package static func capture(host: IPAddress) async throws -> Tshark {
        let tshark = try Tshark(host: host)
        try await tshark.reaches("capture begins here")
        return tshark
    }

    private func reaches(_ mark: String) async throws {
        try await eventually("tshark has written: \(mark)", within: .seconds(30)) {
            if let exit = process.exit {
                throw SocketError(description: "tshark ended (\(exit)): \(process.output)")
            }
            marker.send(mark, to: SocketAddress(ip: marker.address.ip, port: 9))
            return FileManager.default.contents(atPath: file)?.range(of: Data(mark.utf8)) != nil
        }
    }

    private init(host: IPAddress) throws {
        directory = try TemporaryDirectory("tshark")
        marker = try UDPSocket(SocketAddress(ip: host, port: 0))
        let file = directory.file("capture.pcap")
        process = try ChildProcess(
            "tshark",
            ["-i", "lo", "-f", "host \(host) and udp", "-F", "pcap", "-w", file, "-q"],
            outputPath: directory.file("tshark.log"))
    }

    /// Ends the capture; everything seen is in the file then.
    package func finish() async throws {
        try await reaches("capture ends here")
        process.signal(SIGINT)
        _ = try await process.exit(within: .seconds(30))
    }

    /// One line for each packet that `filter` accepts, the fields separated by tabs.
    package func fields(_ names: [String], where filter: String, decodeAs: [String] = []) async throws -> [[String]] {
        let arguments =
            ["-r", file, "-n", "-Y", filter] + decodeAs.flatMap { ["-d", $0] } + ["-T", "fields", "-E", "separator=/t"]
            + names.flatMap { ["-e", $0] }
        let result = try await run("tshark", arguments, within: .seconds(60))
        guard result.code == 0 else { throw SocketError(description: "tshark: \(result.errors)") }
        return result.output.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
