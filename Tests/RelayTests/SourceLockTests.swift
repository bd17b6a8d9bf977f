import Core
import Testing

@testable import Relay

/// Sources and packets of one leg under test.
private struct Scene {
    var lock = SourceLock()
    var candidate = SourceCandidate()
    var policy = LockPolicy()
    var now: UInt64 = 10_000_000_000

    static let sdp = SocketAddress("203.0.113.5:4000")!
    static let sdpOtherPort = SocketAddress("203.0.113.5:4002")!
    static let natted = SocketAddress("198.51.100.9:6000")!
    static let nattedOther = SocketAddress("198.51.100.9:6002")!
    static let stranger = SocketAddress("192.0.2.66:9")!

    /// Announced at `rtp`, signalling from the IP address of `signalling`.
    static func expecting(_ rtp: SocketAddress = sdp, signalling: SocketAddress = sdp) -> Scene {
        var scene = Scene()
        _ = scene.lock.expect(rtp: rtp, signalling: signalling.ip)
        return scene
    }

    mutating func packet(_ source: SocketAddress, _ sequence: Int, ssrc: UInt32 = 1, after milliseconds: UInt64 = 20) -> SourceLock.Decision {
        now += milliseconds * 1_000_000
        return lock.receive(
            from: source, sequenceNumber: UInt16(truncatingIfNeeded: sequence), ssrc: ssrc, now: now, policy: policy,
            candidate: &candidate)
    }

    mutating func run(_ source: SocketAddress, from start: Int = 0, count: Int, ssrc: UInt32 = 1) -> [SourceLock.Decision] {
        (start..<(start + count)).map { packet(source, $0, ssrc: ssrc) }
    }
}

@Suite("Source lock")
struct SourceLockTests {
    @Test("before the leg is expected nothing is accepted, not even six packets from anywhere")
    func notExpected() {
        var scene = Scene()
        #expect(scene.run(Scene.sdp, count: 20).allSatisfy { $0 == .reject })
        #expect(!scene.lock.isLocked)
    }

    @Test("the SDP address locks with its first packet and stays")
    func announced() {
        var scene = Scene.expecting()
        #expect(scene.packet(Scene.sdp, 5) == .lock)
        #expect(scene.packet(Scene.sdp, 60000, ssrc: 9) == .accept)
        #expect(scene.lock.isLockedToAnnounced && scene.lock.mayConnect)
    }

    @Test("with learning off only the SDP address is heard, NAT or not; asymmetric media goes to it wherever it comes from")
    func options() {
        var scene = Scene()
        _ = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.natted.ip, options: .announcedOnly)
        #expect(scene.run(Scene.natted, count: 100).allSatisfy { $0 == .reject })
        #expect(scene.packet(Scene.sdp, 1) == .lock && scene.lock.destination == Scene.sdp)

        scene = Scene()
        _ = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.natted.ip, options: .asymmetric)
        #expect(scene.run(Scene.natted, count: 6).last == .lock)
        #expect(scene.lock.source == Scene.natted && scene.lock.destination == Scene.sdp && !scene.lock.mayConnect)
        #expect(scene.run(Scene.stranger, count: 100).allSatisfy { $0 == .reject })
    }

    @Test("media may go to the SDP address before the lock only when it is the signalling host; who is heard is unchanged")
    func opensAtOnce() {
        var scene = Scene()
        _ = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.natted.ip, options: .opensAtOnce)
        #expect(!scene.lock.isOpenToAnnounced, "a third party's address in an SDP must not be sent to")
        scene = Scene()
        _ = scene.lock.expect(rtp: SocketAddress(ip: IPAddress(ipv4: 0), port: 9), signalling: IPAddress(ipv4: 0), options: .opensAtOnce)
        #expect(scene.packet(Scene.stranger, 1) == .reject)
        scene = Scene()
        _ = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.sdp.ip, options: .opensAtOnce)
        #expect(scene.lock.isOpenToAnnounced && !scene.lock.isLocked && scene.lock.destination == Scene.sdp)
        #expect(scene.run(Scene.sdpOtherPort, count: 3).allSatisfy { $0 == .reject }, "learning is as slow as ever")
        #expect(scene.lock.destination == Scene.sdp)
        #expect(scene.packet(Scene.sdp, 1) == .lock)
        _ = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.sdp.ip)
        #expect(!scene.lock.isOpenToAnnounced)
    }

    @Test("a foreign IP address never gets in: from the start, late, or in a lull")
    func foreign() {
        var scene = Scene.expecting()
        #expect(scene.run(Scene.stranger, count: 100).allSatisfy { $0 == .reject })
        #expect(scene.packet(Scene.sdp, 1) == .lock)
        #expect(scene.run(Scene.stranger, count: 100).allSatisfy { $0 == .reject })
        scene.now += 60_000_000_000
        #expect(scene.run(Scene.stranger, count: 100).allSatisfy { $0 == .reject })
        #expect(scene.lock.source == Scene.sdp)
    }

    @Test("behind NAT, the signalling IP address is learnt with the sixth consecutive packet")
    func learning() {
        var scene = Scene.expecting(signalling: Scene.natted)
        #expect(scene.run(Scene.natted, from: 65533, count: 6) == [.reject, .reject, .reject, .reject, .reject, .lock])
        #expect(scene.lock.source == Scene.natted)
    }

    @Test("a gap or another SSRC starts the run over")
    func brokenRun() {
        var scene = Scene.expecting(signalling: Scene.natted)
        #expect(scene.run(Scene.natted, from: 0, count: 5).allSatisfy { $0 == .reject })
        #expect(scene.run(Scene.natted, from: 6, count: 5).allSatisfy { $0 == .reject })
        #expect(scene.run(Scene.natted, from: 11, count: 5, ssrc: 2).allSatisfy { $0 == .reject })
        #expect(scene.packet(Scene.natted, 16, ssrc: 2) == .lock)
    }

    @Test("without NAT another port is learnt only after it was heard for a second")
    func holdOff() {
        var scene = Scene.expecting()
        let decisions = scene.run(Scene.sdpOtherPort, count: 51)  // 20 ms each: the last is 1 s after the first
        #expect(decisions.dropLast().allSatisfy { $0 == .reject })
        #expect(decisions.last == .lock)
        #expect(!scene.lock.mayConnect)
    }

    @Test("the SDP address wins over a candidate and over a learnt source")
    func announcedWins() {
        var scene = Scene.expecting(signalling: Scene.natted)
        _ = scene.run(Scene.natted, count: 5)
        #expect(scene.packet(Scene.sdp, 77) == .lock)
        #expect(scene.packet(Scene.natted, 5) == .reject)

        scene = Scene.expecting(signalling: Scene.natted)
        #expect(scene.run(Scene.natted, count: 6).last == .lock)
        #expect(scene.packet(Scene.sdp, 77) == .lock)
        #expect(scene.packet(Scene.natted, 6) == .reject)
        #expect(scene.lock.source == Scene.sdp)
    }

    @Test("while two contend nobody is learnt, even by bursts; once one is gone the other is")
    func contention() {
        var scene = Scene.expecting(signalling: Scene.natted)
        for round in 0..<50 {
            #expect(scene.packet(Scene.natted, round) == .reject)
            #expect((0..<10).map { scene.packet(Scene.nattedOther, round * 10 + $0, ssrc: 7, after: 0) }.allSatisfy { $0 == .reject })
        }
        #expect(!scene.lock.isLocked)
        let alone = scene.run(Scene.natted, from: 50, count: 120)
        #expect(alone.first { $0 == .lock } != nil)
        #expect(scene.lock.source == Scene.natted)
    }

    @Test("another port of the same address gets in after silence only, by a run; the old one stays welcome until then")
    func relockAfterSilence() {
        var scene = Scene.expecting()
        _ = scene.packet(Scene.sdp, 1)
        #expect(scene.run(Scene.sdpOtherPort, count: 20).allSatisfy { $0 == .reject })
        scene.now += 2_000_000_000
        #expect(scene.run(Scene.sdpOtherPort, from: 40, count: 3).allSatisfy { $0 == .reject })
        #expect(scene.packet(Scene.sdp, 2) == .accept)
        #expect(scene.run(Scene.sdpOtherPort, from: 43, count: 20).allSatisfy { $0 == .reject })
        scene.now += 2_000_000_000
        #expect(scene.run(Scene.natted, count: 20).allSatisfy { $0 == .reject })
        #expect(scene.run(Scene.sdpOtherPort, from: 90, count: 6).last == .lock)
        #expect(scene.packet(Scene.sdp, 3) == .lock)  // rule 2 still holds
    }

    @Test("a new SDP address: the old source is accepted until the new one's first packet, then no more")
    func reoffer() {
        var scene = Scene.expecting()
        _ = scene.packet(Scene.sdp, 1)
        let moved = SocketAddress("203.0.113.80:5000")!
        let mustHear = scene.lock.expect(rtp: moved, signalling: Scene.sdp.ip)
        #expect(mustHear && scene.lock.isReplacing && !scene.lock.mayConnect)
        #expect(scene.packet(Scene.sdp, 2) == .accept)
        #expect(scene.packet(Scene.stranger, 2) == .reject)
        #expect(scene.packet(moved, 900, ssrc: 5) == .lock)
        #expect(scene.packet(Scene.sdp, 3) == .reject)
        #expect(scene.lock.source == moved && scene.lock.mayConnect)
    }

    @Test("of several answers the latest counts: the earlier fork is heard until the later one locks, then no more")
    func forks() {
        let fork = SocketAddress("203.0.113.80:5000")!
        var scene = Scene.expecting()
        _ = scene.packet(Scene.sdp, 1)
        _ = scene.lock.expect(rtp: fork, signalling: fork.ip)
        #expect(scene.packet(Scene.sdp, 2) == .accept)
        #expect(scene.packet(fork, 1, ssrc: 2) == .lock)
        #expect(scene.packet(Scene.sdp, 3) == .reject)
        // The first one answers the call after all.
        _ = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.sdp.ip)
        #expect(scene.packet(fork, 2, ssrc: 2) == .accept)
        #expect(scene.packet(Scene.sdp, 4) == .lock)
        #expect(scene.packet(fork, 3, ssrc: 2) == .reject)
    }

    @Test("hold by 0.0.0.0 keeps the source and opens the lock to nobody; resuming at the same address changes nothing")
    func unspecified() {
        var scene = Scene.expecting()
        _ = scene.packet(Scene.sdp, 1)
        let mustHear = scene.lock.expect(rtp: SocketAddress("0.0.0.0:4000")!, signalling: Scene.sdp.ip)
        #expect(!mustHear && scene.lock.mayConnect && !scene.lock.isReplacing)
        #expect(scene.packet(Scene.sdp, 2) == .accept)
        #expect(scene.run(Scene.sdpOtherPort, count: 60).allSatisfy { $0 == .reject })
        let again = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.sdp.ip)
        #expect(!again && scene.lock.isLockedToAnnounced)
    }

    @Test("after a new offer a learnt source is not replaced by another one of its NAT while it still speaks")
    func speaksOn() {
        var scene = Scene.expecting(signalling: Scene.natted)
        _ = scene.run(Scene.natted, count: 6)
        _ = scene.lock.expect(rtp: Scene.sdpOtherPort, signalling: Scene.natted.ip)
        for sequence in 0..<100 {
            #expect(scene.packet(Scene.nattedOther, sequence, ssrc: 7, after: 10) == .reject)
            #expect(scene.packet(Scene.natted, 6 + sequence, after: 10) == .accept)
        }
        // It moved: the other is learnt once the old place is silent.
        let decisions = scene.run(Scene.nattedOther, from: 100, count: 11, ssrc: 7)
        #expect(decisions.firstIndex(of: .lock) == 9)
        #expect(scene.packet(Scene.natted, 106) == .reject)
    }

    @Test("the same SDP again changes nothing; one that names the learnt source ends the learning")
    func sameAgain() {
        var scene = Scene.expecting(signalling: Scene.natted)
        _ = scene.run(Scene.natted, count: 6)
        let unchanged = scene.lock.expect(rtp: Scene.sdp, signalling: Scene.natted.ip)
        #expect(!unchanged && !scene.lock.isReplacing)
        let named = scene.lock.expect(rtp: Scene.natted, signalling: Scene.natted.ip)
        #expect(!named && scene.lock.isLockedToAnnounced && scene.lock.mayConnect)
        #expect(scene.packet(Scene.natted, 6) == .accept)
    }

    @Test("a private SDP address behind a public signalling one can never win, so its learnt source may be connected")
    func certainNAT() {
        var scene = Scene.expecting(SocketAddress("192.168.1.7:4000")!, signalling: Scene.natted)
        #expect(scene.run(Scene.natted, count: 6).last == .lock)
        #expect(scene.lock.mayConnect)
    }
}

@Suite("RTCP source lock")
struct ControlSourceLockTests {
    private static let rtcp = SocketAddress("203.0.113.5:4001")!

    @Test("the SDP's RTCP address is accepted once expected")
    func announced() {
        var control = ControlSourceLock()
        var media = SourceLock()
        control.expect(Self.rtcp)
        #expect(control.receive(from: Self.rtcp, senderSSRC: 1, media: media, mediaSSRC: 0) == false)
        _ = media.expect(rtp: Scene.sdp, signalling: Scene.sdp.ip)
        #expect(control.receive(from: Self.rtcp, senderSSRC: 1, media: media, mediaSSRC: 0) == true)
        #expect(control.destination(media: media) == Self.rtcp)
    }

    @Test("otherwise only the locked media's IP address with its SSRC, and nobody is sent to before")
    func learnt() {
        var scene = Scene.expecting(signalling: Scene.natted)
        var control = ControlSourceLock()
        control.expect(Self.rtcp)
        #expect(control.receive(from: Scene.nattedOther, senderSSRC: 1, media: scene.lock, mediaSSRC: 1) == false)
        _ = scene.run(Scene.natted, count: 6)
        #expect(control.destination(media: scene.lock) == nil)
        #expect(control.receive(from: Scene.nattedOther, senderSSRC: 2, media: scene.lock, mediaSSRC: 1) == false)
        #expect(control.receive(from: Scene.stranger, senderSSRC: 1, media: scene.lock, mediaSSRC: 1) == false)
        #expect(control.receive(from: Scene.nattedOther, senderSSRC: 1, media: scene.lock, mediaSSRC: 1) == true)
        #expect(control.destination(media: scene.lock) == Scene.nattedOther)
        control.mediaMoved()
        #expect(control.destination(media: scene.lock) == nil)
    }

    @Test("with media locked to its SDP address the SDP's RTCP address may be sent to unheard")
    func samePeer() {
        var scene = Scene.expecting()
        var control = ControlSourceLock()
        control.expect(Self.rtcp)
        #expect(control.destination(media: scene.lock) == nil)
        _ = scene.packet(Scene.sdp, 1)
        #expect(control.destination(media: scene.lock) == Self.rtcp)
        // It is where its SDP says: so are its reports, whoever else shares its address and knows its SSRC.
        #expect(control.receive(from: Scene.sdpOtherPort, senderSSRC: 1, media: scene.lock, mediaSSRC: 1) == false)
    }
}
