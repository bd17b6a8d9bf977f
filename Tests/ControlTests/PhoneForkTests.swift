import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// A user with several contacts: who rings when, and how it ends.
@Suite struct PhoneForkTests {
    /// Ada at two phones, the second one with a lower q.
    private func phones(_ configure: @escaping (inout Configuration) -> Void = { _ in }) -> PhoneWorld {
        let phones = PhoneWorld(configure)
        phones.qualities[PhoneWorld.other] = "0.5"
        #expect(phones.prove("REGISTER")?.status == 200)
        #expect(phones.prove("REGISTER", from: PhoneWorld.other)?.status == 200)
        return phones
    }

    /// The first phone answers every INVITE so, and the second one, where it says anything, so.
    private func answer(_ status: Int, other: Int? = nil, _ phones: PhoneWorld) {
        phones.world.answers = { request, destination in
            let statuses = [PhoneWorld.phone: status, PhoneWorld.other: other]
            guard request.method == .invite, let status = statuses[destination] ?? nil else { return [] }
            let relayd = Flow(udp: SimulatedWorld.relayd)
            return MessageBuilder.response(to: request, status: status, toTag: "phone", source: relayd).finish()
        }
    }

    @Test("after a 6xx of one phone no contact of a lower q is called, and the caller gets it", arguments: [600, 603, 604, 606])
    func globalFailure(status: Int) throws {
        let phones = phones()
        answer(status, phones)
        #expect(phones.call()?.status == status)
        phones.world.run(for: .seconds(60))
        #expect(phones.invited == [PhoneWorld.phone])
        let record = try #require(phones.world.records.first)
        #expect(record.cause == .rejected && record.sipCode == status && record.endedBy == .callee)
    }

    @Test("after any other failure the next q rings", arguments: [404, 480, 486, 503])
    func nextQuality(status: Int) {
        let phones = phones()
        answer(status, phones)
        phones.call()
        #expect(phones.invited == [PhoneWorld.phone, PhoneWorld.other])
    }

    struct Responses: Sendable {
        let first: Int
        let second: Int
        /// Which of them is the best.
        let best: SocketAddress
        /// What the caller gets.
        let status: Int

        init(_ first: Int, _ second: Int, best: SocketAddress, heard status: Int? = nil) {
            (self.first, self.second, self.best) = (first, second, best)
            self.status = status ?? (best == PhoneWorld.phone ? first : second)
        }
    }

    @Test("when every q has failed the caller gets the best response of all, and the record names that one", arguments: [
        Responses(486, 480, best: PhoneWorld.phone), .init(404, 503, best: PhoneWorld.phone),
        .init(488, 408, best: PhoneWorld.phone), .init(503, 480, best: PhoneWorld.other),
        .init(480, 486, best: PhoneWorld.other), .init(486, 603, best: PhoneWorld.other),
        .init(302, 486, best: PhoneWorld.phone, heard: 480), .init(486, 407, best: PhoneWorld.other, heard: 503),
        .init(486, 404, best: PhoneWorld.phone),
    ])
    func bestOfAll(_ responses: Responses) throws {
        let phones = phones()
        answer(responses.first, other: responses.second, phones)
        #expect(phones.call()?.status == responses.status)
        #expect(phones.invited == [PhoneWorld.phone, PhoneWorld.other])
        let record = try #require(phones.world.records.first)
        #expect(record.cause == .rejected && record.endedBy == .callee && record.calleeAddress == responses.best)
        #expect(record.sipCode == (responses.best == PhoneWorld.phone ? responses.first : responses.second))
        let verdicts: [Int: CallVerdict] = [
            302: .rejectedByRoute, 404: .numberUnknown, 407: .authenticationFailed, 480: .calleeUnavailable, 486: .busy,
            488: .codecMismatch, 603: .declined,
        ]
        #expect(record.verdict == verdicts[record.sipCode])
        if record.sipCode == 486 { #expect(record.q850 == 17) }
    }

    @Test("a phone that nobody takes up says more than one that fails, and its cause is the record's")
    func unansweredAndFailed() throws {
        let phones = phones { $0.routing.timers.ringing = .seconds(5) }
        answer(180, other: 503, phones)
        let ringing = phones.call()
        #expect(ringing?.status == 180)
        phones.world.run(for: .seconds(6))
        #expect(phones.invited == [PhoneWorld.phone, PhoneWorld.other])
        let heard = phones.world.traffic.filter { !$0.isReceived && $0.peer == SimulatedWorld.callerAddress }
        #expect(heard.last { $0.message.status != nil }?.message.status == 480)
        let record = try #require(phones.world.records.first)
        #expect(record.cause == .ringingTimeout && record.sipCode == 480 && record.calleeAddress == PhoneWorld.phone)
        #expect(record.verdict == .noAnswer)
        let why = try #require(phones.world.control.explain("100", now: phones.world.now))
        #expect(
            why.evidence.suffix(2) == [
                "sip:ada@\(PhoneWorld.phone) did not answer in time", "sip:ada@\(PhoneWorld.other) said 503",
            ], "\(why.evidence)")
    }

    // MARK: Several flows to one phone (RFC 5626 §7)

    /// Ada's phone by two flows, each of its own edge proxy; the one of `other` is the latest.
    private func flows(_ instances: [String] = ["1", "1"], _ configure: @escaping (inout Configuration) -> Void = { _ in }) -> PhoneWorld {
        let phones = PhoneWorld(configure)
        for (number, source) in [PhoneWorld.phone, PhoneWorld.other].enumerated() {
            phones.contactParameters[source] = ";reg-id=\(number + 1);+sip.instance=\"<urn:uuid:\(instances[number])>\""
            let answer = phones.prove(
                "REGISTER", from: source, headers: "Supported: path, outbound\nPath: <sip:\(source);lr;ob>")
            #expect(answer?.status == 200)
            phones.world.run(for: .seconds(1))
        }
        return phones
    }

    @Test("of two flows to one phone the next is called when the first has failed; the caller hears of the second", arguments: [408, 430])
    func nextFlow(status: Int) {
        let phones = flows()
        answer(180, other: status, phones)
        #expect(phones.call()?.status == 180)
        #expect(phones.invited == [PhoneWorld.other, PhoneWorld.phone])
        let left = phones.world.control.registrations(RegistrationQuery(), now: phones.world.now).total
        #expect(left == (status == 430 ? 1 : 2))
    }

    @Test("by the other flow too when nothing comes back, or ICMP does", arguments: [false, true])
    func silentFlow(isRefused: Bool) throws {
        let phones = flows { $0.routing.timers.invite = .seconds(2) }
        answer(486, phones)
        if isRefused {
            phones.world.refusals = { _, destination in
                destination == PhoneWorld.other ? ICMPMessage(isIPv6: false, type: 3, code: 3) : nil
            }
        }
        phones.call()
        phones.world.run(for: .seconds(3))
        #expect(phones.invited == [PhoneWorld.other, PhoneWorld.phone])
        let record = try #require(phones.world.records.first)
        #expect(record.sipCode == 486 && record.calleeAddress == PhoneWorld.phone && record.verdict == .busy)
    }

    @Test("what the phone itself says is not asked for again by its other flow", arguments: [404, 480, 486, 503])
    func ownWord(status: Int) throws {
        let phones = flows()
        answer(200, other: status, phones)
        #expect(phones.call()?.status == status)
        #expect(phones.invited == [PhoneWorld.other])
    }

    @Test("two phones, each with its flow, ring at once; when both flows have failed the caller gets 480")
    func twoInstances() throws {
        let phones = flows(["1", "2"])
        answer(180, other: 180, phones)
        phones.call()
        #expect(Set(phones.invited) == [PhoneWorld.other, PhoneWorld.phone])
        let failing = flows()
        answer(430, other: 430, failing)
        #expect(failing.call()?.status == 480)
        #expect(failing.invited == [PhoneWorld.other, PhoneWorld.phone])
        #expect(failing.world.records.first?.verdict == .connectionClosed)
    }

    @Test("a caller that gives up while the next flow rings ends that one")
    func cancelledAtNextFlow() {
        let phones = flows()
        answer(180, other: 408, phones)
        var script = CallScript()
        script.cancelDelay = .seconds(1)
        _ = phones.world.placeCall(script, number: "100")
        phones.world.run(for: .seconds(2))
        #expect(phones.invited == [PhoneWorld.other, PhoneWorld.phone])
        let cancelled = phones.world.traffic.filter { !$0.isReceived && $0.message.isRequest && $0.message.method == .cancel }
        #expect(Set(cancelled.map(\.peer)) == [PhoneWorld.phone])
    }

    @Test("when no contact is there the ICMP error that is told is that of the one which is named")
    func unreachable() throws {
        let phones = phones()
        phones.world.refusals = { _, destination in
            switch destination {
            case PhoneWorld.phone: ICMPMessage(isIPv6: false, type: 3, code: 3)
            case PhoneWorld.other: ICMPMessage(isIPv6: false, type: 3, code: 1)
            default: nil
            }
        }
        #expect(phones.call()?.status == 480)
        #expect(phones.invited == [PhoneWorld.phone, PhoneWorld.other])
        let record = try #require(phones.world.records.first)
        #expect(record.cause == .peerUnreachable && record.verdict == .peerUnreachable)
        #expect(record.calleeAddress == PhoneWorld.phone)
        #expect(
            record.explanation == "\(PhoneWorld.phone) cannot be reached: the INVITE was answered with ICMP port unreachable.",
            "\(record.explanation ?? "")")
    }

    @Test("the set-up timers of [routing] count for phones, those of a reload for the next call")
    func timers() {
        let phones = phones { $0.routing.timers.invite = .seconds(2) }
        phones.world.answers = { _, _ in [] }
        phones.call()
        phones.world.run(for: .milliseconds(1_500))
        #expect(phones.invited == [PhoneWorld.phone])
        phones.world.run(for: .seconds(1))
        #expect(Set(phones.invited) == [PhoneWorld.phone, PhoneWorld.other])
        phones.world.run(for: .seconds(2))
        #expect(phones.world.records.map(\.cause) == [.inviteTimeout])
        phones.world.reload { $0.routing.timers.ringing = .seconds(7) }
        answer(180, phones)
        phones.call()
        phones.world.run(for: .milliseconds(6_400))
        #expect(phones.invited.last == PhoneWorld.phone)
        phones.world.run(for: .seconds(1))
        #expect(phones.invited.last == PhoneWorld.other)
    }
}
