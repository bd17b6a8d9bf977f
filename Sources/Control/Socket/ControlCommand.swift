import ControlProtocol
package import Core

/// What call control can be asked to do, by whichever protocol: valid by construction, ready to carry out.
package enum ControlCommand: Equatable, Sendable {
    case status
    case metrics
    case calls
    /// By `CallSummary.id`.
    case call(String)
    case hangup(String)
    case records(RecordQuery)
    case configuration

    /// Reads a JSON-RPC request; nil for `events`, which concerns the connection alone.
    ///
    /// - Throws: what the client is to be told: unknown method, unknown key, or a value of the wrong kind.
    init?(_ request: RequestEnvelope) throws(ControlError) {
        guard let method = ControlMethod(rawValue: request.method) else {
            throw Self.unknownMethod(request.method)
        }
        let parameters = try request.parameters()
        switch method {
        case .status:
            try parameters.allow([])
            self = .status
        case .metrics:
            try parameters.allow([])
            self = .metrics
        case .calls:
            try parameters.allow([])
            self = .calls
        case .call:
            try parameters.allow(["id"])
            self = .call(try parameters.requiredString("id"))
        case .hangup:
            try parameters.allow(["id"])
            self = .hangup(try parameters.requiredString("id"))
        case .records:
            self = .records(try Self.recordQuery(parameters))
        case .events:
            try parameters.allow([])
            return nil
        case .config:
            try parameters.allow([])
            self = .configuration
        }
    }

    private static func recordQuery(_ parameters: ParameterReader) throws(ControlError) -> RecordQuery {
        try parameters.allow(["limit", "match", "cause", "trunk", "since"])
        var query = RecordQuery()
        if let limit = try parameters.integer("limit", in: 1...10_000) { query.limit = limit }
        query.match = try parameters.string("match")
        query.cause = try parameters.releaseCause("cause")
        query.trunk = try parameters.string("trunk")
        query.since = try parameters.time("since")
        return query
    }

    private static func unknownMethod(_ name: String) -> ControlError {
        let names = ControlMethod.allCases.map(\.rawValue)
        let hint = closest(to: name, among: names).map { "did you mean \"\($0)\"?" }
            ?? "there are \(names.joined(separator: ", "))."
        return ControlError(.methodNotFound, "There is no method \"\(name.prefix(64))\": \(hint)")
    }
}
