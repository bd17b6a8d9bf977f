import Configuration
import Core
import SIP

/// What a trunk's OPTIONS is told.
extension CallControl {
    static let loadHeader = "X-relayd-Load"

    /// OPTIONS outside of a dialog. A trunk learns how much there is to do; whoever else asks, a phone, only that relayd is there.
    ///
    /// 503 means that relayd is about to be gone. That it is full is said in the header of a 200: whoever asks takes a 503 for a
    /// dead peer, and would take the route out that still carries as many calls as it can.
    mutating func answerOptions(_ id: TransactionID, _ request: SIPMessage, from source: Flow, now: Instant) {
        var load: String?
        if let trunk = routing.trunk(from: source.remote, isStream: source.isReliable) { load = loadText(toldTo: trunk, now: now) }
        let headers: [(HeaderName, String)] = isDraining ? [retryAfter] : [(.accept, "application/sdp")]
        answer(id, request, from: source, status: isDraining ? 503 : 200, headers, load: load, now: now)
    }

    private mutating func loadText(toldTo trunk: SharedTrunk, now: Instant) -> String {
        let limits = configuration.limits
        let own = trunkStates[trunk.name]?.load.calls ?? 0
        let isFull = presentCount >= limits.calls || (trunk.capacity > 0 && own >= trunk.capacity)
        let state = isDraining ? "stopping" : isFull ? "full" : "open"
        func text(_ name: String, _ count: Int, of limit: Int) -> String { limit > 0 ? "\(name)=\(count)/\(limit)" : "\(name)=\(count)" }
        return [
            "state=\(state)", text("calls", presentCount, of: limits.calls),
            text("calls-per-second", callMeter.rate(at: now), of: limits.callsPerSecond),
            text("trunk-calls", own, of: trunk.capacity),
        ].joined(separator: "; ")
    }
}
