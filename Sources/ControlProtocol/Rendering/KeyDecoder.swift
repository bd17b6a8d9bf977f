/// Reads keys out of what a terminal sends: a key can be several octets, and several keys can come at once.
package struct KeyDecoder {
    private var pending: [UInt8] = []

    package init() {}

    /// - Parameter isPause: nothing more comes at once, so an escape that stands alone is the key Escape.
    package mutating func keys(in octets: [UInt8], isPause: Bool) -> [TopScreen.Key] {
        pending += octets
        var keys: [TopScreen.Key] = []
        while let first = pending.first {
            guard first == 0x1b else {
                guard let key = plainKey() else { break }
                if let key = key.key { keys.append(key) }
                continue
            }
            if pending.count == 1 {
                guard isPause else { break }
                keys.append(.escape)
                pending = []
            } else if pending[1] == UInt8(ascii: "[") || pending[1] == UInt8(ascii: "O") {
                // A sequence ends with its first octet from 0x40 on (ECMA-48 §5.4).
                guard let end = pending[2...].firstIndex(where: { (0x40...0x7e).contains($0) }) else {
                    if isPause || pending.count > 16 { pending = [] }
                    break
                }
                if let key = Self.sequences[String(decoding: pending[2...end], as: UTF8.self)] { keys.append(key) }
                pending.removeFirst(end + 1)
            } else {
                keys.append(.escape)
                pending.removeFirst()
            }
        }
        return keys
    }

    private static let sequences: [String: TopScreen.Key] = [
        "A": .up, "B": .down, "5~": .pageUp, "6~": .pageDown, "H": .home, "F": .end, "1~": .home, "4~": .end, "7~": .home,
        "8~": .end,
    ]

    /// Nil while a character is incomplete; a control character is no key.
    private mutating func plainKey() -> (key: TopScreen.Key?, Void)? {
        let first = pending[0]
        switch first {
        case 0x0d, 0x0a:
            pending.removeFirst()
            return (.enter, ())
        case 0x7f, 0x08:
            pending.removeFirst()
            return (.backspace, ())
        case 0x20...0x7e:
            pending.removeFirst()
            return (.character(Character(UnicodeScalar(first))), ())
        case 0xc2...0xf4:
            let count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
            guard pending.count >= count else { return nil }
            let text = String(decoding: pending[..<count], as: UTF8.self)
            pending.removeFirst(count)
            return (text.count == 1 ? .character(text.first ?? "?") : nil, ())
        default:
            pending.removeFirst()
            return (nil, ())
        }
    }
}
