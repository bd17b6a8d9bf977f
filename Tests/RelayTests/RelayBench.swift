import Core
import Testing
import Uring

@testable import Relay

/// Real workers on loopback, and what control does with them.
struct Bench: ~Copyable {
    var ring: Ring
    var pool: RelayPool
    var allocator: SessionAllocator
    private var batch = CompletionBatch()
    private var ports: PortSource

    init(workers: Int = 1, capacity: Int = 8, configure: (inout RelaySettings) -> Void = { _ in }) throws {
        var settings = RelaySettings(workers: workers, sessionCapacity: capacity)
        settings.doorbellDelay = .zero
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

    /// Opens a session again, in its slot and with its addresses, once it is closed.
    mutating func openAgain(_ former: Session) throws -> Session {
        let taken = allocator.take()
        let id = try #require(taken)
        try #require(id.index == former.id.index)
        try send(.open(id, caller: former.rtp(.caller), callee: former.rtp(.callee)))
        let answer = try event()
        #expect(answer == .opened(id))
        return Session(id: id, local: former.local)
    }

    mutating func expect(_ session: Session, _ leg: Leg, _ endpoint: borrowing Endpoint, signalling: IPAddress? = nil) throws {
        try send(.expect(session.id, leg, try endpoint.expected(signalling: signalling)))
    }

    /// Announces both ends; a packet of each locks its side, the callee's first, and the caller's is heard.
    mutating func lock(
        _ session: Session, _ caller: borrowing Endpoint, _ callee: borrowing Endpoint,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try expect(session, .caller, caller)
        try expect(session, .callee, callee)
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        let first = try event()
        #expect(first == .locked(session.id, .callee, try callee.rtp.localAddress), sourceLocation: sourceLocation)
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        let second = try event()
        #expect(second == .locked(session.id, .caller, try caller.rtp.localAddress), sourceLocation: sourceLocation)
        let heard = try callee.rtp.receiveWaiting()?.octets
        #expect(heard == rtp(0), sourceLocation: sourceLocation)
    }

    /// Media pass both ways, and RTCP, of two that are locked; nothing else is on the way.
    func exchange(
        _ session: Session, _ caller: borrowing Endpoint, _ callee: borrowing Endpoint, _ sequences: Range<UInt16>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for sequence in sequences {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            try callee.rtp.send(rtp(sequence, ssrc: 2).span, to: session.rtp(.callee))
            let (atCallee, atCaller) = (try callee.rtp.receiveWaiting()?.octets, try caller.rtp.receiveWaiting()?.octets)
            #expect(atCallee == rtp(sequence) && atCaller == rtp(sequence, ssrc: 2), sourceLocation: sourceLocation)
        }
        try caller.rtcp.send(rtcp(ssrc: 1).span, to: session.rtcp(.caller))
        let report = try callee.rtcp.receiveWaiting()?.octets
        #expect(report == rtcp(ssrc: 1), sourceLocation: sourceLocation)
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
    mutating func receiveSoonPlain() {
        busyRate = 0
        housekeepingInterval = .milliseconds(10)
        plainReceiveDelay = .zero
    }
}

struct Session {
    let id: SessionID
    let local: [SocketAddress]

    func rtp(_ leg: Leg) -> SocketAddress { local[Int(leg.rawValue)] }
    func rtcp(_ leg: Leg) -> SocketAddress { SocketAddress(ip: rtp(leg).ip, port: rtp(leg).port + 1) }
}

/// Free port pairs below the ephemeral range, for IPv4 on an address of this process alone: nobody else takes them meanwhile.
struct PortSource {
    private var next = UInt16.random(in: 5_000...10_000) * 2
    private let own = IPAddress(ipv4: 0x7f00_0000 | UInt32.random(in: 0x01_0000...0xfe_ffff))

    mutating func pair(on ip: IPAddress) throws -> SocketAddress {
        for _ in 0..<1000 {
            let port = next
            next = next < 30_000 ? next + 2 : 10_000
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
struct Endpoint: ~Copyable {
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
final class Endpoints {
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

    /// What has come already; errors of earlier sends are passed over.
    func waiting(_ index: Int) throws -> [UInt8]? {
        for _ in 0..<8 {
            if let received = try? sockets[index].socket.receive() { return received.octets }
        }
        return nil
    }

    func next(_ index: Int) throws -> [UInt8]? { try sockets[index].socket.receiveWaiting()?.octets }
}

extension DatagramSocket {
    /// The next datagram within `limit`.
    borrowing func receiveWaiting(_ limit: Duration = .seconds(5)) throws -> (octets: [UInt8], source: SocketAddress)? {
        let deadline = MonotonicClock.now + limit
        while MonotonicClock.now < deadline {
            if let received = try receive() { return received }
            yieldProcessor()
        }
        return nil
    }
}
