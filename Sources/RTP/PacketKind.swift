/// What a datagram on a media port is, told by its first two octets (RFC 7983 §7, RFC 5761 §4, RFC 6189).
@frozen
public enum PacketKind: UInt8, Sendable, BitwiseCopyable {
    case rtp
    case rtcp
    case stun
    case zrtp
    case dtls
    case turnChannel
    /// Anything else, and a datagram of fewer than two octets.
    case other

    /// RTCP packet types 192 to 223 lie where RTP would have the marker and payload types 64 to 95, which RTP on one port with
    /// RTCP must not use.
    ///
    /// - Parameter second: the second octet of a datagram of version 2.
    @inlinable @inline(always)
    public static func isControl(_ second: UInt8) -> Bool { second & 0xe0 == 0xc0 }

    @inlinable @inline(always)
    public init(of datagram: Span<UInt8>) {
        guard datagram.count >= 2 else {
            self = .other
            return
        }
        let first = datagram[0]
        if first >= 128 && first <= 191 {
            self = Self.isControl(datagram[1]) ? .rtcp : .rtp
        } else if first <= 3 {
            self = .stun
        } else if first >= 16 && first <= 19 {
            self = .zrtp
        } else if first >= 20 && first <= 63 {
            self = .dtls
        } else if first >= 64 && first <= 79 {
            self = .turnChannel
        } else {
            self = .other
        }
    }
}
