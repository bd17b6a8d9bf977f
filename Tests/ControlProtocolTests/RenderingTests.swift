import Core
import Foundation
import Testing

@testable import ControlProtocol

@Suite("Text for people")
struct RenderingTests {
    @Test("status, calls, one call, records, events and configuration look as in the golden files", arguments: [80, 120])
    func golden(width: Int) throws {
        let style = TextStyle(width: width)
        try expect(Samples.status.text(style), matches: "status.\(width).txt")
        try expect(CallSummary.listText(Samples.calls, style), matches: "calls.\(width).txt")
        try expect(Samples.detail.text(style), matches: "call.\(width).txt")
        try expect(CallRecord.listText(Samples.recordsWithVerdicts, style), matches: "records.\(width).txt")
        try expect(Samples.recordsWithVerdicts.map { $0.text(style) }.joined(separator: "\n"), matches: "record.\(width).txt")
        try expect(ConfigurationRow.listText(Samples.configuration, style), matches: "config.\(width).txt")
        try expect(Samples.registrations.text(style), matches: "registrations.\(width).txt")
        try expect(BindingDetail.listText(Samples.bindings, style), matches: "bindings.\(width).txt")
        try expect(SuspensionSummary.listText(Samples.suspensions, style), matches: "suspensions.\(width).txt")
        try expect(Samples.events.map { $0.text(style) }.joined(), matches: "events.txt")
    }

    @Test("a UTF-8 terminal gets lines and arrow heads, a colour terminal colours")
    func unicodeAndColour() throws {
        let style = TextStyle(width: 80, isUnicode: true, isColoured: true)
        try expect(Samples.detail.text(style), matches: "call.unicode-colour.txt")
    }

    @Test("tables fit 80 columns, without spaces at the end, in ASCII, and nothing in them steers the terminal")
    func fits() {
        let style = TextStyle(width: 80)
        let text = Samples.status.text(style) + CallSummary.listText(Samples.calls, style)
            + CallRecord.listText(Samples.records, style) + LadderEntry.ladderText(Samples.ladder, style)
        for line in text.split(separator: "\n") {
            #expect(line.count <= 80, "\(line)")
            #expect(line.last != " ", "\(line)")
            #expect(line.utf8.allSatisfy { (0x20...0x7e).contains($0) }, "\(line)")
        }
    }

    @Test("without a width nothing is left out or cut")
    func unlimited() {
        let text = CallSummary.listText(Samples.calls, TextStyle(width: 10_000))
        #expect(text.contains("carrier-berlin > carrier-london"))
        #expect(text.contains("no: emergency number"))
        #expect(!text.contains("~"))
    }

    @Test("a narrow list of calls still says which calls silence does not end, and why")
    func reasonsBelow() {
        let text = CallSummary.listText(Samples.calls, TextStyle(width: 80))
        #expect(text.contains("Not monitored (emergency number): p81xzz07"))
    }

    @Test(
        "calls are sorted as asked",
        arguments: [
            (CallOrder.duration, ["k3f2a9c1", "p81xzz07", "00qrstuv"]), (.silence, ["k3f2a9c1", "p81xzz07", "00qrstuv"]),
            (.caller, ["p81xzz07", "k3f2a9c1", "00qrstuv"]), (.callee, ["p81xzz07", "k3f2a9c1", "00qrstuv"]),
            (.state, ["00qrstuv", "k3f2a9c1", "p81xzz07"]),
        ])
    func order(order: CallOrder, ids: [String]) {
        #expect(order.sorted(Samples.calls.reversed()).map(\.id) == ids)
    }

    @Test(
        "silence is read in seconds, then without tenths, then as a duration",
        arguments: [(0, "0.0 s"), (4.29, "4.2 s"), (99.99, "99.9 s"), (100, "100 s"), (3_599.9, "3599 s"), (3_723, "1:02:03"), (-1, "0.0 s")])
    func silence(seconds: Double, text: String) {
        #expect(Quantity.silence(seconds: seconds) == text)
    }

    /// Compares with the file in `Golden`; `UPDATE_GOLDEN=1` writes it instead.
}

/// `UPDATE_GOLDEN=1` writes the file anew.
func expect(_ text: String, matches name: String) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let golden = try String(contentsOf: file, encoding: .utf8)
    #expect(text == golden, "Golden/\(name) differs")
}
