import ControlProtocol
import Core
import Glibc
import Harness
import Testing

@Suite("stopping", .inTurn, .serialized, .needs(.sipp))
struct StopTests {
    @Test("a stop signal ends calls with BYE on both legs, writes their records and exits 0", arguments: [
        SIGTERM, SIGINT,
    ])
    func stopSignal(signal: Int32) async throws {
        try await Testbed.with { bed in
            let count = 10
            let callee = try await bed.callee("callee-stays") { $0.calls = count }
            let caller = try await bed.caller("caller-stays") { $0.calls = count }
            try await eventually("\(count) calls are connected") {
                try bed.daemon.control.status().calls.connected == count
            }
            #expect(try await bed.daemon.stop(signal) == .exited(code: 0))
            try await caller.succeeds()
            try await callee.succeeds()
            for side in [caller, callee] {
                let byes = side.received("BYE")
                #expect(Set(byes.compactMap { $0.header("Call-ID") }).count == count)
                #expect(byes.allSatisfy { $0.q850Cause == 41 })
            }
            let again = try await Daemon.start(bed.daemon.settings, in: bed.daemon.directory)
            let records = try again.records()
            #expect(records.count == count)
            #expect(Set(records.map(\.callerCallID)).count == count)
            for record in records { record.expectOutcome(.shutdown, sip: 200, q850: 41, by: .relayd) }
            #expect(try await again.stop() == .exited(code: 0))
        }
    }

    @Test("a stop while a call is ringing refuses the caller and cancels the callee")
    func stopWhileRinging() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-rings")
            let caller = try await bed.caller("caller-is-refused")
            _ = try await caller.receives("180") { $0.status == 180 }
            #expect(try await bed.daemon.stop() == .exited(code: 0))
            try await caller.succeeds()
            _ = try await callee.receives("CANCEL") { $0.method == "CANCEL" }
            #expect(caller.messages.contains { $0.status == 503 })
        }
    }

    @Test("SIGKILL during 50 calls loses no finished record and doubles none")
    func killed() async throws {
        try await Testbed.with({ $0.mediaPorts = 10_000...13_999 }) { bed in
            let callee = try await bed.callee("callee-stays") { $0.calls = 1_000 }
            let caller = try await bed.caller("caller-hangs-up") {
                $0.calls = 1_000
                $0.pause = .seconds(2)
            }
            let before = try await eventually("50 present and 60 finished calls", within: .seconds(30)) {
                let status = try bed.daemon.control.status()
                return status.calls.current >= 45 && status.records.journaled >= 60 ? status : nil
            }
            bed.daemon.process.kill()
            caller.process.kill()
            callee.process.kill()

            let again = try await Daemon.start(bed.daemon.settings, in: bed.daemon.directory)
            let records = try await again.records(count: Int(before.records.journaled))
            #expect(Set(records.map(\.id)).count == records.count)
            #expect(Set(records.map(\.callerCallID)).count == records.count)
            #expect(records.allSatisfy { $0.cause == .normal && $0.endedBy == .caller })
            // And nothing is replayed twice.
            #expect(try await again.stop() == .exited(code: 0))
            let third = try await Daemon.start(bed.daemon.settings, in: bed.daemon.directory)
            #expect(try third.records().count == records.count)
            #expect(try await third.stop() == .exited(code: 0))
        }
    }
}
