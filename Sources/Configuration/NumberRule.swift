/// One step of rewriting a number.
package enum NumberRule: Hashable, Sendable {
    /// Takes so many characters from its front.
    case strip(Int)
    /// Puts this in front of it.
    case prepend(String)
    /// A number that begins with `prefix` begins with `replacement` instead.
    case replace(prefix: String, replacement: String)

    package func apply(to number: String) -> String {
        switch self {
        case .strip(let count): String(number.dropFirst(count))
        case .prepend(let text): text + number
        case .replace(let prefix, let replacement):
            number.hasPrefix(prefix) ? replacement + number.dropFirst(prefix.count) : number
        }
    }
}

extension [NumberRule] {
    /// Every rule in order.
    package func apply(to number: String) -> String { reduce(number) { $1.apply(to: $0) } }
}

extension NumberRule: LosslessStringConvertible {
    /// `strip 2`, `prepend 0049`, `replace +49 0`, `replace +49` (by nothing).
    package var description: String {
        switch self {
        case .strip(let count): "strip \(count)"
        case .prepend(let text): "prepend \(text)"
        case .replace(let prefix, ""): "replace \(prefix)"
        case .replace(let prefix, let replacement): "replace \(prefix) \(replacement)"
        }
    }

    package init?(_ description: String) {
        let words = description.split(separator: " ").map(String.init)
        guard (2...3).contains(words.count), words[1...].allSatisfy(Self.isNumberText) else { return nil }
        switch (words[0], words.count) {
        case ("strip", 2):
            guard let count = Int(words[1]), (1...32).contains(count) else { return nil }
            self = .strip(count)
        case ("prepend", 2): self = .prepend(words[1])
        case ("replace", _): self = .replace(prefix: words[1], replacement: words.count == 3 ? words[2] : "")
        default: return nil
        }
    }

    /// What may stand in the user of a SIP URI without an escape, and in a number.
    private static func isNumberText(_ text: String) -> Bool {
        text.utf8.count <= 32 && text.utf8.allSatisfy { octet in
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet || UInt8(ascii: "a")...UInt8(ascii: "z") ~= octet | 0x20
                || "+*#-._".utf8.contains(octet)
        }
    }
}

extension ValueFormat where Value == NumberRule {
    static let rules = ValueFormat<NumberRule>.string(expected: "", text: \.description, parse: { NumberRule($0) })
        .list("a list of rules, applied in order: \"strip 2\", \"prepend 0049\", \"replace +49 0\"")
}
