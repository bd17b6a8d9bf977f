/// Why a body is refused as a session description.
package enum SDPError: Error, Equatable, Sendable {
    /// The description does not begin with this line.
    case missingLine(Character)
    /// Lines are counted from 1.
    case malformedLine(number: Int)
    case tooManyMedia(limit: Int)
    /// No active medium of the description can be relayed; this is the transport of the first.
    case unsupportedTransport(String)

    /// What the peer is told (RFC 3261 §21.4).
    package var statusCode: Int {
        switch self {
        case .missingLine, .malformedLine: 400
        case .tooManyMedia, .unsupportedTransport: 488
        }
    }
}
