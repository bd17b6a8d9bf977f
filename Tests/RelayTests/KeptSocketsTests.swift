import Core
import Testing
import Uring

@testable import Relay

extension RelayPoolTests {
    @Suite("Sockets kept for the next session")
    struct KeptSocketsTests {}
}

extension RelayPoolTests.KeptSocketsTests {
    /// One slot, whose sockets go from session to session.
    private struct Scene: ~Copyable {
        var bench: Bench
        let faults = KernelFaults()
        var session: Session

        init(quietTime: Duration? = nil, configure: (inout RelaySettings) -> Void = { _ in }) throws {
            let faults = faults
            var bench = try Bench(capacity: 1) {
                $0.faults = faults
                $0.housekeepingInterval = .milliseconds(10)
                $0.quietTime = quietTime
                configure(&$0)
            }
            session = try bench.openSession()
            self.bench = bench
        }

        func counter(_ counter: Counter) -> UInt64 { bench.pool.counters(worker: 0)[counter] }

        var reused: UInt64 { bench.pool.counters[.socketsReused] }

        mutating func closeAndOpenAgain() throws {
            try bench.close(session)
            session = try bench.openAgain(session)
        }

        /// Media, and RTCP, of these two both ways, from the first packets on; statistics are those of this session alone.
        mutating func expectCall(_ caller: borrowing Endpoint, _ callee: borrowing Endpoint, packets: UInt16 = 20) throws {
            try bench.lock(session, caller, callee)
            try bench.exchange(session, caller, callee, 1..<packets)
            for leg in Leg.allCases {
                let statistics = bench.pool.statistics[session.id.index, leg]
                #expect(statistics.packets == UInt64(packets) && statistics.strangersDropped == 0 && statistics.portRefusals == 0)
            }
        }
    }

    @Test(
        "a session has those of the one before, hears its own peers from their first packet on, and nobody else",
        arguments: [false, true])
    func reuse(isPlain: Bool) throws {
        var scene = try Scene { if isPlain { $0.receiveSoonPlain() } }
        for round in 0..<5 as Range<UInt64> {
            let caller = try Endpoint()
            let callee = try Endpoint(on: IPAddress("127.0.0.2")!)
            try scene.expectCall(caller, callee, packets: 20)
            if isPlain {
                // Housekeeping has the socket receive without addresses meanwhile.
                let end = MonotonicClock.now + .milliseconds(30)
                while MonotonicClock.now < end { yieldProcessor() }
            }
            #expect(scene.reused == round)
            try scene.closeAndOpenAgain()
            #expect(scene.bench.pool.activity.last(scene.session.id.index, .caller) == nil)
            #expect(scene.bench.pool.statistics[scene.session.id.index, .caller] == LegStatistics())
        }
        #expect(scene.reused == 5 && scene.bench.pool.keptCount == 0)
        // A single run of sockets: none was made after the first four.
        #expect(scene.bench.pool.counters[.socketsRefused] == 0)
        try scene.bench.stop()
    }

    @Test("what old peers send after the end is counted and thrown away; as long as they do, the next session gets other sockets")
    func strays() throws {
        var scene = try Scene(quietTime: .seconds(60))
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        let before = scene.bench.pool.statistics[scene.session.id.index, .caller]
        try scene.bench.close(scene.session)
        #expect(scene.bench.pool.keptCount == 1)
        for sequence in 100..<200 as Range<UInt16> {
            try caller.rtp.send(rtp(sequence).span, to: scene.session.rtp(.caller))
            try callee.rtcp.send(rtcp(ssrc: 2).span, to: scene.session.rtcp(.callee))
        }
        #expect(try scene.bench.eventually { $0.counters(worker: 0)[.droppedNoSession] == 200 })
        #expect(scene.bench.pool.statistics[scene.session.id.index, .caller].packets == before.packets)
        #expect(try callee.rtp.receive() == nil)

        scene.session = try scene.bench.openAgain(scene.session)
        #expect(scene.reused == 0)
        // The very peers of the old session call again.
        try scene.expectCall(caller, callee)
        try scene.bench.stop()
    }

    @Test("once nothing has come for the quiet time the very peers of the old session call again, and none of what they sent counts")
    func quiet() throws {
        var scene = try Scene(quietTime: .milliseconds(30))
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        for round in 0..<5 as Range<UInt64> {
            try scene.bench.close(scene.session)
            for sequence in 100..<164 as Range<UInt16> { try caller.rtp.send(rtp(sequence).span, to: scene.session.rtp(.caller)) }
            let dropped = 64 * (round + 1)
            #expect(try scene.bench.eventually { $0.counters(worker: 0)[.droppedNoSession] == dropped })
            // The worker says at its next look how long it has heard nothing.
            #expect(try scene.bench.eventually { $0.isQuiet(0) })
            scene.session = try scene.bench.openAgain(scene.session)
            #expect(scene.reused == round + 1)
            try scene.expectCall(caller, callee)
        }
        try scene.bench.stop()
    }

    @Test("what ICMP says of the old peer is not put down to the new session")
    func refusals() throws {
        var scene = try Scene()
        let caller = try Endpoint()
        do {
            let callee = try Endpoint()
            try scene.expectCall(caller, callee)
        }
        // The callee's sockets are closed: what is sent on is refused.
        for sequence in 20..<24 as Range<UInt16> { try caller.rtp.send(rtp(sequence).span, to: scene.session.rtp(.caller)) }
        let index = scene.session.id.index
        #expect(try scene.bench.eventually { $0.statistics[index, .callee].portRefusals > 0 })
        for sequence in 24..<40 as Range<UInt16> { try caller.rtp.send(rtp(sequence).span, to: scene.session.rtp(.caller)) }
        try scene.closeAndOpenAgain()
        #expect(scene.reused == 1)
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        try scene.bench.stop()
    }

    @Test("sockets that fail at the end of a session are not kept, and a session that waits for that gets its own")
    func failure() throws {
        var scene = try Scene()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        scene.faults.inject(.failDisconnects(1))
        try scene.closeAndOpenAgain()
        #expect(scene.reused == 0)
        try scene.expectCall(caller, callee)
        try scene.closeAndOpenAgain()
        #expect(scene.reused == 1)
        try scene.bench.stop()
    }

    @Test("receives that end while no session has the sockets are armed again", arguments: [Errno.noBuffers, .cancelled, .refused])
    func receivesEnd(code: Errno) throws {
        var scene = try Scene()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        try scene.bench.close(scene.session)
        for round in 1...3 as ClosedRange<UInt64> {
            scene.faults.inject(.endReceives(code))
            try caller.rtp.send(rtp(1).span, to: scene.session.rtp(.caller))  // has the worker look
            #expect(try scene.bench.eventually { $0.counters(worker: 0)[.receiveRearms] == 4 * round })
            #expect(try scene.bench.eventually { $0.counters(worker: 0)[.droppedNoSession] == round })
        }
        #expect(try scene.bench.eventually { $0.activity.lastStray(0) <= MonotonicClock.now })
        scene.session = try scene.bench.openAgain(scene.session)
        #expect(scene.reused == 1)
        try scene.expectCall(caller, callee)
        try scene.bench.stop()
    }

    @Test("while the submission queue takes nothing, the end of a session waits, and nothing stays undone")
    func fullQueue() throws {
        var scene = try Scene {
            $0.submissionEntries = 1
            $0.completionEntries = 64
            $0.receiveSoonPlain()
        }
        for _ in 0..<4 {
            let caller = try Endpoint()
            let callee = try Endpoint()
            try scene.expectCall(caller, callee)
            scene.faults.inject(.refuseEntries(4))
            try scene.closeAndOpenAgain()
        }
        #expect(scene.reused == 4)
        scene.faults.inject(.refuseEntries(0))
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        try scene.bench.stop()
    }

    @Test("sockets nobody needs are closed when control says so, those in use are not")
    func drop() throws {
        var scene = try Scene()
        let isIgnored = scene.bench.pool.drop(slot: 0)
        #expect(isIgnored)
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.expectCall(caller, callee)
        try scene.bench.close(scene.session)
        let isTold = scene.bench.pool.drop(slot: 0)
        #expect(isTold && scene.bench.pool.keptCount == 0)
        // A session that is opened meanwhile waits for the port it wants.
        scene.session = try scene.bench.openAgain(scene.session)
        #expect(scene.reused == 0)
        try scene.expectCall(caller, callee)
        try scene.bench.stop()
    }
}
