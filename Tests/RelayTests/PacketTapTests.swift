import Core
import Testing

@testable import Relay

@Suite struct PacketTapTests {
    private static func packet(_ number: Int) -> TappedPacket {
        TappedPacket(
            session: SessionID(index: UInt32(number), generation: 7), leg: number % 2 == 0 ? .caller : .callee,
            isOnRTCPPort: number % 3 == 0, leftByRTCPPort: false, isAccepted: true, isWithheld: false,
            at: Instant(nanoseconds: UInt64(number)), source: SocketAddress("[2001:db8::1]:5000")!,
            destination: number % 5 == 0 ? nil : SocketAddress("192.0.2.7:6000"))
    }

    private static func octets(_ number: Int) -> [UInt8] {
        (0..<(number * 37 % 1900)).map { UInt8(truncatingIfNeeded: $0 ^ number) }
    }

    @Test("datagrams of all lengths come out whole and in order, many rounds of the memory long")
    func order() {
        let tap = PacketTap(capacity: 1 << 16)
        #expect(tap.next() == nil)
        var next = 0
        for number in 0..<3_000 {
            tap.put(Self.packet(number), Self.octets(number).span)
            // Now and then many lie in it, mostly few.
            guard number % 13 == 0 else { continue }
            while let (packet, octets) = tap.next() {
                #expect(packet == Self.packet(next) && octets == Self.octets(next))
                next += 1
            }
        }
        #expect(tap.lostCount == 0 && next > 2_980)
    }

    @Test("what has no room is lost and counted, and what is in stays")
    func full() {
        let tap = PacketTap(capacity: 1 << 16)
        for number in 0..<200 { tap.put(Self.packet(number), [UInt8](repeating: UInt8(number), count: 1_000).span) }
        var count = 0
        while let (packet, octets) = tap.next() {
            #expect(packet == Self.packet(count) && octets == [UInt8](repeating: UInt8(count), count: 1_000))
            count += 1
        }
        #expect(count > 50 && UInt64(200 - count) == tap.lostCount)
        tap.put(Self.packet(1), [1].span)
        #expect(tap.next()?.octets == [1])
    }

    @Test("one thread fills it while another empties it: nothing is torn")
    func threads() async {
        let tap = PacketTap(capacity: 1 << 16)
        let total = 20_000
        async let read: (Int, Int) = Task.detached {
            var (seen, wrong, last) = (0, 0, -1)
            while last < total {
                guard let (packet, octets) = tap.next() else {
                    await Task.yield()
                    continue
                }
                let number = Int(packet.session.index)
                if number == total { break }
                if number <= last || packet != Self.packet(number) || octets != Self.octets(number) { wrong += 1 }
                last = number
                seen += 1
            }
            return (seen, wrong)
        }.value
        for number in 0..<total { tap.put(Self.packet(number), Self.octets(number).span) }
        // The last one must arrive, or the reader waits for ever.
        var lost = tap.lostCount
        while true {
            tap.put(Self.packet(total), Self.octets(1).span)
            if tap.lostCount == lost { break }
            lost = tap.lostCount
            await Task.yield()
        }
        let (seen, wrong) = await read
        #expect(wrong == 0)
        #expect(UInt64(total - seen) <= tap.lostCount)
    }
}
