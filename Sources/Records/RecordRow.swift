import Core
import GRDB
import GRDBSQLite

/// Puts records into the store as rows, through SQLite's own interface: a row has fifty values, and an object for each would
/// cost as much as all the rest. The texts are written into one buffer, where SQLite finds them.
@safe struct RecordRow: ~Copyable {
    private let database: Database
    private let statement: SQLiteStatement
    private var texts = OctetBuffer(capacity: 4_096)
    private var column: Int32 = 0
    private var result = SQLITE_OK

    init(_ database: Database) throws {
        self.database = database
        unsafe statement = try database.cachedStatement(sql: CallRecord.insertion).sqliteStatement
    }

    // The texts are gone now.
    deinit { unsafe sqlite3_clear_bindings(statement) }

    /// - Returns: false when its id is there already and the table has an index of ids.
    mutating func insert(_ record: CallRecord, entry: Int64) throws -> Bool {
        texts.removeAll()
        // What follows must not move while SQLite knows where it is.
        texts.reserve(Self.textSize + record.textSize)
        let room = unsafe texts.octets.baseAddress
        column = 0
        bind(entry)
        bind(record)
        precondition(column == CallRecord.columnCount)
        precondition(unsafe texts.octets.baseAddress == room, "texts that SQLite was told of have moved")
        if result == SQLITE_OK { result = unsafe sqlite3_step(statement) }
        defer { unsafe sqlite3_reset(statement) }
        guard result == SQLITE_DONE else {
            throw DatabaseError(resultCode: ResultCode(rawValue: result), message: database.lastErrorMessage)
        }
        result = SQLITE_OK
        return database.changesCount > 0
    }

    /// Octets for the texts whose length does not depend on the record: times, addresses, names of causes and such.
    private static let textSize = 1_024

    /// In the order of `CallRecord.columns`.
    private mutating func bind(_ record: CallRecord) {
        bind(record.id)
        bind(record.setupAt)
        bind(record.ringAt)
        bind(record.answerAt)
        bind(record.releaseAt)
        bind(record.durationMilliseconds)
        bind(record.callerNumber)
        bind(record.calledNumber)
        bind(record.cause.rawValue)
        bind(record.sipCode)
        bind(record.q850)
        bind(record.endedBy.rawValue)
        bind(record.callerTrunk)
        bind(record.calleeTrunk)
        bind(record.callerAddress)
        bind(record.calleeAddress)
        bind(record.callerCallID)
        bind(record.calleeCallID)
        bind(record.talkSeconds)
        bind(record.deadAirSeconds)
        bind(record.noMediaTimeoutSeconds)
        bind(media: record.fromCaller)
        bind(media: record.fromCallee)
        bind(quality: record.fromCaller)
        bind(quality: record.fromCallee)
        bind(record.verdict?.rawValue)
        bind(record.explanation)
        bind(record.fromCaller.digits)
        bind(record.fromCallee.digits)
    }

    private mutating func bind(media direction: CallRecord.Direction) {
        bind(Int64(clamping: direction.packets))
        bind(Int64(clamping: direction.octets))
        bind(Int64(clamping: direction.lost))
        bind(direction.lastMediaAt)
    }

    private mutating func bind(quality direction: CallRecord.Direction) {
        bind(direction.mos)
        bind(direction.lowestMOS)
        bind(direction.jitterMilliseconds)
        bind(direction.highestJitterMilliseconds)
        bind(direction.lossPercent)
        bind(direction.roundTripMilliseconds)
    }

    private mutating func bind(_ digits: CallRecord.Digits?) {
        guard let digits else {
            for _ in 0..<3 { bindNull() }
            return
        }
        bind(digits.events)
        bind(digits.info)
        bind(digits.tones)
    }

    // MARK: Values

    private mutating func bind(_ number: Int) { bind(Int64(number)) }

    private mutating func bind(_ number: Int64) {
        column += 1
        note(unsafe sqlite3_bind_int64(statement, column, number))
    }

    private mutating func bind(_ number: Double?) {
        guard let number else { return bindNull() }
        column += 1
        note(unsafe sqlite3_bind_double(statement, column, number))
    }

    private mutating func bindNull() {
        column += 1
        note(unsafe sqlite3_bind_null(statement, column))
    }

    private mutating func bind(_ text: String?) {
        guard let text else { return bindNull() }
        let start = texts.count
        texts.append(text)
        bindText(from: start)
    }

    private mutating func bind(_ time: WallTime?) {
        guard let time else { return bindNull() }
        let start = texts.count
        texts.append(time)
        bindText(from: start)
    }

    private mutating func bind(_ address: SocketAddress?) {
        guard let address else { return bindNull() }
        let start = texts.count
        texts.append(address)
        bindText(from: start)
    }

    private mutating func bindText(from start: Int) {
        column += 1
        let octets = unsafe UnsafeRawBufferPointer(rebasing: texts.octets[start...])
        let text = unsafe octets.baseAddress?.assumingMemoryBound(to: CChar.self)
        // SAFETY: the text stays where it is, and as it is, until the row is written. No destructor: SQLite copies and frees nothing.
        note(unsafe sqlite3_bind_text(statement, column, text, Int32(octets.count), nil))
    }

    private mutating func note(_ result: Int32) {
        if result != SQLITE_OK { self.result = result }
    }
}

extension CallRecord {
    /// Octets of what others wrote.
    fileprivate var textSize: Int {
        id.utf8.count + callerNumber.utf8.count + calledNumber.utf8.count + callerCallID.utf8.count
            + (calleeCallID?.utf8.count ?? 0) + (callerTrunk?.utf8.count ?? 0) + (calleeTrunk?.utf8.count ?? 0)
            + (explanation?.utf8.count ?? 0)
    }
}
