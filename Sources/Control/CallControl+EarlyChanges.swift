import Configuration
import ControlProtocol
import Core
import Relay
import SIP

/// Offers and answers before the call is answered: an UPDATE of either side (RFC 3311), a new offer in the caller's PRACK, and
/// the offer that a callee makes in a reliable response to an INVITE without one (RFC 3262 §5).
///
/// A side can be asked anew once the first offer was answered reliably on its own leg: the caller has acknowledged a response
/// with a description, the callee has sent one that it wants acknowledged. Each leg gets there by itself, so one that cannot may
/// meet one that can; what is asked for then is refused, or kept from the side that cannot.
extension CallControl {
    /// The caller knows reliable provisional responses, or insists on them.
    func knowsReliability(_ call: Call) -> Bool {
        call.invite.hasToken("100rel", in: .supported) || call.invite.hasToken("100rel", in: .require)
    }

    // MARK: UPDATE, and a new offer in a PRACK

    /// Why the other side of `leg` cannot be asked for another session before the answer; nil when it can.
    ///
    /// - Returns: 491 or 500 while an offer waits for its answer (RFC 3311 §5.2); 504 when the other side can be asked nothing
    ///   before its user, or relayd's caller, has the answer.
    func earlyRefusal(of leg: Leg, _ call: Call) -> Int? {
        let pending = OfferAnswerExchange.refusal(of: leg, whileAsking: .callee)
        guard call.machine.caller == .proceeding, let chosen = call.chosen, call.machine.isOpen(chosen) else { return pending }
        let hasCallerAgreed = call.agreedBranch == chosen
        let hasCalleeAgreed = call.branches[chosen.rawValue].isAgreed
        guard leg == .caller ? hasCallerAgreed : hasCalleeAgreed else { return pending }
        guard call[leg.other].allowed?.contains(.update) == true else { return 504 }
        if leg == .callee, !hasCallerAgreed { return knowsReliability(call) ? pending : 504 }
        if leg == .caller, !hasCalleeAgreed { return 504 }
        return nil
    }

    /// A PRACK must have a 2xx, and an offer in it an answer: from the callee where it can be asked, else from what it has said
    /// before.
    mutating func receiveOffer(
        in prack: SIPMessage, _ id: TransactionID, from source: Flow, of number: CallNumber, _ call: Call, now: Instant
    ) {
        let offer: SessionDescription
        switch Self.offer(in: prack) {
        case .failure(let refusal):
            respond(to: prack, id, from: source, of: call, .caller, status: refusal.status, headers: refusal.headers, now: now)
            return
        case .success(let description): offer = description
        }
        call[.caller].learn(from: prack)
        let mainPlace = mainPlace(in: offer, of: call)
        let filters = Self.filters(of: call.callerTrunk, call.calleeTrunk)
        guard call.change == nil, earlyRefusal(of: .caller, call) == nil,
            mainPlace.map({ offer.media[$0].hasCodec(passing: filters) }) ?? true
        else {
            return answerHere(prack, id, from: source, offer: offer, call, now: now)
        }
        let machine = OfferAnswerExchange(initiator: .caller, carrier: .update, passedAs: .update, hasOffer: true)
        begin(machine, prack, id, from: source, offer: offer, mainPlace: mainPlace, of: number, call, now: now)
    }

    /// The callee cannot be asked, or will not change: its description answers the caller's new offer as it is, if it fits.
    mutating func answerHere(
        _ prack: SIPMessage, _ id: TransactionID, from source: Flow, offer: SessionDescription, _ call: Call, now: Instant
    ) {
        guard call.machine.release == nil, let answer = call[.callee].description,
            mainPlace(in: offer, of: call) == call.main.place, Self.fits(answer, offer)
        else {
            counters.add(to: .sessionChangesRefused)
            respond(to: prack, id, from: source, of: call, .caller, status: 488, now: now)
            return
        }
        call[.caller].description = offer
        call[.caller].refreshed = nil
        call[.caller].mediumIndex = call.main.place
        call[.caller].signalling = source
        agreeOnMultiplexing(call)
        expectAgreed(of: .caller, call)
        if let chosen = call.chosen { call.branches[chosen.rawValue].isSettled = true }
        let body = describe(answer, call.main.place, to: .caller, answering: offer, call)
        respond(to: prack, id, from: source, of: call, .caller, status: 200, body: body, now: now)
    }

    /// Whether a description that answered another offer answers this one too: the same lines, nothing that is not offered, and
    /// no change of direction, which its side would have to know of.
    private static func fits(_ answer: SessionDescription, _ offer: SessionDescription) -> Bool {
        guard answer.media.count == offer.media.count else { return false }
        return zip(answer.media, offer.media).allSatisfy { medium, offered in
            if medium.port == 0 { return true }
            return medium.kind == offered.kind && offered.port != 0 && offered.direction == .sendrecv && !offered.isHeldByAddress
                && medium.payloads.allSatisfy { payload in
                    offered.payloads.contains { $0.number == payload.number && $0.isSameFormat(as: payload) }
                }
        }
    }

    /// Another branch than the one with which the caller has an early session answers, or is called: what was agreed on there
    /// does not count in its dialog, which begins with the offer of the INVITE.
    mutating func leaveEarlySession(of number: CallNumber, _ call: Call, now: Instant) {
        if call.change != nil { advanceChange(number, .failed(status: 500), now: now) }
        guard call.branches.contains(where: \.isSettled) else { return }
        call[.caller].refreshed = nil
        call[.caller].description = call.offer
        guard let offer = call.offer, let place = Self.relayedMedium(of: offer) else { return }
        makeMain(place, of: call, number)
        call[.caller].mediumIndex = place
        call[.caller].signalling = call.source
    }

    /// A dialog of a callee that rings beside the one whose session the caller has.
    mutating func isBesideEarly(_ request: SIPMessage) -> Bool {
        guard let tag = request.toTag, let (_, leg, call) = call(of: request.callID, localTag: tag), leg == .callee else {
            return false
        }
        return call.branches.contains { tag.isText($0.dialog.localTag) && call.machine.isOpen($0.id) }
    }

    // MARK: An offer in a reliable response

    /// Whether the PRACK for this response has to wait: it will carry the caller's answer to the offer in the response.
    func owesAnswer(to response: SIPMessage, _ id: BranchID, _ call: Call) -> Bool {
        let branch = call.branches[id.rawValue]
        return call.asksForOffer && branch.media != nil && !response.body.isEmpty && !branch.isSettled
            && branch.owedPRACK == nil && call.mediaBranch == id && knowsReliability(call)
            && response.hasToken("100rel", in: .require)
    }

    /// The caller's PRACK for the offer of a callee: its answer goes on in ours, and the session is agreed on before the call is
    /// answered.
    mutating func takeEarlyAnswer(
        _ prack: SIPMessage, _ id: TransactionID, from source: Flow, of number: CallNumber, _ branch: BranchID, _ call: Call,
        now: Instant
    ) {
        guard let owed = call.branches[branch.rawValue].owedPRACK, call.machine.isOpen(branch),
            let offer = call.branches[branch.rawValue].side.description
        else {
            respond(to: prack, id, from: source, of: call, .caller, status: 200, now: now)
            return
        }
        guard prack.hasSessionDescription, let answer = try? SessionDescription(parsing: prack.body),
            answer.media.count == offer.media.count
        else {
            respond(to: prack, id, from: source, of: call, .caller, status: 488, now: now)
            return enqueue(.release(cause: .mediaNotAcceptable, status: 488, party: .relayd), for: number)
        }
        call[.caller].description = answer
        call[.caller].mediumIndex = call.main.place
        call[.caller].signalling = source
        call[.caller].learn(from: prack)
        agreeOnMultiplexing(call)
        expectAgreed(of: .caller, call)
        expectAgreed(of: .callee, call)
        let body = describe(answer, call.main.place, to: .callee, answering: offer, call)
        endUnwantedMedia(of: call)
        call.branches[branch.rawValue].owedPRACK = nil
        call.branches[branch.rawValue].isAgreed = true
        call.branches[branch.rawValue].isSettled = true
        acknowledgeReliably(owed, branch, call, number, answer: body, now: now)
        respond(to: prack, id, from: source, of: call, .caller, status: 200, now: now)
    }
}
