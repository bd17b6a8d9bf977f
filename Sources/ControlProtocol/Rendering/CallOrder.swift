/// What a list of calls is sorted by.
package enum CallOrder: String, CaseIterable, Codable, Sendable {
    /// The longest first.
    case duration
    /// The longest silence of either direction first.
    case silence
    /// The lowest MOS of either direction first; unknown ones last.
    case quality
    case caller, callee
    /// In the order a call goes through them.
    case state

    package func sorted(_ calls: [CallSummary]) -> [CallSummary] {
        calls.sorted { left, right in
            switch self {
            case .duration where left.durationSeconds != right.durationSeconds:
                left.durationSeconds > right.durationSeconds
            case .silence where left.longestSilence != right.longestSilence: left.longestSilence > right.longestSilence
            case .quality where left.lowerMOS != right.lowerMOS: left.lowerMOS < right.lowerMOS
            case .caller where left.callerNumber != right.callerNumber: left.callerNumber < right.callerNumber
            case .callee where left.calledNumber != right.calledNumber: left.calledNumber < right.calledNumber
            case .state where left.stateOrder != right.stateOrder: left.stateOrder < right.stateOrder
            default: (left.setupAt, left.id) < (right.setupAt, right.id)
            }
        }
    }
}

extension CallSummary {
    fileprivate var longestSilence: Double { max(fromCaller.silenceSeconds ?? -1, fromCallee.silenceSeconds ?? -1) }

    fileprivate var lowerMOS: Double { min(fromCaller.mos ?? 9, fromCallee.mos ?? 9) }

    fileprivate var stateOrder: Int { State.allCases.firstIndex(of: state) ?? 0 }
}
