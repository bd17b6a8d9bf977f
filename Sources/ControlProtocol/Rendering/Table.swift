/// Aligned columns under headings. In a narrow place it first leaves out what is least needed, then puts the columns
/// closer together, then cuts the columns that may be cut.
struct Table {
    enum Alignment { case left, right }

    struct Cell: ExpressibleByStringInterpolation {
        var text: String
        var tone = TextStyle.Tone.plain

        init(_ text: String, _ tone: TextStyle.Tone = .plain) {
            self.text = text
            self.tone = tone
        }
        init(stringLiteral text: String) { self.init(text) }
    }

    struct Column {
        var heading: String
        var alignment = Alignment.left
        /// Nil: always shown. Otherwise the column with the highest number is left out first.
        var leftOutAt: Int?
        /// Nil: never cut.
        var leastWidth: Int?
        var cells: [Cell]
    }

    private var columns: [Column] = []

    mutating func add(
        _ heading: String, alignment: Alignment = .left, leftOutAt: Int? = nil, leastWidth: Int? = nil, cells: [Cell]
    ) {
        columns.append(
            Column(
                heading: heading, alignment: alignment, leftOutAt: leftOutAt, leastWidth: leastWidth, cells: cells))
    }

    /// - Returns: the lines, each with its line feed, and the headings of the columns that had to be left out.
    func rendered(_ style: TextStyle) -> (text: String, leftOut: Set<String>) {
        var shown = columns.map { column in
            var column = column
            for row in column.cells.indices { column.cells[row].text = style.safe(column.cells[row].text) }
            return column
        }
        var leftOut: Set<String> = []
        while Self.width(of: shown, gap: 2) > style.width, let next = Self.leastNeeded(shown) {
            leftOut.insert(shown.remove(at: next).heading)
        }
        let gap = Self.width(of: shown, gap: 2) > style.width ? 1 : 2
        var widths = shown.map(Self.width(of:))
        Self.shrink(&widths, of: shown, to: style.width - gap * (shown.count - 1))
        var lines = [Self.line(shown.map { Cell($0.heading, .strong) }, shown, widths, gap, style)]
        for row in 0..<(shown.first?.cells.count ?? 0) {
            lines.append(Self.line(shown.map { $0.cells[row] }, shown, widths, gap, style))
        }
        return (lines.map { $0 + "\n" }.joined(), leftOut)
    }

    private static func width(of column: Column) -> Int {
        column.cells.reduce(column.heading.count) { max($0, $1.text.count) }
    }

    private static func width(of columns: [Column], gap: Int) -> Int {
        columns.reduce(0) { $0 + width(of: $1) } + gap * (columns.count - 1)
    }

    private static func leastNeeded(_ columns: [Column]) -> Int? {
        columns.indices.filter { columns[$0].leftOutAt != nil }.max { left, right in
            columns[left].leftOutAt ?? 0 < columns[right].leftOutAt ?? 0
        }
    }

    /// Takes from the widest column that may be cut, one character at a time.
    private static func shrink(_ widths: inout [Int], of columns: [Column], to room: Int) {
        while widths.reduce(0, +) > room {
            let candidates = columns.indices.filter { widths[$0] > columns[$0].leastWidth ?? .max }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { return }
            widths[widest] -= 1
        }
    }

    private static func line(
        _ cells: [Cell], _ columns: [Column], _ widths: [Int], _ gap: Int, _ style: TextStyle
    ) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let text = style.cut(cell.text, to: widths[index])
            let isLast = index == cells.count - 1
            let padding = String(repeating: " ", count: widths[index] - text.count)
            let painted = style.painted(text, cell.tone)
            // No spaces at the end of a line: they would wrap in a terminal of just that width.
            switch columns[index].alignment {
            case .left: line += isLast ? painted : painted + padding
            case .right: line += padding + painted
            }
            if !isLast { line += String(repeating: " ", count: gap) }
        }
        return line
    }
}
