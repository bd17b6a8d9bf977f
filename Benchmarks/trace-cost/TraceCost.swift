import Control
import Core
import Uring

/// What the trace of SIP messages costs: nanoseconds of CPU to keep one message, over a ring that is full and wraps.
///
/// `swift run -c release relayd-trace-cost [OCTETS]`, for messages of so many octets; with `--json` as one line for
/// `Benchmarks/run-observe`, which sets it beside the CPU of a call.
@main
struct TraceCost {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        let size = arguments.lazy.compactMap { Int($0) }.first ?? 800
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
        var rounds: [Double] = []
        for _ in 0..<9 {
            let count = 200_000
            let start = MonotonicClock.now
            record(count)
            rounds.append(Double((MonotonicClock.now - start).nanoseconds) / Double(count))
        }
        rounds.sort()
        let median = rounds[rounds.count / 2]
        if arguments.contains("--json") {
            return print("{\"octets\": \(size), \"nanoseconds\": {\"median\": \(median), \"min\": \(rounds[0]), \"max\": \(rounds[8])}}")
        }
        func text(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
        print("message of \(size) octets: \(text(median)) ns (least \(text(rounds[0])), most \(text(rounds[8])))")
    }
}
