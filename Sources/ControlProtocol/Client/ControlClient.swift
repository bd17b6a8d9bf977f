package import Core

/// A connection to the daemon's control socket that blocks until answered: for command lines and tests, one thread.
package struct ControlClient: ~Copyable {
    private let stream: UnixStream
    private let timeLimitSeconds: Int
    // A list of ten thousand calls has some megabytes; beyond this it is not relayd that talks.
    private var framer = LineFramer(limit: 256 << 20)
    private var received: ArraySlice<LineFramer.Output> = []
    private var lastID: Int64 = 0

    /// - Parameter timeLimitSeconds: how long the daemon may be silent while an answer is due.
    package init(path: String, timeLimitSeconds: Int = 5) throws(ControlClientError) {
        stream = try UnixStream.connected(to: path, timeLimitSeconds: timeLimitSeconds)
        self.timeLimitSeconds = timeLimitSeconds
    }

    package mutating func status() throws(ControlClientError) -> StatusReport {
        try call(.status, parameters: NoParameters?.none, result: StatusReport.self)
    }

    package mutating func metrics() throws(ControlClientError) -> MetricsSnapshot {
        try call(.metrics, parameters: NoParameters?.none, result: MetricsSnapshot.self)
    }

    package mutating func calls(_ query: CallsQuery = CallsQuery()) throws(ControlClientError) -> [CallSummary] {
        try call(.calls, parameters: query, result: [CallSummary].self)
    }

    package mutating func call(id: String) throws(ControlClientError) -> CallDetail {
        try call(.call, parameters: CallParameters(id: id), result: CallDetail.self)
    }

    package mutating func hangup(id: String) throws(ControlClientError) {
        _ = try call(.hangup, parameters: CallParameters(id: id), result: Acknowledgement.self)
    }

    package mutating func registrations(_ query: RegistrationQuery = RegistrationQuery()) throws(ControlClientError) -> RegistrationList {
        try call(.registrations, parameters: query, result: RegistrationList.self)
    }

    package mutating func keepAlive() throws(ControlClientError) -> KeepAliveReport {
        try call(.keepalive, parameters: NoParameters?.none, result: KeepAliveReport.self)
    }

    package mutating func binding(_ name: String) throws(ControlClientError) -> [BindingDetail] {
        try call(.binding, parameters: CallParameters(id: name), result: [BindingDetail].self)
    }

    package mutating func suspensions() throws(ControlClientError) -> [SuspensionSummary] {
        try call(.suspensions, parameters: NoParameters?.none, result: [SuspensionSummary].self)
    }

    package mutating func lift(_ query: LiftQuery) throws(ControlClientError) -> [SuspensionSummary] {
        try call(.lift, parameters: query, result: [SuspensionSummary].self)
    }

    package mutating func trunks() throws(ControlClientError) -> [TrunkReport] {
        try call(.trunks, parameters: NoParameters?.none, result: [TrunkReport].self)
    }

    package mutating func strangers(_ query: StrangerQuery = StrangerQuery()) throws(ControlClientError) -> StrangerReport {
        try call(.strangers, parameters: query, result: StrangerReport.self)
    }

    package mutating func reload() throws(ControlClientError) -> ReloadReport {
        try call(.reload, parameters: NoParameters?.none, result: ReloadReport.self)
    }

    /// The answer takes as long as the trunk's, 32 s at the most: give the client a time limit beyond that.
    package mutating func probe(_ query: ProbeQuery) throws(ControlClientError) -> ProbeReport {
        try call(.probe, parameters: query, result: ProbeReport.self)
    }

    /// From here on `nextCaptureChunk` returns what was captured. Ask nothing else on this connection then.
    package mutating func capture(_ query: CaptureQuery) throws(ControlClientError) -> CaptureStart {
        try call(.capture, parameters: query, result: CaptureStart.self)
    }

    /// Waits for the next piece of a capture.
    ///
    /// - Returns: nil when the daemon closed the connection.
    package mutating func nextCaptureChunk(timeLimitSeconds: Int? = nil) throws(ControlClientError) -> CaptureChunk? {
        while let message = try nextMessage(timeLimitSeconds: timeLimitSeconds) {
            guard message.kind == .notification(method: ControlMethod.captureNotification) else { continue }
            guard let chunk = try? message.params(as: CaptureChunk.self) else { throw .nonsense }
            return chunk
        }
        return nil
    }

    package mutating func records(_ query: RecordQuery = RecordQuery()) throws(ControlClientError) -> [CallRecord] {
        try call(.records, parameters: query, result: [CallRecord].self)
    }

    package mutating func why(_ name: String) throws(ControlClientError) -> CallExplanation {
        try call(.why, parameters: CallParameters(id: name), result: CallExplanation.self)
    }

    /// One page; see `TraceReader` for all of it.
    package mutating func trace(_ query: TraceQuery) throws(ControlClientError) -> TracePage {
        try call(.trace, parameters: query, result: TracePage.self)
    }

    package mutating func report(_ query: ReportQuery = ReportQuery()) throws(ControlClientError) -> [ReportRow] {
        try call(.report, parameters: query, result: [ReportRow].self)
    }

    package mutating func audit(_ query: AuditQuery = AuditQuery()) throws(ControlClientError) -> AuditReport {
        try call(.audit, parameters: query, result: AuditReport.self)
    }

    package mutating func doctor(_ query: DoctorQuery) throws(ControlClientError) {
        _ = try call(.doctor, parameters: query, result: Acknowledgement.self)
    }

    package mutating func configuration() throws(ControlClientError) -> [ConfigurationRow] {
        try call(.config, parameters: NoParameters?.none, result: [ConfigurationRow].self)
    }

    /// From here on `nextEvent` returns what happens. Ask nothing else on this connection then.
    package mutating func subscribe() throws(ControlClientError) {
        _ = try call(.events, parameters: NoParameters?.none, result: Acknowledgement.self)
    }

    /// Waits for the next event.
    ///
    /// - Parameter timeLimitSeconds: nil for as long as it takes; otherwise `.silent` is thrown after it.
    /// - Returns: nil when the daemon closed the connection.
    package mutating func nextEvent(timeLimitSeconds: Int? = nil) throws(ControlClientError) -> Event? {
        while let message = try nextMessage(timeLimitSeconds: timeLimitSeconds) {
            guard message.kind == .notification(method: ControlMethod.eventNotification) else { continue }
            guard let event = try? message.params(as: Event.self) else { throw .nonsense }
            return event
        }
        return nil
    }

    private struct NoParameters: Encodable {}

    private mutating func call<Result: Decodable>(
        _ method: ControlMethod, parameters: (some Encodable)?, result: Result.Type
    ) throws(ControlClientError) -> Result {
        lastID += 1
        let id = RequestID.number(lastID)
        guard let request = try? ControlLine.request(method, id: id, params: parameters) else {
            preconditionFailure("parameters are strings, whole numbers and times, which always encode")
        }
        try stream.write(request)
        while let message = try nextMessage(timeLimitSeconds: timeLimitSeconds) {
            switch message.kind {
            case .notification: continue
            case .result(id):
                guard let value = try? message.result(as: result) else { throw .nonsense }
                return value
            case .error(let of, let error) where of == id || of == .null: throw .refused(error)
            case .result, .error: throw .nonsense
            }
        }
        throw .closed
    }

    /// Nil at the end of the stream.
    private mutating func nextMessage(timeLimitSeconds: Int?) throws(ControlClientError) -> ServerMessage? {
        while received.isEmpty {
            stream.setReadLimit(seconds: timeLimitSeconds)
            switch stream.read() {
            case .octets(let octets): received = framer.append(octets)[...]
            case .end:
                guard framer.pendingCount == 0 else { throw .closed }
                return nil
            case .timedOut: throw .silent(seconds: timeLimitSeconds ?? 0)
            }
        }
        guard case .line(let line) = received.removeFirst(), let message = ServerMessage(line: line) else {
            throw .nonsense
        }
        return message
    }
}
