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

    /// The first phone answers every INVITE so.
    private func answer(_ status: Int, _ phones: PhoneWorld) {
        phones.world.answers = { request, destination in
            guard destination == PhoneWorld.phone, request.method == .invite else { return [] }
            return MessageBuilder.response(to: request, status: status, toTag: "phone", source: Flow(udp: SimulatedWorld.relayd)).finish()
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
