import ArgumentParser
import ControlProtocol
import Core

struct RegistrationsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registrations", abstract: "Registered phones: where they are, and for how long.")
    @OptionGroup var global: GlobalOptions

    @Argument(help: "Part of a user, contact, source or User-Agent.")
    var filter: String?

    @Option(help: "At most so many, 1 to 10000.")
    var limit = 1_000

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit must be from 1 to 10000.") }
    }

    func run() throws {
        var client = try global.connect()
        let list = try client.registrations(RegistrationQuery(filter: filter, limit: limit))
        global.print(list) { list.text($0) }
    }
}

struct KeepAliveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keepalive", abstract: "Whether phones behind NAT are kept reachable, and the proof.")
    @OptionGroup var global: GlobalOptions

    @Argument(help: "A user, a number, or an id of `relayctl registrations`: the proof for that phone alone.")
    var binding: String?

    func run() throws {
        var client = try global.connect()
        if let binding {
            let details = try client.binding(binding)
            global.print(details) { BindingDetail.listText(details, $0) }
        } else {
            let report = try client.keepAlive()
            global.print(report) { report.text($0) }
        }
    }
}

struct SuspensionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspensions", abstract: "User names that are refused at an address after too many wrong passwords.",
        subcommands: [List.self, Lift.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Who is suspended, where, and until when.")
        @OptionGroup var global: GlobalOptions

        func run() throws {
            var client = try global.connect()
            let suspensions = try client.suspensions()
            global.print(suspensions) { SuspensionSummary.listText(suspensions, $0) }
        }
    }

    struct Lift: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "lift", abstract: "Ends the suspensions of a user now.")
        @OptionGroup var global: GlobalOptions

        @Argument(help: "As `relayctl suspensions` shows it.")
        var user: String

        @Option(help: "Only at this address.")
        var address: String?

        func validate() throws {
            if let address, IPAddress(address) == nil { throw ValidationError("--address \(address) is no IP address.") }
        }

        func run() throws {
            var client = try global.connect()
            let lifted = try client.lift(LiftQuery(user: user, address: address.flatMap { IPAddress($0) }))
            global.print(lifted) { SuspensionSummary.liftedText(lifted, $0) }
        }
    }
}
