/// Tells each key of one RTP source once, from what `TelephoneEventCounter` counts: when its end has come, or, where that was
/// lost, when the next key begins. A plain fixed layout; one thread at a time.
public struct DigitReporter: Sendable, BitwiseCopyable {
    public struct Digit: Equatable, Sendable, BitwiseCopyable {
        /// RFC 4733 §3.2.
        public let code: UInt8
        /// In ticks of the telephone-event's clock.
        public let duration: UInt16
    }

    /// Which event is looked at, counted from one, in the low bits of its number; those before it were told.
    private var current: UInt8 = 0
    private var isTold = true
    private var latest = Digit(code: 0, duration: 0)

    public init() {}

    /// Call for every packet once the counter has it.
    ///
    /// - Returns: the key that is over with this packet.
    public mutating func take(_ events: TelephoneEventCounter) -> Digit? {
        guard let code = events.lastEvent else { return nil }
        var told: Digit?
        if UInt8(truncatingIfNeeded: events.events) != current {
            if !isTold { told = latest }
            current = UInt8(truncatingIfNeeded: events.events)
            isTold = false
        }
        guard !isTold else { return told }
        latest = Digit(code: code, duration: events.lastDuration)
        // Two at once: the second is told with the next packet, which repeats its end.
        if told == nil, events.hasLastEnded {
            isTold = true
            return latest
        }
        return told
    }
}
