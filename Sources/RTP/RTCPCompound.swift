/// One packet of a compound RTCP datagram, as `RTCPCompound` finds it: it lies inside the datagram it came from.
package struct RTCPPacket: Equatable, Sendable {
    package enum Kind: UInt8, Sendable, BitwiseCopyable {
        case senderReport = 200
        case receiverReport = 201
        case sourceDescription = 202
        case goodbye = 203
        case application = 204
        case transportFeedback = 205
        case payloadFeedback = 206
        case extendedReport = 207
    }

    package let type: UInt8
    /// The five bits whose meaning goes by the type: reports, sources, or a subtype.
    package let count: Int
    /// Octets of the datagram, header included, padding left out.
    package let octets: Range<Int>
    /// Where the next packet starts: past the padding.
    fileprivate let end: Int

    /// Nil for types that nothing here knows.
    package var kind: Kind? { Kind(rawValue: type) }
}

/// A datagram of RTCP packets, one after the other (RFC 3550 §6.1, checks of §A.2). It reads; it neither keeps nor allocates.
/// Every function takes the datagram that the value was made from; with another one they return nil rather than trap.
package struct RTCPCompound: Equatable, Sendable, BitwiseCopyable {
    /// Octets of the datagram.
    package let count: Int

    /// Nil when the lengths do not add up to the datagram, when a version is not 2, when padding is anywhere but in the last
    /// packet, or when the first packet is no report.
    ///
    /// - Parameter allowsReducedSize: any first packet will do (RFC 5506).
    package init?(validating datagram: Span<UInt8>, allowsReducedSize: Bool = false) {
        guard datagram.count >= 4 else { return nil }
        if !allowsReducedSize {
            guard datagram[1] == 200 || datagram[1] == 201, datagram[0] & 0x20 == 0 else { return nil }
        }
        var offset = 0
        while offset < datagram.count {
            guard let packet = Self.packet(at: offset, in: datagram) else { return nil }
            let isPadded = packet.end != packet.octets.upperBound
            guard packet.end == datagram.count || !isPadded else { return nil }
            offset = packet.end
        }
        count = datagram.count
    }

    /// The packet after `previous`; the first one after nil. Nil at the end.
    package func packet(after previous: RTCPPacket?, in datagram: Span<UInt8>) -> RTCPPacket? {
        guard datagram.count == count else { return nil }
        return Self.packet(at: previous?.end ?? 0, in: datagram)
    }

    /// Nil when no whole packet of RTCP is there.
    private static func packet(at offset: Int, in datagram: Span<UInt8>) -> RTCPPacket? {
        guard offset >= 0, offset <= datagram.count - 4, datagram[offset] >> 6 == 2 else { return nil }
        let type = datagram[offset + 1]
        guard type >= 192, type <= 223 else { return nil }
        let end = offset + 4 * (Int(datagram.uint16(at: offset + 2)) + 1)
        guard end <= datagram.count else { return nil }
        var padding = 0
        if datagram[offset] & 0x20 != 0 {
            padding = Int(datagram[end - 1])
            guard padding > 0, padding % 4 == 0, padding <= end - offset - 4 else { return nil }
        }
        return RTCPPacket(type: type, count: Int(datagram[offset] & 0x1f), octets: offset..<(end - padding), end: end)
    }
}

/// What a sender says about itself (RFC 3550 §6.4.1).
package struct RTCPSenderInformation: Equatable, Sendable, BitwiseCopyable {
    package let ssrc: UInt32
    /// Seconds since 1900 in the upper half, the fraction in the lower.
    package let ntpTimestamp: UInt64
    package let rtpTimestamp: UInt32
    package let packets: UInt32
    package let octets: UInt32

    /// The middle half, which receivers return as LSR.
    package var middleTimestamp: UInt32 { UInt32(truncatingIfNeeded: ntpTimestamp >> 16) }
}

/// What a receiver says about one source (RFC 3550 §6.4.1).
package struct RTCPReportBlock: Equatable, Sendable, BitwiseCopyable {
    /// Whom it is about.
    package let ssrc: UInt32
    /// Of 256 packets, since the last report.
    package let fractionLost: UInt8
    /// Negative when repeats came.
    package let cumulativeLost: Int32
    package let extendedHighestSequenceNumber: UInt32
    /// Ticks of the timestamp.
    package let jitter: UInt32
    /// LSR: the middle of the last sender report's NTP timestamp; zero when none came.
    package let lastSenderReport: UInt32
    /// DLSR: since then, in 1/65536 s.
    package let delaySinceLastSenderReport: UInt32
}

/// What a receiver says about the sound of one source: a VoIP metrics block (RFC 3611 §4.7).
package struct RTCPVoiceMetrics: Equatable, Sendable, BitwiseCopyable {
    /// Whom it is about.
    package let ssrc: UInt32
    /// Of 256 packets since the beginning: lost in the network, and discarded for being late.
    package let lossRate: UInt8
    package let discardRate: UInt8
    /// Of 256 packets lost or discarded, within bursts and between them.
    package let burstDensity: UInt8
    package let gapDensity: UInt8
    /// Milliseconds, on average.
    package let burstDuration: UInt16
    package let gapDuration: UInt16
    /// Milliseconds.
    package let roundTripDelay: UInt16
    package let endSystemDelay: UInt16
    /// 0 to 100; 127: unknown.
    package let rFactor: UInt8
    /// Ten times the score, 10 to 50; 127: unknown.
    package let listeningScore: UInt8
    package let conversationalScore: UInt8
}

extension RTCPPacket {
    /// Nil for anything but a sender report that holds its information.
    package func senderInformation(in datagram: Span<UInt8>) -> RTCPSenderInformation? {
        guard kind == .senderReport, octets.count >= 28, octets.upperBound <= datagram.count else { return nil }
        let start = octets.lowerBound
        return RTCPSenderInformation(
            ssrc: datagram.uint32(at: start + 4),
            ntpTimestamp: UInt64(datagram.uint32(at: start + 8)) << 32 | UInt64(datagram.uint32(at: start + 12)),
            rtpTimestamp: datagram.uint32(at: start + 16), packets: datagram.uint32(at: start + 20),
            octets: datagram.uint32(at: start + 24))
    }

    /// Block `index` of a sender's or receiver's report; nil past the last, and where the packet ends before the block does.
    package func reportBlock(_ index: Int, in datagram: Span<UInt8>) -> RTCPReportBlock? {
        guard index >= 0, index < count, octets.upperBound <= datagram.count else { return nil }
        let first: Int
        switch kind {
        case .senderReport: first = 28
        case .receiverReport: first = 8
        default: return nil
        }
        let start = octets.lowerBound + first + 24 * index
        guard start + 24 <= octets.upperBound else { return nil }
        let loss = datagram.uint32(at: start + 4)
        return RTCPReportBlock(
            ssrc: datagram.uint32(at: start), fractionLost: UInt8(loss >> 24),
            cumulativeLost: Int32(bitPattern: loss << 8) >> 8,
            extendedHighestSequenceNumber: datagram.uint32(at: start + 8), jitter: datagram.uint32(at: start + 12),
            lastSenderReport: datagram.uint32(at: start + 16), delaySinceLastSenderReport: datagram.uint32(at: start + 20))
    }

    /// The first VoIP metrics block of an extended report; nil for anything else, and where a block ends beyond the packet
    /// (RFC 3611 §3).
    package func voiceMetrics(in datagram: Span<UInt8>) -> RTCPVoiceMetrics? {
        guard kind == .extendedReport, octets.upperBound <= datagram.count else { return nil }
        var start = octets.lowerBound + 8
        while start + 4 <= octets.upperBound {
            let end = start + 4 * (Int(datagram.uint16(at: start + 2)) + 1)
            guard end <= octets.upperBound else { return nil }
            if datagram[start] == Self.voiceMetricsBlock, end - start == 36 {
                return RTCPVoiceMetrics(
                    ssrc: datagram.uint32(at: start + 4), lossRate: datagram[start + 8], discardRate: datagram[start + 9],
                    burstDensity: datagram[start + 10], gapDensity: datagram[start + 11],
                    burstDuration: datagram.uint16(at: start + 12), gapDuration: datagram.uint16(at: start + 14),
                    roundTripDelay: datagram.uint16(at: start + 16), endSystemDelay: datagram.uint16(at: start + 18),
                    rFactor: datagram[start + 24], listeningScore: datagram[start + 26],
                    conversationalScore: datagram[start + 27])
            }
            start = end
        }
        return nil
    }

    private static var voiceMetricsBlock: UInt8 { 7 }

    /// Where the canonical name of `ssrc`, or of the first source that has one, lies in the datagram (RFC 3550 §6.5.1). Nil for
    /// anything but a source description, and when its items do not fit it.
    package func canonicalName(of ssrc: UInt32? = nil, in datagram: Span<UInt8>) -> Range<Int>? {
        guard kind == .sourceDescription, octets.upperBound <= datagram.count else { return nil }
        let end = octets.upperBound
        var offset = octets.lowerBound + 4
        for _ in 0..<count {
            guard offset + 4 <= end else { return nil }
            let source = datagram.uint32(at: offset)
            offset += 4
            while true {
                guard offset < end else { return nil }
                let item = datagram[offset]
                if item == 0 { break }
                guard offset + 2 <= end else { return nil }
                let text = (offset + 2)..<(offset + 2 + Int(datagram[offset + 1]))
                guard text.upperBound <= end else { return nil }
                if item == 1 && (ssrc == nil || ssrc == source) { return text }
                offset = text.upperBound
            }
            // One to four octets of zero end the items on a word's boundary.
            offset = octets.lowerBound + ((offset - octets.lowerBound) | 3) + 1
        }
        return nil
    }

    /// Source `index` of those that leave; nil past the last, and for anything but a goodbye (RFC 3550 §6.6).
    package func leavingSource(_ index: Int, in datagram: Span<UInt8>) -> UInt32? {
        guard kind == .goodbye, index >= 0, index < count, octets.upperBound <= datagram.count else { return nil }
        let start = octets.lowerBound + 4 + 4 * index
        guard start + 4 <= octets.upperBound else { return nil }
        return datagram.uint32(at: start)
    }
}
