package import Core
import GRDB

/// Questions over many records at once.
extension RecordStore {
    /// How calls went, a row for each group; the rows of a grouping by time come oldest first, others with the most attempts first.
    package func report(_ query: ReportQuery) throws(RecordError) -> [ReportRow] {
        switch query.grouping {
        case .trunk:
            let from = try rows(query, name: "caller_trunk", side: "from")
            let to = try rows(query, name: "callee_trunk", side: "to")
            return (from + to).filter { !$0.name.isEmpty }.sorted { ($0.name, $0.side ?? "") < ($1.name, $1.side ?? "") }
        case .route:
            return try rows(query, name: "ifnull(caller_trunk, '-') || ' > ' || ifnull(callee_trunk, '-')")
                .sorted { ($1.attempts, $0.name) < ($0.attempts, $1.name) }
        case .cause: return try rows(query, name: "cause").sorted { ($1.attempts, $0.name) < ($0.attempts, $1.name) }
        case .verdict: return try rows(query, name: "ifnull(verdict, '-')").sorted { ($1.attempts, $0.name) < ($0.attempts, $1.name) }
        case .hour: return try rows(query, name: "substr(released_at, 1, 13) || ':00'")
        case .day: return try rows(query, name: "substr(released_at, 1, 10)")
        }
    }

    /// - Parameter name: an SQL expression over a row; its groups come in order.
    private func rows(_ query: ReportQuery, name: String, side: String? = nil) throws(RecordError) -> [ReportRow] {
        // Where test calls have a line of their own they may be seen.
        let hasOwnLine = query.grouping == .trunk || query.grouping == .route
        let (filter, arguments) = Self.period(
            since: query.since, until: query.until, hasOwnLine ? nil : Self.noTestCalls)
        let sql = """
            SELECT \(name) AS name, cause, count(*) AS attempts, count(answer_at) AS answered, sum(duration_ms) AS duration_ms, \
            sum(talk_s) AS talk_s, sum(dead_air_s) AS dead_air_s FROM call_record \(filter) GROUP BY 1, cause ORDER BY 1, cause
            """
        return try read { database in
            var rows: [ReportRow] = []
            let groups = try Row.fetchCursor(database, sql: sql, arguments: StatementArguments(arguments))
            while let group = try groups.next() {
                let name: String = group["name"] ?? ""
                if rows.last?.name != name { rows.append(ReportRow(name: name, side: side)) }
                let last = rows.count - 1
                let attempts: Int64 = group["attempts"]
                let answered: Int64 = group["answered"]
                let milliseconds: Int64 = group["duration_ms"]
                let talk: Int64 = group["talk_s"]
                let deadAir: Int64 = group["dead_air_s"]
                rows[last].attempts += UInt64(attempts)
                rows[last].answered += UInt64(answered)
                rows[last].connectedSeconds += Double(milliseconds) / 1_000
                rows[last].talkSeconds += UInt64(clamping: talk)
                rows[last].deadAirSeconds += UInt64(clamping: deadAir)
                rows[last].causes[group["cause"], default: 0] += UInt64(attempts)
            }
            return rows
        }
    }

    /// Looks for ghost calls among the newest records of the time asked for.
    package func audit(_ query: AuditQuery) throws(RecordError) -> AuditReport {
        let (filter, arguments) = Self.period(since: query.since, until: query.until, "answer_at IS NOT NULL", Self.noTestCalls)
        let sql = """
            SELECT id, caller_trunk, callee_trunk, caller_address, callee_address, answer_at, released_at, duration_ms, dead_air_s, \
            caller_last_media_at, callee_last_media_at FROM call_record \(filter) ORDER BY released_at DESC, id DESC \
            LIMIT \(Self.auditLimit + 1)
            """
        var rows: [AuditRow] = try read { database in
            var rows: [AuditRow] = []
            let found = try Row.fetchCursor(database, sql: sql, arguments: StatementArguments(arguments))
            while let row = try found.next() {
                if let row = AuditRow(row) { rows.append(row) }
            }
            return rows
        }
        let isComplete = rows.count <= Self.auditLimit
        if !isComplete { rows.removeLast() }
        return AuditReport(
            examined: rows.count, isComplete: isComplete, from: rows.last?.releaseAt, to: rows.first?.releaseAt,
            findings: GhostAudit(rows: rows).findings())
    }

    /// An audit of so many takes a second or two, in which records wait.
    static let auditLimit = 200_000

    private static let noTestCalls = "caller_trunk IS NOT '\(CallRecord.doctorTrunk)'"

    private static func period(since: WallTime?, until: WallTime?, _ conditions: String?...) -> (String, [String]) {
        var conditions = conditions.compactMap(\.self)
        var arguments: [String] = []
        if let since {
            conditions.append("released_at >= ?")
            arguments.append(since.description)
        }
        if let until {
            conditions.append("released_at < ?")
            arguments.append(until.description)
        }
        return (conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND "), arguments)
    }

    /// Removes up to `limit` records that were released before `time`, the oldest first.
    ///
    /// - Returns: how many were removed.
    package func removeRecords(before time: WallTime, limit: Int) throws(RecordError) -> Int {
        let sql = """
            DELETE FROM call_record WHERE rowid IN \
            (SELECT rowid FROM call_record WHERE released_at < ? ORDER BY released_at LIMIT \(limit))
            """
        return try write { database in
            try database.execute(sql: sql, arguments: [time.description])
            let count = database.changesCount
            if count > 0 { try RecordKeys.removeOld(database) }
            return count
        }
    }
}

extension AuditRow {
    fileprivate init?(_ row: Row) {
        func time(_ column: String) -> WallTime? { (row[column] as String?).flatMap(WallTime.init) }
        func host(_ column: String) -> String {
            (row[column] as String?).flatMap { SocketAddress($0) }.map { "\($0.ip)" } ?? "-"
        }
        guard let answerAt = time("answer_at"), let releaseAt = time("released_at") else { return nil }
        let milliseconds: Int64 = row["duration_ms"]
        let deadAir: Int64 = row["dead_air_s"]
        self.init(
            id: row["id"], callerTrunk: row["caller_trunk"] ?? "-", calleeTrunk: row["callee_trunk"] ?? "-",
            callerHost: host("caller_address"), calleeHost: host("callee_address"), answerAt: answerAt, releaseAt: releaseAt,
            duration: Double(milliseconds) / 1_000, deadAir: Double(deadAir),
            lastFromCaller: time("caller_last_media_at"), lastFromCallee: time("callee_last_media_at"))
    }
}
