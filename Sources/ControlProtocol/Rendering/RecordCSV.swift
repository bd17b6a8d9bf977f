package import Core

extension CallRecord {
    /// RFC 4180, with a header line; the columns are those of the store.
    package static func csv(_ records: [CallRecord]) -> String {
        var text = csvColumns.map(\.name).joined(separator: ",") + "\r\n"
        for record in records {
            text += csvColumns.map { quotedForCSV($0.value(record)) }.joined(separator: ",") + "\r\n"
        }
        return text
    }

    private typealias Column = (name: String, value: @Sendable (CallRecord) -> String)

    private static let csvColumns: [Column] =
        identityColumns + outcomeColumns + directionColumns("caller") { $0.fromCaller }
        + directionColumns("callee") { $0.fromCallee }

    private static let identityColumns: [Column] = [
        ("id", { $0.id }),
        ("setup_at", { $0.setupAt.description }),
        ("ring_at", { $0.ringAt?.description ?? "" }),
        ("answer_at", { $0.answerAt?.description ?? "" }),
        ("released_at", { $0.releaseAt.description }),
        ("duration_ms", { String($0.durationMilliseconds) }),
        ("caller_number", { $0.callerNumber }),
        ("called_number", { $0.calledNumber }),
        ("caller_trunk", { $0.callerTrunk ?? "" }),
        ("callee_trunk", { $0.calleeTrunk ?? "" }),
        ("caller_address", { $0.callerAddress.description }),
        ("callee_address", { $0.calleeAddress?.description ?? "" }),
        ("caller_call_id", { $0.callerCallID }),
        ("callee_call_id", { $0.calleeCallID ?? "" }),
    ]

    private static let outcomeColumns: [Column] = [
        ("cause", { $0.cause.rawValue }),
        ("vos_cause", { $0.cause.vosName ?? "" }),
        ("verdict", { $0.verdict?.rawValue ?? "" }),
        ("explanation", { $0.explanation ?? "" }),
        ("sip_code", { String($0.sipCode) }),
        ("q850", { String($0.q850) }),
        ("ended_by", { $0.endedBy.rawValue }),
        ("talk_s", { String($0.talkSeconds) }),
        ("dead_air_s", { String($0.deadAirSeconds) }),
        ("no_media_timeout_s", { String($0.noMediaTimeoutSeconds) }),
    ]

    private static func directionColumns(
        _ party: String, _ direction: @escaping @Sendable (CallRecord) -> Direction
    ) -> [Column] {
        [
            ("\(party)_packets", { "\(direction($0).packets)" }),
            ("\(party)_octets", { "\(direction($0).octets)" }),
            ("\(party)_lost", { "\(direction($0).lost)" }),
            ("\(party)_last_media_at", { direction($0).lastMediaAt?.description ?? "" }),
            ("\(party)_mos", { direction($0).mos.map { String($0) } ?? "" }),
            ("\(party)_lowest_mos", { direction($0).lowestMOS.map { String($0) } ?? "" }),
            ("\(party)_jitter_ms", { direction($0).jitterMilliseconds.map { String($0) } ?? "" }),
            ("\(party)_loss_percent", { direction($0).lossPercent.map { String($0) } ?? "" }),
            ("\(party)_digits_event", { direction($0).digits.map { String($0.events) } ?? "0" }),
            ("\(party)_digits_info", { direction($0).digits.map { String($0.info) } ?? "0" }),
            ("\(party)_digits_tone", { direction($0).digits.map { String($0.tones) } ?? "0" }),
            ("\(party)_round_trip_ms", { direction($0).roundTripMilliseconds.map { String($0) } ?? "" }),
        ]
    }

    /// A number or name that a spreadsheet would take for a formula gets an apostrophe: callers choose what stands there.
    private static func quotedForCSV(_ value: String) -> String {
        let isFormula = value.first.map { "=@\t\r".contains($0) } ?? false
        let text = isFormula ? "'" + value : value
        guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2c || $0 < 0x20 }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
