/// The root cause of what became of a call, in one stable word. The raw value is in records, in `relayctl why` and its JSON.
///
/// `ReleaseCause` says what ended a call; this says why it went as it did: a call released for want of media has many causes.
public enum CallVerdict: String, CaseIterable, Sendable, Codable {
    // Nothing is wrong.
    case normal
    /// A present call without a fault so far.
    case inProgress = "in_progress"
    case busy
    case noAnswer = "no_answer"
    case callerGaveUp = "caller_gave_up"
    case declined
    /// Silence that a hold explains; the call was not cut for it.
    case onHold = "on_hold"
    case operatorHangup = "operator_hangup"
    case shutdown
    case durationLimit = "duration_limit"

    // Where the call should have gone.
    case numberUnknown = "number_unknown"
    case calleeUnavailable = "callee_unavailable"
    case rejectedByRoute = "rejected_by_route"
    case noRoute = "no_route"
    case routingLoop = "routing_loop"
    case allRoutesBusy = "all_routes_busy"
    case noResponse = "no_response"
    case registrationExpired = "registration_expired"
    case connectionClosed = "connection_closed"
    case natPinholeLost = "nat_pinhole_lost"
    case capacityLimit = "capacity_limit"

    // Who may call.
    case unknownSource = "unknown_source"
    case authenticationFailed = "authentication_failed"
    case badRequest = "bad_request"

    // Signalling.
    case ackLost = "ack_lost"
    case privateContact = "private_contact"
    case sessionIntervalLoop = "session_interval_loop"
    case refreshUnanswered = "refresh_unanswered"
    case endpointGone = "endpoint_gone"
    case networkRefused = "network_refused"
    case peerUnreachable = "peer_unreachable"

    // Media.
    case codecMismatch = "codec_mismatch"
    case mediaNotAcceptable = "media_not_acceptable"
    case noMedia = "no_media"
    case oneWayFromStart = "one_way_from_start"
    case oneWayLater = "one_way_later"
    case mediaDied = "media_died"
    case portClosed = "port_closed"
    case privateMediaAddress = "private_media_address"
    case mediaFromElsewhere = "media_from_elsewhere"
    case sipALG = "sip_alg"
    case mediaLostAfterReinvite = "media_lost_after_reinvite"
    case holdCut = "hold_cut"
    case dtmfMismatch = "dtmf_mismatch"
    case poorQuality = "poor_quality"

    case unexplained

    /// Whether somebody has to do something about it.
    public var isTrouble: Bool {
        switch self {
        case .normal, .inProgress, .busy, .noAnswer, .callerGaveUp, .declined, .onHold, .operatorHangup, .shutdown, .durationLimit: false
        default: true
        }
    }
}
