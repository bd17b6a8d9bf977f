package import ControlProtocol
package import Core

/// What call control can be asked to do, by whichever protocol: valid by construction, ready to carry out.
package enum ControlCommand: Equatable, Sendable {
    case status
    case metrics
    case calls(CallsQuery)
    /// By `CallSummary.id`.
    case call(String)
    case hangup(String)
    case registrations(RegistrationQuery)
    case keepAlive
    /// By user, number or `RegistrationSummary.id`.
    case binding(String)
    case suspensions
    case lift(LiftQuery)
    case trunks
    case strangers(StrangerQuery)
    case probe(ProbeQuery)
    case capture(CaptureQuery)
    case records(RecordQuery)
    /// By id, record id, Call-ID or number.
    case why(String)
    case trace(TraceQuery)
    case report(ReportQuery)
    case audit(AuditQuery)
    case doctor(DoctorQuery)
    case configuration
    case reload

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
            self = .calls(try Self.callsQuery(parameters))
        case .call:
            try parameters.allow(["id"])
            self = .call(try parameters.requiredString("id"))
        case .hangup:
            try parameters.allow(["id"])
            self = .hangup(try parameters.requiredString("id"))
        case .registrations:
            try parameters.allow(["filter", "limit"])
            var query = RegistrationQuery(filter: try parameters.string("filter"))
            if let limit = try parameters.integer("limit", in: 1...10_000) { query.limit = limit }
            self = .registrations(query)
        case .keepalive:
            try parameters.allow([])
            self = .keepAlive
        case .binding:
            try parameters.allow(["id"])
            self = .binding(try parameters.requiredString("id"))
        case .suspensions:
            try parameters.allow([])
            self = .suspensions
        case .lift:
            try parameters.allow(["user", "address"])
            var query = LiftQuery(user: try parameters.requiredString("user"))
            if let text = try parameters.string("address") {
                guard let address = IPAddress(text) else {
                    throw ControlError(.invalidParams, "\"\(text.prefix(64))\" is no IP address.")
                }
                query.address = address
            }
            self = .lift(query)
        case .trunks:
            try parameters.allow([])
            self = .trunks
        case .strangers:
            try parameters.allow(["limit"])
            self = .strangers(StrangerQuery(limit: try parameters.integer("limit", in: 1...1_000) ?? 20))
        case .probe:
            try parameters.allow(["trunk", "number", "caller", "seconds"])
            var query = ProbeQuery(trunk: try parameters.requiredString("trunk"))
            query.number = try Self.userPart(parameters, "number")
            query.caller = try Self.userPart(parameters, "caller")
            if let seconds = try parameters.integer("seconds", in: 1...60) { query.seconds = seconds }
            self = .probe(query)
        case .capture:
            try parameters.allow(["id", "seconds", "mebibytes"])
            var query = CaptureQuery(id: try parameters.requiredString("id"))
            query.seconds = try parameters.integer("seconds", in: 1...86_400)
            query.mebibytes = try parameters.integer("mebibytes", in: 1...4_096)
            self = .capture(query)
        case .records:
            self = .records(try Self.recordQuery(parameters))
        case .why:
            try parameters.allow(["id"])
            self = .why(try parameters.requiredString("id"))
        case .trace:
            self = .trace(try Self.traceQuery(parameters))
        case .report:
            try parameters.allow(["grouping", "since", "until"])
            self = .report(
                ReportQuery(
                    grouping: try parameters.oneOf("grouping") ?? .trunk, since: try parameters.time("since"),
                    until: try parameters.time("until")))
        case .audit:
            try parameters.allow(["since", "until"])
            self = .audit(AuditQuery(since: try parameters.time("since"), until: try parameters.time("until")))
        case .doctor:
            try parameters.allow(["caller", "callee", "noMediaTimeoutSeconds", "seconds"])
            self = .doctor(
                DoctorQuery(
                    caller: try parameters.address("caller"), callee: try parameters.address("callee"),
                    noMediaTimeoutSeconds: try parameters.integer("noMediaTimeoutSeconds", in: 1...60) ?? 3,
                    seconds: try parameters.integer("seconds", in: 0...300) ?? 60))
        case .events:
            try parameters.allow([])
            return nil
        case .config:
            try parameters.allow([])
            self = .configuration
        case .reload:
            try parameters.allow([])
            self = .reload
        }
    }

    /// What may stand before the @ of a URI without escapes.
    private static func userPart(_ parameters: ParameterReader, _ name: String) throws(ControlError) -> String? {
        guard let text = try parameters.string(name) else { return nil }
        let isUser = text.utf8.allSatisfy { octet in
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet || UInt8(ascii: "a")...UInt8(ascii: "z") ~= octet | 0x20
                || "+-_.!~*'()&=$#".utf8.contains(octet)
        }
        guard isUser, (1...64).contains(text.utf8.count) else {
            throw ControlError(.invalidParams, "\(name) is no number or name of up to 64 characters.")
        }
        return text
    }

    private static func callsQuery(_ parameters: ParameterReader) throws(ControlError) -> CallsQuery {
        try parameters.allow(["order", "match", "limit"])
        return CallsQuery(
            order: try parameters.oneOf("order"), match: try parameters.string("match"),
            limit: try parameters.integer("limit", in: 1...100_000))
    }

    private static func recordQuery(_ parameters: ParameterReader) throws(ControlError) -> RecordQuery {
        try parameters.allow([
            "limit", "match", "cause", "verdict", "trunk", "number", "since", "until", "leastSeconds", "mostSeconds",
        ])
        var query = RecordQuery()
        if let limit = try parameters.integer("limit", in: 1...10_000) { query.limit = limit }
        query.match = try parameters.string("match")
        query.cause = try parameters.releaseCause("cause")
        query.verdict = try parameters.oneOf("verdict")
        query.trunk = try parameters.string("trunk")
        query.number = try parameters.string("number")
        query.since = try parameters.time("since")
        query.until = try parameters.time("until")
        query.leastSeconds = try parameters.integer("leastSeconds", in: 0...1_000_000_000)
        query.mostSeconds = try parameters.integer("mostSeconds", in: 0...1_000_000_000)
        return query
    }

    private static func traceQuery(_ parameters: ParameterReader) throws(ControlError) -> TraceQuery {
        try parameters.allow(["callIDs", "number", "address", "method", "since", "mask", "before", "from", "limit"])
        var query = TraceQuery()
        query.callIDs = try parameters.strings("callIDs", limit: 16)
        query.number = try parameters.string("number")
        query.address = try parameters.string("address")
        query.method = try parameters.string("method")
        query.since = try parameters.time("since")
        query.mask = try parameters.flag("mask")
        query.before = try parameters.integer("before", in: 0...Int.max).map(UInt64.init)
        query.from = try parameters.integer("from", in: 0...Int.max).map(UInt64.init)
        query.limit = try parameters.integer("limit", in: 1...256)
        return query
    }

    private static func unknownMethod(_ name: String) -> ControlError {
        let names = ControlMethod.allCases.map(\.rawValue)
        let hint = closest(to: name, among: names).map { "did you mean \"\($0)\"?" }
            ?? "there are \(names.joined(separator: ", "))."
        return ControlError(.methodNotFound, "There is no method \"\(name.prefix(64))\": \(hint)")
    }
}
