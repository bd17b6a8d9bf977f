import Foundation

/// Everything that is wrong with a configuration, in the order of the file.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    package struct Problem: Hashable, Sendable, CustomStringConvertible {
        package var file: String
        /// Nil when the whole file is meant.
        package var line: Int?
        /// Only known for text that is not TOML.
        package var column: Int?
        /// The dotted name; nil when no key is to blame.
        package var key: String?
        /// What is wrong, and what was expected.
        package var message: String

        /// `FILE:LINE: KEY: MESSAGE`, without what is not known.
        package var description: String {
            let place = ([file] + [line, column].compactMap { $0 }.map(String.init)).joined(separator: ":")
            return [place, key, message].compactMap { $0 }.joined(separator: ": ")
        }
    }

    /// At least one.
    package let problems: [Problem]

    /// What the process ends with: `EX_CONFIG` of sysexits.h.
    package static let exitCode: Int32 = EX_CONFIG

    /// One problem a line.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
