import ControlProtocol
import Core
import Diagnosis
import Relay
import RTP

/// All that is kept of a call to explain it, while it is present and after.
struct CallEvidence: Sendable {
    let number: CallNumber
    let id: String
    let recordID: String
    let callerCallID: String
    let calleeCallID: String?
    let callerTrunk: String?
    let calleeTrunk: String?
    let setupAt: WallTime
    let ladder: Ladder
    private(set) var facts: Boxed<CallFacts>

    /// For what becomes known after the end.
    mutating func changeFacts(_ change: (inout CallFacts) -> Void) {
        var facts = facts.value
        change(&facts)
        self.facts = Boxed(facts)
    }

    var explanation: CallExplanation {
        let diagnosis = Diagnosis.of(facts, messages: ladder.messages)
        let facts = facts.value
        return CallExplanation(
            id: id, recordID: recordID, callerNumber: facts.callerNumber, calledNumber: facts.calledNumber,
            callerTrunk: callerTrunk, calleeTrunk: calleeTrunk, callerAddress: facts.caller.address,
            calleeAddress: facts.callee?.address, callerCallID: callerCallID, calleeCallID: calleeCallID, setupAt: setupAt,
            answerAt: facts.answeredAt.map { setupAt + $0 }, releaseAt: facts.end.map { setupAt + $0.at },
            cause: facts.end?.cause, sipCode: facts.end?.status, verdict: diagnosis.verdict, sentence: diagnosis.sentence,
            evidence: diagnosis.evidence, advice: diagnosis.advice,
            lints: Self.lints(of: diagnosis),
            ladder: ladder.entries(setup: setupAt), omitted: ladder.omitted,
            missing: diagnosis.missing.map { .init(leg: Self.side($0.leg), direction: $0.isReceived ? .in : .out, text: $0.text, milliseconds: $0.at.milliseconds) },
            fromCaller: Self.direction(facts, .caller), fromCallee: Self.direction(facts, .callee))
    }

    private static func side(_ leg: Leg) -> LadderEntry.Leg { leg == .caller ? .caller : .callee }

    static func lints(of diagnosis: Diagnosis) -> [CallExplanation.Lint] {
        diagnosis.lints.map { .init(code: $0.code.rawValue, leg: $0.leg.map(side), sentence: $0.sentence) }
    }

    static func direction(_ facts: CallFacts, _ leg: Leg) -> CallExplanation.Direction {
        let stream = facts.stream(from: leg)
        let formats = (facts.party(leg.other)?.media?.formats ?? []) + (facts.party(leg)?.media?.formats ?? [])
        var direction = CallExplanation.Direction()
        direction.packets = stream.packets
        direction.lost = stream.lost
        direction.passedOn = facts.stream(from: leg.other).sent
        direction.jitterMilliseconds = stream.highestJitter.milliseconds
        direction.longestGapMilliseconds = stream.longestGap.milliseconds
        direction.firstMilliseconds = stream.firstAt?.milliseconds
        direction.lastMilliseconds = stream.lastAt?.milliseconds
        direction.source = stream.source
        direction.payloadType = stream.payloadType
        direction.codec = stream.payloadType.flatMap { type in formats.first { $0.number == type }?.name }
        direction.strangers = stream.strangers
        direction.portClosed = facts.stream(from: leg).refusals
        direction.expected = stream.isExpected
        direction.telephoneEvents = stream.telephoneEvents
        direction.infoDigits = stream.infoDigits
        direction.inBandDigits = stream.inBandDigits
        guard !stream.seconds.isEmpty else { return direction }
        direction.timeline = CallExplanation.Timeline(
            milliseconds: stream.firstSecondAt.milliseconds, packets: stream.seconds.map(\.packets), lost: stream.seconds.map(\.lost),
            jitterMilliseconds: stream.seconds.map(\.jitterMilliseconds))
        return direction
    }

    /// Whether `name` is its id, its record's id or one of its Call-IDs.
    func isNamed(_ name: String) -> Bool { id == name || recordID == name || callerCallID == name || calleeCallID == name }

    func hasNumber(_ number: String) -> Bool { Self.isNumber(number, of: (facts.value.callerNumber, facts.value.calledNumber)) }

    /// With or without a leading `+`.
    static func isNumber(_ number: String, of call: (caller: String, called: String)) -> Bool {
        func bare(_ text: String) -> Substring { text.hasPrefix("+") ? text.dropFirst() : text[...] }
        return !number.isEmpty && (bare(call.caller) == bare(number) || bare(call.called) == bare(number))
    }
}
