/// Counts the telephone-events of one RTP source (RFC 4733 §2.3). An event is one timestamp, however many packets say it:
/// updates every 20 ms, and the end usually three times.
@frozen
public struct TelephoneEventCounter: Sendable, BitwiseCopyable {
    /// Distinct events.
    public private(set) var events: UInt32 = 0
    /// Events of which at least one packet had the end bit; each counts once.
    public private(set) var endedEvents: UInt32 = 0
    /// Packets of all events; those too short to hold an event are left out.
    public private(set) var packets: UInt32 = 0
    private var timestamp: UInt32 = 0
    private var duration: UInt16 = 0
    private var code: UInt8 = 0
    private var hasEnded = false
    /// False before the first event, and after a change of source, whose timestamps have nothing to do with those before.
    private var isFollowing = false

    init() {}

    /// The code of the newest event (RFC 4733 §3.2): 0 to 9 digits, 10 `*`, 11 `#`, 12 to 15 `A` to `D`; nil before the first.
    public var lastEvent: UInt8? { events > 0 ? code : nil }

    /// The newest event as a key of the telephone; nil when it is none.
    public var lastDigit: Character? {
        guard let lastEvent, lastEvent < 16 else { return nil }
        let keys = "0123456789*#ABCD"
        return keys[keys.index(keys.startIndex, offsetBy: Int(lastEvent))]
    }

    /// Of the newest event so far, in ticks.
    public var lastDuration: UInt16 { duration }

    /// The newest event's end has come.
    public var hasLastEnded: Bool { hasEnded }

    /// Takes one packet that is no duplicate. Only the first event of a payload is read.
    mutating func receive(_ header: RTPHeader, in datagram: Span<UInt8>) {
        guard header.payloadCount >= 4, header.payloadOffset + header.payloadCount <= datagram.count else { return }
        let newCode = datagram[header.payloadOffset]
        let isEnd = datagram[header.payloadOffset + 1] & 0x80 != 0
        let newDuration = datagram.uint16(at: header.payloadOffset + 2)
        packets &+= 1
        let step = Int32(bitPattern: header.timestamp &- timestamp)
        if isFollowing && step < 0 { return }  // a late packet of an event before this one
        if isFollowing && step == 0 {
            duration = max(duration, newDuration)
        } else if isFollowing && !hasEnded && newCode == code && step == Int32(duration) && duration == .max {
            // An event longer than its duration field goes on in a segment with a timestamp of its own (§2.5.1.3).
            timestamp = header.timestamp
            duration = newDuration
        } else {
            events &+= 1
            isFollowing = true
            hasEnded = false
            code = newCode
            timestamp = header.timestamp
            duration = newDuration
        }
        if isEnd && !hasEnded {
            hasEnded = true
            endedEvents &+= 1
        }
    }

    /// The next event is a new one, whatever its timestamp.
    mutating func sourceChanged() { isFollowing = false }
}
