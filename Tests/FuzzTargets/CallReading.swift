import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP

/// Datagrams to all of call control, on a clock of its own and with a relay that does what it is told.
///
/// They are divided by the octet 1; the first octet of each says who sends it, the next one how much later than the one before.
/// Afterwards everything must be over once all calls were hung up and every timer has run out.
enum CallReading {
    static let trunk = SocketAddress("198.51.100.10:5060")!
    private static let callee = SocketAddress("203.0.113.20:5060")!
    private static let phone = SocketAddress("192.0.2.50:5062")!
    private static let stranger = SocketAddress("192.0.2.66:5060")!
    private static let sources = [trunk, callee, phone, stranger]

    static let configuration: Configuration = {
        var configuration = Configuration(host: .current)
        configuration.sip.listen = SocketAddress("192.0.2.1:5060")!
        configuration.media.ports = 10_000...10_039
        configuration.limits.calls = 4
        configuration.trunks = [Trunk(name: "a", address: trunk), Trunk(name: "b", address: callee, prefixes: [""])]
        return configuration
    }()

    static func run(_ octets: [UInt8]) {
        let start = Instant(nanoseconds: 1_000_000_000_000)
        let activity = ActivityTable(sessionCapacity: configuration.limits.calls)
        let media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 1, capacity: configuration.limits.calls),
            activity: activity, statistics: StatisticsTable(activity: activity), random: SeededRandom(seed: 1))
        var control = CallControl(
            configuration: configuration, media: media, counters: CounterBlock(), random: SeededRandom(seed: 2), now: start,
            wallTime: WallTime(milliseconds: 1_800_000_000_000))
        var now = start
        for datagram in octets.split(separator: 1, maxSplits: 15) where datagram.count > 2 {
            now = now + .milliseconds(Int(datagram[datagram.startIndex + 1]) * 40)
            control.advance(to: now)
            flush(&control, now: now)
            let source = sources[Int(datagram[datagram.startIndex]) % sources.count]
            let sent = Array(datagram.dropFirst(2))
            control.receive(sent, from: Flow(udp: source, listener: 0), now: now)
            control.serveWaiting(atMost: .max, now: now)
            flush(&control, now: now, answering: source == stranger ? sent.count : nil)
        }
        for call in control.summaries(now: now) { _ = control.hangUp(call.id, now: now) }
        flush(&control, now: now)
        var steps = 0
        while let due = control.nextDeadline, due - now < .seconds(400) {
            now = max(now, due)
            control.advance(to: now)
            flush(&control, now: now)
            steps += 1
            precondition(steps < 100_000, "timers come to an end")
        }
        precondition(control.isEmpty, "nothing is left of calls that are over")
    }

    /// - Parameter size: of a stranger's datagram that was just received: nothing larger goes to it.
    private static func flush(_ control: inout CallControl, now: Instant, answering size: Int? = nil) {
        var outputs = control.takeOutputs()
        while !outputs.isEmpty {
            for output in outputs {
                switch output {
                case .send(let octets, let destination, _):
                    precondition(size == nil || destination.remote != stranger || octets.count <= size!, "no amplification")
                case .relay(.open(let session, _, _)): control.handle(.opened(session), now: now)
                case .relay(.close(let session)): control.handle(.closed(session), now: now)
                default: break
                }
            }
            outputs = control.takeOutputs()
        }
    }
}
