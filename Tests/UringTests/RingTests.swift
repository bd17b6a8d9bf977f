import Core
import Glibc
import Synchronization
import Testing

@testable import Uring

/// Takes completions until `count` came or five seconds passed.
func completions(of ring: inout Ring, count: Int) throws -> [Completion] {
    var batch = CompletionBatch(capacity: 64)
    var all: [Completion] = []
    let deadline = MonotonicClock.now + .seconds(5)
    while all.count < count, MonotonicClock.now < deadline {
        try ring.submitAndWait(timeout: .milliseconds(100))
        for index in 0..<ring.takeCompletions(into: &batch) { all.append(batch[index]) }
    }
    return all
}

let anyPort = SocketAddress(ip: .ipv4Loopback, port: 0)

/// A port that was free a moment ago.
func freeAddress() throws -> SocketAddress { try DatagramSocket(bindingTo: anyPort).localAddress }

@Suite("Ring")
struct RingTests {
    @Test("a datagram arrives with its source and octets, IPv4 and IPv6", arguments: [IPAddress.ipv4Loopback, .ipv6Loopback])
    func receivesDatagrams(ip: IPAddress) throws {
        var ring = try Ring(arenaOctets: 4096)
        var pool = try BufferPool(ring: ring, group: 1, count: 8)
        let receiver = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0))
        let sender = try DatagramSocket(bindingTo: SocketAddress(ip: ip, port: 0))
        #expect(ring.receiveDatagrams(on: receiver.file, into: pool, token: Token(kind: 3, generation: 0x1_00_0007, index: 9)) == true)
        let octets: [UInt8] = [1, 2, 3, 4]
        #expect(ring.send(copying: octets.span, on: sender.file, to: try receiver.localAddress, token: .ignored) == true)
        let completion = try #require(try completions(of: &ring, count: 1).first)
        #expect(completion.token.kind == 3 && completion.token.generation == 7 && completion.token.index == 9)
        #expect(completion.hasMore)
        let datagram = try #require(pool.datagram(completion) as ReceivedDatagram?)
        #expect(try datagram.source == sender.localAddress)
        #expect(!datagram.isTruncated)
        #expect(pool.octets(datagram.payload).count == 4)
        #expect(pool.octets(datagram.payload)[3] == 4)
        pool.recycle(completion.bufferID)
        pool.publish()
    }

    @Test("of buffers that are given back sparingly a few are used again and again, and all of them once it runs dry")
    func keepsToFewBuffers() throws {
        var ring = try Ring(arenaOctets: 4096)
        var pool = try BufferPool(ring: ring, group: 1, count: 8)
        let receiver = try DatagramSocket(bindingTo: anyPort)
        let sender = try DatagramSocket(bindingTo: anyPort)
        ring.receiveDatagrams(on: receiver.file, into: pool, token: Token(kind: 3))
        var used: [UInt16] = []
        for number in 0..<20 as Range<UInt8> {
            ring.send(copying: [number].span, on: sender.file, to: try receiver.localAddress, token: .ignored)
            let completion = try #require(try completions(of: &ring, count: 1).first)
            let datagram = try #require(pool.datagram(completion) as ReceivedDatagram?)
            #expect(pool.octets(datagram.payload)[0] == number && completion.hasMore)
            used.append(completion.bufferID)
            pool.recycle(completion.bufferID, keeping: 2)
            pool.publish()
        }
        #expect(Set(used.prefix(8)).count == 8, "each of them once")
        #expect(used.dropFirst(8).allSatisfy { $0 < 2 })
        let address = try receiver.localAddress
        for _ in 0..<3 { ring.send(copying: [99].span, on: sender.file, to: address, token: .ignored) }
        let burst = try completions(of: &ring, count: 3)
        #expect(burst.map(\.hasMore) == [true, true, false] && burst[2].failure?.code == ENOBUFS)
        for completion in burst.prefix(2) { pool.recycle(completion.bufferID, keeping: 2) }
        pool.provideWithheld()
        pool.publish()
        ring.receiveDatagrams(on: receiver.file, into: pool, token: Token(kind: 3))
        for _ in 0..<5 { ring.send(copying: [99].span, on: sender.file, to: address, token: .ignored) }
        // What waited in the socket, and what came since.
        #expect(try completions(of: &ring, count: 6).allSatisfy(\.hasMore))
    }

    @Test("the timer completes when it is due, can be moved forward, and is not moved back")
    func timer() throws {
        var ring = try Ring()
        let token = Token(kind: 5)
        let start = MonotonicClock.now
        #expect(ring.setTimer(at: start + .seconds(30), token: token) == true)
        try ring.submit()
        #expect(ring.setTimer(at: start + .milliseconds(40), token: token) == true)
        #expect(ring.setTimer(at: start + .seconds(60), token: token) == true)
        var ended = try completions(of: &ring, count: 1)
        #expect(ended.map(\.token.kind) == [5] && ended.first?.failure?.code == ETIME)
        #expect(MonotonicClock.now >= start + .milliseconds(40) && MonotonicClock.now < start + .seconds(5))
        // Over, as far as the ring knows, only when it is told: until then it is neither set nor moved.
        ring.timerEnded()
        #expect(ring.setTimer(at: MonotonicClock.now, token: token) == true)
        ended = try completions(of: &ring, count: 1)
        #expect(ended.first?.failure?.code == ETIME)
        // What was over when it should have been moved says so.
        #expect(ring.setTimer(at: start, token: token) == true)
        ended = try completions(of: &ring, count: 1)
        #expect(ended.first?.failure?.code == ENOENT)
    }

    @Test("a datagram longer than a buffer is marked truncated")
    func truncation() throws {
        var ring = try Ring()
        let pool = try BufferPool(ring: ring, group: 1, count: 8)
        let receiver = try DatagramSocket(bindingTo: anyPort)
        let sender = try DatagramSocket(bindingTo: anyPort)
        ring.receiveDatagrams(on: receiver.file, into: pool, token: Token(kind: 1))
        try sender.send([UInt8](repeating: 7, count: 2100).span, to: receiver.localAddress)
        let completion = try #require(try completions(of: &ring, count: 1).first)
        #expect(pool.datagram(completion)?.isTruncated == true)
    }

    @Test("more sends than the queue and the arena hold all arrive, in order")
    func manySends() throws {
        var ring = try Ring(submissionEntries: 4, arenaOctets: 64)
        let receiver = try DatagramSocket(bindingTo: anyPort)
        let sender = try DatagramSocket(bindingTo: anyPort)
        let target = try receiver.localAddress
        for value in 0..<100 as Range<UInt8> {
            let octets = [UInt8](repeating: value, count: 20)
            #expect(ring.send(copying: octets.span, on: sender.file, to: target, token: .ignored) == true)
        }
        #expect(ring.send(copying: [UInt8](repeating: 0, count: 65).span, on: sender.file, to: target, token: .ignored) == false)
        try ring.submit()
        for value in 0..<100 as Range<UInt8> {
            #expect(try receiver.receive()?.octets == [UInt8](repeating: value, count: 20))
        }
        #expect(ring.hasCompletions == false)
    }

    @Test("a failed send completes with its token and errno")
    func failedSend() throws {
        var ring = try Ring(arenaOctets: 64)
        let sender = try DatagramSocket(bindingTo: anyPort)
        ring.send(copying: [1].span, on: sender.file, to: nil, token: Token(kind: 5))
        let completion = try #require(try completions(of: &ring, count: 1).first)
        #expect(completion.token.kind == 5)
        #expect(completion.failure?.description == "EDESTADDRREQ (Destination address required)")
    }

    @Test("a cancelled receive ends with ECANCELED and without more")
    func cancel() throws {
        var ring = try Ring()
        let pool = try BufferPool(ring: ring, group: 1, count: 8)
        let socket = try DatagramSocket(bindingTo: anyPort)
        ring.receiveDatagrams(on: socket.file, into: pool, token: Token(kind: 1, index: 4))
        try ring.submit()
        ring.cancel(Token(kind: 1, index: 4))
        let completion = try #require(try completions(of: &ring, count: 1).first)
        #expect(completion.token.index == 4 && completion.failure == .cancelled && !completion.hasMore)
    }

    @Test("a connected socket hears its peer alone until it is disconnected")
    func connected() throws {
        let address = try freeAddress()
        let socket = try DatagramSocket(bindingTo: address)
        let peer = try DatagramSocket(bindingTo: anyPort)
        let stranger = try DatagramSocket(bindingTo: anyPort)
        try socket.connect(to: peer.localAddress)
        try stranger.send([1].span, to: address)
        try peer.send([2].span, to: address)
        #expect(try socket.receive()?.octets == [2])
        #expect(try socket.receive() == nil)
        try socket.disconnect()
        #expect(try socket.localAddress == address)
        try stranger.send([3].span, to: address)
        #expect(try socket.receive()?.octets == [3])
    }

    @Test("a wait without completions ends at its timeout")
    func timeout() throws {
        var ring = try Ring()
        let start = MonotonicClock.now
        try ring.submitAndWait(atLeast: 8, gather: .milliseconds(1), timeout: .milliseconds(30))
        #expect(MonotonicClock.now - start >= .milliseconds(30))
        #expect(ring.hasCompletions == false)
    }

    @Test("a gathering wait returns with fewer completions than it hoped for")
    func gathering() throws {
        var ring = try Ring()
        let event = try EventDescriptor()
        ring.pollReadable(event.file, repeating: false, token: Token(kind: 2))
        event.signal()
        let start = MonotonicClock.now
        try ring.submitAndWait(atLeast: 8, gather: .milliseconds(2), timeout: .seconds(5))
        #expect(ring.hasCompletions == true)
        #expect(MonotonicClock.now - start < .seconds(2))
        #expect(event.clear())
        #expect(!event.clear())
    }

    @Test("a doorbell rung by one thread wakes the ring of another")
    func doorbell() throws {
        var ring = try Ring()
        let target = ring.descriptor
        let thread = try Thread(name: "ringer", context: target, body: ringDoorbell)
        let completion = try completions(of: &ring, count: 1).first
        thread.join()
        #expect(completion?.token == Token(kind: 77, index: 5))
    }

    @Test("fixed files receive and send as descriptors do")
    func fixedFiles() throws {
        var ring = try Ring(fixedFiles: 8, arenaOctets: 64)
        let pool = try BufferPool(ring: ring, group: 1, count: 8)
        let one = try DatagramSocket(bindingTo: anyPort)
        let other = try DatagramSocket(bindingTo: anyPort)
        let (here, there) = (try one.localAddress, try other.localAddress)
        let descriptors: InlineArray<4, OpenDescriptor> = [one.release(), other.release(), .none, .none]
        try ring.setFixedFiles(descriptors, at: 4)
        // From now on the table alone keeps them open.
        for index in descriptors.indices { descriptors[index].close() }
        ring.receiveDatagrams(on: File(fixed: 4), into: pool, token: Token(kind: 1))
        ring.send(copying: [9].span, on: File(fixed: 5), to: here, token: .ignored)
        let completion = try #require(try completions(of: &ring, count: 1).first)
        #expect(pool.datagram(completion)?.source == there)
        ring.clearFixedFiles(at: 4)
        _ = try DatagramSocket(bindingTo: there)
    }

    @Test("a signal becomes readable and says its number")
    func signals() throws {
        let number = try onThread { () throws(Errno) -> Int32? in
            let signals = try SignalDescriptor([10])  // SIGUSR1
            var ring = try! Ring()
            ring.pollReadable(signals.file, repeating: true, token: Token(kind: 1))
            raiseUserSignal()
            try ring.submitAndWait(timeout: .seconds(5))
            return signals.next()
        }
        #expect(number == 10)
    }
}

private func ringDoorbell(target: RingDescriptor) {
    guard var ring = try? Ring() else { return }
    ring.ringDoorbell(of: target, delivering: Token(kind: 77, index: 5))
    try? ring.submit()
}

/// Runs `body` on a thread of its own, so that what it does to its thread does not stay.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws(Errno) -> Value) throws -> Value {
    let box = ResultBox<Value>()
    let thread = try Thread(name: "test", context: box) { box in
        let result: Result<Value, Errno>
        do throws(Errno) { result = .success(try body()) } catch { result = .failure(error) }
        box.value.withLock { $0 = result }
    }
    thread.join()
    return try box.value.withLock { $0 }!.get()
}

final class ResultBox<Value: Sendable>: Sendable {
    let value = Mutex<Result<Value, Errno>?>(nil)
}
