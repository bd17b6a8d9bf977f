import Core
import Harness
import Testing

@Suite("answered calls", .inTurn, .serialized, .needs(.sipp))
struct CallTests {
    @Test(
        "RTP passes both ways, each packet once, in order, unchanged, from the advertised port; either side may hang up",
        arguments: [
            ("caller-hangs-up", "callee-stays", ReleaseParty.caller), ("caller-stays", "callee-hangs-up", .callee),
        ])
    func normalCall(caller: String, callee: String, party: ReleaseParty) async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: caller, callee: callee, hangsUpWhenTold: party == .caller ? .caller : .callee)
            let media = try await call.exchange(packets: 100)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()

            let heardByCaller = call.callerMedia.heard
            let heardByCallee = call.calleeMedia.heard
            #expect(heardByCaller.altered == 0 && heardByCallee.altered == 0)
            #expect(heardByCaller.foreign == 0 && heardByCallee.foreign == 0)
            #expect(heardByCaller.sources == [call.relayTowardsCaller])
            #expect(heardByCallee.sources == [call.relayTowardsCallee])

            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectConsistent(
                with: bed, callerCallID: call.caller.callID, calleeCallID: call.callee.callID)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: party)
            #expect(record.fromCaller.packets == UInt64(call.callerMedia.sentCount))
            #expect(record.fromCallee.packets == UInt64(call.calleeMedia.sentCount))
            #expect(record.fromCaller.octets == 172 * record.fromCaller.packets)
            #expect(record.fromCaller.lost == 0 && record.fromCallee.lost == 0)
            let answerAt = try #require(record.answerAt)
            let lastFromCaller = try #require(record.fromCaller.lastMediaAt)
            let lastFromCallee = try #require(record.fromCallee.lastMediaAt)
            #expect(answerAt <= lastFromCaller && lastFromCaller <= record.releaseAt)
            #expect(answerAt <= lastFromCallee && lastFromCallee <= record.releaseAt)
            #expect(record.ringAt != nil)
            #expect(record.callerTrunk == "customers")

            let bye = party == .caller ? call.callee.received("BYE") : call.caller.received("BYE")
            #expect(bye.first?.q850Cause == 16)
            #expect(try bed.daemon.records().count == 1)
            #expect(try bed.daemon.control.calls().isEmpty)
        }
    }

    @Test("sender reports pass between the RTCP ports, unchanged and from the port above the advertised one")
    func senderReports() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            // The first report of a side tells relayd where its RTCP is; before that it is sent none.
            try await eventually("each party gets a sender report") {
                call.callerMedia.sendSenderReport()
                call.calleeMedia.sendSenderReport()
                return call.callerMedia.heard.senderReports > 0 && call.calleeMedia.heard.senderReports > 0
            }
            let above = call.relayTowardsCaller.port + 1
            #expect(call.callerMedia.heard.senderReportSources == [SocketAddress(ip: bed.host, port: above)])
            #expect(call.callerMedia.heard.altered == 0 && call.calleeMedia.heard.altered == 0)
            call.stopMedia()
            try call.hangUp()
            try await call.caller.succeeds()
        }
    }

    @Test("both legs have their own Call-ID, tags and Contact; numbers and SDP pass, only the media address is relayd's")
    func backToBack() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", pause: .zero)
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let sent = try #require(call.caller.sent("INVITE").first)
            let placed = try #require(call.callee.received("INVITE").first)
            #expect(placed.header("Call-ID") != sent.header("Call-ID"))
            #expect(placed.header("From") != sent.header("From"))
            #expect(placed.header("From")?.contains("sip:4420987654@") == true)
            #expect(placed.header("To")?.contains("sip:4930123456@") == true)
            #expect(placed.firstLine.hasPrefix("INVITE sip:4930123456@\(bed.carrier)"))
            #expect(placed.header("Contact")?.contains("\(bed.daemon.sipAddress)") == true)
            #expect(placed.text.contains("\(bed.customer)") == false, "nothing of the caller's address leaks")
            #expect(placed.sdpLines("s=") == ["a call through relayd"])
            #expect(placed.sdpLines("a=") == sent.sdpLines("a="))
            #expect(placed.sdpLines("m=audio ").first?.hasSuffix("RTP/AVP 0 101") == true)
            #expect(call.relayTowardsCallee.ip == bed.host)
            #expect(bed.daemon.settings.mediaPorts.contains(call.relayTowardsCallee.port))
            #expect(bed.daemon.settings.mediaPorts.contains(call.relayTowardsCaller.port))
            #expect(call.relayTowardsCaller != call.relayTowardsCallee)
            #expect(call.relayTowardsCaller.port.isMultiple(of: 2) && call.relayTowardsCallee.port.isMultiple(of: 2))
            let answered = try #require(call.callee.sent("200 OK").first)
            let answer = try #require(call.caller.received("200 OK").first)
            #expect(answer.sdpLines("a=") == answered.sdpLines("a="))
            #expect(answer.header("To") != answered.header("To"))
            #expect(call.caller.received("100 Trying").count == 1)
        }
    }

    @Test("early media with a 183 reaches the caller before the answer")
    func earlyMedia() async throws {
        try await Testbed.with { bed in
            let id: UInt32 = 183
            let callerMedia = try MediaEndpoint(on: bed.host, call: id, party: .caller)
            let calleeMedia = try MediaEndpoint(on: bed.host, call: id, party: .callee)
            defer {
                callerMedia.close()
                calleeMedia.close()
            }
            let callee = try await bed.callee("callee-early-media") { $0.media = calleeMedia.address }
            let caller = try await bed.caller("caller-hangs-up") {
                $0.media = callerMedia.address
                $0.pause = .milliseconds(200)
            }
            let progress = try await caller.receives("183") { $0.status == 183 }
            let invite = try #require(callee.received("INVITE").first)
            callerMedia.start(to: try #require(progress.mediaAddress))
            calleeMedia.start(to: try #require(invite.mediaAddress))
            try await eventually("the caller hears the callee") { !callerMedia.heard.numbers.isEmpty }
            #expect(caller.received("200 OK").isEmpty, "this was before the answer")
            callerMedia.stop()
            calleeMedia.stop()
            try callee.proceed(1)
            try await caller.succeeds()
            try await callee.succeeds()
            let answer = try #require(caller.received("200 OK").first)
            #expect(answer.mediaAddress == progress.mediaAddress)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("OPTIONS is answered with 200 and the methods allowed")
    func options() async throws {
        try await Testbed.with { bed in
            let prober = try await bed.caller("options")
            try await prober.succeeds()
            let answer = try #require(prober.received("200 OK").first)
            let allowed = try #require(answer.header("Allow"))
            for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"] { #expect(allowed.contains(method)) }
            #expect(try bed.daemon.records().isEmpty)
        }
    }
}
