import Configuration
import Control
import Core
import SIP
import Testing

/// Ten times as many new calls as can be served.
@Suite struct FloodSpecificationTests {
    private static let flooder = SocketAddress("198.51.100.66:5060")!

    private func invite(_ number: Int, from source: SocketAddress) -> [UInt8] {
        let text = """
            INVITE sip:1555@192.0.2.1 SIP/2.0
            Via: SIP/2.0/UDP \(source);branch=z9hG4bKflood\(number);rport
            From: <sip:4930@a.example>;tag=\(number)
            To: <sip:1555@b.example>
            Call-ID: flood\(number)
            CSeq: 1 INVITE
            Max-Forwards: 70
            Contact: <sip:4930@\(source)>


            """
        return Array(text.replacing("\n", with: "\r\n").utf8)
    }

    @Test("of one trunk: another trunk's calls are set up at once, a call that is up ends at once, what waits is bounded")
    func trunk() throws {
        let world = SimulatedWorld(seed: 21) { $0.trunks.append(Trunk(name: "flooder", address: Self.flooder)) }
        world.servesPerMillisecond = 1
        let present = world.establishCall()
        var callers: [Caller] = []
        var highest = 0
        var number = 0
        for millisecond in 0..<1_000 {
            for _ in 0..<10 {
                world.inject(invite(number, from: Self.flooder), from: Self.flooder)
                number += 1
            }
            highest = max(highest, world.control.waitingCount)
            if millisecond.isMultiple(of: 200) { callers.append(world.placeCall()) }
            if millisecond == 900 {
                present.caller.hangUp()
                world.run(for: .milliseconds(11))
                #expect(present.caller.hangUpStatus == 200, "within a round trip")
            } else {
                world.run(for: .milliseconds(1))
            }
        }
        #expect(highest > 1_000 && highest <= 2_050, "half of a rank's room: \(highest)")
        world.run(for: .milliseconds(60))
        #expect(callers.count == 5 && callers.allSatisfy { !$0.statuses.isEmpty }, "each is heard")
        #expect(world.counters[.sipRetransmissionsReceived] == 0)
        #expect(world.counters[.sipQueueFull] > 5_000)
        let refused = world.traffic.filter { $0.message.status == 503 }
        #expect(refused.allSatisfy { $0.peer == Self.flooder && $0.message.text(.retryAfter) == "5" })
        #expect(UInt64(refused.count) == world.counters[.sipQueueFull])
        world.run(for: .seconds(10))
        #expect(world.control.waitingCount == 0)
        #expect(callers.allSatisfy { $0.finalStatus == 200 })
        #expect(world.problems.isEmpty, "\(world.problems)")
    }

    @Test("a request that waits is served once, however often it is sent meanwhile, and its CANCEL finds it")
    func repeated() {
        let world = SimulatedWorld(seed: 22)
        world.servesPerMillisecond = 1
        for number in 0..<50 { world.inject(invite(number, from: SimulatedWorld.callerAddress), from: SimulatedWorld.callerAddress) }
        for number in 0..<50 { world.inject(invite(number, from: SimulatedWorld.callerAddress), from: SimulatedWorld.callerAddress) }
        world.run(for: .milliseconds(200))
        #expect(world.counters[.callsAttempted] == 50 && world.counters[.sipRetransmissionsReceived] == 50)
        #expect(world.records.count == 50)
    }
}
