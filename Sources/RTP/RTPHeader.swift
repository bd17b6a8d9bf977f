/// The header of an RTP packet (RFC 3550 §5.1), valid by construction: version 2, and contributing sources, extension and
/// padding fit into the datagram.
@frozen
public struct RTPHeader: Equatable, Sendable, BitwiseCopyable {
    public let marker: Bool
    /// 0 to 127.
    public let payloadType: UInt8
    public let sequenceNumber: UInt16
    public let timestamp: UInt32
    public let ssrc: UInt32
    /// Where the payload starts, past contributing sources and extension.
    public let payloadOffset: Int
    /// Without padding; may be zero.
    public let payloadCount: Int

    /// Nil when the datagram is no well-formed RTP packet.
    @inlinable @inline(always)
    public init?(parsing datagram: Span<UInt8>) {
        let count = datagram.count
        guard count >= 12, datagram[0] &>> 6 == 2 else { return nil }
        let first = datagram[0]
        var offset = 12 &+ 4 &* Int(first & 0x0f)
        if first & 0x10 != 0 {
            // Extension: profile, length in words, words (RFC 3550 §5.3.1).
            guard count >= offset &+ 4 else { return nil }
            offset = offset &+ 4 &+ 4 &* Int(datagram.uint16(at: offset &+ 2))
        }
        guard count >= offset else { return nil }
        var payload = count &- offset
        if first & 0x20 != 0 {
            // The last octet counts the padding, itself included.
            let padding = Int(datagram[count &- 1])
            guard padding > 0, padding <= payload else { return nil }
            payload &-= padding
        }
        marker = datagram[1] & 0x80 != 0
        payloadType = datagram[1] & 0x7f
        sequenceNumber = datagram.uint16(at: 2)
        timestamp = datagram.uint32(at: 4)
        ssrc = datagram.uint32(at: 8)
        payloadOffset = offset
        payloadCount = payload
    }
}

extension Span<UInt8> {
    /// Two octets in network order.
    @inlinable @inline(always)
    func uint16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) &<< 8 | UInt16(self[offset &+ 1])
    }

    /// Four octets in network order.
    @inlinable @inline(always)
    func uint32(at offset: Int) -> UInt32 {
        UInt32(uint16(at: offset)) &<< 16 | UInt32(uint16(at: offset &+ 2))
    }
}
