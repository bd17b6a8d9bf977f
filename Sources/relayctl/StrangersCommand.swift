import ArgumentParser
import ControlProtocol

struct StrangersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "strangers", abstract: "Who sends requests without being a trunk or a phone, the busiest first.",
        discussion: """
            Such requests are refused without a call or a record. `relayctl why ADDRESS` tells more of one source, and so does \
            `relayctl why CALL-ID` of one request.
            """)
    @OptionGroup var global: GlobalOptions

    @Option(help: "At most so many, 1 to 1000.")
    var limit = 20

    func validate() throws {
        guard (1...1_000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    func run() throws {
        var client = try global.connect()
        let report = try client.strangers(StrangerQuery(limit: limit))
        global.print(report) { report.text($0) }
    }
}
