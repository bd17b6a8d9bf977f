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
    case trunks([TrunkReport])
    case strangers(StrangerReport)
    case probe(ProbeReport)
    case reload(ReloadReport)
    /// Done, or for a hangup: begun.
    case done
    case registrations(RegistrationList)
    case keepAlive(KeepAliveReport)
    case bindings([BindingDetail])
    case suspensions([SuspensionSummary])
    /// Begun.
    case capture(CaptureStart)
    case records([CallRecord])
    case explanation(CallExplanation)
    case trace(TracePage)
    case report([ReportRow])
    case audit(AuditReport)
    /// A line for one request, written on another thread.
    case line([UInt8])
    case configuration([ConfigurationRow])

    /// The same as the line that answers `request`: ten thousand records are some megabytes of JSON, which the control
    /// thread has no time to write.
    func written(for request: ControlRequest) -> ControlReply { request.id.map { .line(line(to: $0)) } ?? .done }

    /// The line that tells the client.
    func line(to id: RequestID) -> [UInt8] {
        do {
            return switch self {
            case .status(let report): try ControlLine.response(to: id, result: report)
            case .metrics(let snapshot): try ControlLine.response(to: id, result: snapshot)
            case .calls(let calls): try ControlLine.response(to: id, result: calls)
            case .call(let detail): try ControlLine.response(to: id, result: detail)
            case .trunks(let reports): try ControlLine.response(to: id, result: reports)
            case .strangers(let report): try ControlLine.response(to: id, result: report)
            case .probe(let report): try ControlLine.response(to: id, result: report)
            case .reload(let report): try ControlLine.response(to: id, result: report)
            case .done: try ControlLine.response(to: id, result: Acknowledgement())
            case .registrations(let list): try ControlLine.response(to: id, result: list)
            case .keepAlive(let report): try ControlLine.response(to: id, result: report)
            case .bindings(let details): try ControlLine.response(to: id, result: details)
            case .suspensions(let list): try ControlLine.response(to: id, result: list)
            case .capture(let start): try ControlLine.response(to: id, result: start)
            case .records(let records): try ControlLine.response(to: id, result: records)
            case .explanation(let explanation): try ControlLine.response(to: id, result: explanation)
            case .trace(let page): try ControlLine.response(to: id, result: page)
            case .report(let rows): try ControlLine.response(to: id, result: rows)
            case .audit(let report): try ControlLine.response(to: id, result: report)
            case .line(let octets): octets
            case .configuration(let rows): try ControlLine.response(to: id, result: rows)
            }
        } catch {
            return ControlLine.error(ControlError(.internalError, "The answer cannot be written as JSON."), to: id)
        }
    }
}
