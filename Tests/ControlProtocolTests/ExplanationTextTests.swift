import Core
import Testing

@testable import ControlProtocol

@Suite("relayctl why, for people")
struct ExplanationTextTests {
    static let setup = WallTime("2026-01-31T08:15:04.000Z")!

    private static func entry(
        _ milliseconds: Int64, _ leg: LadderEntry.Leg, _ direction: LadderEntry.Direction, _ text: String, again: Bool = false
    ) -> LadderEntry {
        LadderEntry(
            at: setup + .milliseconds(milliseconds), milliseconds: milliseconds, leg: leg, direction: direction, text: text,
            retransmission: again)
    }

    static let ackLost: CallExplanation = {
        var explanation = CallExplanation(
            id: "k3f2a9c1", recordID: "1769847304000-k3f2a9c1dd00", callerNumber: "493012345678", calledNumber: "442079460123",
            callerTrunk: "customers", calleeTrunk: "carrier-london", callerAddress: SocketAddress("198.51.100.7:5060")!,
            calleeAddress: SocketAddress("203.0.113.20:5060")!, callerCallID: "8f14e45f@198.51.100.7",
            calleeCallID: "m3n8v0p2@192.0.2.10", setupAt: setup, answerAt: setup + .milliseconds(2_311),
            releaseAt: setup + .milliseconds(34_311), cause: .ackMissing, sipCode: 200, verdict: .ackLost,
            sentence: "No ACK for the 200 came from the caller within 32 s (64*T1), so the call was ended: the ACK has to reach 192.0.2.10:5060, relayd's Contact.",
            evidence: ["the 200 went to 198.51.100.7:5060 11 times in 32 s", "it asks for the ACK at the Contact 192.0.2.10:5060"],
            advice: "Find out why the caller's ACK does not reach 192.0.2.10:5060: a firewall, a proxy without Record-Route, or a caller that cannot route to that address.",
            lints: [.init(code: "slow_ringing", sentence: "From INVITE to ringing it took 4.5 s.")],
            ladder: [
                entry(0, .caller, .in, "INVITE"), entry(0, .caller, .out, "100 Trying"), entry(1, .callee, .out, "INVITE"),
                entry(1_540, .callee, .in, "180 Ringing"), entry(1_541, .caller, .out, "180 Ringing"),
                entry(2_311, .callee, .in, "200 OK"), entry(2_311, .callee, .out, "ACK"), entry(2_311, .caller, .out, "200 OK"),
                entry(2_811, .caller, .out, "200 OK", again: true), entry(3_811, .caller, .out, "200 OK", again: true),
                entry(34_311, .callee, .out, "BYE"), entry(34_311, .caller, .out, "BYE"), entry(34_331, .callee, .in, "200 OK"),
            ],
            omitted: 7, missing: .init(leg: .caller, direction: .in, text: "ACK", milliseconds: 2_311),
            fromCaller: direction(packets: 40), fromCallee: direction(packets: 1_580))
        explanation.others = ["1769847204000-aaaaaaaaaaaa"]
        return explanation
    }()

    private static func direction(packets: UInt64) -> CallExplanation.Direction {
        var direction = CallExplanation.Direction()
        direction.packets = packets
        direction.lost = 3
        direction.jitterMilliseconds = 4
        direction.longestGapMilliseconds = 61
        direction.firstMilliseconds = 2_340
        direction.lastMilliseconds = 2_340 + Int64(packets) * 20
        direction.source = SocketAddress("198.51.100.8:40000")!
        direction.payloadType = 8
        direction.codec = "PCMA"
        direction.telephoneEvents = 2
        let seconds = Int(packets / 50) + 1
        var lost = [Int](repeating: 0, count: seconds)
        lost[0] = 3
        var jitter = [Int](repeating: 2, count: seconds)
        jitter[seconds / 2] = 55
        direction.timeline = .init(
            milliseconds: 2_000, packets: (0..<seconds).map { $0 == 20 ? 0 : 50 }, lost: lost, jitterMilliseconds: jitter)
        return direction
    }

    @Test("80 columns, the verdict first, the missing ACK in its place, both directions on one axis")
    func golden() throws {
        try expect(Self.ackLost.text(TextStyle(width: 80)), matches: "why.80.txt")
        try expect(Self.ackLost.text(TextStyle(width: 80, isUnicode: true, isColoured: true)), matches: "why.unicode-colour.txt")
    }

    @Test("no line is longer than the terminal is wide, in ASCII, without spaces at its end", arguments: [80, 100])
    func fits(width: Int) {
        for line in Self.ackLost.text(TextStyle(width: width)).split(separator: "\n") {
            #expect(line.count <= width, "\(line)")
            #expect(line.last != " ", "\(line)")
            #expect(line.utf8.allSatisfy { (0x20...0x7e).contains($0) }, "\(line)")
        }
    }

    @Test("it comes through JSON as it went in")
    func json() throws {
        let line = try ControlLine.response(to: .number(1), result: Self.ackLost)
        let message = try #require(ServerMessage(line: Array(line.dropLast())))
        #expect(try message.result(as: CallExplanation.self) == Self.ackLost)
    }

    @Test("of a call that is only on record the record's words are left")
    func recordOnly() {
        var record = Samples.records[0]
        record.verdict = .mediaDied
        record.explanation = "The RTP of both sides stopped together at 60 s."
        let text = CallExplanation(record).text(TextStyle(width: 80))
        #expect(text.contains("media_died: The RTP of both sides stopped together at 60 s."))
        #expect(text.contains("only the record is"))
    }
}
