import Core
import Foundation
import GRDB

/// Finds records by number, Call-ID, id, cause and verdict, without an index for each.
///
/// These are random, so an index of them is written at as many places as there are new records: among 300,000 records the four
/// of numbers and Call-IDs took ten times as long to write as the records themselves. Instead a row of `call_record_keys` holds
/// the keys of up to 512 records in a row, a number of 32 bits for each. To find one all of them are read, 28 octets a record:
/// a million are 28 MB. Others' keys are the same by chance, so what is found is looked at in full.
enum RecordKeys {
    /// In this order in the file, for good.
    private enum Kind: Int, CaseIterable { case id, callerCallID, calleeCallID, callerNumber, calledNumber, cause, verdict }

    private static let keySize = 4
    static let size = keySize * Kind.allCases.count
    private static let mostRecords = 512

    static let schema = """
        CREATE TABLE call_record_keys (
            first_entry INTEGER NOT NULL PRIMARY KEY,
            keys BLOB NOT NULL
        ) STRICT;
        """

    /// What stands for a text in the file: the same for good. Zero is for none.
    static func key(_ text: String?) -> UInt32 {
        guard let text else { return 0 }
        let octets = text.utf8Span.span
        var hash = UInt64(octets.count) ^ 0x9e37_79b9_7f4a_7c15
        var index = 0
        while index < octets.count {
            let end = min(index + 8, octets.count)
            var group: UInt64 = 0
            for position in index..<end { group |= UInt64(octets[position]) << UInt64(8 * (position - index)) }
            hash = (hash ^ group) &* 0xff51_afd7_ed55_8ccd
            hash ^= hash >> 32
            index = end
        }
        return max(1, UInt32(truncatingIfNeeded: hash))
    }

    /// Writes the keys of a record, `size` octets.
    static func append(_ record: CallRecord, to keys: inout OctetBuffer) {
        append(
            record.id, record.callerCallID, record.calleeCallID, record.callerNumber, record.calledNumber,
            cause: record.cause.rawValue, verdict: record.verdict?.rawValue, to: &keys)
    }

    private static func append(
        _ id: String, _ callerCallID: String, _ calleeCallID: String?, _ callerNumber: String, _ calledNumber: String,
        cause: String, verdict: String?, to keys: inout OctetBuffer
    ) {
        keys.append(littleEndian: key(id))
        keys.append(littleEndian: key(callerCallID))
        keys.append(littleEndian: key(calleeCallID))
        keys.append(littleEndian: key(callerNumber))
        keys.append(littleEndian: key(calledNumber))
        keys.append(littleEndian: key(cause))
        keys.append(littleEndian: key(verdict))
    }

    // MARK: Writing

    /// Where the next record goes: behind all that are there or were, as far as anybody can tell.
    static func nextEntry(_ database: Database) throws -> Int64 {
        let last = try Int64.fetchOne(database, sql: "SELECT max(rowid) FROM call_record") ?? 0
        return max(last + 1, try end(database)?.entry ?? 0)
    }

    /// The last row of keys, and the entry behind its records.
    private static func end(_ database: Database) throws -> (first: Int64, entry: Int64)? {
        let sql = "SELECT first_entry, length(keys) AS size FROM call_record_keys ORDER BY first_entry DESC LIMIT 1"
        guard let row = try Row.fetchOne(database, sql: sql) else { return nil }
        let first: Int64 = row["first_entry"]
        let size: Int64 = row["size"]
        return (first, first + size / Int64(Self.size))
    }

    /// Adds the keys of records in a row, `entry` and those behind it, to the last row of keys or to new ones.
    static func add(_ keys: [UInt8], of entry: Int64, to database: Database) throws {
        var keys = keys[...]
        var entry = entry
        if let end = try end(database), end.entry == entry, end.entry - end.first < mostRecords {
            let room = (mostRecords - Int(end.entry - end.first)) * size
            let sql = "SELECT keys FROM call_record_keys WHERE first_entry = ?"
            let before = try Data.fetchOne(database, sql: sql, arguments: [end.first]) ?? Data()
            try write(before + keys.prefix(room), of: end.first, to: database)
            entry += Int64(min(room, keys.count) / size)
            keys = keys.dropFirst(room)
        }
        while !keys.isEmpty {
            let part = keys.prefix(mostRecords * size)
            try write(Data(part), of: entry, to: database)
            entry += Int64(part.count / size)
            keys = keys.dropFirst(part.count)
        }
    }

    private static func write(_ keys: Data, of entry: Int64, to database: Database) throws {
        let sql = "INSERT OR REPLACE INTO call_record_keys (first_entry, keys) VALUES (?, ?)"
        try database.cachedStatement(sql: sql).execute(arguments: [entry, keys])
    }

    /// Adds the keys of records that have none: of those that a version without keys wrote.
    static func complete(_ database: Database) throws {
        let sql = """
            SELECT rowid, id, caller_call_id, callee_call_id, caller_number, called_number, cause, verdict FROM call_record \
            WHERE rowid >= ? ORDER BY rowid
            """
        var keys = OctetBuffer(capacity: mostRecords * size)
        var first: Int64 = 0
        func flush(_ keys: borrowing OctetBuffer) throws {
            if keys.count > 0 { try add(keys.array, of: first, to: database) }
        }
        let rows = try Row.fetchCursor(database, sql: sql, arguments: [try end(database)?.entry ?? 0])
        while let row = try rows.next() {
            let entry: Int64 = row[0]
            if keys.count == mostRecords * size || entry != first + Int64(keys.count / size) {
                try flush(keys)
                keys.removeAll()
                first = entry
            }
            append(row[1], row[2], row[3], row[4], row[5], cause: row[6], verdict: row[7], to: &keys)
        }
        try flush(keys)
    }

    /// Removes the keys of records that were removed, once all of a row were.
    static func removeOld(_ database: Database) throws {
        try database.execute(
            sql: """
                DELETE FROM call_record_keys \
                WHERE first_entry + length(keys) / \(size) <= ifnull((SELECT min(rowid) FROM call_record), \(Int64.max))
                """)
    }

    // MARK: Finding

    /// The records, by entry, that can match a query for what has keys: all that do, and by chance some more.
    ///
    /// - Returns: nil when the query asks for nothing of that, or when there are so many that whoever looks at one record after
    ///   the other soon has enough.
    static func entries(_ query: RecordQuery, _ database: Database) throws -> [Int64]? {
        guard query.match != nil || query.cause != nil || query.verdict != nil else { return nil }
        let (match, verdict) = (key(query.match), key(query.verdict?.rawValue))
        let causes = (query.cause?.causes ?? []).map { key($0.rawValue) }
        var found: [Int64] = []
        try forEach(database) { keys, entry in
            if !causes.isEmpty, !causes.contains(keys[.cause]) { return }
            if verdict != 0, keys[.verdict] != verdict { return }
            if match != 0 {
                guard
                    keys[.id] == match || keys[.callerCallID] == match || keys[.calleeCallID] == match
                        || keys[.callerNumber] == match || keys[.calledNumber] == match
                else { return }
            }
            found.append(entry)
        }
        return found.count <= mostEntries ? found : nil
    }

    /// Of so many the newest are looked for along the time: some come soon.
    private static let mostEntries = 20_000

    /// Those that may have one of these ids.
    ///
    /// - Parameter keys: of the ids.
    static func entries(ids keys: [UInt32], _ database: Database) throws -> [Int64] {
        let wanted = Set(keys)
        // Most ids are none of them, which one bit of so many tells.
        var bits = [UInt64](repeating: 0, count: 1_024)
        for key in wanted { bits[Int(key >> 6 & 1_023)] |= 1 << UInt64(key & 63) }
        var found: [Int64] = []
        try forEach(database) { keys, entry in
            let key = keys[.id]
            if bits[Int(key >> 6 & 1_023)] & 1 << UInt64(key & 63) != 0, wanted.contains(key) { found.append(entry) }
        }
        return found
    }

    /// Entries as a value for `json_each`.
    static func list(_ entries: [Int64]) -> String { "[" + entries.map(\.description).joined(separator: ",") + "]" }

    /// The keys of one record.
    @safe private struct Keys {
        let octets: UnsafeRawBufferPointer
        let start: Int

        subscript(kind: Kind) -> UInt32 {
            // SAFETY: all keys of the record are inside, by whoever made this.
            UInt32(littleEndian: unsafe octets.loadUnaligned(fromByteOffset: start + kind.rawValue * keySize, as: UInt32.self))
        }
    }

    private static func forEach(_ database: Database, _ body: (Keys, _ entry: Int64) -> Void) throws {
        let rows = try Row.fetchCursor(database, sql: "SELECT first_entry, keys FROM call_record_keys")
        while let row = try rows.next() {
            let first: Int64 = row[0]
            try row.withUnsafeData(atIndex: 1) { data in
                guard let data else { return }
                // SAFETY: the pointer is used inside the closure only, and up to its end.
                unsafe data.withUnsafeBytes { octets in
                    for index in 0..<octets.count / size {
                        body(unsafe Keys(octets: octets, start: index * size), first + Int64(index))
                    }
                }
            }
        }
    }
}
