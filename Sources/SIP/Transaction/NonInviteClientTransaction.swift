package import Core

/// Client transaction of every method but INVITE and ACK (RFC 3261 §17.1.2).
///
/// After each input, carry out every effect before giving the next input. `.terminated` comes once, as the last effect;
/// every later input is ignored.
package struct NonInviteClientTransaction: Sendable {
    package enum State: Equatable, Sendable {
        case trying, proceeding, completed, terminated
    }

    /// Never `sendACK`.
    package typealias Effect = InviteClientTransaction.Effect

    package private(set) var state = State.trying
    private let isReliable: Bool
    private let timers: TimerValues
    private var timerE: RetransmissionTimer?
    /// Ends the state: timer F in Trying and Proceeding, K in Completed.
    private var stateTimer: Instant?

    /// Sends the request.
    ///
    /// - Parameter isReliable: over TCP or TLS nothing is retransmitted and Completed lasts no time.
    package init(
        now: Instant, isReliable: Bool = false, timers: TimerValues = .standard, effects: inout [Effect]
    ) {
        self.isReliable = isReliable
        self.timers = timers
        if !isReliable { timerE = RetransmissionTimer(startingAt: now, interval: timers.t1, cap: timers.t2) }
        stateTimer = now + timers.transactionTimeout
        effects.append(.sendRequest)
    }

    /// When `advance(to:effects:)` is due next; nil once terminated.
    package var deadline: Instant? { earlier(timerE?.due, stateTimer) }

    package mutating func receive(status: Int, now: Instant, effects: inout [Effect]) {
        guard state == .trying || state == .proceeding else { return }  // Completed absorbs retransmissions
        switch status {
        case 100..<200:
            state = .proceeding
            timerE?.continueAtCap()
            effects.append(.deliver)
        case 200..<700:
            effects.append(.deliver)
            timerE = nil
            if isReliable {
                terminate(&effects)
            } else {
                state = .completed
                stateTimer = now + timers.t4
            }
        default:
            break
        }
    }

    package mutating func advance(to now: Instant, effects: inout [Effect]) {
        if let stateTimer, now >= stateTimer {
            if state != .completed { effects.append(.timedOut) }
            terminate(&effects)
        } else if timerE?.fire(at: now) == true {
            effects.append(.sendRequest)
        }
    }

    package mutating func transportFailed(effects: inout [Effect]) {
        guard state == .trying || state == .proceeding else { return }
        effects.append(.transportFailed)
        terminate(&effects)
    }

    private mutating func terminate(_ effects: inout [Effect]) {
        state = .terminated
        timerE = nil
        stateTimer = nil
        effects.append(.terminated)
    }
}
