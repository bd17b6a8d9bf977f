/// What `report` is asked for: how calls went, by one of several things, over a time.
public struct ReportQuery: Codable, Hashable, Sendable {
    public enum Grouping: String, Codable, CaseIterable, Sendable {
        /// Each trunk, calls from it and calls to it apart.
        case trunk
        /// From which trunk to which.
        case route
        case cause
        /// The root causes; `-` for records of versions without them.
        case verdict
        case hour
        case day
    }

    public var grouping = Grouping.trunk
    /// Released at or after.
    public var since: WallTime?
    /// Released before.
    public var until: WallTime?

    public init(grouping: Grouping = .trunk, since: WallTime? = nil, until: WallTime? = nil) {
        self.grouping = grouping
        self.since = since
        self.until = until
    }
}

/// How the calls of one group went.
public struct ReportRow: Codable, Hashable, Sendable {
    /// A trunk, `CALLER > CALLEE`, a cause, a verdict, or the beginning of an hour or day; empty for calls of no trunk.
    public var name: String
    /// For trunks: `from` it or `to` it.
    public var side: String?
    public var attempts: UInt64 = 0
    public var answered: UInt64 = 0
    /// From answer to release.
    public var connectedSeconds = 0.0
    /// Of that: both directions alive, neither alive.
    public var talkSeconds: UInt64 = 0
    public var deadAirSeconds: UInt64 = 0
    /// By `ReleaseCause`.
    public var causes: [String: UInt64] = [:]

    public init(name: String, side: String? = nil) {
        self.name = name
        self.side = side
    }

    /// The answer-seizure ratio, 0 to 1; nil without attempts.
    public var answerRatio: Double? { attempts == 0 ? nil : Double(answered) / Double(attempts) }
    /// The average call duration in seconds; nil without answered calls.
    public var averageSeconds: Double? { answered == 0 ? nil : connectedSeconds / Double(answered) }
}
