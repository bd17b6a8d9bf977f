import Configuration
import ControlProtocol
import Core

extension ControlLoop {
    /// What the metrics are made from. Costs control some tens of microseconds, most of it names of counters.
    func metrics(now: Instant) -> MetricsSnapshot {
        var states: [String: Int] = [:]
        for (state, count) in control.stateCounts() { states[state.rawValue, default: 0] += count }
        for (state, count) in ngControl.stateCounts() { states[state.rawValue, default: 0] += count }
        return MetricsSnapshot(
            status: status(now: now), callStates: states, releases: figures.releases, trunks: trunkFigures(),
            distributions: figures.distributions)
    }

    func trunkFigures() -> [TrunkFigures] {
        configuration.trunks.map { trunk in
            figures.complete(
                TrunkFigures(
                    name: trunk.name, address: trunk.address, calls: control.callsByTrunk[trunk.name] ?? 0,
                    capacity: trunk.capacity))
        }
    }
}
