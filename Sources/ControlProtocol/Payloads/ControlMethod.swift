/// What the control socket offers. The raw value is the JSON-RPC method.
package enum ControlMethod: String, CaseIterable, Sendable {
    /// No parameters; answers a `StatusReport`.
    case status
    /// No parameters; answers a `MetricsSnapshot`.
    case metrics
    /// A `CallsQuery`, every key optional; answers `[CallSummary]`, one for each call that still holds a resource.
    case calls
    /// `CallParameters`; answers a `CallDetail`.
    case call
    /// `CallParameters`; answers `Acknowledgement` as soon as the release has begun.
    case hangup
    /// A `RegistrationQuery`, every key optional; answers a `RegistrationList`.
    case registrations
    /// No parameters; answers a `KeepAliveReport`.
    case keepalive
    /// `CallParameters`, the id being that of a binding, or a user; answers `[BindingDetail]`.
    case binding
    /// No parameters; answers `[SuspensionSummary]`.
    case suspensions
    /// A `LiftQuery`; answers `[SuspensionSummary]`, those that have ended with it.
    case lift
    /// No parameters; answers `[TrunkReport]`.
    case trunks
    /// A `StrangerQuery`, every key optional; answers a `StrangerReport`.
    case strangers
    /// A `ProbeQuery`; answers a `ProbeReport` once the trunk has answered, or in 32 s when it does not; with a number once the
    /// test call is over, in two minutes at the latest.
    case probe
    /// A `CaptureQuery`; answers a `CaptureStart`. From then on each `CaptureChunk` comes as a notification `capture`.
    case capture
    /// A `RecordQuery`, every key optional; answers `[CallRecord]`.
    case records
    /// A `ReportQuery`, every key optional; answers `[ReportRow]`.
    case report
    /// An `AuditQuery`, every key optional; answers an `AuditReport`.
    case audit
    /// A `DoctorQuery`; answers `Acknowledgement`. Zero seconds close the way again.
    case doctor
    /// No parameters; answers `Acknowledgement`. From then on each `Event` comes as a notification `event`.
    case events
    /// `CallParameters`, where a Call-ID, a record's id or a number will do too; answers a `CallExplanation`.
    case why
    /// A `TraceQuery`, every key optional; answers a `TracePage`.
    case trace
    /// No parameters; answers `[ConfigurationRow]`.
    case config
    /// No parameters; answers a `ReloadReport`, or an error that says what is wrong with the file and where: then nothing changed.
    case reload

    /// The method of the notifications a subscriber gets; their parameters are an `Event`.
    package static let eventNotification = "event"
    /// The method of the notifications a capture consists of; their parameters are a `CaptureChunk`.
    package static let captureNotification = "capture"
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
