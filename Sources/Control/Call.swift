import Configuration
import Core
import Relay
import SIP

/// Names a call inside `CallControl`; never used twice.
struct CallNumber: Hashable, Sendable {
    let rawValue: UInt64
}

/// One call attempt: its two dialogs, its media session, and what its record will say.
///
/// Plain state. `machine` decides what happens; `CallControl` carries it out. A reference, because it is large: what reads a
/// call must not copy it. Only `CallControl` holds one.
final class Call {
    /// Short, for people: `relayctl call ID`.
    let id: String
    /// Unique over restarts, for the record.
    let recordID: String
    var machine = BackToBackCall()

    // The caller's side.
    let invite: SIPMessage
    let inviteTransaction: TransactionID
    let source: Flow
    let callerTrunk: Trunk?
    var caller: Dialog
    /// Highest CSeq received in this dialog.
    var callerSequence: UInt32
    /// The 2xx sent to the caller, until its ACK comes.
    var answerOctets: [UInt8] = []
    var answerRetransmission: SuccessRetransmission?
    /// Header lines that a refusal made here carries: Retry-After, Unsupported, Accept.
    var refusalHeaders: [(HeaderName, String)] = []

    // The callee's side.
    var calleeTrunk: Trunk?
    var callee: Dialog?
    var calleeSequence: UInt32?
    var calleeTransaction: TransactionID?
    var calleeBranch = ""
    /// The ACK for the callee's 2xx, sent again for each retransmission of it.
    var acknowledgement: [UInt8] = []
    /// The ACK for each further branch of a fork that answered, by its To tag; one BYE goes with the first.
    var forkAcknowledgements: [String: (octets: [UInt8], destination: Flow)] = [:]
    /// The response at hand while its effects are carried out; the final one stays.
    var calleeResponse: SIPMessage?
    /// A response beyond 100 has come from the callee.
    var hasRung = false
    /// When the callee's side must have reacted or answered.
    var setupDeadline: Instant?
    /// The earliest entry that the timer queue holds for this call.
    var scheduled: Instant?

    // Media.
    var media: MediaSessions.Taken?
    var openAttempts = 0
    var offer: SessionDescription?
    /// The m= line that is relayed; the others are declined.
    var audioIndex = 0
    /// Offer and answer agreed on RTCP on the RTP port (RFC 5761 §5.1.1).
    var isRTCPMuxed = false
    /// The answer as the caller gets it.
    var answer: [UInt8]?
    var callerMedia: SocketAddress?
    var calleeMedia: SocketAddress?
    var lockedSources: (caller: SocketAddress?, callee: SocketAddress?)
    let noMediaTimeout: Duration
    let noMediaMode: NoMediaMode
    var activity: MediaActivity?
    /// From the worker, once the session is closed.
    var fromCaller = LegStatistics()
    var fromCallee = LegStatistics()

    // Times and history.
    let setupAt: Instant
    var ringAt: Instant?
    var answerAt: Instant?
    var releaseAt: Instant?
    /// The Reason header that came with the BYE or CANCEL that ended the call.
    var receivedReason: String?
    private(set) var ladder: [LadderItem] = []

    struct LadderItem: Sendable {
        let at: Instant
        let leg: Leg
        let isReceived: Bool
        let text: String
        let isRetransmission: Bool
    }

    /// A call that retransmits for ever would otherwise grow for ever; what a person wants to see are the first messages.
    private static let ladderLimit = 64

    init(
        id: String, recordID: String, invite: SIPMessage, transaction: TransactionID, source: Flow,
        callerTrunk: Trunk?, localTag: String, noMediaTimeout: Duration, noMediaMode: NoMediaMode, now: Instant
    ) {
        self.id = id
        self.recordID = recordID
        self.invite = invite
        inviteTransaction = transaction
        self.source = source
        self.callerTrunk = callerTrunk
        caller = Dialog(serving: invite, localTag: localTag, source: source)
        callerSequence = invite.cseq.number
        self.noMediaTimeout = noMediaTimeout
        self.noMediaMode = noMediaMode
        setupAt = now
    }

    /// The caller asked for TLS on every hop.
    var isSecure: Bool { invite.uri.scheme == .sips }
    var callerNumber: String { invite.from.uri.user ?? "" }
    var calledNumber: String { SIPURI(invite.requestURI)?.user ?? "" }

    /// When this call wants `CallControl.advance` to look at it.
    var deadline: Instant? {
        switch (answerRetransmission?.deadline, setupDeadline) {
        case (let first?, let second?): min(first, second)
        case (let first, let second): first ?? second
        }
    }

    func note(_ text: String, leg: Leg, isReceived: Bool, isRetransmission: Bool, at now: Instant) {
        guard ladder.count < Self.ladderLimit else { return }
        ladder.append(
            LadderItem(at: now, leg: leg, isReceived: isReceived, text: text, isRetransmission: isRetransmission))
    }

    /// Whether a request of `leg`'s peer comes in order; remembers its CSeq when it does (RFC 3261 §12.2.2).
    func takeSequence(_ number: UInt32, from leg: Leg) -> Bool {
        guard let last = leg == .caller ? callerSequence : calleeSequence else {
            calleeSequence = number
            return true
        }
        guard number > last else { return false }
        if leg == .caller { callerSequence = number } else { calleeSequence = number }
        return true
    }

    func dialog(of leg: Leg) -> Dialog? { leg == .caller ? caller : callee }
}
