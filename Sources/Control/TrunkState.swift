import Configuration
import Core
import SIP

/// How many calls a trunk has, to it and from it, until their records are written. It stays when the trunk goes: it may come
/// back while calls of its former self are up.
final class TrunkLoad {
    private(set) var calls = 0

    // Assigned anew: see `Call`.
    func add() { calls = calls + 1 }
    func remove() { calls = calls - 1 }
}

/// What call control knows of one trunk while it runs. `CallControl` holds it, and calls that have to do with the trunk.
final class TrunkState {
    var trunk: SharedTrunk
    let load: TrunkLoad
    var health: TrunkHealth { get { presentHealth } set { presentHealth = newValue } }
    /// Of calls to it, and of calls from it.
    var outgoing: TokenBucket { get { presentOutgoing } set { presentOutgoing = newValue } }
    var incoming: TokenBucket { get { presentIncoming } set { presentIncoming = newValue } }

    /// INVITEs sent to it, and how they fared.
    var attempts: UInt64 { get { presentAttempts } set { presentAttempts = newValue } }
    var answered: UInt64 = 0
    /// Of its answered calls that have ended.
    var ended: UInt64 = 0
    var duration = Duration.zero

    func countAnswer() { answered = answered + 1 }

    func countEnd(after length: Duration) {
        ended = ended + 1
        duration = duration + length
    }

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

    // Replaced as a whole: see `Call`.
    private var presentHealth: TrunkHealth = TrunkHealth()
    private var presentOutgoing: TokenBucket
    private var presentIncoming: TokenBucket
    private var presentAttempts: UInt64 = 0
    private var meter = RateMeter()

    init(_ trunk: SharedTrunk, _ load: TrunkLoad, now: Instant) {
        self.trunk = trunk
        self.load = load
        presentOutgoing = TokenBucket(rate: trunk.callsPerSecond, now: now)
        presentIncoming = TokenBucket(rate: trunk.callsPerSecond, now: now)
    }

    func countAttempt(at now: Instant) {
        attempts += 1
        var meter = meter
        meter.count(at: now)
        self.meter = meter
    }

    /// INVITEs to it in the last whole second.
    func rate(at now: Instant) -> Int { meter.rate(at: now) }
}
