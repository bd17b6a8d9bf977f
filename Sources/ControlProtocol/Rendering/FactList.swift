/// Lines of a name and what is to be said about it, the names in one column.
struct FactList {
    private var facts: [(name: String, text: String, tone: TextStyle.Tone)] = []

    mutating func add(_ name: String, _ text: String, _ tone: TextStyle.Tone = .plain) {
        facts.append((name, text, tone))
    }

    /// Long texts go on below themselves, broken at spaces.
    func rendered(_ style: TextStyle) -> String {
        let indent = facts.reduce(0) { max($0, $1.name.count) } + 2
        return facts.map { fact in
            let lines = wrapped(style.safe(fact.text), to: max(24, style.width - indent))
            return lines.enumerated().map { index, line in
                let name = (index == 0 ? fact.name : "").padded(to: indent)
                return style.painted(name, .strong) + style.painted(line, fact.tone) + "\n"
            }.joined()
        }.joined()
    }
}

/// Breaks `text` at spaces into lines of at most `width` characters; a longer word has a line of its own.
func wrapped(_ text: String, to width: Int) -> [String] {
    var lines = [""]
    for word in text.split(separator: " ") {
        let line = lines[lines.count - 1]
        if line.isEmpty {
            lines[lines.count - 1] = String(word)
        } else if line.count + 1 + word.count <= width {
            lines[lines.count - 1] += " " + word
        } else {
            lines.append(String(word))
        }
    }
    return lines
}
