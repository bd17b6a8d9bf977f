import ControlProtocol
package import Core
import SIP

/// Which bindings are reached by which connection: a phone by TCP or TLS opened it, and only the phone can open another one.
struct PhoneConnections {
    private var bindings: [UInt32: [BindingID]] = [:]
    private var connections: [BindingID: UInt32] = [:]
    /// When the connection of a binding ended. None of bindings that a restart has brought back: theirs ended with the run before.
    private(set) var ends: [BindingID: Instant] = [:]

    /// A binding was added or refreshed.
    mutating func note(_ id: BindingID, _ binding: Binding) {
        let connection = binding.flow.connection
        guard connection != nil || connections[id] != nil else { return }
        ends[id] = nil
        guard connections[id] != connection else { return }
        leaveConnection(id)
        guard let connection else { return }
        connections[id] = connection
        bindings[connection, default: []].append(id)
    }

    mutating func forget(_ id: BindingID) {
        guard !connections.isEmpty || !ends.isEmpty else { return }
        ends[id] = nil
        leaveConnection(id)
    }

    private mutating func leaveConnection(_ id: BindingID) {
        guard let connection = connections.removeValue(forKey: id), let left = bindings[connection]?.filter({ $0 != id }) else { return }
        bindings[connection] = left.isEmpty ? nil : left
    }

    /// - Returns: the bindings that were reached by it.
    mutating func end(_ connection: UInt32, at now: Instant) -> [BindingID] {
        let ended = bindings.removeValue(forKey: connection) ?? []
        for id in ended {
            connections[id] = nil
            ends[id] = now
        }
        return ended
    }
}

extension CallControl {
    /// A connection is gone: what was registered by it is not reached before it registers anew (RFC 5626 §4.2). It stays, so that an
    /// operator sees why.
    package mutating func connectionClosed(_ connection: UInt32, from remote: SocketAddress, now: Instant) {
        guard phones != nil else { return }
        phones!.queue.drop(connection, of: remote.ip)
        for id in phones!.connections.end(connection, at: now) {
            // Along a Path another connection can be opened.
            guard let binding = phones!.registrar.connectionEnded(of: id), binding.isCutOff else { continue }
            let user = phones!.users[binding.user].nameText
            counters.add(to: .bindingsCutOff)
            emit(
                .registrationCutOff, for: nil,
                [
                    "user": user, "contact": binding.contactText, "source": binding.flow.description,
                ], now: now)
        }
    }

    /// The edge proxy on the Path of a contact has no flow to the phone any more (430, RFC 5626 §5.3.1): the contact goes,
    /// and the call passes it over. One that has registered anew since the INVITE may have another flow, and stays.
    mutating func flowFailed(_ response: SIPMessage, of branch: Branch, _ call: Call, now: Instant) {
        branch.response = response
        branch.setupTimer = nil
        enqueue(.calleeUnreachable(branch.id, .notRegistered, status: 480), for: call.number)
        guard let (id, refreshedAt) = branch.target.binding else { return }
        var changes: [Registrar.Change] = []
        phones?.registrar.flowFailed(of: id, since: refreshedAt, changes: &changes)
        for change in changes { note(change, now: now) }
    }
}
