import Core
import Testing

@testable import ControlProtocol

@Suite("Reports on records")
struct RecordOutputTests {
    private let rows: [ReportRow] = {
        var to = ReportRow(name: "carrier-berlin", side: "to")
        to.attempts = 1_200
        to.answered = 800
        to.connectedSeconds = 144_000
        to.talkSeconds = 139_000
        to.deadAirSeconds = 1_200
        to.causes = ["normal": 780, "rejected": 300, "invite_timeout": 100, "no_media": 20]
        return [to, ReportRow(name: "customers", side: "from")]
    }()

    private let audit = AuditReport(
        examined: 5_012, isComplete: true, from: WallTime("2026-01-30T00:00:01.000Z"), to: WallTime("2026-01-31T00:00:00.000Z"),
        findings: [
            AuditFinding(
                pattern: .endedByTimer, subject: "endpoint 198.51.100.66 of trunk customers", calls: 20, of: 24,
                evidence: "20 calls ended 60 s after their last packet: their duration is the time with media and that timer, "
                    + "20 minutes too much", examples: ["1769847304120-abcdefghijkl", "1769847304121-bcdefghijklm"])
        ])

    @Test("report and audit look as in the golden files", arguments: [80, 120])
    func golden(width: Int) throws {
        let style = TextStyle(width: width)
        try expectGolden(ReportRow.listText(rows, by: .trunk, style), "report.\(width).txt")
        try expectGolden(audit.text(style), "audit.\(width).txt")
    }

    @Test("CSV has one header, one line a record, quotes what must be, and nothing a spreadsheet would run")
    func csv() throws {
        var record = Samples.records[0]
        record.callerNumber = "=cmd()|'x'!A0"
        record.calledNumber = "4\"9,1"
        record.verdict = .oneWayLater
        record.explanation = "The caller's RTP stopped at 17 s, and more."
        let lines = CallRecord.csv([record, Samples.records[1]]).split(separator: "\r\n")
        #expect(lines.count == 3)
        let columns = lines[0].split(separator: ",")
        #expect(columns.prefix(2) == ["id", "setup_at"])
        #expect(Set(columns).count == columns.count)
        #expect(lines[1].contains(",'=cmd()|'x'!A0,\"4\"\"9,1\","))
        #expect(lines[1].contains(",one_way_later,\"The caller's RTP stopped at 17 s, and more.\","))
        #expect(lines[2].split(separator: ",", omittingEmptySubsequences: false).count == columns.count)
    }
}
