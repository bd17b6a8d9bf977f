import ControlProtocol
import Core
import Harness
import Testing

/// What trunks' settings and relayd's refusals do, as SIPp's phones see it.
@Suite("trunks as SIPp sees them", .inTurn, .serialized, .needs(.sipp))
struct TrunkBehaviourTests {
    // MARK: Load and loops

    @Test("the OPTIONS of a trunk is told the load, by sipsak and by SIPp", .needs(.sipsak))
    func load() async throws {
        try await Testbed.with({ settings in
            settings.trunks[0].lines = ["capacity = 7"]
            // sipsak sends from the loopback's own address.
            settings.trunks.append(.init("monitor", SocketAddress("127.0.0.1:5999")!, lines: ["sources = [\"127.0.0.1\"]"]))
        }) { bed in
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            let told = try await run("/usr/bin/env", ["sipsak", "-vv", "-s", "sip:\(bed.daemon.sipAddress)"], within: .seconds(20))
            #expect(told.code == 0 && told.output.contains("X-relayd-Load: state=open; calls=1/200; calls-per-second="), "\(told.output)")
            #expect(told.output.contains("; trunk-calls=0"))
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let asking = try await bed.caller("options")
            try await asking.succeeds()
            let load = asking.received("200 OK").first?.header("X-relayd-Load")
            #expect(load?.hasPrefix("state=open; calls=0/200; ") == true && load?.hasSuffix("trunk-calls=0/7") == true, "\(load ?? "none")")
        }
    }

    @Test("a route to relayd itself ends with 482 after one pass, with one record that says so")
    func loop() async throws {
        try await Testbed.with({ $0.trunks[1].address = $0.listen }) { bed in
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            #expect(caller.received("482 Loop Detected").count == 1)
            let records = try await bed.daemon.records(count: 1)
            let record = try #require(records.first)
            #expect(records.count == 1 && record.cause == .loopDetected && record.sipCode == 482)
            #expect(record.calleeTrunk == "carrier" && record.verdict == .routingLoop)
            #expect(record.explanation?.contains("is relayd itself") == true, "\(record.explanation ?? "")")
            #expect(try bed.daemon.control.counter(.callsAttempted) == 1)
            let why = try await bed.daemon.relayctl(["why", record.id])
            #expect(why.output.contains("routing_loop"), "\(why.output)")
        }
    }

    // MARK: Long requests

    @Test("a re-INVITE that is too long for a datagram goes by TCP to the Contact of the callee, which takes both")
    func longReinvite() async throws {
        try await Testbed.with({ $0.sip = ["listeners = [\"tcp:\($0.listen)\"]"] }) { bed in
            // What is short, the first ACK, comes there by UDP.
            let contact = SocketAddress(ip: bed.host, port: 5084)
            let datagrams = try UDPSocket(contact)
            let second = try await bed.callee("callee-takes-over") {
                $0.address = contact
                $0.transport = "t1"
            }
            let first = try await bed.callee("callee-answers-elsewhere") { $0.keys = ["CONTACT": "\(contact)"] }
            let caller = try await bed.caller("caller-reinvites-long") { $0.pause = .milliseconds(300) }
            try await caller.succeeds()
            try await first.succeeds()
            try await second.succeeds()
            let reinvite = try #require(second.received("INVITE").first)
            #expect(reinvite.text.utf8.count > 1_300 && reinvite.header("Via")?.hasPrefix("SIP/2.0/TCP ") == true)
            #expect(datagrams.receive().map { String(decoding: $0.octets, as: UTF8.self).hasPrefix("ACK ") } == true)
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    // MARK: Customers by digest

    @Test("a customer that proves by digest whose trunk it is gets to the carrier, and the record names its trunk")
    func customer() async throws {
        try await Testbed.with({ settings in
            let elsewhere = SocketAddress(ip: settings.listen.ip, port: 5099)
            settings.trunks[0] = .init("customer-7", elsewhere, lines: ["sources = []", "capacity = 3"])
            settings.further = ["[[user]]", "name = \"seven\"", "password = \"secret\"", "trunk = \"customer-7\""]
        }) { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("customer-proves-itself") {
                $0.keys = ["USER": "seven", "PASSWORD": "secret"]
                $0.pause = .milliseconds(100)
            }
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.callerTrunk == "customer-7" && record.calleeTrunk == "carrier")
            #expect(record.callerNumber == caller.plan.callerNumber)
            #expect(callee.received("INVITE").first?.header("Proxy-Authorization") == nil, "its credentials are for relayd")
        }
    }

    // MARK: Numbers and limits

    @Test("numbers are rewritten on the way in, by the route and on the way out; the record has what was dialled")
    func numbers() async throws {
        try await Testbed.with({ settings in
            settings.trunks[0].lines = ["called_in = [\"strip 2\", \"prepend 49\"]", "caller_in = [\"replace 44 0044\"]"]
            settings.trunks[1] = .init(
                "carrier", settings.trunks[1].address, lines: ["called_out = [\"replace 49 0049\"]", "caller_out = [\"strip 2\"]"])
            settings.further = ["[[route]]", "prefixes = [\"4930\"]", "trunk = \"carrier\"", "called = [\"replace 4930 49030\"]"]
        }) { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-hangs-up") {
                $0.calledNumber = "9930123456"
                $0.callerNumber = "4420987654"
                $0.pause = .milliseconds(100)
            }
            try await caller.succeeds()
            try await callee.succeeds()
            let invite = try #require(callee.received("INVITE").first)
            #expect(invite.firstLine.hasPrefix("INVITE sip:0049030123456@"), "\(invite.firstLine)")
            #expect(invite.header("To")?.contains("sip:0049030123456@") == true)
            #expect(invite.header("From")?.contains("sip:4420987654@") == true, "0044 in, and 00 off again: \(invite.header("From") ?? "")")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.calledNumber == "9930123456" && record.callerNumber == "4420987654")
        }
    }

    @Test("of two calls in a moment a trunk with calls_per_second = 1 places one; the other gets 503 with Retry-After")
    func rate() async throws {
        try await Testbed.with({ $0.trunks[0].lines = ["calls_per_second = 1"] }) { bed in
            let callee = try await bed.callee("callee-refuses") { $0.keys = ["status": "486 Busy Here"] }
            let caller = try await bed.caller("caller-is-refused") {
                $0.calls = 2
                $0.rate = 1_000
            }
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("486 Busy Here").count == 1)
            let refused = caller.received("503 Service Unavailable")
            #expect(refused.count == 1 && refused.first?.header("Retry-After") == "5")
            let records = try await bed.daemon.records(count: 2)
            let record = try #require(records.first { $0.cause == .capacity })
            #expect(record.explanation?.contains("calls_per_second") == true, "\(record.explanation ?? "")")
            #expect(try bed.daemon.control.counter(.callsRefusedTrunkRate) == 1)
        }
    }

    @Test("a carrier that says 503 with Retry-After rests: the next call does not ask it")
    func rest() async throws {
        try await Testbed.with({ settings in
            settings.trunks.append(
                .init("reserve", SocketAddress(ip: settings.listen.ip, port: 5081), prefixes: [""], lines: ["priority = 1"]))
        }) { bed in
            let resting = try await bed.callee("callee-refuses") {
                $0.keys = ["status": "503 Service Unavailable\n      Retry-After: 600 (maintenance)"]
            }
            let reserve = try await bed.callee("callee-stays") {
                $0.address = SocketAddress(ip: bed.host, port: 5081)
                $0.calls = 2
            }
            for number in 1...2 {
                let caller = try await bed.caller("caller-hangs-up") { $0.pause = .milliseconds(100) }
                try await caller.succeeds()
                if number == 1 {
                    try await resting.succeeds()
                    let carrier = try bed.daemon.control.trunks()[1]
                    #expect(carrier.state == .resting && carrier.restsUntil != nil)
                }
            }
            try await reserve.succeeds()
            #expect(try bed.daemon.control.trunks()[1].attempts == 1)
            #expect(try await bed.daemon.records(count: 2).allSatisfy { $0.calleeTrunk == "reserve" })
        }
    }

    @Test("a carrier that says 100, or 183 without media, and nothing more, is cancelled after its time", arguments: [
        ("callee-tries", "trying_timeout", ReleaseCause.tryingTimeout, "408 Request Timeout"),
        ("callee-progresses", "progress_timeout", .progressTimeout, "480 Temporarily Unavailable"),
    ])
    func setupTimers(scenario: String, key: String, cause: ReleaseCause, answer: String) async throws {
        try await Testbed.with({ $0.trunks[1].lines = ["\(key) = \"1500ms\""] }) { bed in
            let callee = try await bed.callee(scenario)
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received(answer).count == 1)
            #expect(callee.received("CANCEL").count == 1)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == cause && record.endedBy == .relayd)
            #expect((1_499..<10_000).contains(record.releaseAt.milliseconds - record.setupAt.milliseconds))
        }
    }

    // MARK: Session timers and holds

    @Test("a caller that asks for too short a session gets 422 with Min-SE, and its call with a longer one")
    func longerSession() async throws {
        try await Testbed.with({ $0.sip = ["session_timer_min_se = 120"] }) { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-needs-longer") { $0.pause = .milliseconds(100) }
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("422 Session Interval Too Small").first?.header("Min-SE") == "120")
            let answer = try #require(caller.received("200 OK").first { $0.transactionMethod == "INVITE" })
            #expect(answer.header("Session-Expires") == "120;refresher=uac" && answer.header("Require") == "timer")
            let causes = try await bed.daemon.records(count: 2).map(\.cause)
            #expect(Set(causes) == [.sessionIntervalTooSmall, .normal])
            #expect(callee.received("INVITE").count == 1)
        }
    }

    @Test("relayctl call shows the session timers of both legs; a call that nothing watches ends after its time, and why says so")
    func unwatched() async throws {
        try await Testbed.with({ settings in
            settings.noMediaTimeout = 0
            settings.limits = ["unwatched_duration = 6"]
        }) { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-stays")
            let id = try await eventually("the call is up") { try bed.daemon.control.calls().first { $0.state == .connected }?.id }
            let detail = try await bed.daemon.relayctl(["call", id])
            let timers = detail.output.split(separator: "\n").filter { $0.hasPrefix("  session timer") }
            #expect(timers.count == 2, "\(detail.output)")
            #expect(timers.allSatisfy { $0.contains("1800 s, relayd refreshes in ") && $0.hasSuffix("not known to the peer") })
            #expect(detail.output.contains("s at the latest"))
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.maximumDuration, sip: 200, q850: 31, by: .relayd)
            #expect((5_999..<15_000).contains(record.durationMilliseconds))
            #expect(try await bed.daemon.relayctl(["why", record.id]).output.contains("limits.unwatched_duration"))
        }
    }

    @Test("a hold by 0.0.0.0, and one by inactive, come to the callee as they were said, and end again", arguments: [
        ("0.0.0.0", "sendrecv"), (nil, "inactive"),
    ] as [(String?, String)])
    func hold(host: String?, direction: String) async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: "caller-holds-otherwise", callee: "proxied-callee-stays", pause: .milliseconds(300), hangsUpWhenTold: .caller,
                keys: (["HOLD_HOST": host ?? "\(bed.host)", "HOLD": direction], [:]))
            let offers = try await call.hangUp(afterOffers: 3)
            #expect(offers.count == 3)
            let held = try #require(offers.dropFirst().first)
            #expect(held.sdpLines("a=\(direction)").count == 1)
            #expect(held.sdpLines("c=").first == "IN IP4 \(host ?? "\(bed.host)")", "\(held.sdpLines("c="))")
            #expect(Set([offers[0].mediaAddress, offers[2].mediaAddress]) == [call.relayTowardsCallee])
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    // MARK: What is refused

    @Test("inside a call REFER gets 603, PUBLISH 405 and an unknown method 501, each of these two with Allow, and the call goes on")
    func refusedMethods() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-asks-strangely") { $0.pause = .milliseconds(100) }
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("603 Decline").count == 1)
            for title in ["405 Method Not Allowed", "501 Not Implemented"] {
                #expect(caller.received(title).first?.header("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK")
            }
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    @Test("an INVITE that insists on an unknown extension gets 420 which names it, and one without hops left 483", arguments: [
        ("Require: precondition", "70", "420 Bad Extension", ReleaseCause.unsupportedExtension),
        ("Subject: none", "0", "483 Too Many Hops", .tooManyHops),
    ])
    func refusedInvites(header: String, hops: String, answer: String, cause: ReleaseCause) async throws {
        try await Testbed.with { bed in
            let caller = try await bed.caller("caller-asks-too-much") { $0.keys = ["header": header, "hops": hops] }
            try await caller.succeeds()
            let refusal = try #require(caller.received(answer).first)
            #expect(refusal.header("Unsupported") == (cause == .unsupportedExtension ? "precondition" : nil))
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == cause && record.calleeCallID == nil)
        }
    }
}
