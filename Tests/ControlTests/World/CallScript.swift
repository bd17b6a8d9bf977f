import Core

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
        return script
    }
}
