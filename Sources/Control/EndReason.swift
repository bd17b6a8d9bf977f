import Core
import SIP

/// Why a call ends, as BYE and CANCEL say it (RFC 3326): what the other side said, else our own cause.
enum EndReason {
    /// A whole Reason value.
    case said(String)
    case own(ReleaseCause, status: Int)

    /// - Parameter branch: the one that is told, where it is not the call's callee.
    init(of call: Call, branch: BranchID? = nil) {
        if let branch, let winner = call.machine.winner, winner != branch {
            self = .said("SIP;cause=200;text=\"Call completed elsewhere\"")
        } else if let reason = call.receivedReason {
            self = .said(reason)
        } else {
            let release = call.machine.release
            self = .own(release?.cause ?? .normal, status: release?.status ?? 200)
        }
    }

    func add(to builder: inout MessageBuilder) {
        switch self {
        case .said(let reason): builder.add(.reason, reason)
        case .own(let cause, let status): builder.addReason(q850: cause.q850(status: status), text: cause.sentence)
        }
    }
}
