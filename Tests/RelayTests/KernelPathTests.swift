import CKernelPath
import Core
import Foundation
import RTP
import Testing
import Uring

@testable import Relay

extension KernelPath {
    /// The program needs rights and a kernel that a test run may not have; in CI it must.
    static let mayLoad =
        (try? KernelPath(legCapacity: 2, withLoopback: true)) != nil || ProcessInfo.processInfo.environment["CI"] != nil

    static let whatItNeeds: Comment = "a program in the kernel needs root and Linux 6.6"
}

@Suite("kernel path", .enabled(if: KernelPath.mayLoad, KernelPath.whatItNeeds))
struct KernelPathTests {
    /// Two packet paths that get the same packets: one leaves what it can to the program, the other has no program.
    struct Pair: ~Copyable {
        static let caller = SocketAddress("127.0.0.1:4000")!
        static let callee = SocketAddress("127.0.0.1:6000")!
        static let local = [SocketAddress("127.0.0.1:30000")!, SocketAddress("127.0.0.1:30002")!]

        var pool: BufferPool
        let kernel: KernelPath
        var path: PacketPath
        let statistics: StatisticsTable
        let counters = CounterBlock()
        var plainPath: PacketPath
        let plainStatistics: StatisticsTable
        let plainCounters = CounterBlock()
        var sentInKernel = 0
        /// The caller's stream may pass inside the kernel.
        var isOffered: Bool { path[leg: 0].handling.contains(.kernel) }

        init() throws {
            let pool = try BufferPool.withoutRing(count: 4)
            kernel = try KernelPath(legCapacity: 2, withLoopback: true)
            kernel.add(session: 0, caller: Self.local[0], callee: Self.local[1], typeOfService: 0xb8)
            let activity = ActivityTable(sessionCapacity: 1, kernel: kernel)
            statistics = StatisticsTable(activity: activity)
            path = PacketPath(
                sessionCapacity: 1, counters: counters, activity: activity, statistics: statistics, kernel: kernel)
            let plainActivity = ActivityTable(sessionCapacity: 1)
            plainStatistics = StatisticsTable(activity: plainActivity)
            plainPath = PacketPath(
                sessionCapacity: 1, counters: plainCounters, activity: plainActivity, statistics: plainStatistics)
            self.pool = pool
            path.open(session: 0, generation: 5)
            plainPath.open(session: 0, generation: 5)
            for (leg, address) in [(Leg.caller, Self.caller), (.callee, Self.callee)] {
                var expected = ExpectedSource(
                    rtp: address, rtcp: SocketAddress(ip: address.ip, port: address.port + 1), signalling: address.ip)
                expected.formats.set(101, to: .telephoneEvent, clockRate: 8000)
                _ = path.expect(session: 0, leg: leg, expected)
                _ = plainPath.expect(session: 0, leg: leg, expected)
            }
            // Both legs are locked.
            for leg in [Leg.callee, .caller] { receive(rtp(0, ssrc: leg == .caller ? 1 : 2), leg) }
        }

        /// A datagram of the leg's peer, or of `source`.
        mutating func receive(_ octets: [UInt8], _ leg: Leg, from source: SocketAddress? = nil) {
            let peer = source ?? (leg == .caller ? Self.caller : Self.callee)
            var frame = KernelPathTests.frame(octets, from: peer, to: Self.local[leg.offset])
            let original = frame
            let passed = kernel.pass(&frame)
            #expect(passed == true)
            var now = MonotonicClock.now
            if frame == original {
                now = feed(octets, leg, from: peer, now: now)
            } else {
                // It has gone to the other peer, from the other port.
                sentInKernel += 1
                now = path.activity.last(0, leg)!
                let other = leg == .caller ? Self.callee : Self.caller
                let expected = KernelPathTests.frame(octets, from: Self.local[leg.other.offset], to: other, typeOfService: 0xb8)
                #expect(frame == expected)
            }
            let completion = pool.fabricate(
                octets.span, from: peer, in: 1,
                token: Token(kind: PacketPath.receiveMessage, generation: 5, index: UInt32(leg.offset * 2)))
            _ = plainPath.receive(completion, in: pool, now: now)
            plainPath.publishCounters()
        }

        private mutating func feed(_ octets: [UInt8], _ leg: Leg, from peer: SocketAddress, now: Instant) -> Instant {
            let completion = pool.fabricate(
                octets.span, from: peer, in: 2,
                token: Token(kind: PacketPath.receiveMessage, generation: 5, index: UInt32(leg.offset * 2)))
            _ = path.receive(completion, in: pool, now: now)
            path.givePending(isSent: true)
            path.publishCounters()
            return now
        }

        /// What a worker does now and then.
        mutating func keepHouse() {
            let now = MonotonicClock.now.nanoseconds
            for leg in 0..<2 {
                path.keepStatistics(leg: leg, now: now)
                plainPath.keepStatistics(leg: leg, now: now)
            }
            path.publishCounters()
            plainPath.publishCounters()
        }
    }

    /// What the generator of packets does with the next one.
    private enum Step: CaseIterable {
        case plain, lost, late, repeated, marked, jump, newSource, newPayloadType, comfortNoise, event, extended, padded, stranger
        case report, long, broken
    }

    @Test("statistics, activity and counters are the same as without it, whatever comes", arguments: 1...40)
    func agrees(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var pair = try Pair()
        var next: [(sequence: UInt16, timestamp: UInt32, ssrc: UInt32, type: UInt8)] = [
            (1, 0, 1, 0), (UInt16.random(in: 0...65535, using: &random), 0, 2, 8),
        ]
        for _ in 0..<400 {
            let leg = Bool.random(using: &random) ? Leg.caller : .callee
            let step = Int.random(in: 0..<10, using: &random) < 8 ? .plain : Step.allCases.randomElement(using: &random)!
            var (sequence, timestamp, ssrc, type) = next[leg.offset]
            var payloadType = type
            var first: UInt8 = 0x80
            var source: SocketAddress?
            var payload = [UInt8](repeating: 0xd5, count: Int.random(in: 0...160, using: &random))
            switch step {
            case .plain, .report: break
            case .marked: payloadType |= 0x80
            case .lost: sequence &+= UInt16.random(in: 1...(Bool.random(using: &random) ? 150 : 4_000), using: &random)
            case .late, .repeated: sequence &-= step == .late ? UInt16.random(in: 1...150, using: &random) : 1
            case .jump: timestamp &+= UInt32.random(in: 0...100_000, using: &random)
            case .newSource: ssrc = UInt32.random(in: 0...UInt32.max, using: &random)
            case .newPayloadType:
                // 72 with a marker looks like RTCP.
                type = [0, 8, 18, 72].randomElement(using: &random)!
                payloadType = type
            case .comfortNoise: payloadType = 13
            case .event:
                payloadType = 101
                payload = [5, 10, 0, 160]
            case .extended:
                first = 0x90
                payload = [0xbe, 0xde, 0, 1, 1, 2, 3, 4] + payload
            case .padded:
                first = 0xa0
                payload += [0, 0, 3]
            case .stranger: source = SocketAddress("127.0.0.1:4444")!
            case .long: payload += [UInt8](repeating: 1, count: 1_500)
            case .broken: first = 0x40
            }
            let header: [UInt8] = [first, payloadType] + octets(UInt32(sequence), 2) + octets(timestamp, 4) + octets(ssrc, 4)
            pair.receive(step == .report ? rtcp(ssrc: ssrc) : header + payload, leg, from: source)
            if step != .late && step != .repeated && step != .report && source == nil && step != .broken {
                next[leg.offset] = (sequence &+ 1, timestamp &+ UInt32.random(in: 150...170, using: &random), ssrc, type)
            }
            if Int.random(in: 0..<10, using: &random) == 0 { pair.keepHouse() }
            if Int.random(in: 0..<100, using: &random) == 0 { pair.path.withdraw(session: 0) }
        }
        // The second that is being gathered ends with the call.
        let end = MonotonicClock.now
        pair.path.close(session: 0, now: end)
        pair.plainPath.close(session: 0, now: end)
        pair.path.publishCounters()
        pair.plainPath.publishCounters()
        for leg in [Leg.caller, .callee] {
            var own = pair.statistics[0, leg]
            #expect(own.kernelPackets > 0)
            own.kernelPackets = 0
            #expect(own == pair.plainStatistics[0, leg], "seed \(seed), \(leg)")
            #expect(pair.statistics.timeline(0, leg)?.buckets == pair.plainStatistics.timeline(0, leg)?.buckets)
            #expect(
                "\(pair.path.streamStatistics(leg: leg.offset))" == "\(pair.plainPath.streamStatistics(leg: leg.offset))",
                "seed \(seed)")
        }
        for counter in Counter.allCases where counter != .rtpPacketsInKernel {
            #expect(pair.counters[counter] == pair.plainCounters[counter], "seed \(seed): \(counter.name)")
        }
        #expect(pair.counters[.rtpPacketsInKernel] == UInt64(pair.sentInKernel) && pair.sentInKernel > 50)
    }

    /// What the far side is to hear, of streams that lose packets now and then.
    struct Sender {
        let ssrc: UInt32
        var sequence = UInt16.random(in: 0...65_535)
        var sent: [[UInt8]] = []

        mutating func next(_ random: inout SeededRandom) -> [UInt8] {
            sequence &+= Int.random(in: 0..<40, using: &random) == 0 ? 2 : 1
            sent.append(rtp(sequence, ssrc: ssrc))
            return sent.last!
        }
    }

    @Test("between real sockets nothing is lost, overtaken or sent twice, and the worker knows all of it", arguments: [4, 6])
    func order(version: Int) throws {
        let ip = version == 4 ? IPAddress.ipv4Loopback : .ipv6Loopback
        var random = SeededRandom(seed: UInt64(version))
        var bench = try Bench {
            $0.usesKernelPath = true
            $0.kernelPathHasLoopback = true
            $0.receiveSoonPlain()
        }
        #expect(bench.pool.kernelRefusal == nil && bench.pool.kernelDevices?.contains("lo") == true)
        let session = try bench.openSession(caller: ip, callee: ip)
        let caller = try Endpoint(on: ip)
        let callee = try Endpoint(on: ip)
        try bench.lock(session, caller, callee)
        var (fromCaller, fromCallee) = (Sender(ssrc: 1), Sender(ssrc: 2))
        var (atCaller, atCallee): ([[UInt8]], [[UInt8]]) = ([], [])
        let end = MonotonicClock.now + .seconds(5)
        // Until a good deal has passed inside the kernel; RTCP goes by its own port meanwhile.
        while MonotonicClock.now < end, bench.pool.statistics[session.id.index, .caller].kernelPackets < 500 {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                try caller.rtp.send(fromCaller.next(&random).span, to: session.rtp(.caller))
                try callee.rtp.send(fromCallee.next(&random).span, to: session.rtp(.callee))
            }
            try caller.rtcp.send(rtcp(ssrc: 1).span, to: session.rtcp(.caller))
            #expect(try callee.rtcp.receiveWaiting()?.octets == rtcp(ssrc: 1))
            // Here too: the socket's room is small.
            while let received = try callee.rtp.receive() {
                #expect(received.source == session.rtp(.callee))
                atCallee.append(received.octets)
            }
            while let received = try caller.rtp.receive() { atCaller.append(received.octets) }
        }
        while atCallee.count < fromCaller.sent.count, let last = try callee.rtp.receiveWaiting() { atCallee.append(last.octets) }
        while atCaller.count < fromCallee.sent.count, let last = try caller.rtp.receiveWaiting() { atCaller.append(last.octets) }
        #expect(atCallee == fromCaller.sent && atCaller == fromCallee.sent)
        try bench.close(session)
        for (leg, sender) in [(Leg.caller, fromCaller), (.callee, fromCallee)] {
            let statistics = bench.pool.statistics[session.id.index, leg]
            // With those that locked the leg.
            #expect(statistics.packets == UInt64(sender.sent.count) + 1 && statistics.kernelPackets >= 400)
            let numbers = sender.sent.map { UInt16($0[2]) << 8 | UInt16($0[3]) }
            let missing = zip(numbers, numbers.dropFirst()).count { $1 != $0 &+ 1 }
            #expect(statistics.lossBursts >= UInt32(missing) && statistics.duplicates == 0 && statistics.reordered == 0)
        }
        try bench.stop()
    }

    @Test("a leg that changes hands by re-offer, is silenced, tapped or listened to is the worker's again at once")
    func withdrawn() throws {
        var bench = try Bench {
            $0.usesKernelPath = true
            $0.kernelPathHasLoopback = true
            $0.housekeepingInterval = .milliseconds(10)
        }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        let elsewhere = try Endpoint(on: IPAddress("127.0.0.2")!)
        var expected = try caller.expected()
        expected.formats.set(101, to: .telephoneEvent, clockRate: 8000)
        try bench.lock(session, caller, callee)
        try bench.send(.expect(session.id, .caller, expected))
        var sequence: UInt16 = 0
        func passes(_ bench: borrowing Bench) throws -> Bool {
            let before = bench.pool.statistics[session.id.index, .caller].kernelPackets
            let end = MonotonicClock.now + .seconds(5)
            while MonotonicClock.now < end {
                sequence += 1
                try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
                guard try callee.rtp.receiveWaiting()?.octets == rtp(sequence) else { return false }
                if bench.pool.statistics[session.id.index, .caller].kernelPackets > before { return true }
            }
            return false
        }
        #expect(try passes(bench))
        var silence = MediaTreatment()
        silence.isSilenced = true
        try bench.send(.treat(session.id, .caller, silence))
        #expect(try bench.eventually { _ in
            sequence += 1
            try? caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            return (try? callee.rtp.receiveWaiting())??.octets.last == 0xff
        })
        try bench.send(.treat(session.id, .caller, MediaTreatment()))
        #expect(try bench.eventually { _ in
            sequence += 1
            try? caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            return (try? callee.rtp.receiveWaiting())??.octets == rtp(sequence)
        })
        #expect(try passes(bench))
        // Keys are told as ever, and between them the stream is there again.
        var digits = MediaTreatment()
        digits.reportsDigits = true
        try bench.send(.treat(session.id, .caller, digits))
        #expect(try passes(bench))
        for isEnd in [false, true] {
            sequence += 1
            let key = Array(rtp(sequence, payloadType: 101)[..<12]) + [7, isEnd ? 0x8a : 10, 0, 160]
            try caller.rtp.send(key.span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting()?.octets == key)
        }
        #expect(try bench.event() == .digit(session.id, .caller, code: 7, milliseconds: 20))
        #expect(try passes(bench))
        // The other side moves: what this one sends follows it.
        try bench.expect(session, .callee, elsewhere)
        var event: RelayEvent?
        var number: UInt16 = 100
        let end = MonotonicClock.now + .seconds(5)
        while event == nil, MonotonicClock.now < end {
            // Refused while the socket is connected to the old place.
            try? elsewhere.rtp.send(rtp(number, ssrc: 2).span, to: session.rtp(.callee))
            number += 1
            event = bench.pool.nextEvent()
            yieldProcessor()
        }
        #expect(event == .locked(session.id, .callee, try elsewhere.rtp.localAddress))
        while try callee.rtp.receive() != nil {}
        for _ in 0..<50 {
            sequence += 1
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            #expect(try elsewhere.rtp.receiveWaiting()?.octets == rtp(sequence))
        }
        #expect(try callee.rtp.receive() == nil)
        try bench.close(session)
        try bench.stop()
    }

    @Test("a packet that comes while the worker looks at the leg goes up, and the next one does not overtake it")
    func busy() throws {
        var pair = try Pair()
        func frame(_ sequence: UInt16) -> [UInt8] { Self.frame(rtp(sequence, ssrc: 1), from: Pair.caller, to: Pair.local[0]) }
        for sequence in 1...3 as ClosedRange<UInt16> {
            pair.receive(rtp(sequence, ssrc: 1), .caller)
            pair.keepHouse()
        }
        #expect(pair.sentInKernel > 0)
        // SAFETY: the leg of a path that nobody else uses.
        let leg = unsafe pair.kernel.legs
        unsafe leg.pointee.owner = 2
        for (sequence, owner) in [(4, 2), (5, 0), (6, 0)] as [(UInt16, UInt32)] {
            var passed = frame(sequence)
            #expect(pair.kernel.pass(&passed) == true && passed == frame(sequence))
            #expect(unsafe leg.pointee.owner == owner)
            if sequence == 4 { unsafe leg.pointee.owner = 1 }
        }
    }

    @Test("a stream that the program never gets a packet of is left to the worker, and tried again later")
    func fruitless() throws {
        var pair = try Pair()
        pair.receive(rtp(1, ssrc: 1), .caller)
        pair.keepHouse()
        #expect(pair.isOffered == true)
        // With a header extension of no words.
        for sequence in 2...20 as ClosedRange<UInt16> {
            pair.receive([0x90] + rtp(sequence, ssrc: 1)[1..<12] + [0xbe, 0xde, 0, 0, 1, 2], .caller)
        }
        #expect(!pair.isOffered && pair.sentInKernel == 0)
        for _ in 0..<20 {
            pair.keepHouse()
            #expect(pair.isOffered == false)
        }
        pair.keepHouse()
        #expect(pair.isOffered == true)
    }

    private func octets(_ value: UInt32, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * (count - 1 - $0))) }
    }

    /// An Ethernet frame with IPv4 and UDP around `octets`, whose checksums are right.
    private static func frame(
        _ octets: [UInt8], from source: SocketAddress, to destination: SocketAddress, typeOfService: UInt8 = 0
    ) -> [UInt8] {
        func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xff), UInt8(value & 0xff)] }
        func address(_ ip: IPAddress) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: ip.low >> UInt64(24 - 8 * $0)) } }
        func checksum(_ octets: [UInt8]) -> [UInt8] {
            let padded = octets.count % 2 == 0 ? octets : octets + [0]
            var sum = stride(from: 0, to: padded.count, by: 2).reduce(0) { $0 + Int(padded[$1]) << 8 + Int(padded[$1 + 1]) }
            while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
            return word(~sum & 0xffff)
        }
        let length = octets.count + 8
        let addresses = address(source.ip) + address(destination.ip)
        let ports = word(Int(source.port)) + word(Int(destination.port)) + word(length)
        var sum = checksum(addresses + [0, 17] + word(length) + ports + [0, 0] + octets)
        if sum == [0, 0] { sum = [0xff, 0xff] }
        let front: [UInt8] = [0x45, typeOfService] + word(length + 20) + [0, 0, 0x40, 0, 64, 17]
        let ip = front + checksum(front + [0, 0] + addresses) + addresses
        return [UInt8](repeating: 0, count: 12) + [8, 0] + ip + ports + sum + octets
    }
}
