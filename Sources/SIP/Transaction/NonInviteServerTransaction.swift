package import Core

/// Server transaction of every method but INVITE and ACK (RFC 3261 §17.2.2).
///
/// The layer above keeps the octets of the last response it was told to send. After each input, carry out every effect
/// before giving the next input. `.terminated` comes once, as the last effect; every later input is ignored.
package struct NonInviteServerTransaction: Sendable {
    package enum State: Equatable, Sendable {
        case trying, proceeding, completed, terminated
    }

    /// Never `sendTrying`, `deliverACK` or `timedOut`.
    package typealias Effect = InviteServerTransaction.Effect

    package private(set) var state = State.trying
    private let isReliable: Bool
    private let timers: TimerValues
    private var timerJ: Instant?

    /// - Parameter isReliable: over TCP or TLS Completed lasts no time.
    package init(isReliable: Bool = false, timers: TimerValues = .standard) {
        self.isReliable = isReliable
        self.timers = timers
    }

    /// When `advance(to:effects:)` is due next (timer J). Nil before the final response, which the user owes, and once
    /// terminated.
    package var deadline: Instant? { timerJ }

    /// The request came again.
    package func receiveRequest(effects: inout [Effect]) {
        guard state == .proceeding || state == .completed else { return }
        effects.append(.sendResponse(isRetransmission: true))
    }

    /// The user answers. After a final response nothing more is sent.
    package mutating func respond(status: Int, now: Instant, effects: inout [Effect]) {
        guard state == .trying || state == .proceeding else { return }
        switch status {
        case 100..<200:
            state = .proceeding
            effects.append(.sendResponse(isRetransmission: false))
        case 200..<700:
            effects.append(.sendResponse(isRetransmission: false))
            if isReliable {
                terminate(&effects)
            } else {
                state = .completed
                timerJ = now + timers.transactionTimeout
            }
        default:
            preconditionFailure("\(status) is no SIP status")
        }
    }

    package mutating func advance(to now: Instant, effects: inout [Effect]) {
        if let timerJ, now >= timerJ { terminate(&effects) }
    }

    package mutating func transportFailed(effects: inout [Effect]) {
        guard state == .proceeding || state == .completed else { return }
        effects.append(.transportFailed)
        terminate(&effects)
    }

    private mutating func terminate(_ effects: inout [Effect]) {
        state = .terminated
        timerJ = nil
        effects.append(.terminated)
    }
}
