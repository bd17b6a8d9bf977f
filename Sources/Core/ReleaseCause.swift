/// Why a call attempt ended. The raw value is stable: records, events, counters and log lines carry it.
///
/// A released call has exactly one cause, decided by the first thing that ended it.
public enum ReleaseCause: String, CaseIterable, Sendable, Codable {
    // Connected calls.
    case normal
    case noMedia = "no_media"
    case ackMissing = "ack_missing"
    /// A party answered 481, 408 or nothing to a request inside its dialog.
    case peerLost = "peer_lost"
    /// Nobody refreshed a leg's session in time (RFC 4028).
    case sessionTimeout = "session_timeout"
    /// The longest time a call may last is over.
    case maximumDuration = "maximum_duration"
    case operatorHangup = "operator_hangup"
    case shutdown
    // Attempts that were never answered.
    case callerCancelled = "caller_cancelled"
    case rejected
    case noRoute = "no_route"
    /// Each route to the number is at a limit, or its trunk asked to be left alone.
    case allRoutesBusy = "all_routes_busy"
    /// Each trunk that leads to the number is out.
    case allRoutesDown = "all_routes_down"
    case notRegistered = "not_registered"
    case unknownSource = "unknown_source"
    case inviteTimeout = "invite_timeout"
    case tryingTimeout = "trying_timeout"
    case progressTimeout = "progress_timeout"
    case earlyMediaTimeout = "early_media_timeout"
    case ringingTimeout = "ringing_timeout"
    case portsExhausted = "ports_exhausted"
    case capacity
    /// The caller asked for a shorter session than is accepted (422).
    case sessionIntervalTooSmall = "session_interval_too_small"
    /// An INVITE of relayd's came back to it for the same number.
    case loopDetected = "loop_detected"
    /// The caller acknowledged no reliable provisional response (RFC 3262).
    case prackMissing = "prack_missing"
    /// The trunks' codec filters leave nothing of the offer.
    case noCommonCodec = "no_common_codec"
    case mediaNotAcceptable = "media_not_acceptable"
    case badRequest = "bad_request"
    case tooManyHops = "too_many_hops"
    case unsupportedExtension = "unsupported_extension"
    case transportFailed = "transport_failed"
    /// The callee's host, or a router on the way to it, answered the INVITE with an ICMP error.
    case peerUnreachable = "peer_unreachable"

    /// The words a VOS3000 operator knows this outcome by; nil where that switch has none.
    public var vosName: String? {
        switch self {
        case .normal: "Normal release"
        case .noMedia: "No media timeout"
        case .sessionTimeout: "Session timeout"
        case .noRoute: "NoAvailableRouter"
        case .inviteTimeout: "InviteTimeout"
        case .capacity, .portsExhausted, .allRoutesBusy, .allRoutesDown: "AllGatewayBusy"
        default: nil
        }
    }
}

extension ReleaseCause {
    /// The Q.850 cause value of records and Reason headers (RFC 3326).
    ///
    /// - Parameter status: the final SIP status, which decides where the cause does not.
    public func q850(status: Int) -> Int {
        switch self {
        case .noMedia, .ackMissing, .peerLost, .sessionTimeout, .inviteTimeout, .tryingTimeout, .progressTimeout: 102  // recovery on timer expiry
        case .ringingTimeout, .earlyMediaTimeout: 19  // no answer from user
        case .portsExhausted, .capacity, .allRoutesBusy: 34  // no circuit or channel available
        case .noRoute: 3  // no route to destination
        case .notRegistered: 20  // subscriber absent
        case .peerUnreachable: 27  // destination out of order
        case .allRoutesDown: 38  // network out of order
        case .operatorHangup, .maximumDuration: 31
        case .shutdown, .transportFailed: 41  // temporary failure
        default: Q850.cause(forStatus: status)
        }
    }

    /// What a Reason header says in words.
    public var sentence: String {
        switch self {
        case .normal: "Normal call clearing"
        case .noMedia: "No RTP received"
        case .ackMissing: "No ACK for the answer in 32 s"
        case .peerLost: "The other side no longer has this call"
        case .loopDetected: "The call came back in a loop"
        case .prackMissing: "No PRACK for a reliable response in 32 s"
        case .sessionTimeout: "Session timer expired without refresh"
        case .maximumDuration: "Longest call duration reached"
        case .sessionIntervalTooSmall: "Session interval too small"
        case .operatorHangup: "Hung up by the operator"
        case .shutdown: "Server is stopping"
        case .callerCancelled: "Cancelled by the caller"
        case .rejected: "Rejected by the callee"
        case .noRoute: "No route to this number"
        case .allRoutesBusy: "Every route to this number is busy"
        case .allRoutesDown: "Every route to this number is down"
        case .notRegistered: "The called user is not registered"
        case .unknownSource: "Source is no known trunk"
        case .inviteTimeout: "No response from the callee's side"
        case .tryingTimeout: "Nothing but 100 from the callee's side"
        case .progressTimeout: "No ringing after progress"
        case .earlyMediaTimeout: "No answer after early media"
        case .ringingTimeout: "No answer"
        case .portsExhausted: "No media ports left"
        case .capacity: "Call limit reached"
        case .noCommonCodec: "No codec of the offer is allowed on this route"
        case .mediaNotAcceptable: "No media that can be relayed"
        case .badRequest: "Bad request"
        case .tooManyHops: "Too many hops"
        case .unsupportedExtension: "Unsupported extension"
        case .transportFailed: "The network refused the request"
        case .peerUnreachable: "The callee's host cannot be reached (ICMP)"
        }
    }
}

/// Who ended a call attempt.
public enum ReleaseParty: String, Sendable, Codable {
    case caller, callee
    case relayd = "relayd"
    case `operator` = "operator"
}

/// Q.850 cause values and their relation to SIP (RFC 3398 §7.2.4.1, §8.2.6.1).
public enum Q850 {
    /// The cause value for a final SIP status; 16, normal clearing, for success.
    public static func cause(forStatus status: Int) -> Int {
        switch status {
        case 200..<300: 16
        case 400, 402, 481, 500, 503: 41
        case 401, 403, 407, 603: 21
        case 404, 485, 604: 1
        case 405: 63
        case 408, 504: 102
        case 410: 22
        case 413, 414, 416, 420, 421, 423, 505, 513: 127
        case 415, 488, 501, 606: 79
        case 480: 18
        case 482, 483: 25
        case 484: 28
        case 486, 600: 17
        case 487: 16
        case 502: 38
        default: 31
        }
    }
}
