package import Core

/// One call attempt through a back-to-back user agent: a caller leg that relayd serves, the branches it places towards
/// callees, and the media session between them.
///
/// Branches are placed one after another, when one has failed (serial), or several at once (parallel). The first 2xx wins
/// and makes the callee's leg; what else answers is acknowledged and hung up.
///
/// Holds no message, socket or clock. The owner translates what happens into `Event`s, carries out every effect of one
/// event before giving the next, and may rely on these properties, which the tests check over random event orders:
///
/// - the caller's INVITE gets exactly one final response;
/// - a branch that was answered, even by a 2xx that crossed a CANCEL, is acknowledged and ends with BYE, sent or received;
/// - nothing that comes from a branch that lost changes the call;
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
        /// 100-199 from a callee.
        case calleeProvisional(BranchID, status: Int)
        /// The first 2xx of a branch. `hasAnswer`: it, or an earlier provisional response, carried a usable session
        /// description.
        case calleeAnswered(BranchID, hasAnswer: Bool)
        /// A final 300-699 from a callee.
        case calleeRejected(BranchID, status: Int)
        /// The INVITE could not be sent, nothing came back until timer B, or the way to the phone is gone. `status` is what
        /// this counts as.
        case calleeUnreachable(BranchID, ReleaseCause, status: Int)
        /// A set-up timer ran out. `status` is what this counts as among the branches' responses.
        case calleeTimedOut(BranchID, ReleaseCause, status: Int)
        /// The INVITE client transaction is over, with nothing further to come.
        case calleeInviteEnded(BranchID)
        case callerCancelled
        case callerAcknowledged
        /// 64*T1 without an ACK for our 2xx (RFC 3261 §13.3.1.4).
        case callerAckMissing
        /// From a leg of the call: from no branch but the one that won.
        case bye(from: Leg)
        /// relayd ends the call. `status` is what an unanswered caller is told.
        case release(cause: ReleaseCause, status: Int, party: ReleaseParty)
    }

    package enum Effect: Equatable, Sendable {
        /// Media is there: call `addBranch` for each INVITE of the first attempt, or release.
        case inviteCallee
        /// Every branch of this attempt has failed; this is the one that says most, and how it failed. Call `addBranch` for
        /// each INVITE of the next attempt, or give `.release` with this or a better reason (`bestFailure`).
        case attemptFailed(BranchID, Release)
        case cancelCallee(BranchID)
        case acknowledgeCallee(BranchID)
        /// BYE to a branch that answered and is not the call's callee leg.
        case hangUpBranch(BranchID)
        case relayProvisional(BranchID, status: Int)
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
    package private(set) var media = MediaState.opening
    package private(set) var release: Release?
    /// The branch that answered first while the call stood: the callee's leg.
    package private(set) var winner: BranchID?
    private var branches: [CalleeBranch] = []
    /// The first branch of the attempt that is under way.
    private var attemptStart = 0
    /// Set while the caller's BYE has to wait for its ACK (RFC 3261 §15).
    private var owesCallerBye = false
    private var isRecordWritten = false
    private var isForgotten = false

    package init() {}

    package var isConnected: Bool { release == nil && callee == .confirmed && (caller == .answered || caller == .confirmed) }

    /// The state of the branch that won; until one has, of the branch of this attempt that has come furthest.
    package var callee: CalleeState {
        if let winner { return branches[winner.rawValue].state }
        let states = branches[attemptStart...].map(\.state)
        return [.ringing, .inviting, .cancelling, .cancelPending, .finished].first { states.contains($0) } ?? .idle
    }

    /// An INVITE towards a callee is out and has no final response yet.
    package var isCalleePending: Bool { branches.contains { Self.isPending($0.state) } }

    package func state(of branch: BranchID) -> CalleeState { branches[branch.rawValue].state }

    /// Neither answered, nor failed, nor given up: its responses still count.
    package func isOpen(_ branch: BranchID) -> Bool { release == nil && winner == nil && branches[branch.rawValue].isOpen }

    /// Of the branches of every attempt so far that have failed, the one that says most, and how it failed.
    package var bestFailure: (branch: BranchID, release: Release)? { bestFailure(from: 0) }

    private static func isPending(_ state: CalleeState) -> Bool {
        switch state {
        case .inviting, .ringing, .cancelPending, .cancelling: true
        case .idle, .confirmed, .finished: false
        }
    }

    /// The owner places an INVITE, while carrying out `inviteCallee` or `attemptFailed`, or in place of a branch that it is about
    /// to report as failed.
    package mutating func addBranch() -> BranchID {
        precondition(media == .open && release == nil && winner == nil, "nobody is to be called now")
        if branches[attemptStart...].allSatisfy({ $0.failure != nil }) { attemptStart = branches.count }
        branches.append(CalleeBranch())
        return BranchID(branches.count - 1)
    }

    /// The owner sends the INVITE of a branch again with credentials: nothing was heard of this one yet.
    package mutating func repeatInvite(of id: BranchID) {
        precondition(isOpen(id), "a branch that is given up is not tried again")
        branches[id.rawValue].state = .inviting
    }

    /// - Returns: how the attempt ended, when this event has ended it.
    @discardableResult
    package mutating func handle(_ event: Event, effects: inout [Effect]) -> Release? {
        let wasReleased = release != nil
        switch event {
        case .mediaOpened: mediaOpened(&effects)
        case .mediaClosed:
            media = .closed
        case .calleeProvisional(let id, let status): provisional(id, status, &effects)
        case .calleeAnswered(let id, let hasAnswer): answered(id, hasAnswer: hasAnswer, &effects)
        case .calleeRejected(let id, let status):
            guard Self.isPending(branches[id.rawValue].state) else { break }
            branches[id.rawValue].state = .finished
            failed(id, Release(cause: .rejected, status: status, party: .callee), &effects)
        case .calleeUnreachable(let id, let cause, let status):
            guard Self.isPending(branches[id.rawValue].state) else { break }
            branches[id.rawValue].state = .finished
            failed(id, Release(cause: cause, status: status, party: .relayd), &effects)
        case .calleeTimedOut(let id, let cause, let status):
            guard branches[id.rawValue].isOpen else { break }
            giveUp(id, &effects)
            failed(id, Release(cause: cause, status: status, party: .relayd), &effects)
        case .calleeInviteEnded(let id):
            branches[id.rawValue].isTransactionAlive = false
            if branches[id.rawValue].state != .confirmed { branches[id.rawValue].state = .finished }
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
        return wasReleased ? nil : release
    }

    private mutating func mediaOpened(_ effects: inout [Effect]) {
        guard media == .opening else { return }
        media = .open
        guard release == nil else { return closeMedia(&effects) }
        effects.append(.inviteCallee)
    }

    private mutating func provisional(_ id: BranchID, _ status: Int, _ effects: inout [Effect]) {
        switch branches[id.rawValue].state {
        case .inviting, .ringing:
            branches[id.rawValue].state = .ringing
            if status > 100 { effects.append(.relayProvisional(id, status: status)) }
        case .cancelPending:
            branches[id.rawValue].state = .cancelling
            effects.append(.cancelCallee(id))
        case .idle, .cancelling, .confirmed, .finished: break
        }
    }

    private mutating func answered(_ id: BranchID, hasAnswer: Bool, _ effects: inout [Effect]) {
        guard Self.isPending(branches[id.rawValue].state) else { return }
        effects.append(.acknowledgeCallee(id))
        guard release == nil, winner == nil, branches[id.rawValue].failure == nil else {
            branches[id.rawValue].state = .finished
            effects.append(.hangUpBranch(id))  // the answer crossed our CANCEL (RFC 3261 §9.1)
            return
        }
        guard hasAnswer else {
            branches[id.rawValue].state = .finished
            effects.append(.hangUpBranch(id))
            return failed(id, Release(cause: .mediaNotAcceptable, status: 488, party: .relayd), &effects)
        }
        branches[id.rawValue].state = .confirmed
        winner = id
        giveUpAll(&effects)
        caller = .answered
        effects.append(.answerCaller)
        effects.append(.connected)
    }

    /// A branch will not answer. Once none of its attempt may, the owner hears of the best failure.
    private mutating func failed(_ id: BranchID, _ failure: Release, _ effects: inout [Effect]) {
        guard branches[id.rawValue].failure == nil else { return }
        branches[id.rawValue].failure = failure
        guard release == nil, winner == nil else { return }
        if failure.status >= 600 { giveUpAll(&effects) }  // nobody else is to be asked (RFC 3261 §16.7, step 5)
        guard branches[attemptStart...].allSatisfy({ $0.failure != nil }), let best = bestFailure(from: attemptStart)
        else { return }
        effects.append(.attemptFailed(best.branch, best.release))
    }

    private func bestFailure(from start: Int) -> (branch: BranchID, release: Release)? {
        branches.indices.dropFirst(start)
            .compactMap { index in branches[index].failure.map { (branch: BranchID(index), release: $0) } }
            .min { $0.release.rank < $1.release.rank }
    }

    /// CANCEL for a branch, as soon as it may be sent.
    private mutating func giveUp(_ id: BranchID, _ effects: inout [Effect]) {
        switch branches[id.rawValue].state {
        case .inviting: branches[id.rawValue].state = .cancelPending
        case .ringing:
            branches[id.rawValue].state = .cancelling
            effects.append(.cancelCallee(id))
        case .idle, .cancelPending, .cancelling, .confirmed, .finished: break
        }
    }

    private mutating func giveUpAll(_ effects: inout [Effect]) {
        for index in branches.indices { giveUp(BranchID(index), &effects) }
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
            guard let winner, callee == .confirmed else { return }
            branches[winner.rawValue].state = .finished
        }
        end(Release(cause: .normal, status: 200, party: party), &effects)
    }

    /// Ends whatever is still up. Only the first call decides cause and party.
    private mutating func end(_ reason: Release, _ effects: inout [Effect]) {
        if release == nil { release = reason }
        giveUpAll(&effects)
        if let winner, callee == .confirmed {
            branches[winner.rawValue].state = .finished
            effects.append(.sendBye(.callee))
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
        let areCalleesDone = branches.allSatisfy { !$0.isTransactionAlive && $0.state == .finished }
        if caller == .finished, areCalleesDone, !isForgotten {
            isForgotten = true
            effects.append(.forget)
        }
    }
}
