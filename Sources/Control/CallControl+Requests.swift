import Configuration
import ControlProtocol
import Core
import Relay
import SIP

/// Requests from the network.
extension CallControl {
    /// What a refusal of a new call says.
    private struct Refusal {
        let cause: ReleaseCause
        let status: Int
        var headers: [(HeaderName, String)] = []
    }

    /// Outside of calls, and where a call's other side takes no MESSAGE.
    static var allowLine: StaticString { "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK\r\n" }

    /// What the peer of `leg` is told: a MESSAGE is passed on, so it is taken where the other side says that it takes one.
    func allowLine(towards leg: Leg, of call: Call) -> StaticString {
        takesMessage(leg.other, of: call)
            ? "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, MESSAGE\r\n" : Self.allowLine
    }

    private func takesMessage(_ leg: Leg, of call: Call) -> Bool { call[leg].allowed?.contains(.message) == true }

    mutating func receiveRequest(_ id: TransactionID, _ request: SIPMessage, from source: Flow, now: Instant) {
        // INVITE, REGISTER and what belongs to a dialog look for themselves.
        let looksItself = request.toTag != nil || [.invite, .register, .cancel, .unknown].contains(request.method)
        let unknown = looksItself ? [] : Self.unknownExtensions(requiredBy: request, sessionTimer(towards: nil))
        if !unknown.isEmpty {
            return answer(id, request, from: source, status: 420, [(.unsupported, unknown.joined(separator: ", "))], now: now)
        }
        switch request.method {
        case .invite where request.toTag == nil: receiveInvite(id, request, from: source, now: now)
        case .cancel: receiveCancel(id, request, from: source, now: now)
        case .register: receiveRegister(id, request, from: source, now: now)
        case .options where request.toTag == nil: answerOptions(id, request, from: source, now: now)
        case .invite, .bye, .options, .update, .info, .prack: receiveInDialog(id, request, from: source, now: now)
        case .message where request.toTag != nil: receiveInDialog(id, request, from: source, now: now)
        case .refer where request.toTag != nil: answer(id, request, from: source, status: 603, now: now)
        case .subscribe, .notify: answer(id, request, from: source, status: 489, now: now)
        case .unknown: answer(id, request, from: source, status: 501, now: now)
        default: answer(id, request, from: source, status: 405, now: now)
        }
    }

    // MARK: INVITE

    private mutating func receiveInvite(
        _ id: TransactionID, _ invite: SIPMessage, from source: Flow, now: Instant
    ) {
        let identity = InviteIdentity(invite)
        guard presentInvites.insert(identity).inserted else {
            // The same attempt by another way (RFC 3261 §8.2.2.2).
            return answer(id, invite, from: source, status: 482, now: now)
        }
        counters.add(to: .callsAttempted)
        callMeter.count(at: now)
        let doctorRoute = doctorRoute(from: source.remote, now: now)
        let caller = phones?.admitted
        let callerTrunk =
            doctorRoute?.caller ?? routing.trunk(from: source.remote, isStream: source.isReliable) ?? trunk(of: caller)
        let callee = doctorRoute == nil ? phones?.user(called: invite.uri) : nil
        let number = nextCallNumber()
        let call = Call(
            number, id: unusedCallID(), recordID: newRecordID(now), invite: invite,
            transaction: id, source: source, callerTrunk: callerTrunk, localTag: random.token(count: 12),
            noMedia: NoMediaRule(timeout: configuration.media.noMediaTimeout), now: now)
        call.callerState = callerTrunk.flatMap { trunkStates[$0.name] }
        call.routedNumber = (callerTrunk?.calledIn ?? []).apply(to: call.calledNumber)
        call[.caller].timer = sessionTimer(towards: callerTrunk)
        call.note(received: invite, leg: .caller, isRetransmission: false, at: now)
        if let caller { identify(call, as: caller) }
        if let callee {
            call.attempts = attempts(toReach: callee, by: call, now: now)
            call.registration = registrationFacts(of: callee, now: now)
        }
        if let doctorRoute {
            call.attempts = [CalleeAttempt(target(of: call, by: Routing.Candidate(trunk: doctorRoute.callee), nil))]
        }
        let refusal = refusal(of: call, isRouted: callee != nil || doctorRoute != nil, now: now)
        call.refusalHeaders = refusal?.headers ?? []
        call.calleeTrunk = call.attempts.first?.first.trunk
        takeMediaSettings(of: call)
        remember(call.caller.localTag, of: call, number, .caller)
        transactionUses[id] = TransactionUse(call: number, leg: .caller, identity: identity)
        if let callerTrunk { occupy(call.callerState?.load ?? load(of: callerTrunk.name), by: call) }
        emit(
            .callSetup, for: call,
            [
                "from": call.callerNumber, "to": call.calledNumber, "source": source.description,
                "caller_trunk": callerTrunk?.name ?? "", "callee_trunk": call.calleeTrunk?.name ?? "",
            ], now: now)
        calls[number] = call
        callsByID[ShortID(call.id)] = number
        if let refusal {
            enqueue(.mediaClosed, for: number)
            enqueue(.release(cause: refusal.cause, status: refusal.status, party: .relayd), for: number)
        } else {
            call.proxy = mediaProxy(of: call)
            if call.isDirect { passMediaBy(number) } else { openMedia(of: call, now: now) }
        }
    }

    /// Checks an INVITE from its cheapest to its dearest condition, and reads its offer. Nil when the call may go on.
    private mutating func refusal(of call: Call, isRouted: Bool, now: Instant) -> Refusal? {
        guard call.callerTrunk != nil || call.callerIdentity != nil else {
            counters.add(to: .sipUnknownSource)
            return Refusal(cause: .unknownSource, status: 403)
        }
        if isDraining { return Refusal(cause: .shutdown, status: 503, headers: [retryAfter]) }
        if isLoop(call.invite) { return Refusal(cause: .loopDetected, status: 482) }
        if call.invite.maxForwards == 0 { return Refusal(cause: .tooManyHops, status: 483) }
        let required = Self.unknownExtensions(requiredBy: call.invite, call[.caller].timer)
        if !required.isEmpty {
            let unsupported: (HeaderName, String) = (.unsupported, required.joined(separator: ", "))
            return Refusal(cause: .unsupportedExtension, status: 420, headers: [unsupported])
        }
        guard call.invite.uri.scheme != .other else {
            return Refusal(cause: .badRequest, status: 416)
        }
        if let refusal = Self.timerRefusal(of: call.inviteTerms, call[.caller].timer) {
            return Refusal(cause: .sessionIntervalTooSmall, status: refusal.status, headers: refusal.headers)
        }
        if let refusal = readOffer(of: call) { return refusal }
        // A caller that wants no description cannot be answered (RFC 3261 §21.4.7).
        guard call.invite.accepts("application/sdp") else {
            return Refusal(cause: .mediaNotAcceptable, status: 406, headers: [(.accept, "application/sdp")])
        }
        if let family = call.main[.caller].address?.ip.family, settings.mediaAddresses(for: family) == nil {
            return Refusal(cause: .mediaNotAcceptable, status: 488)
        }
        guard hasCodec(of: call, for: nil) else {
            return Refusal(cause: .noCommonCodec, status: 488, headers: [noCodecWarning(call)])
        }
        if isRouted, call.attempts.isEmpty { return Refusal(cause: .notRegistered, status: 480) }
        if let (counter, sentence) = limitReached(by: call, now: now) {
            counters.add(to: counter)
            call.reachedLimit = sentence
            return Refusal(cause: .capacity, status: 503, headers: [retryAfter])
        }
        return isRouted ? nil : findRoute(of: call, now: now)
    }

    /// Which limit of calls there is no room under, with its metric and a sentence for people.
    private mutating func limitReached(by call: Call, now: Instant) -> (Counter, String)? {
        if call.callerTrunk == nil, !occupySource(of: call) {
            let limit = configuration.limits.callsPerSource
            return (.callsRefusedSource, "\(call.source.ip) has its \(limit) calls (limits.calls_per_source)")
        }
        if let trunk = call.callerTrunk {
            let isTooFast = call.callerState?.incoming.take(now: now) == false
            if trunk.capacity > 0, (call.callerState?.load.calls ?? 0) >= trunk.capacity {
                return (.callsRefusedTrunkCapacity, "Trunk \(trunk.name) has as many calls as its capacity, \(trunk.capacity)")
            }
            if isTooFast {
                let limit = "its \(trunk.callsPerSecond) calls of this second (calls_per_second)"
                return (.callsRefusedTrunkRate, "Trunk \(trunk.name) has placed \(limit)")
            }
        }
        guard presentCount >= configuration.limits.calls else { return nil }
        return (.callsRefusedCapacity, "There are \(configuration.limits.calls) calls, which is limits.calls")
    }

    /// Whom the call goes to first; nil when there is somebody.
    private mutating func findRoute(of call: Call, now: Instant) -> Refusal? {
        if call.invite.uri.user != nil {
            call.routes = routing.candidates(for: call.routedNumber, random: &random)
        }
        // What was promised to the caller holds on both legs, or not at all (RFC 5630 §3.1.2).
        if call.isSecure, !call.routes.isEmpty {
            call.routes.removeAll { $0.trunk.transport != .tls }
            if call.routes.isEmpty { return Refusal(cause: .badRequest, status: 416) }
        }
        if call.routes.contains(where: { !hasCodec(of: call, for: $0.trunk) }) {
            call.routes.removeAll { !hasCodec(of: call, for: $0.trunk) }
            if call.routes.isEmpty { return Refusal(cause: .noCommonCodec, status: 488, headers: [noCodecWarning(call)]) }
        }
        switch nextRoute(of: call, now: now) {
        case .success(let target):
            call.attempts = [CalleeAttempt(target)]
            return nil
        case .failure(let failure):
            switch failure.reason {
            case .unknownNumber:
                counters.add(to: .callsRefusedNoRoute)
                return Refusal(cause: .noRoute, status: 404)
            case .busy(let retryAfter):
                counters.add(to: .callsRefusedRoutesBusy)
                return Refusal(
                    cause: .allRoutesBusy, status: 503, headers: [(.retryAfter, "\(retryAfter.components.seconds)")])
            case .down:
                counters.add(to: .callsRefusedRoutesDown)
                let wait = configuration.routing.probeInterval.components.seconds
                return Refusal(cause: .allRoutesDown, status: 503, headers: [(.retryAfter, "\(wait)")])
            }
        }
    }

    /// An INVITE of ours has come back to us by way of proxies, for the same number (RFC 3261 §16.3). With another number it
    /// is a spiral, and welcome.
    private mutating func isLoop(_ invite: SIPMessage) -> Bool {
        !invite.hasOneVia && invite.listValues(.via).dropFirst().contains { value in
            guard let via = Via(value), endpoints.contains(via), let branch = via.branch.flatMap(ViaBranch.init),
                let octets = transactions.sentRequest(branch: branch, method: .invite),
                case .message(let sent) = SIPMessage.parse(octets)
            else { return false }
            return sent.uri.user == invite.uri.user
        }
    }

    /// Option tags that the sender insists on and nobody here knows (RFC 3261 §8.2.2.3).
    static func unknownExtensions(requiredBy request: SIPMessage, _ timer: SessionTimer) -> [String] {
        guard request.first(.require) != nil || request.first(.proxyRequire) != nil else { return [] }
        let beginsCall = request.method == .invite && request.toTag == nil
        let required = request.listValues(.require).map { String(decoding: $0, as: UTF8.self) }.filter { tag in
            switch tag.lowercased() {
            case "timer": timer.policy.isOff
            case "100rel": !beginsCall
            default: true
            }
        }
        return required + request.listValues(.proxyRequire).map { String(decoding: $0, as: UTF8.self) }
    }

    private func readOffer(of call: Call) -> Refusal? {
        call[.caller].learn(from: call.invite)
        guard !call.invite.body.isEmpty else {
            call.asksForOffer = true
            return nil
        }
        guard call.invite.hasSessionDescription else {
            return Refusal(cause: .mediaNotAcceptable, status: 415, headers: [(.accept, "application/sdp")])
        }
        do {
            let offer = try SessionDescription(parsing: call.invite.body)
            guard let index = Self.relayedMedium(of: offer), offer.media[index].port != 0 else {
                return Refusal(cause: .mediaNotAcceptable, status: 488)
            }
            call.main.place = index
            call[.caller].description = offer
            call[.caller].mediumIndex = index
            call[.caller].signalling = call.source
            call.main[.caller].address = Self.mediaAddress(of: offer.media[index], from: call.source)
            call.offer = offer
            return nil
        } catch {
            return Refusal(cause: .mediaNotAcceptable, status: error.statusCode)
        }
    }

    /// Where a description asks for RTP. An address on hold or a host name is no address: then where its SIP came from.
    static func mediaAddress(of media: SessionDescription.Media, from source: Flow) -> SocketAddress {
        let ip = media.connection.flatMap { $0.isUnspecified ? nil : $0 } ?? source.ip
        return SocketAddress(ip: ip, port: media.port)
    }

    /// Draws ports and asks a worker for the sessions. Answers 503 when there are none for the main medium.
    mutating func openMedia(of call: Call, now: Instant) {
        switch takeSession(of: call, now: now) {
        case .failure(.sessions): refuseMedia(of: call, .capacity)
        case .failure(.ports): refuseMedia(of: call, .portsExhausted)
        case .success(let taken):
            call.main.take(taken)
            callsBySession[taken.session] = call.number
            openSession(taken, of: call)
            guard let offer = call.offer else { return }
            openFurtherMedia(of: offer, by: .caller, besides: call.main.place, call, call.number, now: now)
        }
    }

    mutating func refuseMedia(of call: Call, _ cause: ReleaseCause) {
        counters.add(to: cause == .portsExhausted ? .callsRefusedPorts : .callsRefusedCapacity)
        if cause == .capacity { call.reachedLimit = "Every media session is taken (limits.calls)" }
        call.refusalHeaders = [retryAfter]
        closeFurtherMedia(of: call)
        enqueue(.mediaClosed, for: call.number)
        enqueue(.release(cause: cause, status: 503, party: .relayd), for: call.number)
    }

    private mutating func newRecordID(_ now: Instant) -> String {
        var id: [UInt8] = []
        id.reserveCapacity(32)
        id.append(decimal: UInt64(clamping: wallTime(now).milliseconds))
        id.append(UInt8(ascii: "-"))
        random.appendToken(count: 12, to: &id)
        return String(decoding: id, as: UTF8.self)
    }

    private mutating func unusedCallID() -> String {
        while true {
            let id = random.token(count: 8)
            if callsByID[ShortID(id)] == nil { return id }
        }
    }

    /// Requests of the dialog with this tag of ours find the call from now on.
    mutating func remember(_ localTag: String, of call: Call, _ number: CallNumber, _ leg: Leg) {
        let key = DialogKey(localTag: localTag)
        callsByDialog[key] = (number, leg)
        call.dialogKeys.append(key)
    }

    // MARK: Within dialogs

    private mutating func receiveCancel(
        _ id: TransactionID, _ cancel: SIPMessage, from source: Flow, now: Instant
    ) {
        guard let invite = transactions.invite(cancelledBy: cancel) else {
            counters.add(to: .sipStrayRequests)
            return answer(id, cancel, from: source, status: 481, now: now)
        }
        guard let use = transactionUses[invite], let call = calls[use.call],
            call.inviteTransaction == invite || call.change?.requestTransaction == invite
        else {
            return answer(id, cancel, from: source, status: 200, now: now)  // it has its final response: no effect
        }
        transactionUses[id] = TransactionUse(call: use.call, leg: use.leg)
        call.note(received: cancel, leg: use.leg, isRetransmission: false, at: now)
        guard call.change?.requestTransaction != invite else {
            answer(id, cancel, from: source, status: 200, now: now)
            return changeCancelled(invite, of: use.call, now: now)
        }
        if call.machine.release == nil, call.machine.caller == .proceeding {
            calls[use.call]?.receivedReason = cancel.text(.reason)
        }
        answer(id, cancel, from: source, status: 200, toTag: call.caller.localTag, now: now)
        enqueue(.callerCancelled, for: use.call)
    }

    private mutating func receiveInDialog(
        _ id: TransactionID, _ request: SIPMessage, from source: Flow, now: Instant
    ) {
        guard let (number, leg) = dialog(of: request), let call = calls[number] else {
            if receiveTestRequest(id, request, from: source, now: now) { return }
            if request.method == .update, isBesideEarly(request) {
                return answer(id, request, from: source, status: 500, [retrySoon()], now: now)
            }
            counters.add(to: .sipStrayRequests)
            return answer(id, request, from: source, status: 481, now: now)
        }
        transactionUses[id] = TransactionUse(call: number, leg: leg)
        call.note(received: request, leg: leg, isRetransmission: false, at: now)
        guard call.takeSequence(request.cseq.number, from: leg) else {
            return answer(id, request, from: source, status: 500, now: now)  // out of order (RFC 3261 §12.2.2)
        }
        let unknown = Self.unknownExtensions(requiredBy: request, call[leg].timer)
        guard unknown.isEmpty || request.method == .bye else {
            return answer(
                id, request, from: source, status: 420, [(.unsupported, unknown.joined(separator: ", "))], now: now)
        }
        guard call.machine.release == nil || request.method == .bye else {
            return answer(id, request, from: source, status: 481, now: now)  // its BYE is under way
        }
        switch request.method {
        case .bye:
            if call.machine.release == nil { call.receivedReason = request.text(.reason) }
            answer(id, request, from: source, status: 200, now: now)
            enqueue(.bye(from: leg), for: number)
        case .invite: receiveChange(id, request, from: source, of: number, leg, now: now)
        case .update where !request.body.isEmpty: receiveChange(id, request, from: source, of: number, leg, now: now)
        case .update: receiveTargetRefresh(id, request, from: source, of: number, leg, now: now)
        case .prack: receivePRACK(id, request, from: source, of: number, leg, now: now)
        case .message where !takesMessage(leg.other, of: call): answer(id, request, from: source, status: 405, now: now)
        case .info, .message: pass(id, request, from: source, of: number, leg, now: now)
        default: answer(id, request, from: source, status: 200, [(.accept, "application/sdp")], now: now)
        }
    }

    /// An UPDATE without an offer: nothing to pass, but a Contact to learn and a session to keep up (RFC 3311 §5.2).
    private mutating func receiveTargetRefresh(
        _ id: TransactionID, _ request: SIPMessage, from source: Flow, of number: CallNumber, _ leg: Leg, now: Instant
    ) {
        guard let call = calls[number] else { return }
        if let refusal = Self.timerRefusal(of: SessionTimer.Terms(request), call[leg].timer) {
            return answer(id, request, from: source, status: refusal.status, refusal.headers, now: now)
        }
        call[leg].learn(from: request)
        call.refreshTarget(of: leg, from: request, source: source)
        let timer = call.machine.isConnected ? timerAnswer(to: SessionTimer.Terms(request), of: leg, call, now: now) : nil
        respond(to: request, id, from: source, of: call, leg, status: 200, timer: timer, now: now)
        scheduleTimer(of: call)
    }

    mutating func receiveAcknowledgement(_ message: SIPMessage, now: Instant) {
        guard let (number, leg) = dialog(of: message), let call = calls[number] else {
            counters.add(to: .sipStrayRequests)
            return
        }
        if receiveChangeAcknowledgement(message, number, leg, now: now) { return }
        guard leg == .caller, message.cseq.number == call.invite.cseq.number else {
            if call.isPast(message.cseq.number, from: leg) {
                call.note(received: message, leg: leg, isRetransmission: true, at: now)
            } else {
                counters.add(to: .sipStrayRequests)
            }
            return
        }
        let isFirst = call.machine.caller == .answered
        if isFirst, call.asksForOffer { takeLateAnswer(message, number, call, now: now) }
        call.note(received: message, leg: .caller, isRetransmission: !isFirst, at: now)
        call.answerRetransmission = nil
        enqueue(.callerAcknowledged, for: number)
    }

    /// Whether a request carries a tag that relayd gave one of its present dialogs, which says enough of whose it is.
    func isInDialog(_ request: SIPMessage) -> Bool {
        DialogKey(request.toTag).map { callsByDialog[$0] != nil } ?? false
    }

    /// The dialog that a request names by Call-ID and both tags (RFC 3261 §12). A further branch of a fork differs from
    /// the one that was taken in the peer's tag only.
    mutating func dialog(of request: SIPMessage) -> (call: CallNumber, leg: Leg)? {
        guard let tag = request.toTag, let (number, leg, call) = call(of: request.callID, localTag: tag) else { return nil }
        if leg == .caller {
            // It may still use the tag it got before its present one.
            return call.caller.isPeerTag(request.fromTag) ? (number, leg) : nil
        }
        // A branch that lost is no leg of the call.
        guard let branch = call.chosenBranch, tag.isText(branch.dialog.localTag), branch.dialog.isPeerTag(request.fromTag) else {
            return nil
        }
        return (number, leg)
    }

    /// The call that has, or had, a dialog with this Call-ID and this tag on our side.
    mutating func call(
        of callID: ArraySlice<UInt8>, localTag: ArraySlice<UInt8>?
    ) -> (number: CallNumber, leg: Leg, call: Call)? {
        guard let localTag, let key = DialogKey(localTag), let (number, leg) = callsByDialog[key], let call = calls[number] else {
            return nil
        }
        let isOfCall = leg == .caller
            ? call.caller.hasCallID(callID)
            : call.branches.contains { localTag.isText($0.dialog.localTag) && $0.dialog.hasCallID(callID) }
        return isOfCall ? (number, leg, call) : nil
    }

    // MARK: Answers

    mutating func answer(
        _ id: TransactionID, _ request: SIPMessage, from source: Flow, status: Int, toTag: String? = nil,
        _ headers: [(HeaderName, String)] = [], load: String? = nil, now: Instant
    ) {
        var builder = MessageBuilder.response(
            to: request, status: status, toTag: toTag ?? (request.toTag == nil ? random.token(count: 12) : nil),
            source: source)
        if status == 405 || status == 501 || request.method == .options {
            let place = dialog(of: request)
            builder.add(lines: place.flatMap { place in calls[place.call].map { allowLine(towards: place.leg, of: $0) } } ?? Self.allowLine)
        }
        for (name, value) in headers { builder.add(name, value) }
        if let load { builder.add(name: Self.loadHeader, load) }
        builder.add(lines: settings.serverLine)
        var results = resultList()
        transactions.respond(id, status: status, builder.finish(), now: now, outputs: &results)
        enqueue(&results)
    }
}
