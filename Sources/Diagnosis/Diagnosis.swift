package import Core

/// What became of a call and why: a verdict, one sentence, what supports it, what to change.
package struct Diagnosis: Equatable, Sendable {
    package var verdict: CallVerdict
    /// The root cause.
    package var sentence: String
    package var evidence: [String]
    /// What to change; nil when there is nothing.
    package var advice: String?
    package var lints: [Lint] = []
    /// A message that should have come and did not.
    package var missing: MissingMessage?

    package init(_ verdict: CallVerdict, _ sentence: String, evidence: [String] = [], advice: String? = nil, missing: MissingMessage? = nil) {
        self.verdict = verdict
        self.sentence = sentence
        self.evidence = evidence
        self.advice = advice
        self.missing = missing
    }
}

/// The step at which a ladder stops short.
package struct MissingMessage: Equatable, Sendable {
    package var leg: Leg
    /// True when relayd waited for it.
    package var isReceived: Bool
    /// `ACK`, `an answer to BYE`.
    package var text: String
    /// When it should have been there, from the first INVITE on.
    package var at: Duration

    package init(_ leg: Leg, received isReceived: Bool, _ text: String, at time: Duration) {
        self.leg = leg
        self.isReceived = isReceived
        self.text = text
        at = time
    }
}

extension Diagnosis {
    /// Looks at the facts from the surest sign to the vaguest; the first that fits is the verdict.
    ///
    /// - Parameter messages: of both legs, oldest first; empty where somebody else passes them on.
    package static func of(_ facts: Boxed<CallFacts>, messages: [MessageFact] = []) -> Diagnosis {
        var diagnosis = found(facts, messages, summarizes: true)
        for error in facts.value.unreachable where !diagnosis.evidence.contains(error.sentence) {
            diagnosis.evidence.append(error.sentence)
        }
        diagnosis.lints = Lint.all(facts.value, messages)
        return diagnosis
    }

    /// All that a record needs: what the call itself ended with, without what supports it.
    package static func ofRecord(_ facts: Boxed<CallFacts>, messages: [MessageFact]) -> (verdict: CallVerdict, sentence: String) {
        let diagnosis = found(facts, messages, summarizes: false)
        return (diagnosis.verdict, diagnosis.sentence)
    }

    private static func found(_ facts: Boxed<CallFacts>, _ messages: [MessageFact], summarizes: Bool) -> Diagnosis {
        if let found = SignallingRules(facts, messages).diagnosis { return found }
        let media = MediaRules(facts, messages, summarizes: summarizes)
        return media.diagnosis ?? rest(facts, media)
    }

    private static func rest(_ facts: Boxed<CallFacts>, _ media: MediaRules) -> Diagnosis {
        guard let end = facts.value.end else {
            let isRinging = facts.value.rangAt != nil
            let what = facts.value.answeredAt != nil ? "connected" : isRinging ? "ringing" : "being set up"
            return Diagnosis(.inProgress, "The call is \(what), and nothing is wrong so far.", evidence: media.summary)
        }
        switch end.cause {
        case .normal:
            // Nearly every call: a text that need not be made.
            let sentence = switch end.party {
            case .callee: "A normal call: answered, heard in both directions, ended by the callee."
            case .caller: "A normal call: answered, heard in both directions, ended by the caller."
            default: "A normal call: answered, heard in both directions, ended by the proxy."
            }
            return Diagnosis(.normal, sentence, evidence: media.summary)
        case .operatorHangup: return Diagnosis(.operatorHangup, "An operator ended the call.", evidence: media.summary)
        case .shutdown: return Diagnosis(.shutdown, "relayd was stopped and ended the call.")
        default:
            return Diagnosis(
                .unexplained, "The call ended with \(end.cause.rawValue) (SIP \(end.status)), and nothing seen explains it further.",
                evidence: media.summary)
        }
    }
}

extension CallFacts.Unreachable {
    /// `198.51.100.7:5060 answered with ICMP port unreachable`.
    var sentence: String {
        let request = method == "INVITE" ? "" : " to \(method)"
        guard let reporter, reporter != destination.ip else { return "\(destination) answered\(request) with ICMP \(meaning)" }
        return "\(reporter) answered\(request) for \(destination) with ICMP \(meaning)"
    }
}

/// Times as sentences say them: `0.4 s`, `32 s`, `12 min 5 s`.
func text(_ duration: Duration) -> String {
    let tenths = (max(0, duration.inSeconds) * 10).rounded()
    if tenths < 100 { return tenths.truncatingRemainder(dividingBy: 10) == 0 ? "\(Int(tenths / 10)) s" : "\(tenths / 10) s" }
    let seconds = Int((tenths / 10).rounded())
    if seconds < 120 { return "\(seconds) s" }
    return seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s"
}

extension Leg {
    /// `caller`.
    var name: String { self == .caller ? "caller" : "callee" }
    /// `caller's`.
    var possessive: String { "\(name)'s" }
}
