package import Core

/// Parts of the description that are to be written anew (`replace`).
package struct NGReplacements: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// The address in `o=`.
    package static let origin = NGReplacements(rawValue: 1)
    /// Accepted for old scripts; `c=` is always replaced.
    package static let sessionConnection = NGReplacements(rawValue: 2)
    /// `s=` stays what it was in the first description of this side.
    package static let sessionName = NGReplacements(rawValue: 4)
    /// The user of `o=` stays what it was in the first description of this side.
    package static let username = NGReplacements(rawValue: 8)
    /// The version in `o=` grows exactly when the description has changed.
    package static let sdpVersion = NGReplacements(rawValue: 16)
    /// The version grows with every description.
    package static let forcedSDPVersion = NGReplacements(rawValue: 32)
    /// The address of `c=` is replaced even where it is 0.0.0.0.
    package static let zeroAddress = NGReplacements(rawValue: 64)
    /// User, session id and address of `o=`.
    package static let wholeOrigin = NGReplacements(rawValue: 128)
}

/// What becomes of multiplexed RTCP (`rtcp-mux`, RFC 5761).
package struct NGMultiplexing: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// Offer it to the other side even if this side did not.
    package static let offer = NGMultiplexing(rawValue: 1)
    /// With `offer`: leave the other side no fallback, RTCP's port is RTP's.
    package static let require = NGMultiplexing(rawValue: 2)
    /// Accept it from this side, and do not offer it to the other.
    package static let demux = NGMultiplexing(rawValue: 4)
    /// Accept it from this side whatever the other side answers.
    package static let accept = NGMultiplexing(rawValue: 8)
    /// Do not accept it from this side.
    package static let reject = NGMultiplexing(rawValue: 16)
}

/// Which payload types remain in the description (`codec`). Nothing is transcoded.
package struct NGCodecs: Equatable, Sendable {
    /// Encoding names as written by the client, `PCMA` or `opus/48000/2`; `all` or `full` stands for every one.
    package var strip: [String] = []
    /// Taken in again, in this order, after `strip` has removed them.
    package var offer: [String] = []
    /// Never removed by `strip`.
    package var except: [String] = []

    package init() {}

    package var isEmpty: Bool { strip.isEmpty }
}

/// How the addresses of a peer are learnt.
package struct NGSourceOptions: Equatable, Sendable {
    package enum EndpointLearning: String, CaseIterable, Sendable {
        case off, immediate, delayed, heuristic
    }

    /// Media addresses come from the description; otherwise from `receivedFrom`, the source of the SIP message.
    package var trustsAddress = true
    /// The peer sends from elsewhere than it receives: never learn from its packets.
    package var isAsymmetric = false
    /// The peer is known to send from where it receives.
    package var isSymmetric = false
    /// Drop what does not come from the locked source, also after the source could have moved.
    package var isStrict = false
    /// A source may change during the call, by packets alone.
    package var allowsHandover = false
    /// Learn again after a re-offer (true), keep what was learnt (false), or the default (nil).
    package var portLatching: Bool?
    /// The peer may be sent to before its first packet, if its SDP names the host its SIP comes from (relayd's own flag).
    package var opensAtOnce = false
    /// Nil for the configured default.
    package var learning: EndpointLearning?

    package init() {}
}

/// The RTCP attribute of the description that is written.
package enum NGRTCPAttribute: Sendable {
    /// `a=rtcp:4001`
    case port
    /// `a=rtcp:4001 IN IP4 192.0.2.1`
    case full
    /// None: RTCP goes to the port after RTP's.
    case none
}

/// Where the media of a call pass, and with which properties.
package struct NGRouting: Equatable, Sendable {
    /// The interface towards the side that wrote the description, and the one towards the other side (`direction`).
    package var fromInterface: String?
    package var toInterface: String?
    /// One interface for both (`interface`).
    package var interface: String?
    /// The address to advertise, instead of the interface's.
    package var mediaAddress: IPAddress?
    /// The family to advertise; nil keeps that of the description.
    package var addressFamily: IPAddress.Family?
    /// The profile for the `m=` line, such as `RTP/AVP`; nil keeps the description's.
    package var transport: String?
    package var tos: UInt8?

    package init() {}
}
