import Core
import Testing

@Suite struct CounterTests {
    @Test("each counter has a place of its own, named after its case")
    func indices() {
        for counter in Counter.allCases { #expect(counter.index == Int(counter.rawValue)) }
        #expect(Counter.rtpPacketsReceived.metricName == "relayd_rtp_packets_received_total")
        #expect(Set(Counter.allCases.map(\.name)).count == Counter.allCases.count)
    }

    @Test func addsToOneCounterOnly() {
        let block = CounterBlock()
        block.add(to: .callsAttempted)
        block.add(41, to: .callsAttempted)
        #expect(block[.callsAttempted] == 42)
        #expect(Counter.allCases.filter { block[$0] != 0 } == [.callsAttempted])
    }
}

@Suite struct SocketAddressTests {
    @Test(arguments: [
        "192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "1::8", "1:0:0:2::3",
    ])
    func roundTrip(text: String) { #expect(IPAddress(text)?.description == text) }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1..2.3", ":::", ":", "1:2", "1::2::3", "12345::", "::1.2.3", "g::",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "1.2.3.4 ", "0001.2.3.4", ":1::",
    ])
    func refuses(text: String) { #expect(IPAddress(text) == nil) }

    @Test func mappedIsNotIPv4() {
        #expect(IPAddress("::ffff:192.0.2.1")?.description == "::ffff:c000:201")
        #expect(IPAddress("::ffff:192.0.2.1") != IPAddress("192.0.2.1"))
    }

    @Test func ports() {
        #expect(SocketAddress("192.0.2.1:5060")?.description == "192.0.2.1:5060")
        #expect(SocketAddress("[2001:db8::1]:5060")?.description == "[2001:db8::1]:5060")
        #expect(SocketAddress("2001:db8::1", defaultPort: 5060)?.description == "[2001:db8::1]:5060")
        #expect(SocketAddress("192.0.2.1", defaultPort: nil) == nil)
        for text in ["192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:+1", "[192.0.2.1]:5", "[::1", "[::1]x", "host:5060"] {
            #expect(SocketAddress(text, defaultPort: 5060) == nil, "\(text)")
        }
    }

    @Test func privateSpace() {
        for text in ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.0.1", "100.64.0.1", "127.0.0.1",
            "fd00::1", "fe80::1", "::1"] {
            #expect(IPAddress(text)?.isPrivate == true, "\(text)")
        }
        for text in ["11.0.0.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "203.0.113.1", "2001:db8::1"] {
            #expect(IPAddress(text)?.isPrivate == false, "\(text)")
        }
    }
}

@Suite struct TimeTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] as [(Int64, String)])
    func wallTime(milliseconds: Int64, text: String) {
        #expect(WallTime(milliseconds: milliseconds).description == text)
        #expect(WallTime(text) == WallTime(milliseconds: milliseconds))
    }

    @Test func instants() {
        let start = Instant(nanoseconds: 5_000_000_000)
        #expect(start + .milliseconds(1_500) == Instant(nanoseconds: 6_500_000_000))
        #expect(start - Instant(nanoseconds: 7_000_000_000) == .seconds(-2))
        #expect((start + .seconds(-9)).nanoseconds == 0)
    }

    @Test func seededRandomRepeats() {
        var first = SeededRandom(seed: 7)
        var second = SeededRandom(seed: 7)
        var other = SeededRandom(seed: 8)
        let token = first.token(count: 16)
        #expect(token == second.token(count: 16))
        #expect(token != other.token(count: 16))
    }
}
