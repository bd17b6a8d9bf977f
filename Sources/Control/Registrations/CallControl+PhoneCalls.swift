import Configuration
import Core
import Diagnosis
import SIP

/// Calls from users and to users.
extension CallControl {
    /// The trunk whose calls this user places.
    mutating func trunk(of user: UserIndex?) -> SharedTrunk? { user.flatMap { phones?.trunks[$0] }.flatMap { routing.trunk(named: $0) } }

    /// The caller is a user who has proven it. A trunk's has many numbers, and says itself which one calls.
    mutating func identify(_ call: Call, as user: UserIndex) {
        guard let phones else { return }
        if phones.trunks[user] == nil { call.callerIdentity = phones.users[user].identity }
        call.caller.setBehindNAT(NATEvidence(call.invite, contact: call.invite.contact?.uri, flow: call.source) != .none)
    }

    /// Whom to call to reach a user: contacts with the greatest q first, those with the same q at once (RFC 3261 §16.6), and of
    /// a phone that keeps several flows one at a time. None when it is not registered.
    mutating func attempts(toReach user: UserIndex, by call: Call, now: Instant) -> [CalleeAttempt] {
        guard let phones else { return [] }
        let name = phones.users[user].nameText
        var attempts: [(quality: UInt16, attempt: CalleeAttempt)] = []
        var flows: [(instance: ArraySlice<UInt8>, latest: CalleeTarget)] = []
        for (id, binding) in phones.registrar.targets(of: user, now: now) where !binding.isCutOff {
            let target = target(for: binding, id, name: name)
            if binding.registrationID > 0 {
                if let place = flows.firstIndex(where: { $0.instance.isEqual(to: binding.instance) }) {
                    flows[place].latest.nextFlow = target
                    flows[place].latest = target
                    continue
                }
                flows.append((binding.instance, target))
            }
            if attempts.last?.quality == binding.quality {
                attempts[attempts.count - 1].attempt.further.append(target)
            } else {
                attempts.append((binding.quality, CalleeAttempt(target)))
            }
        }
        return attempts.map(\.attempt)
    }

    /// Calls a phone by its next flow when one has failed: when the edge proxy knows no way to it, and when nothing came back.
    /// Whatever else it says is its word, and it is not asked again (RFC 5626 §7).
    ///
    /// To be called before the machine gets the event: with one more branch open the attempt goes on.
    mutating func tryNextFlow(after event: BackToBackCall.Event, of call: Call, now: Instant) {
        let failed: BranchID
        switch event {
        case .calleeRejected(let id, status: 408), .calleeRejected(let id, status: 430), .calleeTimedOut(let id, _, status: 408):
            failed = id
        case .calleeUnreachable(let id, let cause, _) where cause != .loopDetected: failed = id
        default: return
        }
        let branch = call.branches[failed.rawValue]
        guard !branch.hasRung, let next = branch.target.nextFlow, call.machine.media == .open, call.machine.isOpen(failed)
        else { return }
        let id = place(next, takesReliable: !call.asksForOffer, of: call, call.number, now: now)
        if call.chosenBranch === branch { call.choose(id) }
        scheduleTimer(of: call)
    }

    /// What a diagnosis has to know of a user that is called.
    mutating func registrationFacts(of user: UserIndex, now: Instant) -> RegistrationFacts? {
        guard let phones else { return nil }
        var facts = RegistrationFacts(user: phones.users[user].nameText, state: .never)
        let targets = phones.registrar.targets(of: user, now: now)
        guard let (id, binding) = targets.first(where: { !$0.binding.isCutOff }) else {
            if let cutOff = targets.first {
                let last = targets.compactMap { phones.connections.ends[$0.id] }.max()
                facts.state = .cutOff(cutOff.binding.transport, ago: last.map { now - $0 })
            } else if let last = phones.departures[user] {
                let ago = now - last.at
                facts.state =
                    switch last.how {
                    case .expired: .expired(ago: ago)
                    case .flowFailed: .flowFailed(ago: ago)
                    case .unregistered, .replaced: .unregistered(ago: ago)
                    }
            }
            return facts
        }
        facts.state = .present
        facts.isBehindNAT = binding.isBehindNAT
        let proof = phones.keepAlives[id]?.proof
        facts.lastHeardAgo = now - max(proof?.lastHeard ?? binding.refreshedAt, binding.refreshedAt)
        if phones.keepAlives.payload.isEliciting { facts.unansweredKeepAlives = proof.map { Int($0.unanswered) } }
        return facts
    }

    /// By its Path when there is one (RFC 3327 §5.3), else back the way its REGISTER came when it is behind NAT or on a stream,
    /// else to its Contact.
    private func target(for binding: Binding, _ id: BindingID, name: String) -> CalleeTarget {
        let routes = binding.path.isEmpty ? [] : RouteList.split(binding.path)
        var destination = binding.flow
        if let first = routes.first {
            // One that could not be reached was refused when it registered. Listeners may be others since a restart: then back the way
            // it came.
            if case .success(let flow) = way(alongPath: first, of: binding.flow) { destination = flow }
        } else if !binding.isBehindNAT, binding.flow.transport == .udp,
            let address = SIPURI(binding.contact)?.socketAddress, address.ip.family == binding.flow.ip.family
        {
            destination.remote = address
        }
        let to = "sip:\(name)@\(endpoint(for: destination).address)"
        let target = CalleeTarget(
            uri: binding.contactText, to: to, destination: destination, routes: routes, timers: configuration.routing.timers)
        target.binding = (id, binding.refreshedAt)
        target.isBehindNAT = routes.isEmpty && (binding.isBehindNAT || binding.flow.transport != .udp)
        return target
    }

    /// The way to the first element of a Path, by the transport it names. An element that is where the REGISTER came from, by the same
    /// transport, is reached by that connection as long as it is up.
    func way(alongPath first: String, of source: Flow) -> Result<Flow, PathFailure> {
        guard let uri = NameAddress(first)?.uri else { return .failure(PathFailure("Path is no address")) }
        if let name = uri.parameter("transport"), uri.transport == nil || Transport(rawValue: name.lowercased()) == nil {
            return .failure(PathFailure("Path asks for transport=\(name.prefix(16)), which relayd does not speak"))
        }
        let transport = uri.transport ?? .udp
        guard let address = uri.socketAddress else {
            return .failure(PathFailure("Path names a host, and relayd calls IP addresses only"))
        }
        if transport == source.transport, address == source.remote {
            return .success(Flow(transport, to: address, listener: source.listener, connection: source.connection))
        }
        let flow = Flow(transport, to: address, listener: transport == source.transport ? source.listener : nil)
        let family = address.ip.family
        guard let listener = endpoints.listener(for: flow), endpoints.listeners[Int(listener)].advertised.ip.family == family else {
            let words = "\(transport.viaToken) over \(family == .ipv4 ? "IPv4" : "IPv6")"
            return .failure(PathFailure("Path asks for \(words), and relayd has no such listener"))
        }
        return .success(Flow(transport, to: address, listener: listener))
    }

    struct PathFailure: Error {
        /// Of a Warning: no quotes.
        let sentence: String

        init(_ sentence: String) { self.sentence = sentence.filter { $0 != "\"" && $0 != "\\" } }
    }

    /// Why nobody could be called along the Path of a REGISTER; nil when it is fine, or there is none.
    func pathFailure(_ register: RegisterRequest, from source: Flow) -> String? {
        guard !register.path.isEmpty, register.bindsContacts, let first = RouteList.split(register.path).first,
            case .failure(let failure) = way(alongPath: first, of: source)
        else { return nil }
        return failure.sentence
    }

    /// Counts a call from an address that is no trunk; false when there are too many.
    mutating func occupySource(of call: Call) -> Bool {
        let limit = configuration.limits.callsPerSource
        let count = phones?.callsBySource[call.source.ip, default: 0] ?? 0
        guard limit == 0 || count < limit else { return false }
        phones?.callsBySource[call.source.ip] = count + 1
        call.isCountedBySource = true
        return true
    }

    mutating func vacateSource(of call: Call) {
        guard call.isCountedBySource else { return }
        call.isCountedBySource = false
        let count = phones?.callsBySource[call.source.ip, default: 0] ?? 0
        phones?.callsBySource[call.source.ip] = count > 1 ? count - 1 : nil
    }
}
