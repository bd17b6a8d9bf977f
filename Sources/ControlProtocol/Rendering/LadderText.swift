import Core

extension LadderEntry {
    /// The messages of both legs as arrows between caller, relayd and callee, one a line, with milliseconds since the
    /// first INVITE.
    package static func ladderText(_ entries: [LadderEntry], _ style: TextStyle) -> String {
        lines(entries, style, delayWidth: 0) { _ in "" }
    }

    /// The same with the milliseconds since the message before, and with a line for one that should have come.
    package static func ladderText(_ entries: [LadderEntry], missing: CallExplanation.Missing?, _ style: TextStyle) -> String {
        var entries = entries
        var missingIndex: Int?
        if let missing {
            let index = entries.lastIndex { $0.milliseconds <= missing.milliseconds }.map { $0 + 1 } ?? 0
            let at = entries.first.map { $0.at + .milliseconds(missing.milliseconds - $0.milliseconds) } ?? WallTime(milliseconds: 0)
            let text = missing.direction == .in ? "no \(missing.text)" : missing.text
            entries.insert(
                LadderEntry(at: at, milliseconds: missing.milliseconds, leg: missing.leg, direction: missing.direction, text: text),
                at: index)
            missingIndex = index
        }
        let width = 8
        return lines(entries, style, delayWidth: width, missing: missingIndex) { index in
            guard index != missingIndex else { return "??".padded(to: width, alignment: .right) }
            let before = entries[..<index].indices.last { $0 != missingIndex }
            return before.map { "+\(max(0, entries[index].milliseconds - entries[$0].milliseconds))" }?.padded(to: width, alignment: .right)
                ?? String(repeating: " ", count: width)
        }
    }

    private static func lines(
        _ entries: [LadderEntry], _ style: TextStyle, delayWidth: Int, missing: Int? = nil, delay: (Int) -> String
    ) -> String {
        let longest = entries.reduce(0) { max($0, $1.label.count) }
        let timeWidth = timeWidth + delayWidth
        let room = (min(style.width, 200) - timeWidth - 2 - 3) / 2
        let lane = max(16, min(room, 40, max(22, longest + 8)))
        let indent = String(repeating: " ", count: 2)
        // `relayd` stands across the middle line, the others end at the outer ones.
        let names = "caller".padded(to: lane - 2) + "relayd" + "callee".padded(to: lane - 1, alignment: .right)
        let heading = "ms".padded(to: Self.timeWidth, alignment: .right) + (delayWidth > 0 ? "later".padded(to: delayWidth, alignment: .right) : "")
        var lines = [style.painted(heading + indent + names, .strong)]
        for (index, entry) in entries.enumerated() {
            let time = "\(entry.milliseconds)".padded(to: Self.timeWidth, alignment: .right) + delay(index)
            let bar = style.isUnicode ? "│" : "|"
            let isMissing = index == missing
            let arrow = style.painted(entry.arrow(width: lane, isMissing: isMissing, style), isMissing ? .bad : entry.tone)
            let empty = String(repeating: " ", count: lane)
            let lanes = entry.leg == .caller ? [arrow, empty] : [empty, arrow]
            lines.append(time + indent + bar + lanes[0] + bar + lanes[1] + bar)
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static let timeWidth = 8

    private var label: String { retransmission ? "\(text) (again)" : text }

    private var tone: TextStyle.Tone {
        if retransmission { return .faint }
        // A status of failure; a method begins with a letter.
        return ("4"..."7").contains(text.prefix(1)) ? .bad : .plain
    }

    /// `------ INVITE ----->`
    private func arrow(width: Int, isMissing: Bool, _ style: TextStyle) -> String {
        let dash = isMissing ? (style.isUnicode ? "·" : ".") : style.isUnicode ? "─" : "-"
        let text = style.cut(style.safe(label), to: width - 6)
        let dashes = width - 3 - text.count
        let left = String(repeating: dash, count: dashes / 2)
        let right = String(repeating: dash, count: dashes - dashes / 2)
        // Received from the caller and sent to the callee go to the right.
        let pointsRight = (leg == .caller) == (direction == .in)
        return pointsRight
            ? "\(left) \(text) \(right)\(style.isUnicode ? "▶" : ">")"
            : "\(style.isUnicode ? "◀" : "<")\(left) \(text) \(right)"
    }
}
