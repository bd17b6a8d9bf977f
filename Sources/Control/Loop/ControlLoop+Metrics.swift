import ControlProtocol
import Core

extension ControlLoop {
    /// What the metrics are made from. Costs control some tens of microseconds, most of it names of counters.
    mutating func metrics(now: Instant) -> MetricsSnapshot {
        var states: [String: Int] = [:]
        for (state, count) in control.stateCounts() { states[state.rawValue, default: 0] += count }
        for (state, count) in ngControl.stateCounts() { states[state.rawValue, default: 0] += count }
        return MetricsSnapshot(
            status: status(now: now), callStates: states, releases: figures.releases, trunks: trunkFigures(now: now),
            distributions: figures.distributions)
    }

    private func trunkFigures(now: Instant) -> [TrunkFigures] {
        control.trunkReports(now: now).map { report in
            var trunk = TrunkFigures(
                name: report.name, address: report.address, calls: report.calls, capacity: report.capacity)
            trunk.state = report.state
            trunk.lastFailure = report.lastFailure
            return figures.complete(trunk)
        }
    }
}
