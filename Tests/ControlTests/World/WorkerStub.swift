import Core
import Synchronization

@testable import Relay

/// A relay worker as call control sees it: it answers commands after a while, and notes the last packet of each leg.
final class WorkerStub {
    private struct Session {
        let ports: [Leg: UInt16]
        var isOpen = false
        var isClosing = false
    }

    /// RTP that a peer sends to a relay port, one packet every 20 ms.
    final class Flow {
        let port: UInt16
        let start: Instant
        var end: Instant?
        /// Packets that have reached their session.
        var delivered = 0

        init(port: UInt16, start: Instant) {
            self.port = port
            self.start = start
        }
    }

    /// The chance that a session cannot be opened.
    var openFailure = 0.0
    private(set) var flows: [Flow] = []
    /// When each session's legs were last heard.
    private(set) var lastPacket: [SessionID: [Leg: Instant]] = [:]
    private var sessions: [SessionID: Session] = [:]
    private let activity: ActivityTable
    private let statistics: StatisticsTable
    private static let packetInterval = Duration.milliseconds(20)

    init(activity: ActivityTable, statistics: StatisticsTable? = nil) {
        self.activity = activity
        self.statistics = statistics ?? StatisticsTable(activity: activity)
    }

    /// What the worker reports, and how long after the command.
    func carryOut(_ command: RelayCommand, random: inout SeededRandom) -> (RelayEvent, after: Duration)? {
        let delay = Duration.microseconds(Int.random(in: 100...20_000, using: &random))
        switch command {
        case .open(let session, let caller, let callee):
            sessions[session] = Session(ports: [.caller: caller.port, .callee: callee.port])
            lastPacket[session] = [:]
            activity.clear(session.index)
            statistics.clear(session.index)
            let isRefused = Double.random(in: 0..<1, using: &random) < openFailure
            return (isRefused ? .openFailed(session, errno: 98, address: caller) : .opened(session), delay)
        case .close(let session):
            precondition(sessions[session]?.isOpen == true && sessions[session]?.isClosing == false, "closed twice")
            sessions[session]?.isClosing = true
            return (.closed(session), delay)
        case .expect(let session, let leg, let source):
            statistics.setExpectation(session.index, leg, source)
            return nil
        case .treat, .sendEvent, .listen, .tap, .stop:
            return nil
        }
    }

    /// Call when a report reaches call control.
    func reported(_ event: RelayEvent) {
        switch event {
        case .opened(let session): sessions[session]?.isOpen = true
        case .openFailed(let session, _, _), .closed(let session): sessions[session] = nil
        case .locked, .digit, .stopped: break
        }
    }

    func startFlow(to port: UInt16, at now: Instant) -> Flow {
        let flow = Flow(port: port, start: now)
        flows.append(flow)
        return flow
    }

    /// Lets every packet arrive that was sent until `now`. Only the last one of each leg matters.
    func deliverMedia(until now: Instant) {
        defer { flows.removeAll { flow in flow.end.map { $0 + .seconds(1) < now } ?? false } }
        for (id, session) in sessions where session.isOpen && !session.isClosing {
            for (leg, port) in session.ports {
                for flow in flows where flow.port == port {
                    let until = min(now, flow.end ?? now)
                    guard until >= flow.start else { continue }
                    let packets = Int((until - flow.start) / Self.packetInterval)
                    let last = flow.start + Self.packetInterval * packets
                    guard last > lastPacket[id]?[leg] ?? Instant(nanoseconds: 0) else { continue }
                    lastPacket[id]?[leg] = last
                    activity.touch(id.index, leg, at: last)
                    let slot = Int(id.index) * 2 + (leg == .caller ? 0 : 1)
                    unsafe statistics.slots[slot].packets.bump(UInt64(max(0, packets + 1 - flow.delivered)))
                    flow.delivered = packets + 1
                }
            }
        }
    }

    func session(at port: UInt16) -> SessionID? {
        sessions.first { $0.value.ports.values.contains(port) }?.key
    }

    var sessionCount: Int { sessions.count }
}
