import ArgumentParser
import ControlProtocol
import Core
import Foundation

/// A stretch of time by when calls were released.
struct PeriodOptions: ParsableArguments {
    @Option(help: "Released since then: 30m, 2h, 7d, or a UTC time like 2026-01-31T08:00.")
    var since: String?

    @Option(help: "Released before then, in the same forms.")
    var until: String?

    func validate() throws {
        _ = try sinceTime()
        _ = try untilTime()
    }

    func sinceTime() throws -> WallTime? { try time(since, "--since") }
    func untilTime() throws -> WallTime? { try time(until, "--until") }

    private func time(_ text: String?, _ option: String) throws -> WallTime? {
        guard let text else { return nil }
        let now = WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
        guard let time = WallTime(typed: text, now: now) else {
            throw ValidationError("\(option) must be like 30m, 2h or 7d, or a UTC time like 2026-01-31T08:00.")
        }
        return time
    }
}

struct RecordsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "records", abstract: "Records of ended calls, the newest first.")
    @OptionGroup var global: GlobalOptions
    @OptionGroup var period: PeriodOptions

    @Option(help: "At most so many, 1 to 10000.")
    var limit = 50

    @Option(help: "A record id, a Call-ID or a number, in full.")
    var match: String?

    @Option(help: "Only calls of which either number contains this.")
    var number: String?

    @Option(
        help: "Only calls that ended for this reason, by its name or in VOS3000's words: no_media, NoAvailableRouter.",
        completion: .list(ReleaseCauses.names), transform: ReleaseCauses.argument)
    var cause: ReleaseCauses?

    @Option(help: "Only calls with this root cause, as `why` names it.")
    var verdict: VerdictArgument?

    @Option(help: "Only calls from or to this trunk.")
    var trunk: String?

    @Option(name: .customLong("min"), help: ArgumentHelp("Only calls that lasted at least so long.", valueName: "seconds"))
    var leastSeconds: Int?

    @Option(name: .customLong("max"), help: ArgumentHelp("Only calls that lasted at most so long.", valueName: "seconds"))
    var mostSeconds: Int?

    @Flag(help: "Print CSV with a header line, for a spreadsheet.")
    var csv = false

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit must be from 1 to 10000.") }
        guard [leastSeconds, mostSeconds].allSatisfy({ (0...1_000_000_000).contains($0 ?? 0) }) else {
            throw ValidationError("--min and --max are seconds, 0 or more.")
        }
        if csv, global.json { throw ValidationError("--csv or --json, not both.") }
    }

    func run() throws {
        var client = try global.connect()
        var query = RecordQuery(
            limit: limit, match: match, verdict: verdict?.verdict, trunk: trunk, number: number,
            since: try period.sinceTime(), until: try period.untilTime(), leastSeconds: leastSeconds, mostSeconds: mostSeconds)
        query.cause = cause
        let records = try client.records(query)
        if csv { return Console.write(CallRecord.csv(records)) }
        global.print(records) { CallRecord.listText(records, $0) }
    }
}

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "How calls went: ASR, ACD, minutes, dead air and release causes, by trunk, cause, verdict or time.")
    @OptionGroup var global: GlobalOptions
    @OptionGroup var period: PeriodOptions

    @Option(help: "What makes a line.")
    var by = GroupingArgument(grouping: .trunk)

    func run() throws {
        var client = try global.connect(timeLimitSeconds: 60)
        let rows = try client.report(
            ReportQuery(grouping: by.grouping, since: try period.sinceTime(), until: try period.untilTime()))
        global.print(rows) { ReportRow.listText(rows, by: by.grouping, $0) }
    }
}

/// What makes a line of a report, by name.
struct GroupingArgument: ExpressibleByArgument {
    static var allValueStrings: [String] { ReportQuery.Grouping.allCases.map(\.rawValue) }
    let grouping: ReportQuery.Grouping

    init(grouping: ReportQuery.Grouping) { self.grouping = grouping }

    init?(argument: String) {
        guard let grouping = ReportQuery.Grouping(rawValue: argument) else { return nil }
        self.grouping = grouping
    }

    var defaultValueDescription: String { grouping.rawValue }
}

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Looks for the traces of ghost calls in the records.",
        discussion: "Ends with 3 when it found any, 0 when not.")
    @OptionGroup var global: GlobalOptions
    @OptionGroup var period: PeriodOptions

    func run() throws {
        var client = try global.connect(timeLimitSeconds: 60)
        let report = try client.audit(AuditQuery(since: try period.sinceTime(), until: try period.untilTime()))
        global.print(report) { report.text($0) }
        if !report.findings.isEmpty { throw ExitCode(3) }
    }
}
