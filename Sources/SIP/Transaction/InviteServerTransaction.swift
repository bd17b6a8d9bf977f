package import Core

/// INVITE server transaction (RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1).
///
/// The layer above keeps the octets of the last response it was told to send, 100 included. Retransmission of a 2xx is
/// not done here: it ends with the ACK, which belongs to the dialog (`SuccessRetransmission`). After each input, carry
/// out every effect before giving the next input. `.terminated` comes once, as the last effect; every later input is
/// ignored.
package struct InviteServerTransaction: Sendable {
    package enum State: Equatable, Sendable {
        case proceeding, accepted, completed, confirmed, terminated
    }

    package enum Trying: Equatable, Sendable {
        /// 100 is sent with the first effect: right for a user that waits for another party.
        case atOnce
        /// 100 is sent when the user has not answered within 200 ms.
        case whenSlow
    }

    package enum Effect: Equatable, Sendable {
        /// Send 100; it is the last response from then on.
        case sendTrying
        /// Send the response just given, or the last one again.
        case sendResponse(isRetransmission: Bool)
        /// Hand the ACK for a 2xx to the transaction user.
        case deliverACK
        /// No ACK came for a 300-699 response in 64*T1 (timer H).
        case timedOut
        /// A response could not be sent. The transaction stays: it must go on absorbing the INVITE (RFC 6026 §7.1).
        case transportFailed
        case terminated
    }

    package private(set) var state = State.proceeding
    private let isReliable: Bool
    private let timers: TimerValues
    private var hasResponded = false
    private var timerG: RetransmissionTimer?
    /// The 200 ms before 100 in Proceeding; ends the other states: timer L in Accepted, H in Completed, I in Confirmed.
    private var stateTimer: Instant?

    /// - Parameter isReliable: over TCP or TLS no final response is retransmitted and Confirmed lasts no time.
    package init(
        now: Instant, trying: Trying = .atOnce, isReliable: Bool = false, timers: TimerValues = .standard,
        effects: inout [Effect]
    ) {
        self.isReliable = isReliable
        self.timers = timers
        switch trying {
        case .atOnce: sendTrying(&effects)
        case .whenSlow: stateTimer = now + TimerValues.tryingDelay
        }
    }

    /// When `advance(to:effects:)` is due next. Nil once terminated, and in Proceeding after the first response, where
    /// the user owes the final one.
    package var deadline: Instant? { earlier(timerG?.due, stateTimer) }

    /// The INVITE came again.
    package func receiveRequest(effects: inout [Effect]) {
        guard state == .completed || (state == .proceeding && hasResponded) else { return }
        effects.append(.sendResponse(isRetransmission: true))
    }

    /// An ACK that belongs to this transaction, or in Accepted to the dialog it made.
    package mutating func receiveACK(now: Instant, effects: inout [Effect]) {
        switch state {
        case .accepted: effects.append(.deliverACK)
        case .completed where isReliable: terminate(&effects)
        case .completed: enter(.confirmed, until: now + timers.t4)
        case .proceeding, .confirmed, .terminated: break
        }
    }

    /// The user answers, or sends its 2xx again. A response that comes too late for the state is not sent.
    package mutating func respond(status: Int, now: Instant, effects: inout [Effect]) {
        precondition((100..<700).contains(status), "\(status) is no SIP status")
        switch (state, status) {
        case (.proceeding, 100..<200):
            enter(.proceeding, until: nil)
            hasResponded = true
            effects.append(.sendResponse(isRetransmission: false))
        case (.proceeding, 200..<300):
            enter(.accepted, until: now + timers.transactionTimeout)
            effects.append(.sendResponse(isRetransmission: false))
        case (.accepted, 200..<300):
            effects.append(.sendResponse(isRetransmission: true))
        case (.proceeding, _):
            enter(.completed, until: now + timers.transactionTimeout)
            if !isReliable { timerG = RetransmissionTimer(startingAt: now, interval: timers.t1, cap: timers.t2) }
            effects.append(.sendResponse(isRetransmission: false))
        default:
            break
        }
    }

    package mutating func advance(to now: Instant, effects: inout [Effect]) {
        if let stateTimer, now >= stateTimer {
            switch state {
            case .proceeding:
                self.stateTimer = nil
                sendTrying(&effects)
            case .completed:
                effects.append(.timedOut)
                terminate(&effects)
            case .accepted, .confirmed, .terminated:
                terminate(&effects)
            }
        } else if timerG?.fire(at: now) == true {
            effects.append(.sendResponse(isRetransmission: true))
        }
    }

    package func transportFailed(effects: inout [Effect]) {
        guard state == .proceeding || state == .accepted || state == .completed else { return }
        effects.append(.transportFailed)
    }

    private mutating func sendTrying(_ effects: inout [Effect]) {
        hasResponded = true
        effects.append(.sendTrying)
    }

    private mutating func enter(_ next: State, until end: Instant?) {
        state = next
        timerG = nil
        stateTimer = end
    }

    private mutating func terminate(_ effects: inout [Effect]) {
        enter(.terminated, until: nil)
        effects.append(.terminated)
    }
}
