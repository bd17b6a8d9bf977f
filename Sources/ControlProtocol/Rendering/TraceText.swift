import Core

extension TracedSIPMessage {
    /// For people: a line that says when and between whom, then the message as it was, then an empty line.
    package func text(_ style: TextStyle) -> String {
        headline(style) + "\n" + lines(style).map { style.safe($0) + "\n" }.joined() + "\n"
    }

    /// One line: when, between whom, and what the message is.
    package func briefText(_ style: TextStyle) -> String {
        let lines = lines(style)
        func value(_ names: [String]) -> String? {
            for line in lines.dropFirst().prefix(while: { !$0.isEmpty }) {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2, names.contains(parts[0].lowercased()) { return String(parts[1].drop { $0 == " " }) }
            }
            return nil
        }
        let first = lines.first ?? ""
        let sequence = first.hasPrefix("SIP/2.0 ") ? value(["cseq"]).map { " (\($0))" } ?? "" : ""
        let what = (first.hasPrefix("SIP/2.0 ") ? String(first.dropFirst(8)) : first.replacing(" SIP/2.0", with: "")) + sequence
        let time = style.painted(String(timeText.dropFirst(11)), .faint)
        let arrow = direction == .received ? "<" : ">"
        return "\(time) \(arrow) \(peer) " + style.painted(style.safe(what), tone(first))
            + style.painted(style.safe("  \(value(["call-id", "i"]) ?? "-")"), .faint) + "\n"
    }

    private func headline(_ style: TextStyle) -> String {
        let (from, to) = direction == .received ? (peer, local) : (local, peer)
        return style.painted("\(timeText)  \(direction == .received ? "received" : "sent")  ", .strong)
            + style.painted("\(transport) \(from) > \(to)", .faint)
    }

    private func tone(_ first: String) -> TextStyle.Tone {
        guard first.hasPrefix("SIP/2.0 ") else { return .strong }
        return ("4"..."7").contains(first.dropFirst(8).prefix(1)) ? .bad : .plain
    }

    /// `2026-11-23 20:15:04.123456`, UTC.
    private var timeText: String {
        let time = WallTime(milliseconds: microseconds >= 0 ? microseconds / 1_000 : 0)
        let rest = String(microseconds >= 0 ? microseconds % 1_000 : 0)
        return "\(Quantity.dateAndTime(time)).\(time.description.dropFirst(20).prefix(3))"
            + String(repeating: "0", count: 3 - rest.count) + rest
    }

    private func lines(_ style: TextStyle) -> [String] {
        guard let text else { return ["(\((hexadecimal?.count ?? 0) / 2) octets that are not text)"] + (hexadecimal.map { [$0] } ?? []) }
        // CR and LF together are one character.
        var lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
            .map { String($0).replacing("\t", with: "    ") }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
