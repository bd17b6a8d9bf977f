import Control
import Core
import Uring

/// What the trace of SIP messages costs: nanoseconds of CPU to keep one message, over a ring that is full and wraps.
///
/// `swift run -c release relayd-trace-cost [OCTETS]`. A call through relayd has about 20 messages on its two legs; compare with
/// the CPU of a call that `Benchmarks/run-sip` measures.
@main
struct TraceCost {
    static func main() throws {
        let size = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 800
        let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let trace = try SIPTrace(octets: 64 << 20)
        let peer = SocketAddress(ip: IPAddress(ipv4: 0xc633_640a), port: 5060)
        let local = SocketAddress(ip: IPAddress(ipv4: 0xc000_0201), port: 5060)
        func record(_ count: Int) {
            for _ in 0..<count {
                trace.record(message.span, .received, peer: peer, local: local, microseconds: WallClock.microseconds)
            }
        }
        record(200_000)  // the ring is full, its pages are there
        let messagesOfACall = 20
        var rounds: [Double] = []
        for _ in 0..<9 {
            let count = 200_000
            let start = MonotonicClock.now
            record(count)
            rounds.append(Double((MonotonicClock.now - start).nanoseconds) / Double(count))
        }
        rounds.sort()
        let median = rounds[rounds.count / 2]
        func text(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
        print("message of \(size) octets: \(text(median)) ns (least \(text(rounds[0])), most \(text(rounds[8])))")
        print("call of \(messagesOfACall) messages: \(text(median * Double(messagesOfACall) / 1_000)) us")
    }
}
