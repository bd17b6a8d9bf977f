import ArgumentParser
import ControlProtocol
import Core

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Ten checks of a running relayd, with calls of its own through it.",
        discussion: """
            Looks at settings, calls and records, and places three calls to itself through relayd on this machine, for about \
            half a minute: a good one, one whose media die, and one on hold. They are in the records with the trunk \
            "doctor". Ends with 0, or with 3 when a step failed.
            """)
    @OptionGroup var global: GlobalOptions

    @Option(help: "Look for ghost calls in the records of so many hours.")
    var hours = 24

    func validate() throws {
        guard (1...8_760).contains(hours) else { throw ValidationError("--hours must be from 1 to 8760.") }
    }

    func run() throws {
        var client = try global.connect(timeLimitSeconds: 60)
        var examination = Examination(hours: hours, showsProgress: !global.json)
        let report = try examination.run(&client)
        global.print(report) { report.text($0) }
        if report.hasFailed { throw ExitCode(3) }
    }
}
