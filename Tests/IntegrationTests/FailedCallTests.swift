import Core
import Harness
import Testing

@Suite("calls that are never answered", .inTurn, .serialized, .needs(.sipp))
struct FailedCallTests {
    @Test("the callee's refusal reaches the caller with its status and reason", arguments: [
        (404, "404 Not Found", 1), (486, "486 Busy Here", 17), (503, "503 Service Unavailable", 41),
    ])
    func refusal(status: Int, title: String, q850: Int) async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-refuses-\(status)")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received(title).count == 1)
            try await expectRecord(bed, caller, callee, .rejected, sip: status, q850: q850, by: .callee)
        }
    }

    @Test("CANCEL before and after ringing ends the callee's INVITE and answers the caller's with 487", arguments: [
        ("caller-cancels-before-ringing", "callee-tries"), ("caller-cancels-while-ringing", "callee-rings"),
    ])
    func cancel(callerScenario: String, calleeScenario: String) async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee(calleeScenario)
            let caller = try await bed.caller(callerScenario) { $0.hangsUpWhenTold = true }
            // A CANCEL that overtakes the INVITE would end the call before the callee hears of it.
            _ = try await callee.receives("INVITE") { $0.method == "INVITE" }
            let status = calleeScenario == "callee-rings" ? 180 : 100
            _ = try await caller.receives("\(status)") { $0.status == status }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("487 Request Terminated").count == 1)
            #expect(callee.received("CANCEL").count == 1)
            try await expectRecord(bed, caller, callee, .callerCancelled, sip: 487, q850: 16, by: .caller)
        }
    }

    @Test("an answer that crosses CANCEL is acknowledged and hung up at once")
    func cancelCrossesAnswer() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-answers-cancelled-call")
            let caller = try await bed.caller("caller-cancels-while-ringing") { $0.hangsUpWhenTold = true }
            _ = try await caller.receives("180") { $0.status == 180 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(callee.received("ACK").count == 1)
            #expect(callee.received("BYE").count == 1)
            try await expectRecord(bed, caller, callee, .callerCancelled, sip: 487, by: .caller)
        }
    }

    @Test("a callee that rings for too long is cancelled, and the caller told")
    func noAnswer() async throws {
        try await Testbed.with({ $0.trunks[1].lines = ["ringing_timeout = 2"] }) { bed in
            let callee = try await bed.callee("callee-rings")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(callee.received("CANCEL").count == 1)
            let status = try #require(finalStatus(caller))
            #expect([408, 480].contains(status))
            try await expectRecord(bed, caller, callee, .ringingTimeout, sip: status, q850: 19, by: .relayd)
        }
    }

    @Test("a callee that never says anything is given up after the trunk's INVITE timeout")
    func silentCallee() async throws {
        try await Testbed.with({ $0.trunks[1].lines = ["invite_timeout = 2"] }) { bed in
            // A socket that takes everything and answers nothing.
            let silent = try UDPSocket(bed.carrier)
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            #expect(finalStatus(caller) == 408)
            var heard: [String] = []
            while let (octets, _) = silent.receive() {
                heard.append(String(decoding: octets.prefix { $0 != 0x20 }, as: UTF8.self))
            }
            #expect(heard.count { $0 == "INVITE" } >= 2, "sent again after 0.5 and 1.5 s (timer A), or once when it stood still meanwhile")
            let records = try await bed.daemon.records(count: 1)
            #expect(records.count == 1)
            records[0].expectConsistent(with: bed, callerCallID: caller.callID)
            records[0].expectOutcome(.inviteTimeout, sip: 408, q850: 102, by: .relayd)
        }
    }

    @Test("a number without a route is answered 404")
    func noRoute() async throws {
        try await Testbed.with({ $0.trunks[1].prefixes = ["1"] }) { bed in
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            #expect(finalStatus(caller) == 404)
            try await expectRecord(bed, caller, nil, .noRoute, sip: 404, by: .relayd)
        }
    }

    @Test("a caller that is no trunk is answered 403, leaves no record, and can be asked about")
    func unknownSource() async throws {
        try await Testbed.with { bed in
            let elsewhere = SocketAddress(ip: bed.host, port: 5999)
            let caller = try await bed.caller("caller-is-refused") { $0.address = elsewhere }
            try await caller.succeeds()
            #expect(finalStatus(caller) == 403)
            #expect(try bed.daemon.control.counter(.sipUnknownSource) == 1)
            #expect(try bed.daemon.control.counter(.callsAttempted) == 0)
            #expect(try bed.daemon.records().isEmpty, "strangers write nothing to our disk")
            for name in [try #require(caller.callID), elsewhere.description, "4930123456"] {
                let why = try await bed.daemon.relayctl(["why", name])
                #expect(why.output.contains("A request from \(elsewhere) which is no trunk"), "\(name): \(why.output)\(why.errors)")
            }
            let strangers = try await bed.daemon.relayctl(["strangers"])
            #expect(strangers.output.contains("\(bed.host)") && strangers.output.contains("INVITE 4930123456"), "\(strangers.output)")
            let trace = try await bed.daemon.relayctl(["trace"])
            #expect(trace.errors.contains("a request from \(elsewhere) which is no trunk"), "\(trace.errors)")
            let warning = try #require(try bed.daemon.control.warnings().first { $0.contains("\(elsewhere) which is no trunk") })
            #expect(warning.contains("customers") || warning.contains("carrier"), "\(warning)")
        }
    }

    @Test("with all relay ports in use the next caller gets 503 with Retry-After, and it is counted")
    func portsExhausted() async throws {
        // Four ports are one call.
        try await Testbed.with({
            $0.mediaPorts = 10_000...10_003
            $0.trunks[0].lines = ["sources = [\"\($0.listen.ip)\"]"]
        }) { bed in
            let callee = try await bed.callee("callee-stays")
            let first = try await bed.caller("caller-hangs-up") { $0.hangsUpWhenTold = true }
            _ = try await callee.receives("ACK") { $0.method == "ACK" }
            // From another port of the customer: SIPp has the usual one for the first call.
            let refused = try await bed.caller("caller-is-refused") { plan in
                plan.address = SocketAddress(ip: bed.host, port: 5071)
            }
            try await refused.succeeds()
            let answer = try #require(refused.messages.first { ($0.status ?? 0) >= 300 })
            #expect(answer.status == 503)
            #expect(answer.header("Retry-After").flatMap { Int($0) } ?? 0 > 0)
            #expect(try bed.daemon.control.counter(.callsRefusedPorts) == 1)
            try first.hangUp()
            try await first.succeeds()
            try await callee.succeeds()
            let records = try await bed.daemon.records(count: 2)
            #expect(Set(records.map(\.cause)) == [.normal, .portsExhausted])
        }
    }

    private func finalStatus(_ caller: SIPp) -> Int? {
        caller.messages.first { $0.direction == .received && ($0.status ?? 0) >= 300 }?.status
    }

    private func expectRecord(
        _ bed: Testbed, _ caller: SIPp, _ callee: SIPp?, _ cause: ReleaseCause, sip: Int, q850: Int? = nil,
        by party: ReleaseParty, location: SourceLocation = #_sourceLocation
    ) async throws {
        let records = try await bed.daemon.records(count: 1)
        #expect(records.count == 1, sourceLocation: location)
        records[0].expectConsistent(
            with: bed, callerCallID: caller.callID, calleeCallID: callee?.callID, location: location)
        records[0].expectOutcome(cause, sip: sip, q850: q850, by: party, location: location)
        #expect(records[0].answerAt == nil, sourceLocation: location)
    }
}
