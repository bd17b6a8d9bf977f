import Core
import Testing
import Uring

@testable import Relay

@Suite("Relay over loopback", .serialized)
struct RelayPoolTests {
    @Test(
        "RTP and RTCP pass both ways, in order, unchanged, from the right ports; IPv4, IPv6 and between them",
        arguments: [
            (IPAddress.ipv4Loopback, IPAddress.ipv4Loopback), (.ipv6Loopback, .ipv6Loopback), (.ipv4Loopback, .ipv6Loopback),
        ])
    func relays(callerIP: IPAddress, calleeIP: IPAddress) throws {
        var bench = try Bench(workers: 2)
        let session = try bench.openSession(caller: callerIP, callee: calleeIP)
        let caller = try Endpoint(on: callerIP)
        let callee = try Endpoint(on: calleeIP)
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try caller.rtp.send(rtp(9).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, caller.rtp.localAddress))
        try callee.rtp.send(rtp(9, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        #expect(try caller.rtp.receiveWaiting()?.octets == rtp(9, ssrc: 2))

        for round in 1...20 as ClosedRange<UInt16> {
            for step in 0..<10 as Range<UInt16> {
                try caller.rtp.send(rtp(round * 10 + step).span, to: session.rtp(.caller))
                try callee.rtp.send(rtp(round * 10 + step, ssrc: 2).span, to: session.rtp(.callee))
            }
            for step in 0..<10 as Range<UInt16> {
                let forward = try #require(try callee.rtp.receiveWaiting())
                #expect(forward.octets == rtp(round * 10 + step) && forward.source == session.rtp(.callee))
                let back = try #require(try caller.rtp.receiveWaiting())
                #expect(back.octets == rtp(round * 10 + step, ssrc: 2) && back.source == session.rtp(.caller))
            }
        }
        try caller.rtcp.send(rtcp(ssrc: 1).span, to: session.rtcp(.caller))
        let report = try #require(try callee.rtcp.receiveWaiting())
        #expect(report.octets == rtcp(ssrc: 1) && report.source == session.rtcp(.callee))
        try caller.rtp.send(rtcp(ssrc: 1).span, to: session.rtp(.caller))  // rtcp-mux
        #expect(try callee.rtp.receiveWaiting()?.octets == rtcp(ssrc: 1))

        let statistics = bench.pool.statistics[session.id.index, .caller]
        #expect(statistics.packets == 201 && statistics.lost == 0 && statistics.sentPackets == 201)
        #expect(statistics.rtcpPackets == 2 && statistics.strangersDropped == 0)
        #expect(bench.pool.activity.last(session.id.index, .callee) != nil)
        try bench.close(session)
        try bench.stop()
    }

    @Test("it still relays on connected sockets that receive without addresses")
    func plainReceive() throws {
        var bench = try Bench { $0.receiveSoonPlain() }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        // Some housekeepings long, in the first of which the receive changes; no packet is lost by that.
        let end = MonotonicClock.now + .milliseconds(200)
        var sequence: UInt16 = 0
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        while MonotonicClock.now < end {
            try callee.rtp.send(rtp(sequence, ssrc: 2).span, to: session.rtp(.callee))
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
            sequence &+= 1
        }
        #expect(bench.pool.statistics[session.id.index, .caller].lost == 0)
        let nothing: [UInt8] = []
        try caller.rtp.send(nothing.span, to: session.rtp(.caller))
        #expect(try bench.eventually { $0.counters(worker: 0)[.receiveRearms] == 1 && $0.counters(worker: 0)[.droppedMalformed] == 1 })
        try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
        try bench.close(session)
        try bench.stop()
    }

    @Test("a stranger gets nothing and injects nothing, before the lock and after")
    func stranger() throws {
        var bench = try Bench()
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        // On this host, but of another IP address than any SDP or signalling names.
        let stranger = try Endpoint(on: IPAddress("127.0.0.66")!)
        for leg in Leg.allCases {
            for sequence in 0..<20 as Range<UInt16> { try stranger.rtp.send(rtp(sequence, ssrc: 66).span, to: session.rtp(leg)) }
            try stranger.rtcp.send(rtcp(ssrc: 66).span, to: session.rtcp(leg))
        }
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        for leg in Leg.allCases {
            for sequence in 20..<40 as Range<UInt16> { try stranger.rtp.send(rtp(sequence, ssrc: 66).span, to: session.rtp(leg)) }
        }
        #expect(try bench.eventually { $0.counters(worker: 0)[.droppedStranger] == 82 })
        try callee.rtp.send(rtp(1, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        for sequence in 1...10 as ClosedRange<UInt16> {
            try? stranger.rtp.send(rtp(40 + sequence, ssrc: 66).span, to: session.rtp(.caller))
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            try? stranger.rtp.send(rtp(40 + sequence, ssrc: 66).span, to: session.rtp(.callee))
            #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
        }
        #expect(try callee.rtp.receive() == nil)
        #expect(try caller.rtp.receive() == nil)
        // What comes back at him are refusals by the kernel, never a datagram.
        #expect(((try? stranger.rtp.receive()) ?? nil) == nil)
        #expect(((try? stranger.rtcp.receive()) ?? nil) == nil)
        try bench.close(session)
        try bench.stop()
    }

    @Test("a taken port fails the whole session and leaves no socket behind")
    func takenPort() throws {
        var bench = try Bench()
        var ports = PortSource()
        let caller = try ports.pair(on: .ipv4Loopback)
        let callee = try ports.pair(on: .ipv4Loopback)
        let blocked = SocketAddress(ip: callee.ip, port: callee.port + 1)
        let taken = bench.allocator.take()
        let id = try #require(taken)
        do {
            let blocker = try DatagramSocket(bindingTo: blocked)
            try bench.send(.open(id, caller: caller, callee: callee))
            #expect(try bench.event() == .openFailed(id, errno: Errno.addressInUse.code, address: blocked))
            #expect(try blocker.localAddress == blocked)
            for address in [caller, SocketAddress(ip: caller.ip, port: caller.port + 1), callee] {
                _ = try DatagramSocket(bindingTo: address)
            }
        }
        try bench.send(.open(id, caller: caller, callee: callee))
        #expect(try bench.event() == .opened(id))
        #expect(bench.pool.counters[.socketsRefused] == 1)
        try bench.stop()
    }

    @Test("a closed session's slot serves one of other addresses, whose opening frees the ports of the former")
    func openAndClose() throws {
        var bench = try Bench(capacity: 1)
        var former: Session?
        for _ in 0..<3 {
            let session = try bench.openSession()
            if let former {
                for leg in Leg.allCases {
                    _ = try DatagramSocket(bindingTo: former.rtp(leg))
                    _ = try DatagramSocket(bindingTo: former.rtcp(leg))
                }
            }
            try bench.close(session)
            for leg in Leg.allCases {
                #expect(throws: Errno.addressInUse) { _ = try DatagramSocket(bindingTo: session.rtp(leg)) }
                #expect(throws: Errno.addressInUse) { _ = try DatagramSocket(bindingTo: session.rtcp(leg)) }
            }
            former = session
        }
        #expect(bench.pool.keptCount == 1 && bench.pool.counters[.socketsReused] == 0)
        try bench.stop()
        let last = try #require(former)
        for leg in Leg.allCases { _ = try DatagramSocket(bindingTo: last.rtp(leg)) }
    }

    @Test(
        "100,000 sessions opened and closed leave no port, descriptor, slot or memory behind but the sockets of the last ones",
        arguments: [false, true])
    func leaksNothing(reuses: Bool) throws {
        let (atOnce, rounds) = (50, 1000)
        var bench = try Bench(workers: 2, capacity: atOnce) {
            $0.doorbellDelay = .milliseconds(1)
            if reuses { $0.quietTime = nil }
        }
        var source = PortSource()
        let ports = try (0..<atOnce).map { _ in (caller: try source.pair(on: .ipv4Loopback), callee: try source.pair(on: .ipv4Loopback)) }
        let expected = ExpectedSource(
            rtp: SocketAddress(ip: .ipv4Loopback, port: 9), rtcp: SocketAddress(ip: .ipv4Loopback, port: 10), signalling: .ipv4Loopback)
        var before: (descriptors: Int, kilobytes: Int)?
        for round in 0..<rounds {
            // What is taken once, for the first calls, is no leak.
            if round == rounds / 10 { before = (openDescriptors(), residentKilobytes()) }
            var open: [SessionID] = []
            for _ in ports {
                let taken = bench.allocator.take()
                let id = try #require(taken)
                // The ports of the former session of the slot.
                let (caller, callee) = ports[Int(id.index)]
                let isOpening = bench.pool.send(.open(id, caller: caller, callee: callee))
                bench.pool.flushDoorbells(on: &bench.ring)
                let outcome = try bench.event()
                let isExpecting = bench.pool.send(.expect(id, .caller, expected))
                try #require(isOpening && outcome == .opened(id) && isExpecting)
                open.append(id)
            }
            let oneMore = bench.allocator.take()
            try #require(oneMore == nil)
            for id in open {
                let isClosing = bench.pool.send(.close(id))
                try #require(isClosing)
            }
            bench.pool.flushDoorbells(on: &bench.ring)
            for _ in open {
                guard case .closed(let id)? = try bench.event() else {
                    Issue.record("a session was not closed in round \(round)")
                    return
                }
                bench.allocator.giveBack(id)
            }
        }
        #expect(bench.allocator.count == 0)
        #expect(bench.pool.keptCount == atOnce)
        #expect(bench.pool.counters[.socketsReused] == (reuses ? UInt64(atOnce * (rounds - 1)) : 0))
        for slot in 0..<UInt32(atOnce) {
            let isTold = bench.pool.drop(slot: slot)
            #expect(isTold)
        }
        #expect(bench.pool.keptCount == 0)
        bench.pool.flushDoorbells(on: &bench.ring)
        let start = try #require(before)
        // Other tests run at the same time and take some too; 600 octets a session would be seen.
        #expect(openDescriptors() <= start.descriptors + 64)
        #expect(residentKilobytes() <= start.kilobytes + 50_000)
        try bench.stop()
        for pair in ports {
            for address in [pair.caller, pair.callee] {
                _ = try DatagramSocket(bindingTo: address)
                _ = try DatagramSocket(bindingTo: SocketAddress(ip: address.ip, port: address.port + 1))
            }
        }
    }

    @Test(
        "after silence the source may come back on another port, whether or not addresses were received before",
        arguments: [false, true])
    func relock(isPlain: Bool) throws {
        var bench = try Bench {
            $0.lock.relockSilence = .milliseconds(150)
            $0.housekeepingInterval = .milliseconds(20)
            if isPlain { $0.receiveSoonPlain() }
        }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, caller.rtp.localAddress))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(0))

        let moved = try Endpoint()
        let address = try moved.rtp.localAddress
        var sequence: UInt16 = 100
        let deadline = MonotonicClock.now + .seconds(5)
        var event: RelayEvent?
        while event == nil, MonotonicClock.now < deadline {
            // Refused by the kernel (ECONNREFUSED) while the relay's socket is connected elsewhere.
            try? moved.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            sequence &+= 1
            event = bench.pool.nextEvent()
            yieldProcessor()
        }
        #expect(event == .locked(session.id, .caller, address))
        #expect(try bench.eventually { $0.counters(worker: 0)[.sourceRelocks] == 1 })
        while try callee.rtp.receive() != nil {}
        try callee.rtp.send(rtp(9, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try moved.rtp.receiveWaiting()?.octets == rtp(9, ssrc: 2))
        try bench.stop()
    }

    @Test(
        "a re-offer moves the leg without losing a packet of the old source, whether or not addresses were received before",
        arguments: [false, true])
    func reoffer(isPlain: Bool) throws {
        var bench = try Bench { if isPlain { $0.receiveSoonPlain() } }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        let moved = try Endpoint(on: IPAddress("127.0.0.2")!)
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, caller.rtp.localAddress))
        #expect(try callee.rtp.receiveWaiting() != nil)
        // A few housekeepings with media.
        let end = MonotonicClock.now + .milliseconds(100)
        while isPlain, MonotonicClock.now < end {
            try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting() != nil)
        }
        try bench.expect(session, .caller, moved)
        for sequence in 1...50 as ClosedRange<UInt16> {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
        }
        try moved.rtp.send(rtp(500, ssrc: 3).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, moved.rtp.localAddress))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(500, ssrc: 3))
        try? caller.rtp.send(rtp(51).span, to: session.rtp(.caller))
        try moved.rtp.send(rtp(501, ssrc: 3).span, to: session.rtp(.caller))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(501, ssrc: 3))
        try bench.stop()
    }

    @Test("stray STUN, DTLS, empty and oversized datagrams are counted and go nowhere")
    func junk() throws {
        var bench = try Bench()
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        let junk: [[UInt8]] = [
            [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], [22, 254, 253, 0], [], [UInt8](repeating: 0x80, count: 3000),
        ]
        for octets in junk { try caller.rtp.send(octets.span, to: session.rtp(.caller)) }
        let nothing: [UInt8] = []
        try caller.rtcp.send(nothing.span, to: session.rtcp(.caller))
        try caller.rtp.send(rtp(1).span, to: session.rtp(.caller))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(1))
        #expect(try callee.rtp.receive() == nil)
        #expect(
            try bench.eventually {
                let counters = $0.counters(worker: 0)
                return counters[.droppedUnexpectedProtocol] == 2 && counters[.droppedMalformed] == 2
                    && counters[.droppedOversized] == 1
            })
        try bench.close(session)
        try bench.stop()
    }

    @Test("bursts on many sessions of two workers at once all arrive, in order, at their own peers")
    func manySessions() throws {
        var bench = try Bench(workers: 2, capacity: 64)
        var sessions: [Session] = []
        let callers = try Endpoints(count: 64)
        let callees = try Endpoints(count: 64)
        for index in 0..<64 {
            let session = try bench.openSession()
            sessions.append(session)
            for (leg, endpoints) in [(Leg.caller, callers), (.callee, callees)] {
                let address = try endpoints.address(index)
                let source = ExpectedSource(rtp: address, rtcp: address, signalling: address.ip)
                try bench.send(.expect(session.id, leg, source))
                try endpoints.send(rtp(0, ssrc: UInt32(index)), from: index, to: session.rtp(leg))
                #expect(try bench.event() == .locked(session.id, leg, address))
            }
        }
        #expect(Set(sessions.map { $0.id.index % 2 }) == [0, 1])
        for sequence in 1...20 as ClosedRange<UInt16> {
            for (index, session) in sessions.enumerated() {
                try callers.send(rtp(sequence, ssrc: UInt32(index)), from: index, to: session.rtp(.caller))
                try callees.send(rtp(sequence, ssrc: UInt32(index)), from: index, to: session.rtp(.callee))
            }
        }
        for index in 0..<64 {
            // The callee's first packet found its caller locked; the caller's first found no callee yet.
            #expect(try callers.next(index) == rtp(0, ssrc: UInt32(index)))
            for sequence in 1...20 as ClosedRange<UInt16> {
                #expect(try callers.next(index) == rtp(sequence, ssrc: UInt32(index)))
                #expect(try callees.next(index) == rtp(sequence, ssrc: UInt32(index)))
            }
        }
        for session in sessions { try bench.close(session) }
        #expect(bench.allocator.count == 0)
        try bench.stop()
    }

    @Test("out of receive buffers it counts, receives again, and relays the next packets")
    func buffersExhausted() throws {
        var bench = try Bench { $0.receiveBuffers = 4 }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        var sequence: UInt16 = 0
        let deadline = MonotonicClock.now + .seconds(5)
        while bench.pool.counters(worker: 0)[.receiveBuffersExhausted] == 0, MonotonicClock.now < deadline {
            for _ in 0..<32 {
                try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
                sequence &+= 1
            }
            // Kept in order by the sockets' own queues, whatever the buffers do.
            for step in 0..<32 as Range<UInt16> {
                #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence &- 32 &+ step))
            }
        }
        #expect(bench.pool.counters(worker: 0)[.receiveBuffersExhausted] > 0)
        try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
        try bench.close(session)
        try bench.stop()
    }

    @Test("a peer that refuses packets ends the receive; it is armed again and hears the peer when it is back")
    func refused() throws {
        var bench = try Bench()
        let session = try bench.openSession()
        let caller = try Endpoint()
        var address = SocketAddress(ip: .ipv4Loopback, port: 0)
        do {
            let callee = try Endpoint()
            address = try callee.rtp.localAddress
            try bench.expect(session, .caller, caller)
            try bench.expect(session, .callee, callee)
            try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
            #expect(try bench.event() == .locked(session.id, .callee, address))
        }
        var sequence: UInt16 = 0
        let deadline = MonotonicClock.now + .seconds(5)
        while bench.pool.counters(worker: 0)[.receiveRearms] == 0, MonotonicClock.now < deadline {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            sequence &+= 1
            yieldProcessor()
        }
        #expect(bench.pool.counters(worker: 0)[.receiveRearms] > 0)
        let back = try DatagramSocket(bindingTo: address)
        try caller.rtp.send(rtp(1).span, to: session.rtp(.caller))
        #expect(try back.receiveWaiting() != nil)
        try back.send(rtp(1, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try caller.rtp.receiveWaiting()?.octets == rtp(1, ssrc: 2))
        try bench.close(session)
        try bench.stop()
    }

    @Test("a pool that needs more descriptors than it may have says how many")
    func descriptorLimit() throws {
        let ring = try Ring()
        let settings = RelaySettings(workers: 1, sessionCapacity: 100_000_000)
        do throws(RelayStartError) {
            _ = try RelayPool(settings: settings, controlRing: ring, doorbell: .ignored)
            Issue.record("it started")
        } catch {
            #expect("\(error)".contains("400000000 open files"))
        }
    }
}
