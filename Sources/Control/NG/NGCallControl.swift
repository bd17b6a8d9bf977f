package import Configuration
package import ControlProtocol
package import Core
import NG
package import Relay
import SIP

/// The calls that SIP proxies drive over the NG protocol, in place of rtpengine.
///
/// Sans-IO, beside `CallControl` on the control thread: messages, relay events and the time go in; answers, relay
/// commands and events come out through `takeOutputs`, to be carried out in order.
package struct NGCallControl {
    package enum Output: Sendable {
        case reply([UInt8], to: NGClient)
        case relay(RelayCommand)
        case event(Event)
        /// A recording begins, or has other sessions than before.
        case record(NGRecording)
        case stopRecording(key: String)
        /// The proxy is to be asked to end the dialog, once.
        case terminate(DialogTermination)
    }

    package var configuration: Configuration {
        didSet {
            noMedia = Boxed(NoMediaRule(configuration))
            interfaces = configuration.mediaInterfaces.map(Boxed.init)
        }
    }
    /// What new calls share, as it is configured.
    var noMedia: Boxed<NoMediaRule>
    var interfaces: [Boxed<MediaInterface>]
    /// Of the media there were last, the latest at the end.
    var knownTraits: [Boxed<NGCall.Traits>] = []
    static let knownTraitsLimit = 8
    let media: MediaSessions
    let counters: CounterBlock
    private var clocks: (instant: Instant, wall: WallTime)
    let startedAt: Instant

    var calls: [String: NGCall] = [:]
    /// Sessions of every call, also while they are being closed after it is gone.
    var callsBySession: [SessionID: NGCall] = [:]
    /// Sessions on their way out, which only have to be given back.
    var closing: [SessionID: MediaSessions.Taken] = [:]
    /// Sessions whose call went before their sockets were there.
    var abandoned: Set<SessionID> = []
    var cache = NGReplyCache()
    var timers = TimerQueue<String>()
    var random: SeededRandom
    var report = NGServerReport()
    /// To explain calls after their end.
    var endedCalls: RecentRing<NGCallEvidence>
    /// Takes no new calls; the next node is to have them.
    package var isDraining = false
    private var outputs: [Output] = []
    /// Memory for answers in the making.
    private var draft: [UInt8] = []
    /// Who hears events.
    package var audience = EventAudience.everyone

    /// One medium of a broken client is enough; more `m=` lines than this are declined.
    static let maximumMedia = 16
    static let maximumOpenAttempts: UInt8 = 4
    /// rtpengine's name for a relay that has seen the description before.
    let loopName: String

    package init(
        configuration: Configuration, media: MediaSessions, counters: CounterBlock, random: SeededRandom, now: Instant,
        wallTime: WallTime
    ) {
        self.configuration = configuration
        noMedia = Boxed(NoMediaRule(configuration))
        interfaces = configuration.mediaInterfaces.map(Boxed.init)
        self.media = media
        self.counters = counters
        var random = random
        loopName = random.token(count: 8)
        self.random = random
        clocks = (now, wallTime)
        startedAt = now
        timers.expectedCount = configuration.limits.calls
        endedCalls = RecentRing(limit: configuration.trace.endedCalls)
    }

    // MARK: Inputs

    /// One message: a datagram, or what the framer cut out of a stream.
    package mutating func receive(_ message: [UInt8], from client: NGClient, now: Instant) {
        let envelope: NGEnvelope
        do throws(NGEnvelope.Failure) {
            envelope = try NGEnvelope(parsing: message)
        } catch {
            counters.add(to: .ngMalformed)
            if case .unreadable(let cookie, let format, let reason) = error {
                outputs.append(.reply(NGReply.error(reason).encoded(cookie: cookie, format: format), to: client))
            }
            return
        }
        counters.add(to: .ngRequests)
        let exchange = NGExchange(client: client, key: NGReplyCache.Key(envelope), format: envelope.format)
        switch cache.begin(exchange.key, now: now) {
        case .answered(let reply):
            counters.add(to: .ngRetransmissions)
            outputs.append(.reply(reply, to: client))
        case .inProgress: counters.add(to: .ngRetransmissions)
        case .new:
            do throws(NGErrorReason) {
                let request = try NGRequest(envelope.dictionary)
                if let refusal = request.command.refusal { throw refusal }
                if let reply = try carryOut(request, exchange, now: now) { finish(exchange, reply) }
            } catch {
                finish(exchange, .error(error))
            }
        }
    }

    package mutating func handle(_ event: RelayEvent, now: Instant) {
        switch event {
        case .opened(let session): opened(session, now: now)
        case .openFailed(let session, _, _): openFailed(session, now: now)
        case .closed(let session):
            if let taken = closing.removeValue(forKey: session) { media.giveBack(taken, now: now) }
        case .locked(let session, let leg, let source):
            guard let call = callsBySession[session] else { break }
            emit(.mediaLocked, for: call, ["leg": "\(leg)", "source": source.description], now: now)
        case .digit, .stopped: break
        }
    }

    /// Runs what is due: delayed deletions and media time-outs.
    package mutating func advance(to now: Instant) {
        while let id = timers.takeDue(at: now) {
            // The call may have been given an earlier look since, or have ended and begun again.
            guard let call = calls[id], let scheduled = call.scheduled, scheduled <= now else { continue }
            call.scheduled = nil
            check(call, now: now)
        }
    }

    package var nextDeadline: Instant? { timers.nextDue }

    /// Once a second while calls are up.
    package mutating func setWallTime(_ wallTime: WallTime, at now: Instant) {
        clocks = (now, wallTime)
        // A proxy that asks for nothing any more leaves no answers behind.
        cache.removeExpired(now: now)
    }

    /// What is to be done, in this order.
    package mutating func takeOutputs() -> [Output] {
        var taken: [Output] = []
        outputs.moveAll(into: &taken)
        return taken
    }

    /// The same, into memory that is used again and again.
    package mutating func takeOutputs(into taken: inout [Output]) { outputs.moveAll(into: &taken) }

    /// Ends one call for an operator, by the id `summaries` gives it; false when there is none.
    package mutating func hangUp(_ id: String, now: Instant) -> Bool {
        guard let call = calls.values.first(where: { $0.shortID == id || $0.id == id }) else { return false }
        report.forcedEndedSessions += 1
        close(call, cause: "operator_hangup", now: now)
        return true
    }

    /// Closes every session, at the end of the process.
    package mutating func closeAll(now: Instant) {
        isDraining = true
        for call in Array(calls.values) { close(call, cause: "shutdown", now: now) }
    }

    /// Every session is back in the pool.
    package var isEmpty: Bool { calls.isEmpty && closing.isEmpty && abandoned.isEmpty && callsBySession.isEmpty }

    // MARK: Commands

    /// - Returns: nil when the answer comes later.
    private mutating func carryOut(
        _ request: NGRequest, _ exchange: NGExchange, now: Instant
    ) throws(NGErrorReason) -> NGReply? {
        switch request.command {
        case .ping: return .pong
        case .offer: return try offer(request, exchange, now: now)
        case .answer: return try answer(request, exchange, now: now)
        case .delete: return try delete(request, now: now)
        case .query:
            guard let id = request.callID else { throw .noCallID }
            guard let call = calls[id] else { throw .unknownCall }
            return reply(about: call, request)
        case .list: return .list(calls.keys.sorted().prefix(request.limit))
        case .statistics: return .statistics(serverReport(now: now))
        case .blockMedia, .unblockMedia, .silenceMedia, .unsilenceMedia, .blockDTMF, .unblockDTMF:
            return try restrict(request, now: now)
        case .startRecording, .stopRecording: return try record(request, now: now)
        default:
            throw NGErrorReason("'\(request.command.rawValue)' is not supported yet")
        }
    }

    private mutating func delete(_ request: NGRequest, now: Instant) throws(NGErrorReason) -> NGReply {
        guard let id = request.callID else { throw .noCallID }
        guard let call = calls[id], let deletion = call.deletion(by: request) else {
            return .nothingToDelete(isFatal: request.isFatal)
        }
        let reply = reply(about: call, request)
        var delay = request.deleteDelay ?? configuration.ng.deleteDelay
        if deletion == .branch {
            guard call.removeBranch(request) else { return reply }
            // Refused after early media, while others ring, or BYE from a proxy that does not say which: in doubt the
            // others have as long as a silent call.
            delay = max(delay, configuration.ng.timeout)
        }
        call.deletedAt = now
        if delay > .zero {
            call.deleteAt = now + delay
            schedule(call, now: now)
        } else {
            report.regularlyEndedSessions += 1
            close(call, cause: "normal", now: now)
        }
        return reply
    }

    mutating func finish(_ exchange: NGExchange, _ reply: NGReply) {
        if reply.isError { counters.add(to: .ngErrors) }
        reply.encode(cookie: exchange.key.cookie, format: exchange.format, to: &draft)
        // It is kept for a while, and takes no more memory than it needs.
        var octets: [UInt8] = []
        octets.reserveCapacity(draft.count)
        octets += draft
        cache.finish(exchange.key, reply: octets)
        outputs.append(.reply(octets, to: exchange.client))
    }

    // MARK: Sessions

    func wallTime(_ instant: Instant) -> WallTime { clocks.wall + (instant - clocks.instant) }

    mutating func output(_ output: Output) { outputs.append(output) }

    mutating func output(_ command: RelayCommand) { outputs.append(.relay(command)) }

    mutating func emit(
        _ name: Event.Name, for call: NGCall, _ fields: @autoclosure () -> EventFields = [:], now: Instant
    ) {
        guard audience.hears(name) else { return }
        var fields = fields()
        fields["sip_call_id"] = call.id
        fields["driver"] = "ng"
        outputs.append(.event(Event(at: wallTime(now), name: name, callID: call.shortID, fields: fields)))
    }

    private mutating func opened(_ session: SessionID, now: Instant) {
        if abandoned.remove(session) != nil { return output(.close(session)) }
        guard let call = callsBySession[session] else { return }
        if let index = call.lines.firstIndex(where: { $0.medium?.taken.session == session }) { call.lines[index].medium?.isOpen = true }
        if call.uncommon?.recording != nil { updateRecording(call) }
        finishPending(call, now: now)
    }

    private mutating func openFailed(_ session: SessionID, now: Instant) {
        if abandoned.remove(session) != nil {
            if let taken = closing.removeValue(forKey: session) { media.giveBackRefused(taken, now: now) }
            return
        }
        guard let call = callsBySession.removeValue(forKey: session),
            let index = call.lines.firstIndex(where: { $0.medium?.taken.session == session }),
            let medium = call.lines[index].medium
        else { return }
        media.giveBackRefused(medium.taken, now: now)
        // A port somebody else holds is no reason to refuse the call while others are free.
        if medium.openAttempts < Self.maximumOpenAttempts,
            case .success(let taken) = media.take(
                caller: medium.interface(of: .caller).address, callee: medium.interface(of: .callee).address, now: now)
        {
            call.lines[index].medium?.taken = taken
            call.lines[index].medium?.openAttempts += 1
            open(taken, medium, for: call)
        } else {
            call.lines[index].medium = nil
            let pending = call.pending
            call.pending = []
            report.rejectedSessions += 1
            for request in pending { finish(request.exchange, .outOfPorts) }
            if call.answeredAt == nil { close(call, cause: "ports_exhausted", now: now) }
        }
    }

    mutating func open(_ taken: MediaSessions.Taken, _ medium: NGCall.Medium, for call: NGCall) {
        callsBySession[taken.session] = call
        output(
            .open(
                taken.session,
                caller: SocketAddress(ip: medium.interface(of: .caller).address, port: taken.callerPort),
                callee: SocketAddress(ip: medium.interface(of: .callee).address, port: taken.calleePort)))
    }

    /// Closes a call's sessions and forgets it.
    mutating func close(_ call: NGCall, cause: String, now: Instant) {
        if call.uncommon?.recording != nil { stopRecording(call) }
        guard calls.removeValue(forKey: call.id) != nil else { return }
        endedCalls.add(evidence(of: call, cause: cause, now: now))
        for request in call.pending { finish(request.exchange, .error(.unknownCall)) }
        call.pending = []
        for index in call.lines.indices {
            guard let medium = call.lines[index].medium else { continue }
            let session = medium.taken.session
            callsBySession[session] = nil
            closing[session] = medium.taken
            // One that is still being opened is closed once it is.
            if medium.isOpen { output(.close(session)) } else { abandoned.insert(session) }
        }
        let duration = now - call.createdAt
        report.totalCallDuration += duration
        emit(.callReleased, for: call, ["cause": cause, "duration_seconds": "\(duration.components.seconds)"], now: now)
    }

    // MARK: Time

    /// When the call has to be looked at again.
    private func deadline(of call: NGCall, now: Instant) -> Instant? {
        // A look too many costs little; one in the past would never end, and one far ahead outlives its call.
        (call.deleteAt ?? mediaDeadline(of: call, now: now)).map { min(max($0, now + .milliseconds(10)), now + .seconds(60)) }
    }

    /// When it is over for want of media, or of an answer, if nothing changes.
    private func mediaDeadline(of call: NGCall, now: Instant) -> Instant? {
        guard let answeredAt = call.answeredAt else { return call.lastSignal + configuration.ng.offerTimeout }
        // Signalling says as well as media that somebody is there.
        var activity = MediaActivity(connectedAt: max(answeredAt, call.lastSignal))
        activity.observe(caller: lastHeard(call, .caller), callee: lastHeard(call, .callee))
        // Only a call that may be silent already is looked at more closely.
        let rule = call.noMedia.value
        guard let earliest = activity.earliestEnd(rule), earliest <= now else { return activity.earliestEnd(rule) }
        let end = activity.silenceEnds(
            rule, caller: mediaState(.caller, of: call), callee: mediaState(.callee, of: call))
        // Comfort noise comes and goes without a word of the proxy's.
        return end ?? now + .seconds(60)
    }

    /// What `leg` said last about its media, and whether its silence is meant.
    func mediaState(_ leg: Leg, of call: NGCall) -> LegMediaState {
        let isComfortable = call.lines.contains { line in
            line.medium.map { media.statistics.isInComfortNoise($0.taken.session.index, leg) } ?? false
        }
        let haveAgreed = Leg.allCases.allSatisfy { leg in call.lines.contains { $0[leg]?.suppressesSilence ?? false } }
        return LegMediaState(holds: !call.sends(leg), mayBeSilent: isComfortable || haveAgreed)
    }

    private func lastHeard(_ call: NGCall, _ leg: Leg) -> Instant {
        var last = Instant(nanoseconds: 0)
        for index in call.lines.indices {
            guard let session = call.lines[index].medium?.taken.session else { continue }
            last = max(last, media.activity.last(session.index, leg) ?? last)
        }
        return last
    }

    private mutating func check(_ call: NGCall, now: Instant) {
        if let deleteAt = call.deleteAt {
            guard deleteAt <= now else { return schedule(call, now: now) }
            report.regularlyEndedSessions += 1
            return close(call, cause: "normal", now: now)
        }
        guard let due = mediaDeadline(of: call, now: now), due <= now else { return schedule(call, now: now) }
        counters.add(to: .ngCallsTimedOut)
        if call.answeredAt == nil {
            report.offerTimedOutSessions += 1
            return close(call, cause: "ringing_timeout", now: now)
        }
        report.timedOutSessions += 1
        emit(.mediaSilent, for: call, [:], now: now)
        if let termination = termination(of: call) { outputs.append(.terminate(termination)) }
        close(call, cause: "no_media", now: now)
    }

    /// Nil without both tags: there is no dialog then.
    private func termination(of call: NGCall) -> DialogTermination? {
        guard let callerTag = call.caller.tag, let calleeTag = call.callee.tag else { return nil }
        // `xmlrpc-callback` of a request is an address that stands in for the proxy's own.
        return DialogTermination(
            shortID: call.shortID, callID: call.id, callerTag: callerTag, calleeTag: calleeTag,
            proxy: call.uncommon?.callback.flatMap { IPAddress($0) } ?? call.proxy)
    }

    mutating func schedule(_ call: NGCall, now: Instant) {
        guard let due = deadline(of: call, now: now), due < call.scheduled ?? Instant(nanoseconds: .max) else { return }
        call.scheduled = due
        timers.schedule(call.id, at: due)
        guard timers.isMostlyStale(live: calls.count) else { return }
        let calls = calls
        timers.removeAll { calls[$0]?.scheduled != $1 }
    }
}
