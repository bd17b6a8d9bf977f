import Configuration
import Core
import SIP

/// One INVITE towards a callee: its dialog, its transaction and what came back. A reference, as `Call` is; its call holds it.
final class Branch {
    let id: BranchID
    let target: CalleeTarget
    var dialog: Dialog
    /// Highest CSeq received in this dialog.
    var remoteSequence: UInt32?
    /// The INVITE client transaction, and the branch of its Via.
    var transaction: TransactionID?
    var viaBranch: ViaBranch?
    /// The ACK for the 2xx, sent again for each retransmission of it; empty until there is one.
    var acknowledgement: [UInt8] = []
    /// The ACK for each further branch of a fork behind this one that answered, by its To tag; one BYE goes with the first.
    var forkAcknowledgements: [String: (octets: [UInt8], destination: Flow)] = [:]
    /// The response at hand while its effects are carried out; the final one stays.
    var response: SIPMessage?
    /// RSeq of the last reliable response, by To tag: a proxy behind this branch may fork.
    var responseSequences: [String: UInt32] = [:]
    /// What the Contact of its 2xx names; nil for a host name.
    var answerContact: SocketAddress?
    /// What ICMP said of its INVITE.
    var unreachable: ICMPMessage.Meaning?
    /// How often it was challenged and answered.
    var challenges = 0
    /// A response beyond 100 has come.
    var hasRung = false
    /// The set-up timer that runs, and when it is due.
    var setupTimer: (stage: SetupTimers.Stage, due: Instant)?
    /// What becomes of the call's callee side when this branch wins.
    let side = CallSide()
    /// A description came with a response of this branch: it can be answered.
    var media: BranchMedia?
    /// Offer and answer were exchanged with it in a reliable response (RFC 3262 §5): it may be asked anew before it answers.
    var isAgreed = false
    /// Both legs agreed before the answer on what no response to INVITE will say: descriptions in those count no more.
    var isSettled = false
    /// A reliable response with its offer, whose PRACK waits for the caller's answer.
    var owedPRACK: SIPMessage?

    init(id: BranchID, target: CalleeTarget, dialog: Dialog) {
        self.id = id
        self.target = target
        self.dialog = dialog
    }
}

/// What the answer of one branch says of media. A reference: it is handed on, and stays as it was made.
final class BranchMedia {
    /// The answer as the caller gets it.
    let answer: [UInt8]
    /// Where the description came from.
    let signalling: Flow
    let description: SessionDescription
    /// Which of its media is the call's main one.
    let mainPlace: Int

    init(answer: [UInt8], signalling: Flow, description: SessionDescription, mainPlace: Int) {
        self.answer = answer
        self.signalling = signalling
        self.description = description
        self.mainPlace = mainPlace
    }
}
