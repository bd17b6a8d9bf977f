package import Core
import Foundation

/// What a test says about a daemon; the rest are relayd's own defaults.
package struct DaemonSettings: Sendable {
    package struct Trunk: Sendable {
        package var name: String
        package var address: SocketAddress
        package var prefixes: [String]
        /// What stands before the address: `tcp`; nil: nothing.
        package var transport: String?
        /// More lines of its table, as in the file.
        package var lines: [String]

        package init(_ name: String, _ address: SocketAddress, prefixes: [String] = [], lines: [String] = []) {
            self.name = name
            self.address = address
            self.prefixes = prefixes
            self.lines = lines
        }
    }

    package struct User: Sendable {
        package var name: String
        package var password: String
        package var numbers: [String]

        package init(_ name: String, _ password: String, numbers: [String] = []) {
            self.name = name
            self.password = password
            self.numbers = numbers
        }
    }

    package var listen: SocketAddress
    package var mediaPorts: ClosedRange<UInt16>
    /// Seconds.
    package var noMediaTimeout = 60
    package var noMediaMode = "both"
    package var calls = 200
    /// Further lines of the table `[media]`, as in the file.
    package var mediaLines: [String] = []
    package var logLevel = "debug"
    package var trunks: [Trunk] = []
    /// Lines of the table `[routing]`, as in the file.
    package var routing: [String] = []
    package var users: [User] = []
    /// Further lines of the table `[keepalive]`, as in the file.
    package var keepAlive: [String] = []
    /// Further lines of the table `[sip]`, and of `[limits]`, as in the file.
    package var sip: [String] = []
    package var limits: [String] = []
    /// Further lines of the table `[ng]`, as in the file.
    package var ng: [String] = []
    /// `NAME/ADDRESS` or `NAME/ADDRESS!ADVERTISED`; empty: the address it listens on.
    package var mediaInterfaces: [String] = []
    /// Where the NG protocol is served; nil: nowhere.
    package var ngListen: SocketAddress?
    /// Further tables, line by line as in the file.
    package var further: [String] = []
    /// Seconds.
    package var ngTimeout = 60
    package var ngDeleteDelay = 30
    /// Where metrics and pages are served, on the address of `listen`; nil: nowhere.
    package var httpPort: UInt16? = 8380
    /// What is put before relayd's command line: a program that prepares something and then becomes relayd. It is given the
    /// daemon's directory, in which `records` is where call records go.
    package var launcher: (@Sendable (TemporaryDirectory) -> [String])?
    /// Further lines of the table `[http]`, as in the file.
    package var http: [String] = []

    package init(listen: SocketAddress, mediaPorts: ClosedRange<UInt16>) {
        self.listen = listen
        self.mediaPorts = mediaPorts
    }

    package func toml(socket: String, records: String) -> String {
        var lines = ["[sip]", "listen = \"\(listen)\""] + sip
        lines += [
            "[media]", "address = \"\(listen.ip)\"", "ports = \"\(mediaPorts.lowerBound)-\(mediaPorts.upperBound)\"",
            "no_media_timeout = \(noMediaTimeout)", "no_media_mode = \"\(noMediaMode)\"",
            mediaInterfaces.isEmpty ? "" : "interfaces = [\(mediaInterfaces.map { "\"\($0)\"" }.joined(separator: ", "))]",
        ]
        lines += mediaLines
        // All tests, with streams that pass inside the kernel: `make test KERNEL_PATH=1`.
        if ProcessInfo.processInfo.environment["KERNEL_PATH"]?.isEmpty == false, !mediaLines.contains(where: { $0.hasPrefix("kernel_path") }) {
            lines.append("kernel_path = true")
        }
        lines += ["[limits]", "calls = \(calls)"]
        lines += limits
        lines += [
            "[control]", "socket = \"\(socket)\"",
            "[records]", "directory = \"\(records)\"",
            "[log]", "level = \"\(logLevel)\"",
        ]
        lines += ["[http]", "listen = \"\(httpPort.map { SocketAddress(ip: listen.ip, port: $0).description } ?? "")\""] + http
        lines += ["[routing]"] + routing
        // A peer that stands still for some seconds is a busy machine's, not a dead carrier's.
        if !routing.contains(where: { $0.hasPrefix("invite_timeout") }) { lines.append("invite_timeout = 20") }
        var ngLines = ng
        if let ngListen {
            ngLines += ["listen = \"\(ngListen)\"", "timeout = \(ngTimeout)", "delete_delay = \(ngDeleteDelay)"]
        }
        if !ngLines.isEmpty { lines += ["[ng]"] + ngLines }
        lines += further
        if !keepAlive.isEmpty { lines += ["[keepalive]"] + keepAlive }
        for user in users {
            lines += ["[[user]]", "name = \"\(user.name)\"", "password = \"\(user.password)\""]
            lines.append("numbers = [\(user.numbers.map { "\"\($0)\"" }.joined(separator: ", "))]")
        }
        for trunk in trunks {
            let place = trunk.transport.map { "\($0):" } ?? ""
            lines += ["[[trunk]]", "name = \"\(trunk.name)\"", "address = \"\(place)\(trunk.address)\""]
            if !trunk.prefixes.isEmpty {
                lines.append("prefixes = [\(trunk.prefixes.map { "\"\($0)\"" }.joined(separator: ", "))]")
            }
            lines += trunk.lines
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
