package import Configuration
import ControlProtocol

/// Who hears events: what nobody does need not be put into words.
package struct EventAudience: Sendable {
    package static let everyone = EventAudience(logLevel: .debug, hasSubscribers: true)

    private let logLevel: LogLevel
    private let hasSubscribers: Bool

    /// - Parameter hasSubscribers: some client of the control socket asked for all of them.
    package init(logLevel: LogLevel, hasSubscribers: Bool) {
        self.logLevel = logLevel
        self.hasSubscribers = hasSubscribers
    }

    func hears(_ name: Event.Name) -> Bool { hasSubscribers || name.logLevel.isAtLeast(logLevel) }
}

extension Event.Name {
    /// How important it is to the log.
    var logLevel: LogLevel {
        // By the length first: comparing two texts that differ takes long, and every call asks several times.
        switch rawValue.utf8.count {
        case Self.callSetup.rawValue.utf8.count where self == .callSetup, Self.mediaLocked.rawValue.utf8.count where self == .mediaLocked:
            .debug
        case Self.credentialsSuspended.rawValue.utf8.count where self == .credentialsSuspended,
            Self.keepAliveShortfall.rawValue.utf8.count where self == .keepAliveShortfall:
            .warning
        default: .notice
        }
    }
}
