/// What the place a text is shown in can do.
package struct TextStyle: Equatable, Sendable {
    /// Columns; tables are made to fit where that is possible.
    package var width: Int
    /// False: nothing but ASCII is written.
    package var isUnicode: Bool
    package var isColoured: Bool

    package init(width: Int, isUnicode: Bool = false, isColoured: Bool = false) {
        self.width = width
        self.isUnicode = isUnicode
        self.isColoured = isColoured
    }

    package enum Tone: Equatable, Sendable {
        case plain, good, bad, faint, strong

        var code: String {
            switch self {
            case .plain: ""
            case .good: "32"
            case .bad: "31"
            case .faint: "2"
            case .strong: "1"
            }
        }
    }

    func painted(_ text: String, _ tone: Tone) -> String {
        guard isColoured, tone != .plain, !text.isEmpty else { return text }
        return "\u{1b}[\(tone.code)m\(text)\u{1b}[0m"
    }

    /// Numbers, tags and Call-IDs come from strangers: nothing in them may steer the terminal.
    func safe(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { isShowable($0) ? $0 : "?" }))
    }

    private func isShowable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7f }
        guard isUnicode else { return false }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber, .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol,
            .otherSymbol:
            return true
        default:
            return false
        }
    }

    /// Cut to `count` characters, the last of which then says so.
    func cut(_ text: String, to count: Int) -> String {
        text.count <= count ? text : text.prefix(max(0, count - 1)) + (isUnicode ? "…" : "~")
    }
}

extension String {
    func padded(to count: Int, alignment: Table.Alignment = .left) -> String {
        let space = String(repeating: " ", count: Swift.max(0, count - self.count))
        return alignment == .left ? self + space : space + self
    }
}
