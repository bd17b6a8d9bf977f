import Relay
import SIP

extension MediaDirection {
    /// What a description lets its writer do (RFC 3264 §5.1).
    init(_ direction: SessionDescription.Direction) {
        self =
            switch direction {
            case .sendrecv: .sendReceive
            case .sendonly: .sendOnly
            case .recvonly: .receiveOnly
            case .inactive: .inactive
            }
    }

    /// As an attribute names it.
    var sdpName: String {
        switch self {
        case .sendReceive: "sendrecv"
        case .sendOnly: "sendonly"
        case .receiveOnly: "recvonly"
        case .inactive: "inactive"
        }
    }
}
