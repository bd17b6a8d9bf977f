import Configuration
import ControlProtocol
package import Core
package import SIP

/// What comes from phones before it becomes a transaction: scanners, challenges, limits; and what time does to bindings.
extension CallControl {
    // MARK: At the door

    /// Whether a request may go on. What may not has been answered, dropped or put aside.
    ///
    /// Answers are made without a transaction: who has not proven who it is costs no memory, and gets nothing twice.
    mutating func admit(_ request: SIPMessage, _ key: TransactionKey, from source: Flow, now: Instant) -> Bool {
        guard phones != nil, request.toTag == nil else { return true }
        switch request.method {
        case .register:
            switch phones!.queue.decide(request, key, from: source, now: now) {
            case .serve: break
            case .wait:
                counters.add(to: .registersQueued)
                return false
            case .drop:
                counters.add(to: .registersDropped)
                return false
            }
            return authenticate(request, key, in: .authorization, from: source, now: now)
        case .invite:
            if isTrunk(source) || isFromDoctor(source.remote, now: now) { return true }
            return authenticate(request, key, in: .proxyAuthorization, from: source, now: now)
        default: return true
        }
    }

    mutating func isScanner(_ request: SIPMessage) -> Bool {
        !scanners.isEmpty && request.first(.userAgent).map { request.value($0).containsAny(of: scanners) } ?? false
    }

    /// Checks credentials; `phones.admitted` is who sent the request.
    private mutating func authenticate(
        _ request: SIPMessage, _ key: TransactionKey, in header: HeaderName, from source: Flow, now: Instant
    ) -> Bool {
        let wall = wallTime(now)
        guard let credentials = request.credentials(in: header, realm: phones!.digest.realm) else {
            challenge(request, stale: false, from: source, now: now)
            return false
        }
        let name = request.username(of: credentials)
        if phones!.credentialGuard.isSuspended(name, at: source.ip, now: now) {
            counters.add(to: .credentialsSuspended)
            refuse(request, from: source)
            return false
        }
        let user = phones!.users.find(name: name)
        let users = phones!.users
        let verdict = phones!.digest.verify(
            credentials, of: request, from: source.ip, secret: { algorithm in user.flatMap { users.secret(of: $0, algorithm) } }, now: wall)
        switch verdict {
        case .valid:
            phones!.credentialGuard.noteSuccess(name, at: source.ip)
            phones!.admitted = user
            return true
        case .repeated where isRepetition(request, of: user, from: source, now: now):
            counters.add(to: .sipRetransmissionsReceived)
            if let user { answerRegister(request, key, of: user, from: source, now: now) }
        case .stale, .repeated:
            counters.add(to: .noncesStale)
            challenge(request, stale: true, from: source, now: now)
        case .unknownNonce: challenge(request, stale: false, from: source, now: now)
        case .wrong:
            counters.add(to: .credentialsWrong)
            if phones!.credentialGuard.noteFailure(name, at: source.ip, now: now) {
                let seconds = configuration.protection.suspension.components.seconds
                emit(
                    .credentialsSuspended, for: nil,
                    [
                        "user": String(decoding: name.prefix(64), as: UTF8.self), "source": source.ip.description,
                        "seconds": "\(seconds)",
                    ], now: now)
            }
            refuse(request, from: source)
        }
        return false
    }

    /// 401 or 407, never larger than the request: nobody is to use it to flood someone else. It is made shorter until it is
    /// small enough: without Server, with the last algorithm alone, with compact header names and nothing that can be left out.
    private mutating func challenge(_ request: SIPMessage, stale: Bool, from source: Flow, now: Instant) {
        let status = request.method == .register ? 401 : 407
        let header: HeaderName = status == 401 ? .wwwAuthenticate : .proxyAuthenticate
        let values = phones!.digest.challenges(for: source.ip, stale: stale, now: wallTime(now))
        // A stream cannot be aimed at anyone else, nor can what has proven itself before.
        let isUnlimited = source.transport != .udp || phones!.registrar.table.binding(from: source.remote) != nil
        let limit = isUnlimited ? Int.max : request.octets.count
        let tag = status == 401 ? "relayd-401" : "relayd-407"
        var builder = MessageBuilder.response(to: request, status: status, toTag: tag, source: source.remote)
        let server = settings.serverLine
        let all = values.reduce(builder.finishedCount) { $0 + MessageBuilder.lineCount(header, $1.count) }
        let last = builder.finishedCount + MessageBuilder.lineCount(header, values.last?.count ?? 0)
        let octets: [UInt8]
        if last <= limit {
            for value in all <= limit ? values[...] : values.suffix(1) { builder.add(header, octets: value) }
            if all + server.count <= limit { builder.add(lines: server) }
            octets = builder.finish()
        } else {
            builder = MessageBuilder.response(to: request, status: status, toTag: "r", source: source.remote, isCompact: true)
            for value in values.suffix(1) { builder.add(header, octets: DigestServer.withoutDefault(value)) }
            octets = builder.finishDatagram()
        }
        guard octets.count <= limit else { return counters.add(to: .challengesWithheld) }
        counters.add(to: .challengesSent)
        output(.send(octets, to: ResponseDestination.flow(for: request, source: source), transaction: nil))
    }

    /// The same for a wrong password, a user there is not, and one who is suspended.
    private mutating func refuse(_ request: SIPMessage, from source: Flow) {
        answerStateless(request, status: 403, from: source)
    }

    // MARK: Bindings that come and go without a REGISTER

    /// The user is no more.
    mutating func forgetRegistrations(of user: UserIndex, now: Instant) {
        var changes: [Registrar.Change] = []
        for id in phones!.registrar.table.bindings(of: user) { phones!.registrar.remove(id, changes: &changes) }
        for change in changes { note(change, now: now) }
    }

    mutating func warnOfCapacity(now: Instant) {
        if let text = phones!.keepAlives.capacityWarning() { emit(.keepAliveShortfall, for: nil, ["text": text], now: now) }
    }

    /// Takes in the bindings of an earlier run.
    ///
    /// - Returns: how many there are now.
    package mutating func restoreRegistrations(_ lines: some Sequence<RegistrationLine>, now: Instant) -> Int {
        guard phones != nil else { return 0 }
        let clocks = clockReading
        for line in lines {
            guard let user = phones!.users.find(name: line.user) else { continue }
            let id = phones!.registrar.restore(
                line, user: user, instant: { now + .milliseconds($0.milliseconds - (clocks.wall + (now - clocks.instant)).milliseconds) },
                now: now)
            if let id, let binding = phones!.registrar.table[id] {
                phones!.keepAlives.update(id, binding, isFresh: false, now: now)
            }
        }
        warnOfCapacity(now: now)
        return phones!.registrar.count
    }

    // MARK: Time

    /// Expiries, REGISTERs that waited, keep-alives.
    mutating func advancePhones(to now: Instant) {
        guard phones != nil else { return }
        if let due = phones!.registrar.nextExpiry, due <= now {
            var changes: [Registrar.Change] = []
            phones!.registrar.removeExpired(now: now, changes: &changes)
            for change in changes { note(change, now: now) }
        }
        for entry in phones!.queue.takeDue(now: now) {
            // A copy of it may have been served meanwhile.
            if transactions.isKnown(entry.message, entry.key) {
                receiveAdmitted(entry.message, entry.key, from: entry.source, now: now)
            } else if authenticate(entry.message, entry.key, in: .authorization, from: entry.source, now: now) {
                serveRegister(entry.message, entry.key, from: entry.source, now: now)
            }
        }
        if let batch = phones!.keepAlives.takeDue(phones!.registrar.table, now: now) {
            counters.add(UInt64(batch.bindings.count), to: .keepAlivesSent)
            output(.keepAlive(batch))
        }
    }

    // MARK: Keep-alives

    /// What the network said of a batch: errors by binding, and the processor time it took.
    ///
    /// - Parameter now: when the last of it left.
    package mutating func keepAlivesSent(errors: [(binding: BindingID, errno: Int32)], nanoseconds: UInt64, now: Instant) {
        phones?.keepAlives.sent(at: now)
        phones?.keepAlives.spent(nanoseconds)
        for error in errors {
            counters.add(to: .keepAliveErrors)
            phones?.keepAlives.failed(error.binding, errno: error.errno, now: now)
        }
    }

    /// Whether a response answers a keep-alive; then it is done with.
    mutating func isKeepAliveAnswer(_ response: SIPMessage, from source: Flow, now: Instant) -> Bool {
        guard phones != nil, let id = phones!.keepAlives.binding(answeredBy: response, from: source, phones!.registrar.table) else {
            return false
        }
        counters.add(to: .keepAliveAnswers)
        phones!.keepAlives.heard(id, isAnswer: true, now: now)
        return true
    }

    /// Anything that comes from where a binding is shows that its pinhole is open.
    mutating func noteHeard(from source: Flow, now: Instant) {
        guard phones != nil, phones!.keepAlives.schedule.count > 0,
            let id = phones!.registrar.table.binding(from: source.remote)
        else { return }
        phones!.keepAlives.heard(id, isAnswer: false, now: now)
    }
}
