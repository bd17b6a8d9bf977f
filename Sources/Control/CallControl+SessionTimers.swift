import Configuration
import ControlProtocol
import Core
import Diagnosis
import SIP

/// Session timers (RFC 4028), one on each leg, and the longest a call may last.
extension CallControl {
    /// A refresh that a peer refused for now is tried again after this long.
    private static let refreshRetry = Duration.seconds(10)

    /// What holds towards this trunk: its own settings, else those of `[sip]`.
    mutating func sessionTimer(towards trunk: SharedTrunk?) -> SessionTimer {
        let settings = settings
        return SessionTimer(
            policy: SessionTimer.Policy(
                interval: trunk?.sessionTimer ?? settings.configuration.sip.sessionTimer,
                minimum: trunk?.sessionTimerMinimum ?? settings.configuration.sip.sessionTimerMinimum,
                refresher: (trunk?.sessionTimerRefresher ?? settings.configuration.sip.sessionTimerRefresher) == .uac
                    ? .uac : .uas))
    }

    // MARK: Header lines

    /// What a request of ours says of session timers.
    static func addTimerHeaders(_ timer: SessionTimer, to builder: inout MessageBuilder) {
        guard let offered = timer.offered else { return }
        builder.addSessionExpires(offered.interval, refresher: offered.refresher)
        if let minimum = offered.minimum { builder.add(.minSE, number: Int(minimum.components.seconds)) }
    }

    /// What a 2xx of ours to a request of `leg` says, from which its timer runs anew.
    mutating func timerAnswer(to terms: SessionTimer.Terms, of leg: Leg, _ call: Call, now: Instant) -> SessionTimer.Answer? {
        guard let answer = call[leg].timer.answer(terms, now: now) else { return nil }
        timersChanged(call, now: now)
        return answer
    }

    /// What a 2xx of ours says of session timers.
    static func add(_ answer: SessionTimer.Answer?, to builder: inout MessageBuilder) {
        guard let answer else { return }
        builder.addSessionExpires(answer.interval, refresher: answer.refresher)
        if answer.isRequired { builder.add(lines: "Require: timer\r\n") }
    }

    /// 422 with Min-SE where a request asks for too short a session.
    static func timerRefusal(of terms: SessionTimer.Terms, _ timer: SessionTimer) -> (status: Int, headers: [(HeaderName, String)])? {
        timer.refusal(of: terms).map { (422, [(.minSE, "\($0.components.seconds)")]) }
    }

    /// A 2xx of `leg`'s peer to a request of ours.
    mutating func timerAccepted(_ response: SIPMessage, by leg: Leg, _ call: Call, now: Instant) {
        call[leg].timer.accepted(SessionTimer.Terms(response), now: now)
        timersChanged(call, now: now)
    }

    private func timersChanged(_ call: Call, now: Instant) {
        if call.isUnwatched {
            call.unwatchedSince = call.unwatchedSince ?? now
        } else {
            call.unwatchedSince = nil
        }
        call.timerDeadline = .earliest(.earliest(call[.caller].timer.deadline, call[.callee].timer.deadline), call.end)
    }

    // MARK: The initial INVITE

    /// The callee's side wants a longer session (422): the same INVITE once more with what it asks for (§7.3). False when it
    /// does not say what, or asks again for what it was offered.
    mutating func retryInvite(_ id: BranchID, of number: CallNumber, refusedWith response: SIPMessage, now: Instant) -> Bool {
        guard let call = calls[number], call.machine.isOpen(id),
            call.branches[id.rawValue].side.timer.refused(SessionTimer.Terms(response))
        else { return false }
        return repeatInvite(id, of: number, now: now)
    }

    // MARK: Time

    /// The call is up: from now on its timers count.
    mutating func startTimers(of call: Call, now: Instant) {
        let settings = settings
        call.endsAt = settings.configuration.maximumDuration(
            call.callerTrunk?.maximumDuration, call.calleeTrunk?.maximumDuration
        ).map { now + $0 }
        call.unwatchedLimit = call.noMedia.isEmergency ? .zero : settings.configuration.limits.unwatchedDuration
        timersChanged(call, now: now)
    }

    mutating func stopTimers(of call: Call) {
        for leg in Leg.allCases { call[leg].timer.stop() }
        (call.endsAt, call.unwatchedSince, call.unwatchedLimit) = (nil, nil, .zero)
        call.timerDeadline = nil
    }

    mutating func sessionTimerDue(_ call: Call, now: Instant) {
        guard call.machine.release == nil, let due = call.timerDeadline, due <= now else { return }
        let number = call.number
        if let end = call.end, end <= now {
            if call.endsAt.map({ now < $0 }) ?? true {
                call.reachedLimit = "Neither side knows session timers and nobody watches its media, so nothing else would have ended "
                    + "this call (limits.unwatched_duration)"
            }
            (call.endsAt, call.unwatchedSince, call.unwatchedLimit) = (nil, nil, .zero)
            enqueue(.release(cause: .maximumDuration, status: 200, party: .relayd), for: number)
        }
        for leg in Leg.allCases {
            switch call[leg].timer.advance(to: now) {
            case .refresh: refresh(leg, of: number, call, now: now)
            case .expired:
                call.expiredSession = CallFacts.ExpiredSession(
                    leg, isOurs: call[leg].timer.isOurs, interval: call[leg].timer.interval ?? .zero)
                emit(
                    .callSessionExpired, for: call,
                    [
                        "leg": "\(leg)", "refresher": call[leg].timer.isOurs ? "relayd" : "peer",
                        "interval_seconds": "\(call[leg].timer.interval?.components.seconds ?? 0)",
                    ], now: now)
                enqueue(.release(cause: .sessionTimeout, status: 200, party: .relayd), for: number)
            case nil: break
            }
        }
        timersChanged(call, now: now)
    }

    // MARK: Refresh requests of ours

    /// By UPDATE where the peer allows it, else by a re-INVITE with the description it has (§7.4).
    private mutating func refresh(_ leg: Leg, of number: CallNumber, _ call: Call, now: Instant) {
        guard call.machine.isConnected, call.machine.caller == .confirmed, call.refreshes[leg] == nil, call.change == nil else {
            return call[leg].timer.refreshFailed(status: 491, retryAfter: .seconds(2), now: now)
        }
        let method: Method = call[leg].allowed?.contains(.update) == true ? .update : .invite
        guard method == .update || call[leg.other].description != nil else { return }
        let other = call[leg.other]
        let body = method == .update ? nil : other.description.map { describe($0, call.main.place, to: leg, call) }
        let branch = newBranch()
        call.refreshes[leg] = sendInDialog(
            method, branch: branch, of: number, leg, timer: call[leg].timer, body: body,
            contentType: body == nil ? nil : "application/sdp", now: now
        ).map { ($0, method) }
        counters.add(to: .sessionRefreshes)
    }

    /// The peer of `leg` has agreed to a session that the other side cannot have: it is asked back to the one that counts, by a
    /// re-INVITE with the description it had.
    mutating func restore(_ leg: Leg, of number: CallNumber, now: Instant) {
        guard let call = calls[number], call.machine.isConnected, call.refreshes[leg] == nil, call.change == nil,
            let description = call[leg.other].description
        else { return }
        call.refreshes[leg] = sendInDialog(
            .invite, branch: newBranch(), of: number, leg, timer: call[leg].timer,
            body: describe(description, call.main.place, to: leg, call), contentType: "application/sdp", now: now
        ).map { ($0, .invite) }
        counters.add(to: .sessionRefreshes)
    }

    /// True when the response answers a refresh of ours.
    mutating func receiveRefreshResponse(
        _ id: TransactionID, _ response: SIPMessage, status: Int, from source: Flow, of number: CallNumber, _ leg: Leg,
        now: Instant
    ) -> Bool {
        guard let call = calls[number], let refresh = call.refreshes[leg], refresh.transaction == id else { return false }
        guard status >= 200 else { return true }
        call.refreshes[leg] = nil
        defer {
            timersChanged(call, now: now)
            scheduleTimer(of: call)
        }
        switch status {
        case 200..<300:
            if refresh.method == .invite { acknowledge(response, id, leg, call, now: now) }
            call[leg].learn(from: response)
            call.refreshTarget(of: leg, from: response, source: source)
            timerAccepted(response, by: leg, call, now: now)
            takeRefreshedDescription(response, from: source, leg, call)
        case 422 where call[leg].timer.refused(SessionTimer.Terms(response)):
            self.refresh(leg, of: number, call, now: now)
        case _ where refresh.method == .update && (status == 405 || status == 501):
            call[leg].refuses(.update)
            self.refresh(leg, of: number, call, now: now)
        case 481: peerLost(leg, number, now: now)
        case 408: refreshUnanswered(leg, number, call, now: now)
        case 491:
            // The Call-ID of the callee's leg is ours (RFC 3261 §14.1).
            let delay = OfferAnswerExchange.retryDelay(ownsCallID: leg == .callee, random: &random)
            call[leg].timer.refreshFailed(status: status, retryAfter: delay, now: now)
        default: call[leg].timer.refreshFailed(status: status, retryAfter: Self.refreshRetry, now: now)
        }
        return true
    }

    /// A peer may answer a refresh with another address; nothing else of its answer can change the other leg's session.
    private mutating func takeRefreshedDescription(_ response: SIPMessage, from source: Flow, _ leg: Leg, _ call: Call) {
        guard response.hasSessionDescription, let description = try? SessionDescription(parsing: response.body),
            description.media.count == call[leg].description?.media.count
        else { return }
        call[leg].refreshed = description
        call[leg].signalling = source
        expectAgreed(of: leg, call)
    }

    /// True when a refresh of ours waited for an answer in this transaction.
    mutating func refreshUnreachable(_ id: TransactionID, now: Instant) -> Bool {
        guard let use = transactionUses[id], let call = calls[use.call], call.refreshes[use.leg]?.transaction == id else {
            return false
        }
        call.refreshes[use.leg] = nil
        refreshUnanswered(use.leg, use.call, call, now: now)
        return true
    }

    /// A peer that knows session timers and says nothing is gone. One that does not is left alone: what it makes of requests
    /// that change nothing is its own affair, and silence on the media side ends the call anyway.
    private mutating func refreshUnanswered(_ leg: Leg, _ number: CallNumber, _ call: Call, now: Instant) {
        if call[leg].timer.isPeerSupporting {
            peerLost(leg, number, now: now)
        } else {
            call[leg].timer.refreshFailed(status: 408, retryAfter: Self.refreshRetry, now: now)
            timersChanged(call, now: now)
        }
    }
}
