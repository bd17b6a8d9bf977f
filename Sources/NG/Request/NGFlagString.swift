/// The flags as they stand in a proxy's script: `rtpp-flags`, sent unread by Kamailio since 5.8.
///
/// Words and `key=value` pairs with spaces between them. A value in brackets is a list, or a dictionary when its first
/// element has an equals sign; brackets nest. The profile may be spelt as words: `RTP SAVP`.
struct NGFlagString {
    struct Item: Equatable {
        let word: ArraySlice<UInt8>
        let value: NGValue?
    }

    /// In their order, without those that spell the profile.
    private(set) var items: [Item] = []
    /// `RTP/AVP` and its like; nil when no word says.
    private(set) var transport: String?

    /// Brackets deeper than this are read as if they were not there.
    private static let maximumDepth = 8
    private static let maximumItemCount = 256

    init(parsing octets: ArraySlice<UInt8>) {
        var scanner = Scanner(octets: octets)
        var profile: Profile?
        while items.count < Self.maximumItemCount, let word = scanner.word() {
            let value = scanner.takes(UInt8(ascii: "=")) ? scanner.value(depth: 0) : nil
            if value == nil, let next = (profile ?? Profile()).applying(word) {
                profile = next
            } else if !word.isEmpty {
                items.append(Item(word: word, value: value))
            }
        }
        transport = profile?.name
    }

    private struct Profile {
        var isSecure = false
        var hasFeedback = false
        var usesDTLS = false

        /// Nil when the word is none of a profile's.
        func applying(_ word: ArraySlice<UInt8>) -> Profile? {
            var next = self
            switch String(decoding: word, as: UTF8.self) {
            case "RTP": next.isSecure = false
            case "SRTP": next.isSecure = true
            case "AVP": next.hasFeedback = false
            case "AVPF": next.hasFeedback = true
            case "DTLS": next.usesDTLS = true
            case "RTP/AVP": next = Profile()
            case "RTP/AVPF": next = Profile(hasFeedback: true)
            case "RTP/SAVP": next = Profile(isSecure: true)
            case "RTP/SAVPF": next = Profile(isSecure: true, hasFeedback: true)
            case "UDP/TLS/RTP/SAVP": next = Profile(isSecure: true, usesDTLS: true)
            case "UDP/TLS/RTP/SAVPF": next = Profile(isSecure: true, hasFeedback: true, usesDTLS: true)
            default: return nil
            }
            return next
        }

        var name: String {
            "\(usesDTLS ? "UDP/TLS/" : "")RTP/\(isSecure || usesDTLS ? "S" : "")AVP\(hasFeedback ? "F" : "")"
        }
    }

    private struct Scanner {
        let octets: ArraySlice<UInt8>
        private var position: Int

        init(octets: ArraySlice<UInt8>) {
            self.octets = octets
            position = octets.startIndex
        }

        /// Up to a space, equals sign or closing bracket; nil at the end.
        mutating func word() -> ArraySlice<UInt8>? {
            while position < octets.endIndex,
                ASCII.isWhiteSpace(octets[position]) || octets[position] == UInt8(ascii: "]")
            { position += 1 }
            guard position < octets.endIndex else { return nil }
            let start = position
            while position < octets.endIndex, octets[position] != UInt8(ascii: "="), !endsWord(octets[position]) {
                position += 1
            }
            return octets[start..<position]
        }

        mutating func takes(_ octet: UInt8) -> Bool {
            guard position < octets.endIndex, octets[position] == octet else { return false }
            position += 1
            return true
        }

        mutating func value(depth: Int) -> NGValue {
            guard depth < NGFlagString.maximumDepth, takes(UInt8(ascii: "[")) else {
                return .string(text(depth: depth))
            }
            var values: [NGValue] = []
            var entries = NGDictionary()
            var count = 0
            while count < NGFlagString.maximumItemCount {
                count += 1
                while position < octets.endIndex, ASCII.isWhiteSpace(octets[position]) { position += 1 }
                if position >= octets.endIndex || takes(UInt8(ascii: "]")) { break }
                if octets[position] == UInt8(ascii: "[") {
                    let nested = value(depth: depth + 1)
                    values.append(nested)
                    if case .string(let text) = nested, text.isEmpty { position += 1 }
                } else if values.isEmpty, let key = keyBeforeEquals() {
                    entries[key] = value(depth: depth + 1)
                } else {
                    let element = text(depth: depth + 1)
                    if element.isEmpty { position += 1 } else { values.append(.string(element)) }
                }
            }
            return entries.entries.isEmpty ? .list(values) : .dictionary(entries)
        }

        /// Takes `key=`, or nothing when the next word has no equals sign.
        private mutating func keyBeforeEquals() -> ArraySlice<UInt8>? {
            var end = position
            while end < octets.endIndex, octets[end] != UInt8(ascii: "="), !endsWord(octets[end]) { end += 1 }
            guard end > position, end < octets.endIndex, octets[end] == UInt8(ascii: "=") else { return nil }
            defer { position = end + 1 }
            return octets[position..<end]
        }

        /// Outside of brackets a bracket is a character like any other: IPv6 addresses come in them.
        private mutating func text(depth: Int) -> ArraySlice<UInt8> {
            let start = position
            while position < octets.endIndex, !ASCII.isWhiteSpace(octets[position]),
                depth == 0 || octets[position] != UInt8(ascii: "]")
            { position += 1 }
            return octets[start..<position]
        }

        private func endsWord(_ octet: UInt8) -> Bool { ASCII.isWhiteSpace(octet) || octet == UInt8(ascii: "]") }
    }
}
