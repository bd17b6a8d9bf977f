import Core
import Testing

@testable import Control
@testable import SIP

@Suite struct SIPConnectionTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)
    private static let options = Array("OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n".utf8)

    /// A reference, so that what changes it can stand in an expectation.
    @dynamicMemberLookup
    private final class Tested {
        private var machine: SIPConnection

        init(_ machine: SIPConnection) { self.machine = machine }

        subscript<Value>(dynamicMember path: KeyPath<SIPConnection, Value>) -> Value { machine[keyPath: path] }

        func send(_ octets: [UInt8], _ transaction: TransactionID?, now: Instant) -> Bool {
            machine.send(octets, transaction, now: now)
        }
        func receive(_ octets: [UInt8], now: Instant) -> [SIPConnection.Item] { machine.receive(octets, now: now) }
        func takeFailures() -> [TransactionID] { machine.takeFailures() }
        func nextOutput(atMost limit: Int) -> [UInt8] { machine.nextOutput(atMost: limit) }
        func didSend(_ count: Int, now: Instant) { machine.didSend(count, now: now) }
        func connected(now: Instant) { machine.connected(now: now) }
        func close(_ end: SIPConnection.End, now: Instant) { machine.close(end, now: now) }
        func fail(_ end: SIPConnection.End, _ detail: String) { machine.fail(end, detail) }
        func advance(to now: Instant) { machine.advance(to: now) }
    }

    private func connection(isOutgoing: Bool = false, _ adjust: (inout SIPConnection.Limits) -> Void = { _ in }) -> Tested {
        var limits = SIPConnection.Limits()
        adjust(&limits)
        return Tested(SIPConnection(isOutgoing: isOutgoing, tls: nil, limits: limits, now: Self.start))
    }

    /// Runs its timers until it is over.
    private func end(_ connection: Tested) -> Duration? {
        while !connection.isOver {
            guard let due = connection.deadline else { return nil }
            connection.advance(to: due)
            if connection.isOver { return due - Self.start }
        }
        return .zero
    }

    private func id(_ value: UInt64) -> TransactionID { TransactionID(rawValue: value) }

    @Test("a peer that connects and says nothing is cut off after 10 s, one that says half a message 10 s later")
    func slowPeers() {
        let silent = connection()
        #expect(end(silent) == .seconds(10))
        #expect(silent.end == .silentPeer)
        let slow = connection()
        _ = slow.receive(Self.options, now: Self.start)
        // An octet now and then does not help.
        for second in 1...9 { _ = slow.receive([0x41], now: Self.start + .seconds(second)) }
        #expect(end(slow) == .seconds(11))
        #expect(slow.end == .slowMessage)
    }

    @Test("an idle connection is closed after its time, and a keep-alive starts that anew")
    func idle() {
        let connection = self.connection { $0.idle = .seconds(60) }
        #expect(connection.receive(Self.options, now: Self.start) == [.message(Self.options)])
        _ = connection.receive([13, 10, 13, 10], now: Self.start + .seconds(30))
        #expect(connection.nextOutput(atMost: 10) == [13, 10])
        connection.didSend(2, now: Self.start + .seconds(30))
        #expect(end(connection) == .seconds(90))
        #expect(connection.end == .idle)
    }

    @Test("a connection that is never made gives its transactions back, one that breaks those that never left")
    func failures() {
        let unreachable = connection(isOutgoing: true)
        #expect(unreachable.send([1], id(1), now: Self.start))
        #expect(!unreachable.hasOutput)
        #expect(end(unreachable) == .seconds(4))
        #expect(unreachable.takeFailures() == [id(1)])
        let broken = connection(isOutgoing: true)
        #expect(broken.send([1, 2], id(1), now: Self.start) && broken.send([3, 4], id(2), now: Self.start))
        broken.connected(now: Self.start)
        #expect(broken.nextOutput(atMost: 10) == [1, 2, 3, 4])
        broken.didSend(3, now: Self.start)
        broken.fail(.failed, "reset")
        #expect(broken.takeFailures() == [id(2)])
        #expect(broken.takeFailures() == [])
    }

    @Test("a peer that reads nothing is cut off after 15 s, or once too much waits for it")
    func stalled() {
        let stalled = connection()
        _ = stalled.receive(Self.options, now: Self.start)
        #expect(stalled.send([1], nil, now: Self.start))
        #expect(end(stalled) == .seconds(15))
        #expect(stalled.end == .stalled)
        let overrun = connection { $0.outputOctets = 10 }
        #expect(overrun.send([UInt8](repeating: 0, count: 10), nil, now: Self.start))
        #expect(!overrun.send([0], nil, now: Self.start))
        #expect(overrun.end == .overrun)
    }

    @Test("what was sent before the end goes out first")
    func farewell() {
        let connection = self.connection()
        #expect(connection.send([1, 2], nil, now: Self.start))
        connection.close(.noSIP, now: Self.start)
        #expect(!connection.isOver && connection.hasOutput)
        #expect(!connection.send([3], nil, now: Self.start))
        connection.didSend(2, now: Self.start)
        #expect(connection.isOver)
    }

    @Test("octets that are no SIP end it at once")
    func noise() {
        let connection = self.connection()
        #expect(connection.receive([0x16, 3, 1, 0], now: Self.start) == [])
        #expect(connection.end == .noSIP)
    }
}
