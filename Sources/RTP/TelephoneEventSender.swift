/// Turns packets of a medium into telephone-events (RFC 4733): while a key is sent, each packet of the stream becomes one of
/// the event's, with its own sequence number and source, so that the receiver sees one stream without a gap.
///
/// The clock is that of the packets: an event lasts as many ticks as it is to, its end goes out three times (§2.5.1.4), and
/// a few packets of the medium pass before the next key. A stream that stands still sends nothing. A plain fixed layout
/// without references; one thread at a time.
public struct TelephoneEventSender: Sendable, BitwiseCopyable {
    /// One key to be sent.
    public struct Event: Equatable, Sendable, BitwiseCopyable {
        /// 0 to 9, 10 `*`, 11 `#`, 12 to 15 `A` to `D` (RFC 4733 §3.2).
        public var code: UInt8
        /// What the receiver calls telephone-event in its SDP.
        public var payloadType: UInt8
        /// In ticks of its clock, which is that of the medium.
        public var duration: UInt16

        public init(code: UInt8, payloadType: UInt8, duration: UInt16) {
            self.code = code
            self.payloadType = payloadType
            self.duration = duration
        }
    }

    /// What takes the place of a packet of the medium.
    public struct Packet: Equatable, Sendable, BitwiseCopyable {
        public let event: Event
        public let isFirst: Bool
        public let isEnd: Bool
        /// Of the event's beginning.
        public let timestamp: UInt32
        /// So far.
        public let duration: UInt16
    }

    /// Further keys are refused.
    public static let capacity = 8
    private static let endPackets = 3
    private static let pausePackets = 3

    private var queue: InlineArray<8, Event> = .init(repeating: Event(code: 0, payloadType: 0, duration: 0))
    private var head: UInt8 = 0
    private var count: UInt8 = 0
    private var endsLeft: UInt8 = 0
    /// Packets of the medium that pass before the next key.
    private var pauseLeft: UInt8 = 0
    private var isSending = false
    private var hasTimestamp = false
    private var start: UInt32 = 0
    private var lastTimestamp: UInt32 = 0
    private var endDuration: UInt16 = 0

    public init() {}

    /// Nothing is left to send: packets pass as they come.
    public var isIdle: Bool { count == 0 && pauseLeft == 0 }

    /// Puts a key behind those that wait; false when there are too many.
    public mutating func add(_ event: Event) -> Bool {
        guard Int(count) < Self.capacity else { return false }
        if isIdle { hasTimestamp = false }
        queue[(Int(head) + Int(count)) % Self.capacity] = event
        count += 1
        return true
    }

    /// What takes the place of the next packet; nil: it passes as it is.
    ///
    /// - Parameter timestamp: of the packet.
    public mutating func next(replacing timestamp: UInt32) -> Packet? {
        let step = Int32(bitPattern: timestamp &- lastTimestamp)
        // The first packet only tells where the timestamps are.
        guard hasTimestamp, step > 0, step < 0x8000 else {
            let isLate = hasTimestamp && step <= 0 && step > -0x8000
            guard !isLate else { return isSending ? packet(at: lastTimestamp, step: 0) : nil }
            if isSending { start = timestamp &- UInt32(endDuration) }
            hasTimestamp = true
            lastTimestamp = timestamp
            return nil
        }
        lastTimestamp = timestamp
        if !isSending {
            if pauseLeft > 0 {
                pauseLeft -= 1
                return nil
            }
            guard count > 0 else { return nil }
            isSending = true
            endsLeft = UInt8(Self.endPackets)
            start = timestamp
            let duration = UInt16(clamping: step)
            endDuration = duration
            if duration < queue[Int(head)].duration {
                return Packet(event: queue[Int(head)], isFirst: true, isEnd: false, timestamp: start, duration: duration)
            }
            return end(isFirst: true)
        }
        return packet(at: timestamp, step: step)
    }

    private mutating func packet(at timestamp: UInt32, step: Int32) -> Packet {
        let event = queue[Int(head)]
        if endsLeft == UInt8(Self.endPackets) {
            endDuration = UInt16(clamping: Int64(timestamp &- start) + Int64(step))
            if endDuration < event.duration {
                return Packet(event: event, isFirst: false, isEnd: false, timestamp: start, duration: endDuration)
            }
        }
        return end(isFirst: false)
    }

    private mutating func end(isFirst: Bool) -> Packet {
        let packet = Packet(event: queue[Int(head)], isFirst: isFirst, isEnd: true, timestamp: start, duration: endDuration)
        endsLeft -= 1
        if endsLeft == 0 {
            isSending = false
            head = UInt8((Int(head) + 1) % Self.capacity)
            count -= 1
            pauseLeft = UInt8(Self.pausePackets)
        }
        return packet
    }
}

extension TelephoneEventSender.Packet {
    /// Octets of the RTP packet: a fixed header and one event.
    public static let octetCount = 16

    /// Octet by octet (RFC 3550 §5.1, RFC 4733 §2.3). The volume is 10 below full, as most telephones say.
    ///
    /// - Parameters:
    ///   - header: of the packet whose place it takes.
    public func octet(_ index: Int, replacing header: RTPHeader) -> UInt8 {
        switch index {
        case 0: 0x80
        case 1: event.payloadType | (isFirst ? 0x80 : 0)
        case 2: UInt8(truncatingIfNeeded: header.sequenceNumber >> 8)
        case 3: UInt8(truncatingIfNeeded: header.sequenceNumber)
        case 4...7: UInt8(truncatingIfNeeded: timestamp >> UInt32(8 * (7 - index)))
        case 8...11: UInt8(truncatingIfNeeded: header.ssrc >> UInt32(8 * (11 - index)))
        case 12: event.code
        case 13: 10 | (isEnd ? 0x80 : 0)
        case 14: UInt8(truncatingIfNeeded: duration >> 8)
        default: UInt8(truncatingIfNeeded: duration)
        }
    }
}
