import Configuration
import Control
import Core
import Relay

/// Puts N calls through the control of calls that a proxy drives, with neither socket nor relay: what the protocol, the
/// descriptions and the state of a call cost.
///
///     ng-path N [M]      then `Benchmarks/callgrind --executable .build/release/ng-path --packets N --functions`
///
/// Each call is offer, answer and delete, in Kamailio's words; M of them (1) are present at a time.
@main
struct NGPath {
    static let proxy = NGClient.datagram(SocketAddress("192.0.2.50:40000")!)

    static func main() {
        let numbers = CommandLine.arguments.dropFirst().compactMap(Int.init)
        let (count, present) = (numbers.first ?? 1_000, max(1, numbers.dropFirst().first ?? 1))
        var path = NGPath()
        for first in stride(from: 0, to: count, by: present) {
            let calls = first..<min(first + present, count)
            for call in calls { path.open(call) }
            for call in calls { path.ask(delete, call) }
        }
        precondition(path.control.isEmpty && path.replies == 3 * count, "\(path.replies) answers to \(3 * count) requests")
        print("\(count) calls, \(path.octets / max(count, 1)) octets of answers each")
    }

    private var control: NGCallControl
    private var now = Instant(nanoseconds: 1_000_000_000_000)
    private var outputs: [NGCallControl.Output] = []
    private var replies = 0
    private var octets = 0

    private init() {
        var configuration = Configuration()
        configuration.media.address = IPAddress("203.0.113.1")
        configuration.media.quarantine = .zero
        configuration.ng.deleteDelay = .zero
        let capacity = configuration.limits.calls
        let activity = ActivityTable(sessionCapacity: capacity)
        let media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 1, capacity: capacity),
            activity: activity, statistics: StatisticsTable(activity: activity), random: SeededRandom(seed: 1))
        control = NGCallControl(
            configuration: configuration, media: media, counters: CounterBlock(), random: SeededRandom(seed: 2), now: now,
            wallTime: WallTime(milliseconds: 1_800_000_000_000))
        // As in a daemon that nobody watches and that logs errors.
        control.audience = EventAudience(logLevel: .error, hasSubscribers: false)
    }

    private mutating func open(_ call: Int) {
        ask(Self.offer, call)
        ask(Self.answer, call)
    }

    private mutating func ask(_ request: Template, _ call: Int) {
        now = now + .milliseconds(1)
        control.receive(request.octets(call), from: Self.proxy, now: now)
        repeat {
            control.takeOutputs(into: &outputs)
            for output in outputs {
                switch output {
                case .reply(let reply, _):
                    replies += 1
                    octets += reply.count
                case .relay(.open(let session, _, _)): control.handle(.opened(session), now: now)
                case .relay(.close(let session)): control.handle(.closed(session), now: now)
                default: break
                }
            }
        } while !outputs.isEmpty
        control.advance(to: now)
    }

    // MARK: Kamailio's words, for `rtpengine_manage("replace-origin ICE=remove RTP/AVP trust-address")`

    private static let offer = Template(
        "o_#######", options + string("via-branch") + string("z9hG4bK3f1a.#######.0") + string("sdp")
            + string(description("198.51.100.10", 30_000)) + string("from-tag") + string("caller-#######") + string("command")
            + string("offer"))

    private static let answer = Template(
        "a_#######", options + string("sdp") + string(description("203.0.113.20", 40_000)) + string("from-tag")
            + string("caller-#######") + string("to-tag") + string("callee-#######") + string("command") + string("answer"))

    private static let delete = Template(
        "d_#######", string("from-tag") + string("caller-#######") + string("to-tag") + string("callee-#######")
            + string("command") + string("delete"))

    private static let options =
        string("ICE") + string("remove") + string("flags") + "l" + string("trust-address") + "e" + string("replace") + "l"
        + string("origin") + "e" + string("transport-protocol") + string("RTP/AVP")

    private static func string(_ text: String) -> String { "\(text.utf8.count):\(text)" }

    /// A request with the number of the call where it has `#######`, so that making one costs next to nothing.
    private struct Template {
        private let text: [UInt8]
        private let places: [Int]

        init(_ cookie: String, _ entries: String) {
            let common =
                string("supports") + "l" + string("load limit") + "e" + string("call-id")
                + string("#######-8c1f2e5b@load.example.net") + string("received-from") + "l" + string("IP4")
                + string("198.51.100.10") + "e"
            let text = Array("\(cookie) d\(common)\(entries)e".utf8)
            places = text.indices.filter { text[$0] == UInt8(ascii: "#") }
            self.text = text
        }

        func octets(_ call: Int) -> [UInt8] {
            var octets = text
            var rest = call
            // The places come in groups of seven, each written from its end.
            for (position, place) in places.enumerated().reversed() {
                if position % 7 == 6 { rest = call }
                octets[place] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            return octets
        }
    }

    private static func description(_ address: String, _ port: Int) -> String {
        """
        v=0\r
        o=- 3904 1 IN IP4 \(address)\r
        s=call\r
        c=IN IP4 \(address)\r
        t=0 0\r
        m=audio \(port) RTP/AVP 8 0 18 101\r
        a=rtpmap:8 PCMA/8000\r
        a=rtpmap:0 PCMU/8000\r
        a=rtpmap:18 G729/8000\r
        a=rtpmap:101 telephone-event/8000\r
        a=fmtp:101 0-16\r
        a=ptime:20\r
        a=sendrecv\r\n
        """
    }
}
