import Core
import Records
import Testing

@Suite("Reports over the store")
struct RecordReportTests {
    private let directory = TemporaryDirectory()

    @Test("by trunk, route, cause, hour and day the same calls add up to the same")
    func groupings() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...300).map(record) + [bareRecord(1), bareRecord(2)])
        for grouping in ReportQuery.Grouping.allCases {
            let rows = try store.report(ReportQuery(grouping: grouping))
            let sides = rows.filter { $0.side != "from" }
            let isTrunk = grouping == .trunk
            #expect(sides.reduce(0) { $0 + $1.attempts } == (isTrunk ? 300 : 302), "\(grouping)")
            #expect(sides.reduce(0) { $0 + $1.answered } == 300)
            #expect(sides.reduce(0) { $0 + $1.connectedSeconds } == 300 * 59.5)
            for row in rows { #expect(row.causes.values.reduce(0, +) == row.attempts) }
        }
        let trunks = try store.report(ReportQuery())
        #expect(trunks.map { "\($0.name) \($0.side ?? "")" } == ["alpha from", "beta to", "gamma to"])
        #expect(trunks[1].attempts == 150 && trunks[1].causes == ["normal": 100, "no_media": 50])
        #expect(trunks[1].answerRatio == 1 && trunks[1].averageSeconds == 59.5)
        #expect(try store.report(ReportQuery(grouping: .cause)).map(\.name) == ["normal", "no_media", "rejected"])
    }

    @Test("by verdict: calls are counted and found by their root cause; records without one are there too")
    func verdicts() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...12).map { number in
            var record = record(number)
            record.verdict = number % 4 == 0 ? .oneWayLater : number % 3 == 0 ? nil : .normal
            return record
        })
        let rows = try store.report(ReportQuery(grouping: .verdict))
        #expect(rows.map { "\($0.name) \($0.attempts)" } == ["normal 6", "- 3", "one_way_later 3"])
        #expect(rows[2].answered == 3)
        #expect(try store.records(matching: RecordQuery(verdict: .oneWayLater)).map(\.id) == ["id-12", "id-8", "id-4"])
        #expect(try store.records(matching: RecordQuery(verdict: .ackLost)).isEmpty)
    }

    @Test("a time narrows it")
    func period() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...10).map(record))
        let middle = record(5).releaseAt
        #expect(try store.report(ReportQuery(grouping: .cause, since: middle)).reduce(0) { $0 + $1.attempts } == 6)
        #expect(try store.report(ReportQuery(grouping: .cause, until: middle)).reduce(0) { $0 + $1.attempts } == 4)
        #expect(try store.audit(AuditQuery(since: middle)).examined == 6)
        #expect(try store.records(matching: RecordQuery(until: middle)).count == 4)
    }

    @Test("records are found by a part of a number and by how long they lasted")
    func filters() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...12).map(record))
        #expect(try store.records(matching: RecordQuery(number: "4912")).map(\.id) == ["id-12"])
        #expect(try store.records(matching: RecordQuery(number: "%")).isEmpty)
        #expect(try store.records(matching: RecordQuery(leastSeconds: 60)).isEmpty)
        #expect(try store.records(matching: RecordQuery(leastSeconds: 59, mostSeconds: 59)).count == 12)
        #expect(try store.records(matching: RecordQuery(mostSeconds: 58)).isEmpty)
    }

    @Test("the audit reads from the store what it needs: a timer in the rows is found")
    func audit() throws {
        let store = try RecordStore(path: directory.store)
        // Each ends 1 s after its last packet: no ghosts.
        _ = try store.insert((1...100).map(record))
        #expect(try store.audit(AuditQuery()).findings.isEmpty)
        _ = try store.insert((101...110).map { number in
            var ghost = record(number)
            ghost.releaseAt = ghost.releaseAt + .seconds(60)
            ghost.durationMilliseconds += 60_000
            ghost.callerAddress = SocketAddress("198.51.100.66:5060")!
            return ghost
        })
        let report = try store.audit(AuditQuery())
        #expect(report.examined == 110 && report.isComplete)
        let finding = try #require(report.findings.first { $0.pattern == .endedByTimer })
        #expect(finding.subject == "endpoint 198.51.100.66 of trunk alpha")
        #expect(finding.calls == 10 && finding.of == 10)
    }

    @Test("test calls of the doctor are no ghosts, and count in no cause, hour or day")
    func doctor() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...50).map { number in
            var test = record(number)
            test.callerTrunk = CallRecord.doctorTrunk
            test.calleeTrunk = CallRecord.doctorTrunk
            test.fromCaller.lastMediaAt = test.releaseAt + .seconds(-30)
            test.fromCallee.lastMediaAt = test.releaseAt + .seconds(-30)
            return test
        } + [record(51)])
        #expect(try store.audit(AuditQuery()).examined == 1)
        #expect(try store.report(ReportQuery(grouping: .cause)).reduce(0) { $0 + $1.attempts } == 1)
        #expect(try store.report(ReportQuery()).first { $0.name == "doctor" }?.attempts == 50)
    }

    @Test("old records are removed, some at a time, and new ones stay")
    func retention() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...10).map(record))
        #expect(try store.removeRecords(before: record(8).releaseAt, limit: 5) == 5)
        #expect(try store.removeRecords(before: record(8).releaseAt, limit: 5) == 2)
        #expect(try store.records(matching: RecordQuery()).map(\.id) == ["id-10", "id-9", "id-8"])
    }

    @Test("a keeper that keeps for a day removes what is older, by itself")
    func keepDays() throws {
        var options = RecordKeeper.Options()
        options.keepDays = 1
        let keeper = try RecordKeeper(directory: directory.path, options: options)
        var fresh = record(1)
        fresh.releaseAt = WallTime("2999-01-01T00:00:00.000Z")!
        #expect(keeper.submit(record(2)))
        #expect(keeper.submit(fresh))
        // The first look at old records comes with the start; here before or after these two.
        _ = keeper.answer()
        #expect(keeper.stop() == [])
        let again = try RecordKeeper(directory: directory.path, options: options)
        _ = again.answer()
        #expect(try again.answer().get().map(\.id) == ["id-1"])
        #expect(again.stop() == [])
    }
}
