package import ControlProtocol
package import Core

/// One command of one client.
package struct ControlRequest: Equatable, Sendable {
    /// Nil for a notification: carried out, and never answered.
    package let id: RequestID?
    package let command: ControlCommand
}

/// What a command came to.
package enum ControlReply: Equatable, Sendable {
    case status(StatusReport)
    case metrics(MetricsSnapshot)
    case calls([CallSummary])
    case call(CallDetail)
    /// Done, or for a hangup: begun.
    case done
    case records([CallRecord])
    case configuration([ConfigurationRow])

    /// The line that tells the client.
    func line(to id: RequestID) -> [UInt8] {
        do {
            return switch self {
            case .status(let report): try ControlLine.response(to: id, result: report)
            case .metrics(let snapshot): try ControlLine.response(to: id, result: snapshot)
            case .calls(let calls): try ControlLine.response(to: id, result: calls)
            case .call(let detail): try ControlLine.response(to: id, result: detail)
            case .done: try ControlLine.response(to: id, result: Acknowledgement())
            case .records(let records): try ControlLine.response(to: id, result: records)
            case .configuration(let rows): try ControlLine.response(to: id, result: rows)
            }
        } catch {
            return ControlLine.error(ControlError(.internalError, "The answer cannot be written as JSON."), to: id)
        }
    }
}
