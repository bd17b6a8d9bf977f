public import Core
public import RTP

/// What a leg's SDP and signalling say about its media.
public struct ExpectedSource: Hashable, Sendable, BitwiseCopyable {
    /// The unspecified address (`c=0.0.0.0`, hold as of RFC 2543) says nothing about where media comes from: what was
    /// announced before stays.
    public var rtp: SocketAddress
    public var rtcp: SocketAddress
    /// Where the leg's SIP messages come from.
    public var signalling: IPAddress
    /// RTP and RTCP share the leg's RTP port (RFC 5761): RTCP to it leaves from the RTP socket. Say so only once both sides
    /// of the leg agreed on it.
    public var isRTCPMuxed = false
    public var transport = MediaTransport.rtp
    public var direction = MediaDirection.sendReceive
    /// Payload types that RFC 3551 does not say all about, for the leg's statistics.
    public var formats = PayloadFormats()
    /// What is agreed with whoever runs this peer, beyond what signalling says.
    public var options: SourceOptions = []

    public init(
        rtp: SocketAddress, rtcp: SocketAddress, signalling: IPAddress, isRTCPMuxed: Bool = false,
        transport: MediaTransport = .rtp, direction: MediaDirection = .sendReceive,
        formats: PayloadFormats = PayloadFormats()
    ) {
        self.rtp = rtp
        self.rtcp = rtcp
        self.signalling = signalling
        self.isRTCPMuxed = isRTCPMuxed
        self.transport = transport
        self.direction = direction
        self.formats = formats
    }
}

/// What an operator or a proxy says of a peer. None of it lets a stranger hear or say anything.
public struct SourceOptions: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt8

    /// It hears at the address of its SDP and sends from somewhere else: media goes to that address, wherever the locked
    /// source is.
    public static let asymmetric = SourceOptions(rawValue: 1)
    /// It sends from the address of its SDP and from nowhere else: nothing is learnt.
    public static let announcedOnly = SourceOptions(rawValue: 2)
    /// It may be sent to before its first packet, if the IP address of its SDP is where its signalling comes from: a phone
    /// that only listens hears something, and nobody but the host that signals can be made to be sent to.
    public static let opensAtOnce = SourceOptions(rawValue: 4)

    public init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// What a leg's datagrams are.
@frozen
public enum MediaTransport: UInt8, Sendable, BitwiseCopyable {
    case rtp
    /// Anything, such as T.38 over udptl: every datagram of the leg's source passes and counts as media. While an offer to
    /// change from one to the other is not answered, this one lets both pass.
    case datagram
}

/// What a leg's own SDP says it does (RFC 3264 §5.1).
@frozen
public enum MediaDirection: UInt8, Sendable, BitwiseCopyable {
    case sendReceive
    case sendOnly
    case receiveOnly
    case inactive

    public var sends: Bool { self == .sendReceive || self == .sendOnly }
    public var receives: Bool { self == .sendReceive || self == .receiveOnly }
}
