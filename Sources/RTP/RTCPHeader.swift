/// The first header of an RTCP packet, which may be a compound (RFC 3550 §6.4, RFC 5506 for those that are not).
@frozen
public struct RTCPHeader: Equatable, Sendable, BitwiseCopyable {
    /// 192 to 223; 200 is a sender report, 201 a receiver report.
    public let packetType: UInt8
    /// Octets of this first packet, header included.
    public let count: Int
    /// Who sent it; zero in a BYE that names nobody.
    public let senderSSRC: UInt32

    /// Nil when the datagram is no RTCP, or its first packet is longer than the datagram.
    @inlinable @inline(always)
    public init?(parsing datagram: Span<UInt8>) {
        guard datagram.count >= 4, datagram[0] &>> 6 == 2, datagram[1] >= 192, datagram[1] <= 223 else { return nil }
        let length = 4 &* (Int(datagram.uint16(at: 2)) &+ 1)
        guard length <= datagram.count else { return nil }
        packetType = datagram[1]
        count = length
        senderSSRC = length >= 8 ? datagram.uint32(at: 4) : 0
    }
}
