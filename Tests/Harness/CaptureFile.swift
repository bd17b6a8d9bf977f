package import Core
import Foundation

/// A capture file as tshark reads it.
package struct CaptureFile: Sendable {
    package struct Stream: Sendable {
        package let source: SocketAddress
        package let destination: SocketAddress
        package let ssrc: UInt32
        package let packets: Int
        package let lost: Int
    }

    package let path: String

    package init(_ path: String) { self.path = path }

    /// Every RTP stream that tshark finds: by the descriptions in the file, and from and to `ports` without one. Its guesses
    /// would not do: they leave out streams whose port or octets look like something else's.
    package func rtpStreams(at ports: [UInt16] = []) async throws -> [Stream] {
        let decoding = ports.flatMap { ["-d", "udp.port==\($0),rtp"] }
        let arguments = ["-r", path, "-n", "-q"] + decoding + ["-z", "rtp,streams"]
        let result = try await run("tshark", arguments, within: .seconds(60))
        guard result.code == 0 else { throw SocketError(description: "tshark: \(result.errors)") }
        return result.output.split(separator: "\n").compactMap { Self.stream($0) }
    }

    /// `0.000000 1.980000 127.1.2.3 6000 127.1.2.4 10000 0x9E3779B0 g711U 100 0 (0.0%) …`
    private static func stream(_ line: Substring) -> Stream? {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(where: { $0.hasPrefix("0x") }), place >= 4, words.count > place + 3,
            let ssrc = UInt32(words[place].dropFirst(2), radix: 16), let packets = Int(words[place + 2]),
            let lost = Int(words[place + 3]), let source = IPAddress(String(words[place - 4])),
            let sourcePort = UInt16(words[place - 3]), let destination = IPAddress(String(words[place - 2])),
            let port = UInt16(words[place - 1])
        else { return nil }
        return Stream(
            source: SocketAddress(ip: source, port: sourcePort), destination: SocketAddress(ip: destination, port: port),
            ssrc: ssrc, packets: packets, lost: lost)
    }

    /// One line for each packet that `filter` accepts, the fields separated by tabs.
    package func fields(_ names: [String], where filter: String) async throws -> [[String]] {
        let arguments = ["-r", path, "-n", "-Y", filter, "-T", "fields", "-E", "separator=/t"] + names.flatMap { ["-e", $0] }
        let result = try await run("tshark", arguments, within: .seconds(60))
        guard result.code == 0 else { throw SocketError(description: "tshark: \(result.errors)") }
        return result.output.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
