import Configuration
import Control
import Core
import Relay
import SIP
import Testing

/// What relayd refuses, and how it says so.
@Suite struct RefusalSpecificationTests {
    private static let offer = "v=0\no=- 1 1 IN IP4 198.51.100.11\ns=-\nc=IN IP4 198.51.100.11\nt=0 0\nm=audio 40000 RTP/AVP 8\n"

    @Test("a request of a new call that cannot be served is refused with one record", arguments: [
        Case("no route", 404, .noRoute, to: "1555"),
        Case("no hops left", 483, .tooManyHops, maxForwards: 0),
        Case("another body", 415, .mediaNotAcceptable, contentType: "text/plain", accept: "application/sdp"),
        Case("broken SDP", 400, .mediaNotAcceptable, body: "v=0\nm=audio\n"),
        Case("no datagrams", 488, .mediaNotAcceptable, body: "v=0\nc=IN IP4 192.0.2.9\nm=message 4000 TCP/MSRP *\n"),
        Case("declined fax", 488, .mediaNotAcceptable, body: "v=0\nc=IN IP4 192.0.2.9\nm=image 0 udptl t38\n"),
        Case("declined audio", 488, .mediaNotAcceptable, body: "v=0\nc=IN IP4 192.0.2.9\nm=audio 0 RTP/AVP 8\n"),
        Case("an extension", 420, .unsupportedExtension, header: "Require: precondition, timer", unsupported: "precondition"),
        Case("a proxy extension", 420, .unsupportedExtension, header: "Proxy-Require: foo", unsupported: "foo"),
    ])
    func refused(refusal: Case) throws {
        let world = SimulatedWorld(seed: 1)
        let replies = world.exchange(refusal.invite(offer: Self.offer), from: refusal.source)
        #expect(replies.map(\.status) == [100, refusal.status])
        let answer = try #require(replies.last)
        #expect(answer.toTag != nil)
        #expect(answer.text(.unsupported) == refusal.unsupported)
        #expect(answer.text(.accept) == refusal.accept)
        #expect(world.records.map(\.cause) == [refusal.cause])
        #expect(world.records.map(\.sipCode) == [refusal.status])
        #expect(world.records.first?.calleeCallID == nil)
        #expect(world.commands.isEmpty && world.sent(to: SimulatedWorld.calleeAddress).isEmpty)
        world.run(for: .seconds(60))
        #expect(world.control.isEmpty && world.problems == [])
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let status: Int
        let cause: ReleaseCause
        var source = SimulatedWorld.callerAddress
        var to = "49123"
        var maxForwards = 70
        var header = "Subject: none"
        var body: String?
        var contentType = "application/sdp"
        var unsupported: String?
        var accept: String?

        init(
            _ name: String, _ status: Int, _ cause: ReleaseCause, source: String? = nil, to: String = "49123",
            maxForwards: Int = 70, header: String = "Subject: none", body: String? = nil,
            contentType: String = "application/sdp", unsupported: String? = nil, accept: String? = nil
        ) {
            testDescription = name
            self.status = status
            self.cause = cause
            self.source = source.flatMap { SocketAddress($0) } ?? SimulatedWorld.callerAddress
            self.to = to
            self.maxForwards = maxForwards
            self.header = header
            self.body = body
            self.contentType = contentType
            self.unsupported = unsupported
            self.accept = accept
        }

        func invite(offer: String) -> String {
            RefusalSpecificationTests.request(
                "INVITE", to: to, source: source, maxForwards: maxForwards, header: header, contentType: contentType,
                body: body ?? offer)
        }
    }

    static func request(
        _ method: String, to number: String = "49123", source: SocketAddress = SimulatedWorld.callerAddress,
        branch: String = "z9hG4bK1", callID: String = "raw", maxForwards: Int = 70, header: String = "Subject: none",
        contentType: String? = nil, body: String = ""
    ) -> String {
        """
        \(method) sip:\(number)@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP \(source);branch=\(branch);rport
        From: <sip:4930@a.example>;tag=f
        To: <sip:\(number)@b.example>
        Call-ID: \(callID)
        CSeq: 1 \(method)
        Max-Forwards: \(maxForwards)
        Contact: <sip:4930@\(source)>
        \(header)
        \(contentType.map { "Content-Type: \($0)" } ?? "Organization: none")

        \(body)
        """
    }

    private func invite(branch: String = "z9hG4bK1", callID: String = "raw") -> String {
        Self.request("INVITE", branch: branch, callID: callID, contentType: "application/sdp", body: Self.offer)
    }

    // MARK: Limits

    @Test("at the call limit: 503 with Retry-After, counted; a call that ended makes room at once")
    func capacity() throws {
        let world = SimulatedWorld(seed: 2) { $0.limits.calls = 2 }
        _ = world.establishCall()
        _ = world.establishCall()
        let refused = world.placeCall()
        world.run(for: .seconds(1))
        #expect(refused.finalStatus == 503)
        let answer = try #require(world.traffic.last { $0.message.status == 503 }).message
        #expect(answer.text(.retryAfter) == "5")
        #expect(world.counters[.callsRefusedCapacity] == 1)
        #expect(world.records.map(\.cause) == [.capacity])
        _ = world.hangUp(world.presentCalls[0])
        world.run(for: .seconds(1))
        #expect(world.establishCall().caller.finalStatus == 200)
    }

    @Test("a trunk's capacity counts calls that are up, not those that were refused or are over")
    func trunkCapacity() {
        let world = SimulatedWorld(seed: 3) { $0.trunks[1].capacity = 1 }
        var busy = CallScript()
        busy.answer = .reject(486)
        busy.answerDelay = .milliseconds(100)
        for _ in 0..<5 {
            world.placeCall(busy)
            world.run(for: .seconds(1))
        }
        #expect(world.callers.map(\.finalStatus) == Array(repeating: 486, count: 5))
        _ = world.establishCall()
        let refused = world.placeCall()
        world.run(for: .seconds(1))
        #expect(refused.finalStatus == 503)
    }

    @Test("ports used up: 503 with Retry-After, counted; after their quarantine calls are taken again")
    func portsExhausted() throws {
        let world = SimulatedWorld(seed: 4) { configuration in
            configuration.media.ports = 10_000...10_007
            configuration.media.quarantine = .seconds(10)
        }
        _ = world.establishCall()
        _ = world.establishCall()
        let refused = world.placeCall()
        world.run(for: .seconds(1))
        #expect(refused.finalStatus == 503)
        #expect(world.counters[.callsRefusedPorts] == 1)
        #expect(world.records.map(\.cause) == [.portsExhausted])
        #expect(world.traffic.last { $0.message.status == 503 }?.message.text(.retryAfter) == "5")
        _ = world.hangUp(world.presentCalls[0])
        world.run(for: .seconds(5))
        world.placeCall()
        world.run(for: .seconds(1))
        #expect(world.callers.last?.finalStatus == 503)
        world.run(for: .seconds(6))
        #expect(world.establishCall().caller.finalStatus == 200)
    }

    @Test("a port that someone else holds is passed over; four of them are enough")
    func busyPorts() {
        let world = SimulatedWorld(seed: 5)
        world.worker.openFailure = 1
        let caller = world.placeCall()
        world.run(for: .seconds(1))
        #expect(caller.finalStatus == 503)
        #expect(world.commands.count == 4)
        #expect(world.records.map(\.cause) == [.portsExhausted])
        world.worker.openFailure = 0
        #expect(world.establishCall().caller.finalStatus == 200)
    }

    @Test("while stopping, new calls get 503 with Retry-After")
    func draining() {
        let world = SimulatedWorld(seed: 6)
        world.shutDown()
        let caller = world.placeCall()
        world.run(for: .seconds(1))
        #expect(caller.finalStatus == 503)
        #expect(world.traffic.last { $0.message.status == 503 }?.message.text(.retryAfter) == "5")
        #expect(world.records.map(\.cause) == [.shutdown])
    }

    /// Of `limits.transactions`; 0 is 1,020 for one call.
    @Test(
        "a flood of requests cannot fill the memory: beyond a limit 503 without a transaction; present calls go on",
        arguments: [(0, 1_100), (50, 130)])
    func flood(limit: Int, requests: Int) {
        let world = SimulatedWorld(seed: 15) {
            $0.limits.calls = 1
            $0.limits.transactions = limit
        }
        let (caller, callee) = world.establishCall()
        for index in 0..<requests {
            let request = Self.request("OPTIONS", branch: "z9hG4bK\(index)", callID: "\(index)")
            caller.send(Array(request.replacing("\n", with: "\r\n").utf8))
        }
        world.run(for: .milliseconds(100))
        let refused = world.counters[.sipRefusedOverload]
        #expect((80...100).contains(refused))
        #expect(world.traffic.count { $0.message.status == 503 } == Int(refused))
        caller.hangUp()
        world.run(for: .seconds(1))
        #expect(callee.byesReceived == 1 && caller.hangUpStatus == 200)
        world.run(for: .seconds(32))
        #expect(world.exchange(Self.request("OPTIONS", branch: "z9hG4bKlater")).map(\.status) == [200])
    }

    // MARK: Requests that are no call

    @Test("other requests", arguments: [
        ("OPTIONS", 200), ("MESSAGE", 405), ("REGISTER", 405), ("SUBSCRIBE", 489), ("JUGGLE", 501), ("BYE", 481), ("CANCEL", 481),
    ])
    func otherRequests(method: String, status: Int) throws {
        let world = SimulatedWorld(seed: 7)
        let replies = world.exchange(Self.request(method))
        #expect(replies.map(\.status) == [status])
        let hasAllow = [200, 405, 501].contains(status)
        #expect((replies[0].text(.allow) == "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK") == hasAllow)
        if method == "OPTIONS" { #expect(replies[0].text(.accept) == "application/sdp") }
        #expect(world.exchange(Self.request(method)).map(\.status) == [status])
        #expect(world.records.isEmpty)
        world.run(for: .seconds(40))
        #expect(world.control.isEmpty)
    }

    @Test("a request of a dialog nobody knows gets 481", arguments: ["INVITE", "BYE", "OPTIONS"])
    func unknownDialog(method: String) {
        let world = SimulatedWorld(seed: 8)
        let request = Self.request(method).replacing("@b.example>", with: "@b.example>;tag=unknown")
        #expect(world.exchange(request).last?.status == 481)
        #expect(world.counters[.sipStrayRequests] == 1)
        #expect(world.records.isEmpty)
    }

    @Test("an ACK for nothing is counted and not answered")
    func strayACK() {
        let world = SimulatedWorld(seed: 9)
        #expect(world.exchange(Self.request("ACK")).isEmpty)
        #expect(world.counters[.sipStrayRequests] == 1)
    }

    @Test("CANCEL of an INVITE that was just refused is answered 200 and does nothing")
    func cancelAfterRefusal() {
        let world = SimulatedWorld(seed: 10)
        _ = world.exchange(Self.request("INVITE", to: "1555", contentType: "application/sdp", body: Self.offer))
        let replies = world.exchange(Self.request("CANCEL", to: "1555")).filter { $0.method == .cancel }
        #expect(replies.map(\.status) == [200])
        #expect(world.records.count == 1)
    }

    @Test("an INVITE that comes by two ways is one call: the second copy gets 482 (RFC 3261 §8.2.2.2)")
    func mergedInvite() {
        let world = SimulatedWorld(seed: 11)
        #expect(world.exchange(invite()).map(\.status).first == 100)
        let copies = world.exchange(invite(branch: "z9hG4bK2"))
        #expect(copies.map(\.status).suffix(1) == [482])
        #expect(world.sent(to: SimulatedWorld.calleeAddress).count { $0 == "INVITE" } == 1)
        #expect(world.presentCalls.count == 1)
    }

    @Test("an INVITE with the branch of another is a copy of that: it gets its response, and is no call")
    func usedBranch() {
        let world = SimulatedWorld(seed: 12)
        _ = world.exchange(invite(callID: "one"))
        _ = world.exchange(invite(callID: "two"))
        #expect(world.presentCalls.count == 1)
    }

    // MARK: Nonsense

    @Test("what is broken is answered 400 where that is possible, and counted", arguments: [
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), ("Call-ID: raw", "X-No: 1"), ("From: <sip:4930@a.example>;tag=f", "From: <sip"),
        ("Max-Forwards: 70", "Max-Forwards: many"), ("To: ", "To; "),
    ])
    func malformed(part: String, replacement: String) {
        let world = SimulatedWorld(seed: 13)
        let replies = world.exchange(Self.request("OPTIONS").replacing(part, with: replacement))
        #expect(replies.isEmpty || replies.map(\.status) == [400])
        #expect(world.counters[.sipMalformed] == 1)
        #expect(world.control.isEmpty)
    }

    @Test("what is no SIP is dropped and counted; keep-alives are counted apart")
    func nonsense() {
        let world = SimulatedWorld(seed: 14)
        for text in ["hello", "GET / HTTP/1.1\n\n", "INVITE sip:1@2 SIP/2.0\n\n", "SIP/2.0 200 OK\n\n"] {
            #expect(world.exchange(text).isEmpty)
        }
        #expect(world.counters[.sipMalformed] == 4)
        _ = world.exchange("\n\n")
        #expect(world.counters[.sipKeepAlives] == 1)
        #expect(world.control.isEmpty)
    }

    @Test("random damage to real messages stops nothing and leaves nothing")
    func damage() {
        for seed in 1...12 as ClosedRange<UInt64> {
            let world = SimulatedWorld(seed: seed)
            var random = SeededRandom(seed: seed)
            for index in 0..<20 {
                var octets = Array(invite(branch: "z9hG4bK\(index)", callID: "\(index)").utf8)
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    octets[Int.random(in: 0..<octets.count, using: &random)] = UInt8.random(in: 0...127, using: &random)
                }
                _ = world.exchange(String(decoding: octets, as: UTF8.self))
            }
            world.run(for: .seconds(60))
            for id in world.presentCalls { _ = world.hangUp(id) }
            world.run(for: .seconds(300))
            #expect(world.control.isEmpty, "seed \(seed)")
            #expect(world.control.usedPortPairs == 0, "seed \(seed)")
        }
    }
}
