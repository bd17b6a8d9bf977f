import Core
import SIP

/// What both peers of one call do, unless relayd ends it first.
struct CallScript {
    enum Answer {
        case accept
        case reject(Int)
        /// Rings, if it rings, and nothing more.
        case never
        /// Not even 100.
        case silence
    }

    var answer = Answer.accept
    /// What the callee behind the second trunk does; nil: the same.
    var otherAnswer: Answer?
    /// Carried by a rejection.
    var retryAfter: Int?
    /// 18x responses before the final one.
    var ringing: [Int] = [180]
    /// The first 18x carries the callee's description.
    var hasEarlyMedia = false
    var sendsTrying = true
    var ringDelay = Duration.milliseconds(100)
    var answerDelay = Duration.seconds(2)
    /// After INVITE; nothing happens when a final response came before.
    var cancelDelay: Duration?
    var hangUp: (leg: Leg, delay: Duration)?
    /// False: no ACK for a 2xx ever leaves the caller.
    var acknowledges = true
    /// From then on the caller neither hears nor says anything.
    var vanishDelay: Duration?
    var callerSendsMedia = true
    var calleeSendsMedia = true
    /// After its own start.
    var callerMediaDuration: Duration?
    var calleeMediaDuration: Duration?
    /// Another branch of a fork answers this long after the first.
    var forkDelay: Duration?
    /// The answer's lines from `m=` on; nil for one audio medium.
    var answerMedia: String?
    /// The same for the caller's offer.
    var offerMedia: String?
    /// What the caller's INVITE says of 100rel: nothing, that it knows it, or that it insists.
    var callerReliability: HeaderName?
    /// The callee's first 18x is reliable, where the INVITE knows that.
    var ringsReliably = false
    /// False: no PRACK ever leaves the caller.
    var acknowledgesReliably = true
    /// False: the INVITE has no offer, and the ACK carries the answer.
    var offers = true
    /// With a late offer: the ACK has no answer after all.
    var forgetsAnswer = false

    /// A side asks for another session by UPDATE so long after it first could know of an early dialog. It may be too early.
    var earlyUpdate: (leg: Leg, delay: Duration)?
    /// The caller's PRACK for a description carries a new offer.
    var offersInPRACK = false
    /// Further header lines of the callee's 18x.
    var ringingHeaders: [(String, String)] = []

    /// Further header lines of the callee's 2xx, and of the caller's INVITE.
    var headers: [(String, String)] = []
    var offerHeaders: [(String, String)] = []
    /// The callee refuses an INVITE with a shorter session (422).
    var minimumSession: Int?
    /// It refuses so many INVITEs with 422, each time for a longer session still.
    var refusedIntervals = 0
    /// What happens inside the dialog, each so long after the side that asks has seen the call up.
    var changes: [Change] = []

    struct Change {
        var leg = Leg.caller
        var delay = Duration.seconds(1)
        var method = Method.invite
        /// Nil: a re-INVITE asks for the offer, an UPDATE only refreshes, an INFO carries a digit.
        var offer: String? = ""
        /// What the other side does with it.
        var reply = MidDialog.Reply.accept
        var cancelDelay: Duration?
        var acknowledges = true
    }

    private static let twoMedia = "m=audio 40000 RTP/AVP 8\r\nm=video 40002 RTP/AVP 96\r\n"
    private static let endedMedium = "m=audio 40000 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n"

    private static func randomChange(_ random: inout SeededRandom) -> Change {
        var change = Change()
        change.leg = Bool.random(using: &random) ? .caller : .callee
        change.delay = .milliseconds(Int.random(in: 0...8_000, using: &random))
        change.method = [.invite, .invite, .update, .info].randomElement(using: &random)!
        change.offer = change.method == .info
            ? nil : ["", "m=audio 41000 RTP/AVP 8\r\na=sendonly\r\n", nil, twoMedia, endedMedium].randomElement(using: &random)!
        switch Int.random(in: 0..<10, using: &random) {
        case 0: change.reply = .refuse([481, 408, 488, 491, 500].randomElement(using: &random)!)
        case 1: change.reply = .silence
        case 2, 3: change.reply = .acceptLater(.milliseconds(Int.random(in: 0...6_000, using: &random)))
        default: break
        }
        if Int.random(in: 0..<5, using: &random) == 0 {
            change.cancelDelay = .milliseconds(Int.random(in: 0...6_000, using: &random))
        }
        change.acknowledges = Int.random(in: 0..<12, using: &random) > 0
        return change
    }

    /// Any of them.
    static func random(_ random: inout SeededRandom) -> CallScript {
        func milliseconds(_ range: ClosedRange<Int>) -> Duration { .milliseconds(Int.random(in: range, using: &random)) }
        func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &random) < probability }
        var script = CallScript()
        script.sendsTrying = chance(0.7)
        script.ringing = [[], [180], [183], [180, 183], [182, 180]].randomElement(using: &random)!
        script.hasEarlyMedia = chance(0.3)
        script.ringDelay = milliseconds(0...1_500)
        script.answerDelay = milliseconds(0...8_000)
        switch Int.random(in: 0..<10, using: &random) {
        case 0: script.answer = .reject([302, 404, 486, 487, 503, 603].randomElement(using: &random)!)
        case 1: script.answer = .never
        case 2: script.answer = .silence
        default: break
        }
        if chance(0.5) { script.otherAnswer = [.accept, .reject(503), .reject(486), .silence].randomElement(using: &random)! }
        if chance(0.2) { script.retryAfter = Int.random(in: 0...20, using: &random) }
        if chance(0.2) { script.cancelDelay = milliseconds(0...9_000) }
        // Right when the answer is under way.
        if chance(0.1) { script.cancelDelay = script.answerDelay + milliseconds(0...120) }
        if chance(0.6) { script.hangUp = (chance(0.5) ? .caller : .callee, milliseconds(0...15_000)) }
        script.acknowledges = chance(0.9)
        if chance(0.1) { script.vanishDelay = milliseconds(0...12_000) }
        script.callerSendsMedia = chance(0.9)
        script.calleeSendsMedia = chance(0.9)
        if chance(0.4) { script.callerMediaDuration = milliseconds(0...20_000) }
        if chance(0.4) { script.calleeMediaDuration = milliseconds(0...20_000) }
        if chance(0.1) { script.forkDelay = milliseconds(0...3_000) }
        if chance(0.05) { script.answerMedia = "m=audio 0 RTP/AVP 0\r\n" }
        if chance(0.2) { script.offerMedia = twoMedia }
        script.callerReliability = [nil, nil, .supported, .require].randomElement(using: &random)!
        script.ringsReliably = chance(0.4)
        script.acknowledgesReliably = chance(0.75)
        script.offers = chance(0.85)
        if chance(0.5) { script.ringingHeaders = [("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE")] }
        if chance(0.5) { script.offerHeaders = script.ringingHeaders }
        if chance(0.3) { script.earlyUpdate = (chance(0.5) ? .caller : .callee, milliseconds(0...2_000)) }
        script.offersInPRACK = chance(0.2)
        script.forgetsAnswer = chance(0.1)
        if chance(0.5) { script.changes = (0..<Int.random(in: 1...4, using: &random)).map { _ in randomChange(&random) } }
        return script
    }
}
