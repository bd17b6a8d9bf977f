import ControlProtocol
import Core
import Harness
import Testing

@Suite("carriers that ICMP says cannot be reached", .inTurn, .serialized, .needs(.sipp))
struct UnreachableTests {
    @Test("a carrier whose port is closed costs a call no time, and a busy neighbour's messages get through all the same")
    func closedPort() async throws {
        try await Testbed.with({
            $0.routing = ["failures = 100"]
            $0.trunks.append(.init("reserve", SocketAddress(ip: $0.listen.ip, port: 5081), prefixes: [""], lines: ["priority = 1"]))
        }) { bed in
            let callee = try await bed.callee("callee-stays") {
                $0.address = SocketAddress(ip: bed.host, port: 5081)
                $0.calls = 20
            }
            let caller = try await bed.caller("caller-hangs-up") {
                $0.calls = 20
                $0.rate = 20
                $0.pause = .milliseconds(200)
            }
            try await caller.succeeds()
            try await callee.succeeds()
            let records = try await bed.daemon.records(count: 20)
            #expect(records.allSatisfy { $0.calleeTrunk == "reserve" && $0.cause == .normal })
            // 500 ms is T1: nothing was sent twice, and nobody waited.
            let ringing = records.compactMap { record in record.ringAt.map { $0.milliseconds - record.setupAt.milliseconds } }
            #expect(ringing.count == 20 && ringing.allSatisfy { $0 < 400 }, "INVITE to 180 in milliseconds: \(ringing)")
            print("failover by ICMP, INVITE to 180 in milliseconds: \(ringing.sorted())")
            #expect(try bed.daemon.control.counter(.sipPeersUnreachable) == 20)
            #expect(try bed.daemon.control.counter(.sipSendFailures) == 0)
            #expect(try bed.daemon.control.counter(.sipTransactionTimeouts) == 0)
            #expect(try bed.daemon.control.trunks()[1].lastFailure == "INVITE: ICMP port unreachable")
            let why = try await bed.daemon.relayctl(["why", records[0].id])
            #expect(why.output.contains("\(bed.carrier) answered with ICMP port unreachable"), "\(why.output)")
            let trace = try await bed.daemon.relayctl(["trace", "--address", "\(bed.carrier)"])
            #expect(trace.output.contains("ICMP port unreachable, about this request to \(bed.carrier):"), "\(trace.output)")
        }
    }

    @Test("the only carrier's port is closed: 503 at once, with its own cause and verdict; probe says so too")
    func onlyCarrier() async throws {
        try await Testbed.with { bed in
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            #expect(caller.received("503 Service Unavailable").first?.header("Reason")?.contains("Q.850;cause=27") == true)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.peerUnreachable, sip: 503, q850: 27, by: .relayd)
            #expect(record.verdict == .peerUnreachable && record.releaseAt.milliseconds - record.setupAt.milliseconds < 400)
            let probe = try await bed.daemon.relayctl(["probe", "carrier"])
            #expect(probe.output.contains("ICMP port unreachable"), "\(probe.output)\(probe.errors)")
        }
    }
}
