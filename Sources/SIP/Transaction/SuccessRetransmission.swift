package import Core

/// A 2xx to INVITE, sent again by the user agent server until its ACK comes (RFC 3261 §13.3.1.4).
///
/// It travels end to end, so it is repeated over every transport. The first sending is the server transaction's.
package struct SuccessRetransmission: Sendable {
    package enum Effect: Equatable, Sendable {
        /// Send the 2xx again.
        case resend
        /// No ACK in 64*T1: the caller cannot be reached at its Contact, or never got the answer. The user sends BYE.
        case ackMissing
    }

    private var timer: RetransmissionTimer?
    private let end: Instant

    /// - Parameter now: when the 2xx was sent for the first time.
    package init(now: Instant, timers: TimerValues = .standard) {
        timer = RetransmissionTimer(startingAt: now, interval: timers.t1, cap: timers.t2)
        end = now + timers.transactionTimeout
    }

    /// True from the ACK on, and from `.ackMissing` on.
    package var isFinished: Bool { timer == nil }

    /// When `advance(to:effects:)` is due next; nil once finished.
    package var deadline: Instant? { timer.map { min($0.due, end) } }

    package mutating func receiveACK() { timer = nil }

    package mutating func advance(to now: Instant, effects: inout [Effect]) {
        guard timer != nil else { return }
        if now >= end {
            timer = nil
            effects.append(.ackMissing)
        } else if timer?.fire(at: now) == true {
            effects.append(.resend)
        }
    }
}
