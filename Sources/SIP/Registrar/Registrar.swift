package import Core

/// The bindings of all users (RFC 3261 §10.3, RFC 3327, RFC 5626 §6). Sans-IO: requests that proved who they are and the time
/// go in, what is to be answered comes out, and every change is reported to be kept.
package struct Registrar: Sendable {
    package struct Settings: Sendable {
        /// What is granted when nothing is asked for, and at most.
        package var expires = Duration.seconds(3_600)
        /// At most for what is behind NAT.
        package var natExpires = Duration.seconds(300)
        /// Less is refused with 423.
        package var minimumExpires = Duration.seconds(60)
        package var bindingsPerUser = 10
        package var bindings = 100_000

        package init() {}
    }

    /// What became of a REGISTER.
    package enum Outcome: Equatable, Sendable {
        /// To be answered 200 with `contacts`.
        case done
        /// `Min-Expires` belongs to 423.
        case refused(status: Int, reason: String?)
    }

    /// One change, in the order they happened; what is kept over a restart is made of these.
    package enum Change: Equatable, Sendable {
        case added(BindingID)
        case refreshed(BindingID)
        /// The binding is still there while the change is reported.
        case removed(BindingID, Removal)
    }

    package enum Removal: String, Sendable {
        case unregistered, expired, replaced
    }

    package private(set) var settings: Settings
    package internal(set) var table: BindingTable
    package internal(set) var agents = AgentNames()
    var expiries = TimerQueue<BindingID>()

    package init(userCount: Int, settings: Settings) {
        self.settings = settings
        table = BindingTable(userCount: userCount, expectedCount: settings.bindings)
        expiries.expectedCount = settings.bindings
    }

    package var count: Int { table.count }
    /// When `removeExpired` is due next.
    package var nextExpiry: Instant? { expiries.nextDue }

    // MARK: REGISTER

    /// Applies a REGISTER of `user`, wholly or not at all.
    ///
    /// - Parameters:
    ///   - request: the parsed message the `register` was read from.
    ///   - isProven: its sender answered a challenge.
    ///   - onChange: called for each change, a removal before it takes place.
    package mutating func apply(
        _ register: RegisterRequest, of request: SIPMessage, user: UserIndex, flow: Flow, isProven: Bool, now: Instant,
        onChange: (Change, Registrar) -> Void
    ) -> Outcome {
        let present = table.bindings(of: user)
        switch register.kind {
        case .query: return .done
        case .removeAll:
            guard present.allSatisfy({ isInOrder(register, $0) }) else { return .refused(status: 500, reason: "CSeq Out Of Order") }
            for id in present { remove(id, .unregistered, onChange) }
            return .done
        case .update(let contacts):
            var plan: [(contact: RegisterRequest.Contact, expires: Duration, match: BindingID?)] = []
            for contact in contacts {
                let wanted = Duration.seconds(min(contact.expires ?? register.expires ?? Int.max, 86_400 * 365))
                let match = present.first { table[$0]?.matches(contact) == true }
                if let match, !isInOrder(register, match) { return .refused(status: 500, reason: "CSeq Out Of Order") }
                // The longest that may be asked for is an hour; what is shorter than the minimum is refused below that only.
                if wanted > .zero, wanted < settings.minimumExpires, wanted < .seconds(3_600) {
                    return .refused(status: 423, reason: nil)
                }
                plan.append((contact, wanted, match))
            }
            let newCount = plan.count { $0.match == nil && $0.expires > .zero }
            guard newCount <= settings.bindingsPerUser else { return .refused(status: 403, reason: "Too Many Contacts") }
            if newCount > 0, table.count + newCount > settings.bindings { return .refused(status: 503, reason: nil) }
            for step in plan {
                let evidence = NATEvidence(request, contact: step.contact.uri, flow: flow)
                let limit = evidence == .none ? settings.expires : min(settings.natExpires, settings.expires)
                let granted = min(step.expires, limit)
                if let match = step.match {
                    if step.expires == .zero {
                        if table[match] != nil { remove(match, .unregistered, onChange) }
                    } else if table[match] != nil {
                        refresh(match, step.contact, register, evidence, flow, isProven, until: now + granted, now: now)
                        onChange(.refreshed(match), self)
                    }
                } else if step.expires > .zero {
                    makeRoom(for: user, onChange)
                    let binding = Binding(
                        user: user, contact: step.contact.uri.slice, path: register.path, instance: step.contact.instance,
                        flow: flow, now: now)
                    let id = table.insert(binding)
                    refresh(id, step.contact, register, evidence, flow, isProven, until: now + granted, now: now)
                    expiries.schedule(id, at: now + granted)
                    onChange(.added(id), self)
                }
            }
            return .done
        }
    }

    /// Same Call-ID: the CSeq has to be greater (§10.3 step 7). Another Call-ID is another registering client.
    private func isInOrder(_ register: RegisterRequest, _ id: BindingID) -> Bool {
        guard let binding = table[id], binding.callIDHash == register.callIDHash else { return true }
        return register.sequence > binding.sequence
    }

    /// Whether `request` is a copy of the REGISTER that a binding of `user` was added or refreshed by: the same branch, Call-ID
    /// and CSeq from the same place, as long as its sender may repeat it (RFC 3261 §17.1.2.2). To be answered as the first one
    /// was, and nothing changes.
    package func isRepetition(_ request: SIPMessage, of user: UserIndex, from flow: Flow, now: Instant) -> Bool {
        let callIDHash = RegisterRequest.hash(request.callID)
        let branchHash = RegisterRequest.branchHash(of: request)
        let sequence = request.cseq.number
        return table.bindings(of: user).contains { id in
            guard let binding = table[id] else { return false }
            return binding.sequence == sequence && binding.callIDHash == callIDHash && binding.branchHash == branchHash
                && binding.flow == flow && now < binding.refreshedAt + TimerValues.standard.transactionTimeout
        }
    }

    private mutating func refresh(
        _ id: BindingID, _ contact: RegisterRequest.Contact, _ register: RegisterRequest, _ evidence: NATEvidence,
        _ flow: Flow, _ isProven: Bool, until expiry: Instant, now: Instant
    ) {
        let agent = agents.index(of: register.userAgent)
        table.update(id) { binding in
            binding.setOctets(contact: contact.uri.slice, path: register.path, instance: contact.instance)
            binding.quality = contact.quality
            binding.registrationID = contact.registrationID
            binding.evidence = evidence
            binding.isProven = isProven
            binding.agent = agent
            binding.callIDHash = register.callIDHash
            binding.branchHash = register.branchHash
            binding.sequence = register.sequence
            binding.flow = flow
            binding.refreshedAt = now
            binding.expiresAt = expiry
        }
    }

    /// A phone that lost its bindings with a restart comes back with a new contact each time: the least lately refreshed one
    /// makes room.
    private mutating func makeRoom(for user: UserIndex, _ onChange: (Change, Registrar) -> Void) {
        let present = table.bindings(of: user)
        guard present.count >= settings.bindingsPerUser else { return }
        let oldest = present.min { refreshedAt($0) < refreshedAt($1) }
        if let oldest { remove(oldest, .replaced, onChange) }
    }

    private func refreshedAt(_ id: BindingID) -> Instant { table[id]?.refreshedAt ?? Instant(nanoseconds: .min) }

    private mutating func remove(_ id: BindingID, _ reason: Removal, _ onChange: (Change, Registrar) -> Void) {
        onChange(.removed(id, reason), self)
        table.remove(id)
    }

    /// For what comes from now on: who is beyond them already stays.
    package mutating func setLimits(bindings: Int, perUser: Int) {
        settings.bindings = bindings
        table.expectedCount = bindings
        expiries.expectedCount = bindings
        settings.bindingsPerUser = perUser
    }

    /// There are more users than when it was made.
    package mutating func makeRoom(forUsers count: Int) { table.makeRoom(forUsers: count) }

    /// Takes out what has expired by `now`.
    package mutating func removeExpired(now: Instant, onChange: (Change, Registrar) -> Void) {
        while let id = expiries.takeDue(at: now) {
            guard let binding = table[id] else { continue }
            if binding.expiresAt <= now {
                remove(id, .expired, onChange)
            } else {
                expiries.schedule(id, at: binding.expiresAt)  // refreshed since
            }
        }
    }

    /// An operator ends a binding.
    package mutating func remove(_ id: BindingID, onChange: (Change, Registrar) -> Void) {
        if table[id] != nil { remove(id, .unregistered, onChange) }
    }

    // MARK: Looking up

    /// The bindings of a user that have not expired, in the order they are to be tried: by q, those with the same together,
    /// the latest first.
    package func targets(of user: UserIndex, now: Instant) -> [(id: BindingID, binding: Binding)] {
        table.bindings(of: user).compactMap { id in table[id].map { (id, $0) } }
            .filter { $0.binding.expiresAt > now }
            .sorted { ($0.binding.quality, $0.binding.refreshedAt) > ($1.binding.quality, $1.binding.refreshedAt) }
    }

    /// The Contact values of a 200: every binding with what is left of its time (§10.3 step 8).
    package func contacts(of user: UserIndex, now: Instant) -> [[UInt8]] {
        targets(of: user, now: now).map { _, binding in
            var value: [UInt8] = []
            value.reserveCapacity(binding.contact.count + binding.instance.count + 64)
            value.append(Octet.less)
            value += binding.contact
            value += ">;expires=".utf8
            value.append(decimal: UInt64(max(1, (binding.expiresAt - now + .milliseconds(999)).components.seconds)))
            if binding.quality < 1_000 {
                value += ";q=0.".utf8
                value.append(decimal: UInt64(binding.quality), width: 3)
            }
            if !binding.instance.isEmpty {
                value += ";+sip.instance=".utf8
                value += binding.instance
                if binding.registrationID != 0 {
                    value += ";reg-id=".utf8
                    value.append(decimal: UInt64(binding.registrationID))
                }
            }
            return value
        }
    }
}

/// The User-Agent texts of bindings: few differ, so each is kept once.
package struct AgentNames: Sendable {
    fileprivate(set) var names: [[UInt8]] = [[]]
    private var indices: [[UInt8]: UInt16] = [[]: 0]
    /// Beyond this many, further ones are not told apart.
    private static let limit = 4_096

    mutating func index(of name: [UInt8]) -> UInt16 {
        if let index = indices[name] { return index }
        guard names.count < Self.limit else { return 0 }
        let index = UInt16(names.count)
        names.append(name)
        indices[name] = index
        return index
    }

    package subscript(index: UInt16) -> String { Octet.text(names[Int(index)][...]) }
}
