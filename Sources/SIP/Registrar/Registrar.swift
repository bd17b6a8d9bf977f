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

    /// One change; what is kept over a restart is made of these.
    package struct Change: Sendable {
        package enum Kind: Equatable, Sendable {
            case added, refreshed
            case removed(Removal)
        }

        package let kind: Kind
        package let id: BindingID
        /// As it is now, or was when it went.
        package let binding: Binding
    }

    package enum Removal: String, Sendable {
        case unregistered, expired, replaced
        /// The edge proxy on its Path has no flow to it any more (RFC 5626).
        case flowFailed = "flow_failed"
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
    ///   - changes: what has changed is appended, in the order it happened.
    package mutating func apply(
        _ register: RegisterRequest, of request: SIPMessage, user: UserIndex, flow: Flow, isProven: Bool, now: Instant,
        changes: inout [Change]
    ) -> Outcome {
        switch register.kind {
        case .query: return .done
        case .removeAll:
            let isInOrder = table.firstBinding(of: user) { !Self.isInOrder(register, $0) } == nil
            guard isInOrder else { return .refused(status: 500, reason: "CSeq Out Of Order") }
            for id in table.bindings(of: user) { remove(id, .unregistered, &changes) }
            return .done
        case .update(let contacts):
            var plan: [(expires: Duration, match: BindingID?)] = []
            plan.reserveCapacity(contacts.count)
            for contact in contacts {
                let wanted = Duration.seconds(min(contact.expires ?? register.expires ?? Int.max, 86_400 * 365))
                var isInOrder = true
                let match = table.firstBinding(of: user) { binding in
                    guard binding.matches(contact) else { return false }
                    isInOrder = Self.isInOrder(register, binding)
                    return true
                }
                guard isInOrder else { return .refused(status: 500, reason: "CSeq Out Of Order") }
                // The longest that may be asked for is an hour; what is shorter than the minimum is refused below that only.
                if wanted > .zero, wanted < settings.minimumExpires, wanted < .seconds(3_600) {
                    return .refused(status: 423, reason: nil)
                }
                plan.append((wanted, match))
            }
            let newCount = plan.count { $0.match == nil && $0.expires > .zero }
            guard newCount <= settings.bindingsPerUser else { return .refused(status: 403, reason: "Too Many Contacts") }
            if newCount > 0, table.count + newCount > settings.bindings { return .refused(status: 503, reason: nil) }
            for (contact, step) in zip(contacts, plan) {
                let evidence = NATEvidence(request, contact: contact.uri, flow: flow)
                let limit = evidence == .none ? settings.expires : min(settings.natExpires, settings.expires)
                let granted = min(step.expires, limit)
                if let match = step.match {
                    if step.expires == .zero {
                        if table[match] != nil { remove(match, .unregistered, &changes) }
                    } else if table[match] != nil {
                        refresh(match, contact, register, evidence, flow, isProven, until: now + granted, now: now)
                        note(.refreshed, match, &changes)
                    }
                } else if step.expires > .zero {
                    makeRoom(for: user, &changes)
                    let binding = Binding(
                        user: user, contact: contact.uri.slice, path: register.path[...], instance: contact.instance, flow: flow,
                        now: now)
                    let id = table.insert(binding)
                    refresh(id, contact, register, evidence, flow, isProven, until: now + granted, now: now)
                    expiries.schedule(id, at: now + granted)
                    note(.added, id, &changes)
                }
            }
            return .done
        }
    }

    /// Same Call-ID: the CSeq has to be greater (§10.3 step 7). Another Call-ID is another registering client.
    private static func isInOrder(_ register: RegisterRequest, _ binding: Binding) -> Bool {
        binding.callIDHash != register.callIDHash || register.sequence > binding.sequence
    }

    private func note(_ kind: Change.Kind, _ id: BindingID, _ changes: inout [Change]) {
        if let binding = table[id] { changes.append(Change(kind: kind, id: id, binding: binding)) }
    }

    /// Whether `request` is a copy of the REGISTER that a binding of `user` was added or refreshed by: the same branch, Call-ID
    /// and CSeq from the same place, as long as its sender may repeat it (RFC 3261 §17.1.2.2). To be answered as the first one
    /// was, and nothing changes.
    package func isRepetition(_ request: SIPMessage, of user: UserIndex, from flow: Flow, now: Instant) -> Bool {
        let callIDHash = RegisterRequest.hash(request.callID)
        let branchHash = RegisterRequest.branchHash(of: request)
        let sequence = request.cseq.number
        let found = table.firstBinding(of: user) { binding in
            binding.sequence == sequence && binding.callIDHash == callIDHash && binding.branchHash == branchHash
                && binding.flow == flow && now < binding.refreshedAt + TimerValues.standard.transactionTimeout
        }
        return found != nil
    }

    private mutating func refresh(
        _ id: BindingID, _ contact: RegisterRequest.Contact, _ register: RegisterRequest, _ evidence: NATEvidence,
        _ flow: Flow, _ isProven: Bool, until expiry: Instant, now: Instant
    ) {
        table.update(id) { binding in
            let agent = agents.index(of: register.userAgent, expected: binding.agent)
            binding.setOctets(contact: contact.uri.slice, path: register.path[...], instance: contact.instance)
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

    /// A phone that lost its bindings with a restart comes back with a new contact each time: one that
    /// nothing reaches any more makes room, else the least lately refreshed one.
    private mutating func makeRoom(for user: UserIndex, _ changes: inout [Change]) {
        var count = 0
        var oldest: (id: BindingID, binding: Binding)?
        table.forEachBinding(of: user) { id, binding in
            count += 1
            let comesFirst = oldest.map { former in
                binding.isCutOff == former.binding.isCutOff ? binding.refreshedAt < former.binding.refreshedAt : binding.isCutOff
            }
            if comesFirst ?? true { oldest = (id, binding) }
        }
        if count >= settings.bindingsPerUser, let oldest { remove(oldest.id, .replaced, &changes) }
    }

    private mutating func remove(_ id: BindingID, _ reason: Removal, _ changes: inout [Change]) {
        note(.removed(reason), id, &changes)
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
    package mutating func removeExpired(now: Instant, changes: inout [Change]) {
        while let id = expiries.takeDue(at: now) {
            guard let binding = table[id] else { continue }
            if binding.expiresAt <= now {
                remove(id, .expired, &changes)
            } else {
                expiries.schedule(id, at: binding.expiresAt)  // refreshed since
            }
        }
    }

    /// An operator ends a binding.
    package mutating func remove(_ id: BindingID, changes: inout [Change]) {
        if table[id] != nil { remove(id, .unregistered, &changes) }
    }

    /// The flow to a binding has failed, for a request that was sent when it was last refreshed at `refreshedAt`. A later
    /// REGISTER may have come by another flow.
    package mutating func flowFailed(of id: BindingID, since refreshedAt: Instant, changes: inout [Change]) {
        if table[id]?.refreshedAt == refreshedAt { remove(id, .flowFailed, &changes) }
    }

    /// The connection by which a binding was registered has ended.
    ///
    /// - Returns: the binding as it is now; nil when it is gone.
    package mutating func connectionEnded(of id: BindingID) -> Binding? {
        guard table[id] != nil else { return nil }
        table.update(id) { $0.flow.connection = nil }
        return table[id]
    }

    // MARK: Looking up

    /// The bindings of a user that have not expired, in the order they are to be tried: by q, those with the same together,
    /// the latest first.
    package func targets(of user: UserIndex, now: Instant) -> [(id: BindingID, binding: Binding)] {
        var targets: [(id: BindingID, binding: Binding)] = []
        table.forEachBinding(of: user) { id, binding in
            if binding.expiresAt > now { targets.append((id, binding)) }
        }
        if targets.count > 1 {
            targets.sort { ($0.binding.quality, $0.binding.refreshedAt) > ($1.binding.quality, $1.binding.refreshedAt) }
        }
        return targets
    }

    /// Writes the Contact values of a 200: every binding with what is left of its time (§10.3 step 8).
    package func addContacts(of user: UserIndex, now: Instant, to builder: inout MessageBuilder) {
        for (_, binding) in targets(of: user, now: now) {
            builder.addLine(.contact, capacity: binding.octetCount + 64) { value in
                value.append(Octet.less)
                value.append(copying: binding.contact.span)
                value.append(">;expires=")
                let left = (binding.expiresAt - now).nanoseconds
                value.append(decimal: UInt32(clamping: max(1, (left + 999_999_999) / 1_000_000_000)))
                if binding.quality < 1_000 {
                    value.append(";q=0.")
                    value.append(Octet.zero + UInt8(binding.quality / 100))
                    value.append(Octet.zero + UInt8(binding.quality / 10 % 10))
                    value.append(Octet.zero + UInt8(binding.quality % 10))
                }
                if !binding.instance.isEmpty {
                    value.append(";+sip.instance=")
                    value.append(copying: binding.instance.span)
                    if binding.registrationID != 0 {
                        value.append(";reg-id=")
                        value.append(decimal: binding.registrationID)
                    }
                }
            }
        }
    }
}

/// The User-Agent texts of bindings: few differ, so each is kept once.
package struct AgentNames: Sendable {
    fileprivate(set) var names: [[UInt8]] = [[]]
    private var indices: [[UInt8]: UInt16] = [[]: 0]
    /// Beyond this many, further ones are not told apart.
    private static let limit = 4_096

    /// - Parameter expected: the place where it most likely is.
    mutating func index(of name: ArraySlice<UInt8>, expected: UInt16 = 0) -> UInt16 {
        let known = names[Int(expected)]
        if known.span.isEqual(to: name.span) { return expected }
        let name = Array(name)
        if let index = indices[name] { return index }
        guard names.count < Self.limit else { return 0 }
        let index = UInt16(names.count)
        names.append(name)
        indices[name] = index
        return index
    }

    package subscript(index: UInt16) -> String { Octet.text(names[Int(index)][...]) }
}
