import Core
import SIP
import Testing

/// How the layer matches messages to transactions, and what it keeps.
@Suite struct TransactionLayerTests {
    private let peer = Flow(udp: SocketAddress("198.51.100.7:5062")!)
    private var world = LayerWorld()

    // MARK: Server transactions

    @Test("an INVITE is answered 100 at once and handed up once; its copies get the last response again")
    mutating func inviteRetransmission() throws {
        let invite = request("INVITE")
        #expect(world.receive(invite) == ["request INVITE", "send 100"])
        #expect(world.receive(invite) == ["absorbed INVITE", "resend 100"])
        #expect(world.respond(180) == ["send 180"])
        #expect(world.receive(invite) == ["absorbed INVITE", "resend 180"])
        #expect(world.layer.count == 1)
    }

    @Test("a response goes to where the request came from when Via asks for it, else to the port in sent-by")
    mutating func destinations() {
        _ = world.receive(request("OPTIONS", via: "198.51.100.7:5070;branch=z9hG4bKa"))
        #expect(world.respond(200) == ["send 200"])
        #expect(world.lastDestination?.remote == SocketAddress("198.51.100.7:5070"))
        _ = world.receive(request("OPTIONS", via: "198.51.100.7:5070;branch=z9hG4bKb;rport"))
        _ = world.respond(200)
        #expect(world.lastDestination == peer)
    }

    @Test("branch, sent-by and method together name a transaction (RFC 3261 §17.2.3)")
    mutating func serverMatching() {
        _ = world.receive(request("OPTIONS", via: "198.51.100.7:5062;branch=z9hG4bK1"))
        #expect(world.receive(request("OPTIONS", via: "198.51.100.7:5062;branch=z9hG4bK2")) == ["request OPTIONS"])
        #expect(world.receive(request("OPTIONS", via: "198.51.100.8:5062;branch=z9hG4bK1")) == ["request OPTIONS"])
        #expect(world.receive(request("OPTIONS", via: "198.51.100.7:5063;branch=z9hG4bK1")) == ["request OPTIONS"])
        #expect(world.receive(request("MESSAGE", via: "198.51.100.7:5062;branch=z9hG4bK1")) == ["request MESSAGE"])
        #expect(world.receive(request("FOO", via: "198.51.100.7:5062;branch=z9hG4bK1")) == ["request FOO"])
        #expect(world.receive(request("BAR", via: "198.51.100.7:5062;branch=z9hG4bK1")) == ["request BAR"])
        #expect(world.receive(request("OPTIONS", via: "198.51.100.7:5062;branch=z9hG4bK1")) == ["absorbed OPTIONS"])
        #expect(world.layer.count == 7)
    }

    @Test("a peer of RFC 2543 without the cookie is matched by its headers", arguments: ["1", "", "z9hG4bK"])
    mutating func oldPeer(branch: String) {
        let via = "198.51.100.7:5062" + (branch.isEmpty ? "" : ";branch=\(branch)")
        let first = request("INVITE", via: via)
        #expect(world.receive(first) == ["request INVITE", "send 100"])
        #expect(world.receive(first) == ["absorbed INVITE", "resend 100"])
        #expect(world.receive(request("INVITE", via: via, callID: "other")) == ["request INVITE", "send 100"])
        #expect(world.receive(request("INVITE", via: via, cseq: 2)) == ["request INVITE", "send 100"])
        #expect(world.receive(request("INVITE", via: via, fromTag: "x")) == ["request INVITE", "send 100"])
        #expect(world.layer.count == 4)
    }

    @Test("an old peer's CANCEL and ACK find the INVITE by its headers")
    mutating func oldPeerCancelAndACK() {
        let via = "198.51.100.7:5062;branch=1"
        _ = world.receive(request("INVITE", via: via))
        let invite = world.lastRequest
        #expect(world.receive(request("CANCEL", via: via)) == ["request CANCEL"])
        #expect(world.layer.invite(cancelledBy: world.lastMessage) == invite)
        #expect(world.respond(487, to: invite) == ["send 487"])
        #expect(world.receive(request("ACK", via: via, toTag: "ours")) == ["absorbed ACK"])
        #expect(world.run(for: .milliseconds(5_000)) == ["ended"])
    }

    @Test("CANCEL opens a transaction of its own and names its INVITE by branch and sent-by")
    mutating func cancel() {
        _ = world.receive(request("INVITE"))
        let invite = world.lastRequest
        #expect(world.receive(request("CANCEL")) == ["request CANCEL"])
        #expect(world.layer.invite(cancelledBy: world.lastMessage) == invite)
        #expect(world.respond(200) == ["send 200"])
        #expect(world.receive(request("CANCEL")) == ["absorbed CANCEL", "resend 200"])
        _ = world.receive(request("CANCEL", via: "198.51.100.7:5062;branch=z9hG4bKother"))
        #expect(world.layer.invite(cancelledBy: world.lastMessage) == nil)
    }

    @Test("the ACK for a refusal ends its retransmission and goes no further")
    mutating func refusalACK() {
        _ = world.receive(request("INVITE"))
        #expect(world.respond(486) == ["send 486"])
        #expect(world.run(for: .milliseconds(1_600)) == ["resend 486", "resend 486"])
        #expect(world.receive(request("ACK", toTag: "ours")) == ["absorbed ACK"])
        #expect(world.receive(request("ACK", toTag: "ours")) == ["absorbed ACK"])
        #expect(world.run(for: .seconds(60)) == ["ended"])
        #expect(world.layer.count == 0)
    }

    @Test("a refusal without ACK is given up after 64*T1")
    mutating func refusalWithoutACK() {
        _ = world.receive(request("INVITE"))
        _ = world.respond(486)
        let seen = world.run(for: .seconds(40))
        #expect(seen.count { $0 == "resend 486" } == 10)
        #expect(seen.suffix(2) == ["timed out", "ended"])
        #expect(world.now == clockStart + .seconds(32))
    }

    @Test("the ACK for a 2xx goes to the dialog, whatever its branch")
    mutating func successACK() {
        _ = world.receive(request("INVITE"))
        #expect(world.respond(200) == ["send 200"])
        #expect(world.receive(request("ACK", via: "198.51.100.7:5062;branch=z9hG4bKack", toTag: "ours")) == ["ACK"])
        #expect(world.receive(request("ACK", toTag: "ours")) == ["ACK"])
        #expect(world.receive(request("INVITE")) == ["absorbed INVITE"])
        #expect(world.respond(200) == ["resend 200"])
        #expect(world.respond(486) == [])
        #expect(world.run(for: .seconds(40)) == ["ended"])
        #expect(world.receive(request("ACK", toTag: "ours")) == ["ACK"])
        #expect(world.respond(200) == [])
    }

    @Test("a request is remembered 64*T1 after its answer, and is new after that")
    mutating func forgotten() {
        _ = world.receive(request("OPTIONS"))
        _ = world.respond(200)
        #expect(world.run(for: .milliseconds(31_999)) == [])
        #expect(world.receive(request("OPTIONS")) == ["absorbed OPTIONS", "resend 200"])
        #expect(world.run(for: .milliseconds(1)) == ["ended"])
        #expect(world.receive(request("OPTIONS")) == ["request OPTIONS"])
    }

    // MARK: Client transactions

    @Test("an INVITE is sent again until something comes, and given up after 64*T1")
    mutating func inviteTimeout() {
        #expect(world.send("INVITE") == ["send INVITE"])
        let seen = world.run(for: .seconds(60))
        #expect(seen == Array(repeating: "resend INVITE", count: 6) + ["timed out", "ended"])
        #expect(world.now == clockStart + .seconds(32))
        #expect(world.receive(response(200, to: "INVITE")) == ["stray 200"])
    }

    @Test("a response belongs to the transaction of its branch and its CSeq method (RFC 3261 §17.1.3)")
    mutating func clientMatching() {
        _ = world.send("INVITE", branch: "z9hG4bKi")
        _ = world.send("BYE", branch: "z9hG4bKb")
        #expect(world.receive(response(180, to: "INVITE", branch: "z9hG4bKx")) == ["stray 180"])
        #expect(world.receive(response(200, to: "BYE", branch: "z9hG4bKi")) == ["stray 200"])
        #expect(world.receive(response(200, to: "INVITE", branch: "z9hG4bKb")) == ["stray 200"])
        #expect(world.receive(response(180, to: "INVITE", branch: "z9hG4bKi")) == ["response 180"])
        #expect(world.receive(response(200, to: "BYE", branch: "z9hG4bKb")) == ["response 200"])
        #expect(world.receive(response(200, to: "BYE", branch: "z9hG4bKb")) == ["absorbed BYE"])
    }

    @Test("CANCEL shares the branch of its INVITE; their responses are told apart by CSeq")
    mutating func cancelResponses() {
        _ = world.send("INVITE", branch: "z9hG4bKi")
        _ = world.receive(response(180, to: "INVITE", branch: "z9hG4bKi"))
        #expect(world.send("CANCEL", branch: "z9hG4bKi") == ["send CANCEL"])
        let cancel = world.lastSent
        #expect(world.receive(response(200, to: "CANCEL", branch: "z9hG4bKi")) == ["response 200"])
        #expect(world.lastAnswered == cancel)
        #expect(world.receive(response(487, to: "INVITE", branch: "z9hG4bKi")) == ["send ACK", "response 487"])
        #expect(world.lastAnswered != cancel)
    }

    @Test("a request is kept while something may be made of it: until it was accepted", arguments: [(200, false), (401, true)])
    mutating func keptRequest(status: Int, isKept: Bool) throws {
        _ = world.send("INVITE", branch: "z9hG4bKi")
        let id = try #require(world.lastSent)
        #expect(world.layer.sentRequest(id) != nil)
        _ = world.receive(response(status, to: "INVITE", branch: "z9hG4bKi"))
        #expect((world.layer.sentRequest(id) != nil) == isKept && world.layer.count == 1)
        #expect((world.layer.sentRequest(branch: "z9hG4bKi", method: .invite) != nil) == isKept)
    }

    @Test("a refusal is acknowledged with the INVITE's branch and URI and the response's To, again for each copy")
    mutating func refusalIsAcknowledged() throws {
        _ = world.send("INVITE", branch: "z9hG4bKi", route: "<sip:198.51.100.9;lr>")
        let refusal = response(486, to: "INVITE", branch: "z9hG4bKi", toTag: "theirs")
        #expect(world.receive(refusal) == ["send ACK", "response 486"])
        let ack = try #require(LayerWorld.parse(world.lastOctets))
        #expect(ack.topVia.branchText == "z9hG4bKi")
        #expect(ack.cseq.number == 1 && ack.method == .ack)
        #expect(String(decoding: ack.requestURI, as: UTF8.self) == "sip:you@198.51.100.7")
        #expect(ack.text(.to) == "<sip:you@198.51.100.7>;tag=theirs")
        #expect(ack.text(.route) == "<sip:198.51.100.9;lr>")
        #expect(ack.first(.contact) == nil && ack.body.isEmpty)
        #expect(world.receive(refusal) == ["absorbed INVITE", "send ACK"])
        #expect(world.receive(response(180, to: "INVITE", branch: "z9hG4bKi")) == ["absorbed INVITE"])
        #expect(world.run(for: .seconds(40)) == ["ended"])
        #expect(world.receive(refusal) == ["stray 486"])
    }

    @Test("each 2xx of a fork is handed up for 64*T1; a late provisional is not")
    mutating func forks() {
        _ = world.send("INVITE", branch: "z9hG4bKi")
        #expect(world.receive(response(180, to: "INVITE", branch: "z9hG4bKi", toTag: "a")) == ["response 180"])
        #expect(world.receive(response(200, to: "INVITE", branch: "z9hG4bKi", toTag: "a")) == ["response 200"])
        #expect(world.receive(response(200, to: "INVITE", branch: "z9hG4bKi", toTag: "b")) == ["response 200"])
        #expect(world.receive(response(180, to: "INVITE", branch: "z9hG4bKi", toTag: "b")) == ["absorbed INVITE"])
        #expect(world.run(for: .seconds(40)) == ["ended"])
        #expect(world.now == clockStart + .seconds(32))
    }

    @Test("CANCEL limits the wait for a callee that stays silent to 64*T1 (RFC 3261 §9.1)")
    mutating func cancelledAndSilent() {
        _ = world.send("INVITE")
        _ = world.receive(response(180, to: "INVITE"))
        #expect(world.run(for: .seconds(600)) == [])
        world.layer.cancelSent(world.lastSent!, now: world.now)
        #expect(world.run(for: .seconds(600)) == ["timed out", "ended"])
    }

    @Test("a request the network refuses fails at once")
    mutating func refusedByNetwork() {
        _ = world.send("INVITE")
        #expect(world.transportFailed() == ["transport failed", "ended"])
        #expect(world.transportFailed() == [])
        #expect(world.layer.count == 0)
        #expect(world.run(for: .seconds(60)) == [])
    }

    // MARK: All together

    @Test("no transaction outlives its last timer, whatever comes in")
    func everythingEnds() {
        for seed in 1...200 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var world = LayerWorld()
            let methods = ["INVITE", "OPTIONS", "BYE", "CANCEL", "ACK", "FOO"]
            for step in 0..<60 {
                let via = "198.51.100.\(Int.random(in: 7...8, using: &random)):5062;branch=z9hG4bK"
                    + "\(Int.random(in: 1...4, using: &random))"
                let method = methods.randomElement(using: &random)!
                switch Int.random(in: 0..<6, using: &random) {
                case 0...1:
                    _ = world.receive(request(method, via: via))
                    if method != "ACK", let id = world.lastRequest, method != "INVITE" {
                        _ = world.respond(200, to: id)  // its user answers every request sooner or later
                    }
                case 2:
                    for id in world.requests {
                        _ = world.respond([180, 200, 486].randomElement(using: &random)!, to: id)
                    }
                case 3: _ = world.send(["INVITE", "BYE"].randomElement(using: &random)!, branch: "z9hG4bKout\(step)")
                case 4:
                    _ = world.receive(
                        response(
                            [100, 180, 200, 486].randomElement(using: &random)!,
                            to: ["INVITE", "BYE"].randomElement(using: &random)!,
                            branch: "z9hG4bKout\(Int.random(in: 0...step, using: &random))"))
                default: _ = world.run(for: .milliseconds(Int.random(in: 0...9_000, using: &random)))
                }
                if let due = world.layer.nextDeadline { #expect(due > world.now, "seed \(seed)") }
            }
            for id in world.requests { _ = world.respond(500, to: id) }
            for id in world.sent { world.layer.cancelSent(id, now: world.now) }
            _ = world.run(for: .seconds(65))
            #expect(world.layer.count == 0, "seed \(seed)")
            #expect(world.layer.nextDeadline == nil, "seed \(seed)")
        }
    }

    // MARK: Helpers

    private func request(
        _ method: String, via: String = "198.51.100.7:5062;branch=z9hG4bK1;rport", callID: String = "c1", cseq: Int = 1,
        fromTag: String = "f", toTag: String? = nil
    ) -> String {
        """
        \(method) sip:100@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP \(via)
        From: <sip:ada@a.example>;tag=\(fromTag)
        To: <sip:100@b.example>\(toTag.map { ";tag=\($0)" } ?? "")
        Call-ID: \(callID)
        CSeq: \(cseq) \(method)
        Max-Forwards: 70


        """
    }

    private func response(_ status: Int, to method: String, branch: String = "z9hG4bKi", toTag: String = "t") -> String {
        """
        SIP/2.0 \(status) Fine
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=\(branch)
        From: <sip:me@192.0.2.1>;tag=mine
        To: <sip:you@198.51.100.7>;tag=\(toTag)
        Call-ID: c2
        CSeq: 1 \(method)


        """
    }
}

/// Which request an ICMP error is about.
@Suite struct UnheardRequestTests {
    private let peer = SocketAddress("198.51.100.7:5062")!
    private var world = LayerWorld()

    @Test("by branch, method and destination, while nothing was heard", arguments: ["INVITE", "OPTIONS"])
    mutating func matching(method: String) {
        _ = world.send(method, branch: "z9hG4bKa")
        let (id, octets) = (world.lastSent, world.lastOctets)
        _ = world.send(method, branch: "z9hG4bKb")
        #expect(world.layer.unheard(quoted: octets, sentTo: peer) == id)
        #expect(world.layer.unheard(quoted: Array(octets.prefix(90)), sentTo: peer) == id)
        #expect(world.layer.unheard(quoted: octets, sentTo: SocketAddress("198.51.100.7:5063")!) == nil)
        let other = String(decoding: octets, as: UTF8.self)
        #expect(world.layer.unheard(quoted: Array(other.replacing("z9hG4bKa", with: "z9hG4bKc").utf8), sentTo: peer) == nil)
        #expect(world.layer.unheard(quoted: Array(other.replacing(method, with: "BYE").utf8), sentTo: peer) == nil)
        _ = world.receive(response(100, method, branch: "z9hG4bKa"))
        #expect(world.layer.unheard(quoted: octets, sentTo: peer) == nil)
    }

    @Test("what lacks the whole branch names no request; it may be the newest one to a destination that was never heard")
    mutating func shortQuotes() {
        _ = world.send("INVITE", branch: "z9hG4bKa")
        let octets = world.lastOctets
        let cut = Array(octets.prefix(60))
        #expect(TransactionLayer.isShort(cut) && TransactionLayer.isShort([]) && !TransactionLayer.isShort(octets))
        #expect(world.layer.unheard(quoted: cut, sentTo: peer) == nil)
        #expect(world.layer.unheard(beginningWith: cut, sentTo: peer, now: world.now) == world.lastSent)
        _ = world.send("OPTIONS", branch: "z9hG4bKb")
        let options = world.lastSent
        #expect(world.layer.unheard(beginningWith: [], sentTo: peer, now: world.now) == options)
        #expect(world.layer.unheard(beginningWith: cut, sentTo: peer, now: world.now) == world.sent[0])
        #expect(world.layer.unheard(beginningWith: cut, sentTo: SocketAddress("198.51.100.8:5062")!, now: world.now) == nil)
        #expect(world.layer.unheard(beginningWith: cut, sentTo: peer, now: world.now + .seconds(5)) == nil)
        _ = world.receive(response(200, "OPTIONS", branch: "z9hG4bKb"))
        #expect(world.layer.unheard(beginningWith: cut, sentTo: peer, now: world.now) == nil)
    }

    private func response(_ status: Int, _ method: String, branch: String) -> String {
        """
        SIP/2.0 \(status) Fine
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=\(branch)
        From: <sip:me@192.0.2.1>;tag=mine
        To: <sip:you@198.51.100.7>;tag=yours
        Call-ID: c2
        CSeq: 1 \(method)
        Content-Length: 0


        """
    }
}

/// The layer, with its outputs told in words.
private struct LayerWorld {
    var layer = TransactionLayer()
    private(set) var now = clockStart
    private(set) var lastRequest: TransactionID?
    private(set) var lastMessage: SIPMessage!
    private(set) var lastSent: TransactionID?
    private(set) var lastAnswered: TransactionID?
    private(set) var lastOctets: [UInt8] = []
    private(set) var lastDestination: Flow?
    private(set) var requests: [TransactionID] = []
    private(set) var sent: [TransactionID] = []
    private static let peer = Flow(udp: SocketAddress("198.51.100.7:5062")!)

    static func parse(_ octets: [UInt8]) -> SIPMessage? {
        if case .message(let message) = SIPMessage.parse(octets) { message } else { nil }
    }

    mutating func receive(_ text: String) -> [String] {
        let message = Self.parse(Array(text.replacing("\n", with: "\r\n").utf8))!
        lastMessage = message
        return told { $0.receive(message, from: Self.peer, now: $1, outputs: &$2) }
    }

    mutating func respond(_ status: Int, to id: TransactionID? = nil) -> [String] {
        guard let id = id ?? lastRequest else { return [] }
        let octets = MessageBuilder(response: status).finish()
        return told { $0.respond(id, status: status, octets, now: $1, outputs: &$2) }
    }

    mutating func send(_ method: String, branch: String = "z9hG4bKi", route: String? = nil) -> [String] {
        let kind = Method.allCases.first { $0.text == method }!
        var builder = MessageBuilder(request: kind, uri: "sip:you@198.51.100.7")
        builder.add(.via, "SIP/2.0/UDP 192.0.2.1:5060;branch=\(branch)")
        if let route { builder.add(.route, route) }
        builder.add(.from, "<sip:me@192.0.2.1>;tag=mine")
        builder.add(.to, "<sip:you@198.51.100.7>")
        builder.add(.callID, "c2")
        builder.add(.cseq, "1 \(method)")
        builder.add(.contact, "<sip:192.0.2.1>")
        let octets = builder.finish()
        var id: TransactionID?
        let seen = told { id = $0.send(octets, method: kind, branch: ViaBranch(stringLiteral: branch), to: Self.peer, now: $1, outputs: &$2) }
        lastSent = id
        sent.append(id!)
        return seen
    }

    mutating func transportFailed() -> [String] {
        let id = lastSent!
        return told { layer, now, outputs in layer.transportFailed(id, now: now, outputs: &outputs) }
    }

    /// Goes from deadline to deadline; the clock stops at the last one that did something, else at the end.
    mutating func run(for duration: Duration) -> [String] {
        let end = now + duration
        var seen: [String] = []
        while let due = layer.nextDeadline, due <= end {
            now = due
            seen += told { $0.advance(to: $1, outputs: &$2) }
        }
        if layer.nextDeadline != nil { now = end }
        return seen
    }

    private mutating func told(
        _ body: (inout TransactionLayer, Instant, inout [TransactionLayer.Output]) -> Void
    ) -> [String] {
        var outputs: [TransactionLayer.Output] = []
        body(&layer, now, &outputs)
        return outputs.map { output in
            switch output {
            case .send(let sent):
                lastOctets = sent.octets
                lastDestination = sent.destination
                let words = String(decoding: sent.octets.prefix(60), as: UTF8.self).split(separator: " ")
                return (sent.isRetransmission ? "resend " : "send ") + (words[0] == "SIP/2.0" ? words[1] : words[0])
            case .request(let id, let message, _):
                lastRequest = id
                requests.append(id)
                return "request \(message.methodText)"
            case .acknowledgement: return "ACK"
            case .response(let id, let message, _):
                lastAnswered = id
                return "response \(message.status!)"
            case .absorbed(_, let message): return "absorbed \(message.methodText)"
            case .strayResponse(let message): return "stray \(message.status!)"
            case .timedOut: return "timed out"
            case .transportFailed: return "transport failed"
            case .ended: return "ended"
            }
        }
    }
}
