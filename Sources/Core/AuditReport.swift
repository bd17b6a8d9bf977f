/// The time over which `audit` looks for ghost calls.
public struct AuditQuery: Codable, Hashable, Sendable {
    /// Released at or after.
    public var since: WallTime?
    /// Released before.
    public var until: WallTime?

    public init(since: WallTime? = nil, until: WallTime? = nil) {
        self.since = since
        self.until = until
    }
}

/// What an audit looked at and what it found.
public struct AuditReport: Codable, Hashable, Sendable {
    /// Records looked at; the newest, when there were more than an audit takes.
    public var examined: Int
    public var isComplete: Bool
    /// The first and the last release among them.
    public var from: WallTime?
    public var to: WallTime?
    /// The most calls first within each pattern.
    public var findings: [AuditFinding]

    public init(examined: Int, isComplete: Bool, from: WallTime?, to: WallTime?, findings: [AuditFinding]) {
        self.examined = examined
        self.isComplete = isComplete
        self.from = from
        self.to = to
        self.findings = findings
    }
}

/// A pattern of ghost calls in the records.
public enum AuditPattern: String, Codable, CaseIterable, Sendable {
    case longWithoutMedia = "long_without_media"
    case identicalDurations = "identical_durations"
    case endedByTimer = "ended_by_timer"
    case unusualDuration = "unusual_duration"
    case pileUp = "pile_up"

    /// What it means, as a clause.
    public var meaning: String {
        switch self {
        case .longWithoutMedia: "long calls in which nobody was heard"
        case .identicalDurations: "an endpoint whose calls last equally long, and end without media"
        case .endedByTimer: "calls that ended at a fixed time after their last packet"
        case .unusualDuration: "a route whose calls last far longer or shorter than the others'"
        case .pileUp: "calls that pile up although no more of them come"
        }
    }
}

public struct AuditFinding: Codable, Hashable, Sendable {
    public var pattern: AuditPattern
    /// An endpoint or a route by name: `endpoint 198.51.100.7 of trunk office`.
    public var subject: String
    public var calls: Int
    /// How many the subject had.
    public var of: Int
    /// A sentence with the numbers.
    public var evidence: String
    /// Record ids.
    public var examples: [String]

    public init(pattern: AuditPattern, subject: String, calls: Int, of: Int, evidence: String, examples: [String]) {
        self.pattern = pattern
        self.subject = subject
        self.calls = calls
        self.of = of
        self.evidence = evidence
        self.examples = examples
    }
}
