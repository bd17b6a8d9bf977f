import Configuration
import ControlProtocol
import Core

extension SIPTransports {
    /// A table that a person can still read.
    private static let shownLimit = 50

    /// What `relayctl status` shows of connections.
    func report(now: Instant) -> StatusReport.Connections {
        let sorted = all.sorted { ($0.isTrusted ? 1 : 0, $0.id) > ($1.isTrusted ? 1 : 0, $1.id) }
        let shown = sorted.prefix(Self.shownLimit).map { connection in
            let machine = connection.machine
            return StatusReport.Connection(
                transport: connection.transport, remote: connection.remote, outgoing: machine.isOutgoing,
                state: "\(machine.phase)", trunk: trunkName(of: connection),
                ageSeconds: Int((now - machine.openedAt).components.seconds),
                quietSeconds: Int((now - machine.lastReceived).components.seconds),
                messagesReceived: machine.messagesReceived, messagesSent: machine.messagesSent, tls: machine.tlsSummary,
                subject: machine.peerSubject)
        }
        return StatusReport.Connections(limit: connectionLimit, open: all.count, shown: Array(shown))
    }

    private func trunkName(of connection: Connection) -> String? {
        routing.trunk(from: connection.remote, isStream: true)?.name
    }
}
