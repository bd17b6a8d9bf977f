import Core
import RTP

/// An RTP packet with its arrival.
struct Packet {
    var sequenceNumber: UInt16
    var timestamp: UInt32
    var ssrc: UInt32 = 0xdead_beef
    var payloadType: UInt8 = 0
    var marker = false
    var payload: [UInt8] = Array(repeating: 0xff, count: 160)
    /// Nanoseconds.
    var arrival: UInt64

    var octets: [UInt8] {
        func big(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
        return [0x80, payloadType | (marker ? 0x80 : 0), UInt8(sequenceNumber >> 8), UInt8(sequenceNumber & 0xff)]
            + big(timestamp) + big(ssrc) + payload
    }
}

/// A packetizer and the statistics it feeds: 20 ms of 8 kHz audio a packet, on a clock that starts late in the machine's life.
struct TestStream {
    static let millisecond: UInt64 = 1_000_000
    var statistics: StreamStatistics
    var next: Packet

    init(formats: PayloadFormats = PayloadFormats(), sequenceNumber: UInt16 = 1000, timestamp: UInt32 = 0xffff_f000) {
        statistics = StreamStatistics(formats: formats)
        next = Packet(sequenceNumber: sequenceNumber, timestamp: timestamp, arrival: 90_000 * 1_000_000_000)
    }

    mutating func take(_ packet: Packet) {
        let octets = packet.octets
        guard let header = RTPHeader(parsing: octets.span) as RTPHeader? else { preconditionFailure("a packet of ours") }
        statistics.receive(header, in: octets.span, now: packet.arrival)
    }

    /// The packet that is next in time; the stream moves on.
    mutating func make() -> Packet {
        let packet = next
        next.sequenceNumber &+= 1
        next.timestamp &+= 160
        next.arrival += 20 * Self.millisecond
        return packet
    }

    mutating func send(_ count: Int = 1) {
        for _ in 0..<count { take(make()) }
    }

    /// Packets that are sent and never come.
    mutating func lose(_ count: Int) {
        for _ in 0..<count { _ = make() }
    }

    /// The sender is silent; its media clock goes on.
    mutating func pause(milliseconds: UInt64) {
        next.arrival += milliseconds * Self.millisecond
        next.timestamp &+= UInt32(milliseconds * 8)
    }
}

/// A telephone-event's payload (RFC 4733 §2.3).
func eventPayload(_ code: UInt8, end: Bool = false, duration: UInt16) -> [UInt8] {
    [code, end ? 0x8a : 0x0a, UInt8(duration >> 8), UInt8(duration & 0xff)]
}
