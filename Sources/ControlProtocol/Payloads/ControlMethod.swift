/// What the control socket offers. The raw value is the JSON-RPC method.
package enum ControlMethod: String, CaseIterable, Sendable {
    /// No parameters; answers a `StatusReport`.
    case status
    /// No parameters; answers a `MetricsSnapshot`.
    case metrics
    /// No parameters; answers `[CallSummary]`, one for each call that still holds a resource.
    case calls
    /// `CallParameters`; answers a `CallDetail`.
    case call
    /// `CallParameters`; answers `Acknowledgement` as soon as the release has begun.
    case hangup
    /// A `RecordQuery`, every key optional; answers `[CallRecord]`.
    case records
    /// No parameters; answers `Acknowledgement`. From then on each `Event` comes as a notification `event`.
    case events
    /// No parameters; answers `[ConfigurationRow]`.
    case config

    /// The method of the notifications a subscriber gets; their parameters are an `Event`.
    package static let eventNotification = "event"
}

/// Names one call.
package struct CallParameters: Codable, Equatable, Sendable {
    /// As in `CallSummary.id`.
    package var id: String

    package init(id: String) { self.id = id }
}

/// The result of a method that has nothing to tell: `{"ok":true}`.
package struct Acknowledgement: Codable, Equatable, Sendable {
    package var ok = true

    package init() {}
}
