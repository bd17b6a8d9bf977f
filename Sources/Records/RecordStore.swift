package import Core
import GRDB

/// The call records in SQLite, for queries by relayd and for anyone with a `sqlite3` shell. Used by one thread.
///
/// It may lose its newest records in a power cut (WAL with `synchronous = NORMAL`): the journal has them.
package final class RecordStore {
    private let database: DatabaseQueue

    /// Opens or creates the file and brings its schema up to date.
    package init(path: String) throws(RecordError) {
        var configuration = GRDB.Configuration()
        configuration.label = "relayd.records"
        configuration.journalMode = .wal
        // Someone at a shell may hold the lock for a moment.
        configuration.busyMode = .timeout(1)
        database = try Self.translated {
            let database = try DatabaseQueue(path: path, configuration: configuration)
            try Self.migrator.migrate(database)
            return database
        }
    }

    /// Adds those whose id is not there yet, all or none.
    ///
    /// - Returns: the number added.
    package func insert(_ records: [CallRecord]) throws(RecordError) -> Int {
        guard !records.isEmpty else { return 0 }
        return try Self.translated {
            try database.write { database in
                let before = database.totalChangesCount
                let statement = try database.cachedStatement(sql: CallRecord.insertion)
                for record in records { try statement.execute(arguments: record.arguments) }
                return database.totalChangesCount - before
            }
        }
    }

    /// Newest release first.
    package func records(matching query: RecordQuery) throws(RecordError) -> [CallRecord] {
        var conditions: [String] = []
        var arguments: [String] = []
        if let match = query.match {
            let columns = ["id", "caller_call_id", "callee_call_id", "caller_number", "called_number"]
            conditions.append("(" + columns.map { "\($0) = ?" }.joined(separator: " OR ") + ")")
            arguments += columns.map { _ in match }
        }
        if let cause = query.cause {
            conditions.append("cause = ?")
            arguments.append(cause.rawValue)
        }
        if let verdict = query.verdict {
            conditions.append("verdict = ?")
            arguments.append(verdict.rawValue)
        }
        if let trunk = query.trunk {
            conditions.append("(caller_trunk = ? OR callee_trunk = ?)")
            arguments += [trunk, trunk]
        }
        if let number = query.number {
            // Not LIKE: a number may contain what stands for something there.
            conditions.append("(instr(caller_number, ?) > 0 OR instr(called_number, ?) > 0)")
            arguments += [number, number]
        }
        if let since = query.since {
            conditions.append("released_at >= ?")
            arguments.append(since.description)
        }
        if let until = query.until {
            conditions.append("released_at < ?")
            arguments.append(until.description)
        }
        if let seconds = query.leastSeconds { conditions.append("duration_ms >= \(seconds * 1_000)") }
        if let seconds = query.mostSeconds { conditions.append("duration_ms < \((seconds + 1) * 1_000)") }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let sql = """
            SELECT * FROM call_record \(filter) ORDER BY released_at DESC, id DESC \
            LIMIT \(min(max(query.limit, 1), 10_000))
            """
        return try Self.translated {
            try database.read { database in
                let rows = try Row.fetchCursor(database, sql: sql, arguments: StatementArguments(arguments))
                var records: [CallRecord] = []
                while let row = try rows.next() { records.append(try CallRecord(row: row)) }
                return records
            }
        }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws(RecordError) -> Value {
        try Self.translated { try database.read(body) }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws(RecordError) -> Value {
        try Self.translated { try database.write(body) }
    }

    package func count() throws(RecordError) -> Int {
        try Self.translated {
            try database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM call_record") ?? 0 }
        }
    }

    /// Writes everything to the database file and waits for the disk. Throws when a reader is in the way.
    package func checkpoint() throws(RecordError) {
        try Self.translated { try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: call records") { try $0.execute(sql: CallRecord.schema) }
        migrator.registerMigration("2: quality of media") { try $0.execute(sql: CallRecord.qualitySchema) }
        migrator.registerMigration("3: verdicts") { try $0.execute(sql: CallRecord.verdictColumns) }
        migrator.registerMigration("4: digits") { try $0.execute(sql: CallRecord.digitSchema) }
        return migrator
    }

    private static func translated<Value>(_ body: () throws -> Value) throws(RecordError) -> Value {
        do {
            return try body()
        } catch let error as RecordError {
            throw error
        } catch let error as DatabaseError {
            throw .store(error.message ?? "SQLite error \(error.resultCode.rawValue)")
        } catch {
            throw .store("\(error)")
        }
    }
}
