import Configuration
import ControlProtocol
import Core
import SIP
import Testing

@testable import Control

@Suite("Verdicts of simulated calls")
struct DiagnosisSimulationTests {
    /// Runs one call to its end.
    private func verdict(
        _ script: CallScript, number: String? = nil, for duration: Duration = .seconds(200), noMediaTimeout: Duration = .seconds(60),
        prepare: (SimulatedWorld) -> Void = { _ in }
    ) throws -> (record: CallRecord, explanation: CallExplanation, world: SimulatedWorld) {
        let world = SimulatedWorld(seed: 5, noMediaTimeout: noMediaTimeout)
        prepare(world)
        world.placeCall(script, number: number)
        world.run(for: duration)
        let record = try #require(world.records.first)
        let explanation = try #require(world.explain(record.id))
        #expect(world.problems.isEmpty, "\(world.problems)")
        return (record, explanation, world)
    }

    private func talk(_ adjust: (inout CallScript) -> Void) -> CallScript {
        var script = CallScript()
        script.hangUp = (.caller, .seconds(40))
        adjust(&script)
        return script
    }

    @Test("a thousand clean calls: not one false alarm, whoever rings, answers, hangs up, refuses or gives up", arguments: [1, 2, 3, 4] as [UInt64])
    func noFalseAlarms(seed: UInt64) {
        let world = SimulatedWorld(seed: seed, latency: .milliseconds(15), jitter: .milliseconds(20)) {
            $0.media.ports = 10_000...19_999
        }
        for _ in 0..<250 {
            var script = CallScript()
            script.sendsTrying = Bool.random(using: &world.random)
            script.ringing = [[], [180], [183], [180, 183]].randomElement(using: &world.random)!
            script.hasEarlyMedia = Bool.random(using: &world.random)
            script.ringDelay = .milliseconds(Int.random(in: 50...1_500, using: &world.random))
            script.answerDelay = .milliseconds(Int.random(in: 100...9_000, using: &world.random))
            script.hangUp = (Bool.random(using: &world.random) ? .caller : .callee, .milliseconds(Int.random(in: 0...90_000, using: &world.random)))
            switch Int.random(in: 0..<12, using: &world.random) {
            case 0: script.answer = .reject(486)
            case 1: script.answer = .reject(603)
            case 2:
                script.answer = .never
                script.ringing = [180]
                script.cancelDelay = .milliseconds(Int.random(in: 3_000...20_000, using: &world.random))
            default: break
            }
            world.placeCall(script)
            world.run(for: .milliseconds(Int.random(in: 100...2_000, using: &world.random)))
        }
        world.run(for: .seconds(200))
        #expect(world.records.count == 250)
        let alarms = world.records.filter { $0.verdict?.isTrouble != false }
        #expect(alarms.isEmpty, "seed \(seed): \(alarms.map { "\($0.verdict?.rawValue ?? "-"): \($0.explanation ?? "")" })")
        #expect(world.records.contains { $0.verdict == .normal } && world.records.contains { $0.verdict == .busy })
        for record in world.records.prefix(50) { #expect(world.explain(record.id)?.verdict == record.verdict) }
    }

    @Test("a normal call is explained after its end by id, record, either Call-ID and either number")
    func names() throws {
        let (record, explanation, world) = try verdict(talk { _ in })
        #expect(record.verdict == .normal && record.explanation == explanation.sentence)
        #expect(explanation.ladder.map(\.text).starts(with: ["INVITE", "100 Trying", "INVITE"]))
        #expect(explanation.missing == nil && explanation.lints.isEmpty, "\(explanation.lints)")
        #expect(explanation.fromCaller?.packets ?? 0 > 1_900)
        let names = [explanation.id, record.callerCallID, record.calleeCallID, record.callerNumber, "+" + record.calledNumber]
        for name in names { #expect(world.explain(try #require(name))?.recordID == record.id, "\(name ?? "")") }
        #expect(world.explain("nothing") == nil)
    }

    @Test("ACK lost: the record says so after 32 s, with relayd's Contact and the missing step")
    func ackLost() throws {
        let (record, explanation, _) = try verdict(talk { $0.acknowledges = false; $0.hangUp = nil })
        #expect(record.verdict == .ackLost)
        #expect(record.explanation?.contains("192.0.2.1:5060") == true)
        #expect(explanation.missing?.text == "ACK" && explanation.missing?.leg == .caller)
        #expect(explanation.text(TextStyle(width: 80)).contains("no ACK"))
    }

    @Test("an ACK to the callee that never arrives is seen by the 200s it repeats")
    func calleeAckLost() throws {
        let (record, _, _) = try verdict(talk { $0.hangUp = nil }) { world in
            world.drops = { message, destination in message.isRequest && message.method == .ack && destination == SimulatedWorld.calleeAddress }
        }
        #expect(record.verdict == .ackLost)
        #expect(record.explanation?.contains("203.0.113.20:5060") == true)
    }

    @Test("media: never, one-way from the start, one-way later, both dead")
    func media() throws {
        let never = try verdict(talk { $0.callerSendsMedia = false; $0.calleeSendsMedia = false }).record
        #expect(never.verdict == .noMedia && never.cause == .normal)
        let caller = try verdict(talk { $0.callerSendsMedia = false }).record
        #expect(caller.verdict == .oneWayFromStart && caller.explanation?.contains("from the caller") == true)
        let callee = try verdict(talk { $0.calleeSendsMedia = false }).record
        #expect(callee.verdict == .oneWayFromStart && callee.explanation?.contains("from the callee") == true)
        let later = try verdict(talk { $0.calleeMediaDuration = .seconds(15) })
        #expect(later.record.verdict == .oneWayLater && later.record.explanation?.contains("callee's RTP stopped at 17 s") == true, "\(later.record.explanation ?? "")")
        let both = try verdict(talk { $0.calleeMediaDuration = .seconds(10); $0.callerMediaDuration = .seconds(10); $0.hangUp = nil }).record
        #expect(both.cause == .noMedia && both.verdict == .mediaDied, "\(both.explanation ?? "")")
    }

    @Test("a caller that vanishes is named once its BYE stays unanswered")
    func endpointGone() throws {
        let (record, explanation, _) = try verdict(talk { $0.vanishDelay = .seconds(20); $0.hangUp = (.callee, .seconds(40)) })
        // When the record is written nobody knows yet that the BYE will not be answered.
        #expect(record.verdict == .oneWayLater)
        #expect(explanation.verdict == .endpointGone && explanation.sentence.contains("caller vanished"), "\(explanation.sentence)")
        #expect(explanation.missing?.text == "an answer to BYE")
    }

    @Test("routes: none, silent, refusing codecs, refusing us; the limit of calls")
    func routes() throws {
        #expect(try verdict(CallScript(), number: "1555").record.verdict == .noRoute)
        var script = CallScript()
        script.answer = .silence
        let silent = try verdict(script)
        #expect(silent.record.verdict == .noResponse && silent.record.explanation?.contains("203.0.113.20:5060") == true)
        #expect(silent.explanation.missing?.leg == .callee)
        for (status, expected) in [(488, CallVerdict.codecMismatch), (407, .authenticationFailed), (500, .rejectedByRoute), (404, .numberUnknown)] {
            script.answer = .reject(status)
            #expect(try verdict(script).record.verdict == expected, "\(status)")
        }
        let world = SimulatedWorld(seed: 3) { $0.limits.calls = 1 }
        world.placeCall(talk { _ in })
        world.run(for: .seconds(3))
        world.placeCall(talk { _ in })
        world.run(for: .seconds(3))
        #expect(world.records.map(\.verdict) == [.capacityLimit])
    }

    @Test("a present call is explained too")
    func present() throws {
        let world = SimulatedWorld(seed: 9)
        world.placeCall(talk { $0.calleeSendsMedia = false })
        world.run(for: .seconds(4))
        let id = try #require(world.presentCalls.first)
        #expect(world.explain(id)?.verdict == .inProgress)
        world.run(for: .seconds(20))
        let explanation = try #require(world.explain(id))
        #expect(explanation.verdict == .oneWayFromStart && explanation.releaseAt == nil)
    }

    @Test("only so many ended calls are remembered, and strangers cannot push them out")
    func bounded() throws {
        let world = SimulatedWorld(seed: 4) { $0.trace.endedCalls = 3 }
        for _ in 0..<5 {
            world.placeCall(talk { $0.hangUp = (.caller, .seconds(5)) })
            world.run(for: .seconds(50))
        }
        #expect(world.records.map { world.explain($0.id) != nil } == [false, false, true, true, true])
        for number in 0..<20 {
            _ = world.exchange(
                """
                INVITE sip:4930\(number)@192.0.2.1 SIP/2.0
                Via: SIP/2.0/UDP 203.0.113.99;branch=z9hG4bK\(number)
                From: <sip:scan@x>;tag=\(number)
                To: <sip:4930@x>
                Call-ID: scan\(number)
                CSeq: 1 INVITE
                Content-Length: 0


                """, from: SocketAddress("203.0.113.99:5060")!)
        }
        world.run(for: .seconds(60))
        #expect(world.explain("scan19")?.verdict == .unknownSource)
        #expect(world.records.count == 5)
        #expect(world.records.map { world.explain($0.id) != nil } == [false, false, true, true, true])
    }
}
