import Core

/// The three base values every SIP timer derives from (RFC 3261 §17, Table 4 in Appendix A).
package struct TimerValues: Equatable, Sendable {
    // In nanoseconds: every transaction has them, and a `Duration` takes twice the room.
    private let (first, second, fourth): (Int64, Int64, Int64)

    /// Round-trip estimate; the first retransmission comes after it.
    package var t1: Duration { .nanoseconds(first) }
    /// Cap of the retransmission interval of non-INVITE requests and of INVITE responses.
    package var t2: Duration { .nanoseconds(second) }
    /// Longest time a message stays in the network.
    package var t4: Duration { .nanoseconds(fourth) }

    /// Those of the RFC. Every transaction has them, so they are made once.
    package static let standard = TimerValues()

    package init(
        t1: Duration = .milliseconds(500), t2: Duration = .seconds(4), t4: Duration = .seconds(5)
    ) {
        (first, second, fourth) = (t1.nanoseconds, t2.nanoseconds, t4.nanoseconds)
    }

    /// Timers B, F, H, J, L and M, and the life of a 2xx without ACK: 32 s with the default T1.
    package var transactionTimeout: Duration { .nanoseconds(first * 64) }

    /// Timer D over an unreliable transport: at least 32 s, however small T1 is (RFC 3261 §17.1.1.2).
    package var timerD: Duration { max(.seconds(32), transactionTimeout) }

    /// How long an INVITE may stay without a response before 100 is sent for it (RFC 3261 §17.2.1).
    package static let tryingDelay: Duration = .milliseconds(200)
}
