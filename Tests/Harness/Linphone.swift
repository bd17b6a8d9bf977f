package import Core
import Foundation

/// One linphonec, a phone that knows digest with SHA-256 (RFC 8760): it registers when it starts, and takes that back when it is
/// told to quit.
package final class Linphone: Sendable {
    package let process: ChildProcess
    private let directory: TemporaryDirectory

    package init(user: String, password: String, at address: SocketAddress, server: SocketAddress) throws {
        directory = try TemporaryDirectory("l")
        // It does not make the directory of its database by itself.
        try FileManager.default.createDirectory(
            atPath: directory.file(".local/share/linphone"), withIntermediateDirectories: true)
        let settings = """
            [sip]
            sip_port=\(address.port)
            sip_tcp_port=0
            sip_tls_port=0
            default_proxy=0
            [net]
            mtu=1300
            enable_ipv6=0
            [proxy_0]
            reg_proxy=<sip:\(server)>
            reg_identity=sip:\(user)@\(server.ip)
            reg_expires=300
            reg_sendregister=1
            [auth_info_0]
            username=\(user)
            passwd=\(password)
            realm=relayd
            domain=\(server.ip)
            algorithm=SHA-256
            [sound]
            capture_dev_id=none

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: directory.file("linphonerc")))
        // It reads commands from a pipe that this test writes to.
        let commands = directory.file("commands")
        let script = "mkfifo \(commands); exec linphonec -c \(directory.file("linphonerc")) -d 6 -l \(directory.file("log")) <> \(commands)"
        process = try ChildProcess(
            "sh", ["-c", script],
            environment: ["HOME": directory.path, "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "", "TERM": "dumb"],
            outputPath: directory.file("screen"))
    }

    /// All it has to say, messages included.
    package var log: String { textOfFile(directory.file("log")) }

    package func quit() throws {
        let pipe = try FileHandle(forWritingTo: URL(fileURLWithPath: directory.file("commands")))
        defer { try? pipe.close() }
        try pipe.write(contentsOf: Data("quit\n".utf8))
    }

    package func kill() { process.kill() }
}
