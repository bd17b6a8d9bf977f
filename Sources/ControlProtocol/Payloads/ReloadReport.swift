/// What became of each setting that differs between the daemon and its file.
package struct ReloadReport: Codable, Equatable, Sendable {
    package struct Change: Codable, Equatable, Sendable {
        package var key: String
        package var before: String
        package var after: String
        /// `applied now`, `new calls only`, `needs restart`.
        package var effect: String

        package init(key: String, before: String, after: String, effect: String) {
            self.key = key
            self.before = before
            self.after = after
            self.effect = effect
        }
    }

    package var file: String
    package var changes: [Change]
    /// Of the file as it is now.
    package var warnings: [String]

    package init(file: String, changes: [Change], warnings: [String] = []) {
        self.file = file
        self.changes = changes
        self.warnings = warnings
    }

    package func text(_ style: TextStyle) -> String {
        var text = style.safe("\(file): " + (changes.isEmpty ? "nothing has changed." : "\(changes.count) changed.")) + "\n"
        for change in changes {
            let values = [change.before, change.after].map { $0.isEmpty ? "(none)" : $0 }
            text += style.safe("  \(change.key): \(values[0]) -> \(values[1]), \(change.effect)") + "\n"
        }
        for warning in warnings { text += style.safe("warning: \(warning)") + "\n" }
        return text
    }
}
