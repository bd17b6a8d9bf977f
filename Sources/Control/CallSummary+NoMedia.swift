import Configuration
import ControlProtocol
import Core

extension CallSummary {
    /// - Parameter states: of caller and callee; nil while the call is not connected.
    init(
        id: String, state: State, callerNumber: String, calledNumber: String, callerTrunk: String?, calleeTrunk: String?,
        setupAt: WallTime, answerAt: WallTime?, durationSeconds: Int, fromCaller: Media, fromCallee: Media,
        _ rule: NoMediaRule, _ states: (caller: LegMediaState, callee: LegMediaState)?
    ) {
        let mode: NoMediaMode =
            switch rule.mode {
            case .both: .both
            case .any: .any
            case .caller: .caller
            case .callee: .callee
            case .off: .off
            }
        self.init(
            id: id, state: state, callerNumber: callerNumber, calledNumber: calledNumber, callerTrunk: callerTrunk,
            calleeTrunk: calleeTrunk, setupAt: setupAt, answerAt: answerAt, durationSeconds: durationSeconds,
            fromCaller: fromCaller, fromCallee: fromCallee, monitored: rule.isMonitoring(states),
            monitoredReason: rule.reason(states),
            noMediaTimeoutSeconds: rule.isOff ? 0 : Int(rule.timeout.components.seconds), noMediaMode: mode)
    }
}

extension NoMediaRule {
    /// Whether silence can end a call in this state.
    func isMonitoring(_ states: (caller: LegMediaState, callee: LegMediaState)?) -> Bool {
        guard let states else { return false }
        let start = Instant(nanoseconds: 1)
        return MediaActivity(connectedAt: start).silenceEnds(self, caller: states.caller, callee: states.callee) != nil
    }

    /// Why, or why not.
    func reason(_ states: (caller: LegMediaState, callee: LegMediaState)?) -> String {
        guard timeout > .zero else { return "the timeout is 0 (\(origin))" }
        guard mode != .off else { return origin == "emergency number" ? origin : "the mode is off (\(origin))" }
        guard let states else { return "not connected yet" }
        if states.caller.holds || states.callee.holds {
            return holdTimeout > .zero ? "on hold, for which it is \(holdTimeout.components.seconds) s" : "on hold"
        }
        let silent = [(states.caller, "caller"), (states.callee, "callee")].filter(\.0.mayBeSilent).map(\.1)
        if !silent.isEmpty {
            let who = silent.joined(separator: " and ")
            return vadTimeout > .zero
                ? "silence suppression of \(who), for which it is \(max(vadTimeout, timeout).components.seconds) s"
                : "silence suppression of \(who)"
        }
        return "relayed, set by \(origin)"
    }
}
