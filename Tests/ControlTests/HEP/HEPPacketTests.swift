import Control
import Core
import Testing

@Suite("HEP3")
struct HEPPacketTests {
    private func packet(_ source: String = "192.0.2.1:5060", _ destination: String = "198.51.100.7:5080") -> HEPPacket {
        HEPPacket(
            source: SocketAddress(source)!, destination: SocketAddress(destination)!, microseconds: 1_800_000_000_123_456, payload: .sip,
            captureID: 2_001, correlation: Array("abc".utf8))
    }

    @Test("a packet is exactly these octets")
    func octets() throws {
        var packet = packet()
        packet.password = [0x70]
        let expected: [UInt8] =
            Array("HEP3".utf8) + [0, 0x6e]
            + [0, 0, 0, 1, 0, 7, 2] + [0, 0, 0, 2, 0, 7, 17]
            + [0, 0, 0, 3, 0, 10, 192, 0, 2, 1] + [0, 0, 0, 4, 0, 10, 198, 51, 100, 7]
            + [0, 0, 0, 7, 0, 8, 0x13, 0xc4] + [0, 0, 0, 8, 0, 8, 0x13, 0xd8]
            + [0, 0, 0, 9, 0, 10, 0x6b, 0x49, 0xd2, 0x00] + [0, 0, 0, 10, 0, 10, 0, 1, 0xe2, 0x40]
            + [0, 0, 0, 11, 0, 7, 1] + [0, 0, 0, 12, 0, 10, 0, 0, 0x07, 0xd1]
            + [0, 0, 0, 14, 0, 7, 0x70] + [0, 0, 0, 17, 0, 9, 0x61, 0x62, 0x63] + [0, 0, 0, 15, 0, 8, 0x68, 0x69]
        let encoded = try #require(packet.encoded(Array("hi".utf8)))
        #expect(encoded.dropFirst(6).elementsEqual(expected.dropFirst(6)))
        #expect(Int(encoded[4]) << 8 | Int(encoded[5]) == encoded.count)
    }

    @Test("IPv6 addresses have chunks of their own")
    func ipv6() throws {
        let encoded = try #require(packet("[2001:db8::1]:5060", "[2001:db8::2]:5060").encoded([]))
        #expect(encoded[12] == 10)
        let address: [UInt8] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        #expect(encoded[20..<42].elementsEqual([0, 0, 0, 5, 0, 22] + address))
    }

    @Test("what does not fit a datagram is not sent")
    func tooLong() {
        #expect(packet().encoded([UInt8](repeating: 0, count: 65_000)) != nil)
        #expect(packet().encoded([UInt8](repeating: 0, count: 65_500)) == nil)
    }
}
