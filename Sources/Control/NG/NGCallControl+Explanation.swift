package import ControlProtocol
package import Core
import Diagnosis
import NG
import Relay
import SIP

/// What became of a call that a proxy drives, and why, as far as its descriptions and its media tell: the SIP is the proxy's.
extension NGCallControl {
    /// By its short id, Call-ID or either tag; of several the newest.
    package func explain(_ name: String, now: Instant) -> CallExplanation? {
        let present = calls[name] ?? calls.values.filter { $0.isNamed(name) }.max { $0.createdAt < $1.createdAt }
        if let present { return explanation(evidence(of: present, cause: nil, now: now)) }
        return endedCalls.newest { $0.call.isNamed(name) }.map(explanation)
    }

    /// - Parameter cause: nil while it is present.
    func evidence(of call: NGCall, cause: String?, now: Instant) -> NGCallEvidence {
        let session = call.firstMedium?.taken.session
        func media(_ leg: Leg) -> MediaEvidence? { session.map { self.media.evidence(of: $0, leg) } }
        return NGCallEvidence(call: call, cause: cause, at: now, fromCaller: media(.caller), fromCallee: media(.callee))
    }

    private func explanation(_ evidence: NGCallEvidence) -> CallExplanation {
        let call = evidence.call
        let facts = evidence.facts
        var diagnosis = Diagnosis.of(Boxed(facts))
        if call.answeredAt == nil {
            diagnosis = facts.end == nil
                ? Diagnosis(.inProgress, "The proxy has offered the call, and has not told of an answer yet.")
                : Diagnosis(.unexplained, "The proxy has not told of an answer before the call ended: what became of it is in the proxy's log.")
        }
        diagnosis.evidence.append("a proxy drives this call over NG: relayd sees its descriptions and its media, and no SIP")
        let setupAt = wallTime(call.createdAt)
        return CallExplanation(
            id: call.shortID, recordID: "", callerNumber: call.caller.tag ?? "", calledNumber: call.callee.tag ?? "", callerTrunk: "ng",
            calleeTrunk: "ng", callerAddress: facts.caller.address, calleeAddress: facts.callee?.address, callerCallID: call.id,
            setupAt: setupAt, answerAt: facts.answeredAt.map { setupAt + $0 }, releaseAt: facts.end.map { setupAt + $0.at },
            cause: facts.end?.cause, sipCode: nil, verdict: diagnosis.verdict, sentence: diagnosis.sentence, evidence: diagnosis.evidence,
            advice: diagnosis.advice, lints: CallEvidence.lints(of: diagnosis), fromCaller: CallEvidence.direction(facts, .caller),
            fromCallee: CallEvidence.direction(facts, .callee))
    }
}

/// What is kept of such a call after its end.
struct NGCallEvidence {
    let call: NGCall
    /// Nil while it is present.
    let cause: String?
    let at: Instant
    /// Nil when it had no media.
    let fromCaller: MediaEvidence?
    let fromCallee: MediaEvidence?

    var facts: CallFacts {
        let end = call.deletedAt ?? at
        var facts = CallFacts(age: end - call.createdAt, caller: party(.caller), ownContact: SocketAddress(ip: call.proxy ?? .ipv4Loopback, port: 0))
        facts.callee = call.callee.tag == nil ? nil : party(.callee)
        facts.answeredAt = call.answeredAt.map { $0 - call.createdAt }
        facts.noMediaTimeout = call.noMedia.value.isOff ? .zero : call.noMedia.value.timeout
        if let fromCaller { facts.fromCaller = StreamFacts(fromCaller, since: call.createdAt) }
        if let fromCallee { facts.fromCallee = StreamFacts(fromCallee, since: call.createdAt) }
        // A call whose proxy has deleted it stays for a while, and is over all the same.
        let cause = cause ?? (call.deletedAt == nil ? nil : "normal")
        if let cause {
            facts.end = CallFacts.End(
                ReleaseCause(rawValue: cause) ?? .normal, status: 200, by: cause == "operator_hangup" ? .operator : .relayd,
                at: facts.age)
        }
        return facts
    }

    private func party(_ leg: Leg) -> PartyFacts {
        let side = call[leg]
        let source = call.source(of: leg)
        var party = PartyFacts(name: "ng", address: SocketAddress(ip: source?.signalling ?? call.proxy ?? .ipv4Loopback, port: 0))
        party.origin = SessionDescription.origin(in: side.described[...])
        if let description = try? SessionDescription(parsing: side.described),
            let index = call.lines.firstIndex(where: { $0.medium != nil }), description.media.indices.contains(index)
        {
            party.media = MediaFacts(description.media[index])
        }
        return party
    }
}

extension NGCall {
    func isNamed(_ name: String) -> Bool { shortID == name || id == name || leg(of: name) != nil }
}
