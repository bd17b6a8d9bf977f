package import Core

/// When to send again: an interval that doubles, up to a cap (timers A, E, G; the 2xx of RFC 3261 §13.3.1.4).
package struct RetransmissionTimer: Sendable {
    package private(set) var due: Instant
    /// In nanoseconds.
    private var interval: Int64
    /// Likewise; `Int64.max` where it may double for ever.
    private let cap: Int64

    /// - Parameter cap: the longest interval; nil lets it double for ever (timer A).
    package init(startingAt now: Instant, interval: Duration, cap: Duration?) {
        precondition(interval > .zero, "a retransmission interval of zero would never end")
        self.interval = interval.nanoseconds
        self.cap = cap?.nanoseconds ?? .max
        due = now + interval
    }

    /// True when a retransmission is due by `now`.
    ///
    /// Asked late, after several were due, it asks for one only, since a burst of equal datagrams helps nobody; the
    /// next comes where it would have come anyway.
    package mutating func fire(at now: Instant) -> Bool {
        guard now >= due else { return false }
        while due <= now {
            interval = min(interval * 2, cap)
            due += .nanoseconds(interval)
        }
        return true
    }

    /// Lets what is due next stay, and goes on at the cap from there (timer E in Proceeding, RFC 3261 §17.1.2.2).
    package mutating func continueAtCap() {
        if cap != .max { interval = cap }
    }
}

/// The earlier of two deadlines, either of which may not be set.
func earlier(_ first: Instant?, _ second: Instant?) -> Instant? {
    guard let first, let second else { return first ?? second }
    return min(first, second)
}
