package import Configuration
package import Core
package import Relay

/// The relay's session slots and ports, as the control thread hands them out, and what the workers report of them.
///
/// One for the daemon: SIP calls and calls that a proxy drives take from the same stock. Control thread only.
package final class MediaSessions {
    /// A slot with the RTP port of each leg; RTCP is one port above.
    package struct Taken: Hashable, Sendable {
        package let session: SessionID
        package let callerPort: UInt16
        package let calleePort: UInt16
    }

    /// Why there is no session.
    package enum Shortage: Error, Hashable, Sendable {
        case sessions, ports
    }

    package let activity: ActivityTable
    package let statistics: StatisticsTable
    private var allocator: SessionAllocator
    private var ports: PortPool
    private var random: SeededRandom

    package init(
        configuration: Configuration.Media, allocator: SessionAllocator, activity: ActivityTable,
        statistics: StatisticsTable, random: SeededRandom
    ) {
        self.activity = activity
        self.statistics = statistics
        self.allocator = allocator
        self.random = random
        ports = PortPool(ports: configuration.ports, quarantine: configuration.quarantine)
    }

    /// Takes a slot and two port pairs. The relay knows nothing of it before `open` is sent.
    package func take(now: Instant) -> Result<Taken, Shortage> {
        guard let session = allocator.take() else { return .failure(.sessions) }
        guard let callerPort = ports.take(now: now, random: &random) else {
            allocator.giveBack(session)
            return .failure(.ports)
        }
        guard let calleePort = ports.take(now: now, random: &random) else {
            ports.giveBackUnused(callerPort)
            allocator.giveBack(session)
            return .failure(.ports)
        }
        return .success(Taken(session: session, callerPort: callerPort, calleePort: calleePort))
    }

    /// Once the worker has answered `closed` or `openFailed`. The ports go to quarantine.
    package func giveBack(_ taken: Taken, now: Instant) {
        ports.giveBack(taken.callerPort, now: now)
        ports.giveBack(taken.calleePort, now: now)
        allocator.giveBack(taken.session)
    }

    /// What no worker was told of; its ports need no rest.
    package func giveBackUnused(_ taken: Taken) {
        ports.giveBackUnused(taken.callerPort)
        ports.giveBackUnused(taken.calleePort)
        allocator.giveBack(taken.session)
    }

    /// For pairs that are given back from now on.
    package func setQuarantine(_ duration: Duration) { ports.quarantineTime = duration }

    package var usedPairCount: Int { ports.usedCount }
    package var quarantinedPairCount: Int { ports.quarantinedCount }
    package var freePairCount: Int { ports.freeCount }

    /// The present session that a tap means.
    func session(tapped: SessionID) -> SessionID? {
        allocator.session(index: tapped.index, lowGeneration: tapped.generation)
    }

    package func sessionCount(onWorker worker: Int) -> Int { allocator.count(onWorker: worker) }
}
