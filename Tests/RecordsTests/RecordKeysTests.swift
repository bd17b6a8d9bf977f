import Core
import GRDB
import Testing

@testable import Records

/// How records are found without an index for each of what they are found by.
@Suite struct RecordKeysTests {
    private let directory = TemporaryDirectory()

    @Test("each of thousands of records, written in parts of any size, is found by each of its names")
    func thousands() throws {
        let store = try RecordStore(path: directory.store)
        var random = SeededRandom(seed: 5)
        var count = 0
        while count < 3_000 {
            let part = min(3_000 - count, [1, 3, 200, 511, 512, 513, 1_100][Int(random.next() % 7)])
            let records = (count + 1...count + part).map(record)
            #expect(try store.insert(new: [records[..<(part / 2)], records[(part / 2)...]]) == part)
            count += part
        }
        #expect(try rows(store) == (3_000 + 511) / 512)
        for number in stride(from: 1, through: 3_000, by: 97) {
            for match in ["id-\(number)", "a-\(number)@host", "b-\(number)@host", "+49\(number)", "0030\(number)"] {
                #expect(try store.records(matching: RecordQuery(match: match)) == [record(number)])
            }
        }
        let found = try store.records(matching: RecordQuery(limit: 3, cause: .noMedia, trunk: "beta"))
        #expect(found == [3_000, 2_994, 2_988].map(record))
        let since = RecordQuery(limit: 5, match: "+492999", cause: .noMedia, since: record(2_999).releaseAt)
        #expect(try store.records(matching: since) == [])
    }

    @Test("records that came before are not taken again, in whatever order and company they come")
    func once() throws {
        let store = try RecordStore(path: directory.store)
        #expect(try store.insert(new: [(1...700).map(record)[...]]) == 700)
        #expect(try store.insert((650...750).reversed().map(record) + [bareRecord(1), record(700)]) == 51)
        #expect(try store.insert(new: [[record(751)], [record(752), record(751)]]) == 2)
        #expect(try store.count() == 753)
        #expect(try store.records(matching: RecordQuery(match: "id-751")) == [record(751)])
    }

    @Test("a store of an older version keeps its records, finds them without its indexes, and takes new ones, once")
    func olderVersion() throws {
        do {
            let old = try RecordStore(path: directory.store, upTo: "4: digits")
            try old.write { database in
                var row = try RecordRow(database)
                for number in 1...1_300 where number != 5 {
                    #expect(try row.insert(record(number), entry: Int64(number)))
                }
            }
        }
        for _ in 1...2 {
            let store = try RecordStore(path: directory.store)
            let indexes = try store.read { database in
                try String.fetchAll(
                    database,
                    sql: "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'call_record' ORDER BY name")
            }
            #expect(indexes == ["call_record_released_at", "sqlite_autoindex_call_record_1"])
            #expect(try rows(store) == 4)
            for number in [1, 4, 6, 512, 513, 1_299] {
                for match in ["id-\(number)", "a-\(number)@host", "b-\(number)@host", "+49\(number)", "0030\(number)"] {
                    #expect(try store.records(matching: RecordQuery(match: match)) == [record(number)])
                }
            }
        }
        let store = try RecordStore(path: directory.store)
        #expect(try store.insert((1_299...1_301).map(record)) == 1)
        #expect(try store.insert(new: [[record(1_302), record(1)]]) == 1)
        #expect(try store.insert(new: [[record(1_303)]]) == 1)
        for number in [1, 1_300, 1_301, 1_302, 1_303] {
            #expect(try store.records(matching: RecordQuery(match: "id-\(number)")) == [record(number)])
        }
        #expect(try store.count() == 1_302)
    }

    @Test("keys go with the records they are of; what comes after all are gone is found")
    func removal() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert(new: [(1...1_500).map(record)[...]])
        #expect(try store.removeRecords(before: record(1_100).releaseAt, limit: 1_050) == 1_050)
        #expect(try rows(store) == 1)
        #expect(try store.records(matching: RecordQuery(match: "+491050")) == [])
        #expect(try store.records(matching: RecordQuery(match: "+491051")) == [record(1_051)])
        #expect(try store.removeRecords(before: record(2_000).releaseAt, limit: 1_000) == 450)
        #expect(try rows(store) == 0)
        _ = try store.insert(new: [[record(7)]])
        #expect(try store.records(matching: RecordQuery(match: "a-7@host")) == [record(7)])
    }

    @Test("records that another program added are found once the store is opened again, and removed ones are not")
    func otherProgram() throws {
        do {
            let store = try RecordStore(path: directory.store)
            _ = try store.insert(new: [(1...3).map(record)[...]])
            try store.write { try $0.execute(sql: "DELETE FROM call_record WHERE id = 'id-3'") }
            _ = try store.insert(new: [[record(4)]])
            try store.write { try $0.execute(sql: "UPDATE call_record SET entry = 40 WHERE id = 'id-2'") }
        }
        let store = try RecordStore(path: directory.store)
        #expect(try store.records(matching: RecordQuery()) == [4, 2, 1].map(record))
        for number in [1, 2, 4] {
            #expect(try store.records(matching: RecordQuery(match: "+49\(number)")) == [record(number)])
        }
        #expect(try store.records(matching: RecordQuery(match: "+493")) == [])
    }

    @Test("what many records have is found as well")
    func many() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert(new: [(1...20_100).map { number in
            var record = record(number)
            (record.callerNumber, record.cause) = ("anonymous", .rejected)
            return record
        }[...]])
        #expect(try store.records(matching: RecordQuery(match: "anonymous")).count == 50)
        let last = RecordQuery(match: "anonymous", number: "003020100")
        #expect(try store.records(matching: last).map(\.id) == ["id-20100"])
        #expect(try store.records(matching: RecordQuery(limit: 1, cause: .rejected)).map(\.id) == ["id-20100"])
    }

    @Test("keys are what they were in every version")
    func stable() {
        #expect(RecordKeys.key(nil) == 0)
        let keys = ["", "a", "12345678", "123456789", "+4930123456", "né"].map { RecordKeys.key($0) }
        #expect(keys == [0x7f4a_7c15, 0xa39a_00ef, 0x330e_2d04, 0x060c_bad5, 0x2bf2_0ea3, 0xc4f1_e33c])
    }

    private func rows(_ store: RecordStore) throws -> Int? {
        try store.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM call_record_keys") }
    }
}
