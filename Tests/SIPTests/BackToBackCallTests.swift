import Core
import SIP
import Testing

/// Each path of a call attempt, event by event.
@Suite struct BackToBackCallTests {
    typealias Effect = BackToBackCall.Effect
    private static let timeout = BackToBackCall.Release(cause: .inviteTimeout, status: 408, party: .relayd)

    @Test("answered, acknowledged, hung up by the caller")
    func callerHangsUp() {
        var run = Run()
        #expect(run.feed(.mediaOpened) == [.inviteCallee])
        #expect(run.feed(.calleeProvisional(status: 100)) == [])
        #expect(run.feed(.calleeProvisional(status: 180)) == [.relayProvisional(status: 180)])
        #expect(run.feed(.calleeProvisional(status: 183)) == [.relayProvisional(status: 183)])
        #expect(run.feed(.calleeAnswered(hasAnswer: true)) == [.acknowledgeCallee, .answerCaller, .connected])
        #expect(run.call.isConnected)
        #expect(run.feed(.callerAcknowledged) == [])
        #expect(run.feed(.bye(from: .caller)) == [.sendBye(.callee), .closeMedia])
        #expect(run.call.release == .init(cause: .normal, status: 200, party: .caller))
        #expect(!run.call.isConnected)
        #expect(run.feed(.mediaClosed) == [.writeRecord])
        #expect(run.feed(.calleeInviteEnded) == [.forget])
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
        #expect(run.feed(.calleeInviteEnded) == [])
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
        #expect(run.feed(.callerCancelled) == [.cancelCallee, .rejectCaller(status: 487), .closeMedia])
        #expect(run.call.release == .init(cause: .callerCancelled, status: 487, party: .caller))
        #expect(run.feed(.calleeRejected(status: 487)) == [])
        #expect(run.feed(.mediaClosed) == [.writeRecord])
        #expect(run.feed(.calleeInviteEnded) == [.forget])
    }

    @Test("CANCEL before any response waits for one (RFC 3261 §9.1)", arguments: [100, 180])
    func cancelBeforeRinging(status: Int) {
        var run = Run(inviting: true)
        #expect(run.feed(.callerCancelled) == [.rejectCaller(status: 487), .closeMedia])
        #expect(run.feed(.calleeProvisional(status: status)) == [.cancelCallee])
        #expect(run.feed(.calleeProvisional(status: 180)) == [])
    }

    @Test("an answer that crosses our CANCEL is acknowledged and hung up", arguments: [true, false])
    func answerCrossesCancel(wasRinging: Bool) {
        var run = wasRinging ? Run(ringing: true) : Run(inviting: true)
        _ = run.feed(.callerCancelled)
        #expect(run.feed(.calleeAnswered(hasAnswer: true)) == [.acknowledgeCallee, .sendBye(.callee)])
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
        #expect(run.feed(.calleeUnreachable(.inviteTimeout)) == [])
        #expect(run.feed(.calleeInviteEnded) == [.forget])
        #expect(run.call.release?.cause == .callerCancelled)
    }

    @Test("a refusal is passed on", arguments: [404, 486, 503, 603])
    func rejected(status: Int) {
        var run = Run(inviting: true)
        #expect(run.feed(.calleeRejected(status: status)) == [.rejectCaller(status: status), .closeMedia])
        #expect(run.call.release == .init(cause: .rejected, status: status, party: .callee))
    }

    @Test("a callee that cannot be reached", arguments: [(ReleaseCause.inviteTimeout, 408), (.transportFailed, 503)])
    func unreachable(cause: ReleaseCause, status: Int) {
        var run = Run(inviting: true)
        #expect(run.feed(.calleeUnreachable(cause)) == [.rejectCaller(status: status), .closeMedia])
        #expect(run.call.release == .init(cause: cause, status: status, party: .relayd))
    }

    @Test("nothing but a 2xx changes a confirmed callee leg")
    func lateFinals() {
        var run = Run(connected: true)
        #expect(run.feed(.calleeRejected(status: 486)) == [])
        #expect(run.feed(.calleeUnreachable(.inviteTimeout)) == [])
        #expect(run.feed(.calleeProvisional(status: 180)) == [])
        #expect(run.feed(.calleeAnswered(hasAnswer: true)) == [])
        #expect(run.call.isConnected)
    }

    @Test("an answer without usable media is acknowledged and hung up; the caller gets 488")
    func unusableAnswer() {
        var run = Run(ringing: true)
        #expect(
            run.feed(.calleeAnswered(hasAnswer: false))
                == [.acknowledgeCallee, .sendBye(.callee), .rejectCaller(status: 488), .closeMedia])
        #expect(run.call.release == .init(cause: .mediaNotAcceptable, status: 488, party: .relayd))
    }

    @Test("BYE in the early dialog ends the INVITE with 487 (RFC 3261 §15.1.2)")
    func earlyBye() {
        var run = Run(ringing: true)
        #expect(run.feed(.bye(from: .caller)) == [.rejectCaller(status: 487), .cancelCallee, .closeMedia])
        #expect(run.call.release?.party == .caller)
    }

    @Test("the operator's hangup: status for a caller that waits, 200 for one that talks")
    func released() {
        let event = BackToBackCall.Event.release(cause: .operatorHangup, status: 480, party: .operator)
        var ringing = Run(ringing: true)
        #expect(ringing.feed(event) == [.cancelCallee, .rejectCaller(status: 480), .closeMedia])
        #expect(ringing.call.release == .init(cause: .operatorHangup, status: 480, party: .operator))
        var connected = Run(connected: true)
        #expect(connected.feed(event) == [.sendBye(.callee), .sendBye(.caller), .closeMedia])
        #expect(connected.call.release == .init(cause: .operatorHangup, status: 200, party: .operator))
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

/// A call, brought to some point, and what it wanted done so far.
struct Run {
    var call = BackToBackCall()
    private(set) var all: [BackToBackCall.Effect] = []

    init(inviting: Bool = false, ringing: Bool = false, answered: Bool = false, connected: Bool = false) {
        if inviting || ringing || answered || connected { _ = feed(.mediaOpened) }
        if ringing || answered || connected { _ = feed(.calleeProvisional(status: 180)) }
        if answered || connected { _ = feed(.calleeAnswered(hasAnswer: true)) }
        if connected { _ = feed(.callerAcknowledged) }
    }

    mutating func feed(_ event: BackToBackCall.Event) -> [BackToBackCall.Effect] {
        var effects: [BackToBackCall.Effect] = []
        call.handle(event, effects: &effects)
        all += effects
        return effects
    }
}
