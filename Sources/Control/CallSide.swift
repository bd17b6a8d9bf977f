import Core
import Relay
import SIP

/// What is known of one party of a call beyond its dialog: what it announced, and what it can do. A reference, as `Call` is:
/// who asks for one thing of it does not copy the rest.
final class CallSide {
    /// Its own description as of the last agreement: where it wants its media.
    var description: SessionDescription?
    /// What it answered to a refresh of relayd's since: where its media goes. The other side is not told, as its relay address
    /// is the same.
    var refreshed: SessionDescription?
    /// The m= line of `description` that is the call's main medium; nil when there is none.
    var mediumIndex: Int?
    /// Where its SIP came from when it announced that.
    var signalling: Flow?
    /// The methods it allows; nil while it has not said.
    var allowed: Methods? {
        if let message = latestAllow { (announced, latestAllow) = (message.allowedMethods, nil) }
        return announced?.subtracting(refused)
    }
    /// What Allow named when it was last read.
    private var announced: Methods?
    /// A later message with Allow, which nobody has asked about yet; of most nobody ever does.
    private var latestAllow: SIPMessage?
    /// What it refused all the same.
    private var refused = Methods.none
    /// Of the dialog with it.
    var timer: SessionTimer {
        // Never changed in place, as what `Call` looks at often.
        get { presentTimer }
        set { presentTimer = newValue }
    }
    private var presentTimer = SessionTimer(policy: SessionTimer.Policy(interval: .zero))
    /// INFO requests that carried DTMF, from this party.
    var dtmfRequests = 0

    /// What its own description lets it do. The address 0.0.0.0 asks for no media, as of RFC 2543.
    var direction: MediaDirection {
        guard let medium else { return .sendReceive }
        let direction = MediaDirection(medium.direction)
        guard medium.isHeldByAddress else { return direction }
        return direction.sends ? .sendOnly : .inactive
    }

    /// It has put the other side on hold, or answers a hold.
    var isOnHold: Bool { direction != .sendReceive }

    var medium: SessionDescription.Media? {
        guard let description = refreshed ?? description, let mediumIndex, mediumIndex < description.media.count else {
            return nil
        }
        return description.media[mediumIndex]
    }

    func forgetDescriptions() { (description, refreshed, latestAllow) = (nil, nil, nil) }

    /// It answered a request of this method with 405 or 501.
    func refuses(_ method: Method) { refused.insert(Methods(method)) }

    /// Takes in what every request and response may say of its sender.
    func learn(from message: SIPMessage) {
        if message.has(.allow) { (latestAllow, refused) = (message, .none) }
    }
}

/// A re-INVITE or UPDATE on its way through: `machine` decides, `CallControl` carries it out.
struct SessionChange {
    var machine: OfferAnswerExchange
    /// From the initiator.
    let request: SIPMessage
    let requestTransaction: TransactionID
    let source: Flow
    /// The request made from it.
    var outgoing: TransactionID?
    var branch: ViaBranch?
    var hasProvisional = false
    /// It was sent again for want of a longer session (422).
    var isRetried = false
    /// To be cancelled, once there is a provisional response (RFC 3261 §9.1).
    var isCancelPending = false
    /// Known once each has come. `mediumIndex` names the m= line of both that is the main medium.
    var offer: SessionDescription?
    var answer: SessionDescription?
    var mediumIndex: Int?
    /// It has to wait for the sockets of media that are new.
    var waiting: Waiting?
    /// The responder's final response.
    var response: SIPMessage?
    /// Where the description of each came from.
    var responseSource: Flow?
    /// The 2xx to the initiator, until its ACK comes.
    var answerOctets: [UInt8] = []
    var answerRetransmission: SuccessRetransmission?
    /// When a responder that never gives a final response is given up; as a proxy's timer C (RFC 3261 §16.6).
    var limit: Instant

    var deadline: Instant? { answerRetransmission?.deadline ?? (machine.stage == .requested ? limit : nil) }

    /// What is to go on once there are sockets.
    enum Waiting {
        /// The request, to the responder.
        case request
        /// The responder's 2xx with an offer, to the initiator.
        case answer
    }
}

/// A request without meaning for relayd that is passed to the other leg, and its answer back.
struct PassedRequest {
    let request: SIPMessage
    let transaction: TransactionID
    let source: Flow
    /// The leg it came from.
    let leg: Leg
}
