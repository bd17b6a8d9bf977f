package import ControlProtocol
package import Core
import Foundation
import Glibc

/// The real relayd, with a directory, a control socket and records of its own.
package final class Daemon: Sendable {
    package struct Trouble: Error, CustomStringConvertible {
        package let description: String
    }

    package let settings: DaemonSettings
    package let directory: TemporaryDirectory
    package let process: ChildProcess
    package let control: DaemonControl

    package static var executable: String { product("relayd") }
    package static var commandLineTool: String { product("relayctl") }

    /// Starts it and waits until its control socket answers.
    ///
    /// - Parameter directory: one that an earlier daemon used, to start again on its records.
    package static func start(_ settings: DaemonSettings, in directory: TemporaryDirectory? = nil) async throws -> Daemon {
        let daemon = try Daemon(settings, in: directory ?? TemporaryDirectory("d"))
        try await eventually("relayd answers on its control socket\n\(daemon.log)", within: .seconds(30)) {
            if let exit = daemon.process.exit {
                throw Trouble(description: "relayd ended at its start (\(exit)):\n\(daemon.log)")
            }
            return (try? daemon.control.status()) != nil
        }
        return daemon
    }

    private init(_ settings: DaemonSettings, in directory: TemporaryDirectory) throws {
        self.settings = settings
        self.directory = directory
        control = DaemonControl(socketPath: directory.file("relayd.sock"))
        let text = settings.toml(socket: control.socketPath, records: directory.file("records"))
        let configuration = directory.file("relayd.toml")
        try Data(text.utf8).write(to: URL(fileURLWithPath: configuration))
        let command = (settings.launcher?(directory) ?? []) + [Self.executable, "--config", configuration]
        process = try ChildProcess(command[0], Array(command.dropFirst()), outputPath: directory.file("relayd.log"))
    }

    /// Waits until its log has `text`: a line may come a moment after what it tells of.
    package func logs(_ text: String) async throws {
        try await eventually("relayd logs \"\(text)\"") { log.contains(text) }
    }

    /// Everything it logged so far.
    package var log: String { process.output }

    package var sipAddress: SocketAddress { settings.listen }

    /// Asks it to stop and waits for it.
    package func stop(_ signal: Int32 = SIGTERM, within limit: Duration = .seconds(30)) async throws -> ChildProcess.Exit {
        process.signal(signal)
        return try await process.exit(within: limit)
    }

    /// Runs relayctl against this daemon and waits for it.
    package func relayctl(_ arguments: [String]) async throws -> CommandResult {
        try await run(Self.commandLineTool, arguments + ["--socket", control.socketPath])
    }

    /// What `relayctl why` says of a call, by any of its names.
    package func why(_ name: String) async throws -> CallExplanation {
        let result = try await relayctl(["why", name, "--json"])
        guard result.code == 0 else { throw Trouble(description: "relayctl why \(name): \(result.errors)") }
        return try JSONDecoder().decode(CallExplanation.self, from: Data(result.output.utf8))
    }

    /// Waits until the only call has lasted for three seconds, from when on its media mean something (as relayd itself counts), and
    /// `isEnough` says of it that it was heard. A time of the test's own would be a race with peers that stand still.
    package func talks(until isEnough: (CallSummary) -> Bool = { _ in true }) async throws {
        try await eventually("the call lasts for three seconds, with media", within: .seconds(40)) {
            try control.calls().contains { $0.durationSeconds >= 3 && isEnough($0) }
        }
    }

    /// The newest record first.
    package func records() throws -> [CallRecord] { try control.records(RecordQuery(limit: 1_000)) }

    /// Waits for `count` records; they are stored a moment after the release.
    package func records(count: Int, within limit: Duration = .seconds(30)) async throws -> [CallRecord] {
        try await eventually("\(count) call records", within: limit) {
            let records = try self.records()
            return records.count >= count ? records : nil
        }
    }

    /// A program of this package, built beside the running one.
    package static func product(_ name: String) -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
    }
}

/// What a finished command left.
package struct CommandResult: Sendable {
    package let code: Int32
    package let output: String
    package let errors: String
}

/// Runs a program to its end. A signal counts as 128 and its number, as in a shell.
package func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], within limit: Duration = .seconds(60)
) async throws -> CommandResult {
    let directory = try TemporaryDirectory("run")
    defer { directory.remove() }
    let process = try ChildProcess(
        executable, arguments, environment: environment, outputPath: directory.file("out"),
        errorPath: directory.file("err"))
    defer { process.kill() }
    let code: Int32 =
        switch try await process.exit(within: limit) {
        case .exited(let code): code
        case .signalled(let number): 128 + number
        }
    return CommandResult(code: code, output: process.output, errors: textOfFile(directory.file("err")))
}
