import FoundationEssentials

/// Payloads as JSON for other programs, keys in order.
package enum JSONText {
    /// Over several lines, the last of them ended.
    package static func document(_ value: some Encodable) -> String { text(value, [.prettyPrinted]) }

    package static func line(_ value: some Encodable) -> String { text(value, []) }

    private static func text(_ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
        } catch {
            preconditionFailure("a payload that came as JSON can be written as JSON: \(error)")
        }
    }
}
