import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Requests from a source that is no trunk and no phone.
@Suite struct StrangerSpecificationTests {
    private static let stranger = SocketAddress("192.0.2.200:5060")!

    private func request(
        _ method: String, toTag: String? = nil, number: Int = 1, from source: SocketAddress = Self.stranger, more: String = "Subject: none"
    ) -> String {
        """
        \(method) sip:49123@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP \(source);branch=z9hG4bKs\(method)\(number);rport
        From: <sip:4930@a.example>;tag=f
        To: <sip:49123@b.example>\(toTag.map { ";tag=\($0)" } ?? "")
        Call-ID: stranger\(number)
        CSeq: 1 \(method)
        Max-Forwards: 70
        Contact: <sip:4930@\(source)>
        \(more)


        """
    }

    @Test("is refused without a transaction, a call, a record, or an event for each", arguments: [
        ("INVITE", nil, 403), ("OPTIONS", nil, 403), ("REGISTER", nil, 403), ("MESSAGE", nil, 403), ("BYE", "x", 481),
        ("INVITE", "x", 481), ("CANCEL", nil, 481),
    ] as [(String, String?, Int)])
    func refused(method: String, toTag: String?, status: Int) throws {
        let world = SimulatedWorld(seed: 1)
        for number in 0..<100 {
            let answers = world.exchange(request(method, toTag: toTag, number: number, more: "User-Agent: somebody"), from: Self.stranger)
            #expect(answers.map(\.status) == [status])
        }
        #expect(world.records.isEmpty)
        #expect(world.control.isEmpty, "nothing is remembered")
        #expect(world.events.map(\.name) == [.strangerRefused])
        #expect(world.counters[.sipUnknownSource] == 100)
        let source = try #require(world.control.strangerReport(limit: 5).shown.first)
        #expect(source.source == "192.0.2.200" && source.requests == 100 && source.answers == 100)
        #expect(source.method == method && source.userAgent == "somebody" && source.called == "49123")
    }

    @Test("monitors get 200 for OPTIONS, no larger than the request and without a transaction; else they are strangers")
    func monitors() throws {
        let world = SimulatedWorld(seed: 31) { $0.sip.monitors = [TrunkSource("192.0.2.128/25")!] }
        let text = request("OPTIONS")
        let answers = (0..<2).flatMap { _ in world.exchange(text, from: Self.stranger) }
        #expect(answers.map(\.status) == [200, 200] && answers[0].octets == answers[1].octets)
        #expect(answers[0].octets.count <= text.replacing("\n", with: "\r\n").utf8.count)
        #expect(world.counters[.sipMonitorsAnswered] == 2 && world.counters[.sipUnknownSource] == 0 && world.control.isEmpty)
        #expect(world.exchange(request("OPTIONS", toTag: "x", number: 2), from: Self.stranger).map(\.status) == [481])
        #expect(world.exchange(request("INVITE", number: 3), from: Self.stranger).map(\.status) == [403])
        #expect(world.exchange(request("REGISTER", number: 4), from: Self.stranger).map(\.status) == [403])
        let elsewhere = SocketAddress("192.0.2.100:5060")!
        #expect(world.exchange(request("OPTIONS", number: 5, from: elsewhere), from: elsewhere).map(\.status) == [403])
        world.reload { $0.sip.monitors = [] }
        #expect(world.exchange(request("OPTIONS", number: 6), from: Self.stranger).map(\.status) == [403])
    }

    @Test("a repeated request gets the same answer, and another one another tag; the ACK for it belongs to nothing")
    func repeated() throws {
        let world = SimulatedWorld(seed: 2)
        let answers = (0..<3).flatMap { _ in world.exchange(request("INVITE"), from: Self.stranger) }
        #expect(answers.count == 3 && Set(answers.map(\.octets)).count == 1)
        let tag = try #require(answers[0].toTag.map { String(decoding: $0, as: UTF8.self) })
        #expect(world.exchange(request("INVITE", number: 2), from: Self.stranger).first?.toTag != answers[0].toTag)
        #expect(world.exchange(request("ACK", toTag: tag), from: Self.stranger).isEmpty)
        #expect(world.counters[.sipStrayRequests] == 1 && world.control.isEmpty)
    }

    @Test("gets ten answers a second, and not one more; another source is answered meanwhile")
    func rate() {
        let world = SimulatedWorld(seed: 3)
        func burst() -> Int {
            let before = world.traffic.count
            for number in 0..<500 {
                world.inject(Array(request("INVITE", number: number).replacing("\n", with: "\r\n").utf8), from: Self.stranger)
            }
            return world.traffic[before...].count { !$0.isReceived }
        }
        #expect(burst() == 10)
        let other = SocketAddress("192.0.2.201:5060")!
        #expect(world.exchange(request("INVITE", from: other), from: other).map(\.status) == [403])
        world.run(for: .seconds(1))
        #expect(burst() == 10)
        #expect(world.counters[.sipStrangersUnanswered] == 980)
        #expect(world.events.count == 1, "one source in ten minutes, one mention in five seconds")
    }

    @Test("from countless addresses: a thousand answers a second, memory for a thousand sources, and who keeps asking is not forgotten")
    func countless() throws {
        let world = SimulatedWorld(seed: 4)
        let carrier = SocketAddress("203.0.113.77:5060")!
        for round in 0..<40 {
            for number in 0..<500 {
                let source = SocketAddress(ip: IPAddress(ipv4: 0x0a00_0000 + UInt32(round * 500 + number)), port: 5060)
                world.inject(Array(request("INVITE", from: source).replacing("\n", with: "\r\n").utf8), from: source)
            }
            for number in 0..<3 {
                let octets = Array(request("INVITE", number: 1_000 + number, from: carrier).replacing("\n", with: "\r\n").utf8)
                world.inject(octets, from: carrier)
            }
            world.run(for: .milliseconds(100))
        }
        #expect(world.counters[.sipUnknownSource] == 20_120)
        #expect(world.counters[.sipDatagramsReceived] - world.counters[.sipStrangersUnanswered] <= 5_000)
        let report = world.control.strangerReport(limit: 1_000)
        #expect(report.sources <= 1_024)
        let first = try #require(report.shown.first)
        #expect(first.source == "203.0.113.77" && first.requests == 120)
        #expect(first.hint.contains("\"b\"") && first.hint.contains("mistyped"))
        #expect(world.events.contains { $0.fields["source"] == "203.0.113.77:5060" }, "a likely slip is told of at once")
        #expect(world.control.isEmpty && world.records.isEmpty)
    }

    @Test("a carrier that is refused finds out why: by its address, by Call-ID, by number", arguments: [
        ("203.0.113.20:5099", "that port alone"), ("203.0.113.21:5060", "mistyped"), ("192.0.2.200:5060", "no trunk has this address"),
    ])
    func why(source: String, hint: String) throws {
        let world = SimulatedWorld(seed: 5)
        let source = SocketAddress(source)!
        #expect(world.explain(source.ip.description) == nil)
        _ = world.exchange(request("INVITE", from: source), from: source)
        for name in [source.description, source.ip.description, "stranger1", "49123"] {
            let explanation = try #require(world.explain(name), "\(name)")
            #expect(explanation.verdict == .unknownSource && explanation.sipCode == 403)
            #expect(explanation.sentence.hasPrefix("A request from \(source) which is no trunk"))
            #expect(explanation.evidence[0].contains(hint))
        }
        let fields = try #require(world.events.first?.fields)
        #expect(fields["source"] == source.description && fields["hint"]?.contains(hint) == true)
    }

    @Test("with strangers = drop nothing is answered, and all is shown")
    func silent() throws {
        let world = SimulatedWorld(seed: 6) { $0.sip.strangers = .drop }
        #expect(world.exchange(request("INVITE"), from: Self.stranger).isEmpty)
        #expect(world.exchange(request("OPTIONS").replacing("CSeq: 1", with: "CSeq: x"), from: Self.stranger).isEmpty)
        #expect(world.counters[.sipUnknownSource] == 1)
        #expect(world.control.strangerReport(limit: 1).shown.first?.requests == 2)
        #expect(try #require(world.explain("stranger1")).sentence.contains("dropped"))
        #expect(world.exchange(request("OPTIONS", from: SimulatedWorld.callerAddress)).map(\.status) == [200], "trunks are served")
    }

    @Test("no answer is larger than its request: a short one gets the compact form, a shorter one nothing")
    func amplification() {
        let world = SimulatedWorld(seed: 7) { $0.sip.userAgent = String(repeating: "a", count: 64) }
        for padding in 0..<120 {
            let text = "OPTIONS sip:\(String(repeating: "a", count: padding)) SIP/2.0\nv:SIP/2.0/UDP x;branch=z9hG4bK\(padding)\nf:<sip:a@x>;tag=a\nt:<sip:b@x>\n"
                + "i:\(padding)\nCSeq:1 OPTIONS\n\n"
            let size = text.replacing("\n", with: "\r\n").utf8.count
            for answer in world.exchange(text, from: Self.stranger) {
                #expect(answer.octets.count <= size)
                #expect(answer.first(.server) == nil)
            }
        }
        let withheld = world.counters[.sipAnswersWithheld]
        #expect((1..<119).contains(withheld))
        let sent = world.traffic.filter { !$0.isReceived }.map { String(decoding: $0.message.octets, as: UTF8.self) }
        #expect(UInt64(sent.count) + withheld == 120)
        #expect(sent.contains { $0.contains("\r\nv: ") } && sent.contains { $0.contains("\r\nVia: ") })
    }

    @Test("a callee that answers from elsewhere still ends its call from there")
    func inDialog() throws {
        let world = SimulatedWorld(seed: 3)
        let invite = world.establishCall().callee.invite
        let answer = try #require(world.traffic.last { $0.isReceived && $0.message.status == 200 }).message
        let bye = """
            BYE sip:192.0.2.1 SIP/2.0
            Via: SIP/2.0/UDP \(Self.stranger);branch=z9hG4bKbye;rport
            From: \(answer.text(.to) ?? "")
            To: \(invite.text(.from) ?? "")
            Call-ID: \(String(decoding: invite.callID, as: UTF8.self))
            CSeq: 7 BYE
            Max-Forwards: 70


            """
        #expect(world.exchange(bye, from: Self.stranger).map(\.status) == [200])
        #expect(world.counters[.sipUnknownSource] == 0)
    }

    @Test("an INVITE above the calls a second of all gets 503 with Retry-After and no record, also when it is repeated")
    func callsPerSecond() throws {
        let world = SimulatedWorld(seed: 5) { $0.limits.callsPerSecond = 2 }
        for _ in 0..<4 { world.placeCall() }
        world.run(for: .milliseconds(100))
        #expect(world.counters[.callsRefusedRate] == 2)
        #expect(world.counters[.callsAttempted] == 2)
        let refused = world.traffic.filter { $0.message.status == 503 }
        #expect(refused.count == 2 && refused.allSatisfy { $0.message.text(.retryAfter) == "5" })
        world.run(for: .seconds(2))
        // A copy that was on its way: its sender has given up, so it must not become a call now.
        let late = try #require(world.traffic.first { $0.isReceived && $0.message.callID == refused[0].message.callID })
        world.inject(late.message.octets, from: SimulatedWorld.callerAddress)
        #expect(world.traffic.last?.message.status == 503)
        #expect(world.counters[.callsAttempted] == 2)
        world.placeCall()
        world.run(for: .seconds(1))
        #expect(world.counters[.callsAttempted] == 3)
    }
}
