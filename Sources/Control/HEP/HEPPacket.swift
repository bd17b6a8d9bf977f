package import Core

/// One message for a collector like Homer or sngrep: the Homer Encapsulation Protocol, version 3 (HEP3).
package struct HEPPacket: Sendable {
    /// What the payload is (HEP3, chunk 0x000b).
    package enum Payload: UInt8, Sendable {
        case sip = 1
        /// RTCP as JSON.
        case rtcp = 5
        /// Figures of one RTP stream as JSON.
        case rtpReport = 34
    }

    package var source: SocketAddress
    package var destination: SocketAddress
    /// Microseconds since 1970, UTC.
    package var microseconds: Int64
    package var payload: Payload
    /// False: TCP, with or without TLS.
    package var isDatagram = true
    package var captureID: UInt32
    /// What ties the messages of both legs of a call together.
    package var correlation: [UInt8]
    /// Empty: none.
    package var password: [UInt8] = []

    package init(
        source: SocketAddress, destination: SocketAddress, microseconds: Int64, payload: Payload, captureID: UInt32, correlation: [UInt8]
    ) {
        self.source = source
        self.destination = destination
        self.microseconds = microseconds
        self.payload = payload
        self.captureID = captureID
        self.correlation = correlation
    }

    /// The datagram; nil when it would be longer than one can be.
    package func encoded(_ octets: some Collection<UInt8>) -> [UInt8]? {
        var out = Array("HEP3".utf8) + [0, 0]
        out.reserveCapacity(octets.count + correlation.count + 160)
        func chunk(_ type: UInt16, _ value: some Collection<UInt8>) {
            let length = UInt16(clamping: value.count + 6)
            out += [0, 0, UInt8(type >> 8), UInt8(type & 0xff), UInt8(length >> 8), UInt8(length & 0xff)]
            out += value
        }
        func number(_ type: UInt16, _ value: some FixedWidthInteger) {
            let width = value.bitWidth / 8
            chunk(type, (0..<width).map { UInt8(truncatingIfNeeded: value >> ((width - 1 - $0) * 8)) })
        }
        let isIPv4 = source.ip.family == .ipv4
        number(1, isIPv4 ? UInt8(2) : 10)
        number(2, isDatagram ? UInt8(17) : 6)
        if isIPv4 {
            number(3, UInt32(truncatingIfNeeded: source.ip.low))
            number(4, UInt32(truncatingIfNeeded: destination.ip.low))
        } else {
            for (type, ip) in [(UInt16(5), source.ip), (6, destination.ip)] {
                chunk(type, [ip.high, ip.low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - $0 * 8)) } })
            }
        }
        number(7, source.port)
        number(8, destination.port)
        number(9, UInt32(truncatingIfNeeded: microseconds / 1_000_000))
        number(10, UInt32(truncatingIfNeeded: microseconds % 1_000_000))
        number(11, payload.rawValue)
        number(12, captureID)
        if !password.isEmpty { chunk(14, password) }
        chunk(17, correlation)
        chunk(15, octets)
        // The most a UDP datagram over IPv4 carries.
        guard out.count <= 65_507 else { return nil }
        out[4] = UInt8(out.count >> 8)
        out[5] = UInt8(out.count & 0xff)
        return out
    }
}
