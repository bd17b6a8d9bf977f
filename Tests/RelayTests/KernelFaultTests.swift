import Core
import Testing
import Uring

@testable import Relay

extension RelayPoolTests {
    @Suite("When the kernel refuses")
    struct KernelFaultTests {}
}

extension RelayPoolTests.KernelFaultTests {
    /// A session with both legs locked, on a relay that fails when told to.
    private struct Scene: ~Copyable {
        var bench: Bench
        let faults: KernelFaults
        let session: Session
        let caller: Endpoint
        let callee: Endpoint

        private init(bench: consuming Bench, faults: KernelFaults, session: Session, caller: consuming Endpoint, callee: consuming Endpoint) {
            self.bench = bench
            self.faults = faults
            self.session = session
            self.caller = caller
            self.callee = callee
        }

        static func locked(configure: (inout RelaySettings) -> Void = { _ in }) throws -> Scene {
            let faults = KernelFaults()
            var bench = try Bench {
                $0.faults = faults
                $0.housekeepingInterval = .milliseconds(10)
                configure(&$0)
            }
            let session = try bench.openSession()
            var scene = Scene(bench: bench, faults: faults, session: session, caller: try Endpoint(), callee: try Endpoint())
            try scene.lock()
            return scene
        }

        private mutating func lock() throws {
            try bench.lock(session, caller, callee)
        }

        func counter(_ counter: Counter) -> UInt64 { bench.pool.counters(worker: 0)[counter] }

        /// Media and RTCP pass both ways, nothing else is on the way, and the session can be closed.
        mutating func expectMediaAndClose() throws {
            try bench.exchange(session, caller, callee, 60_000..<60_020)
            try bench.close(session)
            try bench.stop()
        }
    }

    @Test("receives that end by themselves are armed again, counted, and lose no packet", arguments: [Errno.noBuffers, .cancelled])
    func receivesEnd(code: Errno) throws {
        var scene = try Scene.locked()
        for round in 1...5 as ClosedRange<UInt16> {
            scene.faults.inject(.endReceives(code))
            for step in 0..<32 as Range<UInt16> {
                try scene.caller.rtp.send(rtp(round * 32 + step).span, to: scene.session.rtp(.caller))
            }
            for step in 0..<32 as Range<UInt16> {
                #expect(try scene.callee.rtp.receiveWaiting()?.octets == rtp(round * 32 + step))
            }
            let ended = UInt64(round) * 4
            #expect(
                try scene.bench.eventually {
                    let counters = $0.counters(worker: 0)
                    return counters[.receiveRearms] == ended && counters[.receiveBuffersExhausted] == (code == .noBuffers ? ended : 0)
                })
        }
        try scene.expectMediaAndClose()
    }

    @Test("multishot receives lost to a full completion queue are armed again, and every packet arrives in order")
    func lostMultishot() throws {
        var scene = try Scene.locked {
            $0.submissionEntries = 4
            $0.completionEntries = 4
        }
        var sequence: UInt16 = 1
        let deadline = MonotonicClock.now + .seconds(5)
        while scene.counter(.receiveRearms) == 0, MonotonicClock.now < deadline {
            for step in 0..<32 as Range<UInt16> {
                try scene.caller.rtp.send(rtp(sequence + step).span, to: scene.session.rtp(.caller))
            }
            for step in 0..<32 as Range<UInt16> {
                #expect(try scene.callee.rtp.receiveWaiting()?.octets == rtp(sequence + step))
            }
            sequence += 32
        }
        #expect(scene.counter(.receiveRearms) > 0)
        #expect(scene.counter(.receiveBuffersExhausted) == 0)
        try scene.expectMediaAndClose()
    }

    @Test("out of descriptors while opening, the session fails as a whole, and the next attempt succeeds", arguments: 1...4)
    func outOfDescriptors(socket: Int) throws {
        var scene = try Scene.locked()
        var ports = PortSource()
        let caller = try ports.pair(on: .ipv4Loopback)
        let callee = try ports.pair(on: .ipv4Loopback)
        let addresses = [caller, SocketAddress(ip: caller.ip, port: caller.port + 1), callee, SocketAddress(ip: callee.ip, port: callee.port + 1)]
        let taken = scene.bench.allocator.take()
        let id = try #require(taken)
        let tooManyFiles = Errno(code: 24)
        scene.faults.refuseSocket(number: socket, tooManyFiles)
        try scene.bench.send(.open(id, caller: caller, callee: callee))
        #expect(try scene.bench.event() == .openFailed(id, errno: tooManyFiles.code, address: addresses[socket - 1]))
        #expect(scene.bench.pool.counters[.socketsRefused] == 1)
        for address in addresses { _ = try DatagramSocket(bindingTo: address) }
        try scene.bench.send(.open(id, caller: caller, callee: callee))
        #expect(try scene.bench.event() == .opened(id))
        try scene.expectMediaAndClose()
    }

    @Test("a worker that cannot take a session's sockets over tries again, and loses no command and no packet meanwhile")
    func fixedFilesRefused() throws {
        var scene = try Scene.locked()
        scene.faults.inject(.refuseFixedFiles(5))
        // The fault is there before the session is.
        try scene.caller.rtp.send(rtp(1).span, to: scene.session.rtp(.caller))
        #expect(try scene.callee.rtp.receiveWaiting()?.octets == rtp(1))
        let second = try scene.bench.openSession()
        let caller = try Endpoint()
        let callee = try Endpoint()
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: second.rtp(.callee))
        try caller.rtp.send(rtp(1).span, to: second.rtp(.caller))
        try scene.bench.expect(second, .caller, caller)
        try scene.bench.expect(second, .callee, callee)
        // Which of the two sockets is served first is the kernel's business.
        let expected: [RelayEvent] = [
            .locked(second.id, .caller, try caller.rtp.localAddress), .locked(second.id, .callee, try callee.rtp.localAddress),
        ]
        for sequence in 2..<10 as Range<UInt16> {
            try callee.rtp.send(rtp(sequence, ssrc: 2).span, to: second.rtp(.callee))
            try caller.rtp.send(rtp(sequence).span, to: second.rtp(.caller))
        }
        for _ in 0..<2 {
            let event = try #require(try scene.bench.event())
            #expect(expected.contains(event))
        }
        try scene.bench.close(second)
        try scene.expectMediaAndClose()
    }

    @Test("while the submission queue is full sends are counted as failed, and nothing stays undone afterwards")
    func fullQueue() throws {
        var scene = try Scene.locked {
            $0.submissionEntries = 1
            $0.completionEntries = 64
            // The relay soon wants to change to receiving without addresses: that is refused first, too.
            $0.receiveSoonPlain()
        }
        scene.faults.inject(.refuseEntries(20))
        var sequence: UInt16 = 1
        let deadline = MonotonicClock.now + .seconds(5)
        while scene.counter(.sendFailures) == 0, MonotonicClock.now < deadline {
            for _ in 0..<16 {
                try scene.caller.rtp.send(rtp(sequence).span, to: scene.session.rtp(.caller))
                sequence += 1
            }
            let relayed = UInt64(sequence)
            #expect(try scene.bench.eventually { $0.counters(worker: 0)[.rtpPacketsReceived] >= relayed - 1 })
        }
        #expect(scene.counter(.sendFailures) > 0)
        while try scene.callee.rtp.receiveWaiting(.milliseconds(50)) != nil {}
        // A session opened while nothing can be armed receives as soon as it can be.
        scene.faults.inject(.refuseEntries(20))
        let second = try scene.bench.openSession()
        scene.faults.inject(.refuseEntries(0))
        let caller = try Endpoint()
        let callee = try Endpoint()
        try scene.bench.expect(second, .caller, caller)
        try scene.bench.expect(second, .callee, callee)
        try callee.rtp.send(rtp(0, ssrc: 2).span, to: second.rtp(.callee))
        #expect(try scene.bench.event() == .locked(second.id, .callee, callee.rtp.localAddress))
        try caller.rtp.send(rtp(1).span, to: second.rtp(.caller))
        #expect(try callee.rtp.receiveWaiting()?.octets == rtp(1))
        // One that is closed while nothing can be cancelled is closed as soon as it can be.
        scene.faults.inject(.refuseEntries(20))
        try scene.bench.close(second)
        scene.faults.inject(.refuseEntries(0))
        try scene.expectMediaAndClose()
    }
}
