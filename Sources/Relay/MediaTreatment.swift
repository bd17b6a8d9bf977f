/// What is done to the media a leg sends. All of it keeps the call alive and is counted as the leg's; RTCP passes.
public struct MediaTreatment: Hashable, Sendable, BitwiseCopyable {
    /// Nothing is relayed but `passedPayloadTypes`.
    public var isBlocked: Bool
    /// G.711 (payload types 0 and 8) is relayed as silence of its law, with its sequence numbers and times. All else is
    /// dropped, as the silence of another codec would have to be encoded; `passedPayloadTypes` pass.
    public var isSilenced: Bool
    /// RTP of these payload types is dropped: those of telephone-event (RFC 4733) in the leg's SDP, to keep digits from the
    /// other side. Its sequence has gaps then.
    public var blockedPayloadTypes: PayloadTypes
    /// RTP of these payload types passes while the leg is blocked or silenced: those of telephone-event, as rtpengine does.
    /// Without effect while `blockedPayloadTypes` holds any.
    public var passedPayloadTypes: PayloadTypes
    /// Each telephone-event of the leg is told to control once it is over, whether or not it is relayed.
    public var reportsDigits: Bool

    public init(
        isBlocked: Bool = false, isSilenced: Bool = false, blockedPayloadTypes: PayloadTypes = [],
        passedPayloadTypes: PayloadTypes = [], reportsDigits: Bool = false
    ) {
        self.isBlocked = isBlocked
        self.isSilenced = isSilenced
        self.blockedPayloadTypes = blockedPayloadTypes
        self.passedPayloadTypes = passedPayloadTypes
        self.reportsDigits = reportsDigits
    }
}

/// A set of RTP payload types, 0 to 127.
public struct PayloadTypes: Hashable, Sendable, BitwiseCopyable, ExpressibleByArrayLiteral {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    public init(arrayLiteral elements: UInt8...) {
        for element in elements { insert(element) }
    }

    public var isEmpty: Bool { low | high == 0 }

    /// - Parameter payloadType: at most 127.
    public mutating func insert(_ payloadType: UInt8) {
        precondition(payloadType < 128)
        if payloadType < 64 { low |= 1 << UInt64(payloadType) } else { high |= 1 << UInt64(payloadType - 64) }
    }

    public func contains(_ payloadType: UInt8) -> Bool {
        (payloadType < 64 ? low : high) &>> UInt64(payloadType & 63) & 1 != 0
    }
}
