import Configuration
import Control
import ControlProtocol
import Core
import Relay
import SIP
import Testing

@testable import RTP

/// Digits on their way from one side to the other, as both sides and the relay see them.
@Suite struct DigitTests {
    private static func world(caller: DTMFMode = .passthrough, callee: DTMFMode = .passthrough) -> SimulatedWorld {
        SimulatedWorld(seed: 31) {
            $0.trunks[0].dtmf = caller
            $0.trunks[1].dtmf = callee
        }
    }

    private static let withoutEvents = "m=audio 50000 RTP/AVP 8\r\n"
    private static let relayed = ("application/dtmf-relay", "Signal=5\r\nDuration=200\r\n")

    private static func events(_ body: ArraySlice<UInt8>) throws -> [UInt8] {
        try SessionDescription(parsing: body).media[0].telephoneEvents.map(\.number)
    }

    private static func sentEvents(_ world: SimulatedWorld) -> [(leg: Leg, event: TelephoneEventSender.Event)] {
        world.commands.compactMap { if case .sendEvent(_, let leg, let event) = $0 { (leg, event) } else { nil } }
    }

    private static func treatments(_ world: SimulatedWorld) -> [Leg: MediaTreatment] {
        var treatments: [Leg: MediaTreatment] = [:]
        for case .treat(_, let leg, let treatment) in world.commands { treatments[leg] = treatment }
        return treatments
    }

    @Test("towards a trunk that wants INFO the SDP has no telephone-event, and the other side gets its own back")
    func descriptions() throws {
        let world = Self.world(callee: .info)
        let (caller, callee) = world.establishCall(CallScript(answerMedia: Self.withoutEvents))
        #expect(try Self.events(callee.invite.body) == [])
        #expect(try Self.events(try #require(caller.answer).body) == [101])
        #expect(Self.treatments(world) == [
            .caller: MediaTreatment(blockedPayloadTypes: [101], reportsDigits: true),
        ])
        #expect(world.problems == [])
    }

    @Test("INFO from such a trunk becomes a telephone-event in its stream, with the number of the other side's SDP")
    func infoToEvent() throws {
        let world = Self.world(callee: .info)
        let (caller, callee) = world.establishCall(CallScript(answerMedia: Self.withoutEvents))
        let request = callee.ask(.info, body: Self.relayed)
        world.run(for: .seconds(1))
        #expect(request.status == 200)
        #expect(caller.midDialog.received.isEmpty)
        let sent = Self.sentEvents(world)
        #expect(sent.map(\.leg) == [.callee])
        #expect(sent.first?.event == .init(code: 5, payloadType: 101, duration: 1_600))
        #expect(world.counters[.digitsFromInfo] == 1)
        #expect(world.problems == [])
    }

    @Test("a telephone-event becomes INFO, one at a time and in order")
    func eventToInfo() throws {
        let world = Self.world(callee: .info)
        let (_, callee) = world.establishCall(CallScript(answerMedia: Self.withoutEvents))
        let session = try #require(world.commands.compactMap { if case .open(let id, _, _) = $0 { id } else { nil } }.last)
        for code in [UInt8(1), 11, 15] { world.report(.digit(session, .caller, code: code, milliseconds: 120)) }
        #expect(callee.midDialog.received.isEmpty)
        world.run(for: .milliseconds(7))
        #expect(callee.midDialog.received.count == 1)
        world.run(for: .seconds(1))
        let bodies = callee.midDialog.received.map { String(decoding: $0.body, as: UTF8.self) }
        #expect(bodies == ["1", "#", "D"].map { "Signal=\($0)\r\nDuration=120\r\n" })
        #expect(callee.midDialog.received.allSatisfy { $0.text(.contentType) == "application/dtmf-relay" })
        #expect(world.counters[.digitsToInfo] == 3)
        let detail = try #require(world.detail(world.presentCalls[0]))
        #expect(detail.digits == "caller passthrough, 3 converted; callee info, 0 converted")
        #expect(world.problems == [])
    }

    @Test("a trunk that wants telephone-event is offered it, also by a caller that sends INFO only")
    func offered() throws {
        let world = Self.world(caller: .info, callee: .telephoneEvent)
        let (caller, callee) = world.establishCall(CallScript(offerMedia: "m=audio 40000 RTP/AVP 8\r\n"))
        #expect(try Self.events(callee.invite.body) == [101])
        #expect(try Self.events(try #require(caller.answer).body) == [])
        let request = caller.ask(.info, body: ("application/dtmf", "9"))
        world.run(for: .seconds(1))
        #expect(request.status == 200 && callee.midDialog.received.isEmpty)
        #expect(Self.sentEvents(world).map(\.event) == [.init(code: 9, payloadType: 101, duration: 1_280)])
        #expect(Self.treatments(world) == [.callee: MediaTreatment(blockedPayloadTypes: [101], reportsDigits: true)])
        #expect(world.problems == [])
    }

    @Test("without a stream to put it into, and towards a side that knows no telephone-event, INFO passes as it is")
    func passes() throws {
        let silent = Self.world(callee: .info)
        let (caller, callee) = silent.establishCall(CallScript(calleeSendsMedia: false, answerMedia: Self.withoutEvents))
        callee.ask(.info, body: Self.relayed)
        silent.run(for: .seconds(1))
        #expect(caller.midDialog.received.map(\.method) == [.info] && Self.sentEvents(silent).isEmpty)
        let deaf = Self.world(callee: .telephoneEvent)
        let (asking, asked) = deaf.establishCall(CallScript(answerMedia: Self.withoutEvents))
        asking.ask(.info, body: Self.relayed)
        deaf.run(for: .seconds(1))
        #expect(asked.midDialog.received.map(\.method) == [.info] && Self.sentEvents(deaf).isEmpty)
    }

    @Test("where neither trunk says anything, nothing is changed and the relay is told nothing")
    func passthrough() throws {
        let world = Self.world()
        let (caller, callee) = world.establishCall()
        #expect(try Self.events(callee.invite.body) == [101])
        caller.ask(.info, body: Self.relayed)
        world.run(for: .seconds(1))
        #expect(callee.midDialog.received.map(\.method) == [.info])
        #expect(Self.treatments(world).isEmpty && Self.sentEvents(world).isEmpty)
        #expect(try #require(world.detail(world.presentCalls[0])).digits == nil)
    }

    @Test("a peer that no longer knows the call answers the INFO so: the call ends")
    func gone() throws {
        let world = Self.world(callee: .info)
        let (_, callee) = world.establishCall(CallScript(answerMedia: Self.withoutEvents))
        callee.midDialog.refusedMethods[.info] = 481
        let session = try #require(world.commands.compactMap { if case .open(let id, _, _) = $0 { id } else { nil } }.last)
        world.report(.digit(session, .caller, code: 1, milliseconds: 120))
        world.run(for: .seconds(1))
        #expect(world.records.map(\.cause) == [.peerLost])
        world.checkEnd()
        #expect(world.problems == [])
    }
}
