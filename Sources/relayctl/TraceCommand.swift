import ArgumentParser
import ControlProtocol
import Core
import Foundation

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "SIP messages, whole, as they were on the wire; times in UTC.",
        discussion: """
            relayd records every message into a ring in memory, always, so they are there after the complaint. Without \
            --follow the last messages that match are shown; with it, what comes from now on. Filters can be combined.
            """)
    @OptionGroup var global: GlobalOptions

    @Flag(name: .shortAndLong, help: "Go on with what comes, until interrupted.")
    var follow = false

    @Option(help: "Only messages whose Request-URI, From or To has this number, in full.")
    var number: String?

    @Option(help: ArgumentHelp("Only this dialog. Can be given again.", valueName: "call-id"))
    var callID: [String] = []

    @Option(help: ArgumentHelp("Both legs of a present call, as `relayctl calls` names it.", valueName: "id"))
    var call: String?

    @Option(help: "Only messages from and to this address: 192.0.2.1 or 192.0.2.1:5060.")
    var address: String?

    @Option(help: "Only this method and responses to it: INVITE, OPTIONS.")
    var method: String?

    @Flag(help: "Only registrations: as --method REGISTER.")
    var registrations = false

    @Option(help: ArgumentHelp("The last so many; 50, with --follow 0.", valueName: "n"))
    var last: Int?

    @Option(help: "Since then: 30s, 5m, 2h, or a UTC time like 2026-01-31T08:00.")
    var since: String?

    @Flag(help: "Asterisks for digest responses, nonces and keys in SDP, so that the output can be passed on.")
    var mask = false

    @Flag(help: "A line a message.")
    var brief = false

    @Option(help: ArgumentHelp("With --follow: end after so many.", valueName: "n"))
    var count: Int?

    func validate() throws {
        if registrations, let method, method.uppercased() != "REGISTER" {
            throw ValidationError("--registrations and --method \(method) exclude each other.")
        }
        if let last, last < 0 { throw ValidationError("--last must not be negative.") }
        if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
        if count != nil, !follow { throw ValidationError("--count goes with --follow; the last messages are --last.") }
        _ = try sinceTime()
    }

    func run() throws {
        var client = try global.connect()
        var query = TraceQuery()
        query.callIDs = callID.isEmpty ? nil : callID
        if let call {
            let detail = try client.call(id: call)
            query.callIDs = callID + [detail.caller.callID] + (detail.callee.map { [$0.callID] } ?? [])
        }
        query.number = number
        query.address = address
        query.method = registrations ? "REGISTER" : method
        query.since = try sinceTime()
        query.mask = mask ? true : nil
        // With a time the time is the limit, unless both are given.
        let wanted = last ?? (since != nil ? .max : follow ? 0 : 50)
        let (messages, newer) = try client.lookBack(query, last: wanted)
        messages.forEach(show)
        if !global.json { try explainStrangers(in: messages, &client) }
        if follow { try follow(query, from: newer, &client) }
    }

    /// Whoever wonders why a carrier's calls are refused may look here first.
    private func explainStrangers(in messages: [TracedSIPMessage], _ client: inout ControlClient) throws(ControlClientError) {
        let peers = Set(messages.filter { $0.direction == .received }.map(\.peer))
        guard !peers.isEmpty else { return }
        for stranger in try client.strangers(StrangerQuery(limit: 1_000)).shown where peers.contains(stranger.lastAddress) {
            FileHandle.standardError.write(
                Data("relayctl: a request from \(stranger.lastAddress) which is no trunk: \(stranger.hint).\n".utf8))
        }
    }

    private func follow(_ query: TraceQuery, from start: UInt64, _ client: inout ControlClient) throws {
        var query = query
        query.from = start
        var shown = 0
        while true {
            let page = try client.trace(query)
            if page.missed > 0 {
                FileHandle.standardError.write(
                    Data("relayctl: \(page.missed) messages came too fast and are gone; a filter, or more trace.memory_mib, helps.\n".utf8))
            }
            for message in page.messages {
                show(message)
                shown += 1
                if shown == count { return }
            }
            query.from = page.newer
            // The daemon pushes no messages: it would have to wait for whoever reads slowly. So it is asked ten times a second.
            if !page.hasNewer { Thread.sleep(forTimeInterval: 0.1) }
        }
    }

    private func show(_ message: TracedSIPMessage) {
        let style = Console.style
        Console.write(global.json ? JSONText.line(message) : brief ? message.briefText(style) : message.text(style))
    }

    private func sinceTime() throws -> WallTime? { try since.map(typedTime) }
}

/// The value of a `--since`.
func typedTime(_ text: String) throws -> WallTime {
    let now = WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
    guard let time = WallTime(typed: text, now: now) else {
        throw ValidationError("--since must be like 30m, 2h or 7d, or a UTC time like 2026-01-31T08:00.")
    }
    return time
}
