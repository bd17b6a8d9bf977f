package import Core
package import NG

/// A proxy of a few lines: sends NG commands over UDP and waits for their answers.
package final class NGClient: Sendable {
    private let socket: UDPSocket
    private let server: SocketAddress

    package init(on host: IPAddress, server: SocketAddress) throws {
        socket = try UDPSocket(SocketAddress(ip: host, port: 0))
        self.server = server
    }

    /// Repeats the command as a proxy does until there is an answer.
    package func ask(
        _ command: String, _ entries: NGDictionary = [:], cookie: String? = nil
    ) async throws -> NGDictionary {
        let octets = try await answer(to: command, entries, cookie: cookie)
        return try NGEnvelope(parsing: octets).dictionary
    }

    /// The whole answer, cookie included.
    package func answer(to command: String, _ entries: NGDictionary = [:], cookie: String? = nil) async throws -> [UInt8] {
        let cookie = cookie ?? String(UInt64.random(in: 0...UInt64.max), radix: 36)
        var dictionary = entries
        dictionary["command"] = .text(command)
        let message = Array("\(cookie) ".utf8) + NGFormat.bencode.encoded(dictionary)
        for _ in 0..<5 {
            socket.send(message, to: server)
            let answer = try? await eventually("an answer to \(command)", within: .seconds(1)) { () -> [UInt8]? in
                while let (octets, source) = socket.receive() {
                    if source == server, octets.starts(with: Array("\(cookie) ".utf8)) { return octets }
                }
                return nil
            }
            if let answer { return answer }
        }
        throw TimeLimitExceeded(what: "\(server) answers \(command)", limit: .seconds(5))
    }
}
