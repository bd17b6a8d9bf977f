import Core
import SIP

/// An INVITE without an offer: the callee makes it in its 2xx, the caller answers in its ACK, and ours carries that on
/// (RFC 3261 §13.2.1).
extension CallControl {
    /// The caller's ACK. Without an answer in it there is no session: the offer is declined and the call ends.
    mutating func takeLateAnswer(_ acknowledgement: SIPMessage, _ number: CallNumber, _ call: Call, now: Instant) {
        guard let winner = call.machine.winner, !call.branches[winner.rawValue].isSettled,
            let offer = call[.callee].description
        else { return }
        guard acknowledgement.hasSessionDescription,
            let answer = try? SessionDescription(parsing: acknowledgement.body), answer.media.count == offer.media.count
        else {
            declineLateOffer(of: number, call, now: now)
            return enqueue(.release(cause: .mediaNotAcceptable, status: 200, party: .relayd), for: number)
        }
        call[.caller].description = answer
        call[.caller].mediumIndex = call.main.place
        call[.caller].signalling = call.source
        agreeOnMultiplexing(call)
        expectAgreed(of: .caller, call)
        expectAgreed(of: .callee, call)
        let body = describe(answer, call.main.place, to: .callee, answering: offer, call)
        endUnwantedMedia(of: call)
        acknowledge(winner, of: number, call, with: body, now: now)
    }

    /// An ACK is owed whatever happens, and an answer with it: this one declines all there is (RFC 3264 §6).
    mutating func declineLateOffer(of number: CallNumber, _ call: Call, now: Instant) {
        guard call.asksForOffer, let winner = call.machine.winner, let offer = call[.callee].description,
            call.branches[winner.rawValue].acknowledgement.isEmpty
        else { return }
        acknowledge(winner, of: number, call, with: offer.rewritten(offer.media.map { _ in .decline }), now: now)
    }

    private mutating func acknowledge(_ id: BranchID, of number: CallNumber, _ call: Call, with answer: [UInt8], now: Instant) {
        guard call.branches[id.rawValue].acknowledgement.isEmpty else { return }
        let dialog = call.branches[id.rawValue].dialog
        let sequence = call.branches[id.rawValue].response?.cseq.number ?? dialog.localSequence
        call.branches[id.rawValue].acknowledgement = dialog.request(
            .ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: sequence
        ).finish(body: answer, contentType: "application/sdp")
        sendAcknowledgement(of: call.branches[id.rawValue], call, isRetransmission: false, now: now)
    }
}
