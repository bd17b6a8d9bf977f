import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("relayctl", .inTurn, .serialized)
struct RelayctlTests {
    @Test("without a daemon it ends with 69 and one sentence that names the socket")
    func noDaemon() async throws {
        let directory = try TemporaryDirectory("ctl")
        defer { directory.remove() }
        let path = directory.file("none.sock")
        let result = try await run(Daemon.commandLineTool, ["status", "--socket", path])
        #expect(result.code == 69)
        #expect(result.output.isEmpty)
        #expect(result.errors.split(separator: "\n").count == 1)
        #expect(result.errors.contains(path))
    }

    @Test("a live call in every command, as a table and as JSON, up to an operator's hangup", .needs(.sipp))
    func everyCommand() async throws {
        try await Testbed.with { bed in
            let events = try await EventSubscription.start(on: bed.daemon.control)
            defer { events.close() }
            let requests = try bed.daemon.control.counter(.controlRequests)
            let follower = try ChildProcess(
                Daemon.commandLineTool, ["events", "--json", "--count", "2", "--socket", bed.daemon.control.socketPath],
                outputPath: bed.daemon.directory.file("events"))
            // Every look at the counter is a request too; the one that was not ours is the subscription.
            var looks: UInt64 = 0
            try await eventually("relayctl events has subscribed") {
                looks += 1
                return try bed.daemon.control.counter(.controlRequests) > requests + looks
            }

            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let summary = try #require(try await json(bed, ["calls"], as: [CallSummary].self).first)
            #expect(summary.state == .connected)
            #expect(summary.callerNumber == "4420987654")
            #expect(summary.calledNumber == "4930123456")
            #expect(summary.monitored)
            #expect(summary.noMediaTimeoutSeconds == 60)
            let calls = try await table(bed, ["calls"])
            #expect(calls.contains(summary.id) && calls.contains("4930123456"))

            let detail = try await json(bed, ["call", summary.id], as: CallDetail.self)
            #expect(detail.caller.callID == call.caller.callID)
            #expect(detail.callee?.callID == call.callee.callID)
            #expect(detail.caller.relayAddress == call.relayTowardsCaller)
            #expect(detail.caller.lockedSource == call.callerMedia.address)
            #expect(detail.callee?.lockedSource == call.calleeMedia.address)
            #expect(detail.ladder.filter { $0.leg == .callee && !$0.retransmission }.map(\.text).prefix(2) == ["INVITE", "180 Ringing"])
            #expect(try await table(bed, ["call", summary.id]).contains("180 Ringing"))

            let status = try await json(bed, ["status"], as: StatusReport.self)
            #expect(status.calls.connected == 1)
            #expect(status.media.portsInUse == 4)
            #expect(status.sipAddress == bed.daemon.sipAddress)
            #expect(status.pid == bed.daemon.process.processID)
            #expect(try await table(bed, ["status"]).contains("\(bed.daemon.sipAddress)"))

            let rows = try await json(bed, ["config", "show"], as: [ConfigurationRow].self)
            let timeout = try #require(rows.first { $0.key == "media.no_media_timeout" })
            #expect(timeout.vosName == "SS_NOMEDIAHANGUPTIME")
            #expect(timeout.origin.contains("relayd.toml"))
            #expect(try await table(bed, ["config", "show"]).contains("SS_NOMEDIAHANGUPTIME"))

            let unknown = try await bed.daemon.relayctl(["hangup", "nosuchcall"])
            #expect(unknown.code == 1)
            #expect(unknown.errors.contains("nosuchcall"))
            let hangup = try await bed.daemon.relayctl(["hangup", summary.id])
            #expect(hangup.code == 0, "\(hangup.errors)")
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
            #expect(call.caller.received("BYE").first?.q850Cause == 31)

            _ = try await bed.daemon.records(count: 1)
            let record = try #require(try await json(bed, ["records"], as: [CallRecord].self).first)
            record.expectConsistent(with: bed, callerCallID: call.caller.callID, calleeCallID: call.callee.callID)
            record.expectOutcome(.operatorHangup, sip: 200, q850: 31, by: .operator)
            #expect(try await table(bed, ["records"]).contains("operator_hangup"))
            #expect(try await json(bed, ["records", "--cause", "no_media"], as: [CallRecord].self).isEmpty)
            #expect(try await json(bed, ["records", "--cause", "Operator_Hangup"], as: [CallRecord].self).count == 1)
            #expect(try await json(bed, ["records", "--cause", "NoAvailableRouter"], as: [CallRecord].self).isEmpty)
            let mistyped = try await bed.daemon.relayctl(["records", "--cause", "AllGatwayBusy"])
            #expect(mistyped.code != 0 && mistyped.errors.contains("\"AllGatwayBusy\" is no release cause: did you mean \"AllGatewayBusy\"?"))

            try await eventually("the events of a whole call") {
                let names = events.events.map(\.name)
                return [.callSetup, .callRinging, .callAnswered, .mediaLocked, .callReleased].allSatisfy(names.contains)
            }
            #expect(try await follower.exit(within: .seconds(30)) == .exited(code: 0))
            let lines = follower.output.split(separator: "\n")
            #expect(lines.count == 2)
            let first = try JSONDecoder().decode(Event.self, from: Data(try #require(lines.first).utf8))
            #expect(first.name == .callSetup)
        }
    }

    private func table(_ bed: Testbed, _ arguments: [String]) async throws -> String {
        let result = try await bed.daemon.relayctl(arguments)
        #expect(result.code == 0, "\(arguments): \(result.errors)")
        return result.output
    }

    private func json<Value: Decodable>(_ bed: Testbed, _ arguments: [String], as type: Value.Type) async throws -> Value {
        let result = try await bed.daemon.relayctl(arguments + ["--json"])
        #expect(result.code == 0, "\(arguments): \(result.errors)")
        return try JSONDecoder().decode(type, from: Data(result.output.utf8))
    }
}
