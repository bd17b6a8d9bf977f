import Configuration
import Control
import ControlProtocol
import Core
import NG
import Relay
import Testing

/// What a proxy is answered, command by command.
@Suite struct NGCallSpecificationTests {
    private static let offered = NGWorld.audio("198.51.100.1", port: 30_000)
    private static let answered = NGWorld.audio("198.51.100.2", port: 40_000)

    // MARK: One call

    @Test("offer, answer, delete: each side is told a port of the relay's, and everything is given back")
    func call() throws {
        let world = NGWorld()
        let offer = world.offer("c", from: "a", Self.offered)
        #expect(offer.result == "ok" && offer.address() == "203.0.113.1")
        let answer = world.answer("c", from: "a", to: "b", Self.answered)
        #expect(answer.result == "ok" && answer.address() == "203.0.113.1")
        let ports = [try #require(offer.port()), try #require(answer.port())]
        #expect(Set(ports).count == 2 && ports.allSatisfy { world.configuration.media.ports.contains($0) && $0 % 2 == 0 })
        #expect(offer.line("a=rtcp:") == "\(ports[0] + 1)")
        #expect(world.expectations(.caller).map(\.rtp) == [SocketAddress("198.51.100.1:30000")!])
        #expect(world.expectations(.callee).map(\.rtp) == [SocketAddress("198.51.100.2:40000")!])
        #expect(world.delete("c", from: "a", to: "b", ["delete-delay": .integer(0)]).result == "ok")
        #expect(world.release(of: "c")?.cause == "normal")
        world.checkEnd()
        #expect(world.problems == [])
    }

    /// The relay is opened with the caller's socket first: what the callee is told is the port of its own leg.
    @Test("each side is told the socket of its own leg")
    func sides() throws {
        let world = NGWorld()
        let ports = world.establish("c")
        guard case .open(_, let caller, let callee)? = world.commands.first else {
            Issue.record("nothing was opened")
            return
        }
        #expect(caller.port == ports.towardsCaller && callee.port == ports.towardsCallee)
    }

    @Test("the answer to an offer waits for its sockets")
    func waits() {
        let world = NGWorld()
        world.send("offer", NGWorld.entries("c", "a", nil, Self.offered))
        #expect(world.answers.isEmpty && world.sessions.count == 1)
        world.run(for: .milliseconds(200))
        #expect(world.answers.map(\.result) == ["ok"])
    }

    @Test("ports stay over re-offers of either side, and the tags are exchanged when the callee offers")
    func reoffers() {
        let world = NGWorld()
        let ports = world.establish("c")
        let held = world.offer("c", from: "a", to: "b", NGWorld.audio("198.51.100.1", "sendonly"))
        #expect(held.port() == ports.towardsCallee && held.lines.contains("a=sendonly"))
        #expect(world.answer("c", from: "a", to: "b", Self.answered).port() == ports.towardsCaller)
        // From the callee: `from` is its tag. It is told the caller's address, the caller the callee's.
        let moved = world.offer("c", from: "b", to: "a", NGWorld.audio("198.51.100.3", port: 41_000))
        #expect(moved.port() == ports.towardsCaller)
        #expect(world.answer("c", from: "b", to: "a", Self.offered).port() == ports.towardsCallee)
        #expect(world.expectations(.callee).last?.rtp == SocketAddress("198.51.100.3:41000"))
        #expect(world.expectations(.caller).allSatisfy { $0.rtp == SocketAddress("198.51.100.1:30000") })
        #expect(world.sessions.count == 1 && world.problems == [])
    }

    @Test("an offer in the 200 and its answer in the ACK: the side that offers first is the callee of the dialog")
    func lateOffer() {
        let world = NGWorld()
        let offer = world.offer("c", from: "b", to: "a", Self.answered)
        let answer = world.answer("c", from: "b", to: "a", Self.offered)
        #expect(offer.result == "ok" && answer.result == "ok")
        // A re-offer of the dialog's caller belongs to the same legs.
        #expect(world.offer("c", from: "a", to: "b", Self.offered).port() == answer.port())
        #expect(world.answer("c", from: "a", to: "b", Self.answered).port() == offer.port())
        #expect(world.sessions.count == 1)
    }

    @Test("an answer to the 183 and another one to the 200 are told the same port")
    func earlyMedia() {
        let world = NGWorld()
        let offer = world.offer("c", from: "a", Self.offered)
        let progress = world.answer("c", from: "a", to: "b", Self.answered)
        let final = world.answer("c", from: "a", to: "b", Self.answered)
        #expect(offer.result == "ok" && progress.port() == final.port() && progress.lines == final.lines)
        #expect(world.events.filter { $0.name == .callAnswered }.count == 1)
    }

    // MARK: Forks

    @Test("branches of a fork share the call; the media are those of whoever answered last")
    func forks() {
        let world = NGWorld()
        let first = world.offer("c", from: "a", Self.offered, ["via-branch": .text("z9hG4bK1.0")])
        let second = world.offer("c", from: "a", Self.offered, ["via-branch": .text("z9hG4bK1.1")])
        #expect(first.port() == second.port())
        let progress = world.answer("c", from: "a", to: "b1", NGWorld.audio("198.51.100.11"))
        let final = world.answer("c", from: "a", to: "b2", NGWorld.audio("198.51.100.12"))
        #expect(progress.port() == final.port())
        #expect(world.expectations(.callee).map(\.rtp.ip.description) == ["198.51.100.11", "198.51.100.12"])
        // A re-INVITE of the branch that answered.
        let reoffer = world.offer("c", from: "b2", to: "a", NGWorld.audio("198.51.100.12", port: 31_000))
        #expect(reoffer.port() == final.port())
        #expect(world.sessions.count == 1)
    }

    @Test("a delete for a branch that lost leaves the call to the one that answered", arguments: [true, false])
    func losingBranch(hasAnswered: Bool) {
        let world = NGWorld()
        _ = world.offer("c", from: "a", Self.offered)
        if hasAnswered { _ = world.answer("c", from: "a", to: "b1", NGWorld.audio("198.51.100.11")) }
        _ = world.answer("c", from: "a", to: "b2", NGWorld.audio("198.51.100.12"))
        // 487 after the proxy's CANCEL.
        let reply = world.delete("c", from: "a", to: "b1")
        #expect(reply.result == "ok")
        #expect((reply.warning == "Call-ID not found or tags didn't match") == !hasAnswered)
        world.run(for: .seconds(45))
        #expect(world.release(of: "c") == nil)
        // The other one's BYE ends it.
        _ = world.delete("c", from: "b2", to: "a")
        world.run(for: .seconds(31))
        #expect(world.release(of: "c")?.cause == "normal")
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a delete with the Via branch of one fork leaves the others ringing")
    func losingViaBranch() {
        let world = NGWorld()
        for branch in ["1.0", "1.1"] { _ = world.offer("c", from: "a", Self.offered, ["via-branch": .text(branch)]) }
        #expect(world.delete("c", from: "a", to: "busy", ["via-branch": .text("1.0")]).result == "ok")
        world.run(for: .seconds(45))
        #expect(world.answer("c", from: "a", to: "b", Self.answered, ["via-branch": .text("1.1")]).result == "ok")
        #expect(world.delete("c", from: "a", to: "b", ["via-branch": .text("bye"), "delete-delay": .integer(0)]).result == "ok")
        #expect(world.release(of: "c")?.cause == "normal")
    }

    @Test("every branch of a fork refused: the last delete ends the call")
    func allBranchesRefused() {
        let world = NGWorld()
        for branch in ["1.0", "1.1"] { _ = world.offer("c", from: "a", Self.offered, ["via-branch": .text(branch)]) }
        for branch in ["1.0", "1.1"] {
            _ = world.delete("c", from: "a", to: "t\(branch)", ["via-branch": .text(branch), "delete-delay": .integer(0)])
        }
        #expect(world.release(of: "c")?.cause == "normal")
    }

    // MARK: Delete

    @Test("delete waits for its delay, and signalling of the call takes it back", arguments: ["offer", "answer"])
    func deleteDelay(takenBackBy command: String) {
        let world = NGWorld()
        world.establish("c")
        _ = world.delete("c", from: "a", to: "b")
        world.run(for: .seconds(20))
        #expect(world.ask(command, NGWorld.entries("c", "a", "b", Self.offered)).result == "ok")
        world.run(for: .seconds(20))
        #expect(world.release(of: "c") == nil)
        let start = world.time
        _ = world.delete("c", from: "a", to: "b", ["delete-delay": .integer(5)])
        world.run(for: .seconds(10))
        let end = world.release(of: "c")?.at ?? .zero
        #expect(end >= start + .seconds(5) && end <= start + .seconds(5.2))
    }

    @Test("a CANCEL's delete without a to-tag, and one without any tag, mean the whole call", arguments: ["a", nil])
    func wholeCall(from: String?) {
        let world = NGWorld()
        _ = world.offer("c", from: "a", Self.offered)
        #expect(world.delete("c", from: from, ["delete-delay": .integer(0)]).warning == nil)
        #expect(world.release(of: "c")?.cause == "normal")
    }

    @Test("a refusal's delete names a to-tag that never answered: it means the call, as nobody else did")
    func refusal() {
        let world = NGWorld()
        _ = world.offer("c", from: "a", Self.offered)
        #expect(world.delete("c", from: "a", to: "busy", ["delete-delay": .integer(0)]).warning == nil)
        #expect(world.release(of: "c")?.cause == "normal")
    }

    @Test("delete of an unknown call or of other tags is no error, but with the flag fatal")
    func unknownDelete() {
        let world = NGWorld()
        world.establish("c")
        for (call, from, to) in [("x", "a", nil), ("c", "x", nil), ("c", "x", "y")] as [(String, String, String?)] {
            let reply = world.delete(call, from: from, to: to)
            #expect(reply.result == "ok" && reply.warning == "Call-ID not found or tags didn't match")
            let fatal = world.delete(call, from: from, to: to, NGWorld.flags("fatal"))
            #expect(fatal.result == "error" && fatal.reason == "Call-ID not found or tags didn't match")
        }
        world.run(for: .seconds(40))
        #expect(world.release(of: "c") == nil)
    }

    @Test("a delete while sockets are being opened answers the offer and leaves nothing behind")
    func deleteWhileOpening() {
        let world = NGWorld()
        world.send("offer", NGWorld.entries("c", "a", nil, Self.offered))
        world.send("delete", NGWorld.entries("c", "a", nil, nil, ["delete-delay": .integer(0)]))
        #expect(world.answers.count == 2)
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("what is missing or unknown is said in rtpengine's words")
    func errors() {
        let world = NGWorld()
        func reason(_ command: String, _ entries: NGDictionary) -> String? { world.ask(command, entries).reason }
        #expect(reason("offer", ["from-tag": .text("a"), "sdp": .text(Self.offered)]) == "No call-id in message")
        #expect(reason("offer", ["call-id": .text("c"), "sdp": .text(Self.offered)]) == "No from-tag in message")
        #expect(reason("offer", NGWorld.entries("c", "a")) == "No SDP body in message")
        #expect(reason("offer", NGWorld.entries("c", "a", nil, "nonsense")) == "Failed to parse SDP")
        #expect(reason("answer", NGWorld.entries("c", "a", nil, Self.offered)) == "No to-tag in message")
        #expect(reason("answer", NGWorld.entries("c", "a", "b", Self.offered)) == "Unknown call-id")
        #expect(reason("query", NGWorld.entries("c", "a")) == "Unknown call-id")
        #expect(reason("dance", [:]) == "Unrecognized command")
        #expect(world.control.callCount == 0 && world.sessions.isEmpty)
    }

    // MARK: Limits

    @Test("out of ports in exactly the words that take the call to another node")
    func outOfPorts() {
        let world = NGWorld(ports: 10_000...10_007)
        world.establish("c1")
        #expect(world.offer("c2", from: "a", Self.offered).result == "ok")
        let refused = world.offer("c3", from: "a", Self.offered)
        #expect(refused.result == "error" && refused.reason == "Ran out of ports")
        #expect(world.offer("c1", from: "a", to: "b", Self.offered).result == "ok", "a call that is up goes on")
        for id in ["c1", "c2"] { _ = world.delete(id, ["delete-delay": .integer(0)]) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a medium too many leaves the call that is up as it was")
    func outOfPortsForSecondMedium() {
        let world = NGWorld(ports: 10_000...10_003)
        let ports = world.establish("c")
        let video = NGWorld.audio("198.51.100.1", more: "m=video 32000 RTP/AVP 96\r\n")
        #expect(world.offer("c", from: "a", to: "b", video).reason == "Ran out of ports")
        #expect(world.offer("c", from: "a", to: "b", Self.offered).port() == ports.towardsCallee)
    }

    @Test("the session limit and draining are a load limit, or an error for those who know none")
    func sessionLimit() {
        let world = NGWorld { $0.limits.calls = 1 }
        world.establish("c")
        let refused = world.offer("c2", from: "a", Self.offered)
        #expect(refused.result == "load limit")
        #expect(refused.dictionary["message"]?.text == "Parallel session limit reached")
        let old = world.offer("c2", from: "a", Self.offered, ["supports": .list([])])
        #expect(old.result == "error" && old.reason == "Parallel session limit reached")
        _ = world.delete("c", ["delete-delay": .integer(0)])
        world.run(for: .seconds(1))
        world.control.isDraining = true
        #expect(world.offer("c3", from: "a", Self.offered).result == "load limit")
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a port somebody else holds is no reason to refuse a call")
    func openRetries() {
        let world = NGWorld()
        world.worker.openFailure = 1
        let refused = world.offer("c", from: "a", Self.offered)
        #expect(refused.reason == "Ran out of ports")
        #expect(world.commands.count { if case .open = $0 { true } else { false } } == 4)
        world.checkEnd()
        world.worker.openFailure = 0.3
        for id in 0..<30 { #expect(world.offer("d\(id)", from: "a", Self.offered).result == "ok") }
        for id in 0..<30 { _ = world.delete("d\(id)", ["delete-delay": .integer(0)]) }
        world.checkEnd()
        #expect(world.problems == [])
    }

    // MARK: Repetitions

    @Test("a repeated cookie gets the identical answer, and while sockets are being opened none of its own")
    func repetition() {
        let world = NGWorld()
        let entries = NGWorld.entries("c", "a", nil, Self.offered)
        for _ in 0..<3 { world.send("offer", entries, cookie: "k") }
        #expect(world.answers.isEmpty)
        world.run(for: .milliseconds(200))
        #expect(world.answers.count == 1 && world.sessions.count == 1)
        world.send("offer", entries, cookie: "k")
        #expect(world.answers.count == 2 && world.answers[0].octets == world.answers[1].octets)
        #expect(world.counters[.ngRetransmissions] == 3)
        // Also long after the call is gone.
        let deletion = NGWorld.entries("c", "a", nil, nil, ["delete-delay": .integer(0)])
        world.send("delete", deletion, cookie: "l")
        world.run(for: .seconds(5))
        world.send("delete", deletion, cookie: "l")
        #expect(world.answers.suffix(2).map(\.warning) == [nil, nil])
        #expect(world.answers[2].octets == world.answers[3].octets)
    }

    @Test("another command with the same cookie is carried out")
    func sameCookie() {
        let world = NGWorld()
        #expect(world.ask("ping", cookie: "k").result == "pong")
        #expect(world.ask("offer", NGWorld.entries("c", "a", nil, Self.offered), cookie: "k").port() != nil)
        #expect(world.ask("answer", NGWorld.entries("c", "a", "b", Self.answered), cookie: "k").port() != nil)
        #expect(world.ask("offer", NGWorld.entries("d", "a", nil, Self.offered), cookie: "k").port() != nil)
        #expect(world.control.callCount == 2)
    }

    @Test("the answer goes to where its request came from, though another proxy sent the last one")
    func clients() {
        let world = NGWorld()
        let other = NGClient.datagram(SocketAddress("192.0.2.51:40000")!)
        world.send("offer", NGWorld.entries("c1", "a", nil, Self.offered))
        world.send("offer", NGWorld.entries("c2", "a", nil, Self.offered), from: other)
        world.run(for: .milliseconds(200))
        #expect(Set(world.answers.map { "\($0.cookie) \($0.client)" }) == ["c1 \(NGWorld.proxy)", "c2 \(other)"])
    }

    // MARK: Media

    @Test("each medium has ports of its own; a declined one has none and comes back declined")
    func severalMedia() {
        let world = NGWorld()
        let media = "m=video 32000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 0 RTP/AVP 8\r\n"
        let offer = world.offer("c", from: "a", NGWorld.audio("198.51.100.1", more: media))
        #expect(offer.port(medium: 2) == 0)
        #expect(Set((0..<2).compactMap { offer.port(medium: $0) }).subtracting([0]).count == 2)
        #expect(world.sessions.count == 2)
        let declined = "m=video 0 RTP/AVP 96\r\nm=audio 0 RTP/AVP 8\r\n"
        let answer = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2", more: declined))
        #expect(answer.port() != 0 && answer.port(medium: 1) == 0 && answer.port(medium: 2) == 0)
        #expect(world.expectations(.callee).count == 1)
        // Taken in again by a re-offer: the same ports.
        let again = world.offer("c", from: "a", to: "b", NGWorld.audio("198.51.100.1", more: media))
        #expect(again.port(medium: 1) == offer.port(medium: 1))
        _ = world.delete("c", ["delete-delay": .integer(0)])
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("a medium that both sides end with port 0 gives its ports back, and keeps its place in the totals; again it gets others")
    func endedMedium() throws {
        let world = NGWorld()
        let video = "m=video 32000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        let none = "m=video 0 RTP/AVP 96\r\n"
        let offer = world.offer("c", from: "a", NGWorld.audio("198.51.100.1", more: video))
        _ = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2", more: video))
        let port = try #require(offer.port(medium: 1))
        let flow = world.worker.startFlow(to: port, at: world.now)
        world.run(for: .seconds(1))
        flow.end = world.now
        world.run(for: .seconds(1))
        let ended = world.offer("c", from: "a", to: "b", NGWorld.audio("198.51.100.1", more: none))
        #expect(ended.port(medium: 1) == 0 && world.sessions.count == 2, "nothing is agreed yet")
        _ = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2", more: none))
        world.run(for: .seconds(1))
        #expect(world.sessions.count == 1)
        let summary = try #require(world.control.summaries(now: world.now).first)
        #expect(summary.fromCallee.packets >= 50)
        let again = world.offer("c", from: "a", to: "b", NGWorld.audio("198.51.100.1", more: video))
        #expect(again.port() == offer.port() && again.port(medium: 1) != 0 && again.port(medium: 1) != port)
        _ = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2", more: video))
        _ = world.delete("c", ["delete-delay": .integer(0)])
        world.checkEnd()
        #expect(world.problems == [])
    }

    private static let interfaces = [
        MediaInterface(name: "pub", address: IPAddress("192.0.2.1")!, advertised: IPAddress("203.0.113.1")!),
        MediaInterface(name: "pub", address: IPAddress("2001:db8::1")!),
        MediaInterface(name: "priv", address: IPAddress("10.0.0.1")!),
    ]

    @Test("direction chooses an interface for each side, and re-offers of the other side keep it")
    func interfaces() {
        let world = NGWorld { $0.media.interfaces = Self.interfaces }
        let offer = world.offer(
            "c", from: "a", Self.offered, ["direction": .list([.text("priv"), .text("pub")])])
        #expect(offer.address() == "203.0.113.1", "the callee is told the advertised address")
        let answer = world.answer("c", from: "a", to: "b", Self.answered)
        #expect(answer.address() == "10.0.0.1")
        guard case .open(_, let caller, let callee)? = world.commands.first else {
            Issue.record("nothing was opened")
            return
        }
        #expect(caller.ip == IPAddress("10.0.0.1") && callee.ip == IPAddress("192.0.2.1"), "sockets are local")
        let reoffer = world.offer("c", from: "b", to: "a", Self.answered, ["direction": .list([.text("pub"), .text("priv")])])
        #expect(reoffer.address() == "10.0.0.1" && reoffer.port() == answer.port())
    }

    @Test("an IPv6 caller is told an IPv6 address, and address-family chooses the callee's")
    func families() {
        let world = NGWorld { $0.media.interfaces = Self.interfaces }
        let offer = world.offer(
            "c", from: "a", NGWorld.audio("2001:db8::99"), ["address-family": .text("IP4")])
        #expect(offer.address() == "203.0.113.1" && offer.line("c=IN ")?.hasPrefix("IP4") == true)
        let answer = world.answer("c", from: "a", to: "b", Self.answered)
        #expect(answer.address() == "2001:db8::1" && answer.line("c=IN ")?.hasPrefix("IP6") == true)
        // Without a word about it the callee's family is the caller's.
        #expect(world.offer("d", from: "a", NGWorld.audio("2001:db8::99")).address() == "2001:db8::1")
        #expect(world.offer("e", from: "a", Self.offered).address() == "203.0.113.1")
        #expect(world.offer("f", from: "a", Self.offered, ["interface": .text("nobody's")]).result == "ok")
    }

    @Test("media-address is advertised in place of the interface's")
    func mediaAddress() {
        let world = NGWorld()
        let offer = world.offer("c", from: "a", Self.offered, ["media-address": .text("192.0.2.77")])
        #expect(offer.address() == "192.0.2.77")
    }

    @Test("with SIP-source-address media are expected from where the SIP message came, not from the SDP's address")
    func untrustedAddress() {
        let world = NGWorld()
        let received: NGDictionary = ["received-from": .list([.text("IP4"), .text("198.51.100.200")])]
        var untrusted = received
        untrusted["flags"] = .list([.text("SIP-source-address")])
        _ = world.offer("c", from: "a", NGWorld.audio("10.0.0.5"), untrusted)
        _ = world.answer("c", from: "a", to: "b", NGWorld.audio("10.0.0.6"), received)
        #expect(world.expectations(.caller).map(\.rtp) == [SocketAddress("198.51.100.200:30000")!])
        #expect(world.expectations(.caller).map(\.rtcp) == [SocketAddress("198.51.100.200:30001")!])
        // By default the description is trusted; the source of the SIP message is what a NAT would show.
        #expect(world.expectations(.callee).map(\.rtp) == [SocketAddress("10.0.0.6:30000")!])
        #expect(world.expectations(.callee).map(\.signalling) == [IPAddress("198.51.100.200")!])
    }

    // MARK: Reports

    @Test("list, query and statistics know the calls that are there")
    func reports() {
        let world = NGWorld()
        world.establish("c1")
        _ = world.offer("c2", from: "a", Self.offered)
        #expect(world.ask("list").dictionary["calls"]?.list?.compactMap(\.text) == ["c1", "c2"])
        let query = world.ask("query", NGWorld.entries("c1", "a", "b")).dictionary
        #expect(query["result"]?.text == "ok")
        #expect(query["created"]?.number == 1_800_000_000)
        #expect(query["totals"]?.dictionary?["RTP"]?.dictionary?["packets"]?.number == 0)
        #expect(query["tags"]?.dictionary?.entries.map { String(decoding: $0.key, as: UTF8.self) } == ["a", "b"])
        let current = world.ask("statistics").dictionary["statistics"]?.dictionary?["currentstatistics"]?.dictionary
        #expect(current?["sessionstotal"]?.number == 2)
    }
}
