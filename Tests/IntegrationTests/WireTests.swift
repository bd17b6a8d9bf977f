import Core
import Harness
import Testing

@Suite("on the wire", .inTurn, .needs(.sipp, .tshark, .root))
struct WireTests {
    @Test("tshark dissects a whole call and finds nothing malformed")
    func dissection() async throws {
        try await Testbed.with { bed in
            let capture = try await Tshark.capture(host: bed.host)
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            let media = try await call.exchange(packets: 50)
            #expect(media.heardByCallee == media.sentByCaller)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await capture.finish()

            let broken = try await capture.fields(["frame.number", "_ws.expert.message"], where: "_ws.malformed")
            #expect(broken.isEmpty)
            let errors = try await capture.fields(
                ["frame.number", "_ws.expert.message"], where: "sip && _ws.expert.severity == error")
            #expect(errors.isEmpty)
            let requests = try await capture.fields(["sip.Method"], where: "sip.Method").flatMap(\.self)
            #expect(requests.filter { $0 == "INVITE" }.count == 2)
            #expect(requests.filter { $0 == "BYE" }.count == 2)
            let reasons = try await capture.fields(
                ["sip.Reason"], where: "sip.Method == BYE && udp.srcport == 5060")
            #expect(reasons.count == 1)
            #expect(reasons.first?.first?.contains("Q.850") == true)
            // Decoded by what SDP announces, on both legs: so the announced ports are the ones used.
            let packets = try await capture.fields(["udp.srcport", "udp.dstport", "rtp.p_type"], where: "rtp")
            let pairs = Set(packets.map { "\($0[0])>\($0[1])" })
            let expected = [
                "\(call.callerMedia.address.port)>\(call.relayTowardsCaller.port)",
                "\(call.relayTowardsCaller.port)>\(call.callerMedia.address.port)",
                "\(call.calleeMedia.address.port)>\(call.relayTowardsCallee.port)",
                "\(call.relayTowardsCallee.port)>\(call.calleeMedia.address.port)",
            ]
            #expect(pairs == Set(expected))
            #expect(packets.allSatisfy { $0[2] == "0" })
        }
    }
}
