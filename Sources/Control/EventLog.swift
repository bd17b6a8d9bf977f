package import Configuration
package import ControlProtocol

/// The daemon's log: one line an event on standard error, `LEVEL NAME key=value …`, for the journal of systemd.
package struct EventLog: Sendable {
    /// What is less important is left out.
    package var level: LogLevel
    private let writer: LogWriter

    package init(level: LogLevel) { self.init(level: level, writer: LogWriter()) }

    init(level: LogLevel, writer: LogWriter) {
        self.level = level
        self.writer = writer
    }

    /// Waits until what was logged is written, a second at the most. For the end of the process.
    package func flush() { writer.flush() }

    package func log(_ event: Event) {
        var fields = event.fields
        fields["call"] = event.callID
        log(event.name.logLevel, event.name.rawValue, fields)
    }

    /// Fields come in alphabetical order; values with spaces or quotes are quoted.
    package func log(_ level: LogLevel, _ name: String, _ fields: EventFields = [:]) {
        guard level.isAtLeast(self.level) else { return }
        var line = "\(level.rawValue) \(name)"
        for (name, value) in fields.sorted {
            line += " "
            line += name
            line += "="
            line += Self.quoted(value)
        }
        line += "\n"
        writer.write(line)
    }

    /// Nothing a peer sent can start a line of its own.
    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy {
            $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") && $0 != 0x7f
        }
        guard !isPlain else { return value }
        let escaped = value.unicodeScalars.map { scalar in
            scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : scalar.value < 0x20 || scalar.value == 0x7f ? "?" : "\(scalar)"
        }
        return "\"\(escaped.joined())\""
    }
}
