import Core
import Foundation
import Records
import Testing

@Suite struct RecordStoreTests {
    private let directory = TemporaryDirectory()

    @Test("every field comes back as it went in")
    func roundTrip() throws {
        let store = try RecordStore(path: directory.store)
        #expect(try store.insert([record(1), bareRecord(1)]) == 2)
        #expect(try store.records(matching: RecordQuery()) == [record(1), bareRecord(1)])
    }

    @Test("a record is kept once, as it came first")
    func once() throws {
        let store = try RecordStore(path: directory.store)
        #expect(try store.insert([record(1), record(1)]) == 1)
        var changed = record(1)
        changed.sipCode = 500
        #expect(try store.insert([changed, record(2)]) == 1)
        #expect(try store.count() == 2)
        #expect(try store.records(matching: RecordQuery(match: "id-1")) == [record(1)])
    }

    @Test("each filter of a query narrows, and all of them together")
    func filters() throws {
        let store = try RecordStore(path: directory.store)
        _ = try store.insert((1...12).map(record))
        func found(_ query: RecordQuery) throws -> [Int] {
            try store.records(matching: query).compactMap { Int($0.id.dropFirst(3)) }
        }
        #expect(try found(RecordQuery()) == (1...12).reversed())
        #expect(try found(RecordQuery(limit: 3)) == [12, 11, 10])
        #expect(try found(RecordQuery(limit: -5)) == [12])
        for match in ["id-7", "a-7@host", "b-7@host", "+497", "00307"] {
            #expect(try found(RecordQuery(match: match)) == [7], "\(match)")
        }
        #expect(try found(RecordQuery(match: "id")) == [])
        #expect(try found(RecordQuery(cause: .noMedia)) == [12, 9, 6, 3])
        #expect(try found(RecordQuery(trunk: "beta")) == [12, 10, 8, 6, 4, 2])
        #expect(try found(RecordQuery(trunk: "alpha")) == (1...12).reversed())
        #expect(try found(RecordQuery(since: record(11).releaseAt)) == [12, 11])
        #expect(
            try found(RecordQuery(limit: 5, cause: .noMedia, trunk: "beta", since: record(7).releaseAt)) == [12])
        #expect(try found(RecordQuery(match: "'; DROP TABLE call_record; --")) == [])
    }

    @Test("a word of VOS3000's that stands for several causes finds the records of each")
    func severalCauses() throws {
        let store = try RecordStore(path: directory.store)
        var records = (1...4).map(record)
        (records[0].cause, records[1].cause, records[2].cause, records[3].cause) = (.capacity, .allRoutesDown, .noMedia, .normal)
        _ = try store.insert(records)
        var query = RecordQuery()
        query.cause = ReleaseCauses("allgatewaybusy")
        #expect(try store.records(matching: query).map(\.id) == ["id-2", "id-1"])
    }

    @Test("what it wrote is there when it is opened again")
    func reopened() throws {
        do {
            let store = try RecordStore(path: directory.store)
            _ = try store.insert([record(1)])
        }
        #expect(try RecordStore(path: directory.store).count() == 1)
    }

    @Test("a file that is no database is refused with SQLite's words")
    func noDatabase() throws {
        try String(repeating: "this is text\n", count: 100).write(toFile: directory.store, atomically: true, encoding: .utf8)
        #expect(throws: RecordError.store("file is not a database")) { try RecordStore(path: directory.store) }
    }
}
