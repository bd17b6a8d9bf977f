/// Why a client got no answer.
package enum ControlClientError: Error, Equatable, Sendable {
    /// There is nothing at the path.
    case missing(path: String)
    /// The file is there, or its directory, and this user may not use it. The group that may, where it could be found out.
    case notPermitted(path: String, group: String?)
    /// The file is there and nobody listens: the daemon has ended without removing it, or it is no socket.
    case nobodyListening(path: String)
    case pathTooLong(path: String, limit: Int)
    case cannotConnect(path: String, reason: String)
    /// Connected, and no answer came in time.
    case silent(seconds: Int)
    /// The daemon closed the connection in the middle.
    case closed
    /// What came is not JSON-RPC, or not what this method answers.
    case nonsense
    /// The daemon's own words.
    case refused(ControlError)

    /// One sentence: what is wrong and what to do.
    package var sentence: String {
        switch self {
        case .missing(let path):
            "relayd does not run, or with another socket: there is no \(path); "
                + "start it with `relayd --config FILE`, or name its socket with `--socket PATH`."
        case .notPermitted(let path, let group):
            "Permission denied for \(path): it is for "
                + (group.map { "members of the group \"\($0)\"; join it (`adduser USER \($0)`, then log in again)" }
                    ?? "its owner and its group; join that group")
                + ", be root, or name another socket with `--socket PATH`."
        case .nobodyListening(let path):
            "Nobody listens at \(path): relayd has stopped or been killed; "
                + "start it with `relayd --config FILE`, or name its socket with `--socket PATH`."
        case .pathTooLong(let path, let limit):
            "The path of a unix socket has at most \(limit) octets, \(path) has \(path.utf8.count): "
                + "name a shorter one with `--socket PATH`."
        case .cannotConnect(let path, let reason):
            "Cannot connect to \(path): \(reason); name another socket with `--socket PATH` if that is the wrong one."
        case .silent(let seconds): "relayd did not answer within \(seconds) s; it is overloaded or stopped (`ps`, its log)."
        case .closed: "relayd closed the connection; it has perhaps just stopped: see its log."
        case .nonsense:
            "What came is no answer of relayd: is the socket really its own, and are relayctl and relayd of one version?"
        case .refused(let error): error.message
        }
    }

    /// 1: the daemon refused; 69 (EX_UNAVAILABLE): it is not there; 70 (EX_SOFTWARE): it did not do its part.
    package var exitCode: Int32 {
        switch self {
        case .missing, .notPermitted, .nobodyListening, .pathTooLong, .cannotConnect: 69
        case .silent, .closed, .nonsense: 70
        case .refused: 1
        }
    }
}
