import ControlProtocol
import Core
import Harness
import Testing

/// The same as `VerdictTests`, beside them.
@Suite("verdicts on limits, refused media, and the way there", .inTurn, .serialized, .needs(.sipp))
struct PathVerdictTests {
    @Test("a call that reaches the longest duration that is allowed")
    func durationLimit() async throws {
        try await Testbed.with({ $0.limits = ["maximum_duration = 4"] }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.durationMilliseconds >= 3_999 && record.durationMilliseconds < 12_000)
            try await bed.expect(.durationLimit, cause: .maximumDuration, says: ["longest duration"])
        }
    }

    @Test("an answer that declines the audio, and an offer of nothing that travels in datagrams")
    func mediaNotAcceptable() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-declines-media")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("488 Not Acceptable Here").count == 1)
            try await bed.expect(.mediaNotAcceptable, cause: .mediaNotAcceptable, says: ["answered without media"])
            let chat = try await bed.caller("caller-offers-chat")
            try await chat.succeeds()
            let record = try #require(try await bed.daemon.records(count: 2).first)
            #expect(record.verdict == .mediaNotAcceptable && record.explanation?.contains("offers no media") == true)
        }
    }

    @Test("a trunk whose host refuses the connection, and one without a route to it")
    func networkRefused() async throws {
        try await Testbed.with({ settings in
            settings.trunks[1].transport = "tcp"
            settings.trunks[1].prefixes = ["49"]
            // What lies beyond loopback has no way out from this address.
            settings.trunks.append(.init("beyond", SocketAddress("192.0.2.9:5060")!, prefixes: ["1"]))
        }) { bed in
            for (index, number) in ["4930123", "1555"].enumerated() {
                let caller = try await bed.caller("caller-is-refused") { $0.calledNumber = number }
                try await caller.succeeds()
                #expect(caller.received("503 Service Unavailable").count == 1)
                let record = try #require(try await bed.daemon.records(count: index + 1).first)
                #expect(record.cause == .transportFailed && record.verdict == .networkRefused, "\(record.explanation ?? "")")
                #expect(record.explanation?.contains(number == "1555" ? "beyond (192.0.2.9:5060)" : "carrier (\(bed.carrier))") == true)
                #expect(try await bed.why(record.id).advice?.contains("ip route get") == true)
            }
        }
    }

    @Test("a caller whose RTP comes from another host than its SDP and its SIP name")
    func mediaFromElsewhere() async throws {
        try await Testbed.with { bed in
            let callee = try await bed.callee("callee-stays-rtp")
            let elsewhere = Loopback.host()
            let caller = try await bed.caller("caller-sends-from-elsewhere-rtp") {
                $0.mediaHost = elsewhere
                $0.hangsUpWhenTold = true
            }
            try await bed.daemon.talks { $0.fromCallee.packets > 100 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            try await bed.expect(.mediaFromElsewhere, cause: .normal, says: ["ever came from the caller", "neither its SDP nor its SIP names"])
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.fromCaller.packets == 0 && record.fromCallee.packets > 100)
        }
    }

    @Test("media of which the kernel drops every seventh packet on its way to relayd", .needs(.root))
    func poorQuality() async throws {
        // An odd number, so that both parties' packets, which come by turns, are hit.
        let network = try await LossyHost(dropping: 7, of: "10000:10199")
        do {
            try await Testbed.with({ settings in
                settings.httpPort = nil
                settings.launcher = { _ in network.command }
                // What passes inside the kernel no packet filter drops.
                settings.mediaLines = ["kernel_path = false"]
            }) { bed in
                let callee = try await bed.callee("callee-stays-rtp") { $0.launcher = network.command }
                let caller = try await bed.caller("caller-hangs-up-rtp") {
                    $0.launcher = network.command
                    $0.hangsUpWhenTold = true
                }
                try await bed.daemon.talks { $0.fromCaller.packets > 120 && $0.fromCallee.packets > 120 }
                try caller.hangUp()
                try await caller.succeeds()
                try await callee.succeeds()
                try await bed.expect(.poorQuality, cause: .normal, says: ["sounded bad", "of its packets were lost"])
                let record = try #require(try await bed.daemon.records(count: 1).first)
                let share = Double(record.fromCaller.lost) / Double(UInt64(record.fromCaller.lost) + record.fromCaller.packets)
                #expect(share > 0.08 && share < 0.2, "one in seven: \(share)")
            }
        } catch {
            try await network.remove()
            throw error
        }
        try await network.remove()
    }
}
