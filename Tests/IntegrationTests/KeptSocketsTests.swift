import ControlProtocol
import Core
import Harness
import Testing

@Suite("sockets between calls", .inTurn, .serialized, .needs(.sipp))
struct KeptSocketsTests {
    /// So long nothing may have come to sockets that another call is to get, the worker's next look included.
    private static let quietTime = Duration.milliseconds(3_500)

    private static func call(_ bed: Testbed) async throws -> ConnectedCall {
        try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
    }

    private static func end(_ call: ConnectedCall, _ bed: Testbed) async throws {
        try call.hangUp()
        try await call.caller.succeeds()
        try await call.callee.succeeds()
        try await eventually("its sockets are kept") { try bed.daemon.control.status().media.sessionsKept == 1 }
    }

    @Test("the next call has the sockets of the one before, media right in both, and hears nothing of a peer that goes on sending")
    func twoCalls() async throws {
        try await Testbed.with({
            // Few enough for one to be drawn of one.
            $0.calls = 8
            $0.mediaLines = ["quarantine = 0"]
        }) { bed in
            let first = try await Self.call(bed)
            let firstMedia = try await first.exchange(packets: 25)
            #expect(firstMedia.heardByCallee == firstMedia.sentByCaller && firstMedia.heardByCaller == firstMedia.sentByCallee)
            try await Self.end(first, bed)
            let ended = ContinuousClock.now
            try await eventually("nothing has come for some seconds") { ContinuousClock.now - ended > Self.quietTime }

            let second = try await Self.call(bed)
            #expect(second.relayTowardsCaller == first.relayTowardsCaller)
            #expect(second.relayTowardsCallee == first.relayTowardsCallee)
            let status = try await bed.daemon.relayctl(["status"])
            #expect(status.output.contains("sockets of 0 ended sessions kept; 1 sessions began with such"), "\(status.output)")
            // The phones of the first call send to the same ports as those of the second.
            first.callerMedia.start(to: first.relayTowardsCaller)
            first.calleeMedia.start(to: first.relayTowardsCallee)
            let lateAfter = (first.callerMedia.sentCount, first.calleeMedia.sentCount)
            let heardBefore = (first.callerMedia.heard.numbers.count, first.calleeMedia.heard.numbers.count)
            let secondMedia = try await second.exchange(packets: 50)
            #expect(secondMedia.heardByCallee == secondMedia.sentByCaller && secondMedia.heardByCaller == secondMedia.sentByCallee)
            #expect(second.callerMedia.heard.foreign == 0 && second.calleeMedia.heard.foreign == 0)
            #expect(second.callerMedia.heard.altered == 0 && second.calleeMedia.heard.altered == 0)
            #expect(second.callerMedia.heard.sources == [second.relayTowardsCaller])
            #expect(first.callerMedia.sentCount > lateAfter.0 && first.calleeMedia.sentCount > lateAfter.1)
            try await Self.end(second, bed)
            let records = try await bed.daemon.records(count: 2)
            let record = try #require(records.first { $0.callerCallID == second.caller.callID })
            #expect(record.fromCaller.packets == UInt64(second.callerMedia.sentCount))
            #expect(record.fromCallee.packets == UInt64(second.calleeMedia.sentCount))

            // The late phones are read, counted and thrown away, and their ports are nobody's as long as they send.
            let dropped = try bed.daemon.control.counter(.droppedNoSession)
            try await eventually("what they send is counted", within: .seconds(10)) {
                try bed.daemon.control.counter(.droppedNoSession) >= dropped + 50
            }
            let third = try await Self.call(bed)
            #expect(third.relayTowardsCaller.port != first.relayTowardsCaller.port)
            #expect(third.relayTowardsCallee.port != first.relayTowardsCallee.port)
            let thirdMedia = try await third.exchange(packets: 25)
            #expect(thirdMedia.heardByCallee == thirdMedia.sentByCaller && thirdMedia.heardByCaller == thirdMedia.sentByCallee)
            #expect(third.callerMedia.heard.foreign == 0 && third.calleeMedia.heard.foreign == 0)
            first.stopMedia()
            #expect(first.callerMedia.heard.numbers.count == heardBefore.0 && first.callerMedia.heard.foreign == 0)
            #expect(first.calleeMedia.heard.numbers.count == heardBefore.1 && first.calleeMedia.heard.foreign == 0)
            #expect(try bed.daemon.control.counter(.socketsReused) == 1)
            try third.hangUp()
            try await third.caller.succeeds()

            // Nothing stays behind.
            _ = try await bed.daemon.stop()
            for address in [first.relayTowardsCaller, third.relayTowardsCallee] { #expect(!SIPp.isBound(address)) }
        }
    }
}
