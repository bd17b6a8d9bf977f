/// The three base values every SIP timer derives from (RFC 3261 §17, Table 4 in Appendix A).
package struct TimerValues: Equatable, Sendable {
    /// Round-trip estimate; the first retransmission comes after it.
    package var t1: Duration
    /// Cap of the retransmission interval of non-INVITE requests and of INVITE responses.
    package var t2: Duration
    /// Longest time a message stays in the network.
    package var t4: Duration

    /// Those of the RFC. Every transaction has them, so they are made once.
    package static let standard = TimerValues()

    package init(
        t1: Duration = .milliseconds(500), t2: Duration = .seconds(4), t4: Duration = .seconds(5)
    ) {
        self.t1 = t1
        self.t2 = t2
        self.t4 = t4
    }

    /// Timers B, F, H, J, L and M, and the life of a 2xx without ACK: 32 s with the default T1.
    package var transactionTimeout: Duration { Duration(attoseconds: t1.attoseconds * 64) }

    /// Timer D over an unreliable transport: at least 32 s, however small T1 is (RFC 3261 §17.1.1.2).
    package var timerD: Duration { max(.seconds(32), transactionTimeout) }

    /// How long an INVITE may stay without a response before 100 is sent for it (RFC 3261 §17.2.1).
    package static let tryingDelay: Duration = .milliseconds(200)
}
