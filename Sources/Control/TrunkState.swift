import Configuration
import Core
import SIP

/// What call control knows of one trunk while it runs.
struct TrunkState {
    var trunk: Trunk
    var health = TrunkHealth()
    /// Of calls to it, and of calls from it.
    var outgoing: TokenBucket
    var incoming: TokenBucket

    /// INVITEs sent to it, and how they fared.
    var attempts: UInt64 = 0
    var answered: UInt64 = 0
    /// Of its answered calls that have ended.
    var ended: UInt64 = 0
    var duration = Duration.zero
    /// INVITEs in this second and in the one before it.
    private var second: (number: UInt64, count: Int, last: Int) = (0, 0, 0)

    /// When it is asked again whether it is there; nil: not at present.
    var nextProbe: Instant?
    /// When a call last tried it though it was out.
    var lastResortAt: Instant?
    var probe: (transaction: TransactionID, sentAt: Instant)?
    var probeRoundTrip: Duration?
    /// What the last probe met with.
    var probeResult: String?

    /// Its last challenge, for the next request.
    var digest: DigestClient?
    var registration = OutboundRegistration()

    init(_ trunk: Trunk, now: Instant) {
        self.trunk = trunk
        outgoing = TokenBucket(rate: trunk.callsPerSecond, now: now)
        incoming = TokenBucket(rate: trunk.callsPerSecond, now: now)
    }

    mutating func countAttempt(at now: Instant) {
        attempts += 1
        roll(to: now)
        second.count += 1
    }

    /// INVITEs to it in the last whole second.
    func rate(at now: Instant) -> Int {
        var copy = self
        copy.roll(to: now)
        return copy.second.last
    }

    private mutating func roll(to now: Instant) {
        let number = now.nanoseconds / 1_000_000_000
        guard number != second.number else { return }
        second = (number, 0, number == second.number + 1 ? second.count : 0)
    }
}
