import ControlProtocol
import Core
import Harness
import Testing

/// Calls through a real Kamailio that drives relayd with its rtpengine module.
@Suite("Kamailio in front of relayd", .inTurn, .serialized, .needs(.sipp, .kamailio))
struct KamailioTests {
    @Test("RTP passes both ways unchanged from the advertised ports, $rtpstat counts it, and BYE ends the session")
    func call() async throws {
        try await KamailioTestbed.with { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-hangs-up", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            #expect(call.relayTowardsCaller.ip == bed.relayd.settings.listen.ip)
            #expect(call.relayTowardsCallee.ip == bed.relayd.settings.listen.ip)
            #expect(call.relayTowardsCaller != call.relayTowardsCallee)
            let media = try await call.exchange(packets: 40)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            for (endpoint, relay) in [
                (call.callerMedia, call.relayTowardsCaller), (call.calleeMedia, call.relayTowardsCallee),
            ] {
                let heard = endpoint.heard
                #expect(heard.altered == 0 && heard.foreign == 0 && heard.sources == [relay])
            }
            let present = try bed.relayd.control.calls()
            #expect(present.map(\.state) == [.connected] && present.map(\.callerTrunk) == ["ng"])
            let live = try await bed.relayd.why(try #require(present.first?.id))
            #expect(live.releaseAt == nil && live.fromCaller?.packets ?? 0 >= 40 && live.lints.isEmpty, "\(live.lints)")
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await expectIdle(bed.relayd)
            let after = try await bed.relayd.why(try #require(call.caller.callID))
            #expect(after.verdict == .normal && after.sentence.hasSuffix("ended by the proxy."), "\(after.sentence)")
            #expect(after.evidence.contains { $0.contains("over NG") } && after.fromCallee?.codec == "PCMU")
            // RTP: 12345 bytes, 80 packets, 0 errors; RTCP: …
            let statistics = try await eventually("Kamailio's $rtpstat") { bed.kamailio.statistics.first }
            let packets = statistics.split(separator: ",").dropFirst().first?.split(separator: " ").first.flatMap { Int($0) }
            #expect(packets == Int(call.callerMedia.sentCount + call.calleeMedia.sentCount), "\(statistics)")
            #expect(try bed.relayd.control.counter(.ngErrors) == 0)
            // Of a short call there is one window each way; G.711 without loss has 4.41.
            let quality = try await eventually("Kamailio's MOS variables") { bed.kamailio.quality.first }
            #expect(quality["mos"] == "4.4/4.4/4.4", "\(quality)")
            #expect(quality["loss"] == "0" && quality["jitter"].flatMap { Int($0) } ?? -1 >= 0, "\(quality)")
            #expect(quality["samples"].flatMap { Int($0) } ?? 0 >= 1, "\(quality)")
        }
    }

    @Test("early media: what the 183 and the 200 tell the caller is one port")
    func earlyMedia() async throws {
        try await KamailioTestbed.with { bed in
            let id: UInt32 = 1830
            let callerMedia = try MediaEndpoint(on: bed.host, call: id, party: .caller)
            let calleeMedia = try MediaEndpoint(on: bed.host, call: id, party: .callee)
            defer {
                callerMedia.close()
                calleeMedia.close()
            }
            let callee = try await bed.callee("proxied-callee-early-media") { $0.media = calleeMedia.address }
            let caller = try await bed.caller("proxied-caller-hangs-up") {
                $0.media = callerMedia.address
                $0.pause = .milliseconds(200)
            }
            let progress = try await caller.receives("183") { $0.status == 183 }
            let invite = try #require(callee.received("INVITE").first)
            callerMedia.start(to: try #require(progress.mediaAddress))
            calleeMedia.start(to: try #require(invite.mediaAddress))
            try await eventually("the caller hears the callee") { !callerMedia.heard.numbers.isEmpty }
            #expect(caller.received("200 OK").isEmpty, "this was before the answer")
            try callee.proceed(1)
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(caller.received("200 OK").first?.mediaAddress == progress.mediaAddress)
            try await expectIdle(bed.relayd)
        }
    }

    @Test("CANCEL ends the session")
    func cancel() async throws {
        try await KamailioTestbed.with { bed in
            let callee = try await bed.callee("proxied-callee-rings")
            let caller = try await bed.caller("proxied-caller-cancels") { $0.hangsUpWhenTold = true }
            _ = try await caller.receives("180") { $0.status == 180 }
            #expect(try bed.relayd.control.calls().map(\.state) == [.setup])
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            try await expectIdle(bed.relayd)
        }
    }

    @Test("a re-INVITE holds the call and another one resumes it, on the same ports without a lost packet")
    func hold() async throws {
        try await KamailioTestbed.with { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-holds", callee: "proxied-callee-stays", pause: .milliseconds(700),
                hangsUpWhenTold: .caller)
            let media = try await call.exchange(packets: 100)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            let offers = try await call.hangUp(afterOffers: 3)
            #expect(offers.count == 3)
            #expect(Set(offers.map(\.mediaAddress)) == [call.relayTowardsCallee])
            #expect(offers.map { $0.sdpLines("a=sendonly").count } == [0, 1, 0])
            let answers = call.caller.received("200 OK").filter { $0.transactionMethod == "INVITE" }
            #expect(answers.count == 3 && Set(answers.map(\.mediaAddress)) == [call.relayTowardsCaller])
            try await expectIdle(bed.relayd)
        }
    }

    @Test("a re-INVITE of the callee, with the tags exchanged, keeps each leg's port")
    func calleeReoffers() async throws {
        try await KamailioTestbed.with { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-answers-reoffer", callee: "proxied-callee-reoffers", pause: .milliseconds(400),
                hangsUpWhenTold: .callee)
            let media = try await call.exchange(packets: 50)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            try await eventually("the callee has its answer") { !call.callee.sent("ACK").isEmpty }
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            #expect(call.caller.received("INVITE").map(\.mediaAddress) == [call.relayTowardsCaller])
            let answer = call.callee.received("200 OK").first { $0.transactionMethod == "INVITE" }
            #expect(answer?.mediaAddress == call.relayTowardsCallee)
            try await expectIdle(bed.relayd)
        }
    }

    @Test("an offer in the 200 and its answer in the ACK: each side is told its own leg's port")
    func lateOffer() async throws {
        try await KamailioTestbed.with { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-offers-nothing", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            #expect(call.callee.received("INVITE").first?.mediaAddress == nil)
            #expect(call.relayTowardsCallee.ip == bed.relayd.settings.listen.ip)
            #expect(call.relayTowardsCaller.ip == bed.relayd.settings.listen.ip)
            let media = try await call.exchange(packets: 40)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            #expect(call.callerMedia.heard.sources == [call.relayTowardsCaller])
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await expectIdle(bed.relayd)
        }
    }

    @Test("of two callees rung at once the one that answers has the media; the 487 of the other ends nothing")
    func forks() async throws {
        try await KamailioTestbed.with(callees: 2) { bed in
            let ringing = try await bed.callee("proxied-callee-rings", branch: 1)
            // An answer that crosses the first 180 of the other branch can leave that one without its CANCEL.
            let call = try await bed.connect(
                caller: "proxied-caller-hangs-up", callee: "proxied-callee-stays", hangsUpWhenTold: .caller,
                afterRingingElsewhere: true)
            try await ringing.succeeds()
            #expect(ringing.received("INVITE").map(\.mediaAddress) == [call.relayTowardsCallee])
            let media = try await call.exchange(packets: 40)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            #expect(try bed.relayd.control.calls().map(\.state) == [.connected])
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await expectIdle(bed.relayd)
        }
    }

    @Test("relayd ends the session of a call whose media stopped; the late BYE is no error")
    func mediaTimeout() async throws {
        try await KamailioTestbed.with({ $0.ngTimeout = 4 }) { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-hangs-up", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            let listed = try await bed.relayd.relayctl(["calls"])
            #expect(listed.code == 0 && listed.output.contains("ng"))
            call.stopMedia()
            try await eventually("the session is gone") { try bed.relayd.control.calls().isEmpty }
            #expect(call.caller.sent("BYE").isEmpty, "this was before BYE")
            #expect(try bed.relayd.control.counter(.ngCallsTimedOut) == 1)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            try await expectIdle(bed.relayd)
            #expect(try bed.relayd.control.counter(.ngErrors) <= 1, "the query of $rtpstat alone")
        }
    }

    @Test("while relayd is away new calls are refused, and once it is back they succeed without a word to Kamailio")
    func restart() async throws {
        try await KamailioTestbed.with { bed in
            let first = try await bed.relayd.stop()
            #expect(first == .exited(code: 0))
            let refused = try await bed.caller("caller-is-refused")
            try await refused.succeeds()
            #expect(refused.received("503 No Media Relay").count >= 1)
            let daemon = try await Daemon.start(bed.relayd.settings)
            defer { daemon.process.kill() }
            // Kamailio asks a node that was away again after a second.
            try await eventually("a call succeeds", within: .seconds(60)) {
                let callee = try await bed.callee("proxied-callee-stays")
                defer { callee.process.kill() }
                let caller = try await bed.caller("proxied-caller-hangs-up") { $0.pause = .milliseconds(10) }
                defer { caller.process.kill() }
                return (try? await caller.succeeds(within: .seconds(10))) != nil
            }
            try await expectIdle(daemon)
            #expect(try daemon.control.counter(.ngRequests) >= 4, "ping, offer, answer, delete")
            #expect(try await daemon.stop() == .exited(code: 0))
        }
    }

    @Test("of three nodes with weights one is killed during calls: no call fails, and new ones pass the other two")
    func nodeKilled() async throws {
        // Ports rest after use: enough for every call once.
        try await KamailioTestbed.with(nodes: [2, 1, 1], { $0.mediaPorts = 10_000...10_999 }) { bed in
            let count = (before: 60, after: 40)
            let callee = try await bed.callee("proxied-callee-stays") { $0.calls = count.before + count.after }
            let caller = try await bed.caller("proxied-caller-hangs-up") {
                $0.calls = count.before
                $0.hangsUpWhenTold = true
            }
            try await eventually("every call is up") { callee.received("ACK").count == count.before }
            let loads = try bed.nodes.map { try $0.control.calls().count }
            #expect(loads[0] > loads[1] && loads[0] > loads[2], "\(loads): calls follow the weights")
            #expect(loads.allSatisfy { $0 > 0 }, "\(loads)")
            bed.nodes[0].process.kill()
            let late = try await bed.caller("proxied-caller-hangs-up") {
                $0.address.port = 5071
                $0.calls = count.after
                $0.rate = 40
                $0.pause = .milliseconds(300)
            }
            try await late.succeeds()
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            let alive = Set(bed.nodes[1...].map(\.settings.listen.ip))
            let answers = late.received("200 OK").filter { $0.transactionMethod == "INVITE" }
            #expect(Set(answers.compactMap { $0.header("Call-ID") }).count == count.after)
            #expect(answers.allSatisfy { alive.contains($0.mediaAddress?.ip ?? .ipv4Any) })
            for node in bed.nodes[1...] { try await expectIdle(node) }
        }
    }

    @Test("a node that is full sends its calls to the next one; with every node full the caller is told", arguments: [
        Limit.ports, .sessions,
    ])
    func fullNodes(limit: Limit) async throws {
        try await KamailioTestbed.with(nodes: [1, 1], {
            if limit == .ports { $0.mediaPorts = 10_000...10_011 } else { $0.calls = 3 }
        }) { bed in
            let callee = try await bed.callee("proxied-callee-stays") { $0.calls = 6 }
            let caller = try await bed.caller("proxied-caller-hangs-up") {
                $0.calls = 6
                $0.hangsUpWhenTold = true
            }
            try await eventually("six calls are up") { callee.received("ACK").count == 6 }
            #expect(try bed.nodes.map { try $0.control.calls().count } == [3, 3])
            let seventh = try await bed.caller("caller-is-refused") { $0.address.port = 5071 }
            try await seventh.succeeds()
            #expect(seventh.received("503 No Media Relay").count >= 1)
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            for node in bed.nodes { try await expectIdle(node) }
        }
    }

    enum Limit: Sendable { case ports, sessions }

    /// No call and no port is left, within a moment.
    private func expectIdle(_ daemon: Daemon, _ location: SourceLocation = #_sourceLocation) async throws {
        try await eventually("relayd has no session left") {
            let status = try daemon.control.status()
            return status.calls.current == 0 && status.media.portsInUse == 0
        }
    }
}
