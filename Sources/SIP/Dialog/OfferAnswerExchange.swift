package import Core

/// A change of an established session, passed from one leg of a back-to-back user agent to the other: a re-INVITE
/// (RFC 3261 §14) or an UPDATE (RFC 3311), with its offer and its answer (RFC 3264).
///
/// The *initiator* sent the request to relayd, the *responder* gets one made from it. A re-INVITE without a description asks
/// for an offer: it comes in the responder's 2xx, and the answer in the initiator's ACK, so the responder's ACK has to wait
/// for that.
///
/// Holds no message and no clock. The owner carries out every effect of one event before giving the next. Tests check over
/// random event orders:
///
/// - the initiator's request gets exactly one final response;
/// - a responder's 2xx to INVITE is acknowledged exactly once;
/// - exactly one of `agreed` and `unchanged` comes, unless the call ended.
package struct OfferAnswerExchange: Sendable {
    package enum Carrier: Sendable { case invite, update }

    package enum Stage: Sendable {
        /// The request is with the responder.
        case requested
        /// The initiator has its 2xx to INVITE and owes the ACK.
        case answered
        case finished
    }

    package enum Event: Sendable {
        /// A 2xx. `isUsable`: it carries the description it has to: the answer, or the offer that was asked for.
        case succeeded(isUsable: Bool)
        /// A final response from 300 on, from the responder.
        case failed(status: Int)
        /// Nothing came back in time, or the request could not be sent.
        case unreachable
        /// The initiator sent CANCEL.
        case cancelled
        /// `isUsable`: it carries an answer. Of no interest where the offer was in the request.
        case acknowledged(isUsable: Bool)
        /// 64*T1 without ACK for our 2xx.
        case acknowledgementMissing
        /// The call is over.
        case callEnded
    }

    package enum Effect: Equatable, Sendable {
        /// ACK to the responder. `withAnswer`: it carries the initiator's; else, where an answer is owed, one that declines.
        case acknowledge(withAnswer: Bool)
        case cancelRequest
        /// 2xx to the initiator with the responder's description.
        case answer
        case refuse(status: Int)
        /// Both descriptions count from now on.
        case agreed
        /// The session stays as it was (RFC 3261 §14.1).
        case unchanged
        case release(ReleaseCause, party: ReleaseParty)
    }

    package let initiator: Leg
    package let carrier: Carrier
    /// What the responder gets: an UPDATE goes as re-INVITE to a responder that does not know UPDATE.
    package let passedAs: Carrier
    /// Whether the request came with an offer.
    package let hasOffer: Bool
    package private(set) var stage = Stage.requested

    package init(initiator: Leg, carrier: Carrier, passedAs: Carrier, hasOffer: Bool) {
        precondition(hasOffer || carrier == .invite, "an UPDATE without an offer changes no session")
        precondition(carrier == .update || passedAs == .invite, "an ACK that may carry an answer needs an INVITE on both legs")
        self.initiator = initiator
        self.carrier = carrier
        self.passedAs = passedAs
        self.hasOffer = hasOffer
    }

    package var responder: Leg { initiator.other }
    /// Whose description is the offer.
    package var offerer: Leg { hasOffer ? initiator : responder }

    package mutating func handle(_ event: Event, effects: inout [Effect]) {
        switch (stage, event) {
        case (.requested, .succeeded(isUsable: true)): succeeded(&effects)
        case (.requested, .succeeded(isUsable: false)):
            if passedAs == .invite { effects.append(.acknowledge(withAnswer: false)) }
            refuse(488, &effects)
        case (.requested, .failed(let status)):
            refuse(status, &effects)
            // The responder no longer knows the dialog (RFC 3261 §12.2.1.2).
            if status == 481 || status == 408 { effects.append(.release(.peerLost, party: party(responder))) }
        case (.requested, .unreachable):
            refuse(408, &effects)
            effects.append(.release(.peerLost, party: party(responder)))
        case (.requested, .cancelled):
            // Passed on; whatever the responder says to it is passed back, be it 487 or the answer that crossed.
            if passedAs == .invite { effects.append(.cancelRequest) }
        case (.requested, .callEnded):
            stage = .finished
            effects.append(.refuse(status: 487))
        case (.answered, .acknowledged(let isUsable)):
            stage = .finished
            guard !hasOffer else { break }
            effects.append(.acknowledge(withAnswer: isUsable))
            effects.append(isUsable ? .agreed : .unchanged)
            if !isUsable { effects.append(.release(.mediaNotAcceptable, party: .relayd)) }
        case (.answered, .acknowledgementMissing):
            stage = .finished
            if !hasOffer { effects += [.acknowledge(withAnswer: false), .unchanged] }
            effects.append(.release(.ackMissing, party: .relayd))
        case (.answered, .callEnded):
            stage = .finished
            if !hasOffer { effects.append(.acknowledge(withAnswer: false)) }
        default: break
        }
    }

    private mutating func succeeded(_ effects: inout [Effect]) {
        if hasOffer {
            if passedAs == .invite { effects.append(.acknowledge(withAnswer: false)) }
            effects += [.agreed, .answer]
        } else {
            effects.append(.answer)
        }
        stage = carrier == .invite ? .answered : .finished
    }

    private mutating func refuse(_ status: Int, _ effects: inout [Effect]) {
        stage = .finished
        effects += [.unchanged, .refuse(status: status)]
    }

    private func party(_ leg: Leg) -> ReleaseParty { leg == .caller ? .caller : .callee }
}

extension OfferAnswerExchange {
    /// What a request that would change the session is told while another change is under way (RFC 3261 §14.2, RFC 3311
    /// §5.2): 500 with Retry-After when the same side has asked before, 491 when it crosses a request of the other side's.
    package static func refusal(of leg: Leg, whileAsking responder: Leg) -> Int { leg == responder ? 491 : 500 }

    /// How long after a 491 a request is tried again (RFC 3261 §14.1), in steps of 10 ms.
    ///
    /// - Parameter ownsCallID: whether this side chose the dialog's Call-ID.
    package static func retryDelay(ownsCallID: Bool, random: inout SeededRandom) -> Duration {
        .milliseconds(10 * Int.random(in: ownsCallID ? 210...400 : 0...200, using: &random))
    }
}
