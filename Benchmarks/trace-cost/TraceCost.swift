import Control
import Core
import RTP
import Uring

/// What the trace of SIP messages costs: nanoseconds of CPU to keep one message, over a ring that is full and wraps.
///
/// `swift run -c release relayd-trace-cost [OCTETS]`, for messages of so many octets; with `--json` as one line for
/// `Benchmarks/run-observe`, which sets it beside the CPU of a call. `--tones` measures listening for DTMF instead.
@main
struct TraceCost {
    /// What it costs to search a packet of G.711, 20 ms, for DTMF: speech-like noise, so that nothing is found early.
    private static func listen(count: Int) {
        var random = SeededRandom(seed: 1)
        var octets: [UInt8] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]
        octets += (0..<160).map { _ in UInt8.random(in: 0x80...0xff, using: &random) ^ (Bool.random(using: &random) ? 0x80 : 0) }
        var detector = ToneDetector()
        var rounds: [Double] = []
        var timestamp: UInt32 = 0
        for _ in 0..<9 {
            let start = MonotonicClock.now
            for _ in 0..<count {
                timestamp &+= 160
                for index in 0..<4 { octets[4 + index] = UInt8(truncatingIfNeeded: timestamp >> UInt32(24 - 8 * index)) }
                if let header = RTPHeader(parsing: octets.span) { detector.receive(header, in: octets.span) }
            }
            rounds.append(Double((MonotonicClock.now - start).nanoseconds) / Double(count))
        }
        rounds.sort()
        print("{\"nanosecondsPerPacket\": {\"median\": \(rounds[4]), \"min\": \(rounds[0]), \"max\": \(rounds[8])}, \"digits\": \(detector.digits)}")
    }

    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        /// In a debug build, to see that it runs.
        let share = arguments.contains("--quick") ? 1_000 : 1
        if arguments.contains("--tones") { return listen(count: 100_000 / share) }
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
        record(200_000 / share)  // the ring is full, its pages are there
        var rounds: [Double] = []
        for _ in 0..<9 {
            let count = 200_000 / share
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
