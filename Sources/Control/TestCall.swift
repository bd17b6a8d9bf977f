import ControlProtocol
import Core
import SIP

/// A silent call that relayd places by itself through a trunk, to learn what comes back and when. It has no caller: it writes
/// no record and counts against no limit but its own.
struct TestCall {
    enum Stage {
        /// The relay is opening its ports.
        case opening
        case inviting
        /// CANCEL is due as soon as something has come back, or is out.
        case cancelling
        /// Answered; what the other side sends is counted.
        case listening
        /// BYE is out.
        case ending
    }

    let trunk: String
    let number: String
    let caller: String
    /// How long it listens once it is answered.
    let listening: Duration
    let media: MediaSessions.Taken
    let startedAt: Instant
    var stage = Stage.opening
    var dialog: Dialog?
    var transaction: TransactionID?
    var viaBranch: ViaBranch?
    var challenges = 0
    var hasHeard = false
    var isCancelSent = false
    var acknowledgement: [UInt8] = []
    /// When it goes on by itself.
    var deadline: Instant?
    var report: TestCallReport

    /// One step of what came and went.
    mutating func note(_ text: String, at now: Instant) {
        guard report.steps.count < 64 else { return }
        report.steps.append(TestCallReport.Step(milliseconds: (now - startedAt).milliseconds, text: text))
    }
}
