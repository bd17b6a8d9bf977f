import Core
import SIP

/// Our registration with one trunk (RFC 3261 §10.2).
struct OutboundRegistration {
    /// One Call-ID for all of them; CSeq counts up (§10.2).
    var callID = ""
    var sequence: UInt32 = 0
    /// The REGISTER that is out.
    var transaction: TransactionID?
    /// How often this one was challenged and answered.
    var challenges = 0
    /// What is asked for; a 423 raises it.
    var expires: Duration?
    /// When the next REGISTER is due.
    var due: Instant?
    var until: Instant?
    private(set) var failures = 0
    private(set) var lastFailure: String?
    /// A REGISTER with Expires 0 is out.
    var isEnding = false

    func isStanding(at now: Instant) -> Bool { until.map { now < $0 } ?? false }

    mutating func succeeded(until: Instant) {
        self.until = until
        failures = 0
        lastFailure = nil
    }

    /// - Parameter isRefused: by ICMP, at once: nobody has waited and sent it again for 32 s.
    /// - Returns: how long to wait before the next one: 30 s, or 1 s, twice that after each further failure, at most 10 minutes.
    mutating func failed(_ reason: String, isRefused: Bool) -> Duration {
        failures += 1
        lastFailure = reason
        return min(.seconds(600), .seconds(isRefused ? 1 : 30) * (1 << min(failures - 1, 10)))
    }

    /// When a registration of `expires` is refreshed: early enough for a REGISTER that is lost and sent again for its whole 32 s,
    /// but not before half of it is over.
    static func refresh(after expires: Duration) -> Duration { max(expires / 2, min(expires * 9 / 10, expires - .seconds(40))) }
}
