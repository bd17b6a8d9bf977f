import Core
import GRDB

/// A record as a row of `call_record`.
extension CallRecord {
    /// Version 1 of the schema.
    static let schema = """
        CREATE TABLE call_record (
            id TEXT NOT NULL PRIMARY KEY,
            setup_at TEXT NOT NULL,
            ring_at TEXT,
            answer_at TEXT,
            released_at TEXT NOT NULL,
            duration_ms INTEGER NOT NULL,
            caller_number TEXT NOT NULL,
            called_number TEXT NOT NULL,
            cause TEXT NOT NULL,
            sip_code INTEGER NOT NULL,
            q850 INTEGER NOT NULL,
            ended_by TEXT NOT NULL,
            caller_trunk TEXT,
            callee_trunk TEXT,
            caller_address TEXT NOT NULL,
            callee_address TEXT,
            caller_call_id TEXT NOT NULL,
            callee_call_id TEXT,
            talk_s INTEGER NOT NULL,
            dead_air_s INTEGER NOT NULL,
            no_media_timeout_s INTEGER NOT NULL,
            caller_packets INTEGER NOT NULL,
            caller_octets INTEGER NOT NULL,
            caller_lost INTEGER NOT NULL,
            caller_last_media_at TEXT,
            callee_packets INTEGER NOT NULL,
            callee_octets INTEGER NOT NULL,
            callee_lost INTEGER NOT NULL,
            callee_last_media_at TEXT
        ) STRICT;
        CREATE INDEX call_record_released_at ON call_record (released_at);
        CREATE INDEX call_record_cause ON call_record (cause, released_at);
        CREATE INDEX call_record_caller_call_id ON call_record (caller_call_id);
        CREATE INDEX call_record_callee_call_id ON call_record (callee_call_id);
        CREATE INDEX call_record_caller_number ON call_record (caller_number);
        CREATE INDEX call_record_called_number ON call_record (called_number);
        """

    /// Quality, since version 2 of the schema.
    private static let qualityColumns = [
        "mos", "lowest_mos", "jitter_ms", "highest_jitter_ms", "loss_percent", "round_trip_ms",
    ]

    static let qualitySchema = ["caller", "callee"].flatMap { party in
        qualityColumns.map { "ALTER TABLE call_record ADD COLUMN \(party)_\($0) REAL;" }
    }.joined(separator: "\n")

    private static let columns = [
        "id", "setup_at", "ring_at", "answer_at", "released_at", "duration_ms", "caller_number", "called_number", "cause",
        "sip_code", "q850", "ended_by", "caller_trunk", "callee_trunk", "caller_address", "callee_address",
        "caller_call_id", "callee_call_id", "talk_s", "dead_air_s", "no_media_timeout_s", "caller_packets", "caller_octets",
        "caller_lost", "caller_last_media_at", "callee_packets", "callee_octets", "callee_lost", "callee_last_media_at",
    ] + ["caller", "callee"].flatMap { party in qualityColumns.map { "\(party)_\($0)" } }
        + ["verdict", "explanation"] + digitColumns

    /// What a store of a version without verdicts lacks.
    static let verdictColumns = """
        ALTER TABLE call_record ADD COLUMN verdict TEXT;
        ALTER TABLE call_record ADD COLUMN explanation TEXT;
        CREATE INDEX call_record_verdict ON call_record (verdict, released_at);
        """

    /// DTMF by the way it came; null for none. Since version 4 of the schema.
    private static let digitColumns = ["caller", "callee"].flatMap { party in
        ["event", "info", "tone"].map { "\(party)_digits_\($0)" }
    }

    static let digitSchema = digitColumns.map { "ALTER TABLE call_record ADD COLUMN \($0) INTEGER;" }.joined(separator: "\n")

    /// The table of a store that had no records before version 5. One that had some keeps the table it has, which differs in
    /// that ids have an index; its other indexes go.
    ///
    /// Times are UTC text with milliseconds: readable in a shell, in order when sorted, understood by SQLite's date
    /// functions. STRICT, so that a row holds the types the code reads. Records come in the order of their release, nearly,
    /// so that the one index is written at its end; `RecordKeys` is for the rest.
    static let tableOfVersion5 = """
        DROP TABLE call_record;
        CREATE TABLE call_record (
            entry INTEGER NOT NULL PRIMARY KEY,
            id TEXT NOT NULL,
            setup_at TEXT NOT NULL,
            ring_at TEXT,
            answer_at TEXT,
            released_at TEXT NOT NULL,
            duration_ms INTEGER NOT NULL,
            caller_number TEXT NOT NULL,
            called_number TEXT NOT NULL,
            cause TEXT NOT NULL,
            sip_code INTEGER NOT NULL,
            q850 INTEGER NOT NULL,
            ended_by TEXT NOT NULL,
            caller_trunk TEXT,
            callee_trunk TEXT,
            caller_address TEXT NOT NULL,
            callee_address TEXT,
            caller_call_id TEXT NOT NULL,
            callee_call_id TEXT,
            talk_s INTEGER NOT NULL,
            dead_air_s INTEGER NOT NULL,
            no_media_timeout_s INTEGER NOT NULL,
            caller_packets INTEGER NOT NULL,
            caller_octets INTEGER NOT NULL,
            caller_lost INTEGER NOT NULL,
            caller_last_media_at TEXT,
            callee_packets INTEGER NOT NULL,
            callee_octets INTEGER NOT NULL,
            callee_lost INTEGER NOT NULL,
            callee_last_media_at TEXT,
            \(["caller", "callee"].flatMap { party in qualityColumns.map { "\(party)_\($0) REAL," } }.joined(separator: "\n    "))
            verdict TEXT,
            explanation TEXT,
            \(digitColumns.map { "\($0) INTEGER" }.joined(separator: ",\n    "))
        ) STRICT;
        CREATE INDEX call_record_released_at ON call_record (released_at);
        """

    static let removalOfIndexes = ["cause", "verdict", "caller_call_id", "callee_call_id", "caller_number", "called_number"].map {
        "DROP INDEX IF EXISTS call_record_\($0);"
    }.joined(separator: "\n")

    /// An id that is there keeps its row, where ids have an index.
    static let insertion = """
        INSERT INTO call_record (rowid, \(columns.joined(separator: ", "))) \
        VALUES (\(Array(repeating: "?", count: columnCount).joined(separator: ", "))) ON CONFLICT DO NOTHING
        """

    /// Of `insertion`.
    static let columnCount = columns.count + 1

    /// Throws for a row that no relayd of this version wrote.
    init(row: Row) throws(RecordError) {
        func optionalText<Value>(_ column: String, _ parse: (String) -> Value?) throws(RecordError) -> Value? {
            guard let text: String = row[column] else { return nil }
            guard let value = parse(text) else {
                let id: String = row["id"]
                throw .store("\(column) of record \(id) is \"\(text)\", which this version cannot read")
            }
            return value
        }
        func text<Value>(_ column: String, _ parse: (String) -> Value?) throws(RecordError) -> Value {
            guard let value = try optionalText(column, parse) else { throw .store("\(column) of a record is null") }
            return value
        }
        func direction(_ party: String) throws(RecordError) -> Direction {
            var direction = Direction(
                packets: row["\(party)_packets"], octets: row["\(party)_octets"], lost: row["\(party)_lost"],
                lastMediaAt: try optionalText("\(party)_last_media_at", WallTime.init))
            direction.mos = row["\(party)_mos"]
            direction.lowestMOS = row["\(party)_lowest_mos"]
            direction.jitterMilliseconds = row["\(party)_jitter_ms"]
            direction.highestJitterMilliseconds = row["\(party)_highest_jitter_ms"]
            direction.lossPercent = row["\(party)_loss_percent"]
            direction.roundTripMilliseconds = row["\(party)_round_trip_ms"]
            if let events: Int = row["\(party)_digits_event"] {
                direction.digits = Digits(
                    events: events, info: row["\(party)_digits_info"] ?? 0, tones: row["\(party)_digits_tone"] ?? 0)
            }
            return direction
        }
        self.init(
            id: row["id"], callerCallID: row["caller_call_id"], calleeCallID: row["callee_call_id"],
            callerTrunk: row["caller_trunk"], calleeTrunk: row["callee_trunk"], callerNumber: row["caller_number"],
            calledNumber: row["called_number"], callerAddress: try text("caller_address", SocketAddress.init),
            calleeAddress: try optionalText("callee_address", SocketAddress.init),
            setupAt: try text("setup_at", WallTime.init), ringAt: try optionalText("ring_at", WallTime.init),
            answerAt: try optionalText("answer_at", WallTime.init),
            releaseAt: try text("released_at", WallTime.init), durationMilliseconds: row["duration_ms"],
            talkSeconds: row["talk_s"], deadAirSeconds: row["dead_air_s"], fromCaller: try direction("caller"),
            fromCallee: try direction("callee"), cause: try text("cause", ReleaseCause.init),
            sipCode: row["sip_code"], q850: row["q850"], endedBy: try text("ended_by", ReleaseParty.init),
            noMediaTimeoutSeconds: row["no_media_timeout_s"])
        verdict = try optionalText("verdict", CallVerdict.init)
        explanation = row["explanation"]
    }
}
