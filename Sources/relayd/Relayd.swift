import ArgumentParser
import Configuration
import Control
import ControlProtocol
import Core
import Foundation
import Glibc
import Uring
import Web

/// relayd: media relay and SIP edge.
@main
struct Relayd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relayd", abstract: "Media relay and SIP edge.",
        discussion: "Without --config every key has its default; `relayd reference` prints them all.",
        version: relaydVersion, subcommands: [Run.self, Check.self, Reference.self], defaultSubcommand: Run.self)
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run in the foreground until SIGTERM or SIGINT. SIGHUP reads the configuration again.")

    @Option(name: .long, help: ArgumentHelp("The configuration, in TOML.", valueName: "file"))
    var config: String?

    func run() throws {
        SystemLimits.returnLargeMemory()
        let configuration = try config.map(loadOrExit) ?? Configuration()
        umask(0o027)  // records hold numbers: not for everybody
        signal(SIGPIPE, SIG_IGN)  // whoever reads our output may go
        // Before any other thread starts, for the same to be true of all of them.
        Uring.Thread.keepOff(cpus: ControlLoop.workerProcessors(configuration))
        let log = EventLog(level: configuration.log.level)
        defer { log.flush() }
        do {
            // Before any other thread starts, so that all of them leave these signals to the control thread.
            let signals: SignalDescriptor
            do throws(Errno) {
                signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP])
            } catch { throw StartError.failed(step: "signalfd", error) }
            var loop = try ControlLoop(
                configuration: configuration, file: config, warnings: configuration.warnings(), signals: signals, log: log)
            let servesHTTP = try serveHTTP(configuration, &loop)
            print(banner(configuration, servesHTTP: servesHTTP))
            fflush(nil)
            SystemLimits.returnFreeMemory()
            try loop.run()
        } catch {
            printError("relayd: \(error)")
            throw ExitCode(EX_OSERR)
        }
    }

    /// Metrics and pages are no reason not to carry calls: where they were not asked for, another program on the default
    /// port is only a warning.
    private func serveHTTP(_ configuration: Configuration, _ loop: inout ControlLoop) throws -> Bool {
        guard let address = configuration.http.listen else { return false }
        do {
            try WebServer.start(on: address, WebSite(door: loop.door, allowsHangup: configuration.http.allowHangup))
        } catch {
            guard configuration.origins["http.listen"] == nil else { throw error }
            loop.warn("\(error) Metrics and pages are not served.")
            return false
        }
        return true
    }

    private func banner(_ configuration: Configuration, servesHTTP: Bool) -> String {
        let http = configuration.http.listen.flatMap { servesHTTP ? "http://\($0)/, metrics at /metrics" : nil } ?? "not served"
        let ports = configuration.media.ports
        let workers = configuration.media.workers
        let listeners = configuration.sip.allListeners
            .map { "\($0.address) \($0.transport.viaToken)" }.joined(separator: ", ")
        let socket = configuration.control.socket
        let isDefault = socket == Configuration().control.socket
        let directory = CommandLine.arguments[0].lastIndex(of: "/").map { CommandLine.arguments[0][...$0] } ?? ""
        return """
            relayd \(relaydVersion)
              SIP      \(listeners)
              media    \(configuration.mediaAddress) ports \(ports.lowerBound)-\(ports.upperBound), \
            \(workers) worker\(workers == 1 ? "" : "s")
              trunks   \(configuration.trunks.isEmpty ? "none" : configuration.trunks.map(\.name).joined(separator: ", "))
              control  \(socket)
              records  \(configuration.records.directory)
              http     \(http)
            Try next, in another terminal: \(directory)relayctl \(isDefault ? "" : "--socket \(socket) ")status
            """
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a configuration and say what is wrong with it.",
        discussion: "Exits with 78 (EX_CONFIG) when relayd would not start with it.")

    @Argument(help: ArgumentHelp("The configuration, in TOML.", valueName: "file"))
    var file: String

    func run() throws {
        let configuration = try loadOrExit(file)
        for warning in configuration.warnings() { printError("\(file): warning: \(warning)") }
        print("\(file): good")
    }
}

struct Reference: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print every key with its default and meaning, as TOML.")

    @Flag(help: "The same as the page docs/configuration.md.")
    var markdown = false

    @Flag(help: "The page docs/metrics.md instead: every metric with its meaning.")
    var metrics = false

    @Flag(help: "The page docs/release-causes.md instead: why calls end, with SIP, Q.850 and VOS3000's words.")
    var causes = false
    @Flag(help: "The page docs/vos3000.md instead: the names of VOS3000 beside ours.")
    var vos = false

    func run() {
        let text =
            causes
            ? ReleaseCause.referenceMarkdown()
            : metrics
            ? MetricFamily.referenceMarkdown()
            : vos ? Configuration.vosMarkdown() : markdown ? Configuration.referenceMarkdown() : Configuration.referenceTOML()
        print(text, terminator: "")
    }
}

/// Reads a configuration; with anything wrong in it, prints that and ends with `EX_CONFIG`.
private func loadOrExit(_ path: String) throws -> Configuration {
    do throws(ConfigurationError) {
        return try Configuration.load(path: path)
    } catch {
        printError("\(error)")
        throw ExitCode(ConfigurationError.exitCode)
    }
}

private func printError(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8)) }
