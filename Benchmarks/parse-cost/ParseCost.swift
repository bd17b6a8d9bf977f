import Core
import SIP
import Uring

/// What it costs to read a SIP message: an INVITE of 860 octets, as a telephone sends it.
///
/// `swift run -c release relayd-parse-cost` prints the time; with `--json` as one line for `Benchmarks/run-sip`. With a number
/// and nothing else it reads so often, for callgrind, which counts instructions and calls of malloc; `--kept` makes each
/// message one that can be kept, as control does with what it receives.
@main
struct ParseCost {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        precondition(invite.count == 860, "\(invite.count) octets")
        let isKept = arguments.contains("--kept")
        if let count = arguments.lazy.compactMap({ Int($0) }).first {
            read(count, isKept: isKept)
            return
        }
        /// In a debug build, to see that it runs.
        let count = arguments.contains("--quick") ? 100 : 200_000
        let reading = nanoseconds(count, isKept: false)
        let keeping = nanoseconds(count, isKept: true)
        if arguments.contains("--json") {
            return print("{\"octets\": \(invite.count), \"nanoseconds\": \(reading.json), \"keptNanoseconds\": \(keeping.json)}")
        }
        print("INVITE of \(invite.count) octets: \(reading.text) to read, \(keeping.text) to read and keep")
    }

    /// Nanoseconds a message, of nine rounds.
    private struct Rounds {
        var sorted: [Double]
        var median: Double { sorted[sorted.count / 2] }
        var json: String { "{\"median\": \(median), \"min\": \(sorted[0]), \"max\": \(sorted[sorted.count - 1])}" }
        var text: String { "\(Int(median)) ns (least \(Int(sorted[0])), most \(Int(sorted[sorted.count - 1])))" }
    }

    private static func nanoseconds(_ count: Int, isKept: Bool) -> Rounds {
        read(count, isKept: isKept)
        return Rounds(
            sorted: (0..<9).map { _ in
                let start = MonotonicClock.now
                read(count, isKept: isKept)
                return Double((MonotonicClock.now - start).nanoseconds) / Double(count)
            }.sorted())
    }

    private static func read(_ count: Int, isKept: Bool) {
        let octets = invite
        var parser = MessageParser()
        if isKept {
            var headerLines = 0
            for _ in 0..<count {
                guard case .message(let message) = parser.parse(octets) else { preconditionFailure("the INVITE is good") }
                headerLines += message.headers.count
            }
            precondition(headerLines == 15 * count, "\(headerLines) header lines")
        } else {
            for _ in 0..<count {
                guard case .message = parser.read(octets.span) else { preconditionFailure("the INVITE is good") }
            }
        }
    }

    private static let invite = Array(
        """
        INVITE sip:493012345678@192.0.2.1:5060 SIP/2.0\r
        Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK-d8754z-4a1f0c6e92b7d35e-1;rport\r
        Max-Forwards: 70\r
        Contact: <sip:31201@198.51.100.10:5060;transport=udp>\r
        To: <sip:493012345678@192.0.2.1>\r
        From: "Ada Lovelace" <sip:31201@192.0.2.1>;tag=7c4a8d09\r
        Call-ID: 4f6b2d1c9a8e7053@198.51.100.10\r
        CSeq: 102 INVITE\r
        Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE, PRACK\r
        Supported: replaces, timer\r
        Session-Expires: 1800\r
        Min-SE: 90\r
        User-Agent: Yealink SIP-T46U 108.86\r
        Allow-Events: talk, hold\r
        Content-Type: application/sdp\r
        Content-Length: 247\r
        \r
        v=0\r
        o=- 20518 20518 IN IP4 198.51.100.10\r
        s=call\r
        c=IN IP4 198.51.100.10\r
        t=0 0\r
        m=audio 11780 RTP/AVP 8 0 18 101\r
        a=rtpmap:8 PCMA/8000\r
        a=rtpmap:0 PCMU/8000\r
        a=rtpmap:18 G729/8000\r
        a=rtpmap:101 telephone-event/8000\r
        a=fmtp:101 0-15\r
        a=ptime:20\r\n
        """.utf8)
}
