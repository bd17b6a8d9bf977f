import Core

/// A no-media setting for the called numbers with a prefix: `49=120`, `1900=any`, `4930=90s caller`.
package struct NoMediaPrefix: Hashable, Sendable {
    package var prefix: String
    /// Nil: as without this setting.
    package var timeout: Duration?
    package var mode: NoMediaMode?

    package init(prefix: String, timeout: Duration? = nil, mode: NoMediaMode? = nil) {
        self.prefix = prefix
        self.timeout = timeout
        self.mode = mode
    }
}

extension NoMediaPrefix: LosslessStringConvertible {
    private static let durations = ValueFormat<Duration>.duration(.zero ... .seconds(86_400))

    package var description: String {
        let words = [timeout.map(Self.durations.text), mode?.rawValue].compactMap(\.self)
        return "\(prefix)=\(words.joined(separator: " "))"
    }

    /// Nil for anything else, and for a prefix with nothing behind it.
    package init?(_ description: String) {
        let parts = description.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty,
            let prefix = try? ValueFormat<String>.prefix.parse(.string(String(parts[0])))
        else { return nil }
        self.prefix = prefix
        for word in parts[1].split(whereSeparator: { $0 == " " || $0 == "," }).map(String.init) {
            if mode == nil, let mode = NoMediaMode(rawValue: word) {
                self.mode = mode
            } else if timeout == nil,
                let timeout = try? Self.durations.parse(Int(word).map { .integer($0) } ?? .string(word))
            {
                self.timeout = timeout
            } else {
                return nil
            }
        }
        guard timeout != nil || mode != nil else { return nil }
    }
}
