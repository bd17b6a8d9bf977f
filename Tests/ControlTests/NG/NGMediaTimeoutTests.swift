import Configuration
import Control
import ControlProtocol
import Core
import NG
import Testing

/// Calls that a proxy forgot, or whose parties are gone: ended in time, and never early.
@Suite struct NGMediaTimeoutTests {
    private static let held = NGWorld.audio("198.51.100.1", "sendonly")
    private static let listening = NGWorld.audio("198.51.100.2", "recvonly")
    private static let inactive = NGWorld.audio("198.51.100.1", "inactive")

    private static func world(_ mode: NoMediaMode = .both, timeout: Int = 10) -> NGWorld {
        NGWorld {
            $0.ng.timeout = .seconds(timeout)
            $0.ng.silentTimeout = .seconds(100)
            $0.ng.offerTimeout = .seconds(50)
            $0.media.noMediaMode = mode
        }
    }

    private func expectRelease(
        _ world: NGWorld, _ due: Duration, _ cause: String, _ location: SourceLocation = #_sourceLocation
    ) {
        world.run(for: due - world.time + .seconds(5))
        let release = world.release(of: "c")
        #expect(release?.cause == cause, sourceLocation: location)
        let end = release?.at ?? .zero
        // Events have milliseconds, cut off.
        #expect(end >= due - .milliseconds(1) && end <= due + .milliseconds(200), "\(end), due \(due)", sourceLocation: location)
        world.checkEnd()
        #expect(world.problems == [], sourceLocation: location)
    }

    @Test("without any media the clock begins at the answer")
    func neverStarts() {
        let world = Self.world()
        _ = world.offer("c", from: "a", NGWorld.audio("198.51.100.1"))
        world.run(for: .seconds(20))
        let answer = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2"))
        expectRelease(world, answer.at - NGWorld.start + .seconds(10), "no_media")
        #expect(world.counters[.ngCallsTimedOut] == 1)
        #expect(world.events.count { $0.name == .mediaSilent } == 1)
    }

    @Test("ng.no_media_mode counts before that of media; one side is enough where it is meant", arguments: [
        NoMediaMode.caller, .callee, .off,
    ])
    func oneSide(mode: NoMediaMode) {
        let world = NGWorld {
            $0.ng.timeout = .seconds(10)
            $0.ng.noMediaMode = mode
            $0.media.noMediaMode = .both
        }
        let ports = world.establish("c")
        _ = world.worker.startFlow(to: ports.towardsCallee, at: world.now)
        world.run(for: .seconds(12))
        #expect((world.release(of: "c") != nil) == (mode == .caller))
        #expect(world.control.summaries(now: world.now).allSatisfy { $0.monitored == (mode == .callee) })
    }

    @Test("comfort noise agreed on by both sides: the longer time-out of silence suppression")
    func comfortNoise() {
        let world = NGWorld {
            $0.ng.timeout = .seconds(10)
            $0.media.vadTimeout = .seconds(40)
        }
        let sdp = { (address: String) in
            NGWorld.audio(address).replacing("RTP/AVP 0", with: "RTP/AVP 0 13")
        }
        _ = world.offer("c", from: "a", sdp("198.51.100.1"))
        let answer = world.answer("c", from: "a", to: "b", sdp("198.51.100.2"))
        expectRelease(world, answer.at - NGWorld.start + .seconds(40), "no_media")
        let other = NGWorld { $0.ng.timeout = .seconds(10) }
        other.establish("c", offer: sdp("198.51.100.1"))
        other.run(for: .seconds(12))
        #expect(other.release(of: "c")?.cause == "no_media", "one side alone has agreed on nothing")
    }

    @Test("mode both: the last packet of either side counts; mode any: that of the side silent for longer", arguments: [
        NoMediaMode.both, .any,
    ])
    func modes(mode: NoMediaMode) {
        let world = Self.world(mode)
        let ports = world.establish("c")
        let caller = world.worker.startFlow(to: ports.towardsCaller, at: world.now)
        let callee = world.worker.startFlow(to: ports.towardsCallee, at: world.now)
        world.run(for: .seconds(33))
        #expect(world.release(of: "c") == nil)
        caller.end = world.now
        let callerEnd = world.time
        callee.end = world.now + .seconds(7)
        let last = mode == .both ? callerEnd + .seconds(7) : callerEnd
        expectRelease(world, last - .milliseconds(20) + .seconds(10), "no_media")
    }

    @Test("an offer nobody answers ends after the offer's time-out, counted from the last offer")
    func offerTimeout() {
        let world = Self.world()
        _ = world.offer("c", from: "a", NGWorld.audio("198.51.100.1"))
        world.run(for: .seconds(30))
        let start = world.time
        _ = world.offer("c", from: "a", NGWorld.audio("198.51.100.1"))
        expectRelease(world, start + .seconds(50), "ringing_timeout")
    }

    @Test("a call on hold on both sides has the longer time-out, and back from hold the short one")
    func hold() {
        let world = Self.world()
        world.establish("c")
        _ = world.offer("c", from: "a", to: "b", Self.inactive)
        _ = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2", "inactive"))
        world.run(for: .seconds(60))
        #expect(world.release(of: "c") == nil)
        _ = world.offer("c", from: "a", to: "b", NGWorld.audio("198.51.100.1"))
        let back = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2"))
        expectRelease(world, back.at - NGWorld.start + .seconds(10), "no_media")
    }

    @Test("a call left on hold ends after the longer time-out")
    func forgottenHold() {
        let world = Self.world()
        world.establish("c")
        _ = world.offer("c", from: "a", to: "b", Self.inactive)
        let held = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2", "inactive"))
        expectRelease(world, held.at - NGWorld.start + .seconds(100), "no_media")
    }

    @Test("a call that one side holds has the longer time-out in every mode, with music or without")
    func musicOnHold() {
        let world = Self.world(.any)
        let ports = world.establish("c")
        let music = world.worker.startFlow(to: ports.towardsCaller, at: world.now)
        _ = world.offer("c", from: "a", to: "b", Self.held)
        _ = world.answer("c", from: "a", to: "b", Self.listening)
        world.run(for: .seconds(30))
        #expect(world.release(of: "c") == nil)
        music.end = world.now
        world.run(for: .seconds(60))
        #expect(world.release(of: "c") == nil)
        world.run(for: .seconds(50))
        #expect(world.release(of: "c")?.cause == "no_media")
    }

    @Test("hold by 0.0.0.0 is hold, though the other side's phone says nothing of it")
    func oldHold() {
        let world = Self.world()
        world.establish("c")
        let zero = world.offer("c", from: "a", to: "b", NGWorld.audio("0.0.0.0"))
        #expect(zero.address() == "0.0.0.0")
        let held = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2"))
        world.run(for: .seconds(60))
        #expect(world.release(of: "c") == nil)
        expectRelease(world, held.at - NGWorld.start + .seconds(100), "no_media")
    }

    @Test("a declined medium is not waited for")
    func declinedMedium() {
        let world = Self.world(.any)
        let ports = world.establish(
            "c", offer: NGWorld.audio("198.51.100.1", "inactive", more: "m=video 32000 RTP/AVP 96\r\n"),
            answer: NGWorld.audio("198.51.100.2", "inactive", more: "m=video 0 RTP/AVP 96\r\n"))
        #expect(ports.towardsCaller != 0)
        world.run(for: .seconds(60))
        #expect(world.release(of: "c") == nil)
    }

    @Test("a deleted call ends by its delay: silence is no news then")
    func deleted() {
        let world = Self.world()
        world.establish("c")
        let start = world.time
        _ = world.delete("c", from: "a", to: "b", ["delete-delay": .integer(30)])
        expectRelease(world, start + .seconds(30), "normal")
        #expect(world.counters[.ngCallsTimedOut] == 0)
    }

    @Test("a time-out of 0 switches it off")
    func off() {
        let world = Self.world(timeout: 0)
        world.establish("c")
        world.run(for: .seconds(10_000))
        #expect(world.release(of: "c") == nil)
    }

    @Test("timers of calls that are gone do not pile up")
    func timers() {
        let world = NGWorld()  // an offer may wait for an hour
        for id in 0..<200 {
            world.establish("c\(id)")
            _ = world.delete("c\(id)", ["delete-delay": .integer(0)])
        }
        world.checkEnd()
        // The look after each call that is gone falls due, and none after it.
        world.run(for: .seconds(61))
        #expect(world.control.nextDeadline == nil)
    }
}
