import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

/// Very many calls at once, with nothing but call control between peers that answer at once.
@Suite struct ScaleTests {
    @Test("of 1,800 calls the 400 whose media are cut at once are released within a second of the timeout, and no other")
    func massSilence() throws {
        let world = CrowdedWorld(calls: 1_800, noMediaTimeout: .seconds(20))
        for number in 0..<1_800 { world.connect(number) }
        #expect(world.control.connectedCount == 1_800)
        world.run(for: .seconds(10))
        let cut = Set((0..<1_800).filter { $0 % 9 < 2 })
        #expect(cut.count == 400)
        world.silent = cut
        let cutAt = world.now
        world.run(for: .milliseconds(19_800))
        #expect(world.records.isEmpty)
        world.run(for: .milliseconds(1_200))
        #expect(world.now - cutAt == .seconds(21))
        #expect(Set(world.records.keys) == cut)
        #expect(world.records.values.allSatisfy { $0.cause == .noMedia && $0.durationMilliseconds < 32_000 })
        #expect(world.byes == Dictionary(uniqueKeysWithValues: cut.map { ($0, 2) }))
        #expect(world.control.connectedCount == 1_400)
        #expect(world.media.usedPairCount == 2_800)
        // And nobody follows later.
        world.run(for: .seconds(60))
        #expect(world.records.count == 400 && world.control.connectedCount == 1_400)
    }
}

private final class CrowdedWorld {
    private(set) var now = Instant(nanoseconds: 1_000_000_000_000)
    private(set) var control: CallControl
    let media: MediaSessions
    /// By call.
    private(set) var records: [Int: CallRecord] = [:]
    /// BYEs that relayd sent, by call.
    private(set) var byes: [Int: Int] = [:]
    /// Calls that send no RTP.
    var silent: Set<Int> = []
    private let activity: ActivityTable
    private var sessions: [Int: SessionID] = [:]
    private var connecting = 0
    private let caller = SocketAddress("198.51.100.10:5060")!
    private let callee = SocketAddress("203.0.113.20:5060")!
    private let sdp = Array(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n".utf8)

    init(calls: Int, noMediaTimeout: Duration) {
        var configuration = Configuration(host: .current)
        configuration.sip.listen = SocketAddress("192.0.2.1:5060")!
        configuration.limits.calls = calls
        configuration.media.ports = 10_000...20_000
        configuration.media.noMediaTimeout = noMediaTimeout
        configuration.media.emergencyNumbers = []  // the numbers below count up
        configuration.trunks = [Trunk(name: "a", address: caller), Trunk(name: "b", address: callee, prefixes: [""])]
        activity = ActivityTable(sessionCapacity: calls)
        media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 1, capacity: calls), activity: activity,
            statistics: StatisticsTable(activity: activity), random: SeededRandom(seed: 1))
        control = CallControl(
            configuration: configuration, media: media, counters: CounterBlock(), random: SeededRandom(seed: 2), now: now,
            wallTime: WallTime(milliseconds: 1_800_000_000_000))
    }

    func connect(_ number: Int) {
        connecting = number
        control.receive(request("INVITE", number, toTag: nil, body: sdp), from: Flow(udp: caller, listener: 0), now: now)
        control.serveWaiting(atMost: 1, now: now)
        carryOut()
    }

    /// Everybody who talks sends a packet each tenth of a second: more often changes nothing.
    func run(for duration: Duration) {
        let end = now + duration
        while now < end {
            now += .milliseconds(100)
            for (number, session) in sessions where !silent.contains(number) {
                activity.touch(session.index, .caller, at: now)
                activity.touch(session.index, .callee, at: now)
            }
            control.advance(to: now)
            carryOut()
        }
    }

    private func carryOut() {
        var outputs = control.takeOutputs()
        while !outputs.isEmpty {
            for output in outputs {
                switch output {
                case .send(let octets, let destination, _): receive(octets, at: destination.remote)
                case .relay(.open(let session, _, _)):
                    sessions[connecting] = session
                    control.handle(.opened(session), now: now)
                case .relay(.close(let session)): control.handle(.closed(session), now: now)
                case .record(let record): records[(Int(record.calledNumber) ?? 0) - Self.firstNumber] = record
                default: break
                }
            }
            outputs = control.takeOutputs()
        }
    }

    private func receive(_ octets: [UInt8], at peer: SocketAddress) {
        guard case .message(let message) = SIPMessage.parse(octets) else { preconditionFailure("relayd sent nonsense") }
        if message.isRequest {
            if message.method == .ack { return }
            var response = MessageBuilder.response(
                to: message, status: 200, toTag: "callee", source: SocketAddress("192.0.2.1:5060")!)
            if message.method == .bye {
                // Whose it is says the tag of a caller, and the Call-ID of the leg for a callee.
                byes[number(of: message), default: 0] += 1
            } else {
                calleeCallIDs[String(decoding: message.callID, as: UTF8.self)] = connecting
                response.add(.contact, "<sip:you@\(callee)>")
            }
            let body = message.method == .invite ? sdp : []
            let answer = body.isEmpty ? response.finish() : response.finish(body: body, contentType: "application/sdp")
            control.receive(answer, from: Flow(udp: peer, listener: 0), now: now)
        } else if message.method == .invite, message.status == 200 {
            let tag = message.toTag.map { String(decoding: $0, as: UTF8.self) }
            control.receive(request("ACK", connecting, toTag: tag, body: []), from: Flow(udp: caller, listener: 0), now: now)
        }
    }

    /// Above what are emergency numbers somewhere: those are never cut.
    private static let firstNumber = 4_930_000_000

    private var calleeCallIDs: [String: Int] = [:]

    private func number(of bye: SIPMessage) -> Int {
        let callID = String(decoding: bye.callID, as: UTF8.self)
        return calleeCallIDs[callID] ?? Int(callID.split(separator: "@")[0]) ?? -1
    }

    private func request(_ method: String, _ number: Int, toTag: String?, body: [UInt8]) -> [UInt8] {
        let head = """
            \(method) sip:\(Self.firstNumber + number)@192.0.2.1 SIP/2.0
            Via: SIP/2.0/UDP \(caller);branch=z9hG4bK-\(method)-\(number);rport
            Max-Forwards: 70
            From: <sip:4930@a.example>;tag=c\(number)
            To: <sip:\(Self.firstNumber + number)@b.example>\(toTag.map { ";tag=\($0)" } ?? "")
            Call-ID: \(number)@a.example
            CSeq: 1 \(method)
            Contact: <sip:me@\(caller)>
            \(body.isEmpty ? "" : "Content-Type: application/sdp\n")Content-Length: \(body.count)


            """
        return Array(head.replacing("\n", with: "\r\n").utf8) + body
    }
}
