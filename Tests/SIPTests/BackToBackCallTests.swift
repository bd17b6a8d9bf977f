import Core
import SIP
import Testing

/// Each path of a call attempt, event by event.
@Suite struct BackToBackCallTests {
    typealias Effect = BackToBackCall.Effect
    private static let unusable = BackToBackCall.Release(cause: .mediaNotAcceptable, status: 488, party: .relayd)
    private static let timeout = BackToBackCall.Release(cause: .inviteTimeout, status: 408, party: .relayd)

    @Test("answered, acknowledged, hung up by the caller")
    func callerHangsUp() {
        var run = Run()
        #expect(run.feed(.mediaOpened) == [.inviteCallee])
        #expect(run.feed(.calleeProvisional(.first, status: 100)) == [])
        #expect(run.feed(.calleeProvisional(.first, status: 180)) == [.relayProvisional(.first, status: 180)])
        #expect(run.feed(.calleeProvisional(.first, status: 183)) == [.relayProvisional(.first, status: 183)])
        #expect(run.feed(.calleeAnswered(.first, hasAnswer: true)) == [.acknowledgeCallee(.first), .answerCaller, .connected])
        #expect(run.call.isConnected)
        #expect(run.feed(.callerAcknowledged) == [])
        #expect(run.feed(.bye(from: .caller)) == [.sendBye(.callee), .closeMedia])
        #expect(run.call.release == .init(cause: .normal, status: 200, party: .caller))
        #expect(!run.call.isConnected)
        #expect(run.feed(.mediaClosed) == [.writeRecord])
        #expect(run.feed(.calleeInviteEnded(.first)) == [.forget])
    }

    @Test("the callee hangs up: BYE to the caller, who has acknowledged")
    func calleeHangsUp() {
        var run = Run(connected: true)
        #expect(run.feed(.bye(from: .callee)) == [.sendBye(.caller), .closeMedia])
        #expect(run.call.release == .init(cause: .normal, status: 200, party: .callee))
    }

    @Test("a BYE to a caller who has not acknowledged waits for the ACK (RFC 3261 §15)")
    func byeWaitsForACK() {
        var run = Run(answered: true)
        #expect(run.feed(.bye(from: .callee)) == [.closeMedia])
        #expect(run.feed(.mediaClosed) == [.writeRecord])
        #expect(run.feed(.calleeInviteEnded(.first)) == [])
        #expect(run.feed(.callerAcknowledged) == [.sendBye(.caller), .forget])
        #expect(run.feed(.callerAckMissing) == [])
    }

    @Test("a BYE that waits for an ACK goes out when the ACK is given up")
    func byeWaitsForMissingACK() {
        var run = Run(answered: true)
        _ = run.feed(.bye(from: .callee))
        #expect(run.feed(.callerAckMissing) == [.sendBye(.caller)])
        #expect(run.call.release?.cause == .normal)
    }

    @Test("a missing ACK ends the call with BYE on both legs")
    func ackMissing() {
        var run = Run(answered: true)
        #expect(run.feed(.callerAckMissing) == [.sendBye(.callee), .sendBye(.caller), .closeMedia])
        #expect(run.call.release == .init(cause: .ackMissing, status: 200, party: .relayd))
    }

    @Test("the caller's BYE before its ACK stands for it")
    func byeInsteadOfACK() {
        var run = Run(answered: true)
        #expect(run.feed(.bye(from: .caller)) == [.sendBye(.callee), .closeMedia])
        #expect(run.feed(.callerAcknowledged) == [])
        #expect(run.feed(.callerAckMissing) == [])
    }

    @Test("both sides hang up at once: no BYE is sent, the first decides")
    func byesCross() {
        var run = Run(connected: true)
        #expect(run.feed(.bye(from: .caller)) == [.sendBye(.callee), .closeMedia])
        #expect(run.feed(.bye(from: .callee)) == [])
        #expect(run.feed(.bye(from: .caller)) == [])
        #expect(run.call.release?.party == .caller)
    }

    @Test("CANCEL after a provisional response is passed on at once")
    func cancelAfterRinging() {
        var run = Run(ringing: true)
        #expect(run.feed(.callerCancelled) == [.cancelCallee(.first), .rejectCaller(status: 487), .closeMedia])
        #expect(run.call.release == .init(cause: .callerCancelled, status: 487, party: .caller))
        #expect(run.feed(.calleeRejected(.first, status: 487)) == [])
        #expect(run.feed(.mediaClosed) == [.writeRecord])
        #expect(run.feed(.calleeInviteEnded(.first)) == [.forget])
    }

    @Test("CANCEL before any response waits for one (RFC 3261 §9.1)", arguments: [100, 180])
    func cancelBeforeRinging(status: Int) {
        var run = Run(inviting: true)
        #expect(run.feed(.callerCancelled) == [.rejectCaller(status: 487), .closeMedia])
        #expect(run.feed(.calleeProvisional(.first, status: status)) == [.cancelCallee(.first)])
        #expect(run.feed(.calleeProvisional(.first, status: 180)) == [])
    }

    @Test("an answer that crosses our CANCEL is acknowledged and hung up", arguments: [true, false])
    func answerCrossesCancel(wasRinging: Bool) {
        var run = wasRinging ? Run(ringing: true) : Run(inviting: true)
        _ = run.feed(.callerCancelled)
        #expect(run.feed(.calleeAnswered(.first, hasAnswer: true)) == [.acknowledgeCallee(.first), .hangUpBranch(.first)])
        #expect(run.call.release?.cause == .callerCancelled)
    }

    @Test("CANCEL after the answer has no effect (RFC 3261 §9.2)")
    func cancelAfterAnswer() {
        var run = Run(answered: true)
        #expect(run.feed(.callerCancelled) == [])
        #expect(run.call.isConnected)
    }

    @Test("CANCEL before media is open: the callee is never called")
    func cancelBeforeMedia() {
        var run = Run()
        #expect(run.feed(.callerCancelled) == [.rejectCaller(status: 487)])
        #expect(run.feed(.mediaOpened) == [.closeMedia])
        #expect(run.feed(.mediaClosed) == [.writeRecord, .forget])
    }

    @Test("a callee that stays silent after CANCEL is given up with its transaction")
    func silentAfterCancel() {
        var run = Run(ringing: true)
        _ = run.feed(.callerCancelled)
        _ = run.feed(.mediaClosed)
        #expect(run.feed(.calleeUnreachable(.first, .inviteTimeout, status: 408)) == [])
        #expect(run.feed(.calleeInviteEnded(.first)) == [.forget])
        #expect(run.call.release?.cause == .callerCancelled)
    }

    @Test("a refusal is passed on", arguments: [404, 486, 503, 603])
    func rejected(status: Int) {
        var run = Run(inviting: true)
        let failure = BackToBackCall.Release(cause: .rejected, status: status, party: .callee)
        #expect(
            run.feed(.calleeRejected(.first, status: status))
                == [.attemptFailed(.first, failure), .rejectCaller(status: status), .closeMedia])
        #expect(run.call.release == failure)
    }

    @Test("a callee that cannot be reached", arguments: [(ReleaseCause.inviteTimeout, 408), (.transportFailed, 503)])
    func unreachable(cause: ReleaseCause, status: Int) {
        var run = Run(inviting: true)
        let failure = BackToBackCall.Release(cause: cause, status: status, party: .relayd)
        #expect(
            run.feed(.calleeUnreachable(.first, cause, status: status))
                == [.attemptFailed(.first, failure), .rejectCaller(status: status), .closeMedia])
        #expect(run.call.release == failure)
    }

    @Test("nothing but a 2xx changes a confirmed callee leg")
    func lateFinals() {
        var run = Run(connected: true)
        #expect(run.feed(.calleeRejected(.first, status: 486)) == [])
        #expect(run.feed(.calleeUnreachable(.first, .inviteTimeout, status: 408)) == [])
        #expect(run.feed(.calleeProvisional(.first, status: 180)) == [])
        #expect(run.feed(.calleeAnswered(.first, hasAnswer: true)) == [])
        #expect(run.call.isConnected)
    }

    @Test("an answer without usable media is acknowledged and hung up; the caller gets 488")
    func unusableAnswer() {
        var run = Run(ringing: true)
        #expect(
            run.feed(.calleeAnswered(.first, hasAnswer: false))
                == [
                    .acknowledgeCallee(.first), .hangUpBranch(.first), .attemptFailed(.first, Self.unusable),
                    .rejectCaller(status: 488), .closeMedia,
                ])
        #expect(run.call.release == Self.unusable)
    }

    @Test("BYE in the early dialog ends the INVITE with 487 (RFC 3261 §15.1.2)")
    func earlyBye() {
        var run = Run(ringing: true)
        #expect(run.feed(.bye(from: .caller)) == [.rejectCaller(status: 487), .cancelCallee(.first), .closeMedia])
        #expect(run.call.release?.party == .caller)
    }

    @Test("the operator's hangup: status for a caller that waits, 200 for one that talks")
    func released() {
        let event = BackToBackCall.Event.release(cause: .operatorHangup, status: 480, party: .operator)
        var ringing = Run(ringing: true)
        #expect(ringing.feed(event) == [.cancelCallee(.first), .rejectCaller(status: 480), .closeMedia])
        #expect(ringing.call.release == .init(cause: .operatorHangup, status: 480, party: .operator))
        var connected = Run(connected: true)
        #expect(connected.feed(event) == [.sendBye(.callee), .sendBye(.caller), .closeMedia])
        #expect(connected.call.release == .init(cause: .operatorHangup, status: 200, party: .operator))
    }

    // MARK: Several branches

    private static func rejection(_ status: Int) -> BackToBackCall.Release {
        .init(cause: .rejected, status: status, party: .callee)
    }

    @Test("serial: when the first branch fails the next one is called, and the caller hears nothing of it")
    func serial() {
        var run = Run(inviting: true, attempts: [1, 1])
        #expect(run.feed(.calleeRejected(.first, status: 503)) == [.attemptFailed(.first, Self.rejection(503))])
        #expect(run.call.callee == .inviting && run.branchCount == 2)
        #expect(run.feed(.calleeProvisional(.second, status: 180)) == [.relayProvisional(.second, status: 180)])
        #expect(
            run.feed(.calleeAnswered(.second, hasAnswer: true)) == [.acknowledgeCallee(.second), .answerCaller, .connected])
        #expect(run.call.winner == .second && run.call.isConnected)
    }

    @Test("a branch given up for its timer is cancelled once it may be; its late answer is acknowledged and hung up")
    func serialAfterTimeout() {
        var run = Run(inviting: true, attempts: [1, 1])
        #expect(run.feed(.calleeTimedOut(.first, .inviteTimeout, status: 408)) == [.attemptFailed(.first, Self.timeout)])
        #expect(run.feed(.calleeProvisional(.first, status: 180)) == [.cancelCallee(.first)])
        #expect(run.feed(.calleeAnswered(.first, hasAnswer: true)) == [.acknowledgeCallee(.first), .hangUpBranch(.first)])
        #expect(run.call.callee == .inviting && run.call.winner == nil)
        #expect(
            run.feed(.calleeAnswered(.second, hasAnswer: true)) == [.acknowledgeCallee(.second), .answerCaller, .connected])
    }

    @Test("parallel: the first 2xx wins; the others are cancelled, and hung up when they answer all the same")
    func parallel() {
        var run = Run(inviting: true, attempts: [3])
        _ = run.feed(.calleeProvisional(.first, status: 180))
        _ = run.feed(.calleeProvisional(.second, status: 180))
        #expect(
            run.feed(.calleeAnswered(.second, hasAnswer: true))
                == [.acknowledgeCallee(.second), .cancelCallee(.first), .answerCaller, .connected])
        #expect(run.feed(.calleeProvisional(.third, status: 180)) == [.cancelCallee(.third)])
        #expect(run.feed(.calleeAnswered(.first, hasAnswer: true)) == [.acknowledgeCallee(.first), .hangUpBranch(.first)])
        #expect(run.feed(.calleeRejected(.third, status: 487)) == [])
        #expect(run.call.isConnected && run.call.winner == .second)
    }

    @Test("parallel: the caller hears of a failure when the last branch has failed, and of the best one (RFC 3261 §16.7)", arguments: [
        ([486, 503], 486), ([503, 404], 404), ([480, 486], 486), ([302, 486], 302), ([408, 603], 603), ([603, 486], 603),
    ])
    func bestFailure(statuses: [Int], best: Int) {
        var run = Run(inviting: true, attempts: [2])
        #expect(run.feed(.calleeRejected(.first, status: statuses[0])) == [])
        let id = statuses[0] == best ? BranchID.first : .second
        #expect(
            run.feed(.calleeRejected(.second, status: statuses[1]))
                == [.attemptFailed(id, Self.rejection(best)), .rejectCaller(status: best), .closeMedia])
    }

    @Test("a 6xx cancels the other branches; one that answers before its CANCEL arrives still wins")
    func globalFailure() {
        var run = Run(ringing: true, attempts: [2])
        #expect(run.feed(.calleeRejected(.second, status: 603)) == [.cancelCallee(.first)])
        #expect(
            run.feed(.calleeAnswered(.first, hasAnswer: true)) == [.acknowledgeCallee(.first), .answerCaller, .connected])
    }

    @Test("CANCEL goes to every branch that has been heard of")
    func cancelsAll() {
        var run = Run(ringing: true, attempts: [2])
        #expect(run.feed(.callerCancelled) == [.cancelCallee(.first), .rejectCaller(status: 487), .closeMedia])
        #expect(run.feed(.calleeProvisional(.second, status: 100)) == [.cancelCallee(.second)])
        _ = run.feed(.mediaClosed)
        _ = run.feed(.calleeRejected(.first, status: 487))
        _ = run.feed(.calleeRejected(.second, status: 487))
        #expect(run.feed(.calleeInviteEnded(.first)) == [])
        #expect(run.feed(.calleeInviteEnded(.second)) == [.forget])
    }

    @Test("refused before media: one answer, one record, nothing stays")
    func refused() {
        var run = Run()
        #expect(run.feed(.mediaClosed) == [])
        #expect(
            run.feed(.release(cause: .noRoute, status: 404, party: .relayd))
                == [.rejectCaller(status: 404), .writeRecord, .forget])
    }
}

/// A call, brought to some point, and what it wanted done so far. It plays the owner: it places the branches of each attempt,
/// and releases the call when none is left.
struct Run {
    var call = BackToBackCall()
    private(set) var all: [BackToBackCall.Effect] = []
    private(set) var branchCount = 0
    /// How many branches each attempt has; the first one is next.
    private var attempts: [Int]

    init(
        inviting: Bool = false, ringing: Bool = false, answered: Bool = false, connected: Bool = false, attempts: [Int] = [1]
    ) {
        self.attempts = attempts
        if inviting || ringing || answered || connected { _ = feed(.mediaOpened) }
        if ringing || answered || connected { _ = feed(.calleeProvisional(.first, status: 180)) }
        if answered || connected { _ = feed(.calleeAnswered(.first, hasAnswer: true)) }
        if connected { _ = feed(.callerAcknowledged) }
    }

    mutating func feed(_ event: BackToBackCall.Event) -> [BackToBackCall.Effect] {
        var effects: [BackToBackCall.Effect] = []
        call.handle(event, effects: &effects)
        all += effects
        for effect in effects {
            switch effect {
            case .inviteCallee: placeAttempt()
            case .attemptFailed(_, let release):
                guard attempts.isEmpty || call.media != .open else {
                    placeAttempt()
                    continue
                }
                effects += feed(.release(cause: release.cause, status: release.status, party: release.party))
            default: break
            }
        }
        return effects
    }

    private mutating func placeAttempt() {
        for _ in 0..<attempts.removeFirst() {
            let id = call.addBranch()
            precondition(id == BranchID(branchCount), "branches count from 0")
            branchCount += 1
        }
    }
}

extension BranchID {
    static let first = BranchID(0)
    static let second = BranchID(1)
    static let third = BranchID(2)
}
