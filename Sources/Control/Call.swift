import Configuration
import Core
import Diagnosis
import Relay
import SIP

/// Names a call inside `CallControl`; never used twice.
struct CallNumber: PlacedNumber {
    /// A serial number, and below it the place, which others have had before.
    let rawValue: UInt64

    init(serial: UInt64, place: Int) {
        precondition(place < 1 << 24, "nobody has so many calls")
        rawValue = serial << 24 | UInt64(place)
    }

    var place: Int { Int(rawValue & 0xff_ffff) }
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
    /// Under which `CallControl` has it.
    let number: CallNumber
    private(set) var machine = BackToBackCall()

    // The caller's side.
    let invite: SIPMessage
    /// What it says of session timers.
    let inviteTerms: SessionTimer.Terms
    let inviteTransaction: TransactionID
    let source: Flow
    let callerTrunk: SharedTrunk?
    /// Nil also for trunks that nothing is known of, as those of a test call.
    var callerState: TrunkState?
    var caller: Dialog
    /// Highest CSeq received in this dialog.
    var callerSequence: UInt32
    /// What the Contact of its INVITE names; nil for a host name.
    let callerContact: SocketAddress?
    /// The 2xx sent to the caller, until its ACK comes.
    var answerOctets: [UInt8] = []
    var answerRetransmission: SuccessRetransmission?
    /// Provisional responses that wait for their PRACK, by RSeq, once there was one.
    var reliable: ReliableProvisionals? { get { presentReliable } set { presentReliable = newValue } }
    var reliableResponses: [UInt32: (status: Int, octets: [UInt8], describes: BranchID?)] = [:]
    /// The callee's 2xx that came before the caller's PRACK for a description: the caller's may not come first (RFC 3262 §3).
    var deferredAnswers: [(response: SIPMessage, source: Flow, branch: BranchID)] {
        get { presentDeferredAnswers }
        set { presentDeferredAnswers = newValue }
    }
    /// Header lines that a refusal made here carries: Retry-After, Unsupported, Accept.
    var refusalHeaders: [(HeaderName, String)] = []

    /// As From and the Request-URI of the INVITE have them.
    private let fromUser: String
    let calledNumber: String
    /// Set when a user of ours calls: what it has proven to be, whatever From says.
    var callerIdentity: String?
    /// It counts for the limit of calls from its address.
    var isCountedBySource = false

    // The callee's side.
    /// The called number as it is routed: after the rules of the trunk it comes from.
    var routedNumber = ""
    /// Trunks that may still be tried.
    var routes: [Routing.Candidate] { get { presentRoutes } set { presentRoutes = newValue } }
    var routesTried = 0
    /// Routes that were left out, and why.
    var skippedRoutes: [CallFacts.Attempt] { get { presentSkippedRoutes } set { presentSkippedRoutes = newValue } }
    /// Why there was no room for it.
    var reachedLimit: String?
    /// What ICMP said of its requests.
    var unreachable: [CallFacts.Unreachable] = []
    /// Sides that ICMP said take no BYE.
    var unansweredBye: Set<Leg> = []
    /// Of the called user, when it was called.
    var registration: RegistrationFacts?
    /// Whom to try, in order; the first one is next.
    var attempts: [CalleeAttempt] { get { presentAttempts } set { presentAttempts = newValue } }
    /// Every INVITE that was placed, by `BranchID`.
    private(set) var branches: [Branch] = []
    /// The branch that is the call's callee leg, or would be: the winner; before the answer the one whose media the caller
    /// hears, else the first of the attempt; after a failure the one whose response the caller gets.
    var chosen: BranchID?
    /// The trunk of the chosen branch; before there is one, that of the first attempt.
    var calleeTrunk: SharedTrunk?
    /// Trunks of whose capacity this call takes one each: where it comes from, and where it goes.
    var occupiedTrunks: (one: TrunkLoad?, other: TrunkLoad?)
    /// The earliest entry that the timer queue holds for this call.
    var scheduled: Instant?
    /// Under which dialogs requests find this call.
    var dialogKeys: [DialogKey] { get { presentDialogKeys } set { presentDialogKeys = newValue } }

    // What happens once it is up.
    private let callerSide = CallSide()
    /// The change of the session that is under way.
    var change: SessionChange? { get { presentChange } set { presentChange = newValue } }
    var changeDeadline: Instant?
    /// The ACK for each re-INVITE's 2xx, sent again when that comes again; until its transaction is over.
    var changeAcknowledgements: [TransactionID: (octets: [UInt8], destination: Flow)] {
        get { presentChangeAcknowledgements }
        set { presentChangeAcknowledgements = newValue }
    }
    /// Requests of relayd's own that keep a session alive.
    var refreshes: [Leg: (transaction: TransactionID, method: Method)] {
        get { presentRefreshes }
        set { presentRefreshes = newValue }
    }
    /// The earliest of what both session timers and the longest duration want.
    var timerDeadline: Instant?
    /// The one that ran out and ended the call.
    var expiredSession: CallFacts.ExpiredSession?
    /// When the call has lasted long enough.
    var endsAt: Instant?
    /// How long it may last once nothing watches it, zero for ever; and since when that is so.
    var unwatchedLimit = Duration.zero
    var unwatchedSince: Instant?
    /// The earlier of both.
    var end: Instant? { .earliest(endsAt, unwatchedLimit > .zero ? unwatchedSince.map { $0 + unwatchedLimit } : nil) }
    /// Nothing would end it when both its parties were gone: no session expires, and silence does not count or is not seen.
    var isUnwatched: Bool {
        (noMedia.isOff || isDirect) && !self[.caller].timer.expires && !self[.callee].timer.expires
    }
    /// Re-INVITEs that were under way when the call ended. A 2xx that crosses our BYE is acknowledged all the same.
    var abandonedChanges: Set<TransactionID> {
        get { presentAbandonedChanges }
        set { presentAbandonedChanges = newValue }
    }
    /// Nothing else refers to the call any more.
    var isForgetDue = false
    /// By the leg that sends them, where they are converted.
    var digits: [Leg: CallDigits] { get { presentDigits } set { presentDigits = newValue } }
    /// By the transaction that asks the other leg.
    var passedRequests: [TransactionID: PassedRequest] {
        get { presentPassedRequests }
        set { presentPassedRequests = newValue }
    }

    // Media.
    var proxy = MediaProxy.present
    /// The first audio, or what there is in its place: the one the record tells of. It lives as long as the call.
    var main = CallMedium(place: 0)
    /// Other m= lines, and those that were relayed once; empty for nearly every call. See `subscript(medium:)`.
    var further: [CallMedium] = []
    var offer: SessionDescription?
    /// The INVITE came without an offer: the callee makes it, and the caller's ACK answers.
    var asksForOffer = false
    /// The branch whose media the relay takes: the first one with a description, at last the winner.
    var mediaBranch: BranchID?
    /// The branch whose description the caller has got in a provisional response.
    var describedBranch: BranchID?
    /// The branch whose description the caller has acknowledged (RFC 3262): it may be asked anew before the answer.
    var agreedBranch: BranchID?
    /// Provisional statuses that the caller has got in this attempt.
    var relayedStatuses = ProvisionalStatuses()
    /// The answer as the caller gets it.
    var answer: [UInt8]?
    /// A hold began or ended since the last sweep: silence so far counts no longer.
    var hasHoldChanged = false
    var noMedia: NoMediaRule
    var activity: MediaActivity? { get { presentActivity } set { presentActivity = newValue } }
    /// When a sweep has to look at it next.
    var activityDue = Instant(nanoseconds: 0)

    // Times and history.
    let setupAt: Instant
    var ringAt: Instant?
    var answerAt: Instant?
    var releaseAt: Instant?
    /// The Reason header that came with the BYE or CANCEL that ended the call.
    var receivedReason: String?
    private(set) var ladder = Ladder()

    // What stands behind properties that every step looks at and few change in place. A property that is changed in place costs a
    // check at run time, at each look, that nobody is in the middle of changing it; one that is replaced as a whole does not.
    private var presentReliable: ReliableProvisionals?
    private var presentDeferredAnswers: [(response: SIPMessage, source: Flow, branch: BranchID)] = []
    private var presentRoutes: [Routing.Candidate] = []
    private var presentSkippedRoutes: [CallFacts.Attempt] = []
    private var presentAttempts: [CalleeAttempt] = []
    private var presentDialogKeys: [DialogKey] = []
    private var presentChange: SessionChange?
    private var presentChangeAcknowledgements: [TransactionID: (octets: [UInt8], destination: Flow)] = [:]
    private var presentRefreshes: [Leg: (transaction: TransactionID, method: Method)] = [:]
    private var presentAbandonedChanges: Set<TransactionID> = []
    private var presentDigits: [Leg: CallDigits] = [:]
    private var presentPassedRequests: [TransactionID: PassedRequest] = [:]
    private var presentActivity: MediaActivity?

    /// As the record has them.
    var recordedCallIDs: (caller: String, callee: String?)?
    /// What the record says was found from these, as far as they stay as they are.
    var finalFacts: Boxed<CallFacts>?

    init(
        _ number: CallNumber, id: String, recordID: String, invite: SIPMessage, transaction: TransactionID, source: Flow,
        callerTrunk: SharedTrunk?, localTag: String, noMedia: NoMediaRule, now: Instant
    ) {
        self.number = number
        self.id = id
        self.recordID = recordID
        self.invite = invite
        inviteTerms = SessionTimer.Terms(invite)
        inviteTransaction = transaction
        self.source = source
        self.callerTrunk = callerTrunk
        let dialog = Dialog(serving: invite, localTag: localTag, source: source)
        caller = dialog
        callerContact = dialog.contactAddress
        fromUser = invite.from.uri.user ?? ""
        calledNumber = invite.uri.user ?? ""
        callerSequence = invite.cseq.number
        self.noMedia = noMedia
        setupAt = now
    }

    func occupies(_ load: TrunkLoad) -> Bool { occupiedTrunks.one === load || occupiedTrunks.other === load }

    /// The caller asked for TLS on every hop.
    var isSecure: Bool { invite.uri.scheme == .sips }
    var callerNumber: String { callerIdentity ?? fromUser }

    /// When this call wants `CallControl.advance` to look at it.
    var deadline: Instant? {
        var earliest = Instant.earliest(answerRetransmission?.deadline, changeDeadline)
        earliest = .earliest(earliest, .earliest(timerDeadline, reliable?.deadline))
        for branch in branches { earliest = .earliest(earliest, branch.setupTimer?.due) }
        return earliest
    }

    /// Once the record is written: gives back what only a call that is up needs. It stays for up to half a minute more, with as
    /// many others as were made in that time, for what its parties may repeat; `relayctl call` shows it as before. A call with
    /// further media, of which there are few, keeps the descriptions that name them.
    func shed() {
        guard further.isEmpty else { return }
        (offer, answer, deferredAnswers) = (nil, nil, [])
        if answerRetransmission == nil { answerOctets = [] }
        callerSide.forgetDescriptions()
        // Of the time line the facts have a copy.
        for leg in Leg.allCases { main[leg].evidence?.forgetTimeline() }
        for branch in branches {
            branch.side.forgetDescriptions()
            (branch.media, branch.response, branch.owedPRACK) = (nil, nil, nil)
        }
    }

    /// Its media goes past relayd.
    var isDirect: Bool { !proxy.isRelayed }

    // MARK: Changes

    // What every step looks at is assigned anew, and never changed in place: a look at it then needs no check at run time that
    // nobody is changing it.

    func handle(_ event: BackToBackCall.Event, effects: inout [BackToBackCall.Effect]) -> BackToBackCall.Release? {
        change { $0.handle(event, effects: &effects) }
    }

    /// Places an INVITE.
    func addBranch(_ make: (BranchID) -> Branch) -> Branch {
        let branch = make(change { $0.addBranch() })
        branches = branches + [branch]
        return branch
    }

    /// See `BackToBackCall.repeatInvite`.
    func repeatInvite(of id: BranchID) { change { $0.repeatInvite(of: id) } }

    private func change<Result>(_ change: (inout BackToBackCall) -> Result) -> Result {
        var changed = BackToBackCall()
        swap(&changed, &machine)
        defer { swap(&changed, &machine) }
        return change(&changed)
    }

    /// Adds a message that was sent to the ladder.
    func note(sent message: [UInt8], leg: Leg, isRetransmission: Bool, at now: Instant) {
        let title = MessageTitle(message)
        changeLadder {
            $0.add(message, title, at: now - setupAt, leg, isReceived: false, isRetransmission: isRetransmission)
        }
    }

    /// Adds one that was received.
    func note(received message: SIPMessage, leg: Leg, isRetransmission: Bool, at now: Instant) {
        let title = MessageTitle(message)
        changeLadder {
            $0.add(message.octets, title, at: now - setupAt, leg, isReceived: true, isRetransmission: isRetransmission)
        }
    }

    /// The same of what ICMP said.
    func note(networkError text: String, leg: Leg, at now: Instant) {
        changeLadder { $0.add(networkError: text, at: now - setupAt, leg) }
    }

    private func changeLadder(_ change: (inout Ladder) -> Void) {
        var changed = Ladder.empty
        swap(&changed, &ladder)  // as above
        change(&changed)
        swap(&changed, &ladder)
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

    /// A request with this CSeq has come before.
    func isPast(_ number: UInt32, from leg: Leg) -> Bool {
        (leg == .caller ? callerSequence : calleeSequence).map { number <= $0 } ?? false
    }

    var awaitsPRACK: Bool { reliable?.isPending == true && reliableResponses.values.contains { $0.describes != nil } }

    // MARK: The chosen branch

    var callee: Dialog? { chosenBranch?.dialog }

    /// Highest CSeq received in the callee's dialog.
    var calleeSequence: UInt32? {
        get { chosenBranch?.remoteSequence }
        set { if let chosen { branches[chosen.rawValue].remoteSequence = newValue } }
    }

    /// The last response of the callee to the INVITE.
    var calleeResponse: SIPMessage? { chosenBranch?.response }
    /// Where the callee was called.
    var calleeAddress: Flow? { chosenBranch?.target.destination }

    var chosenBranch: Branch? { chosen.map { branches[$0.rawValue] } }

    var calleeCallID: String? { chosenBranch?.dialog.callID }

    func choose(_ id: BranchID) {
        chosen = id
        calleeTrunk = branches[id.rawValue].target.trunk
    }

    /// The branch of an INVITE client transaction; nil once another one took its place.
    func branch(of transaction: TransactionID) -> BranchID? { branches.first { $0.transaction == transaction }?.id }

    func dialog(of leg: Leg) -> Dialog? { leg == .caller ? caller : callee }

    /// Where requests in the dialog of `leg` go; nil before there is one.
    func destination(of leg: Leg) -> Flow? { dialog(of: leg)?.destination }

    /// Re-INVITE, UPDATE and their 2xx name the peer's Contact anew (RFC 3261 §12.2).
    func refreshTarget(of leg: Leg, from message: SIPMessage, source: Flow) {
        dialog(of: leg)?.refreshTarget(from: message, source: source)
    }

    /// relayd itself has a re-INVITE under way on one of the legs.
    var isRefreshing: Bool { refreshes.values.contains { $0.method == .invite } }

    /// Of the callee's side: the chosen branch; nobody's before there is one.
    subscript(leg: Leg) -> CallSide { leg == .caller ? callerSide : chosenBranch?.side ?? CallSide() }
}

/// Some of the statuses 100 to 199, one bit each.
struct ProvisionalStatuses {
    private var bits: UInt128 = 0

    func contains(_ status: Int) -> Bool { Self.bit(status).map { bits & $0 != 0 } ?? false }
    mutating func insert(_ status: Int) { bits |= Self.bit(status) ?? 0 }

    private static func bit(_ status: Int) -> UInt128? { (100..<200).contains(status) ? 1 << UInt128(status - 100) : nil }
}
