import Core
import Foundation
import Testing

@Suite struct RecordLineTests {
    @Test("a line is what JSONEncoder writes with sorted keys, for any text and any number")
    func likeJSONEncoder() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var records = [record(1), record(2), bareRecord(3)]
        var full = record(4)
        full.callerNumber = String(decoding: 0x00...0x7f as ClosedRange<UInt8>, as: UTF8.self) + "/é\u{2028}\u{1F4DE}"
        full.calleeTrunk = ""
        full.verdict = .normal
        full.explanation = "A \"normal\" call"
        full.fromCallee.digits = CallRecord.Digits(events: 3, info: 0, tones: 12)
        full.durationMilliseconds = -1
        records.append(full)
        let values = [
            0, 1, 4.0, 4.123456789, 1e-7, 0.1 + 0.2, 12_345_678.5, 1e17, 100, 4.41, 0.001, 0.05, 99.999, 1e12, 1e12 + 0.001,
            999_999_999_999.999, 1_000_000_000_000_000.5, .leastNonzeroMagnitude, 2.5e-3, 4.4089999999999998,
        ]
        for value in values {
            full.fromCaller.mos = value
            full.fromCaller.roundTripMilliseconds = -value
            full.setupAt = WallTime(milliseconds: Int64(min(value, 1e9) * 1_000))
            full.releaseAt = WallTime(milliseconds: -1 - Int64(min(value, 1e9) * 1_000))
            full.answerAt = WallTime(milliseconds: Int64(min(value, 1e9) * 86_399_999))
            records.append(full)
        }
        for record in records {
            let expected = String(decoding: try encoder.encode(record), as: UTF8.self) + "\n"
            #expect(String(decoding: record.line, as: UTF8.self) == expected)
        }
    }
}
