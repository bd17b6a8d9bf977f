package import Core
import GRDB

/// The call records in SQLite, for queries by relayd and for anyone with a `sqlite3` shell. Used by one thread.
///
/// It may lose its newest records in a power cut (WAL with `synchronous = NORMAL`): the journal has them.
package final class RecordStore {
    private let database: DatabaseQueue

    /// Opens or creates the file and brings its schema up to date.
    package convenience init(path: String) throws(RecordError) { try self.init(path: path, upTo: nil) }

    /// - Parameter version: the last step that is done to the schema; another one in tests.
    init(path: String, upTo version: String?) throws(RecordError) {
        var configuration = GRDB.Configuration()
        configuration.label = "relayd.records"
        configuration.journalMode = .wal
        // Someone at a shell may hold the lock for a moment.
        configuration.busyMode = .timeout(1)
        // Of a new file. What records are appended to is written in fewer and larger pieces.
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA page_size = 16384") }
        database = try Self.translated {
            let database = try DatabaseQueue(path: path, configuration: configuration)
            guard version == nil else {
                try Self.migrator.migrate(database, upTo: version ?? "")
                return database
            }
            try Self.migrator.migrate(database)
            try database.write { try RecordKeys.complete($0) }
            return database
        }
    }

    /// Adds those whose id is not there yet, all or none.
    ///
    /// - Returns: the number added.
    package func insert(_ records: [CallRecord]) throws(RecordError) -> Int {
        guard !records.isEmpty else { return 0 }
        return try write { database in
            let present = RecordKeys.list(try RecordKeys.entries(ids: records.map { RecordKeys.key($0.id) }, database))
            var ids = try String.fetchSet(
                database, sql: "SELECT id FROM call_record WHERE rowid IN (SELECT value FROM json_each(?))", arguments: [present])
            let absent = records.filter { ids.insert($0.id).inserted }
            return try Self.add([absent[...]], to: database)
        }
    }

    /// Adds records that nobody has given to any store before: their ids are looked at only to tell them from each other.
    ///
    /// - Returns: as `insert`.
    package func insert(new records: [ArraySlice<CallRecord>]) throws(RecordError) -> Int {
        let ids = records.flatMap { $0.map { RecordKeys.key($0.id) } }.sorted()
        // Two keys can be the same by chance, which makes no difference to `insert`.
        if zip(ids, ids.dropFirst()).contains(where: ==) { return try insert(Array(records.joined())) }
        return try write { try Self.add(records, to: $0) }
    }

    private static func add(_ records: [ArraySlice<CallRecord>], to database: Database) throws -> Int {
        let first = try RecordKeys.nextEntry(database)
        var row = try RecordRow(database)
        var keys = OctetBuffer(capacity: records.reduce(0) { $0 + $1.count } * RecordKeys.size)
        var entry = first
        for record in records.joined() {
            // Where ids have an index, one of another program's may be there: it does not count as an entry.
            guard try row.insert(record, entry: entry) else { continue }
            RecordKeys.append(record, to: &keys)
            entry += 1
        }
        try RecordKeys.add(keys.array, of: first, to: database)
        return Int(entry - first)
    }

    /// Newest release first.
    package func records(matching query: RecordQuery) throws(RecordError) -> [CallRecord] {
        try read { database in
            let candidates = try RecordKeys.entries(query, database)
            let (sql, arguments) = Self.selection(query, among: candidates)
            let rows = try Row.fetchCursor(database, sql: sql, arguments: StatementArguments(arguments))
            var records: [CallRecord] = []
            while let row = try rows.next() { records.append(try CallRecord(row: row)) }
            return records
        }
    }

    /// - Parameter candidates: what the table need be searched for; nil: any.
    private static func selection(_ query: RecordQuery, among candidates: [Int64]?) -> (sql: String, arguments: [String]) {
        var conditions: [String] = []
        var arguments: [String] = []
        // SQLite takes the table for less trouble than its index, and reads all of it for the newest fifty.
        var table = "call_record INDEXED BY call_record_released_at"
        if let candidates {
            // CROSS: the candidates first, then the record of each.
            table = "(SELECT value AS candidate FROM json_each(?)) CROSS JOIN call_record ON call_record.rowid = candidate"
            arguments.append(RecordKeys.list(candidates))
        }
        if let match = query.match {
            let columns = ["id", "caller_call_id", "callee_call_id", "caller_number", "called_number"]
            conditions.append("(" + columns.map { "\($0) = ?" }.joined(separator: " OR ") + ")")
            arguments += columns.map { _ in match }
        }
        if let cause = query.cause {
            conditions.append("cause IN (\(cause.causes.map { _ in "?" }.joined(separator: ", ")))")
            arguments += cause.causes.map(\.rawValue)
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
            SELECT call_record.* FROM \(table) \(filter) ORDER BY released_at DESC, call_record.id DESC \
            LIMIT \(min(max(query.limit, 1), 10_000))
            """
        return (sql, arguments)
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
        migrator.registerMigration("5: keys in place of indexes") { database in
            let isEmpty = try Int64.fetchOne(database, sql: "SELECT rowid FROM call_record LIMIT 1") == nil
            try database.execute(sql: isEmpty ? CallRecord.tableOfVersion5 : CallRecord.removalOfIndexes)
            try database.execute(sql: RecordKeys.schema)
        }
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
