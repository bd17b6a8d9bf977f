import ArgumentParser
import ControlProtocol
import Core
import Foundation

struct RelayControl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relayctl",
        abstract: "Looks into a running relayd and steers it.",
        discussion: """
            Ends with 0; 1 when relayd refused; 2 when the command line is wrong; 69 when relayd cannot be reached; \
            70 when it does not answer as it should.
            """,
        subcommands: [
            StatusCommand.self, MetricsCommand.self, CallsCommand.self, TopCommand.self, CallCommand.self, HangupCommand.self,
            CaptureCommand.self, TrunksCommand.self, ProbeCommand.self, ReloadCommand.self, StrangersCommand.self, RegistrationsCommand.self, KeepAliveCommand.self,
            SuspensionsCommand.self,
            RecordsCommand.self, ReportCommand.self,
            AuditCommand.self, DoctorCommand.self, EventsCommand.self, WhyCommand.self, TraceCommand.self,
            ConfigCommand.self,
        ])
}

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Control socket of relayd; else RELAYD_SOCKET, else where it usually is.", valueName: "path"))
    var socket: String?

    @Flag(help: "Print JSON for programs.")
    var json = false

    /// - Parameter timeLimitSeconds: how long relayd may take to answer.
    func connect(timeLimitSeconds: Int = 5) throws(ControlClientError) -> ControlClient {
        let environment = ProcessInfo.processInfo.environment
        let named = socket ?? environment["RELAYD_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        return try ControlClient(
            path: named ?? defaultControlSocketPath(environment: environment), timeLimitSeconds: timeLimitSeconds)
    }

    /// Prints `value` as JSON where that is wanted, else the text.
    func print(_ value: some Encodable, text: (TextStyle) -> String) {
        Console.write(json ? JSONText.document(value) : text(Console.style))
    }
}

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "State of the daemon.")
    @OptionGroup var global: GlobalOptions

    func run() throws {
        var client = try global.connect()
        let report = try client.status()
        global.print(report) { report.text($0) }
    }
}

struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Every metric in Prometheus' text format, as the HTTP endpoint serves it.")
    @OptionGroup var global: GlobalOptions

    func run() throws {
        var client = try global.connect()
        let snapshot = try client.metrics()
        global.print(snapshot) { _ in snapshot.prometheusText }
    }
}

struct CallsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calls", abstract: "Present calls, with the state of their media in each direction.")
    @OptionGroup var global: GlobalOptions

    @Option(help: "What comes first: the longest duration, the longest silence, or in order of the column.")
    var sort = CallOrder.duration

    @Option(help: "Only calls of which a number, trunk or the id contains this.")
    var match: String?

    @Option(help: "At most so many.")
    var limit: Int?

    func run() throws {
        var client = try global.connect()
        let calls = try client.calls(CallsQuery(order: sort, match: match, limit: limit))
        global.print(calls) { CallSummary.listText(calls, $0) }
    }
}

struct CallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "One call: addresses, media and the messages of both legs.")
    @OptionGroup var global: GlobalOptions

    @Argument(help: "As `relayctl calls` shows it.")
    var id: String

    func run() throws {
        var client = try global.connect()
        let detail = try client.call(id: id)
        global.print(detail) { detail.text($0) }
    }
}

struct HangupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hangup", abstract: "Ends a call on both sides.")
    @OptionGroup var global: GlobalOptions

    @Argument(help: "As `relayctl calls` shows it.")
    var id: String

    func run() throws {
        var client = try global.connect()
        try client.hangup(id: id)
        global.print(Acknowledgement()) { _ in "Call \(id) is being ended.\n" }
    }
}

struct TrunksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trunks", abstract: "Each trunk: whether it is up, its calls and limits, ASR, ACD, its last failure.")
    @OptionGroup var global: GlobalOptions

    func run() throws {
        var client = try global.connect()
        let trunks = try client.trunks()
        global.print(trunks) { TrunkReport.listText(trunks, $0) }
    }
}

struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "Sends OPTIONS to a trunk now, or places a silent test call, and says what came back, and when.")
    @OptionGroup var global: GlobalOptions

    @Argument(help: "As `relayctl trunks` shows it.")
    var trunk: String

    @Option(name: .customLong("call"), help: ArgumentHelp("Place a silent test call to this number: it may cost money.", valueName: "number"))
    var number: String?

    @Option(help: ArgumentHelp("With --call: who calls.", valueName: "number"))
    var caller: String?

    @Option(help: ArgumentHelp("With --call: how long to listen once it is answered, 1 to 60 (default: 3).", valueName: "n"))
    var seconds: Int?

    func validate() throws {
        if number == nil, caller != nil || seconds != nil { throw ValidationError("--caller and --seconds go with --call.") }
        if let seconds, !(1...60).contains(seconds) { throw ValidationError("--seconds must be 1 to 60.") }
    }

    func run() throws {
        // A transaction is given up after 32 s (RFC 3261 §17.1.2); a call rings for 45 s at most.
        var client = try global.connect(timeLimitSeconds: number == nil ? 40 : 190)
        let report = try client.probe(ProbeQuery(trunk: trunk, number: number, caller: caller, seconds: seconds ?? 3))
        global.print(report) { report.text($0) }
    }
}

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Shows what happens as it happens, one event a line, times in UTC.")
    @OptionGroup var global: GlobalOptions

    @Option(help: ArgumentHelp("End after so many.", valueName: "n"))
    var count: Int?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
    }

    func run() throws {
        var client = try global.connect()
        try client.subscribe()
        var seen = 0
        while seen < count ?? .max {
            guard let event = try client.nextEvent() else { throw ControlClientError.closed }
            Console.write(global.json ? JSONText.line(event) : event.text(Console.style))
            seen += 1
        }
    }
}

struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Reads the configuration again and takes over what can be, without touching a call.",
        discussion: "With anything wrong in the file nothing changes, and what is wrong is said with file and line.")
    @OptionGroup var global: GlobalOptions

    func run() throws {
        var client = try global.connect()
        let report = try client.reload()
        global.print(report) { report.text($0) }
    }
}

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The configuration in force.", subcommands: [Show.self],
        defaultSubcommand: Show.self)

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Every key with its value and where that comes from.")
        @OptionGroup var global: GlobalOptions

        func run() throws {
            var client = try global.connect()
            let rows = try client.configuration()
            global.print(rows) { ConfigurationRow.listText(rows, $0) }
        }
    }
}

extension CallOrder: ExpressibleByArgument {}

struct VerdictArgument: ExpressibleByArgument {
    static var allValueStrings: [String] { CallVerdict.allCases.map(\.rawValue) }
    let verdict: CallVerdict

    init?(argument: String) {
        guard let verdict = CallVerdict(rawValue: argument) else { return nil }
        self.verdict = verdict
    }
}

extension ReleaseCauses {
    /// - Throws: what was probably meant.
    static func argument(_ text: String) throws -> ReleaseCauses {
        guard let causes = ReleaseCauses(text) else { throw ValidationError("\"\(text)\" is no release cause: \(hint(for: text))") }
        return causes
    }
}
