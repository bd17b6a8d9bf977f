import Configuration
import Control
import Core
import Relay
import SIP

/// Puts N registrations with digest through call control, with neither socket nor file: what signalling alone costs.
///
///     register-path N [M] [renew|first] [MD5|SHA-256]
///
/// M users (1,000) have registered when it begins. `renew`: they do so again, one after the other, each with a request that is
/// challenged and one that answers; `first`: so do N others for the first time. All are behind NAT, each at an address of its own.
///
/// Then `Benchmarks/callgrind --executable .build/release/register-path --packets N --argument M … --functions`. Most of that is
/// this program, which makes and reads messages as text, and the users. Without it: add `--within` with each of
/// `*7Control04CallA0V7receive_4from3now*` and `*7Control04CallA0V7isKnown*`, which is all that the control loop asks for.
@main
struct RegisterPath {
    static let relayd = SocketAddress("192.0.2.1:5060")!
    static let password = "secret"

    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        let numbers = arguments.compactMap(Int.init)
        let (count, present) = (numbers.first ?? 1_000, numbers.dropFirst().first ?? 1_000)
        let isFirst = arguments.contains("first")
        let algorithm: DigestName = arguments.contains(DigestName.sha256.rawValue) ? .sha256 : .md5
        var path = RegisterPath(users: isFirst ? present + count : present, algorithm)
        for user in 0..<present { path.register(user) }
        for number in 0..<count { path.register(isFirst ? present + number : number % present) }
        let expected = present + count
        precondition(path.registered == expected, "\(path.registered) of \(expected) registrations were accepted")
        print("\(count) registrations, \(path.octets / expected) octets of answers each, \(path.lineOctets / expected) kept")
    }

    private var control: CallControl
    private let engine = DigestEngine()
    private var now = Instant(nanoseconds: 1_000_000_000_000)
    /// As the daemon has it: memory that is used again and again.
    private var outputs: [CallControl.Output] = []
    private var answer: [UInt8] = []
    private var sequences: [Int]
    private var registered = 0
    private var octets = 0
    private var lineOctets = 0

    private init(users: Int, _ algorithm: DigestName) {
        var configuration = Configuration()
        configuration.sip.listen = Self.relayd
        configuration.registrar.algorithms = [algorithm]
        configuration.limits.bindings = users
        configuration.users = (0..<users).map { User(name: "u\($0)", password: Self.password) }
        let capacity = configuration.limits.calls
        let activity = ActivityTable(sessionCapacity: capacity)
        let media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 1, capacity: capacity),
            activity: activity, statistics: StatisticsTable(activity: activity), random: SeededRandom(seed: 1))
        control = CallControl(
            configuration: configuration, media: media, counters: CounterBlock(), random: SeededRandom(seed: 2), now: now,
            wallTime: WallTime(milliseconds: 1_800_000_000_000))
        control.audience = EventAudience(logLevel: .warning, hasSubscribers: false)
        sequences = Array(repeating: 0, count: users)
    }

    private mutating func register(_ user: Int) {
        now = now + .milliseconds(1)
        send(request(of: user, authorization: nil), from: user)
        guard case .message(let challenge) = SIPMessage.parse(answer), challenge.status == 401,
            var client = DigestClient(challenge, engine: engine)
        else { preconditionFailure("no challenge for user \(user)") }
        let value = client.authorization(
            username: Array("u\(user)".utf8), password: Array(Self.password.utf8), method: .register,
            uri: Array("sip:\(Self.relayd)".utf8), clientNonce: Array("c0ffee".utf8), engine: engine)
        send(request(of: user, authorization: String(decoding: value, as: UTF8.self)), from: user)
        guard case .message(let accepted) = SIPMessage.parse(answer), accepted.status == 200 else {
            preconditionFailure("user \(user) was not registered")
        }
        registered += 1
    }

    private mutating func request(of user: Int, authorization: String?) -> String {
        sequences[user] += 1
        let host = "10.\(user >> 16 & 255).\(user >> 8 & 255).\(user & 255):5060"
        // Long enough for a challenge with SHA-256, which is no longer where nobody is registered yet.
        return """
            REGISTER sip:\(Self.relayd) SIP/2.0\r
            Via: SIP/2.0/UDP \(host);branch=z9hG4bKr\(sequences[user]).\(user);rport\r
            Max-Forwards: 70\r
            From: <sip:u\(user)@\(Self.relayd)>;tag=f\(user)\r
            To: <sip:u\(user)@\(Self.relayd)>\r
            Call-ID: \(user).1f2e3d4c@phone.example.net\r
            CSeq: \(sequences[user]) REGISTER\r
            Contact: <sip:u\(user)@\(host)>\r
            Expires: 3600\r
            User-Agent: relayd register-path\r
            \(authorization.map { "Authorization: \($0)\r\n" } ?? "")Content-Length: 0\r
            \r\n
            """
    }

    /// Gives it to call control as the control loop does, and carries out what that wants.
    private mutating func send(_ text: String, from user: Int) {
        let ip = IPAddress("198.\(51 + user >> 16 & 255).\(user >> 8 & 255).\(user & 255)")!
        let flow = Flow(udp: SocketAddress(ip: ip, port: 5062), listener: 0)
        _ = control.isKnown(flow)
        control.receive(Array(text.utf8), from: flow, now: now)
        control.takeOutputs(into: &outputs)
        for output in outputs {
            switch output {
            case .send(let octets, let destination, let transaction):
                precondition(destination == flow && transaction == nil, "an answer without a transaction to where the phone is")
                _ = control.isKnown(destination)
                answer = octets
                self.octets += octets.count
            case .registration(let line): lineOctets += line.count
            default: break
            }
        }
    }
}
