import Capture
import Core
import Testing

@Suite struct PcapngWriterTests {
    /// A block of the file: its type, and its body without type and lengths.
    private struct Block {
        let type: UInt32
        let body: [UInt8]

        func number(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(body[offset + $1]) << (8 * $1) }
        }

        /// Options from `offset` on, by code.
        func options(at offset: Int) -> [Int: [String]] {
            var found: [Int: [String]] = [:]
            var place = offset
            while place + 4 <= body.count {
                let code = number(place, 2)
                let length = number(place + 2, 2)
                guard code != 0 else { break }
                found[code, default: []].append(String(decoding: body[(place + 4)..<(place + 4 + length)], as: UTF8.self))
                place += 4 + (length + 3) / 4 * 4
            }
            return found
        }
    }

    private func blocks(_ file: [UInt8]) throws -> [Block] {
        var blocks: [Block] = []
        var place = 0
        func number(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) } }
        while place < file.count {
            try #require(place + 12 <= file.count)
            let length = number(place + 4)
            try #require(length % 4 == 0 && length >= 12 && place + length <= file.count)
            #expect(number(place + length - 4) == length, "the length stands at both ends")
            blocks.append(Block(type: UInt32(number(place)), body: Array(file[(place + 8)..<(place + length - 4)])))
            place += length
        }
        return blocks
    }

    /// The sum of RFC 1071 over whole packets with their checksums in place is zero.
    private func sum(_ octets: [UInt8]) -> UInt16 {
        var sum = 0
        for index in stride(from: 0, to: octets.count, by: 2) {
            sum += Int(octets[index]) << 8 | (index + 1 < octets.count ? Int(octets[index + 1]) : 0)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return UInt16(sum)
    }

    private static let source = SocketAddress("192.0.2.1:5060")!
    private static let destination = SocketAddress("198.51.100.2:40000")!

    @Test("a file begins with its section and its interface, and says who wrote it")
    func start() throws {
        var writer = PcapngWriter(application: "relayd test", comments: ["Call-ID: a@b"])
        let file = try blocks(writer.take())
        #expect(file.map(\.type) == [0x0a0d_0d0a, 1])
        #expect(file[0].number(0, 4) == 0x1a2b_3c4d && file[0].number(4, 2) == 1)
        #expect(file[0].options(at: 16) == [1: ["Call-ID: a@b"], 4: ["relayd test"]])
        #expect(file[1].number(0, 2) == 101)
        #expect(writer.take().isEmpty)
    }

    @Test("an IPv4 datagram of any length comes back whole, with right headers and checksums", arguments: [0, 1, 7, 172, 1500])
    func ipv4(length: Int) throws {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var writer = PcapngWriter(application: "x")
        _ = writer.take()
        writer.add(payload, from: Self.source, to: Self.destination, at: 0x0006_1234_89ab_cdef, comments: ["first", "second"])
        let block = try #require(try blocks(writer.take()).first)
        #expect(block.type == 6 && writer.packetCount == 1)
        #expect(block.number(4, 4) == 0x0006_1234 && block.number(8, 4) == 0x89ab_cdef)
        let count = block.number(12, 4)
        #expect(count == length + 28 && block.number(16, 4) == count)
        let packet = Array(block.body[20..<(20 + count)])
        #expect(packet[0] == 0x45 && Int(packet[2]) << 8 | Int(packet[3]) == count && packet[9] == 17)
        #expect(sum(Array(packet[0..<20])) == 0xffff)
        #expect(Array(packet[12..<20]) == [192, 0, 2, 1, 198, 51, 100, 2])
        let udp = Array(packet[20...])
        #expect(Int(udp[0]) << 8 | Int(udp[1]) == 5060 && Int(udp[2]) << 8 | Int(udp[3]) == 40_000)
        #expect(Int(udp[4]) << 8 | Int(udp[5]) == length + 8)
        let pseudo = Array(packet[12..<20]) + [0, 17, udp[4], udp[5]]
        #expect(sum(pseudo + udp) == 0xffff)
        #expect(Array(udp[8...]) == payload)
        #expect(block.options(at: 20 + (count + 3) / 4 * 4) == [1: ["first", "second"]])
    }

    @Test("IPv6, and an IPv4 address that meets it")
    func ipv6() throws {
        var writer = PcapngWriter(application: "x")
        _ = writer.take()
        let peer = SocketAddress("[2001:db8::9]:7000")!
        writer.add([1, 2, 3], from: peer, to: SocketAddress("[2001:db8::1]:10000")!, at: 1)
        writer.add([1, 2, 3], from: Self.source, to: peer, at: 2)
        for block in try blocks(writer.take()) {
            let packet = Array(block.body[20..<(20 + block.number(12, 4))])
            #expect(packet.count == 51 && packet[0] == 0x60 && packet[6] == 17)
            let udp = Array(packet[40...])
            let pseudo = Array(packet[8..<40]) + [0, 0, udp[4], udp[5], 0, 0, 0, 17]
            #expect(sum(pseudo + udp) == 0xffff || packet[8..<18].allSatisfy { $0 == 0 })
        }
    }

    @Test("what no IP packet could carry is cut, and the file says how long it was")
    func long() throws {
        var writer = PcapngWriter(application: "x")
        _ = writer.take()
        writer.add([UInt8](repeating: 1, count: 65_530), from: Self.source, to: Self.destination, at: 1)
        let block = try #require(try blocks(writer.take()).first)
        #expect(block.number(12, 4) == 65_535 && block.number(16, 4) == 65_558)
        #expect(writer.octetCount > 65_535)
    }
}
