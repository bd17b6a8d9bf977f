import Configuration
import ControlProtocol
import Core
import Glibc
import Records
import Relay
import Uring

extension ControlLoop {
    /// What `relayctl status` shows.
    mutating func status(now: Instant) -> StatusReport {
        sip.countReceiveDrops()
        let workerBlocks = (0..<configuration.media.workers).map { pool.counters(worker: $0) }
        let blocks = [counters, keeper.counters, pool.counters] + workerBlocks
        func sum(_ counter: Counter) -> UInt64 { blocks.reduce(0) { $0 + $1[counter] } }
        let drops: [Counter] = [
            .droppedStranger, .droppedMalformed, .droppedUnexpectedProtocol, .droppedOversized, .droppedPeerUnlocked,
            .droppedNoSession,
        ]
        let ports = configuration.media.ports
        var relayPorts = StatusReport.Media(
            address: configuration.mediaAddress, firstPort: ports.lowerBound, lastPort: ports.upperBound,
            portsInUse: media.usedPairCount * 2, portsInQuarantine: media.quarantinedPairCount * 2,
            portsFree: media.freePairCount * 2, sessionsKept: pool.keptCount)
        relayPorts.kernelDevices = pool.kernelDevices
        return StatusReport(
            version: relaydVersion, pid: getpid(), startedAt: startedAt.wall,
            uptimeSeconds: Int((now - startedAt.instant).components.seconds), draining: control.isDraining,
            sipAddress: configuration.sip.listen, sipListeners: sip.addresses, sipConnections: sip.report(now: now),
            ngAddresses: ng.addresses,
            media: relayPorts,
            calls: StatusReport.Calls(
                current: control.presentCount + ngControl.callCount,
                connected: control.connectedCount + ngControl.connectedCount, limit: configuration.limits.calls,
                attempted: counters[.callsAttempted], answered: counters[.callsAnswered],
                released: counters[.callsReleased]),
            phones: control.phoneFigures,
            workers: workerBlocks.enumerated().map { index, block in
                StatusReport.Worker(
                    index: index, sessions: media.sessionCount(onWorker: index),
                    packetsReceived: block[.rtpPacketsReceived] + block[.rtcpPacketsReceived],
                    packetsSent: block[.rtpPacketsSent] + block[.rtcpPacketsSent],
                    packetsDropped: drops.reduce(0) { $0 + block[$1] })
            },
            records: StatusReport.Records(
                journaled: keeper.counters[.recordsJournaled], stored: keeper.counters[.recordsStored],
                pending: UInt64(keeper.pending), failures: keeper.counters[.recordFailures]),
            memory: StatusReport.Memory(
                resident: UInt64(ResidentMemory.residentOctets), allocated: UInt64(ResidentMemory.allocatedOctets)),
            ioUring: Self.features(ring),
            counters: Dictionary(uniqueKeysWithValues: Counter.allCases.map { ($0.name, sum($0)) }), warnings: warnings + control.strangerWarnings(now: now))
    }

    private static func features(_ ring: borrowing Ring) -> [StatusReport.Feature] {
        [
            StatusReport.Feature(
                name: "minimum-batch wait", available: ring.canGather,
                note: "Linux 6.12; without it each packet can wake a busy worker, which doubles the CPU a packet costs"),
            StatusReport.Feature(
                name: "registered ring descriptor", available: ring.hasRegisteredDescriptor,
                note: "Linux 5.18; without it each system call looks its ring up, which costs a few per cent"),
        ]
    }
}

extension ConfigurationRow {
    init(_ setting: Setting) {
        let reload =
            switch setting.reload {
            case .appliedNow: "now"
            case .newCallsOnly: "new calls"
            case .appliedUpToStart: "now, more: restart"
            case .needsRestart: "restart"
            }
        self.init(
            key: setting.key, value: setting.value, origin: setting.origin.description, vosName: setting.vosName,
            reload: reload)
    }
}
