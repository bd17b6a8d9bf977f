/// What one party of a call sends, octet for octet: G.711 packets of 20 ms whose contents follow from call, party and
/// number, so that whoever receives one can tell that it is unchanged.
package struct MediaStream: Sendable {
    package enum Party: UInt8, Sendable { case caller = 1, callee = 2 }

    package let call: UInt32
    package let party: Party
    package let payloadType: UInt8
    /// Else datagrams as long that are no RTP, as UDPTL's are.
    package let isRTP: Bool

    package var ssrc: UInt32 { call &* 0x9e37_79b1 ^ UInt32(party.rawValue) << 24 }

    /// Begins near its end, so that every longer call sees it wrap.
    private var firstSequenceNumber: UInt16 { 65_500 }

    package init(call: UInt32, party: Party, payloadType: UInt8 = 0, isRTP: Bool = true) {
        self.isRTP = isRTP
        self.call = call
        self.party = party
        self.payloadType = payloadType
    }

    /// The RTP packet of that number, counted from 0 (RFC 3550 §5.1): marker on the first.
    package func packet(_ number: UInt32) -> [UInt8] {
        var octets: [UInt8] = [isRTP ? 0x80 : 0x00, (number == 0 ? 0x80 : 0x00) | payloadType]
        octets.append(bigEndian: firstSequenceNumber &+ UInt16(truncatingIfNeeded: number))
        octets.append(bigEndian: 4_000_000_000 &+ number &* 160)
        octets.append(bigEndian: ssrc)
        octets += Array("relayd".utf8)
        octets.append(party.rawValue)
        octets.append(bigEndian: call)
        octets.append(bigEndian: number)
        var state = UInt64(ssrc) << 32 | UInt64(number)
        while octets.count < 172 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            octets.append(UInt8(truncatingIfNeeded: state >> 56))
        }
        return octets
    }

    /// A telephone-event in place of the packet of that number (RFC 4733 §2.3): the `index`th of a key, the last three of which
    /// say that it is over.
    package func event(_ code: UInt8, index: UInt32, of count: UInt32, inPlaceOf number: UInt32, payloadType: UInt8) -> [UInt8] {
        var octets = Array(packet(number).prefix(4))
        octets[1] = payloadType | (index == 0 ? 0x80 : 0)
        octets.append(bigEndian: 4_000_000_000 &+ (number &- index) &* 160)
        octets.append(bigEndian: ssrc)
        let isEnd = index + 3 >= count
        octets += [code, isEnd ? 0x8a : 0x0a]
        octets.append(bigEndian: UInt16(min(index + 1, count - 2) * 160))
        return octets
    }

    /// The key whose end a packet of this stream tells; nil for any other datagram.
    package func endedEvent(in datagram: [UInt8], payloadType: UInt8) -> (code: UInt8, timestamp: UInt32)? {
        guard datagram.count == 16, datagram[1] & 0x7f == payloadType, datagram[13] & 0x80 != 0 else { return nil }
        func number(_ range: Range<Int>) -> UInt32 { datagram[range].reduce(0) { $0 << 8 | UInt32($1) } }
        return number(8..<12) == ssrc ? (datagram[12], number(4..<8)) : nil
    }

    /// The number in a packet that looks like one of this stream; nil for any other datagram.
    package func number(in datagram: [UInt8]) -> UInt32? {
        guard datagram.count == 172, Array(datagram[12..<18]) == Array("relayd".utf8) else { return nil }
        return datagram[23..<27].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// A sender report without report blocks (RFC 3550 §6.4.1).
    /// An empty receiver report and an extended one: 10 of 256 lost, 5 discarded, 42 ms there and back, R 88, MOS 4.1 and 4.0.
    package func voiceMetrics(about other: UInt32) -> [UInt8] {
        var octets: [UInt8] = [0x80, 201, 0, 1]
        octets.append(bigEndian: ssrc)
        octets += [0x80, 207, 0, 10]
        octets.append(bigEndian: ssrc)
        octets += [7, 0, 0, 8]
        octets.append(bigEndian: other)
        octets += [10, 5, 128, 2, 0, 100, 1, 0, 0, 42, 0, 60, 127, 127, 127, 16, 88, 127, 41, 40, 0, 0, 0, 40, 0, 60, 0, 80]
        return octets
    }

    package func senderReport(packetCount: UInt32) -> [UInt8] {
        var octets: [UInt8] = [0x80, 200]
        octets.append(bigEndian: UInt16(6))
        octets.append(bigEndian: ssrc)
        octets += [UInt8](repeating: 0x5a, count: 8)
        octets.append(bigEndian: 4_000_000_000 &+ packetCount &* 160)
        octets.append(bigEndian: packetCount)
        octets.append(bigEndian: packetCount &* 160)
        return octets
    }
}

extension [UInt8] {
    package mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
