package import Core

/// One call attempt through a back-to-back user agent: a caller leg that relayd serves, a callee leg that it places, and
/// the media session between them.
///
/// Holds no message, socket or clock. The owner translates what happens into `Event`s, carries out every effect of one
/// event before giving the next, and may rely on these properties, which the tests check over random event orders:
///
/// - the caller's INVITE gets exactly one final response;
/// - a callee leg that was confirmed, even by a 2xx that crossed a CANCEL, is acknowledged and ends with BYE, sent or received;
/// - media is closed once if it was opened, and `writeRecord` comes exactly once, after that;
/// - the first reason to release is the one recorded.
package struct BackToBackCall: Sendable {
    package enum CallerState: Sendable { case proceeding, answered, confirmed, finished }
    package enum CalleeState: Sendable {
        case idle, inviting, ringing
        /// To be cancelled, but nothing was heard yet, so no CANCEL may be sent (RFC 3261 §9.1).
        case cancelPending
        case cancelling
        case confirmed, finished
    }
    package enum MediaState: Sendable { case opening, open, closing, closed }

    /// Why and by whom the attempt ended. `status` is its final SIP status: 200 once answered.
    package struct Release: Equatable, Sendable {
        package let cause: ReleaseCause
        package let status: Int
        package let party: ReleaseParty

        package init(cause: ReleaseCause, status: Int, party: ReleaseParty) {
            self.cause = cause
            self.status = status
            self.party = party
        }
    }

    package enum Event: Sendable {
        case mediaOpened
        case mediaClosed
        /// 101–199 from the callee.
        case calleeProvisional(status: Int)
        /// The first 2xx. `hasAnswer`: it, or an earlier provisional response, carried a usable session description.
        case calleeAnswered(hasAnswer: Bool)
        /// A final 300–699 from the callee.
        case calleeRejected(status: Int)
        /// The INVITE could not be sent, or nothing came back until timer B.
        case calleeUnreachable(ReleaseCause)
        /// The INVITE client transaction is over, with nothing further to come.
        case calleeInviteEnded
        case callerCancelled
        case callerAcknowledged
        /// 64*T1 without an ACK for our 2xx (RFC 3261 §13.3.1.4).
        case callerAckMissing
        case bye(from: Leg)
        /// relayd ends the call. `status` is what an unanswered caller is told.
        case release(cause: ReleaseCause, status: Int, party: ReleaseParty)
    }

    package enum Effect: Equatable, Sendable {
        case inviteCallee
        case cancelCallee
        case acknowledgeCallee
        case relayProvisional(status: Int)
        case answerCaller
        case rejectCaller(status: Int)
        case sendBye(Leg)
        /// Both legs are talking; the no-media clock starts.
        case connected
        case closeMedia
        /// The attempt is over and its figures are final.
        case writeRecord
        /// Nothing refers to the call any more.
        case forget
    }

    package private(set) var caller = CallerState.proceeding
    package private(set) var callee = CalleeState.idle
    package private(set) var media = MediaState.opening
    package private(set) var release: Release?
    /// Set while the caller's BYE has to wait for its ACK (RFC 3261 §15).
    private var owesCallerBye = false
    private var isInviteTransactionAlive = false
    private var isRecordWritten = false
    private var isForgotten = false

    package init() {}

    package var isConnected: Bool { release == nil && callee == .confirmed && (caller == .answered || caller == .confirmed) }

    /// The INVITE towards the callee is out and has no final response yet.
    package var isCalleePending: Bool {
        switch callee {
        case .inviting, .ringing, .cancelPending, .cancelling: true
        case .idle, .confirmed, .finished: false
        }
    }

    package mutating func handle(_ event: Event, effects: inout [Effect]) {
        switch event {
        case .mediaOpened: mediaOpened(&effects)
        case .mediaClosed:
            media = .closed
        case .calleeProvisional(let status): provisional(status, &effects)
        case .calleeAnswered(let hasAnswer): answered(hasAnswer: hasAnswer, &effects)
        case .calleeRejected(let status):
            guard isCalleePending else { break }
            callee = .finished
            end(Release(cause: .rejected, status: status, party: .callee), &effects)
        case .calleeUnreachable(let cause):
            guard isCalleePending else { break }
            callee = .finished
            end(Release(cause: cause, status: cause == .transportFailed ? 503 : 408, party: .relayd), &effects)
        case .calleeInviteEnded:
            isInviteTransactionAlive = false
            if callee != .confirmed { callee = .finished }
        case .callerCancelled:
            guard caller == .proceeding else { break }  // the answer crossed the CANCEL and wins (RFC 3261 §9.2)
            end(Release(cause: .callerCancelled, status: 487, party: .caller), &effects)
        case .callerAcknowledged: acknowledged(&effects)
        case .callerAckMissing:
            guard caller == .answered else { break }
            caller = .confirmed  // BYE is allowed now (RFC 3261 §15)
            if owesCallerBye { sendCallerBye(&effects) }
            end(Release(cause: .ackMissing, status: 200, party: .relayd), &effects)
        case .bye(let leg): byeReceived(from: leg, &effects)
        case .release(let cause, let status, let party):
            end(Release(cause: cause, status: isConnected ? 200 : status, party: party), &effects)
        }
        finishIfDone(&effects)
    }

    private mutating func mediaOpened(_ effects: inout [Effect]) {
        guard media == .opening else { return }
        media = .open
        guard release == nil else { return closeMedia(&effects) }
        callee = .inviting
        isInviteTransactionAlive = true
        effects.append(.inviteCallee)
    }

    private mutating func provisional(_ status: Int, _ effects: inout [Effect]) {
        switch callee {
        case .inviting, .ringing:
            callee = .ringing
            if status > 100 { effects.append(.relayProvisional(status: status)) }
        case .cancelPending:
            callee = .cancelling
            effects.append(.cancelCallee)
        case .idle, .cancelling, .confirmed, .finished: break
        }
    }

    private mutating func answered(hasAnswer: Bool, _ effects: inout [Effect]) {
        switch callee {
        case .inviting, .ringing, .cancelPending, .cancelling: callee = .confirmed
        case .idle, .confirmed, .finished: return
        }
        effects.append(.acknowledgeCallee)
        guard release == nil else {
            return byeCallee(&effects)  // the answer crossed our CANCEL (RFC 3261 §9.1)
        }
        guard hasAnswer else {
            return end(Release(cause: .mediaNotAcceptable, status: 488, party: .relayd), &effects)
        }
        caller = .answered
        effects.append(.answerCaller)
        effects.append(.connected)
    }

    private mutating func acknowledged(_ effects: inout [Effect]) {
        guard caller == .answered else { return }
        caller = .confirmed
        if owesCallerBye { sendCallerBye(&effects) }
    }

    private mutating func byeReceived(from leg: Leg, _ effects: inout [Effect]) {
        let party: ReleaseParty = leg == .caller ? .caller : .callee
        switch leg {
        case .caller:
            guard caller != .finished else { return }
            owesCallerBye = false
            // A BYE in the early dialog ends the INVITE as well (RFC 3261 §15.1.2).
            if caller == .proceeding {
                caller = .finished
                effects.append(.rejectCaller(status: 487))
                return end(Release(cause: .callerCancelled, status: 487, party: .caller), &effects)
            }
            caller = .finished
        case .callee:
            guard callee == .confirmed else { return }
            callee = .finished
        }
        end(Release(cause: .normal, status: 200, party: party), &effects)
    }

    /// Ends whatever is still up. Only the first call decides cause and party.
    private mutating func end(_ reason: Release, _ effects: inout [Effect]) {
        if release == nil { release = reason }
        switch callee {
        case .inviting: callee = .cancelPending
        case .ringing:
            callee = .cancelling
            effects.append(.cancelCallee)
        case .confirmed: byeCallee(&effects)
        case .idle, .cancelPending, .cancelling, .finished: break
        }
        switch caller {
        case .proceeding:
            caller = .finished
            effects.append(.rejectCaller(status: reason.status))
        case .answered: owesCallerBye = true
        case .confirmed: sendCallerBye(&effects)
        case .finished: break
        }
        if media == .open { closeMedia(&effects) }
    }

    private mutating func byeCallee(_ effects: inout [Effect]) {
        callee = .finished
        effects.append(.sendBye(.callee))
    }

    private mutating func sendCallerBye(_ effects: inout [Effect]) {
        owesCallerBye = false
        caller = .finished
        effects.append(.sendBye(.caller))
    }

    private mutating func closeMedia(_ effects: inout [Effect]) {
        media = .closing
        effects.append(.closeMedia)
    }

    private mutating func finishIfDone(_ effects: inout [Effect]) {
        guard release != nil, media == .closed else { return }
        if !isRecordWritten {
            isRecordWritten = true
            effects.append(.writeRecord)
        }
        let isCalleeDone = (callee == .finished || callee == .idle) && !isInviteTransactionAlive
        if caller == .finished, isCalleeDone, !isForgotten {
            isForgotten = true
            effects.append(.forget)
        }
    }
}
