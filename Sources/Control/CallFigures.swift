package import ControlProtocol
package import Core

/// What ended calls added up to since the start. Control thread only; a record costs the same however many there were.
package struct CallFigures {
    package private(set) var releases: [String: UInt64] = [:]
    package private(set) var distributions = CallDistributions()
    private var incoming: [String: TrunkFigures.Side] = [:]
    private var outgoing: [String: TrunkFigures.Side] = [:]

    package init() {}

    package mutating func add(_ record: CallRecord) {
        // Test calls are no traffic.
        guard record.callerTrunk != CallRecord.doctorTrunk else { return }
        releases[record.cause.rawValue, default: 0] += 1
        if let trunk = record.callerTrunk { incoming[trunk, default: .init()].add(record) }
        if let trunk = record.calleeTrunk { outgoing[trunk, default: .init()].add(record) }
        distributions.add(record)
    }

    /// Puts the totals of `trunk` beside its calls.
    package func complete(_ trunk: TrunkFigures) -> TrunkFigures {
        var trunk = trunk
        trunk.incoming = incoming[trunk.name] ?? .init()
        trunk.outgoing = outgoing[trunk.name] ?? .init()
        return trunk
    }
}
