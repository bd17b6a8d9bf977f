import Configuration
import Control
import Core
import Relay
import SIP

/// Puts N calls through call control, with neither socket nor relay nor store: what signalling alone costs.
///
///     call-path N        then `Benchmarks/callgrind --executable .build/release/call-path --packets N --functions`
///
/// A quarter of that is this program, which makes and reads messages as text. Without it: add `--within` with each of
/// `*7Control04CallA0V7receive_4from3now*`, `*7Control04CallA0V12serveWaiting6atMost*`, `*7Control04CallA0V7advance2to*` and
/// `*7Control04CallA0V6handle_3now*`, which is all of call control that it calls.
///
/// Each call is INVITE, 180, 200, ACK, and BYE from the caller, on both legs.
@main
struct CallPath {
    static let relayd = SocketAddress("192.0.2.1:5060")!
    static let caller = Flow(udp: SocketAddress("198.51.100.10:5060")!, listener: 0)
    static let callee = Flow(udp: SocketAddress("203.0.113.20:5060")!, listener: 0)

    static func main() {
        let count = CommandLine.arguments.dropFirst().first.flatMap(Int.init) ?? 1_000
        var path = CallPath()
        for number in 0..<count { path.placeCall(number) }
        precondition(path.records == count, "\(path.records) of \(count) calls have a record")
        print("\(count) calls, \(path.messages / max(count, 1)) messages each")
    }

    private var control: CallControl
    private var now = Instant(nanoseconds: 1_000_000_000_000)
    /// As the daemon has it: memory that is used again and again.
    private var outputs: [CallControl.Output] = []
    private var records = 0
    private var messages = 0
    /// What went to either side and was not looked at yet.
    private var toCaller: [[UInt8]] = []
    private var toCallee: [[UInt8]] = []

    private init() {
        var configuration = Configuration()
        configuration.sip.listen = Self.relayd
        configuration.media.quarantine = .zero
        configuration.trunks = [
            Trunk(name: "a", address: Self.caller.remote), Trunk(name: "b", address: Self.callee.remote, prefixes: ["49"]),
        ]
        let capacity = configuration.limits.calls
        let activity = ActivityTable(sessionCapacity: capacity)
        let media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 1, capacity: capacity),
            activity: activity, statistics: StatisticsTable(activity: activity), random: SeededRandom(seed: 1))
        control = CallControl(
            configuration: configuration, media: media, counters: CounterBlock(), random: SeededRandom(seed: 2), now: now,
            wallTime: WallTime(milliseconds: 1_800_000_000_000))
        control.audience = EventAudience(logLevel: configuration.log.level, hasSubscribers: false)
    }

    private mutating func placeCall(_ number: Int) {
        let address = Self.caller.remote
        receive(
            """
            INVITE sip:49\(number)@\(Self.relayd) SIP/2.0\r
            Via: SIP/2.0/UDP \(address);branch=z9hG4bKi\(number);rport\r
            Max-Forwards: 70\r
            From: "Load" <sip:31\(number)@\(address)>;tag=f\(number)\r
            To: <sip:49\(number)@\(Self.relayd)>\r
            Call-ID: \(number)@load.example.net\r
            CSeq: 1 INVITE\r
            Contact: <sip:31\(number)@\(address)>\r
            Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r
            Supported: replaces, timer\r
            User-Agent: load\r
            Content-Type: application/sdp\r
            Content-Length: \(Self.description.utf8.count)\r
            \r
            \(Self.description)
            """, from: Self.caller)
        guard let invite = parsed(toCallee.last), invite.method == .invite else { preconditionFailure("no INVITE for \(number)") }
        toCallee.removeAll(keepingCapacity: true)
        receive(answer(invite, status: "180 Ringing", body: nil), from: Self.callee)
        receive(answer(invite, status: "200 OK", body: Self.description), from: Self.callee)
        guard let answered = parsed(toCaller.last), answered.status == 200, let target = answered.contact?.uri.text else {
            preconditionFailure("call \(number) was not answered")
        }
        let to = answered.text(.to) ?? ""
        receive(request("ACK", number, target: target, to: to, sequence: 1), from: Self.caller)
        toCaller.removeAll(keepingCapacity: true)
        toCallee.removeAll(keepingCapacity: true)
        advance(by: .milliseconds(200))
        receive(request("BYE", number, target: target, to: to, sequence: 2), from: Self.caller)
        guard let bye = parsed(toCallee.last), bye.method == .bye else { preconditionFailure("no BYE for \(number)") }
        receive(answer(bye, status: "200 OK", body: nil), from: Self.callee)
        toCaller.removeAll(keepingCapacity: true)
        toCallee.removeAll(keepingCapacity: true)
        advance(by: .milliseconds(50))
    }

    private func request(_ method: String, _ number: Int, target: String, to: String, sequence: Int) -> String {
        """
        \(method) \(target) SIP/2.0\r
        Via: SIP/2.0/UDP \(Self.caller.remote);branch=z9hG4bK\(method)\(number);rport\r
        Max-Forwards: 70\r
        From: "Load" <sip:31\(number)@\(Self.caller.remote)>;tag=f\(number)\r
        To: \(to)\r
        Call-ID: \(number)@load.example.net\r
        CSeq: \(sequence) \(method)\r
        Content-Length: 0\r
        \r\n
        """
    }

    private func answer(_ request: SIPMessage, status: String, body: String?) -> String {
        let to = request.text(.to) ?? ""
        return """
            SIP/2.0 \(status)\r
            Via: \(request.text(.via) ?? "")\r
            From: \(request.text(.from) ?? "")\r
            To: \(to)\(request.toTag == nil ? ";tag=callee" : "")\r
            Call-ID: \(request.text(.callID) ?? "")\r
            CSeq: \(request.text(.cseq) ?? "")\r
            Contact: <sip:callee@\(Self.callee.remote)>\r
            Content-Type: application/sdp\r
            Content-Length: \(body?.utf8.count ?? 0)\r
            \r
            \(body ?? "")
            """
    }

    private func parsed(_ octets: [UInt8]?) -> SIPMessage? {
        guard let octets, case .message(let message) = SIPMessage.parse(octets) else { return nil }
        return message
    }

    private mutating func receive(_ text: String, from flow: Flow) {
        control.receive(Array(text.utf8), from: flow, now: now)
        control.serveWaiting(atMost: .max, now: now)
        flush()
    }

    private mutating func advance(by duration: Duration) {
        now = now + duration
        control.advance(to: now)
        flush()
    }

    private mutating func flush() {
        control.takeOutputs(into: &outputs)
        while !outputs.isEmpty {
            for output in outputs {
                switch output {
                case .send(let octets, let destination, _):
                    messages += 1
                    if destination.remote == Self.caller.remote { toCaller.append(octets) } else { toCallee.append(octets) }
                case .relay(.open(let session, _, _)): control.handle(.opened(session), now: now)
                case .relay(.close(let session)): control.handle(.closed(session), now: now)
                case .record: records += 1
                default: break
                }
            }
            control.takeOutputs(into: &outputs)
        }
    }

    private static let description = """
        v=0\r
        o=- 3904 1 IN IP4 198.51.100.10\r
        s=call\r
        c=IN IP4 198.51.100.10\r
        t=0 0\r
        m=audio 30000 RTP/AVP 8 0 18 101\r
        a=rtpmap:8 PCMA/8000\r
        a=rtpmap:0 PCMU/8000\r
        a=rtpmap:18 G729/8000\r
        a=rtpmap:101 telephone-event/8000\r
        a=fmtp:101 0-16\r
        a=ptime:20\r
        a=sendrecv\r\n
        """
}
