import ControlProtocol
import Core
import Harness
import Testing

/// What trunks say of codecs, identity and media, as SIPp's phones see it.
@Suite("codecs, identity and media of trunks", .inTurn, .serialized, .needs(.sipp))
struct TrunkPolicyTests {
    private static let allCodecs = """
        m=audio [sdp_port] RTP/AVP 9 8 0 18 101
              a=rtpmap:9 G722/8000
              a=rtpmap:8 PCMA/8000
              a=rtpmap:0 PCMU/8000
              a=rtpmap:18 G729/8000
              a=fmtp:18 annexb=no
              a=rtpmap:101 telephone-event/8000
        """
    private static let mu = "m=audio [sdp_port] RTP/AVP 0\n      a=rtpmap:0 PCMU/8000"

    private static func keys(
        offer: String = mu, answer: String = mu, headers: [String] = ["X-Nothing: here"]
    ) -> (caller: [String: String], callee: [String: String]) {
        (["LINES": offer, "HEADERS": headers.joined(separator: "\n      ")], ["LINES": answer])
    }

    // MARK: Codecs

    @Test("a carrier is offered the codecs its trunk allows, in its order, and the customer's trunk strips its own")
    func codecs() async throws {
        try await Testbed.with({ settings in
            settings.trunks[0].lines.append("codecs_strip = [\"G722\"]")
            settings.trunks[1].lines.append("codecs = [\"PCMU\", \"G729\", \"G722\"]")
        }) { bed in
            let answer = "m=audio [sdp_port] RTP/AVP 0 8 101\n      a=rtpmap:8 PCMA/8000\n      a=rtpmap:101 telephone-event/8000"
            let call = try await bed.connect(
                caller: "caller-offers", callee: "callee-answers", hangsUpWhenTold: .caller,
                keys: Self.keys(offer: Self.allCodecs, answer: answer))
            let invite = try #require(call.callee.received("INVITE").first)
            #expect(invite.sdpLines("m=audio ").first?.hasSuffix("RTP/AVP 0 18 101") == true)
            #expect(Set(invite.sdpLines("a=rtpmap:")) == ["0 PCMU/8000", "18 G729/8000", "101 telephone-event/8000"])
            #expect(invite.sdpLines("a=fmtp:") == ["18 annexb=no"])
            let answered = try #require(call.caller.received("200 OK").first)
            #expect(answered.sdpLines("m=audio ").first?.hasSuffix("RTP/AVP 0 101") == true, "PCMA was not offered")
            let media = try await call.exchange(packets: 20)
            #expect(media.heardByCallee == media.sentByCaller && media.heardByCaller == media.sentByCallee)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    @Test("an offer of which a trunk leaves nothing gets 488 with a warning; the carrier hears nothing of it")
    func noCodec() async throws {
        try await Testbed.with({ $0.trunks[1].lines.append("codecs = [\"opus\"]") }) { bed in
            let callee = try await bed.callee("callee-stays")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            let refusal = try #require(caller.received("488 Not Acceptable Here").first)
            #expect(refusal.header("Warning")?.hasPrefix("305 ") == true)
            #expect(callee.received("INVITE").isEmpty)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == .noCommonCodec && record.sipCode == 488)
        }
    }

    // MARK: Identity

    private static let identity = [
        "P-Asserted-Identity: <sip:+4420111@customer.example>", "Remote-Party-ID: <sip:4420111@customer.example>",
    ]

    @Test("who calls is told within the trust domain, and kept from a carrier outside when the caller asks for privacy", arguments: [
        (carrier: "trusted = true", privacy: "Privacy: id", isNamed: true, isTold: true),
        (carrier: "trusted = false", privacy: "Privacy: id", isNamed: false, isTold: false),
        (carrier: "trusted = false", privacy: "Privacy: none", isNamed: true, isTold: true),
        (carrier: "identity = \"strip\"", privacy: "Privacy: none", isNamed: true, isTold: false),
        (carrier: "identity = \"anonymise\"", privacy: "Privacy: none", isNamed: false, isTold: true),
    ])
    func identity(carrier: String, privacy: String, isNamed: Bool, isTold: Bool) async throws {
        try await Testbed.with({ $0.trunks[1].lines.append(carrier) }) { bed in
            let call = try await bed.connect(
                caller: "caller-offers", callee: "callee-answers", hangsUpWhenTold: .caller,
                keys: Self.keys(headers: Self.identity + [privacy]))
            let invite = try #require(call.callee.received("INVITE").first)
            let from = try #require(invite.header("From"))
            #expect(from.contains("sip:4420987654@") == isNamed)
            #expect(from.hasPrefix("\"Anonymous\" <sip:anonymous@anonymous.invalid>") == !isNamed)
            #expect((invite.header("P-Asserted-Identity") == "<sip:+4420111@customer.example>") == isTold)
            #expect(invite.text.contains("4420111") == isTold, "\(invite.text)")
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.callerNumber == "4420987654", "the record names the caller as it came")
        }
    }

    @Test("what a customer outside of the trust domain asserts is not passed on")
    func untrustedCustomer() async throws {
        try await Testbed.with({ $0.trunks[0].lines.append("trusted = false") }) { bed in
            let call = try await bed.connect(
                caller: "caller-offers", callee: "callee-answers", hangsUpWhenTold: .caller, keys: Self.keys(headers: Self.identity))
            let invite = try #require(call.callee.received("INVITE").first)
            #expect(invite.header("From")?.contains("sip:4420987654@") == true && !invite.text.contains("4420111"))
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    // MARK: Media

    @Test("media_proxy off, and auto where nothing needs it: RTP goes from one SIPp to the other and relayd sees none", arguments: [
        ["media_proxy = \"off\""], ["media_proxy = \"auto\""],
    ])
    func direct(mode: [String]) async throws {
        try await Testbed.with({ settings in
            for index in settings.trunks.indices { settings.trunks[index].lines += mode }
        }) { bed in
            let call = try await bed.connect(
                caller: "caller-offers", callee: "callee-answers", hangsUpWhenTold: .caller, keys: Self.keys())
            #expect(call.relayTowardsCaller == call.calleeMedia.address && call.relayTowardsCallee == call.callerMedia.address)
            let media = try await call.exchange(packets: 30)
            #expect(media.heardByCallee == media.sentByCaller && media.heardByCaller == media.sentByCallee)
            #expect(call.callerMedia.heard.sources == [call.calleeMedia.address])
            #expect(call.calleeMedia.heard.sources == [call.callerMedia.address])
            let summary = try #require(try bed.daemon.control.calls().first)
            #expect(!summary.monitored && summary.monitoredReason.hasPrefix("not relayed"))
            let status = try bed.daemon.control.status()
            #expect(status.media.portsInUse == 0)
            #expect(status.counters[Counter.rtpPacketsReceived.name] == 0 && status.counters[Counter.rtpPacketsSent.name] == 0)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.fromCaller.packets == 0 && record.fromCallee.packets == 0 && record.verdict == .normal)
        }
    }

    @Test("must relays whatever the other side says")
    func must() async throws {
        try await Testbed.with({ settings in
            settings.trunks[0].lines.append("media_proxy = \"off\"")
            settings.trunks[1].lines.append("media_proxy = \"must\"")
        }) { bed in
            let call = try await bed.connect(
                caller: "caller-offers", callee: "callee-answers", hangsUpWhenTold: .caller, keys: Self.keys())
            #expect(call.relayTowardsCaller != call.calleeMedia.address && call.relayTowardsCallee != call.callerMedia.address)
            let media = try await call.exchange(packets: 30)
            #expect(media.heardByCallee == media.sentByCaller && media.heardByCaller == media.sentByCallee)
            #expect(call.callerMedia.heard.sources == [call.relayTowardsCaller])
            try await eventually("they are counted") { try bed.daemon.control.counter(.rtpPacketsReceived) >= 60 }
            let id = try #require(try bed.daemon.control.calls().first?.id)
            #expect(try bed.daemon.control.call(id).proxy == "yes: media_proxy of carrier is must")
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    @Test("auto relays a customer behind a NAT of the kernel's, and its SDP need not be true: sound both ways", .needs(.root))
    func behindNAT() async throws {
        let network = try await PhoneNetwork(udpTimeout: 30)
        do {
            let carrier = SocketAddress(ip: PhoneNetwork.server.ip, port: 5080)
            var settings = DaemonSettings(listen: PhoneNetwork.server, mediaPorts: 20_000...20_199)
            settings.httpPort = nil
            settings.launcher = { _ in network.atServer }
            settings.mediaLines = ["proxy = \"auto\""]
            settings.trunks = [
                .init(
                    "customers", SocketAddress(ip: PhoneNetwork.outside, port: 5062), lines: ["sources = [\"\(PhoneNetwork.outside)\"]"]),
                .init("carrier", carrier, prefixes: [""]),
            ]
            let daemon = try await Daemon.start(settings)
            var plan = SIPp.Plan("callee-stays-rtp", at: carrier)
            plan.launcher = network.atServer
            let callee = try await SIPp.start(plan)
            plan = SIPp.Plan("caller-stays-rtp", at: PhoneNetwork.phone, calling: PhoneNetwork.server)
            plan.launcher = network.atPhone
            let caller = try await SIPp.start(plan)
            let call = try await eventually("each side is heard, and sent what the other one says", within: .seconds(40)) {
                try daemon.control.calls().first { $0.fromCaller.packets > 10 && $0.fromCallee.packets > 10 }
            }
            let detail = try daemon.control.call(call.id)
            #expect(detail.proxy == "yes: customers is behind NAT")
            #expect(detail.caller.sdpAddress?.ip == PhoneNetwork.phone.ip && detail.caller.lockedSource?.ip == PhoneNetwork.outside)
            try daemon.control.hangUp(call.id)
            try await caller.succeeds()
            try await callee.succeeds()
            let record = try #require(try await daemon.records(count: 1).first)
            #expect(record.fromCaller.packets > 10 && record.fromCallee.packets > 10)
            _ = try await daemon.stop()
        } catch {
            try await network.remove()
            throw error
        }
        try await network.remove()
    }
}
