import Core
import Testing
import Uring

@testable import Relay

@Suite("Packet path")
struct PacketPathTests {
    static let caller = SocketAddress("203.0.113.5:4000")!
    static let callee = SocketAddress("198.51.100.9:6000")!

    /// One open session over buffers no kernel fills.
    struct Bench: ~Copyable {
        var pool: BufferPool
        var path: PacketPath
        let counters = CounterBlock()
        let statistics: StatisticsTable
        let activity: ActivityTable

        init() throws {
            pool = try BufferPool.withoutRing(count: 4)
            activity = ActivityTable(sessionCapacity: 4)
            statistics = StatisticsTable(activity: activity)
            // Worker 1 of 2: local slot 1 is place 3 in the tables.
            path = PacketPath(sessionCapacity: 2, worker: 1, workers: 2, counters: counters, activity: activity, statistics: statistics)
            path.open(session: 1, generation: 5)
            for (leg, address) in [(Leg.caller, caller), (.callee, callee)] {
                let rtcp = SocketAddress(ip: address.ip, port: address.port + 1)
                _ = path.expect(session: 1, leg: leg, ExpectedSource(rtp: address, rtcp: rtcp, signalling: address.ip))
            }
        }

        mutating func receive(
            _ octets: [UInt8], from source: SocketAddress?, stream: UInt32, generation: UInt32 = 5, at time: UInt64 = 1_000
        ) -> Verdict {
            let kind = source == nil ? PacketPath.receivePlain : PacketPath.receiveMessage
            let completion = pool.fabricate(
                octets.span, from: source, in: 2, token: Token(kind: kind, generation: generation, index: stream))
            let verdict = path.receive(completion, in: pool, now: Instant(nanoseconds: time))
            path.publishCounters()
            return verdict
        }
    }

    @Test("RTP goes to the other leg's socket and locked source, in place, once both are locked")
    func forwards() throws {
        var bench = try Bench()
        let first = bench.receive(rtp(1), from: Self.caller, stream: 4)
        #expect(first.isLocking && !first.isForwarded)
        #expect(bench.counters[.droppedPeerUnlocked] == 1)
        let second = bench.receive(rtp(1), from: Self.callee, stream: 6, at: 2_000)
        #expect(second.isForwarded && second.isLocking && second.stream == 4 && second.destination == Self.caller)
        #expect(second.octets.offset == 2 * 2048 + 44 && second.octets.count == 22)
        let third = bench.receive(rtp(2), from: Self.caller, stream: 4, at: 3_000)
        #expect(third.isForwarded && !third.isLocking && third.stream == 6 && third.destination == Self.callee)
        let statistics = bench.statistics[3, .caller]
        #expect(statistics.packets == 2 && statistics.octets == 44 && statistics.sentPackets == 1)
        #expect(statistics.lastPacket == Instant(nanoseconds: 3_000) && statistics.source == Self.caller)
        #expect(bench.activity.last(3, .callee) == Instant(nanoseconds: 2_000))
        #expect(bench.counters[.rtpPacketsReceived] == 2 && bench.counters[.sourceLocks] == 2)
    }

    @Test("RTP of a connected socket needs no source")
    func connected() throws {
        var bench = try Bench()
        _ = bench.receive(rtp(1), from: Self.caller, stream: 4)
        _ = bench.receive(rtp(1), from: Self.callee, stream: 6)
        #expect(bench.receive(rtp(2), from: nil, stream: 4).isForwarded)
    }

    @Test("a completion of an earlier session in the slot, or after closing, is dropped")
    func stale() throws {
        var bench = try Bench()
        #expect(!bench.receive(rtp(1), from: Self.caller, stream: 4, generation: 4).isForwarded)
        bench.path.close(session: 1)
        #expect(!bench.receive(rtp(1), from: Self.caller, stream: 4).isForwarded)
        #expect(bench.counters[.droppedNoSession] == 2)
        #expect(bench.statistics[3, .caller].packets == 0)
    }

    @Test("junk is dropped, each kind in its own counter, and feeds no activity")
    func junk() throws {
        var bench = try Bench()
        let junk: [([UInt8], Counter)] = [
            ([], .droppedMalformed), ([0x80], .droppedMalformed), (Array(rtp(1).prefix(11)), .droppedMalformed),
            ([0, 1] + rtp(1), .droppedUnexpectedProtocol), ([22, 254, 253] + rtp(1), .droppedUnexpectedProtocol),
            ([0xff, 0xff], .droppedUnexpectedProtocol),
        ]
        for (octets, counter) in junk {
            let before = bench.counters[counter]
            #expect(!bench.receive(octets, from: Self.caller, stream: 4).isForwarded)
            #expect(bench.counters[counter] == before + 1)
        }
        #expect(!bench.receive([UInt8](repeating: 0x80, count: 2040), from: nil, stream: 4).isForwarded)
        #expect(bench.counters[.droppedOversized] == 1)
        #expect(bench.activity.last(3, .caller) == nil)
        #expect(bench.statistics[3, .caller] == LegStatistics())
    }

    @Test("RTCP travels from RTCP port to RTCP port and never counts as media")
    func control() throws {
        var bench = try Bench()
        let callerRTCP = SocketAddress(ip: Self.caller.ip, port: 4001)
        #expect(!bench.receive(rtcp(ssrc: 7), from: callerRTCP, stream: 5).isForwarded)
        #expect(bench.counters[.droppedPeerUnlocked] == 1)
        _ = bench.receive(rtp(1), from: Self.callee, stream: 6)
        let verdict = bench.receive(rtcp(ssrc: 7), from: callerRTCP, stream: 5)
        #expect(verdict.isForwarded && verdict.stream == 7 && verdict.destination?.port == 6001)
        #expect(!bench.receive(rtcp(ssrc: 7), from: SocketAddress("192.0.2.1:1")!, stream: 5).isForwarded)
        #expect(bench.counters[.droppedStranger] == 1)
        #expect(!bench.receive(rtp(1), from: callerRTCP, stream: 5).isForwarded)
        #expect(bench.counters[.droppedUnexpectedProtocol] == 1)
        #expect(bench.activity.last(3, .caller) == nil)
        #expect(bench.statistics[3, .caller].rtcpPackets == 2)
    }

    @Test("RTCP on the RTP port goes the RTP way from the locked source, and locks nothing")
    func multiplexed() throws {
        var bench = try Bench()
        #expect(!bench.receive(rtcp(ssrc: 1), from: Self.caller, stream: 4).isForwarded)
        #expect(bench.counters[.droppedStranger] == 1)
        _ = bench.receive(rtp(1), from: Self.caller, stream: 4, at: 500)
        _ = bench.receive(rtp(1), from: Self.callee, stream: 6)
        let verdict = bench.receive(rtcp(ssrc: 1), from: Self.caller, stream: 4, at: 900)
        #expect(verdict.isForwarded && verdict.stream == 6 && verdict.destination == Self.callee)
        #expect(bench.activity.last(3, .caller) == Instant(nanoseconds: 500))
    }
}

/// An RTP packet with ten octets of payload.
func rtp(_ sequence: UInt16, ssrc: UInt32 = 1) -> [UInt8] {
    [0x80, 0, UInt8(sequence >> 8), UInt8(sequence & 0xff), 0, 0, 0, 0]
        + (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) } + [UInt8](repeating: 0xd5, count: 10)
}

/// An empty receiver report.
func rtcp(ssrc: UInt32) -> [UInt8] {
    [0x80, 201, 0, 1] + (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) }
}
