import Configuration
import ControlProtocol
import Core
import SIP

/// REGISTER of a user that has proven who it is.
extension CallControl {
    /// Serves a REGISTER whose credentials were found right.
    ///
    /// The usual one adds or refreshes a single binding and gets no transaction (RFC 3261 §8.2.7): the binding remembers its
    /// Call-ID and CSeq, and a copy of the request is answered from it. All others, refusals among them, get one.
    mutating func serveRegister(_ request: SIPMessage, _ key: TransactionKey, from source: Flow, now: Instant) {
        if let user = phones?.admitted, !request.has(.require), phones!.isUser(user, called: request.to.uri),
            let register = try? RegisterRequest(request), register.isOfOneBinding,
            apply(register, of: request, user: user, from: source, now: now) == .done
        {
            phones!.admitted = nil
            return answerRegister(request, key, of: user, from: source, now: now)
        }
        guard !isFull else {
            phones?.admitted = nil
            counters.add(to: .sipRefusedOverload)
            return refuseForLoad(request, from: source)
        }
        receiveAdmitted(request, key, from: source, now: now)
    }

    /// Whether a REGISTER whose credentials were used before is a copy of one that was served without a transaction.
    func isRepetition(_ request: SIPMessage, of user: UserIndex?, from source: Flow, now: Instant) -> Bool {
        guard request.method == .register, let user else { return false }
        return phones!.registrar.isRepetition(request, of: user, from: source, now: now)
    }

    /// 200 without a transaction.
    mutating func answerRegister(
        _ request: SIPMessage, _ key: TransactionKey, of user: UserIndex, from source: Flow, now: Instant
    ) {
        var builder = MessageBuilder.response(to: request, status: 200, toTag: key.tag, source: source)
        addRegistered(request, of: user, to: &builder, now: now)
        builder.add(lines: settings.serverLine)
        output(.send(builder.finish(), to: ResponseDestination.flow(for: request, source: source), transaction: nil))
    }

    /// What a 200 says: the user's contacts, the Path of this request, and whether its flow is kept (RFC 5626 §6).
    private mutating func addRegistered(_ request: SIPMessage, of user: UserIndex, to builder: inout MessageBuilder, now: Instant) {
        phones!.registrar.addContacts(of: user, now: now, to: &builder)
        for field in request.all(.path) { builder.copy(field, from: request) }
        if request.hasToken("outbound", in: .supported), request.hasOneVia {
            builder.add(.require, "outbound")
        }
    }

    // MARK: With a transaction

    mutating func receiveRegister(_ id: TransactionID, _ request: SIPMessage, from source: Flow, now: Instant) {
        guard let user = phones?.admitted else { return answer(id, request, from: source, status: 405, now: now) }
        let required = request.listValues(.require).map { String(decoding: $0, as: UTF8.self) }
            .filter { !["path", "outbound"].contains($0.lowercased()) }
        if !required.isEmpty {
            return answer(
                id, request, from: source, status: 420, [(.unsupported, required.joined(separator: ", "))], now: now)
        }
        // Nobody registers in another's name.
        guard phones!.isUser(user, called: request.to.uri) else {
            return answer(id, request, from: source, status: 403, now: now)
        }
        let register: RegisterRequest
        do {
            register = try RegisterRequest(request)
        } catch {
            return answer(id, request, from: source, status: error.status, now: now)
        }
        switch apply(register, of: request, user: user, from: source, now: now) {
        case .done:
            var builder = MessageBuilder.response(to: request, status: 200, toTag: random.token(count: 12), source: source)
            addRegistered(request, of: user, to: &builder, now: now)
            builder.add(lines: settings.serverLine)
            var results = resultList()
            transactions.respond(id, status: 200, builder.finish(), now: now, outputs: &results)
            enqueue(&results)
        case .refused(let status, let reason):
            counters.add(to: .registrationsRefused)
            if status == 503 { counters.add(to: .bindingsRefused) }
            if status == 403 { counters.add(to: .contactsRefused) }
            var headers: [(HeaderName, String)] = []
            if status == 423 { headers.append((.minExpires, "\(configuration.registrar.minimumExpires.components.seconds)")) }
            if status == 503 { headers.append((.retryAfter, "\(configuration.limits.retryAfter.components.seconds)")) }
            if let reason { headers.append((.warning, "399 relayd \"\(reason)\"")) }
            answer(id, request, from: source, status: status, headers, now: now)
        }
    }

    // MARK: Changes

    private mutating func apply(
        _ register: RegisterRequest, of request: SIPMessage, user: UserIndex, from source: Flow, now: Instant
    ) -> Registrar.Outcome {
        if let sentence = pathFailure(register, from: source) { return .refused(status: 400, reason: sentence) }
        var changes: [Registrar.Change] = []
        let outcome = phones!.registrar.apply(
            register, of: request, user: user, flow: source, isProven: true, now: now, changes: &changes)
        for change in changes { note(change, now: now) }
        if outcome == .done { counters.add(to: .registrations) }
        return outcome
    }

    /// A binding has come, was refreshed or is gone.
    mutating func note(_ change: Registrar.Change, now: Instant) {
        let binding = change.binding
        let name = phones!.users.name(of: binding.user)
        let clocks = clockReading
        output(.registration(phones!.registrar.line(change, user: name) { clocks.wall + ($0 - clocks.instant) }.octets))
        switch change.kind {
        case .added, .refreshed:
            phones!.keepAlives.update(change.id, binding, isFresh: true, now: now)
            phones!.connections.note(change.id, binding)
            warnOfCapacity(now: now)
            guard change.kind == .added else { return }
            phones!.departures[binding.user] = nil
            let agent = phones!.registrar.agents[binding.agent]
            emit(
                .registrationAdded, for: nil,
                [
                    "user": String(decoding: name, as: UTF8.self), "contact": binding.contactText,
                    "source": binding.flow.description, "nat": binding.evidence.text, "agent": agent,
                ], now: now)
        case .removed(let reason):
            phones!.keepAlives.remove(change.id)
            phones!.connections.forget(change.id)
            if reason == .replaced { counters.add(to: .bindingsReplaced) }
            if reason == .flowFailed { counters.add(to: .bindingsCutOff) }
            // Whoever is no user any more cannot be called either.
            if reason != .replaced, phones!.users.find(name: name) != nil {
                phones!.departures[binding.user] = (now, reason)
            }
            emit(
                .registrationRemoved, for: nil,
                [
                    "user": String(decoding: name, as: UTF8.self), "contact": binding.contactText,
                    "source": binding.flow.description, "reason": reason.rawValue,
                ], now: now)
        }
    }
}
