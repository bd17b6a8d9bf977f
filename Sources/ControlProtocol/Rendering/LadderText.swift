import Core

extension LadderEntry {
    /// The messages of both legs as arrows between caller, relayd and callee, one a line, with milliseconds since the
    /// first INVITE.
    package static func ladderText(_ entries: [LadderEntry], _ style: TextStyle) -> String {
        let longest = entries.reduce(0) { max($0, $1.label.count) }
        let room = (min(style.width, 200) - timeWidth - 2 - 3) / 2
        let lane = max(16, min(room, 40, max(22, longest + 8)))
        let indent = String(repeating: " ", count: 2)
        // `relayd` stands across the middle line, the others end at the outer ones.
        let names = "caller".padded(to: lane - 2) + "relayd" + "callee".padded(to: lane - 1, alignment: .right)
        var lines = [style.painted("ms".padded(to: timeWidth, alignment: .right) + indent + names, .strong)]
        for entry in entries {
            let time = "\(entry.milliseconds)".padded(to: timeWidth, alignment: .right)
            let bar = style.isUnicode ? "│" : "|"
            let arrow = style.painted(entry.arrow(width: lane, style), entry.tone)
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
    private func arrow(width: Int, _ style: TextStyle) -> String {
        let dash = style.isUnicode ? "─" : "-"
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
