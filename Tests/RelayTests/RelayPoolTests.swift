import Core
import Testing
import Uring

@testable import Relay

/// Real workers on loopback, and what control does with them.
private struct Bench: ~Copyable {
    var ring: Ring
    var pool: RelayPool
    var allocator: SessionAllocator
    private var batch = CompletionBatch()
    private var ports: PortSource

    init(workers: Int = 1, capacity: Int = 8, configure: (inout RelaySettings) -> Void = { _ in }) throws {
        var settings = RelaySettings(workers: workers, sessionCapacity: capacity)
        configure(&settings)
        let ring = try Ring()
        pool = try RelayPool(settings: settings, controlRing: ring, doorbell: Token(kind: 9))
        self.ring = ring
        allocator = SessionAllocator(workers: workers, capacity: capacity)
        ports = PortSource()
    }

    mutating func send(_ command: RelayCommand) throws {
        let isSent = pool.send(command)
        try #require(isSent)
        pool.flushDoorbells(on: &ring)
        try ring.submit()
    }

    /// The next event within five seconds.
    mutating func event() throws -> RelayEvent? {
        let deadline = MonotonicClock.now + .seconds(5)
        while MonotonicClock.now < deadline {
            if let event = pool.nextEvent() { return event }
            try ring.submitAndWait(timeout: .milliseconds(100))
            ring.takeCompletions(into: &batch)
        }
        return nil
    }

    mutating func stop() throws {
        try send(.stop)
        var stopped = 0
        while stopped < pool.settings.workers, let event = try event() {
            if case .stopped = event { stopped += 1 }
        }
        #expect(stopped == pool.settings.workers)
        pool.join()
    }

    /// An open session between the two addresses' families.
    mutating func openSession(caller: IPAddress = .ipv4Loopback, callee: IPAddress = .ipv4Loopback) throws -> Session {
        let taken = allocator.take()
        let id = try #require(taken)
        let callerPort = try ports.pair(on: caller)
        let calleePort = try ports.pair(on: callee)
        try send(.open(id, caller: callerPort, callee: calleePort))
        let answer = try event()
        #expect(answer == .opened(id))
        return Session(id: id, local: [callerPort, calleePort])
    }

    mutating func expect(_ session: Session, _ leg: Leg, _ endpoint: borrowing Endpoint, signalling: IPAddress? = nil) throws {
        try send(.expect(session.id, leg, try endpoint.expected(signalling: signalling)))
    }

    mutating func close(_ session: Session) throws {
        try send(.close(session.id))
        while let event = try event() {
            if event == .closed(session.id) {
                allocator.giveBack(session.id)
                return
            }
        }
        Issue.record("the session was not closed")
    }

    /// True once `condition` holds, within five seconds.
    func eventually(_ condition: (borrowing RelayPool) -> Bool) throws -> Bool {
        let deadline = MonotonicClock.now + .seconds(5)
        while !condition(pool) {
            guard MonotonicClock.now < deadline else { return false }
            yieldProcessor()
        }
        return true
    }
}

extension RelaySettings {
    /// Housekeeping every few milliseconds changes a connected socket to receiving without addresses at once, and takes any
    /// load for a heavy one, so that packets are gathered.
    fileprivate mutating func receiveSoonPlain() {
        busyRate = 0
        housekeepingInterval = .milliseconds(10)
        plainReceiveDelay = .zero
    }
}

private struct Session {
    let id: SessionID
    let local: [SocketAddress]

    func rtp(_ leg: Leg) -> SocketAddress { local[Int(leg.rawValue)] }
    func rtcp(_ leg: Leg) -> SocketAddress { SocketAddress(ip: rtp(leg).ip, port: rtp(leg).port + 1) }
}

/// Free port pairs below the ephemeral range, for IPv4 on an address of this process alone: nobody else takes them meanwhile.
private struct PortSource {
    private let own = IPAddress(ipv4: 0x7f00_0000 | UInt32.random(in: 0x01_0000...0xfe_ffff))

    mutating func pair(on ip: IPAddress) throws -> SocketAddress {
        for _ in 0..<1000 {
            let port = UInt16.random(in: 5_000...15_000) * 2
            let address = SocketAddress(ip: ip.family == .ipv4 ? own : ip, port: port)
            let above = SocketAddress(ip: address.ip, port: port + 1)
            guard let one = try? DatagramSocket(bindingTo: address), let other = try? DatagramSocket(bindingTo: above) else { continue }
            _ = (one.file, other.file)
            return address
        }
        throw Errno.addressInUse
    }
}

/// An endpoint with an RTP and an RTCP socket.
private struct Endpoint: ~Copyable {
    let rtp: DatagramSocket
    let rtcp: DatagramSocket

    init(on ip: IPAddress = .ipv4Loopback) throws {
        let media = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0))
        rtcp = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0))
        rtp = media
    }

    func expected(signalling: IPAddress? = nil) throws -> ExpectedSource {
        let address = try rtp.localAddress
        return ExpectedSource(rtp: address, rtcp: try rtcp.localAddress, signalling: signalling ?? address.ip)
    }
}

/// The RTP sockets of many endpoints.
private final class Endpoints {
    private let sockets: [Holder]

    private final class Holder {
        let socket: DatagramSocket
        init() throws { socket = try DatagramSocket(bindingTo: SocketAddress(ip: .ipv4Loopback, port: 0)) }
    }

    init(count: Int) throws { sockets = try (0..<count).map { _ in try Holder() } }

    func address(_ index: Int) throws -> SocketAddress { try sockets[index].socket.localAddress }

    func send(_ octets: [UInt8], from index: Int, to address: SocketAddress) throws {
        try sockets[index].socket.send(octets.span, to: address)
    }

    func next(_ index: Int) throws -> [UInt8]? { try sockets[index].socket.receiveWaiting()?.octets }
}

extension DatagramSocket {
    /// The next datagram within `limit`.
    fileprivate borrowing func receiveWaiting(_ limit: Duration = .seconds(5)) throws -> (octets: [UInt8], source: SocketAddress)? {
        let deadline = MonotonicClock.now + limit
        while MonotonicClock.now < deadline {
            if let received = try receive() { return received }
            yieldProcessor()
        }
        return nil
    }
}

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
        #expect(bench.pool.counters(worker: 0)[.socketsRefused] == 1)
        try bench.stop()
    }

    @Test("a closed session's ports are free, and its slot serves the next one; descriptors do not leak over many calls")
    func openAndClose() throws {
        var bench = try Bench(capacity: 1)
        let first = try bench.openSession()
        try bench.close(first)
        for leg in Leg.allCases {
            _ = try DatagramSocket(bindingTo: first.rtp(leg))
            _ = try DatagramSocket(bindingTo: first.rtcp(leg))
        }
        let before = openDescriptors()
        for _ in 0..<10_000 {
            let taken = bench.allocator.take()
            let id = try #require(taken)
            try bench.send(.open(id, caller: first.rtp(.caller), callee: first.rtp(.callee)))
            let opened = try bench.event()
            try #require(opened == .opened(id))
            try bench.send(.close(id))
            let closed = try bench.event()
            try #require(closed == .closed(id))
            bench.allocator.giveBack(id)
        }
        #expect(openDescriptors() <= before + 2)
        try bench.stop()
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
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        #expect(try bench.event() != nil)
        #expect(try bench.event() != nil)
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
            #expect("\(error)".contains("400000064 open files"))
        }
    }
}
