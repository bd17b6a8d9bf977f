import ControlProtocol
import Core
import Foundation
import Harness
import Synchronization
import Testing

/// At rates that a debug build beside other tests can read: what the kernel has no room for is lost to everybody.
@Suite("floods", .heavyInTurn, .needs(.sipp))
struct FloodTests {
    /// Sends requests, as near to `rate` a second as the machine gets, until stopped; reads no answers.
    private final class Flood: Sendable {
        private let isStopped = Mutex(false)
        private let count = Mutex(0)

        init(
            from sockets: [UDPSocket], to target: SocketAddress, rate: Int,
            request: @escaping @Sendable (_ number: Int, _ source: SocketAddress, _ target: SocketAddress) -> String = {
                FloodTests.invite($0, from: $1, to: $2)
            }
        ) {
            let thread = Thread { [self] in
                let start = ContinuousClock.now
                var number = 0
                while !isStopped.withLock({ $0 }) {
                    let elapsed = (ContinuousClock.now - start).components
                    let due = Int((Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18) * Double(rate))
                    // What a busy machine could not send in time is left out.
                    number = max(number, due - rate / 10)
                    while number < due {
                        let socket = sockets[number % sockets.count]
                        socket.send(request(number, socket.address, target), to: target)
                        number += 1
                        count.withLock { $0 += 1 }
                    }
                    // The pace of the load, not a wait for anything.
                    Thread.sleep(forTimeInterval: 0.002)
                }
            }
            thread.start()
        }

        var sent: Int { count.withLock { $0 } }
        func stop() { isStopped.withLock { $0 = true } }
    }

    private static let body = [
        "v=0", "o=- 1 1 IN IP4 192.0.2.7", "s=-", "c=IN IP4 192.0.2.7", "t=0 0", "m=audio 40000 RTP/AVP 0 8 101",
        "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "",
    ].joined(separator: "\r\n")

    private static func invite(
        _ number: Int, from source: SocketAddress, to target: SocketAddress, header: String = "Subject: none"
    ) -> String {
        let lines = [
            "INVITE sip:1555\(number)@\(target) SIP/2.0", "Via: SIP/2.0/UDP \(source);branch=z9hG4bKflood\(number);rport",
            "From: <sip:1000@\(target)>;tag=\(number)", "To: <sip:1555\(number)@\(target)>", "Call-ID: flood-\(number)",
            "CSeq: 1 INVITE", "Max-Forwards: 70", "Contact: <sip:1000@\(source)>", "User-Agent: a flooder", header,
            "Content-Type: application/sdp", "Content-Length: \(body.utf8.count)", "",
        ]
        return lines.joined(separator: "\r\n") + "\r\n" + body
    }

    private static func register(_ number: Int, from source: SocketAddress, to target: SocketAddress, header: String) -> String {
        [
            "REGISTER sip:\(target) SIP/2.0", "Via: SIP/2.0/UDP \(source);branch=z9hG4bKflood\(number);rport",
            "From: <sip:ada@\(target)>;tag=\(number)", "To: <sip:ada@\(target)>", "Call-ID: flood-\(number)", "CSeq: 1 REGISTER",
            "Max-Forwards: 70", "Contact: <sip:ada@\(source)>", "User-Agent: a flooder", header, "Content-Length: 0", "", "",
        ].joined(separator: "\r\n")
    }

    private func residentMebibytes(_ bed: Testbed) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(bed.daemon.process.processID)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) / 1_024
    }

    /// A call that is up while `flood` is on: it loses no media and ends; and so do calls that are set up meanwhile.
    private func expectService(_ bed: Testbed, during flood: () -> Flood, _ check: (Flood) async throws -> Void) async throws {
        let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
        let flood = flood()
        defer { flood.stop() }
        try await eventually("the flood is on") { flood.sent > 1_500 }
        let media = try await call.exchange(packets: 80)
        #expect(media.heardByCallee == media.sentByCaller)
        #expect(media.heardByCaller == media.sentByCallee)
        try call.hangUp()
        try await call.caller.succeeds()
        try await call.callee.succeeds()
        let callee = try await bed.callee("callee-stays") { $0.calls = 5 }
        let caller = try await bed.caller("caller-hangs-up") {
            $0.calls = 5
            $0.pause = .milliseconds(100)
        }
        try await caller.succeeds()
        try await callee.succeeds()
        try await check(flood)
        flood.stop()
        let records = try await eventually("the records of the calls") {
            // There may be thousands of the flooder's.
            let records = try bed.daemon.control.records(RecordQuery(limit: 100, trunk: "customers"))
            return records.count < 6 ? nil : records
        }
        #expect(records.count == 6)
        for record in records { record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller) }
    }

    @Test("2,000 INVITEs a second from strangers: a call loses no media and ends, a trunk's new calls get through, memory stays")
    func strangers() async throws {
        try await Testbed.with({ $0.logLevel = "notice" }) { bed in
            let sockets = try (0..<20).map { _ in try UDPSocket(SocketAddress(ip: Loopback.host(), port: 0)) }
            let before = residentMebibytes(bed)
            let target = bed.daemon.sipAddress
            try await expectService(bed, during: { Flood(from: sockets, to: target, rate: 2_000) }) { (_) throws -> Void in
                let control = bed.daemon.control
                #expect(try control.counter(.sipUnknownSource) > 1_000)
                #expect(try control.counter(.callsAttempted) == 6)
                #expect(try bed.daemon.records().count <= 6, "no record for a stranger")
                #expect(residentMebibytes(bed) - before < 64)
            }
            let strangers = try await bed.daemon.relayctl(["strangers"])
            #expect(strangers.output.contains("a flooder") && strangers.output.contains("INVITE 1555"), "\(strangers.output)")
            let answered = sockets.reduce(0) { sum, socket in
                var count = 0
                while let answer = socket.receive() {
                    if answer.octets.starts(with: "SIP/2.0 403 Forbidden\r\n".utf8) { count += 1 }
                }
                return sum + count
            }
            let asked = try bed.daemon.control.counter(.sipUnknownSource)
            #expect(answered > 0 && UInt64(answered) < asked / 2, "most of \(asked) are not answered: \(answered)")
        }
    }

    @Test("800 INVITEs and REGISTERs a second with a wrong answer to a good challenge: trunks, and a customer with credentials, get through")
    func badCredentials() async throws {
        try await Testbed.with({ settings in
            settings.logLevel = "notice"
            settings.trunks[1].prefixes = ["4930"]
            settings.users = [.init("ada", "secret", numbers: ["100"])]
            let elsewhere = SocketAddress(ip: settings.listen.ip, port: 5099)
            settings.trunks.append(.init("customer-7", elsewhere, lines: ["sources = []"]))
            settings.further = ["[[user]]", "name = \"seven\"", "password = \"word\"", "trunk = \"customer-7\""]
        }) { bed in
            let sockets = try (0..<20).map { _ in try UDPSocket(SocketAddress(ip: Loopback.host(), port: 0)) }
            let target = bed.daemon.sipAddress
            // A nonce is good for the address that got it.
            var nonces: [SocketAddress: String] = [:]
            var realm = ""
            for (number, socket) in sockets.enumerated() {
                socket.send(Self.invite(-1 - number, from: socket.address, to: target), to: target)
                let challenge = try await eventually("a challenge") { socket.receive().map { String(decoding: $0.octets, as: UTF8.self) } }
                func part(_ name: String) throws -> String {
                    let parts = challenge.components(separatedBy: "\(name)=\"")
                    return try #require(parts.dropFirst().first?.components(separatedBy: "\"").first, "\(name) in \(challenge)")
                }
                realm = try part("realm")
                nonces[socket.address] = try part("nonce")
            }
            let (known, name) = (nonces, realm)
            let request: @Sendable (Int, SocketAddress, SocketAddress) -> String = { number, source, target in
                let isInvite = number % 2 == 0
                let count = "00000000" + String(number + 1, radix: 16)
                let header = (isInvite ? "Proxy-" : "") + "Authorization: Digest username=\"ada\", realm=\"\(name)\", nonce=\"\(known[source] ?? "")\", "
                    + "uri=\"sip:\(target)\", response=\"00000000000000000000000000000000\", algorithm=MD5, qop=auth, cnonce=\"x\", "
                    + "nc=\(count.suffix(8))"
                return isInvite
                    ? Self.invite(number, from: source, to: target, header: header)
                    : Self.register(number, from: source, to: target, header: header)
            }
            let before = residentMebibytes(bed)
            try await expectService(bed, during: { Flood(from: sockets, to: target, rate: 800, request: request) }) { (_) async throws -> Void in
                let callee = try await bed.callee("callee-stays")
                let customer = try await bed.caller("customer-proves-itself") {
                    $0.address.port += 7
                    $0.keys = ["USER": "seven", "PASSWORD": "word"]
                    $0.pause = .milliseconds(100)
                }
                try await customer.succeeds()
                try await callee.succeeds()
                let control = bed.daemon.control
                #expect(try control.counter(.credentialsWrong) + control.counter(.credentialsSuspended) > 500)
                #expect(residentMebibytes(bed) - before < 64)
                #expect(try control.registrations().total == 0)
            }
            let records = try bed.daemon.control.records(RecordQuery(limit: 100))
            #expect(records.count == 7 && records.count { $0.callerTrunk == "customer-7" } == 1, "no record for a stranger")
        }
    }

    @Test("1,500 INVITEs a second from a trunk: another trunk's calls get through, and what cannot be served is refused with 503")
    func trunk() async throws {
        let flooder = SocketAddress(ip: Loopback.host(), port: 5090)
        try await Testbed.with({ settings in
            settings.logLevel = "notice"
            settings.trunks[1].prefixes = ["4930"]
            settings.trunks.append(.init("flooder", flooder))
            settings.limits = ["calls_per_second = 100"]
        }) { bed in
            let socket = try UDPSocket(flooder)
            let before = residentMebibytes(bed)
            let target = bed.daemon.sipAddress
            try await expectService(bed, during: { Flood(from: [socket], to: target, rate: 1_500) }) { (_) throws -> Void in
                #expect(residentMebibytes(bed) - before < 96)
            }
            var statuses: [String: Int] = [:]
            while let answer = socket.receive() {
                let text = String(decoding: answer.octets, as: UTF8.self)
                statuses[String(text.dropFirst(8).prefix(3)), default: 0] += 1
                if text.hasPrefix("SIP/2.0 503") { #expect(text.contains("\r\nRetry-After: 5\r\n")) }
            }
            #expect(statuses["404"] ?? 0 > 0, "some are served")
            #expect(statuses["503"] ?? 0 > 0, "most are refused")
            #expect(Set(statuses.keys).isSubset(of: ["100", "404", "503"]), "\(statuses)")
            #expect(try bed.daemon.control.counter(.callsRefusedRate) > 0)
        }
    }
}
