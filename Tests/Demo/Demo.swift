import ControlProtocol
import Core
import Foundation
import Harness

/// Three calls through the real relayd, with SIPp as caller and callee: what `make demo` shows.
@main
struct Demo {
    private static let style = TextStyle(width: 100, isUnicode: true)
    private static let rule = String(repeating: "━", count: 98)

    private let daemon: Daemon
    private let customer: SocketAddress
    private let carriers: (patient: SocketAddress, strict: SocketAddress)

    static func main() async {
        do {
            guard Prerequisite.sipp.isMet else { throw SocketError(description: Prerequisite.sipp.explanation) }
            let isWell = try await run()
            exit(isWell ? 0 : 1)
        } catch {
            say("\nThe demo could not be finished: \(error)")
            exit(1)
        }
    }

    private static func run() async throws -> Bool {
        let demo = try await Demo()
        defer {
            demo.daemon.process.kill()
            demo.daemon.directory.remove()
        }
        demo.introduce()
        var results: [DemoResult] = []
        for (index, call) in DemoCall.all.enumerated() {
            say("\n\(rule)\n \(index + 1)  \(call.title)\n\(rule)")
            for line in call.story { say(" \(line)") }
            let result = try await demo.play(call)
            demo.show(result)
            results.append(result)
        }
        demo.showRecords(results)
        let exit = try await demo.daemon.stop(within: .seconds(5))
        return conclude(results, exit: exit)
    }

    private init() async throws {
        let host = IPAddress.ipv4Loopback
        func free() throws -> SocketAddress { SocketAddress(ip: host, port: try Loopback.freePort(on: host)) }
        customer = try free()
        carriers = (try free(), try free())
        var settings = DaemonSettings(listen: try free(), mediaPorts: try Loopback.freeRange(of: 200, on: host))
        settings.noMediaTimeout = DemoCall.noMediaTimeoutSeconds
        settings.logLevel = "notice"
        settings.trunks = [
            .init("customer", customer),
            .init("patient-carrier", carriers.patient, prefixes: ["49"], lines: ["no_media_mode = \"both\""]),
            .init("strict-carrier", carriers.strict, prefixes: ["33"], lines: ["no_media_mode = \"any\""]),
        ]
        daemon = try await Daemon.start(settings)
    }

    private func introduce() {
        let ports = daemon.settings.mediaPorts
        say("""

             relayd runs, process \(daemon.process.processID): SIP on \(daemon.sipAddress), relay ports \
            \(ports.lowerBound)-\(ports.upperBound).
             Caller and callee are SIPp, each with G.711 at 50 packets a second. Nothing here is simulated.
            """)
    }

    private func play(_ call: DemoCall) async throws -> DemoResult {
        let carrier = call.calledNumber.hasPrefix("49") ? carriers.patient : carriers.strict
        let sentBefore = try daemon.control.counter(.rtpPacketsSent)
        var plan = SIPp.Plan(call.calleeScenario, at: carrier)
        plan.pause = call.talk
        plan.limit = .seconds(20)
        let callee = try await SIPp.start(plan)
        plan = SIPp.Plan(call.callerScenario, at: customer, calling: daemon.sipAddress)
        plan.pause = call.talk
        plan.limit = .seconds(20)
        plan.calledNumber = call.calledNumber
        let caller = try await SIPp.start(plan)
        var failures: [String] = []
        for peer in [caller, callee] {
            do { try await peer.succeeds() } catch { failures.append("\(error)") }
        }
        let callID = caller.messages.first?.header("Call-ID")
        let record = try? await eventually("the call's record", within: .seconds(5)) {
            try daemon.records().first { $0.callerCallID == callID }
        }
        let relayed = try daemon.control.counter(.rtpPacketsSent) - sentBefore
        return DemoResult(
            call: call, caller: caller, callee: callee, record: record, relayed: relayed, failures: failures)
    }

    private func show(_ result: DemoResult) {
        var ladder = Ladder(caller: result.caller, callee: result.callee)
        if let record = result.record {
            for (direction, isCaller) in [(record.fromCaller, true), (record.fromCallee, false)] {
                guard let last = direction.lastMediaAt else { continue }
                ladder.addMedia(
                    "RTP, \(direction.packets) packets until here", fromCaller: isCaller,
                    lastAt: (last.milliseconds - record.setupAt.milliseconds) * 1_000)
            }
        }
        say("")
        let lines = ladder.lines(
            caller: customer, relayd: daemon.sipAddress, callee: result.callee.plan.address)
        for line in lines { say(line) }
        say("")
        if let record = result.record {
            let received = record.fromCaller.packets + record.fromCallee.packets
            say(" RTP       \(record.fromCaller.packets) packets came from the caller, \(record.fromCallee.packets) from the "
                + "callee; \(result.relayed) were relayed, \(record.fromCaller.lost + record.fromCallee.lost) are missing")
            let early = received - min(received, result.relayed)
            if early > 0 {
                say("           (\(early) came before the other side had sent: to nobody is sent who has not been heard)")
            }
            say(" ended by  \(record.endedBy.rawValue), \(Self.ending(record))")
        }
        for fault in result.faults { say(" WRONG     \(fault)") }
        if result.faults.isEmpty { say(" verdict   ok") }
    }

    private static func ending(_ record: CallRecord) -> String {
        guard record.cause == .noMedia else { return "\(record.cause.sentence) (\(record.cause.rawValue))" }
        func silence(_ direction: CallRecord.Direction) -> String {
            guard direction.lastMediaAt != nil else { return "never heard" }
            let tenths = (record.silence(of: direction) + 50) / 100
            return "last heard \(tenths / 10).\(tenths % 10) s before"
        }
        return "\(record.cause.sentence) (\(record.cause.rawValue)): "
            + "caller \(silence(record.fromCaller)), callee \(silence(record.fromCallee))"
    }

    private func showRecords(_ results: [DemoResult]) {
        say("\n\(Self.rule)\n    the call records, as `relayctl records` has them\n\(Self.rule)")
        let records = results.compactMap(\.record)
        say(CallRecord.listText(records, Self.style))
        for record in records { say(record.text(Self.style)) }
    }

    private static func conclude(_ results: [DemoResult], exit: ChildProcess.Exit) -> Bool {
        say(rule)
        var isWell = true
        for (index, result) in results.enumerated() {
            let verdict = result.faults.isEmpty ? "ok" : "NOT AS IT SHOULD BE"
            say(" \(index + 1)  \(result.call.title): \(verdict)")
            isWell = isWell && result.faults.isEmpty
        }
        if exit != .exited(code: 0) {
            say(" relayd did not stop as it should: \(exit)")
            isWell = false
        }
        say(isWell
            ? " All three calls were as they should be. relayd has stopped; nothing is left running."
            : " Something was not as it should be; see above.")
        return isWell
    }
}

/// Prints at once, also into a pipe.
private func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
