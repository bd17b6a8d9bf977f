import Core
import Harness
import Testing

/// The instruments themselves: that they see what is there, and that they notice what is wrong.
@Suite("harness", .inTurn, .serialized)
struct HarnessTests {
    @Test("two media endpoints hear each other's packets once, in order and unchanged")
    func endpointsHearEachOther() async throws {
        let host = Loopback.host()
        let caller = try MediaEndpoint(on: host, call: 7, party: .caller)
        let callee = try MediaEndpoint(on: host, call: 7, party: .callee)
        defer {
            caller.close()
            callee.close()
        }
        caller.start(to: callee.address)
        callee.start(to: caller.address)
        try await eventually("50 packets") { caller.sentCount >= 50 && callee.sentCount >= 50 }
        caller.sendSenderReport()
        caller.stop()
        callee.stop()
        let sent = caller.sentCount
        try await eventually("the last packet") { callee.heard.numbers.last == sent - 1 }
        try await eventually("the sender report") { callee.heard.senderReports == 1 }
        #expect(callee.heard.numbers == Array(0..<sent))
        #expect(callee.heard.altered == 0)
        #expect(callee.heard.foreign == 0)
        #expect(callee.heard.sources == [caller.address])
    }

    @Test("a media endpoint notices a changed octet, another call's packet, a double and a moved source")
    func endpointNotices() async throws {
        let host = Loopback.host()
        let callee = try MediaEndpoint(on: host, call: 7, party: .callee)
        defer { callee.close() }
        let sender = try UDPSocket(SocketAddress(ip: host, port: 0))
        let stream = MediaStream(call: 7, party: .caller)
        var changed = stream.packet(1)
        changed[100] ^= 1
        for packet in [stream.packet(0), changed, stream.packet(2), stream.packet(2), [1, 2, 3]] {
            sender.send(packet, to: callee.address)
        }
        let elsewhere = try UDPSocket(SocketAddress(ip: host, port: 0))
        elsewhere.send(MediaStream(call: 8, party: .caller).packet(3), to: callee.address)
        try await eventually("six datagrams") { callee.heard.numbers.count + callee.heard.foreign == 6 }
        #expect(callee.heard.numbers == [0, 1, 2, 2, 3])
        #expect(callee.heard.altered == 2)
        #expect(callee.heard.foreign == 1)
        #expect(callee.heard.sources == [sender.address, elsewhere.address])
    }

    @Test("SIPp's trace is read into times, directions and whole messages", .needs(.sipp))
    func sippTrace() async throws {
        let host = Loopback.host()
        let carrier = SocketAddress(ip: host, port: 5080)
        let callee = try await SIPp.start(.init("callee-stays-rtp", at: carrier))
        let caller = try await SIPp.start(
            .init("caller-hangs-up-rtp", at: SocketAddress(ip: host, port: 5070), calling: carrier))
        try await caller.succeeds()
        try await callee.succeeds()
        #expect(caller.messages.map(\.title) == ["INVITE", "180 Ringing", "200 OK", "ACK", "BYE", "200 OK"])
        #expect(caller.messages.map { $0.direction == .sent } == [true, false, false, true, true, false])
        #expect(caller.messages.map(\.microseconds) == caller.messages.map(\.microseconds).sorted())
        let invite = try #require(callee.received("INVITE").first)
        #expect(invite.header("CSeq") == "1 INVITE")
        #expect(invite.mediaAddress?.ip == host)
        #expect(invite.sdpLines("s=") == ["a call through relayd"])
    }

    @Test("a scenario without media of its own announces the address the test gave it", .needs(.sipp))
    func announcedMedia() async throws {
        let host = Loopback.host()
        let carrier = SocketAddress(ip: host, port: 5080)
        var callee = SIPp.Plan("callee-stays", at: carrier)
        callee.media = SocketAddress(ip: host, port: 7_000)
        var caller = SIPp.Plan("caller-hangs-up", at: SocketAddress(ip: host, port: 5070), calling: carrier)
        caller.media = SocketAddress(ip: host, port: 7_002)
        let answering = try await SIPp.start(callee)
        let calling = try await SIPp.start(caller)
        try await calling.succeeds()
        #expect(answering.received("INVITE").first?.mediaAddress == caller.media)
        #expect(calling.received("200 OK").first?.mediaAddress == callee.media)
    }

    @Test("SIPp that meets something else than its scenario fails and says what", .needs(.sipp))
    func sippFailure() async throws {
        let host = Loopback.host()
        let carrier = SocketAddress(ip: host, port: 5080)
        let callee = try await SIPp.start(.init("callee-refuses-486", at: carrier))
        let caller = try await SIPp.start(
            .init("caller-hangs-up-rtp", at: SocketAddress(ip: host, port: 5070), calling: carrier))
        await #expect(throws: SocketError.self) { try await caller.succeeds() }
        #expect(caller.errors.contains("486"))
        callee.process.kill()
    }

    @Test("SIPp that is sent a message again, because it stood still, goes on; one that is sent something else says what", .needs(.sipp))
    func sippRetransmissions() async throws {
        let host = Loopback.host()
        var plan = SIPp.Plan("callee-stays", at: SocketAddress(ip: host, port: 5080))
        plan.media = SocketAddress(ip: host, port: 9)
        let peer = try UDPSocket(SocketAddress(ip: host, port: 5070))
        func send(_ method: String, _ number: Int) {
            let lines = [
                "\(method) sip:1@\(plan.address) SIP/2.0", "Via: SIP/2.0/UDP \(peer.address);branch=z9hG4bK\(method)", "Max-Forwards: 70",
                "From: <sip:2@\(host)>;tag=a", "To: <sip:1@\(host)>", "Call-ID: again", "CSeq: \(number) \(method)", "Content-Length: 0", "", "",
            ]
            peer.send(lines.joined(separator: "\r\n"), to: plan.address)
        }
        let callee = try await SIPp.start(plan)
        send("INVITE", 1)
        _ = try await eventually("the answer") { callee.sent("200 OK").first }
        for _ in 0..<3 { send("INVITE", 1) }
        send("ACK", 1)
        send("INVITE", 1)
        send("BYE", 2)
        try await callee.succeeds()
        #expect(callee.receptions("INVITE").count == 5 && callee.received("INVITE").count == 1)

        let surprised = try await SIPp.start(plan)
        send("INVITE", 1)
        _ = try await eventually("the answer") { surprised.sent("200 OK").first }
        send("UPDATE", 2)
        do {
            try await surprised.succeeds()
            Issue.record("an UPDATE is not in its scenario")
        } catch { #expect("\(error)".contains("received what its scenario does not have") && "\(error)".contains("UPDATE")) }
        surprised.process.kill()
    }

    @Test("a capture has every packet that was sent after it began", .needs(.tshark, .root))
    func capture() async throws {
        let host = Loopback.host()
        let capture = try await Tshark.capture(host: host)
        let callee = try MediaEndpoint(on: host, call: 9, party: .callee)
        defer { callee.close() }
        let sender = try UDPSocket(SocketAddress(ip: host, port: 0))
        for number in UInt32(0)..<5 { sender.send(MediaStream(call: 9, party: .caller).packet(number), to: callee.address) }
        try await eventually("five packets") { callee.heard.numbers.count == 5 }
        try await capture.finish()
        let rows = try await capture.fields(
            ["rtp.seq", "rtp.ssrc"], where: "rtp", decodeAs: ["udp.port==\(callee.address.port),rtp"])
        #expect(rows.map { $0.first } == ["65500", "65501", "65502", "65503", "65504"])
    }

    @Test("a stranger's packets arrive and what comes back to him is counted")
    func stranger() async throws {
        let host = Loopback.host()
        let victim = try UDPSocket(SocketAddress(ip: host, port: 0))
        let stranger = try Stranger(on: Loopback.host(), targets: [victim.address], pattern: .consecutive)
        defer { stranger.close() }
        let (octets, source) = try await eventually("a packet") { victim.receive() }
        #expect(octets.count == 172)
        #expect(source == stranger.address)
        victim.send(octets, to: source)
        try await eventually("the answer is counted") { stranger.received == 1 }
    }

    @Test("a program started without io_uring is refused the system call, and only that program")
    func confinement() async throws {
        // The status file says which filter binds a process: 2 is a filter, 0 none.
        let command = ["-c", "grep Seccomp: /proc/self/status"]
        let directory = try TemporaryDirectory("seccomp")
        defer { directory.remove() }
        let path = directory.file("confined")
        let confined = try await withoutIOUring { try ChildProcess("sh", command, outputPath: path) }
        #expect(try await confined.exit(within: .seconds(30)) == .exited(code: 0))
        #expect(confined.output.hasSuffix("\t2\n"))
        let free = try await run("sh", command)
        let ownFilters = textOfFile("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("Seccomp:") } ?? ""
        #expect(free.output == ownFilters + "\n")
    }

    @Test("killing a program ends what it has started too")
    func groups() async throws {
        let directory = try TemporaryDirectory("group")
        defer { directory.remove() }
        let shell = try ChildProcess("sh", ["-c", "sleep 600 & echo $!; wait"], outputPath: directory.file("out"))
        let sleeper = try await eventually("its child") { Int32(shell.output.split(separator: "\n").first ?? "") }
        shell.kill()
        #expect(shell.exit == .signalled(9))
        try await eventually("the child is gone") {
            let state = textOfFile("/proc/\(sleeper)/stat").split(separator: ")").last?.split(separator: " ").first
            return state == nil || state == "Z"
        }
    }
}
