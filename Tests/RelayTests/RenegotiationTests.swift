import Core
import Testing
import Uring

@testable import Relay

/// What signalling may change during a call, over real sockets.
extension RelayPoolTests {
    @Suite("What signalling changes")
    struct RenegotiationTests {}
}

extension RelayPoolTests.RenegotiationTests {
    /// Both legs locked by a first packet each.
    private func lock(_ bench: inout Bench, _ session: Session, _ caller: borrowing Endpoint, _ callee: borrowing Endpoint) throws {
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, caller.rtp.localAddress))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(0))
    }

    @Test(
        "RTCP of a leg on one port crosses to one with two ports and back, and the sockets' addresses are right",
        arguments: [false, true])
    func multiplexed(isPlain: Bool) throws {
        var bench = try Bench { if isPlain { $0.receiveSoonPlain() } }
        let session = try bench.openSession(caller: .ipv4Loopback, callee: .ipv6Loopback)
        let caller = try Endpoint()
        let callee = try Endpoint(on: .ipv6Loopback)
        var muxed = try caller.expected()
        muxed.rtcp = muxed.rtp
        muxed.isRTCPMuxed = true
        try bench.send(.expect(session.id, .caller, muxed))
        try bench.expect(session, .callee, callee)
        try lock(&bench, session, caller, callee)
        for step in 1...20 as ClosedRange<UInt16> {
            try caller.rtp.send(rtcp(ssrc: 1).span, to: session.rtp(.caller))
            let down = try #require(try callee.rtcp.receiveWaiting())
            #expect(down.octets == rtcp(ssrc: 1) && down.source == session.rtcp(.callee))
            try callee.rtcp.send(rtcp(ssrc: 2).span, to: session.rtcp(.callee))
            let up = try #require(try caller.rtp.receiveWaiting())
            #expect(up.octets == rtcp(ssrc: 2) && up.source == session.rtp(.caller))
            try caller.rtp.send(rtp(step).span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting()?.octets == rtp(step))
        }
        let last = bench.pool.activity.last(session.id.index, .callee)
        try callee.rtcp.send(rtcp(ssrc: 2).span, to: session.rtcp(.callee))
        #expect(try caller.rtp.receiveWaiting() != nil)
        #expect(bench.pool.activity.last(session.id.index, .callee) == last)
        // Muxing ends with a new offer: reports leave by the RTCP port again.
        try bench.expect(session, .caller, caller)
        try callee.rtcp.send(rtcp(ssrc: 2).span, to: session.rtcp(.callee))
        #expect(try caller.rtcp.receiveWaiting()?.source == session.rtcp(.caller))
        try bench.close(session)
        try bench.stop()
    }

    @Test("a call becomes a fax without a lost packet: audio passes until the end, then udptl both ways, from another port too", arguments: [false, true])
    func fax(isPlain: Bool) throws {
        var bench = try Bench { if isPlain { $0.receiveSoonPlain() } }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try lock(&bench, session, caller, callee)
        // The callee offers T.38 on another port (its second socket), the caller accepts on the same one.
        let faxAddress = try callee.rtcp.localAddress
        let offer = ExpectedSource(rtp: faxAddress, rtcp: faxAddress, signalling: faxAddress.ip, transport: .datagram)
        try bench.send(.expect(session.id, .callee, offer))
        for sequence in 1...20 as ClosedRange<UInt16> {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
            try callee.rtp.send(rtp(sequence, ssrc: 2).span, to: session.rtp(.callee))
            #expect(try caller.rtp.receiveWaiting()?.octets == rtp(sequence, ssrc: 2))
        }
        var answer = try caller.expected()
        answer.transport = .datagram
        try bench.send(.expect(session.id, .caller, answer))
        for sequence in 0..<40 as Range<UInt16> {
            let udptl: [UInt8] = [UInt8(sequence * 6), UInt8(sequence), 6, 1]
            try callee.rtcp.send(udptl.span, to: session.rtp(.callee))
            #expect(try caller.rtp.receiveWaiting()?.octets == udptl)
            try caller.rtp.send(udptl.span, to: session.rtp(.caller))
            #expect(try callee.rtcp.receiveWaiting()?.octets == udptl)
        }
        #expect(try bench.event() == .locked(session.id, .callee, faxAddress))
        try? callee.rtp.send(rtp(30, ssrc: 2).span, to: session.rtp(.callee))
        try callee.rtcp.send([9, 9, 9].span, to: session.rtp(.callee))
        #expect(try caller.rtp.receiveWaiting()?.octets == [9, 9, 9])
        try bench.close(session)
        try bench.stop()
    }

    @Test("of three answers the latest counts: each fork is heard until the next one speaks, and is sent to no longer than that")
    func forks() throws {
        var bench = try Bench()
        let session = try bench.openSession()
        let caller = try Endpoint()
        let forks = try Endpoints(count: 3)
        try bench.expect(session, .caller, caller)
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, caller.rtp.localAddress))
        for (turn, fork) in [0, 1, 2, 0].enumerated() {
            let address = try forks.address(fork)
            try bench.send(.expect(session.id, .callee, ExpectedSource(rtp: address, rtcp: address, signalling: address.ip)))
            if turn > 0 {
                // Early media of the fork before goes on without a gap.
                let before = (fork + 2) % 3
                for sequence in 1...10 as ClosedRange<UInt16> {
                    try forks.send(rtp(sequence, ssrc: UInt32(before + 10)), from: before, to: session.rtp(.callee))
                    #expect(try caller.rtp.receiveWaiting()?.octets == rtp(sequence, ssrc: UInt32(before + 10)))
                }
            }
            try forks.send(rtp(50, ssrc: UInt32(fork + 10)), from: fork, to: session.rtp(.callee))
            #expect(try caller.rtp.receiveWaiting()?.octets == rtp(50, ssrc: UInt32(fork + 10)))
            #expect(try bench.event() == .locked(session.id, .callee, address))
            for other in 0..<3 where other != fork {
                try? forks.send(rtp(60, ssrc: UInt32(other + 10)), from: other, to: session.rtp(.callee))
            }
            try forks.send(rtp(51, ssrc: UInt32(fork + 10)), from: fork, to: session.rtp(.callee))
            #expect(try caller.rtp.receiveWaiting()?.octets == rtp(51, ssrc: UInt32(fork + 10)))
            try caller.rtp.send(rtp(UInt16(turn)).span, to: session.rtp(.caller))
            #expect(try forks.next(fork) == rtp(UInt16(turn)))
        }
        try bench.close(session)
        try bench.stop()
    }

    @Test("hold by 0.0.0.0 and back at the same address loses no packet; blocked and silenced as told")
    func holdAndTreatment() throws {
        var bench = try Bench { $0.receiveSoonPlain() }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try lock(&bench, session, caller, callee)
        var held = try caller.expected()
        held.rtp = SocketAddress("0.0.0.0:9")!
        held.rtcp = held.rtp
        for (round, source) in [held, try caller.expected(), held, try caller.expected()].enumerated() {
            try bench.send(.expect(session.id, .caller, source))
            for step in 1...10 as ClosedRange<UInt16> {
                let sequence = UInt16(round) * 10 + step
                try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
                #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
            }
            #expect(try bench.eventually { $0.statistics.isExpectedToSend(session.id.index, .callee) == (round % 2 == 1) })
        }
        try bench.send(.treat(session.id, .caller, MediaTreatment(isSilenced: true)))
        var sequence: UInt16 = 41
        var heard: [UInt8] = []
        let deadline = MonotonicClock.now + .seconds(5)
        while heard.last != 0xff, MonotonicClock.now < deadline {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            heard = try #require(try callee.rtp.receiveWaiting()).octets
            #expect(heard.prefix(12) == rtp(sequence).prefix(12))
            sequence += 1
        }
        #expect(heard.suffix(10) == [UInt8](repeating: 0xff, count: 10)[...])
        try bench.send(.treat(session.id, .caller, MediaTreatment(isBlocked: true)))
        while bench.pool.counters(worker: 0)[.droppedBlocked] == 0, MonotonicClock.now < deadline {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            sequence += 1
        }
        while try callee.rtp.receive() != nil {}
        try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
        try callee.rtp.send(rtp(1, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try caller.rtp.receiveWaiting()?.octets == rtp(1, ssrc: 2))
        #expect(try callee.rtp.receive() == nil)
        #expect(bench.pool.statistics[session.id.index, .caller].lost == 0)
        try bench.close(session)
        try bench.stop()
    }

    @Test("the legs of one session may be on different local addresses, and neither is reached through the other's")
    func interfaces() throws {
        var bench = try Bench()
        var inside = PortSource()
        var outside = PortSource()
        let taken = bench.allocator.take()
        let id = try #require(taken)
        let session = Session(id: id, local: [try inside.pair(on: .ipv4Loopback), try outside.pair(on: .ipv4Loopback)])
        #expect(session.rtp(.caller).ip != session.rtp(.callee).ip)
        try bench.send(.open(id, caller: session.rtp(.caller), callee: session.rtp(.callee)))
        #expect(try bench.event() == .opened(id))
        let caller = try Endpoint(on: IPAddress("127.0.3.1")!)
        let callee = try Endpoint(on: IPAddress("127.0.4.1")!)
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try lock(&bench, session, caller, callee)
        try callee.rtp.send(rtp(1, ssrc: 2).span, to: session.rtp(.callee))
        let received = try #require(try caller.rtp.receiveWaiting())
        #expect(received.source == session.rtp(.caller))
        try caller.rtcp.send(rtcp(ssrc: 1).span, to: session.rtcp(.caller))
        #expect(try callee.rtcp.receiveWaiting()?.source == session.rtcp(.callee))
        try bench.close(session)
        try bench.stop()
    }
}
