import ControlProtocol
import Core
import Harness
import Testing

@Suite("A party that only listens", .inTurn, .serialized, .needs(.sipp))
struct ListenerTests {
    @Test("with media_before_lock it hears the other one at the address of its SDP; without, nothing is sent to it", arguments: [true, false])
    func listener(isOn: Bool) async throws {
        try await Testbed.with({ settings in
            for index in settings.trunks.indices where isOn { settings.trunks[index].lines.append("media_before_lock = true") }
        }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            call.calleeMedia.start(to: call.relayTowardsCallee)
            if isOn {
                try await eventually("the caller hears the callee") { call.callerMedia.heard.numbers.count > 20 }
                #expect(call.callerMedia.heard.sources == [call.relayTowardsCaller])
                #expect(call.callerMedia.heard.altered == 0 && call.callerMedia.heard.foreign == 0)
            } else {
                try await eventually("packets of the callee have come") {
                    try bed.daemon.control.counter(.droppedPeerUnlocked) > 20
                }
                #expect(call.callerMedia.heard.numbers.isEmpty)
            }
            #expect(call.callerMedia.sentCount == 0)
            call.stopMedia()
            let summary = try #require(try bed.daemon.control.calls().first)
            try bed.daemon.control.hangUp(summary.id)
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }
}
