import Core
import Testing
import Uring

@testable import Relay

/// Attacker by peer, over real sockets: what is bled to whom and injected by whom, and how long audio is interrupted.
extension RelayPoolTests {
    @Suite("Nothing bled, nothing injected")
    struct SourceMatrixTests {}
}

extension RelayPoolTests.SourceMatrixTests {
    /// Where the caller sends from.
    enum Peer: CaseIterable {
        case atSDPAddress
        /// Its SDP names a private address; it is seen at the address of its signalling.
        case behindNATWithOtherAddress
        /// Its SDP names another port of the address it is seen at.
        case behindNATWithOtherPort
        case movesToOtherPort
        case movesToOtherAddress
        case movesWithOffer
        /// The new offer names another private port, and the NAT chose another public one.
        case movesBehindNATWithOffer

        var isBehindNAT: Bool { self == .behindNATWithOtherAddress || self == .movesBehindNATWithOffer }
        var moves: Bool {
            switch self {
            case .atSDPAddress, .behindNATWithOtherAddress, .behindNATWithOtherPort: false
            default: true
            }
        }
        var offersAgain: Bool { self == .movesWithOffer || self == .movesBehindNATWithOffer }

        /// How long audio may be missing at the callee: from the start, or from the move. Nil for ever.
        var interruption: Duration? {
            switch self {
            case .atSDPAddress, .movesWithOffer: .zero
            case .behindNATWithOtherAddress: Row.run
            case .behindNATWithOtherPort: Row.holdOff + Row.run
            case .movesToOtherPort: Row.silence + Row.run
            case .movesBehindNATWithOffer: .milliseconds(200) + Row.run
            // Another address and no word of it: indistinguishable from an attacker anywhere.
            case .movesToOtherAddress: nil
            }
        }
    }

    enum Attack: CaseIterable {
        case fromTheStart
        case later
    }

    /// One call: the callee is at its SDP address, the caller is `peer`, and the attacker copies the caller's packets.
    struct Row: ~Copyable {
        static let holdOff = Duration.milliseconds(60)
        static let silence = Duration.milliseconds(120)
        static let pace = Duration.milliseconds(2)
        static let run = pace * 6
        /// What a busy host may add to any of these.
        static let slack = Duration.milliseconds(500)
        static let attackPayload: UInt8 = 0x66

        var bench: Bench
        let session: Session
        let home: Endpoint
        let away: Endpoint
        let callee: Endpoint
        let attacker: Endpoint
        var hasMoved = false
        var sequence: UInt16 = 0
        /// Behind the peer's NAT its reports can be taken over by who knows its SSRC; its media cannot.
        var attackerKnowsSSRC = true
        var bled = 0
        var injected = 0
        /// When the callee first heard the caller, and from its new place.
        var firstHeard: Instant?
        var heardAfterMove: Instant?

        private init(
            bench: consuming Bench, session: Session, home: consuming Endpoint, away: consuming Endpoint,
            callee: consuming Endpoint, attacker: consuming Endpoint
        ) {
            self.bench = bench
            self.session = session
            self.home = home
            self.away = away
            self.callee = callee
            self.attacker = attacker
        }

        static func make(awayIP: IPAddress, attackerIP: IPAddress, inKernel: Bool = false) throws -> Row {
            var bench = try Bench {
                $0.usesKernelPath = inKernel
                $0.kernelPathHasLoopback = true
                $0.housekeepingInterval = .milliseconds(10)
                $0.plainReceiveDelay = .milliseconds(20)
                $0.lock.learningHoldOff = holdOff
                $0.lock.relockSilence = silence
            }
            let session = try bench.openSession()
            return Row(
                bench: bench, session: session, home: try Endpoint(on: homeIP), away: try Endpoint(on: awayIP),
                callee: try Endpoint(), attacker: try Endpoint(on: attackerIP))
        }

        static let homeIP = IPAddress("127.0.2.1")!
        static let otherIP = IPAddress("127.0.2.2")!

        mutating func expectCaller(at address: SocketAddress) throws {
            let rtcp = SocketAddress(ip: address.ip, port: address.port + 1)
            let source = ExpectedSource(rtp: address, rtcp: rtcp, signalling: Self.homeIP)
            try bench.send(.expect(session.id, .caller, source))
        }

        /// Media of both sides and, when asked, of the attacker, for `duration`, or until `isDone`.
        mutating func play(for duration: Duration, attack: Bool, until isDone: (borrowing Row) -> Bool = { _ in false }) {
            let end = MonotonicClock.now + duration
            var next = MonotonicClock.now
            while MonotonicClock.now < end, !isDone(self) {
                if attack { strike() }
                speak()
                next = max(next + Self.pace, MonotonicClock.now)
                repeat { listen() } while MonotonicClock.now < next
            }
        }

        private mutating func speak() {
            sequence &+= 1
            // The kernel refuses what comes from a port that the relay's socket is not connected to.
            if hasMoved {
                try? away.rtp.send(rtp(sequence, ssrc: 3).span, to: session.rtp(.caller))
            } else {
                try? home.rtp.send(rtp(sequence).span, to: session.rtp(.caller))
            }
            try? callee.rtp.send(rtp(sequence, ssrc: 2).span, to: session.rtp(.callee))
        }

        /// The caller's own next packets, a burst of them, with a payload that tells them apart; RTCP; and something else.
        private func strike() {
            for leg in Leg.allCases {
                for step in 0..<3 as Range<UInt16> {
                    var packet = rtp(sequence &* 3 &+ step)
                    packet.replaceSubrange(12..., with: repeatElement(Self.attackPayload, count: 10))
                    try? attacker.rtp.send(packet.span, to: session.rtp(leg))
                }
                let report = rtcp(ssrc: attackerKnowsSSRC ? 1 : 66) + [0x80, 203, 0, 1] + [UInt8](repeating: Self.attackPayload, count: 4)
                try? attacker.rtp.send(report.span, to: session.rtp(leg))
                try? attacker.rtcp.send(report.span, to: session.rtcp(leg))
                let stun: [UInt8] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42] + [UInt8](repeating: Self.attackPayload, count: 12)
                try? attacker.rtp.send(stun.span, to: session.rtp(leg))
            }
        }

        mutating func listen() {
            while let received = try? callee.rtp.receive() {
                if received.octets.last == Self.attackPayload {
                    injected += 1
                } else {
                    if firstHeard == nil { firstHeard = MonotonicClock.now }
                    if received.octets[11] == 3 && heardAfterMove == nil { heardAfterMove = MonotonicClock.now }
                }
            }
            for octets in [try? home.rtp.receive()?.octets, try? away.rtp.receive()?.octets, try? callee.rtcp.receive()?.octets] {
                if octets?.last == Self.attackPayload { injected += 1 }
            }
            // Refusals by the kernel are errors, not datagrams.
            for received in [try? attacker.rtp.receive()?.octets, try? attacker.rtcp.receive()?.octets] where received != nil { bled += 1 }
        }

        mutating func expectNothingBledOrInjected() {
            listen()
            #expect(bled == 0 && injected == 0)
        }
    }

    @Test(
        "an attacker elsewhere gets nothing and is not heard, whatever the peer does; audio is interrupted only for the time it takes to lock",
        arguments: Attack.allCases, Peer.allCases)
    func matrix(attack: Attack, peer: Peer) throws { try play(attack, peer, inKernel: false) }

    @Test(
        "nor is it where streams pass inside the kernel", .enabled(if: KernelPath.mayLoad, KernelPath.whatItNeeds),
        arguments: Attack.allCases, Peer.allCases)
    func matrixInKernel(attack: Attack, peer: Peer) throws { try play(attack, peer, inKernel: true) }

    private func play(_ attack: Attack, _ peer: Peer, inKernel: Bool) throws {
        let isAway = peer == .movesToOtherAddress || peer == .movesWithOffer
        var row = try Row.make(awayIP: isAway ? Row.otherIP : Row.homeIP, attackerIP: IPAddress("127.0.66.66")!, inKernel: inKernel)
        let home = try row.home.rtp.localAddress
        if peer.isBehindNAT {
            try row.expectCaller(at: SocketAddress("10.9.9.9:4000")!)
        } else if peer == .behindNATWithOtherPort {
            try row.expectCaller(at: row.home.rtcp.localAddress)
        } else {
            try row.expectCaller(at: home)
        }
        try row.bench.expect(row.session, .callee, row.callee)

        let start = MonotonicClock.now
        row.play(for: .seconds(5), attack: attack == .fromTheStart) { $0.firstHeard != nil }
        let firstHeard = row.firstHeard
        let lockTime = try #require(firstHeard) - start
        if !peer.moves { #expect(lockTime <= peer.interruption! + Row.slack) }
        row.play(for: .milliseconds(60), attack: attack == .fromTheStart)
        row.play(for: .milliseconds(60), attack: true)
        row.expectNothingBledOrInjected()

        if peer.moves {
            row.hasMoved = true
            let moved = MonotonicClock.now
            if peer == .movesWithOffer { try row.expectCaller(at: row.away.rtp.localAddress) }
            if peer == .movesBehindNATWithOffer { try row.expectCaller(at: SocketAddress("10.9.9.9:4002")!) }
            if let interruption = peer.interruption {
                row.play(for: .seconds(5), attack: true) { $0.heardAfterMove != nil }
                let heard = row.heardAfterMove
                #expect(try #require(heard) - moved <= interruption + Row.slack)
            } else {
                row.play(for: Row.silence * 2, attack: true)
                #expect(row.heardAfterMove == nil)
            }
            row.play(for: .milliseconds(60), attack: true)
        } else {
            let locked = row.bench.pool.statistics[row.session.id.index, .caller]
            #expect(locked.source == home && locked.lost == 0)
        }
        row.expectNothingBledOrInjected()
        try row.bench.close(row.session)
        if inKernel {
            for leg in Leg.allCases { #expect(row.bench.pool.statistics[row.session.id.index, leg].kernelPackets > 20) }
        }
        try row.bench.stop()
    }

    @Test("an attacker at the peer's own IP address is not heard while the peer sends from its SDP address", arguments: Attack.allCases)
    func sameAddress(attack: Attack) throws {
        var row = try Row.make(awayIP: Row.homeIP, attackerIP: Row.homeIP)
        try row.expectCaller(at: row.home.rtp.localAddress)
        try row.bench.expect(row.session, .callee, row.callee)
        row.play(for: .seconds(5), attack: attack == .fromTheStart) { $0.firstHeard != nil }
        row.play(for: Row.silence * 3, attack: true)
        row.expectNothingBledOrInjected()
        #expect(row.bench.pool.statistics[row.session.id.index, .caller].lost == 0)
        try row.bench.close(row.session)
        try row.bench.stop()
    }

    @Test("behind one NAT with the peer and sending from the start, an attacker keeps both silent; once it stops the peer is heard")
    func sameNAT() throws {
        var row = try Row.make(awayIP: Row.homeIP, attackerIP: Row.homeIP)
        row.attackerKnowsSSRC = false
        try row.expectCaller(at: SocketAddress("10.9.9.9:4000")!)
        try row.bench.expect(row.session, .callee, row.callee)
        row.play(for: .milliseconds(200), attack: true)
        #expect(row.firstHeard == nil)
        row.expectNothingBledOrInjected()
        let stopped = MonotonicClock.now
        row.play(for: .seconds(5), attack: false) { $0.firstHeard != nil }
        let firstHeard = row.firstHeard
        let heard = try #require(firstHeard)
        #expect(heard - stopped <= Row.holdOff + Row.run + Row.slack)
        // Locked, the peer keeps its place against the same attacker.
        row.play(for: .milliseconds(200), attack: true)
        row.expectNothingBledOrInjected()
        try row.bench.close(row.session)
        try row.bench.stop()
    }
}
