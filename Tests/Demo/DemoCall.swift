import Core
import Harness

/// One call of the demo: who does what, and how it must end.
struct DemoCall: Sendable {
    let title: String
    /// What happens, for a person.
    let story: [String]
    let callerScenario: String
    let calleeScenario: String
    let calledNumber: String
    /// How long both talk.
    let talk: Duration
    let cause: ReleaseCause
    let endedBy: ReleaseParty
    /// Who has to get a BYE from relayd.
    let hungUp: [ReleaseParty]
    /// Whose media stops before the end; the other's goes on until then.
    let silent: [ReleaseParty]

    static let noMediaTimeoutSeconds = 3

    static let all = [
        DemoCall(
            title: "a call that ends normally",
            story: ["Both talk for 3 seconds, then the caller hangs up."],
            callerScenario: "caller-hangs-up-rtp", calleeScenario: "callee-stays-rtp", calledNumber: "4930123456",
            talk: .seconds(3), cause: .normal, endedBy: .caller, hungUp: [.callee], silent: []),
        DemoCall(
            title: "the media of both sides stops, and nobody hangs up",
            story: [
                "Both talk for 2 seconds and then vanish without a BYE. This trunk's calls end when neither side",
                "is heard for 3 seconds (no_media_mode = \"both\").",
            ],
            callerScenario: "caller-falls-silent-rtp", calleeScenario: "callee-falls-silent-rtp",
            calledNumber: "4930123456", talk: .seconds(2), cause: .noMedia, endedBy: .relayd,
            hungUp: [.caller, .callee], silent: [.caller, .callee]),
        DemoCall(
            title: "the media of one side stops",
            story: [
                "After 2 seconds the callee is not heard any more; the caller goes on. This trunk's calls end when",
                "either side is silent for 3 seconds (no_media_mode = \"any\").",
            ],
            callerScenario: "caller-stays-rtp", calleeScenario: "callee-falls-silent-rtp", calledNumber: "33140123456",
            talk: .seconds(2), cause: .noMedia, endedBy: .relayd, hungUp: [.caller, .callee], silent: [.callee]),
    ]
}

/// What a call of the demo was.
struct DemoResult: Sendable {
    let call: DemoCall
    let caller: SIPp
    let callee: SIPp
    let record: CallRecord?
    /// RTP packets the relay sent on during this call, both directions.
    let relayed: UInt64
    /// Complaints of the two SIPp.
    let failures: [String]

    /// Everything that is not as it should be; empty when all is well.
    var faults: [String] {
        guard let record else { return failures + ["there is no call record"] }
        var faults = failures
        func check(_ holds: Bool, _ complaint: @autoclosure () -> String) {
            if !holds { faults.append(complaint()) }
        }
        check(record.cause == call.cause, "the record's cause is \(record.cause.rawValue), not \(call.cause.rawValue)")
        check(record.endedBy == call.endedBy, "the record says \(record.endedBy.rawValue) ended it")
        check(record.sipCode == 200, "the record's SIP status is \(record.sipCode)")
        check(record.callerCallID == caller.messages.first?.header("Call-ID"), "the caller's Call-ID is another one")
        check(record.calleeCallID == callee.messages.first?.header("Call-ID"), "the callee's Call-ID is another one")
        check(record.callerCallID != record.calleeCallID, "both legs have the same Call-ID")
        for (party, peer) in [(ReleaseParty.caller, caller), (.callee, callee)] where call.hungUp.contains(party) {
            let byes = peer.received("BYE")
            check(!byes.isEmpty, "the \(party.rawValue) got no BYE")
            check(byes.allSatisfy { $0.header("Reason") != nil }, "the \(party.rawValue)'s BYE has no Reason")
        }
        checkMedia(of: record, check)
        return faults
    }

    private func checkMedia(of record: CallRecord, _ check: (Bool, @autoclosure () -> String) -> Void) {
        // 50 packets a second; SIPp's clock is coarse and its first packet late.
        let expected = UInt64(call.talk.inSeconds * 50 * 0.8)
        for (party, direction) in [(ReleaseParty.caller, record.fromCaller), (.callee, record.fromCallee)] {
            check(direction.packets >= expected, "only \(direction.packets) packets came from the \(party.rawValue)")
            check(direction.lost == 0, "\(direction.lost) packets from the \(party.rawValue) are missing")
            if !call.silent.contains(party) {
                let silence = record.silence(of: direction)
                check(silence < 500, "the \(party.rawValue) was not heard for \(silence) ms at the end")
            }
        }
        let silences = call.silent.map { record.silence(of: $0 == .caller ? record.fromCaller : record.fromCallee) }
        if let shortest = silences.min() {
            // Two times cut to milliseconds may be one short of their distance.
            let limit = Int64(DemoCall.noMediaTimeoutSeconds * 1_000)
            check((limit - 1...limit + 1_000).contains(shortest), "released after \(shortest) ms of silence")
        }
        // Until a side has sent, it is sent nothing: some packets at the start are received and not passed on.
        let received = record.fromCaller.packets + record.fromCallee.packets
        check(relayed <= received && relayed + 10 >= received, "\(received) packets came in and \(relayed) went out")
    }
}

extension CallRecord {
    /// Milliseconds from the last packet of a direction to the release; from the answer when there was none.
    func silence(of direction: Direction) -> Int64 {
        releaseAt.milliseconds - (direction.lastMediaAt ?? answerAt ?? setupAt).milliseconds
    }
}
