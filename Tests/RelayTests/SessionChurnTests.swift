import Core
import Testing
import Uring

@testable import Relay

extension RelayPoolTests {
    @Suite("Sessions that come and go on kept sockets")
    struct SessionChurnTests {}
}

extension RelayPoolTests.SessionChurnTests {
    /// Sessions over real sockets that come and go at random, while peers of those that have ended go on sending to where they
    /// were told. Every packet says by its SSRC which leg of which session it is of.
    private struct Churn: ~Copyable {
        struct Call {
            let session: Session
            /// Places among the phones.
            let phones: [Int]
            /// What each leg has sent.
            var sent: [UInt16] = [0, 0]

            func ssrc(_ leg: Leg) -> UInt32 { session.id.generation << 8 | session.id.index << 1 | UInt32(leg.rawValue) }
        }

        /// A phone that has not noticed that its call is over.
        struct LatePhone {
            let phone: Int
            let port: SocketAddress
            let ssrc: UInt32
            let slot: UInt32
        }

        static let slots = 6
        var bench: Bench
        var random: SeededRandom
        private let phones: Endpoints
        private var idle: [Int]
        private let ports: [[SocketAddress]]
        var calls: [Call] = []
        private var late: [LatePhone] = []
        private(set) var opened = 0
        private(set) var strays = 0
        /// Packets that came to somebody who should not have them, and such as should have come and did not.
        private(set) var faults: [String] = []

        private init(bench: consuming Bench, seed: UInt64, phones: Endpoints, ports: [[SocketAddress]]) {
            random = SeededRandom(seed: seed)
            self.phones = phones
            idle = Array(0..<3 * Self.slots)
            self.ports = ports
            self.bench = bench
        }

        static func start(seed: UInt64, isPlain: Bool) throws -> Churn {
            let phones = try Endpoints(count: 3 * slots)
            var source = PortSource()
            let ports = try (0..<slots).map { _ in try (0..<4).map { _ in try source.pair(on: .ipv4Loopback) } }
            let bench = try Bench(capacity: slots) {
                // The hardest case: a session has the sockets at once.
                $0.quietTime = nil
                // All phones have one IP address: after silence one could be followed to the port of another.
                $0.lock.relockSilence = .seconds(3_600)
                if isPlain { $0.receiveSoonPlain() }
            }
            return Churn(bench: bench, seed: seed, phones: phones, ports: ports)
        }

        mutating func step() throws {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<2: try open()
            case 2..<6: try talk()
            case 6..<8: try stray()
            default: try close()
            }
        }

        mutating func open() throws {
            guard let id = bench.allocator.take() else { return }
            // Mostly the addresses of the one before.
            let choice = Int.random(in: 0..<8, using: &random) == 0 ? 2 : 0
            let local = Array(ports[Int(id.index)][choice..<choice + 2])
            try bench.send(.open(id, caller: local[0], callee: local[1]))
            guard try bench.event() == .opened(id) else { return faults.append("\(id) was not opened") }
            opened += 1
            // Not those that may have sent something to this port a moment ago: of those nobody could tell what it was meant for.
            let others = late.filter { $0.slot == id.index }.map(\.phone)
            let phonesOfCall = Array(idle.filter { !others.contains($0) }.shuffled(using: &random).prefix(2))
            idle.removeAll { phonesOfCall.contains($0) }
            let call = Call(session: Session(id: id, local: local), phones: phonesOfCall)
            for leg in Leg.allCases {
                let address = try phones.address(call.phones[leg.offset])
                try bench.send(.expect(id, leg, ExpectedSource(rtp: address, rtcp: .init(ip: address.ip, port: 1), signalling: address.ip)))
            }
            // The first packets: the callee's finds nobody to go to yet.
            for leg in [Leg.callee, .caller] {
                try phones.send(rtp(0, ssrc: call.ssrc(leg)), from: call.phones[leg.offset], to: call.session.rtp(leg))
                let event = try bench.event()
                let expected = RelayEvent.locked(id, leg, try phones.address(call.phones[leg.offset]))
                if event != expected { faults.append("\(String(describing: event)) in place of \(expected)") }
            }
            try expect(rtp(0, ssrc: call.ssrc(.caller)), at: call.phones[1])
            calls.append(call)
            calls[calls.count - 1].sent = [1, 1]
        }

        mutating func talk() throws {
            guard let place = calls.indices.randomElement(using: &random) else { return }
            for leg in Leg.allCases {
                let call = calls[place]
                let packet = rtp(call.sent[leg.offset], ssrc: call.ssrc(leg))
                try phones.send(packet, from: call.phones[leg.offset], to: call.session.rtp(leg))
                calls[place].sent[leg.offset] += 1
                try expect(packet, at: call.phones[leg.other.offset])
            }
        }

        /// Its call is over: what it sends must reach nobody, whatever has become of the port.
        mutating func stray() throws {
            guard let phone = late.randomElement(using: &random) else { return }
            // One that was forgotten here may have a call there again.
            if calls.contains(where: { $0.session.id.index == phone.slot && $0.phones.contains(phone.phone) }) { return }
            for number in 0..<Int.random(in: 1...8, using: &random) {
                // Refused where nobody, or a connected socket, is.
                try? phones.send(rtp(UInt16(30_000 + number), ssrc: phone.ssrc), from: phone.phone, to: phone.port)
                strays += 1
            }
        }

        mutating func close() throws {
            guard let place = calls.indices.randomElement(using: &random) else { return }
            let call = calls.remove(at: place)
            let id = call.session.id
            try bench.close(call.session)
            for leg in Leg.allCases {
                let packets = bench.pool.statistics[id.index, leg].packets
                if packets != UInt64(call.sent[leg.offset]) {
                    faults.append("\(id) \(leg): \(packets) packets counted of \(call.sent[leg.offset])")
                }
                late.append(
                    LatePhone(
                        phone: call.phones[leg.offset], port: call.session.rtp(leg), ssrc: call.ssrc(leg), slot: id.index))
            }
            idle += call.phones
            if late.count > 6 { late.removeFirst(2) }
        }

        private mutating func expect(_ packet: [UInt8], at phone: Int) throws {
            let octets = try phones.next(phone)
            if octets != packet { faults.append("phone \(phone): \(octets.map { "\($0.prefix(12))" } ?? "nothing") for \(packet.prefix(12))") }
        }

        /// Ends all calls; nobody may have heard anything else.
        mutating func finish() throws {
            while !calls.isEmpty { try close() }
            for phone in 0..<3 * Self.slots {
                if let octets = try phones.waiting(phone) { faults.append("phone \(phone) heard \(octets.prefix(12))") }
            }
            try bench.stop()
        }
    }

    @Test(
        "old peers that go on sending are heard by nobody, and each call's packets arrive and are counted, all of them",
        arguments: [(1, false), (2, false), (3, false), (4, true), (5, true), (6, true)])
    func churn(seed: UInt64, isPlain: Bool) throws {
        var churn = try Churn.start(seed: seed, isPlain: isPlain)
        for _ in 0..<1_500 { try churn.step() }
        try churn.finish()
        #expect(churn.faults == [], "seed \(seed)")
        #expect(churn.opened > 100 && churn.strays > 100, "seed \(seed)")
        #expect(churn.bench.pool.counters[.socketsReused] > 20, "seed \(seed): \(churn.bench.pool.counters[.socketsReused]) reused")
    }
}
