package import ControlProtocol
package import Core
import Foundation
import Synchronization

/// Asks a daemon over its control socket, one connection a question, so that any task may ask at any time.
package struct DaemonControl: Sendable {
    package let socketPath: String

    package init(socketPath: String) { self.socketPath = socketPath }

    package func status() throws(ControlClientError) -> StatusReport {
        var client = try ControlClient(path: socketPath)
        return try client.status()
    }

    package func warnings() throws(ControlClientError) -> [String] { try status().warnings }

    package func calls() throws(ControlClientError) -> [CallSummary] {
        var client = try ControlClient(path: socketPath)
        return try client.calls()
    }

    package func call(_ id: String) throws(ControlClientError) -> CallDetail {
        var client = try ControlClient(path: socketPath)
        return try client.call(id: id)
    }

    package func trunks() throws(ControlClientError) -> [TrunkReport] {
        var client = try ControlClient(path: socketPath)
        return try client.trunks()
    }

    package func registrations() throws(ControlClientError) -> RegistrationList {
        var client = try ControlClient(path: socketPath)
        return try client.registrations(RegistrationQuery())
    }

    package func hangUp(_ id: String) throws(ControlClientError) {
        var client = try ControlClient(path: socketPath)
        try client.hangup(id: id)
    }

    package func records(_ query: RecordQuery) throws(ControlClientError) -> [CallRecord] {
        var client = try ControlClient(path: socketPath)
        return try client.records(query)
    }

    package func counter(_ counter: Counter) throws(ControlClientError) -> UInt64 {
        try status().counters[counter.name] ?? 0
    }
}

/// Collects a daemon's events on a thread of its own. Everything that happens after `init` is in `events`.
package final class EventSubscription: Sendable {
    private let state = Mutex<State>(.subscribing)

    private enum State {
        case subscribing
        case failed(ControlClientError)
        case collecting([Event])
        case closed([Event])
    }

    package static func start(on control: DaemonControl) async throws -> EventSubscription {
        let subscription = EventSubscription()
        let thread = Thread { subscription.collect(from: control.socketPath) }
        thread.start()
        try await eventually("the subscription is acknowledged") {
            try subscription.state.withLock { state in
                if case .failed(let error) = state { throw error }
                if case .collecting = state { return true }
                return false
            }
        }
        return subscription
    }

    package var events: [Event] {
        state.withLock { state in
            switch state {
            case .subscribing, .failed: []
            case .collecting(let events), .closed(let events): events
            }
        }
    }

    /// The thread ends within a second; when the daemon goes away it ends by itself.
    package func close() { state.withLock { $0 = .closed([]) } }

    private func collect(from path: String) {
        do throws(ControlClientError) {
            var client = try ControlClient(path: path)
            try client.subscribe()
            state.withLock { $0 = .collecting([]) }
            while true {
                do throws(ControlClientError) {
                    guard let event = try client.nextEvent(timeLimitSeconds: 1) else { return }
                    append(event)
                } catch .silent {
                    if case .closed = state.withLock({ $0 }) { return }
                }
            }
        } catch {
            state.withLock { state in
                if case .subscribing = state { state = .failed(error) }
            }
        }
    }

    private func append(_ event: Event) {
        state.withLock { state in
            if case .collecting(let events) = state { state = .collecting(events + [event]) }
        }
    }
}
