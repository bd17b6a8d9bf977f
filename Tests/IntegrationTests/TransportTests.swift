import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("SIP over TCP", .inTurn, .serialized, .needs(.sipp))
struct TransportTests {
    private static func listensForTCP(_ settings: inout DaemonSettings) {
        settings.sip = ["listeners = [\"tcp:\(settings.listen)\"]"]
    }

    @Test("a call over TCP on both legs, or on one: Via, Contact and connection follow the leg", arguments: [
        ("t1", "t1"), ("tn", "t1"), ("u1", "t1"), ("t1", "u1"),
    ])
    func calls(caller callerTransport: String, callee calleeTransport: String) async throws {
        try await Testbed.with({ settings in
            Self.listensForTCP(&settings)
            if calleeTransport != "u1" { settings.trunks[1].transport = "tcp" }
        }) { bed in
            let callee = try await bed.callee("callee-stays") {
                $0.transport = calleeTransport
                $0.calls = 3
            }
            let caller = try await bed.caller("caller-hangs-up") {
                $0.transport = callerTransport
                $0.pause = .milliseconds(300)
                $0.calls = 3
            }
            try await caller.succeeds()
            try await callee.succeeds()
            let placed = try #require(callee.received("INVITE").first)
            let answer = try #require(caller.received("200 OK").first { $0.mediaAddress != nil })
            let isCalleeTCP = calleeTransport != "u1"
            #expect(placed.header("Via")?.hasPrefix("SIP/2.0/\(isCalleeTCP ? "TCP" : "UDP") \(bed.daemon.sipAddress)") == true)
            #expect(placed.header("Contact")?.contains("transport=tcp") == isCalleeTCP)
            #expect(answer.header("Contact")?.contains("transport=tcp") == (callerTransport != "u1"))
            let records = try await bed.daemon.records(count: 3)
            for record in records { record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller) }
            #expect(records.count == 3)
            // One connection carries all calls to the trunk.
            #expect(try bed.daemon.control.counter(.sipConnectionsOpened) == (isCalleeTCP ? 1 : 0))
            // Over UDP a peer that stands still for half a second is sent everything again.
            if isCalleeTCP, callerTransport != "u1" { #expect(try bed.daemon.control.counter(.sipRetransmissionsSent) == 0) }
        }
    }

    @Test("media pass in a call over TCP, and relayctl shows the connections")
    func media() async throws {
        try await Testbed.with({ settings in
            Self.listensForTCP(&settings)
            settings.trunks[1].transport = "tcp"
        }) { bed in
            let id: UInt32 = 5060
            let callerMedia = try MediaEndpoint(on: bed.host, call: id, party: .caller)
            let calleeMedia = try MediaEndpoint(on: bed.host, call: id, party: .callee)
            defer {
                callerMedia.close()
                calleeMedia.close()
            }
            let callee = try await bed.callee("callee-stays") {
                $0.media = calleeMedia.address
                $0.transport = "t1"
            }
            let caller = try await bed.caller("caller-stays") {
                $0.media = callerMedia.address
                $0.transport = "t1"
            }
            let answer = try await caller.receives("200 with SDP") { $0.status == 200 && $0.mediaAddress != nil }
            let invite = try #require(callee.received("INVITE").first)
            callerMedia.start(to: try #require(answer.mediaAddress))
            calleeMedia.start(to: try #require(invite.mediaAddress))
            try await eventually("each hears the other") {
                callerMedia.heard.numbers.count > 20 && calleeMedia.heard.numbers.count > 20
            }
            let status = try bed.daemon.control.status()
            #expect(status.sipListeners == ["udp:\(bed.daemon.sipAddress)", "tcp:\(bed.daemon.sipAddress)"])
            let connections = try #require(status.sipConnections?.shown)
            #expect(Set(connections.map(\.outgoing)) == [true, false])
            #expect(connections.contains { $0.outgoing && $0.remote == bed.carrier && $0.trunk == "carrier" && $0.state == "open" })
            let text = try await bed.daemon.relayctl(["status"]).output
            #expect(text.contains("tcp:\(bed.carrier)"))
            try bed.daemon.control.hangUp(try #require(try bed.daemon.control.calls().first?.id))
            try await caller.succeeds()
            try await callee.succeeds()
        }
    }

    @Test("an INVITE of more than 1300 octets goes by TCP, and by UDP to a peer that takes no connection", arguments: ["t1", "u1"])
    func longInvite(calleeTransport: String) async throws {
        try await Testbed.with({ Self.listensForTCP(&$0) }) { bed in
            let callee = try await bed.callee("callee-stays") { $0.transport = calleeTransport }
            let caller = try await bed.caller("caller-hangs-up-long") { $0.pause = .milliseconds(100) }
            try await caller.succeeds()
            try await callee.succeeds()
            let placed = try #require(callee.received("INVITE").first)
            #expect(placed.text.utf8.count > 1_300)
            #expect(placed.header("Via")?.hasPrefix("SIP/2.0/\(calleeTransport == "t1" ? "TCP" : "UDP") ") == true)
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    private static func options(_ bed: Testbed, _ more: String = "Content-Length: 0") -> String {
        """
        OPTIONS sip:\(bed.daemon.sipAddress) SIP/2.0
        Via: SIP/2.0/TCP \(bed.host):5099;branch=z9hG4bK\(UInt32.random(in: 0...UInt32.max))
        From: <sip:a@\(bed.host)>;tag=a
        To: <sip:b@\(bed.host)>
        Call-ID: \(UInt32.random(in: 0...UInt32.max))
        CSeq: 1 OPTIONS
        Max-Forwards: 70
        \(more)


        """.replacing("\n", with: "\r\n")
    }

    @Test("pieces, several messages at once and keep-alives come through; each answer is on the connection of its request")
    func pieces() async throws {
        try await Testbed.with({ settings in
            Self.listensForTCP(&settings)
            // The test's own connections come from there.
            settings.trunks[0].lines = ["sources = [\"127.0.0.1\"]"]
        }) { bed in
            let peer = try StreamPeer(connectingTo: bed.daemon.sipAddress)
            for octet in Self.options(bed).unicodeScalars { try peer.send(String(octet)) }
            #expect(try peer.receive(until: "\r\n\r\n").hasPrefix("SIP/2.0 200 OK\r\n"))
            try peer.send("\r\n\r\n")
            #expect(try peer.receive(2) == "\r\n")
            try peer.send(Self.options(bed) + "\r\n" + Self.options(bed))
            for _ in 0..<2 { #expect(try peer.receive(until: "\r\n\r\n").hasPrefix("SIP/2.0 200 OK\r\n")) }
        }
    }

    @Test("what cannot be cut into messages is answered once and ends its connection, and only that", arguments: [
        ("Subject: none", "SIP/2.0 400 Missing Content-Length"), ("Content-Length: 70000", "SIP/2.0 513 Message Too Large"),
        ("Content-Length: 1\nl: 2", "SIP/2.0 400 Malformed Content-Length"),
    ])
    func unframed(header: String, expected: String) async throws {
        try await Testbed.with({ settings in
            Self.listensForTCP(&settings)
            // The test's own connections come from there.
            settings.trunks[0].lines = ["sources = [\"127.0.0.1\"]"]
        }) { bed in
            let good = try StreamPeer(connectingTo: bed.daemon.sipAddress)
            let bad = try StreamPeer(connectingTo: bed.daemon.sipAddress)
            try bad.send(Self.options(bed, header))
            let answer = try bad.receive()
            #expect(answer.hasPrefix(expected))
            #expect(answer.split(separator: "SIP/2.0 ").count == 1, "one answer")
            try good.send(Self.options(bed))
            #expect(try good.receive(until: "\r\n\r\n").hasPrefix("SIP/2.0 200 OK\r\n"))
        }
    }

    @Test("strangers fill their share of the connections, one source no more than its own, and a trunk still gets in")
    func limits() async throws {
        try await Testbed.with({ settings in
            Self.listensForTCP(&settings)
            settings.limits = ["connections = 20", "connections_per_source = 12"]
            // The only trunk that may call is elsewhere, so the test's own address is a stranger's.
            settings.trunks[0].address = SocketAddress("127.0.0.9:5070")!
            settings.trunks[1].address = SocketAddress("127.0.0.9:5080")!
            settings.trunks[1].lines = ["sources = [\"127.0.0.8\"]"]
        }) { bed in
            let peers = try (0..<20).map { _ in try StreamPeer(connectingTo: bed.daemon.sipAddress) }
            try await eventually("the rest is refused") { try bed.daemon.control.counter(.sipConnectionsRefusedSource) == 8 }
            #expect(try bed.daemon.control.counter(.sipConnectionsRefused) == 0)
            #expect(try bed.daemon.control.status().sipConnections?.open == 12)
            try peers[0].send("\u{16}\u{3}\u{1}no SIP")
            #expect(try peers[0].receive() == "")
            try await eventually("room again") { try bed.daemon.control.status().sipConnections?.open == 11 }
            #expect(try bed.daemon.control.counter(.sipStreamsMalformed) == 1)
        }
    }
}

@Suite("SIP over TLS", .inTurn, .serialized, .needs(.sipp, .openssl))
struct TLSTransportTests {
    /// What a test of TLS needs at hand before the daemon starts.
    private static func with(
        _ adjust: @Sendable @escaping (inout DaemonSettings) -> Void = { _ in }, verify: Bool = true,
        body: (Testbed, Certificate) async throws -> Void
    ) async throws {
        // Relayd's host is not known before; the certificate is for a name.
        let certificate = try await Certificate(for: .ipv4Loopback)
        try await Testbed.with({ settings in
            let address = SocketAddress(ip: settings.listen.ip, port: 5061)
            settings.sip = ["listeners = [\"tls:\(address)\", \"tcp:\(settings.listen)\"]"] + certificate.settings
            adjust(&settings)
        }) { bed in try await body(bed, certificate) }
        certificate.directory.remove()
    }

    @Test("a proxy brings calls and takes calls over TLS or TCP, by the same connections, with record-routing",
        .needs(.kamailioTLS), arguments: ["tls", "tcp"])
    func proxy(transport: String) async throws {
        let host = Loopback.host()
        let proxyAddress = SocketAddress(ip: host, port: transport == "tls" ? 5065 : 5064)
        try await Self.with({ settings in
            settings.trunks = [
                .init("proxy", proxyAddress, prefixes: [""], lines: ["tls_name = \"relayd.test\"", "sources = [\"\(host)\"]"])
            ]
            settings.trunks[0].transport = transport
        }) { bed, certificate in
            let relayd = SocketAddress(ip: bed.host, port: transport == "tls" ? 5061 : 5060)
            let callee = SocketAddress(ip: host, port: 5080)
            let kamailio = try await ProxyKamailio.start(
                .init(host: host, transport: transport, relayd: relayd, callee: callee, certificate: certificate))
            defer { kamailio.stop() }
            var plan = SIPp.Plan("proxied-callee-stays", at: callee)
            plan.media = SocketAddress(ip: host, port: 9)
            plan.calls = 3
            let answering = try await SIPp.start(plan)
            plan = SIPp.Plan("proxied-caller-hangs-up", at: SocketAddress(ip: host, port: 5070), calling: kamailio.plan.address)
            plan.media = SocketAddress(ip: host, port: 9)
            plan.calls = 3
            plan.pause = .milliseconds(300)
            let calling = try await SIPp.start(plan)
            do {
                try await calling.succeeds()
                try await answering.succeeds()
            } catch { throw SocketError(description: "\(error)\n--- Kamailio\n\(kamailio.log.suffix(4_000))") }
            let placed = try #require(answering.received("INVITE").first)
            let via = placed.text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("Via:") }.last
            #expect(via?.contains("SIP/2.0/\(transport.uppercased()) \(relayd);") == true)
            for record in try await bed.daemon.records(count: 3) {
                record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            }
            let connections = try #require(try bed.daemon.control.status().sipConnections?.shown)
            #expect(connections.contains { $0.outgoing && $0.remote == proxyAddress && $0.trunk == "proxy" })
            if transport == "tls" { #expect(connections.allSatisfy { $0.tls.hasPrefix("TLSv1") }) }
        }
    }

    @Test("a trunk whose certificate is not good is not called: 503, and the log says why")
    func badCertificate() async throws {
        let other = try await Certificate(for: .ipv4Loopback, name: "other.test")
        try await Self.with({ settings in
            settings.trunks[1].transport = "tls"
            settings.trunks[1].lines = ["tls_name = \"relayd.test\""]
        }) { bed, _ in
            let server = try ChildProcess(
                "openssl",
                ["s_server", "-accept", "\(bed.carrier)", "-cert", other.certificate, "-key", other.key, "-quiet"],
                outputPath: other.directory.file("server.log"))
            defer { server.kill() }
            try await eventually("openssl listens") { SIPp.isBound(bed.carrier, isStream: true) }
            let caller = try await bed.caller("caller-is-refused")
            _ = try await caller.receives("503") { $0.status == 503 }
            try await bed.daemon.logs("reason=tlsFailed")
            try await bed.daemon.logs("certificate")
            #expect(try bed.daemon.control.counter(.sipTlsFailures) == 1)
        }
        other.directory.remove()
    }

    @Test("a client of another maker agrees on TLS and gets its answer; one that speaks plain SIP is cut off")
    func client() async throws {
        // The client leaves the choice of its address to the system.
        try await Self.with({ $0.trunks[0].lines = ["sources = [\"127.0.0.1\"]"] }) { bed, certificate in
            let address = SocketAddress(ip: bed.host, port: 5061)
            let request = [
                "OPTIONS sip:\(address) SIP/2.0", "Via: SIP/2.0/TLS \(bed.host):5099;branch=z9hG4bKtls", "From: <sip:a@x>;tag=a",
                "To: <sip:b@x>", "Call-ID: tls", "CSeq: 1 OPTIONS", "Max-Forwards: 70", "Content-Length: 0", "", "",
            ].joined(separator: "\r\n")
            let input = certificate.directory.file("request")
            try Data(request.utf8).write(to: URL(fileURLWithPath: input))
            let answer = certificate.directory.file("answer")
            let result = try await run(
                "sh",
                [
                    "-c",
                    "(cat \(input); for n in $(seq 100); do sleep 0.2; grep -q '^SIP' \(answer) && exit; done) | openssl s_client -quiet -no_ign_eof -connect \(address) -servername relayd.test "
                        + "-verify_hostname relayd.test -verify_return_error -CAfile \(certificate.certificate) > \(answer)",
                ])
            #expect(textOfFile(answer).hasPrefix("SIP/2.0 200 OK"), "\(textOfFile(answer)) \(result.errors)")
            let plain = try StreamPeer(connectingTo: address)
            try plain.send(request)
            _ = try plain.receive()
            #expect(try bed.daemon.control.counter(.sipTlsFailures) == 1)
        }
    }

    @Test("a certificate that cannot be read is a clear error at the start")
    func startErrors() async throws {
        let directory = try TemporaryDirectory("start")
        defer { directory.remove() }
        let file = directory.file("relayd.toml")
        let host = Loopback.host()
        for (certificate, reason) in [("/nowhere.pem", "No such file or directory"), ("/etc/hostname", "no start line")] {
            let text = """
                [sip]
                listeners = ["tls:\(host):5061"]
                tls_certificate = "\(certificate)"
                tls_key = "\(certificate)"
                [control]
                socket = "\(directory.file("s"))"
                [records]
                directory = "\(directory.file("r"))"
                """
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
            let result = try await run(Daemon.executable, ["--config", file])
            #expect(result.code == 71)
            #expect(result.errors.contains("TLS for SIP cannot be served: \(certificate): \(reason)"), "\(result.errors)")
        }
    }
}

@Suite("SIP over IPv6", .inTurn, .serialized, .needs(.sipp, .ipv6))
struct IPv6Tests {
    @Test("a caller with IPv6 reaches a callee with IPv4, by UDP and by TCP: every header and description is of its leg's family",
        arguments: ["u1", "t1"])
    func mixedFamilies(transport: String) async throws {
        let base = UInt16.random(in: 5_100...8_900)
        let listener = SocketAddress(ip: .ipv6Loopback, port: base)
        let customer = SocketAddress(ip: .ipv6Loopback, port: base + 1)
        try await Testbed.with({ settings in
            settings.sip = ["listeners = [\"udp:\(listener)\", \"tcp:\(listener)\"]"]
            settings.trunks[0].address = customer
        }) { bed in
            let callee = try await bed.callee("callee-stays")
            var plan = SIPp.Plan("caller-hangs-up", at: customer, calling: listener)
            plan.media = SocketAddress(ip: .ipv6Loopback, port: 9)
            plan.transport = transport
            plan.pause = .milliseconds(200)
            let caller = try await SIPp.start(plan)
            try await caller.succeeds()
            try await callee.succeeds()
            let placed = try #require(callee.received("INVITE").first)
            #expect(placed.header("Via")?.contains("::1") == false && placed.header("Contact")?.contains("::1") == false)
            #expect(placed.sdpLines("c=") == ["IN IP4 \(bed.host)"])
            let answer = try #require(caller.received("200 OK").first { $0.text.contains("v=0") })
            #expect(answer.header("Contact")?.contains("[::1]:\(base)") == true)
            #expect(answer.sdpLines("c=") == ["IN IP6 ::1"])
            try #require(try await bed.daemon.records(count: 1).first).expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }
}
