import Core
import Harness

/// Messages of both legs and the media between them, one line each, for a terminal of 100 columns.
struct Ladder {
    /// One thing that happened on one leg, or media on both.
    private struct Row {
        let microseconds: Int64
        let text: String
    }

    private static let legWidth = 34

    private var rows: [Row] = []
    private let start: Int64

    init(caller: SIPp, callee: SIPp) {
        let callerMessages = caller.messages
        start = callerMessages.first?.microseconds ?? 0
        for message in callerMessages {
            let arrow = Self.arrow(message.ladderTitle, toRight: message.direction == .sent)
            rows.append(Row(microseconds: message.microseconds, text: "│\(arrow)│\(Self.blank)│"))
        }
        for message in callee.messages {
            let arrow = Self.arrow(message.ladderTitle, toRight: message.direction == .received)
            rows.append(Row(microseconds: message.microseconds, text: "│\(Self.blank)│\(arrow)│"))
        }
    }

    /// Media from `first` to `last`, microseconds after the first message.
    mutating func addMedia(_ label: String, fromCaller: Bool, lastAt: Int64) {
        let arrow = Self.arrow(label, toRight: fromCaller, line: "═")
        rows.append(Row(microseconds: start + lastAt, text: "│\(arrow)│\(Self.arrow("", toRight: fromCaller, line: "═"))│"))
    }

    /// The time of the first message SIPp traced, on its own clock.
    func seconds(of message: TracedMessage) -> Double { Double(message.microseconds - start) / 1e6 }

    func lines(caller: SocketAddress, relayd: SocketAddress, callee: SocketAddress) -> [String] {
        let names = Self.columns("caller", "relayd", "callee")
        let addresses = Self.columns("\(caller)", "\(relayd)", "\(callee)")
        let header = ["  seconds  \(names)", "           \(addresses)"]
        // Stable: what happens in the same microsecond stays in the order it was read.
        let ordered = rows.enumerated().sorted { ($0.element.microseconds, $0.offset) < ($1.element.microseconds, $1.offset) }
        return header + ordered.map { _, row in
            let milliseconds = max(0, (row.microseconds - start + 500) / 1_000)
            return "\(Self.seconds(milliseconds))       \(row.text)"
        }
    }

    /// `    2.004`: right-aligned to nine columns.
    private static func seconds(_ milliseconds: Int64) -> String {
        let fraction = String(milliseconds % 1_000)
        let text = "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
        return String(repeating: " ", count: max(0, 9 - text.count)) + text
    }

    private static let blank = String(repeating: " ", count: legWidth)

    private static func arrow(_ label: String, toRight: Bool, line: Character = "─") -> String {
        let text = label.isEmpty ? "" : " \(label) "
        let room = legWidth - 1 - text.count
        let left = max(1, room / 2)
        let right = max(1, room - left)
        let body = String(repeating: line, count: left) + text + String(repeating: line, count: right)
        return toRight ? body + "▶" : "◀" + body
    }

    /// Three texts, the first flush left, the second around the middle line, the last flush right.
    private static func columns(_ left: String, _ middle: String, _ right: String) -> String {
        let width = legWidth * 2 + 13
        let start = 5 + legWidth + 1 - middle.count / 2
        var text = left + String(repeating: " ", count: max(1, start - left.count)) + middle
        text += String(repeating: " ", count: max(1, width - text.count - right.count)) + right
        return text
    }
}

extension TracedMessage {
    /// With what is worth seeing in a ladder: SDP, and why it ends.
    fileprivate var ladderTitle: String {
        if method == "BYE", let reason = header("Reason") {
            let cause = reason.split(separator: ";").first { $0.hasPrefix("cause=") } ?? ""
            return "BYE, Reason \(reason.prefix { $0 != ";" })\(cause.isEmpty ? "" : " \(cause)")"
        }
        return mediaAddress == nil ? title : "\(title) (SDP)"
    }
}
