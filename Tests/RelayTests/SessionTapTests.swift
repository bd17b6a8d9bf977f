import Core
import RTP
import Testing
import Uring

@testable import Relay

@Suite("A session that is listened to")
struct SessionTapTests {
    /// Packets tapped until now, of a worker that has handled all that was sent.
    private static func tapped(_ bench: borrowing Bench, atLeast count: Int) throws -> [(packet: TappedPacket, octets: [UInt8])] {
        let tap = bench.pool.tap(worker: 0)
        var packets: [(packet: TappedPacket, octets: [UInt8])] = []
        _ = try bench.eventually { _ in
            while let next = tap.next() { packets.append(next) }
            return packets.count >= count
        }
        return packets
    }

    /// Both legs locked by a first packet each.
    private func lock(_ bench: inout Bench, _ session: Session, _ caller: borrowing Endpoint, _ callee: borrowing Endpoint) throws {
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: session.rtp(.callee))
        #expect(try bench.event() == .locked(session.id, .callee, callee.rtp.localAddress))
        try caller.rtp.send(rtp(0).span, to: session.rtp(.caller))
        #expect(try bench.event() == .locked(session.id, .caller, caller.rtp.localAddress))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(0))
    }

    @Test("every datagram of both legs is copied with where it came from and went to, and none once it is over", arguments: [false, true])
    func copies(isPlain: Bool) throws {
        var bench = try Bench { if isPlain { $0.receiveSoonPlain() } }
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try lock(&bench, session, caller, callee)
        #expect(bench.pool.tap(worker: 0).next() == nil, "nothing is copied unasked")

        try bench.send(.tap(session.id, isOn: true))
        let before = bench.pool.statistics[session.id.index, .caller].packets
        var sequence: UInt16 = 100
        // The worker reads its mailbox when it wakes: the first packets may pass before.
        var packets: [(packet: TappedPacket, octets: [UInt8])] = []
        while packets.isEmpty {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
            sequence += 1
            while let next = bench.pool.tap(worker: 0).next() { packets.append(next) }
        }
        #expect(bench.pool.statistics[session.id.index, .caller].packets > before)
        let address = (caller: try caller.rtp.localAddress, callee: try callee.rtp.localAddress)
        let rtcpAddress = (caller: try caller.rtcp.localAddress, callee: try callee.rtcp.localAddress)
        let first = try #require(packets.last)
        #expect(first.octets == rtp(sequence - 1))
        #expect(first.packet.session == session.id && first.packet.leg == .caller && !first.packet.isOnRTCPPort)
        #expect(first.packet.isAccepted && !first.packet.isWithheld)
        #expect(first.packet.source == address.caller && first.packet.destination == address.callee)

        try callee.rtp.send(rtp(1, ssrc: 2).span, to: session.rtp(.callee))
        try caller.rtcp.send(rtcp(ssrc: 1).span, to: session.rtcp(.caller))
        packets = try Self.tapped(bench, atLeast: 2)
        let back = try #require(packets.first { $0.packet.leg == .callee })
        #expect(back.packet.source == address.callee && back.packet.destination == address.caller)
        let report = try #require(packets.first { $0.packet.isOnRTCPPort })
        #expect(report.octets == rtcp(ssrc: 1) && report.packet.source == rtcpAddress.caller)
        #expect(report.packet.leftByRTCPPort && report.packet.destination == rtcpAddress.callee)

        // What is held back is copied, and says so; a treatment does not end the copies.
        try bench.send(.treat(session.id, .caller, MediaTreatment(isBlocked: true)))
        var isWithheld = false
        while !isWithheld {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            sequence += 1
            for (packet, _) in try Self.tapped(bench, atLeast: 1) where packet.leg == .caller {
                isWithheld = packet.isWithheld && packet.destination == nil
            }
        }
        try bench.send(.tap(session.id, isOn: false))
        try bench.send(.treat(session.id, .caller, MediaTreatment()))
        while try callee.rtp.receive() != nil {}
        var isRelayedAgain = false
        while !isRelayedAgain {
            try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            sequence += 1
            isRelayedAgain = try callee.rtp.receiveWaiting(.milliseconds(20)) != nil
        }
        while bench.pool.tap(worker: 0).next() != nil {}
        try caller.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(sequence))
        #expect(bench.pool.tap(worker: 0).next() == nil)
        try bench.close(session)
        try bench.stop()
    }

    @Test("a stranger's datagram is copied as a stranger's, and goes nowhere")
    func strangers() throws {
        var bench = try Bench()
        let session = try bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        let stranger = try Endpoint(on: IPAddress("127.0.9.1")!)
        try bench.expect(session, .caller, caller)
        try bench.expect(session, .callee, callee)
        try bench.send(.tap(session.id, isOn: true))
        try stranger.rtp.send(rtp(7).span, to: session.rtp(.caller))
        let packets = try Self.tapped(bench, atLeast: 1)
        let packet = try #require(packets.first?.packet)
        let address = try stranger.rtp.localAddress
        #expect(!packet.isAccepted && packet.destination == nil && packet.source == address)
        #expect(try callee.rtp.receive() == nil)
        try bench.close(session)
        try bench.stop()
    }
}
