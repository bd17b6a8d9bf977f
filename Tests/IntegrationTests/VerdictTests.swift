import ControlProtocol
import Core
import Foundation
import Harness
import Testing

/// Each root cause is made to happen by peers, and must be named by the record, or by `relayctl why` where it comes out later.
@Suite("verdicts on what peers really did", .inTurn, .serialized, .needs(.sipp))
struct VerdictTests {
    @Test("a callee that refuses every session interval with 422")
    func sessionIntervalLoop() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-refuses-422")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(callee.received("INVITE").map { $0.header("Session-Expires")?.prefix(4) } == ["1800", "3600"])
            try await bed.expect(.sessionIntervalLoop, cause: .rejected, says: ["2 times (422)"])
        }
    }

    @Test("a callee that asks for a longer session each time is called three times, and no more")
    func everLongerSessions() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-wants-longer-sessions")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(callee.received("INVITE").map { $0.header("Session-Expires")?.prefix(4) } == ["1800", "3600", "7200"])
            try await bed.expect(.sessionIntervalLoop, cause: .rejected, says: ["3 times (422)"])
        }
    }

    @Test("what a callee's refusal says, and a caller who gives up")
    func refusals() async throws {
        try await Testbed.with { bed in
            let cases: [(status: String, verdict: CallVerdict)] = [
                ("407 Proxy Authentication Required", .authenticationFailed), ("403 Forbidden", .authenticationFailed),
                ("603 Decline", .declined), ("480 Temporarily Unavailable", .calleeUnavailable), ("404 Not Found", .numberUnknown),
                ("500 Server Internal Error", .rejectedByRoute),
            ]
            for (index, expected) in cases.enumerated() {
                let callee = try await bed.callee("callee-refuses") { $0.keys = ["status": expected.status] }
                let caller = try await bed.caller("caller-is-refused")
                try await caller.succeeds()
                try await callee.succeeds()
                let record = try #require(try await bed.daemon.records(count: index + 1).first)
                #expect(record.verdict == expected.verdict && record.cause == .rejected, "\(record.explanation ?? "")")
            }
            let callee = try await bed.callee("callee-rings")
            let caller = try await bed.caller("caller-cancels-while-ringing") { $0.hangsUpWhenTold = true }
            _ = try await caller.receives("180") { $0.status == 180 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: cases.count + 1).first)
            #expect(record.verdict == .callerGaveUp && record.explanation?.contains("after it had rung") == true)
        }
    }

    @Test("a held call that a short hold timeout cuts")
    func holdCut() async throws {
        try await Testbed.with({ settings in
            settings.noMediaTimeout = 4
            settings.mediaLines = ["hold_timeout = 4"]
        }) { bed in
            let call = try await bed.connect(caller: "caller-holds", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            try call.hangUp()  // its scenario holds then
            try await call.caller.agrees(with: call.callee, count: 2)
            call.stopMedia()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await bed.expect(.holdCut, cause: .noMedia, says: ["was on hold", "cut for want of media"])
        }
    }

    @Test("a held call is not cut, though it is silent for far longer than the no-media timeout")
    func onHold() async throws {
        try await Testbed.with({ settings in
            settings.noMediaTimeout = 4
            settings.mediaLines = ["hold_timeout = 0"]
        }) { bed in
            let call = try await bed.connect(caller: "caller-holds", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            try call.hangUp()
            try await call.caller.agrees(with: call.callee, count: 2)
            call.stopMedia()
            let id = try #require(try bed.daemon.control.calls().first?.id)
            let live = try await eventually("a verdict on the silence", within: .seconds(40)) {
                let explanation = try await bed.why(id)
                return explanation.verdict == .onHold ? explanation : nil
            }
            #expect(live.sentence.contains("not cut") && live.releaseAt == nil)
            try bed.daemon.control.hangUp(id)
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await bed.expect(.operatorHangup, cause: .operatorHangup)
        }
    }

    @Test("media that stops with the re-INVITE that moves it")
    func mediaLostAfterReinvite() async throws {
        try await Testbed.with({ settings in
            settings.noMediaTimeout = 5
            settings.noMediaMode = "any"
        }) { bed in
            let call = try await bed.connect(caller: "caller-moves-media", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            try call.hangUp()
            try await call.caller.agrees(with: call.callee, count: 2)
            call.callerMedia.stop()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
            try await bed.expect(.mediaLostAfterReinvite, cause: .noMedia, says: ["right after the re-INVITE"])
        }
    }

    @Test("a callee that takes no telephone-event gets one", .needs(.root))
    func telephoneEvent() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-stays-without-events-rtp")
            let caller = try await bed.caller("caller-presses-digit") { $0.hangsUpWhenTold = true }
            // Ten packets are the key, from its first to its last end.
            try await bed.daemon.talks { $0.fromCaller.packets >= 10 && $0.fromCallee.packets > 0 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            try await bed.expect(.dtmfMismatch, says: ["The caller sent 1 digit as telephone-event"])
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.fromCaller.digits == CallRecord.Digits(events: 1))
        }
    }

    @Test("digits come as tones though both sides agreed on telephone-event; only the trunk that is listened to is")
    func tones() async throws {
        try await Testbed.with({ $0.trunks[0].lines = ["inband_dtmf = true"] }) { bed in
            let callee = try await bed.callee("callee-stays-rtp")
            let caller = try await bed.caller("caller-plays-digits") { $0.hangsUpWhenTold = true }
            try await eventually("four digits are shown of the live call", within: .seconds(40)) {
                guard let id = try bed.daemon.control.calls().first?.id else { return false }
                let detail = try bed.daemon.control.call(id)
                return detail.caller.media?.inBandDigits == 4 && detail.callee?.media?.inBandDigits == 0
            }
            try await bed.daemon.talks()
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            try await bed.expect(.dtmfMismatch, says: ["The caller sent 4 digits as tones"])
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.fromCaller.digits == CallRecord.Digits(tones: 4) && record.fromCallee.digits == nil)
            let text = try await bed.daemon.relayctl(["why", record.id])
            #expect(text.output.contains("4 tone"), "\(text.output)")
        }
    }

    @Test("a callee that refuses the INFO with a digit")
    func infoDigit() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-refuses-info-rtp")
            let caller = try await bed.caller("caller-sends-info-digit") { $0.hangsUpWhenTold = true }
            _ = try await caller.receives("415") { $0.status == 415 }
            try await bed.daemon.talks { $0.fromCaller.packets > 0 && $0.fromCallee.packets > 0 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            try await bed.expect(.dtmfMismatch, says: ["1 digit by INFO", "SIP 415"])
            let csv = try await bed.daemon.relayctl(["records", "--csv"])
            #expect(csv.output.contains(",caller_digits_event,caller_digits_info,caller_digits_tone,"), "\(csv.output)")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.fromCaller.digits == CallRecord.Digits(info: 1))
        }
    }

    @Test("a callee that vanishes without a BYE, once its silence has lasted")
    func endpointGone() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-vanishes", hangsUpWhenTold: .caller)
            try await call.startMedia()
            call.callee.process.kill()
            call.stopMedia()
            try call.hangUp()
            try await call.caller.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == .normal)
            let explanation = try await eventually("a verdict on the callee", within: .seconds(40)) {
                let explanation = try await bed.why(record.id)
                return explanation.verdict == .endpointGone ? explanation : nil
            }
            #expect(explanation.sentence.contains("The callee vanished without a BYE"))
            #expect(explanation.missing?.leg == .callee && explanation.missing?.text == "an answer to BYE")
        }
    }

    @Test("the limit of a customer's calls, and all routes: one fails, one is silent, one is full")
    func limits() async throws {
        try await Testbed.with({ settings in
            let host = settings.listen.ip
            settings.routing = ["failures = 100"]
            settings.trunks[0].lines = ["sources = [\"\(host)\"]", "capacity = 2"]
            settings.trunks[1].prefixes = ["49"]
            settings.trunks[1].lines = ["priority = 1"]
            settings.trunks.append(
                .init("silent", SocketAddress(ip: host, port: 5081), prefixes: ["49"], lines: ["priority = 2", "invite_timeout = 1"]))
            settings.trunks.append(
                .init("small", SocketAddress(ip: host, port: 5082), prefixes: ["49", "1"], lines: ["priority = 3", "capacity = 1"]))
        }) { bed in
            let silent = try UDPSocket(SocketAddress(ip: bed.host, port: 5081))
            let small = SocketAddress(ip: bed.host, port: 5082)
            let first = try await bed.callee("callee-stays") { $0.address = small }
            let caller = try await bed.caller("caller-stays") { $0.calledNumber = "1555" }
            _ = try await first.receives("ACK") { $0.method == "ACK" }

            let refusing = try await bed.callee("callee-refuses-503")
            let refused = try await bed.caller("caller-is-refused") { $0.address = SocketAddress(ip: bed.host, port: 5071) }
            try await refused.succeeds()
            try await refusing.succeeds()
            try await bed.expect(.allRoutesBusy, says: ["All 3 routes to 4930123456"])
            let record = try #require(try await bed.daemon.records(count: 1).first)
            let evidence = try await bed.why(record.id).evidence
            #expect(evidence.prefix(3) == ["carrier said 503", "silent did not respond", "small is at its limit"])
            #expect(silent.receive() != nil)

            let ringing = try await bed.callee("callee-rings")
            let second = try await bed.caller("caller-cancels-while-ringing") {
                $0.address = SocketAddress(ip: bed.host, port: 5072)
                $0.hangsUpWhenTold = true  // and it never is
            }
            _ = try await ringing.receives("INVITE") { $0.method == "INVITE" }
            let third = try await bed.caller("caller-is-refused") { $0.address = SocketAddress(ip: bed.host, port: 5073) }
            try await third.succeeds()
            let capacity = try #require(try await bed.daemon.records(count: 2).first)
            #expect(capacity.verdict == .capacityLimit && capacity.cause == .capacity, "\(capacity.explanation ?? "")")
            second.process.kill()
            let id = try #require(try bed.daemon.control.calls().first { $0.state == .connected }?.id)
            try bed.daemon.control.hangUp(id)
            try await caller.succeeds()
            try await first.succeeds()
        }
    }

    @Test("a phone whose registration has expired, and one that was never there")
    func registrationExpired() async throws {
        try await Testbed.with({ settings in
            settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])]
            settings.further = ["[registrar]", "min_expires = 1"]
        }) { bed in
            let phone = try await bed.caller("phone-registers") {
                $0.address = SocketAddress(ip: bed.host, port: 5074)
                $0.keys = ["expires": "2", "contact": "\(bed.host):5074"]
            }
            try await phone.succeeds()
            try await eventually("the registration expires") { try bed.daemon.control.registrations().total == 0 }
            for (number, words) in [("100", "The registration of ada expired"), ("200", "bob is not registered")] {
                let caller = try await bed.caller("caller-is-refused") { $0.calledNumber = number }
                try await caller.succeeds()
                let record = try await eventually("a record of \(number)") {
                    try bed.daemon.records().first { $0.calledNumber == number }
                }
                #expect(record.cause == .notRegistered && record.sipCode == 480)
                #expect(record.verdict == .registrationExpired && record.explanation?.hasPrefix(words) == true, "\(record.explanation ?? "")")
            }
        }
    }
}
