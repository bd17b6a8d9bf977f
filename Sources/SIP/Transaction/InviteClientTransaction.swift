package import Core

/// INVITE client transaction (RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2).
///
/// After each input, carry out every effect before giving the next input. `.terminated` comes once, as the last effect;
/// every later input is ignored.
package struct InviteClientTransaction: Sendable {
    package enum State: Equatable, Sendable {
        case calling, proceeding, accepted, completed, terminated
    }

    package enum Effect: Equatable, Sendable {
        /// Send the request, for the first time or again (timers A and E).
        case sendRequest
        /// Send the ACK for the 300-699 response at hand, also again for each retransmission of it (§17.1.1.3).
        case sendACK
        /// Hand the response at hand to the transaction user.
        case deliver
        /// No response came in 64*T1 (timers B and F), or no final one in 64*T1 after CANCEL: as if 408 had come.
        case timedOut
        /// The request or the ACK could not be sent: as if 503 had come.
        case transportFailed
        case terminated
    }

    package private(set) var state = State.calling
    private let isReliable: Bool
    private let timers: TimerValues
    private var timerA: RetransmissionTimer?
    /// Ends the state: timer B in Calling, M in Accepted, D in Completed; in Proceeding set by CANCEL only.
    private var stateTimer: Instant?
    /// Set by `abandon`: the end of Calling and Proceeding.
    private var limit: Instant?

    /// Sends the request.
    ///
    /// - Parameter isReliable: over TCP or TLS nothing is retransmitted and Completed lasts no time.
    package init(
        now: Instant, isReliable: Bool = false, timers: TimerValues = .standard, effects: inout [Effect]
    ) {
        self.isReliable = isReliable
        self.timers = timers
        if !isReliable { timerA = RetransmissionTimer(startingAt: now, interval: timers.t1, cap: nil) }
        stateTimer = now + timers.transactionTimeout
        effects.append(.sendRequest)
    }

    /// When `advance(to:effects:)` is due next. Nil once terminated, and in Proceeding, where only the user's own
    /// timers limit the wait for an answer.
    package var deadline: Instant? { earlier(timerA?.due, stateTimer) }

    package mutating func receive(status: Int, now: Instant, effects: inout [Effect]) {
        switch (state, status) {
        case (.calling, 100..<200):
            enter(.proceeding, until: limit)
            effects.append(.deliver)
        case (.proceeding, 100..<200):
            effects.append(.deliver)
        case (.calling, 200..<300), (.proceeding, 200..<300):
            enter(.accepted, until: now + timers.transactionTimeout)
            effects.append(.deliver)
        case (.accepted, 200..<300):
            // The same answer again, or one from another branch of a fork: the user acknowledges each.
            effects.append(.deliver)
        case (.calling, 300..<700), (.proceeding, 300..<700):
            effects.append(.sendACK)
            effects.append(.deliver)
            if isReliable { terminate(&effects) } else { enter(.completed, until: now + timers.timerD) }
        case (.completed, 300..<700):
            effects.append(.sendACK)
        default:
            break
        }
    }

    package mutating func advance(to now: Instant, effects: inout [Effect]) {
        if let stateTimer, now >= stateTimer {
            if state == .calling || state == .proceeding { effects.append(.timedOut) }
            terminate(&effects)
        } else if timerA?.fire(at: now) == true {
            effects.append(.sendRequest)
        }
    }

    /// The user sent CANCEL: a callee that then stays silent is given up after 64*T1 (RFC 3261 §9.1).
    ///
    /// CANCEL must not be sent before a provisional response, so this counts in Proceeding only, and only once.
    package mutating func cancelSent(now: Instant) {
        guard state == .proceeding, stateTimer == nil else { return }
        stateTimer = now + timers.transactionTimeout
    }

    /// Nobody waits for the answer any more, for the dialog has ended: without a final response the transaction ends after
    /// 64*T1.
    package mutating func abandon(now: Instant) {
        guard state == .calling || state == .proceeding, limit == nil else { return }
        limit = now + timers.transactionTimeout
        if state == .proceeding { stateTimer = earlier(stateTimer, limit) }
    }

    /// The transport could not send. In Proceeding and Accepted this machine sends nothing, so it is no news there.
    package mutating func transportFailed(effects: inout [Effect]) {
        guard state == .calling || state == .completed else { return }
        effects.append(.transportFailed)
        terminate(&effects)
    }

    private mutating func enter(_ next: State, until end: Instant?) {
        state = next
        timerA = nil
        stateTimer = end
    }

    private mutating func terminate(_ effects: inout [Effect]) {
        enter(.terminated, until: nil)
        effects.append(.terminated)
    }
}
