import Configuration
import ControlProtocol
import Core
import SIP
import Testing

/// Customers that prove by digest whose trunk they are.
@Suite struct CustomerTrunkTests {
    private static let customer = SocketAddress("198.51.100.77:40000")!
    private static let elsewhere = SocketAddress("198.51.100.99:40000")!
    private static let phone = SocketAddress("198.51.100.78:5060")!
    private static let carrier = SimulatedWorld.calleeAddress
    private static let offer = "v=0\no=- 1 1 IN IP4 198.51.100.77\ns=-\nc=IN IP4 198.51.100.77\nt=0 0\nm=audio 4000 RTP/AVP 8\n"

    /// Trunk "seven" has no address; user "seven" is it, and user "ada" is a phone.
    private final class World {
        let world: SimulatedWorld
        private let engine = DigestEngine()
        private var sequence = 0

        init(_ seed: UInt64, _ change: @escaping (inout Trunk) -> Void = { _ in }) {
            world = SimulatedWorld(seed: seed) { configuration in
                var trunk = Trunk(name: "seven", address: SocketAddress("203.0.113.77:5060")!)
                trunk.sources = []
                change(&trunk)
                configuration.trunks.append(trunk)
                var user = User(name: "seven", password: "secret", numbers: [])
                user.trunk = "seven"
                configuration.users = [user, User(name: "ada", password: "word", numbers: ["100"])]
            }
            carrierAnswers(100)
        }

        /// From now on, to every INVITE, and nothing more.
        func carrierAnswers(_ status: Int) {
            world.answers = { message, destination in
                guard destination == carrier, message.method == .invite, message.isRequest else { return nil }
                return MessageBuilder.response(to: message, status: status, toTag: "b", source: Flow(udp: SimulatedWorld.relayd)).finish()
            }
        }

        private func invite(_ callID: String, from source: SocketAddress, number: String, authorization: String?) -> String {
            sequence += 1
            return """
                INVITE sip:\(number)@192.0.2.1 SIP/2.0
                Via: SIP/2.0/UDP \(source);branch=z9hG4bKc\(sequence);rport
                Max-Forwards: 70
                From: <sip:4930777@customer.example>;tag=\(callID)
                To: <sip:\(number)@192.0.2.1>
                Call-ID: \(callID)
                CSeq: \(sequence) INVITE
                Contact: <sip:4930777@\(source)>
                \(authorization.map { $0 + "\n" } ?? "")Content-Type: application/sdp

                \(offer)
                """
        }

        /// Calls with credentials, and returns every answer to the INVITE that carries them.
        func call(
            _ callID: String, as user: String = "seven", password: String = "secret", from source: SocketAddress = customer,
            number: String = "4912345"
        ) throws -> [SIPMessage] {
            world.exchange(try proof(callID, as: user, password: password, from: source, number: number), from: source)
        }

        /// The INVITE that answers the challenge of one.
        private func proof(
            _ callID: String, as user: String, password: String, from source: SocketAddress, number: String
        ) throws -> String {
            let first = invite(callID, from: source, number: number, authorization: nil)
            let challenge = try #require(world.exchange(first, from: source).last)
            #expect(challenge.status == 407)
            var client = try #require(DigestClient(challenge, engine: engine))
            let value = client.authorization(
                username: Array(user.utf8), password: Array(password.utf8), method: .invite, uri: Array("sip:\(number)@192.0.2.1".utf8),
                clientNonce: Array("abcdef".utf8), engine: engine)
            return invite(
                callID, from: source, number: number, authorization: "\(client.header.text): \(String(decoding: value, as: UTF8.self))")
        }

        /// Places so many calls in one moment, and returns how many were refused.
        func together(_ count: Int) throws -> Int {
            let proofs = try (0..<count).map { try proof("t\($0)", as: "seven", password: "secret", from: customer, number: "4912345") }
            let first = world.traffic.count
            for proof in proofs { world.inject(Array(proof.replacing("\n", with: "\r\n").utf8), from: customer) }
            world.run(for: .milliseconds(300))
            return world.traffic[first...].count { !$0.isReceived && $0.message.status == 503 }
        }
    }

    @Test("a customer without an address is known by its credentials: routed, and record, figures and number rules are its trunk's")
    func identification() throws {
        let customers = World(91) {
            $0.calledIn = [NumberRule("strip 2")!]
            $0.capacity = 5
        }
        let world = customers.world
        customers.carrierAnswers(486)
        let answers = try customers.call("one", number: "994912345")
        #expect(answers.map(\.status) == [100, 486])
        let record = try #require(world.records.first)
        #expect(record.callerTrunk == "seven" && record.calleeTrunk == "b" && record.callerNumber == "4930777")
        let placed = try #require(world.traffic.first { !$0.isReceived && $0.peer == Self.carrier && $0.message.method == .invite }).message
        #expect(placed.uri.user == "4912345", "its rules hold")
        // From is the customer's own, not the user's name.
        #expect(placed.from.uri.user == "4930777")
        // Beside it a phone is a phone.
        #expect(try customers.call("two", as: "ada", password: "word", from: Self.phone).last?.status == 486)
        #expect(world.records.last?.callerTrunk == nil && world.records.last?.callerNumber == "100")
    }

    @Test("with a wrong password, or as somebody else, it is nobody: challenged again, no record, no place taken", arguments: [
        ("seven", "wrong"), ("eight", "secret"),
    ])
    func wrong(user: String, password: String) throws {
        let customers = World(92) { $0.capacity = 1 }
        let answers = try customers.call("one", as: user, password: password)
        #expect(answers.allSatisfy { $0.status == 407 || $0.status == 403 } && !answers.isEmpty)
        #expect(customers.world.records.isEmpty && customers.world.trunk("seven").calls == 0)
        #expect(customers.world.sent(to: Self.carrier).isEmpty)
    }

    @Test("its capacity counts, wherever its calls come from; a phone's call takes none of it, and what ends makes room")
    func capacity() throws {
        let customers = World(93) { $0.capacity = 2 }
        let world = customers.world
        #expect(try customers.call("one").last?.status == 100)
        #expect(try customers.call("phone", as: "ada", password: "word", from: Self.phone).last?.status == 100)
        #expect(try customers.call("two", from: Self.elsewhere).last?.status == 100)
        #expect(world.trunk("seven").calls == 2)
        let refused = try #require(try customers.call("three").last)
        #expect(refused.status == 503 && refused.text(.retryAfter) == "5")
        let record = try #require(world.records.first)
        #expect(record.cause == .capacity && record.callerTrunk == "seven")
        #expect(record.explanation?.contains("Trunk seven has as many calls as its capacity, 2") == true)
        #expect(world.counters[.callsRefusedTrunkCapacity] == 1 && world.counters[.callsRefusedSource] == 0)
        _ = world.hangUp(world.presentCalls[0])
        world.run(for: .seconds(2))
        #expect(world.trunk("seven").calls == 1)
        #expect(try customers.call("four").last?.status == 100)
        #expect(world.problems == [])
    }

    @Test("limits.calls_per_source is for phones: a customer's calls from one address are bounded by its capacity alone")
    func perSource() throws {
        let customers = World(94)
        customers.world.reload { $0.limits.callsPerSource = 1 }
        for callID in ["one", "two", "three"] { #expect(try customers.call(callID).last?.status == 100) }
        #expect(try customers.call("phone", as: "ada", password: "word").last?.status == 100)
        #expect(try customers.call("second", as: "ada", password: "word").last?.status == 503)
        #expect(customers.world.counters[.callsRefusedSource] == 1)
    }

    @Test("its calls a second count once they are proven: the challenges before them take none")
    func rate() throws {
        let customers = World(95) { $0.callsPerSecond = 2 }
        let world = customers.world
        var statuses: [Int?] = []
        for index in 0..<4 { statuses.append(try customers.call("c\(index)").last?.status) }
        // Each takes 0.8 s, so that a token and a half is there again for the next.
        #expect(statuses == [100, 100, 100, 100])
        // All at once: each is challenged, and then they prove themselves together.
        let other = World(96) { $0.callsPerSecond = 2 }
        let refused = try other.together(4)
        #expect(refused == 2)
        #expect(other.world.counters[.callsRefusedTrunkRate] == 2)
        #expect(other.world.records.map(\.cause) == [.capacity, .capacity] && other.world.records.allSatisfy { $0.callerTrunk == "seven" })
        #expect(world.counters[.callsRefusedTrunkRate] == 0)
    }

    @Test("a reload that gives the user another trunk, or none: present calls keep theirs, new ones have the new one")
    func changedTrunk() throws {
        let customers = World(97)
        let world = customers.world
        #expect(try customers.call("one").last?.status == 100)
        world.reload { configuration in
            var trunk = Trunk(name: "eight", address: SocketAddress("203.0.113.78:5060")!)
            trunk.sources = []
            configuration.trunks.append(trunk)
            configuration.users[0].trunk = "eight"
        }
        #expect(try customers.call("two").last?.status == 100)
        #expect(world.trunk("seven").calls == 1 && world.trunk("eight").calls == 1)
        world.reload { $0.users[0].trunk = nil }
        customers.carrierAnswers(486)
        #expect(try customers.call("three").last?.status == 486)
        #expect(world.records.last?.callerTrunk == nil && world.records.last?.callerNumber == "seven", "a phone from now on")
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(2))
        #expect(Set(world.records.map(\.callerTrunk)) == ["seven", "eight", nil])
        #expect(world.trunk("seven").calls == 0 && world.trunk("eight").calls == 0)
    }

    @Test("a reload that removes trunk and user, or the user alone: the call that is up goes on, the next one is refused", arguments: [true, false])
    func removed(withTrunk: Bool) throws {
        let customers = World(98)
        let world = customers.world
        #expect(try customers.call("one").last?.status == 100)
        world.reload { configuration in
            configuration.users.remove(at: 0)
            if withTrunk { configuration.trunks.removeLast() }
        }
        #expect(world.presentCalls.count == 1)
        let answers = try customers.call("two")
        #expect(answers.allSatisfy { $0.status == 407 || $0.status == 403 } && !answers.isEmpty)
        _ = world.hangUp(world.presentCalls[0])
        world.run(for: .seconds(2))
        #expect(world.records.count == 1 && world.records[0].callerTrunk == "seven")
        if !withTrunk { #expect(world.trunk("seven").calls == 0) }
        // It comes back, and is known again.
        world.reload { configuration in
            if withTrunk {
                var trunk = Trunk(name: "seven", address: SocketAddress("203.0.113.77:5060")!)
                trunk.sources = []
                configuration.trunks.append(trunk)
            }
            var user = User(name: "seven", password: "secret", numbers: [])
            user.trunk = "seven"
            configuration.users.append(user)
        }
        #expect(try customers.call("three").last?.status == 100)
        #expect(world.trunk("seven").calls == 1)
    }
}
