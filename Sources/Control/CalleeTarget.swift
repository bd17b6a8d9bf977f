import Configuration
import Core
import SIP

/// Where one INVITE of a call goes. A reference, as `Call` is: it is handed on, and stays as it was made.
final class CalleeTarget {
    /// Nil for a registered phone.
    var trunk: SharedTrunk?
    /// Nil also for trunks that nothing is known of, as those of a test call.
    var state: TrunkState?
    /// Request-URI.
    var uri: [UInt8]
    /// The URI of To.
    var to: [UInt8]
    /// Where the INVITE is sent, whatever `uri` and `routes` say.
    var destination: Flow
    /// Route header values in order: the Path of a registration (RFC 3327 §5.3), or an outbound proxy.
    var routes: [String] = []
    var timers = SetupTimers()
    /// The contact of a registered phone, and when it had registered last; nil for a trunk.
    var binding: (id: BindingID, refreshedAt: Instant)?
    /// Another flow to the same phone, to be tried when this one has failed (RFC 5626 §7).
    var nextFlow: CalleeTarget?
    /// Where its Contact points is beyond a NAT: all requests of the dialog go by `destination`.
    var isBehindNAT = false

    /// The user of From; nil: as the caller has it.
    var fromUser: String?

    init(trunk: SharedTrunk, _ state: TrunkState?, timers: SetupTimers, uri: [UInt8], to: [UInt8]) {
        self.trunk = trunk
        self.state = state
        self.uri = uri
        self.to = to
        destination = Flow(trunk.transport, to: trunk.address)
        self.timers = timers
    }

    init(uri: String, to: String, destination: Flow, routes: [String] = [], timers: SetupTimers = SetupTimers()) {
        self.uri = Array(uri.utf8)
        self.to = Array(to.utf8)
        self.destination = destination
        self.routes = routes
        self.timers = timers
    }
}

/// Whom a call tries at one time: one target, or several that ring together and of which the first to answer wins.
struct CalleeAttempt {
    let first: CalleeTarget
    /// Those beside it; empty for nearly every call.
    var further: [CalleeTarget] = []

    init(_ first: CalleeTarget) { self.first = first }
}
