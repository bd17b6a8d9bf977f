import Core
import Foundation
import RTP
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

    @Test("digits in the audio are counted of the leg that is listened to, of its locked source, while it is listened to")
    func digits() throws {
        var bench = try Bench()
        func audio(_ number: Int) -> [UInt8] {
            // Key 5 as tones, mu-law.
            let start = number * 160
            let header: [UInt8] = [0x80, 0, 0, UInt8(number), 0, 0, UInt8(start >> 8), UInt8(start & 0xff), 0, 0, 0, 9]
            return header + (start..<start + 160).map { tick in
                let value = Int(6_000 * sin(Double(tick) * 0.6047565) + 6_000 * sin(Double(tick) * 1.0492919))
                let magnitude = min(abs(value), 32_635) + 132
                let exponent = max(0, Int.bitWidth - magnitude.leadingZeroBitCount - 8)
                return ~UInt8((value < 0 ? 0x80 : 0) | exponent << 4 | magnitude >> (exponent + 3) & 0x0f)
            }
        }
        for number in 0..<5 { _ = bench.receive(audio(number), from: Self.caller, stream: 4, at: UInt64(number + 1) * 20_000_000) }
        #expect(bench.statistics[3, .caller].inBandDigits == 0)
        bench.path.listen(session: 1, leg: .caller, true)
        let stranger = SocketAddress("203.0.113.77:4000")!
        for number in 0..<5 { _ = bench.receive(audio(number), from: stranger, stream: 4, at: UInt64(number + 10) * 20_000_000) }
        for number in 5..<10 { _ = bench.receive(audio(number), from: Self.caller, stream: 4, at: UInt64(number + 10) * 20_000_000) }
        for number in 0..<5 { _ = bench.receive(audio(number), from: Self.callee, stream: 6, at: UInt64(number + 20) * 20_000_000) }
        // Shown once a second.
        let last = bench.receive(audio(10), from: Self.caller, stream: 4, at: 2_000_000_000)
        #expect(last.isForwarded && last.octets.count == 172)
        #expect(bench.statistics[3, .caller].inBandDigits == 1 && bench.statistics[3, .callee].inBandDigits == 0)
        bench.path.listen(session: 1, leg: .caller, false)
        _ = bench.receive(audio(11), from: Self.caller, stream: 4, at: 4_000_000_000)
        #expect(bench.statistics[3, .caller].inBandDigits == 1)
        bench.path.close(session: 1, now: Instant(nanoseconds: 5_000_000_000))
        bench.activity.clear(3)
        bench.statistics.clear(3)
        bench.path.open(session: 1, generation: 6)
        #expect(bench.statistics[3, .caller].inBandDigits == 0)
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
        bench.path.close(session: 1, now: Instant(nanoseconds: 2_000))
        #expect(!bench.receive(rtp(1), from: Self.caller, stream: 4).isForwarded)
        #expect(bench.counters[.droppedNoSession] == 2)
        #expect(bench.statistics[3, .caller].packets == 0)
    }

    @Test("a key to be sent takes the place of packets of the medium, and nothing else of the stream changes")
    func sendsEvents() throws {
        var bench = try Bench()
        func medium(_ number: UInt16) -> [UInt8] {
            let timestamp = UInt32(number) * 160
            return [0x80, 0, UInt8(number >> 8), UInt8(number & 0xff)] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: timestamp >> $0) }
                + [1, 2, 3, 4] + [UInt8](repeating: 0xff, count: 160)
        }
        _ = bench.receive(medium(1), from: Self.caller, stream: 4)
        _ = bench.receive(rtp(1), from: Self.callee, stream: 6)
        let isTaken = bench.path.send(.init(code: 7, payloadType: 101, duration: 320), session: 1, leg: .caller)
        #expect(isTaken)
        var sizes: [UInt32] = []
        for number in UInt16(2)...9 {
            let verdict = bench.receive(medium(number), from: Self.caller, stream: 4)
            let span = bench.pool.octets(verdict.octets)
            let sent = (0..<span.count).map { span[$0] }
            #expect(verdict.isForwarded && Array(sent[2..<4]) == [0, UInt8(number)] && Array(sent[8..<12]) == [1, 2, 3, 4])
            sizes.append(verdict.octets.count)
            if number == 3 { #expect(Array(sent[..<2]) == [0x80, 0x80 | 101] && Array(sent[4..<8]) == [0, 0, 1, 0xe0] && Array(sent[12...]) == [7, 10, 0, 160]) }
            if number == 4 { #expect(sent[1] == 101 && Array(sent[4..<8]) == [0, 0, 1, 0xe0] && Array(sent[12...]) == [7, 0x8a, 1, 0x40]) }
        }
        #expect(sizes == [172, 16, 16, 16, 16, 172, 172, 172])
        #expect(bench.counters[.digitsSent] == 1)
        #expect(bench.statistics[3, .caller].packets == 9)
    }

    @Test("a leg's keys are told once, and kept from the other side where its treatment says so")
    func tellsDigits() throws {
        var bench = try Bench()
        var source = ExpectedSource(
            rtp: Self.caller, rtcp: SocketAddress(ip: Self.caller.ip, port: 4001), signalling: Self.caller.ip)
        source.formats.set(101, to: .telephoneEvent)
        _ = bench.path.expect(session: 1, leg: .caller, source)
        _ = bench.receive(rtp(1), from: Self.caller, stream: 4)
        _ = bench.receive(rtp(1), from: Self.callee, stream: 6)
        bench.path.treat(session: 1, leg: .caller, MediaTreatment(blockedPayloadTypes: [101], reportsDigits: true))
        var told: [UInt8] = []
        for index in UInt8(0)..<6 {
            let event: [UInt8] = [0x80, 101, 0, 2 + index, 0, 0, 3, 0, 0, 0, 0, 9, 4, index > 2 ? 0x8a : 10, 0x05, 0x00]
            let verdict = bench.receive(event, from: Self.caller, stream: 4)
            #expect(!verdict.isForwarded)
            if verdict.hasDigit {
                told.append(verdict.digit.code)
                #expect(verdict.digit.milliseconds == 160 && verdict.leg == 2)
            }
        }
        #expect(told == [4])
        #expect(bench.counters[.droppedPayloadType] == 6)
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

@Suite("Packet path: RTCP on one port with RTP")
struct MultiplexedTests {
    /// The caller's leg is multiplexed or not, the callee's too; both are locked.
    private func bench(caller: Bool, callee: Bool) throws -> PacketPathTests.Bench {
        var bench = try PacketPathTests.Bench()
        for (leg, address, isMuxed) in [
            (Leg.caller, PacketPathTests.caller, caller), (.callee, PacketPathTests.callee, callee),
        ] {
            let rtcp = isMuxed ? address : SocketAddress(ip: address.ip, port: address.port + 1)
            let source = ExpectedSource(rtp: address, rtcp: rtcp, signalling: address.ip, isRTCPMuxed: isMuxed)
            _ = bench.path.expect(session: 1, leg: leg, source)
        }
        _ = bench.receive(rtp(1), from: PacketPathTests.caller, stream: 4, at: 500)
        _ = bench.receive(rtp(1, ssrc: 2), from: PacketPathTests.callee, stream: 6, at: 500)
        return bench
    }

    @Test("RTCP of a multiplexed leg leaves from the RTCP socket of one that is not, to the RTCP address of its SDP")
    func demultiplexes() throws {
        var bench = try bench(caller: true, callee: false)
        let verdict = bench.receive(rtcp(ssrc: 1), from: PacketPathTests.caller, stream: 4)
        #expect(verdict.isForwarded && verdict.stream == 7 && verdict.destination == SocketAddress("198.51.100.9:6001"))
        #expect(bench.counters[.rtcpPacketsSent] == 1)
        #expect(bench.activity.last(3, .caller) == Instant(nanoseconds: 500))
        // From a connected socket, too.
        #expect(bench.receive(rtcp(ssrc: 1), from: nil, stream: 4).stream == 7)
    }

    @Test("RTCP of a leg with two ports leaves from the RTP socket of a multiplexed one, to its locked source")
    func multiplexes() throws {
        var bench = try bench(caller: true, callee: false)
        let verdict = bench.receive(rtcp(ssrc: 2), from: SocketAddress("198.51.100.9:6001"), stream: 7)
        #expect(verdict.isForwarded && verdict.stream == 4 && verdict.destination == PacketPathTests.caller)
        #expect(bench.activity.last(3, .callee) == Instant(nanoseconds: 500))
    }

    @Test("between two multiplexed legs RTCP goes from RTP port to RTP port, a stranger's nowhere")
    func both() throws {
        var bench = try bench(caller: true, callee: true)
        let verdict = bench.receive(rtcp(ssrc: 1), from: PacketPathTests.caller, stream: 4)
        #expect(verdict.isForwarded && verdict.stream == 6 && verdict.destination == PacketPathTests.callee)
        #expect(!bench.receive(rtcp(ssrc: 1), from: SocketAddress("203.0.113.5:4002"), stream: 4).isForwarded)
        #expect(!bench.receive(rtcp(ssrc: 1), from: SocketAddress("192.0.2.1:4000"), stream: 5).isForwarded)
        #expect(bench.counters[.droppedStranger] == 2)
    }

    @Test("nothing is sent to a multiplexed leg before its RTP is locked")
    func unlocked() throws {
        var bench = try PacketPathTests.Bench()
        let source = ExpectedSource(
            rtp: PacketPathTests.caller, rtcp: PacketPathTests.caller, signalling: PacketPathTests.caller.ip, isRTCPMuxed: true)
        _ = bench.path.expect(session: 1, leg: .caller, source)
        _ = bench.receive(rtp(1, ssrc: 2), from: PacketPathTests.callee, stream: 6)
        #expect(!bench.receive(rtcp(ssrc: 2), from: SocketAddress("198.51.100.9:6001"), stream: 7).isForwarded)
        #expect(bench.counters[.droppedPeerUnlocked] == 2)
    }
}

@Suite("Packet path: what is done to a leg's media")
struct MediaTreatmentTests {
    @Test("payload types that pass do so while the rest is blocked or silenced")
    func passedTypes() throws {
        var bench = try PacketPathTests.Bench()
        _ = bench.receive(rtp(1), from: PacketPathTests.callee, stream: 6)
        _ = bench.receive(rtp(1), from: PacketPathTests.caller, stream: 4)
        for treatment in [
            MediaTreatment(isBlocked: true, passedPayloadTypes: [101]), MediaTreatment(isSilenced: true, passedPayloadTypes: [101]),
        ] {
            bench.path.treat(session: 1, leg: .caller, treatment)
            #expect(bench.receive(rtp(2, payloadType: 101), from: PacketPathTests.caller, stream: 4).isForwarded)
            #expect(!bench.receive(rtp(3, payloadType: 18), from: PacketPathTests.caller, stream: 4).isForwarded)
        }
        bench.path.treat(session: 1, leg: .caller, MediaTreatment(isBlocked: true, blockedPayloadTypes: [101]))
        #expect(!bench.receive(rtp(4, payloadType: 101), from: PacketPathTests.caller, stream: 4).isForwarded)
    }

    @Test("before its first packet a peer is sent to only where that was agreed on, and then at its SDP address")
    func beforeLock() throws {
        var bench = try PacketPathTests.Bench()
        #expect(!bench.receive(rtp(1), from: PacketPathTests.caller, stream: 4).isForwarded)
        var callee = ExpectedSource(
            rtp: PacketPathTests.callee, rtcp: PacketPathTests.callee, signalling: PacketPathTests.callee.ip)
        callee.options = .opensAtOnce
        _ = bench.path.expect(session: 1, leg: .callee, callee)
        let verdict = bench.receive(rtp(2), from: PacketPathTests.caller, stream: 4)
        #expect(verdict.isForwarded && verdict.destination == PacketPathTests.callee && verdict.stream == 6)
    }

    private func lockedBench() throws -> PacketPathTests.Bench {
        var bench = try PacketPathTests.Bench()
        _ = bench.receive(rtp(1, ssrc: 2), from: PacketPathTests.callee, stream: 6)
        _ = bench.receive(rtp(1), from: PacketPathTests.caller, stream: 4, at: 500)
        return bench
    }

    @Test("a blocked leg is heard but not relayed; the other one and RTCP still are; unblocked it is relayed again")
    func blocked() throws {
        var bench = try lockedBench()
        bench.path.treat(session: 1, leg: .caller, MediaTreatment(isBlocked: true))
        #expect(!bench.receive(rtp(2), from: PacketPathTests.caller, stream: 4, at: 900).isForwarded)
        #expect(bench.counters[.droppedBlocked] == 1)
        #expect(bench.statistics[3, .caller].packets == 2 && bench.statistics[3, .caller].withheldPackets == 1)
        #expect(bench.activity.last(3, .caller) == Instant(nanoseconds: 900))
        #expect(bench.receive(rtp(2, ssrc: 2), from: PacketPathTests.callee, stream: 6).isForwarded)
        #expect(bench.receive(rtcp(ssrc: 1), from: SocketAddress("203.0.113.5:4001"), stream: 5).isForwarded)
        bench.path.treat(session: 1, leg: .caller, MediaTreatment())
        #expect(bench.receive(rtp(3), from: PacketPathTests.caller, stream: 4).isForwarded)
    }

    @Test("a silenced leg's G.711 carries the silence of its law, and its header; other payload types are dropped")
    func silenced() throws {
        var bench = try lockedBench()
        bench.path.treat(session: 1, leg: .caller, MediaTreatment(isSilenced: true))
        for (payloadType, silence) in [(UInt8(0), UInt8(0xff)), (8, 0xd5)] {
            // A contributing source before the payload, and two octets of padding behind it.
            let header: [UInt8] = [0xa1, payloadType, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9]
            let verdict = bench.receive(header + [1, 2, 3, 0, 2], from: PacketPathTests.caller, stream: 4)
            #expect(verdict.isForwarded)
            let octets = bench.pool.octets(verdict.octets)
            let sent = octets.indices.map { octets[$0] }
            #expect(sent == header + [silence, silence, silence, 0, 2])
        }
        #expect(!bench.receive(rtp(3, payloadType: 101), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.counters[.rtpPacketsSilenced] == 2 && bench.counters[.droppedSilenced] == 1)
        #expect(bench.statistics[3, .caller].withheldPackets == 1)
        let other = bench.receive(rtp(3, ssrc: 2), from: PacketPathTests.callee, stream: 6)
        #expect(other.isForwarded && bench.pool.octets(other.octets)[12] == 0xd5)
    }

    @Test("blocked payload types, and only they, are dropped", arguments: [UInt8(63), 64, 101, 127])
    func digits(payloadType: UInt8) throws {
        var bench = try lockedBench()
        bench.path.treat(session: 1, leg: .caller, MediaTreatment(blockedPayloadTypes: [payloadType]))
        #expect(!bench.receive(rtp(2, payloadType: payloadType), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.receive(rtp(3, payloadType: payloadType - 1), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.counters[.droppedPayloadType] == 1 && bench.statistics[3, .caller].withheldPackets == 1)
    }
}

@Suite("Packet path: media that is no RTP")
struct DatagramTests {
    /// udptl starts with its sequence number: what it looks like to RFC 7983 changes from packet to packet.
    private static func udptl(_ sequence: UInt16) -> [UInt8] { [UInt8(sequence >> 8), UInt8(sequence & 0xff), 1, 2, 3] }

    private func bench(signalling: IPAddress = PacketPathTests.caller.ip) throws -> PacketPathTests.Bench {
        var bench = try PacketPathTests.Bench()
        let source = ExpectedSource(
            rtp: PacketPathTests.caller, rtcp: PacketPathTests.caller, signalling: signalling, transport: .datagram)
        _ = bench.path.expect(session: 1, leg: .caller, source)
        _ = bench.receive(rtp(1, ssrc: 2), from: PacketPathTests.callee, stream: 6)
        return bench
    }

    @Test("each datagram of the SDP address passes whatever it looks like, and is activity; an empty one is not")
    func passes() throws {
        var bench = try bench()
        #expect(bench.receive(Self.udptl(0), from: PacketPathTests.caller, stream: 4).isLocking)
        for (index, sequence) in [UInt16(1), 0x1000, 0x1600, 0x4000, 0x8000, 0x80c8, 0xffff].enumerated() {
            let verdict = bench.receive(Self.udptl(sequence), from: PacketPathTests.caller, stream: 4, at: UInt64(2000 + index))
            #expect(verdict.isForwarded && verdict.stream == 6 && verdict.destination == PacketPathTests.callee)
        }
        #expect(!bench.receive([], from: PacketPathTests.caller, stream: 4, at: 9000).isForwarded)
        #expect(bench.activity.last(3, .caller) == Instant(nanoseconds: 2006))
        #expect(bench.counters[.mediaDatagramsSent] == 8 && bench.counters[.droppedMalformed] == 1)
        #expect(bench.statistics[3, .caller].packets == 8 && bench.statistics[3, .caller].lost == 0)
        #expect(!bench.receive(Self.udptl(7), from: SocketAddress("192.0.2.66:4000"), stream: 4).isForwarded)
        #expect(bench.counters[.droppedStranger] == 1)
    }

    @Test("behind NAT the signalling address is learnt with six datagrams in a row, and another source starts them over")
    func learnt() throws {
        let natted = SocketAddress("198.51.100.77:9000")!
        var bench = try bench(signalling: natted.ip)
        for sequence in 0..<5 as Range<UInt16> {
            #expect(!bench.receive(Self.udptl(sequence), from: natted, stream: 4).isLocking)
        }
        #expect(bench.receive(Self.udptl(5), from: natted, stream: 4).isLocking)

        bench = try self.bench(signalling: natted.ip)
        let other = SocketAddress(ip: natted.ip, port: 9002)
        for sequence in 0..<20 as Range<UInt16> {
            #expect(!bench.receive(Self.udptl(sequence), from: sequence % 4 == 3 ? other : natted, stream: 4).isLocking)
        }
        #expect(bench.statistics[3, .caller].source == nil)
    }

    @Test("while audio becomes T.38, RTP and udptl of the leg both pass; afterwards udptl is stray again")
    func change() throws {
        var bench = try bench()
        _ = bench.receive(Self.udptl(0), from: PacketPathTests.caller, stream: 4)
        #expect(bench.receive(rtp(5), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.receive(rtp(2, ssrc: 2), from: PacketPathTests.callee, stream: 6).isForwarded)
        let audio = ExpectedSource(rtp: PacketPathTests.caller, rtcp: PacketPathTests.caller, signalling: PacketPathTests.caller.ip)
        _ = bench.path.expect(session: 1, leg: .caller, audio)
        #expect(!bench.receive(Self.udptl(1), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.receive(rtp(6), from: PacketPathTests.caller, stream: 4).isForwarded)
    }

    @Test("blocked, it is counted and not relayed, also after a change of transport")
    func blocked() throws {
        var bench = try bench()
        _ = bench.receive(Self.udptl(0), from: PacketPathTests.caller, stream: 4)
        bench.path.treat(session: 1, leg: .caller, MediaTreatment(isBlocked: true))
        #expect(!bench.receive(Self.udptl(1), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.counters[.droppedBlocked] == 1 && bench.statistics[3, .caller].withheldPackets == 1)
        let audio = ExpectedSource(rtp: PacketPathTests.caller, rtcp: PacketPathTests.caller, signalling: PacketPathTests.caller.ip)
        _ = bench.path.expect(session: 1, leg: .caller, audio)
        #expect(!bench.receive(rtp(1), from: PacketPathTests.caller, stream: 4).isForwarded)
        #expect(bench.counters[.droppedBlocked] == 2)
    }
}

@Suite("What a leg is expected to send")
struct DirectionTests {
    @Test("hold in each form: sendonly, inactive, recvonly, 0.0.0.0, and resumed")
    func hold() throws {
        var bench = try PacketPathTests.Bench()
        func expected(_ address: SocketAddress, _ direction: MediaDirection) -> ExpectedSource {
            ExpectedSource(rtp: address, rtcp: address, signalling: address.ip, direction: direction)
        }
        let unspecified = SocketAddress("0.0.0.0:4000")!
        let rows: [(caller: ExpectedSource, callee: MediaDirection, callerSends: Bool, calleeSends: Bool)] = [
            (expected(PacketPathTests.caller, .sendReceive), .sendReceive, true, true),
            (expected(PacketPathTests.caller, .sendOnly), .receiveOnly, true, false),
            (expected(PacketPathTests.caller, .sendOnly), .sendReceive, true, false),
            (expected(PacketPathTests.caller, .inactive), .inactive, false, false),
            (expected(PacketPathTests.caller, .receiveOnly), .sendOnly, false, true),
            (expected(unspecified, .sendReceive), .sendReceive, true, false),
            (expected(PacketPathTests.caller, .sendReceive), .sendReceive, true, true),
        ]
        for row in rows {
            _ = bench.path.expect(session: 1, leg: .caller, row.caller)
            _ = bench.path.expect(session: 1, leg: .callee, expected(PacketPathTests.callee, row.callee))
            #expect(bench.statistics.isExpectedToSend(3, .caller) == row.callerSends)
            #expect(bench.statistics.isExpectedToSend(3, .callee) == row.calleeSends)
            #expect(bench.statistics.direction(3, .callee) == row.callee)
        }
        bench.activity.clear(3)
        bench.statistics.clear(3)
        bench.path.open(session: 1, generation: 6)
        #expect(bench.statistics.direction(3, .caller) == nil && !bench.statistics.isExpectedToSend(3, .caller))
    }
}

@Suite("Statistics of a leg")
struct LegStatisticsTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("losses, repeats, disorder, changes, comfort noise and digits are shown a second later, and in the time line")
    func figures() throws {
        var bench = try PacketPathTests.Bench()
        var formats = PayloadFormats()
        formats.set(101, to: .telephoneEvent)
        let source = ExpectedSource(
            rtp: PacketPathTests.caller, rtcp: PacketPathTests.caller, signalling: PacketPathTests.caller.ip, formats: formats)
        _ = bench.path.expect(session: 1, leg: .caller, source)
        var now = 10 * Self.second
        func send(_ packet: [UInt8]) {
            _ = bench.receive(packet, from: PacketPathTests.caller, stream: 4, at: now)
            now += 20_000_000
        }
        // One second: 1 to 50 without 7, 8 and 9, 20 twice, 31 before 30, a digit in three packets, comfort noise.
        for sequence in [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 20, 21, 31, 30] as [UInt16] { send(rtp(sequence)) }
        for sequence in 32...34 as ClosedRange<UInt16> { send(rtp(sequence, payloadType: 101)) }
        send(rtp(35, payloadType: 8))
        send(rtp(36, ssrc: 9, payloadType: 8))
        send(rtp(37, ssrc: 9, payloadType: 13))
        #expect(bench.statistics[3, .caller].packets == 27)
        bench.path.keepStatistics(leg: 2, now: 11 * Self.second)
        let shown = bench.statistics[3, .caller]
        #expect(shown.lost == 11 && shown.duplicates == 1 && shown.reordered == 1)
        #expect(shown.lossBursts == 2 && shown.largestSequenceGap == 9)
        #expect(shown.payloadType == 8 && shown.payloadTypeChanges == 1 && shown.ssrc == 9 && shown.ssrcChanges == 1)
        #expect(shown.telephoneEvents == 1 && shown.comfortNoisePackets == 1 && shown.isInComfortNoise)
        #expect(shown.longestGap == .milliseconds(20))
        let timeline = try #require(bench.statistics.timeline(3, .caller))
        #expect(timeline.firstSecond == 10 && timeline.buckets.map(\.packets) == [27] && timeline.buckets.map(\.lost) == [11])
        #expect(bench.statistics.timeline(3, .callee) == nil)

        // Silent for three seconds, then one packet more, and the end.
        bench.path.keepStatistics(leg: 2, now: 14 * Self.second)
        now = 14 * Self.second
        send(rtp(38, ssrc: 9, payloadType: 8))
        bench.path.close(session: 1, now: Instant(nanoseconds: now))
        let final = bench.statistics[3, .caller]
        #expect(final.packets == 28 && !final.isInComfortNoise && final.longestGap == .milliseconds(20))
        #expect(bench.statistics.timeline(3, .caller)?.buckets.map(\.packets) == [27, 0, 0, 0, 1])

        bench.activity.clear(3)
        bench.statistics.clear(3)
        bench.path.open(session: 1, generation: 6)
        #expect(bench.statistics[3, .caller] == LegStatistics() && bench.statistics.timeline(3, .caller) == nil)
    }

    @Test("a call of less than a second has a codec and a quality, and its second is in the time line once")
    func shortCall() throws {
        var bench = try PacketPathTests.Bench()
        let start = 10 * Self.second + 10_000_000
        for number in 0..<20 as Range<UInt16> {
            let time = start + UInt64(number) * 20_000_000
            _ = bench.receive(rtp(100 + number), from: PacketPathTests.caller, stream: 4, at: time)
        }
        bench.path.keepStatistics(leg: 2, now: start + 500_000_000)
        let shown = bench.statistics[3, .caller]
        #expect(shown.payloadType == 0 && shown.quality.map { $0.average.score > 4.4 } == true, "\(shown)")
        bench.path.keepStatistics(leg: 2, now: 11 * Self.second)
        #expect(bench.statistics.timeline(3, .caller)?.buckets.map(\.packets) == [20])
    }

    @Test("the round trip to a leg is measured by the other side's sender report and the leg's answer to it")
    func roundTrip() throws {
        var bench = try PacketPathTests.Bench()
        _ = bench.receive(rtp(1), from: PacketPathTests.caller, stream: 4, at: Self.second)
        _ = bench.receive(rtp(1, ssrc: 2), from: PacketPathTests.callee, stream: 6, at: Self.second)
        // Caller 1 sends a report of middle timestamp 0x00020003; callee 2 answers 90 ms later, of which it kept it 50 ms.
        let sent: [UInt8] = [0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 0, 0] + [UInt8](repeating: 0, count: 12)
        let answer: [UInt8] =
            [0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 12) + [0, 2, 0, 3, 0, 0, 0x0c, 0xcd]
        let calleeRTCP = SocketAddress(ip: PacketPathTests.callee.ip, port: 6001)
        let callerRTCP = SocketAddress(ip: PacketPathTests.caller.ip, port: 4001)
        #expect(bench.receive(sent, from: callerRTCP, stream: 5, at: 2 * Self.second).isForwarded)
        #expect(bench.receive(answer, from: calleeRTCP, stream: 7, at: 2 * Self.second + 90_000_000).isForwarded)
        bench.path.keepStatistics(leg: 3, now: 3 * Self.second)
        let callee = bench.statistics[3, .callee]
        let roundTrip = try #require(callee.roundTrip)
        #expect(roundTrip > .milliseconds(39) && roundTrip < .milliseconds(41))
        #expect(callee.roundTripMeasurements == 1 && callee.shortestRoundTrip == roundTrip && callee.longestRoundTrip == roundTrip)
        #expect(bench.statistics[3, .caller].roundTrip == nil)
    }

    @Test("neither a hold nor a new source is a gap or a loss")
    func interruptions() throws {
        var bench = try PacketPathTests.Bench()
        func expected(_ direction: MediaDirection) -> ExpectedSource {
            let address = PacketPathTests.caller
            return ExpectedSource(rtp: address, rtcp: address, signalling: address.ip, direction: direction)
        }
        _ = bench.path.expect(session: 1, leg: .caller, expected(.sendReceive))
        for step in 0..<10 as Range<UInt64> {
            _ = bench.receive(rtp(UInt16(step)), from: PacketPathTests.caller, stream: 4, at: Self.second + step * 20_000_000)
        }
        _ = bench.path.expect(session: 1, leg: .caller, expected(.inactive))
        _ = bench.path.expect(session: 1, leg: .caller, expected(.sendReceive))
        _ = bench.receive(rtp(400), from: PacketPathTests.caller, stream: 4, at: 30 * Self.second)
        bench.path.close(session: 1, now: Instant(nanoseconds: 31 * Self.second))
        let shown = bench.statistics[3, .caller]
        #expect(shown.packets == 11 && shown.lost == 0 && shown.longestGap == .milliseconds(20))
    }

    @Test("a session takes less than half a kilobyte, once its legs are heard less than two, and their time lines")
    func memory() {
        let silent = MemoryLayout<LegSlot>.stride
        let heard = silent + MemoryLayout<LegCounts>.stride + MemoryLayout<UInt64>.stride + MemoryLayout<LegMedia>.stride
        print(
            "octets of a session: \(2 * silent) before its first packet, \(2 * heard) after it, "
                + "and \(2 * MemoryLayout<MediaTimeline>.stride) of time lines")
        #expect(2 * silent <= 416 && 2 * heard <= 1920)
    }
}

/// An RTP packet with ten octets of payload.
func rtp(_ sequence: UInt16, ssrc: UInt32 = 1, payloadType: UInt8 = 0) -> [UInt8] {
    [0x80, payloadType, UInt8(sequence >> 8), UInt8(sequence & 0xff), 0, 0, 0, 0]
        + (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) } + [UInt8](repeating: 0xd5, count: 10)
}

/// An empty receiver report.
func rtcp(ssrc: UInt32) -> [UInt8] {
    [0x80, 201, 0, 1] + (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) }
}
