import Core

/// What the messages of a call alone tell.
struct SignallingRules {
    private let boxedFacts: Boxed<CallFacts>
    private var facts: CallFacts { boxedFacts.value }
    /// Of both legs, oldest first.
    private let messages: [MessageFact]

    init(_ facts: Boxed<CallFacts>, _ messages: [MessageFact]) {
        boxedFacts = facts
        self.messages = messages
    }

    var diagnosis: Diagnosis? {
        if let found = sessionIntervalLoop ?? callerAckLost ?? calleeAckLost { return found }
        guard let end = facts.end else { return facts.answeredAt == nil ? waiting : nil }
        if facts.answeredAt == nil {
            var found = unanswered(end)
            if facts.registration != nil, end.party != .caller { found?.evidence += failedAttempts ?? [] }
            return found
        }
        switch end.cause {
        case .normal, .noMedia, .operatorHangup, .shutdown: return nil
        default: return connectedEnd(end)
        }
    }

    // MARK: ACK

    /// 64*T1 went by without an ACK for our 200 (RFC 3261 §13.3.1.4): the 32-second drop.
    private var callerAckLost: Diagnosis? {
        guard facts.end?.cause == .ackMissing, let answered = facts.answeredAt else { return nil }
        let again = messages.count { $0.leg == .caller && !$0.isReceived && $0.status == 200 && $0.method == .invite && $0.isRetransmission }
        var advice = "Find out why the caller's ACK does not reach \(facts.ownContact): a firewall, a proxy without Record-Route, "
            + "or a caller that cannot route to that address."
        if facts.ownContact.ip.isPrivate, !facts.caller.address.ip.isPrivate {
            advice = "The Contact is private and the caller is not in that network: set sip.advertise to the address by which the caller reaches relayd."
        }
        var evidence = [
            "the 200 went to \(facts.caller.address) \(again + 1) times in 32 s",
            "it asks for the ACK at the Contact \(facts.ownContact)",
        ]
        if let last = facts.fromCaller.lastAt { evidence.append("RTP came from the caller until \(text(last)), so it had the 200") }
        return Diagnosis(
            .ackLost, "No ACK for the 200 came from the caller within 32 s (64*T1), so the call was ended: the ACK has to reach \(facts.ownContact), relayd's Contact.",
            evidence: evidence, advice: advice, missing: MissingMessage(.caller, received: true, "ACK", at: answered))
    }

    /// The callee repeats its 200 although it was acknowledged: our ACK does not arrive where its Contact sends it.
    private var calleeAckLost: Diagnosis? {
        guard messages.contains(where: \.isRetransmission) else { return nil }
        let repeats = messages.filter {
            $0.leg == .callee && $0.isReceived && $0.status == 200 && $0.method == .invite && $0.isRetransmission
        }
        guard repeats.count >= 4, let last = repeats.last,
            let first = messages.first(where: { $0.leg == .callee && !$0.isReceived && $0.method == .ack }),
            last.at - first.at >= .seconds(4), let callee = facts.callee
        else { return nil }
        let target = callee.contact ?? callee.target ?? callee.address
        let evidence = [
            "the callee sent its 200 \(repeats.count + 1) times, the last one \(text(last.at - first.at)) after the first ACK",
            "every ACK went to \(callee.target ?? target), which its Contact names; its messages come from \(callee.address)",
        ]
        let missing = MissingMessage(.callee, received: false, "ACK (not heard)", at: first.at)
        if target.ip.isPrivate || target.ip != callee.address.ip {
            return Diagnosis(
                .privateContact, "The callee's Contact \(target) cannot be reached: the ACK sent there never arrived, so the callee gave up.",
                evidence: evidence,
                advice: "The callee has to put a Contact into its 200 that relayd can reach, or a proxy on the way has to Record-Route.",
                missing: missing)
        }
        return Diagnosis(
            .ackLost, "The ACK for the callee's 200 does not reach its Contact \(target), so the callee repeats the 200 and gives up after 32 s.",
            evidence: evidence, advice: "Look for a firewall or a NAT between relayd and \(target).", missing: missing)
    }

    // MARK: Session timers

    private var sessionIntervalLoop: Diagnosis? {
        guard messages.contains(where: { $0.status == 422 }) else { return nil }
        for leg in [Leg.caller, .callee] {
            let refusals = messages.filter { $0.leg == leg && $0.status == 422 && !$0.isRetransmission }
            guard refusals.count >= 2, facts.answeredAt == nil || facts.end?.cause != .normal else { continue }
            let sentence = refusals[0].isReceived
                ? "The \(leg.name) refused the session interval \(refusals.count) times (422), also what it had asked for itself."
                : "relayd refused the session interval \(refusals.count) times (422): both sides insist on their own Session-Expires."
            return Diagnosis(
                .sessionIntervalLoop, sentence,
                evidence: ["422 at " + refusals.map { text($0.at) }.joined(separator: ", ")],
                advice: "Raise Session-Expires on the side that asks for less, at least to the Min-SE of the 422, or lower that Min-SE.")
        }
        return nil
    }

    // MARK: Attempts without an answer

    /// A present attempt.
    private var waiting: Diagnosis? {
        guard let sent = calleeInvite, !hasHeardCallee, facts.age - sent >= .seconds(4) else { return nil }
        if let lost = natPinholeLost { return lost }
        return Diagnosis(
            .noResponse, "Nothing has come from \(route) for \(text(facts.age - sent)).", evidence: inviteEvidence,
            missing: MissingMessage(.callee, received: true, "any response", at: sent))
    }

    private func unanswered(_ end: CallFacts.End) -> Diagnosis? {
        switch end.cause {
        case .noRoute: return registrationMissing ?? noRoute
        case .capacity: return capacity(end)
        case .portsExhausted:
            return Diagnosis(
                .capacityLimit, "There was no free media port for the call.",
                advice: "Widen media.ports: a call takes four, and each rests for media.quarantine afterwards.")
        case .unknownSource:
            return Diagnosis(
                .unknownSource, "\(facts.caller.address) is the address of no trunk, so its call was refused (SIP \(end.status)).",
                advice: "If it is a customer, add the address to `sources` of its trunk; if not, it was a stranger trying.")
        case .inviteTimeout where !hasHeardCallee: return natPinholeLost ?? noResponse
        case .inviteTimeout, .tryingTimeout, .progressTimeout, .earlyMediaTimeout, .ringingTimeout: return allRoutesBusy ?? noAnswer(end)
        case .callerCancelled: return callerCancelled(end)
        case .rejected: return rejected(end)
        case .noCommonCodec:
            return Diagnosis(
                .codecMismatch, "The trunks' codec filters leave none of the codecs that the caller offers (SIP \(end.status)).",
                evidence: facts.caller.media.map { ["offered: \(MediaRules.list($0.codecs))"] } ?? [],
                advice: "Look at codecs and codecs_strip of the trunks that lead to this number; relayd does not transcode.")
        case .mediaNotAcceptable: return mediaNotAcceptable(end)
        case .loopDetected: return routingLoop
        case .badRequest, .tooManyHops, .unsupportedExtension:
            return Diagnosis(
                .badRequest, "The caller's INVITE was refused with SIP \(end.status): \(end.cause.sentence.lowercased()).",
                advice: end.cause == .tooManyHops ? "Max-Forwards was used up: look for a routing loop." : nil)
        case .peerUnreachable: return allRoutesBusy ?? natPinholeLost ?? peerUnreachable
        case .transportFailed:
            return Diagnosis(
                .networkRefused, "The network refused the INVITE to \(route).", evidence: inviteEvidence,
                advice: "Look at the route and the firewall of this host (`ip route get \(facts.callee?.address.ip.description ?? "ADDRESS")`).")
        case .shutdown, .operatorHangup: return nil
        default: return connectedEnd(end)
        }
    }

    private var peerUnreachable: Diagnosis? {
        let errors = facts.unreachable.filter { $0.method == "INVITE" }
        guard let error = errors.last(where: { $0.destination == facts.callee?.address }) ?? errors.last else { return nil }
        let address = error.destination
        let advice = switch error.meaning {
        case .portUnreachable, .protocolUnreachable:
            "The host is up and nothing takes SIP at that port: is the server there running, and is the port right?"
        case .hostUnreachable, .networkUnreachable:
            "The host is down, or a router has no way to it: look with `ip route get \(address.ip)` and traceroute."
        case .prohibited: "A firewall there refuses: has the other side allowed \(facts.ownContact)?"
        case .parameterProblem: "Something on the way does not understand the datagram: look at tunnels and firewalls."
        }
        return Diagnosis(
            .peerUnreachable, "\(route) cannot be reached: the INVITE was answered with ICMP \(error.meaning).", advice: advice)
    }

    private var routingLoop: Diagnosis {
        guard let callee = facts.callee else {
            return Diagnosis(
                .routingLoop, "This INVITE is one of relayd's own, which has come back by way of \(facts.caller.address) (SIP 482).",
                advice: "Somebody behind the trunk it was sent to routes the number back to relayd.")
        }
        return Diagnosis(
            .routingLoop, "\(route) is relayd itself: the INVITE to it came straight back (SIP 482).", evidence: inviteEvidence,
            advice: "Look at `address` of this trunk, \(callee.address), and at what forwards that address to relayd.")
    }

    private var registrationMissing: Diagnosis? {
        guard let registration = facts.registration else { return nil }
        switch registration.state {
        case .present: return nil
        case .cutOff(let transport, let ago):
            let end = ago.map { "which closed \(text($0)) before the call" } ?? "which did not outlive the restart of relayd"
            return Diagnosis(
                .connectionClosed,
                "\(registration.user) is registered by a \(transport.viaToken) connection, \(end): nothing reaches it before it registers anew.",
                advice: "Only the phone can open the connection again. Have it register more often, or send keep-alives of its own "
                    + "(CRLF, RFC 5626); `relayctl trace --registrations --number \(registration.user)` shows when it did.")
        case .flowFailed(let ago):
            let time = ago.map { "\(text($0)) before the call" } ?? "to this INVITE"
            return Diagnosis(
                .connectionClosed,
                "The edge proxy that \(registration.user) registered through answered 430 (Flow Failed) \(time): it has no "
                    + "way to the phone any more, and nothing reaches that before it registers anew.",
                advice: "Only the phone can open the flow again. Have it register more often, or send keep-alives of its own "
                    + "to the edge proxy (CRLF or STUN, RFC 5626); "
                    + "`relayctl trace --registrations --number \(registration.user)` shows when it did.")
        case .never:
            return Diagnosis(
                .registrationExpired, "\(registration.user) is not registered, so there was nowhere to send the call.",
                advice: "Look at `relayctl trace --registrations --number \(registration.user)`.")
        case .unregistered(let ago):
            return Diagnosis(
                .registrationExpired,
                "\(registration.user) took its registration back \(text(ago)) before the call, so there was nowhere to send it.",
                advice: "The phone was switched off, or logged off: `relayctl trace --registrations --number \(registration.user)`.")
        case .expired(let ago):
            return Diagnosis(
                .registrationExpired,
                "The registration of \(registration.user) expired" + (ago.map { " \(text($0)) before the call" } ?? "") + " and was not renewed.",
                advice: "The phone or its network is down, or its REGISTER does not get through: `relayctl trace --registrations --number \(registration.user)`.")
        }
    }

    private var natPinholeLost: Diagnosis? {
        guard let registration = facts.registration, registration.state == .present, registration.isBehindNAT else { return nil }
        var evidence = inviteEvidence
        if let heard = registration.lastHeardAgo { evidence.append("it was last heard \(text(heard)) before the INVITE") }
        if let count = registration.unansweredKeepAlives, count > 0 { evidence.append("it has not answered the last \(count) keep-alives") }
        return Diagnosis(
            .natPinholeLost, "\(registration.user) is registered from behind NAT, and the INVITE to its pinhole \(facts.callee?.address.description ?? "") \(facts.unreachable.isEmpty ? "got no response" : "was refused"): the NAT has closed it.",
            evidence: evidence, advice: "Make the keep-alive period shorter than the life of the NAT's pinhole, or have the phone register more often.",
            missing: MissingMessage(.callee, received: true, "any response", at: calleeInvite ?? .zero))
    }

    private var noRoute: Diagnosis {
        Diagnosis(
            .noRoute, "No route leads to \(facts.calledNumber.isEmpty ? "this number" : facts.calledNumber).",
            advice: "Give a trunk a prefix that the number begins with, or \"\" as default route (`relayctl config show`).")
    }

    private func capacity(_ end: CallFacts.End) -> Diagnosis {
        if let busy = allRoutesBusy { return busy }
        return Diagnosis(
            .capacityLimit,
            "\(facts.reachedLimit ?? "A limit of concurrent calls was reached"), so the call was refused with SIP \(end.status).",
            advice: "See `capacity` of the trunks and limits.calls, beside the present calls (`relayctl calls`, `relayctl status`).")
    }

    private var allRoutesBusy: Diagnosis? {
        // The contacts of a user are no routes: the caller got the best of their responses, which is looked at by itself.
        guard facts.registration == nil, let list = failedAttempts else { return nil }
        return Diagnosis(
            .allRoutesBusy, "All \(facts.attempts.count) routes to \(facts.calledNumber) failed.", evidence: list,
            advice: "Each line above is a carrier to ask, or a limit to raise.")
    }

    /// What each of several routes or contacts said, when none of them took the call.
    private var failedAttempts: [String]? {
        guard facts.attempts.count >= 2, facts.attempts.allSatisfy({ $0.outcome != .status(200) }) else { return nil }
        return facts.attempts.map { attempt in
            switch attempt.outcome {
            case .status(let status): "\(attempt.route) said \(status)"
            case .noResponse: "\(attempt.route) did not respond"
            case .noAnswer: "\(attempt.route) did not answer in time"
            case .full: "\(attempt.route) is at its limit"
            case .resting: "\(attempt.route) has asked for a rest"
            case .down: "\(attempt.route) is out after failures"
            case .networkRefused: "\(attempt.route) cannot be sent to"
            case .unreachable(let meaning): "\(attempt.route) cannot be reached (ICMP \(meaning))"
            }
        }
    }

    private var noResponse: Diagnosis {
        if let busy = allRoutesBusy { return busy }
        return Diagnosis(
            .noResponse, "\(route) did not respond to the INVITE at all.", evidence: inviteEvidence,
            advice: "Is the other side up, does it know our address, and does a firewall let UDP through? `relayctl trace --address \(facts.callee?.address.description ?? "ADDRESS")` shows everything exchanged with it.",
            missing: MissingMessage(.callee, received: true, "any response", at: calleeInvite ?? .zero))
    }

    private func noAnswer(_ end: CallFacts.End) -> Diagnosis {
        let what = facts.rangAt != nil ? "rang" : "was being tried"
        return Diagnosis(
            .noAnswer, "The callee \(what) for \(text(end.at - (facts.rangAt ?? calleeInvite ?? .zero))) and nobody answered.",
            advice: facts.rangAt == nil ? "The other side took the call and never rang: ask it." : nil)
    }

    private func callerCancelled(_ end: CallFacts.End) -> Diagnosis {
        if let sent = calleeInvite, !hasHeardCallee, end.at - sent >= .seconds(2) {
            if let lost = natPinholeLost { return lost }
            return Diagnosis(
                .noResponse, "\(route) did not respond to the INVITE; the caller gave up after \(text(end.at)).", evidence: inviteEvidence,
                advice: "Is the other side up, does it know our address, and does a firewall let UDP through?",
                missing: MissingMessage(.callee, received: true, "any response", at: sent))
        }
        let state = facts.rangAt.map { "after it had rung for \(text(end.at - $0))" } ?? "before it rang, after \(text(end.at))"
        return Diagnosis(.callerGaveUp, "The caller gave up \(state).", evidence: slowRinging.map { [$0] } ?? [])
    }

    private var slowRinging: String? {
        guard let rang = facts.rangAt, rang >= .seconds(6) else { return nil }
        return "from INVITE to ringing it took \(text(rang))"
    }

    private func rejected(_ end: CallFacts.End) -> Diagnosis {
        if facts.attempts.count >= 2, let busy = allRoutesBusy, end.status != 486, end.status != 600, end.status != 603 { return busy }
        let who = facts.callee.flatMap(\.name) ?? "the callee's side"
        switch end.status {
        case 486, 600: return Diagnosis(.busy, "The callee is busy (SIP \(end.status)).")
        case 603, 607: return Diagnosis(.declined, "The callee declined the call (SIP \(end.status)).")
        case 404, 410, 484, 485, 604:
            return Diagnosis(
                .numberUnknown, "\(who) does not know the number \(facts.calledNumber) (SIP \(end.status)).",
                advice: "Compare the number's form, with or without + and country code, with what this route expects.")
        case 480: return Diagnosis(.calleeUnavailable, "\(who) says the callee cannot be reached at the moment (SIP 480).")
        case 401, 403, 407: return authenticationFailed(end, who)
        case 408, 504: return Diagnosis(.noAnswer, "\(who) waited in vain for the callee (SIP \(end.status)).")
        case 415, 488, 606: return codecMismatch(end, who)
        case 422:
            return Diagnosis(
                .sessionIntervalLoop, "\(who) refused the session interval (422), and the caller does not try again with a longer one.",
                advice: "Raise the caller's Session-Expires to at least the Min-SE in the 422.")
        default:
            return Diagnosis(
                .rejectedByRoute, "\(who) refused the call with SIP \(end.status).",
                evidence: ["`relayctl trace --method INVITE --number \(facts.calledNumber)` has the whole response"],
                advice: end.status >= 500 ? "A failure at the other side: a second route for this prefix would take such calls." : nil)
        }
    }

    private func authenticationFailed(_ end: CallFacts.End, _ who: String) -> Diagnosis {
        let hasCredentials = messages.count { $0.leg == .callee && !$0.isReceived && $0.method == .invite && $0.status == nil && !$0.isRetransmission } > 1
        let sentence = end.status == 403
            ? "\(who) forbids this call (SIP 403)."
            : hasCredentials
                ? "\(who) did not accept the credentials (SIP \(end.status))." : "\(who) asks for credentials (SIP \(end.status)), and there are none for it."
        return Diagnosis(
            .authenticationFailed, sentence,
            advice: "Check user and password of the trunk, and whether the other side knows the address \(facts.ownContact).")
    }

    private func codecMismatch(_ end: CallFacts.End, _ who: String) -> Diagnosis {
        var evidence: [String] = []
        if let media = facts.caller.media { evidence.append("offered: \(MediaRules.list(media.codecs))") }
        return Diagnosis(
            .codecMismatch, "\(who) accepts none of the offered codecs (SIP \(end.status)).", evidence: evidence,
            advice: "Let the caller offer a codec that this route supports; relayd does not transcode.")
    }

    private func mediaNotAcceptable(_ end: CallFacts.End) -> Diagnosis {
        if hasHeardCallee {
            return Diagnosis(
                .mediaNotAcceptable, "The callee answered without media that can be relayed.",
                advice: "Look at the SDP of its 200: `relayctl trace --method INVITE --number \(facts.calledNumber)`.")
        }
        return Diagnosis(
            .mediaNotAcceptable, "The caller's INVITE offers no media that can be relayed (SIP \(end.status)).",
            advice: "Look at its SDP: `relayctl trace --method INVITE --number \(facts.calledNumber)`.")
    }

    // MARK: Ends of connected calls that say what they are

    private func connectedEnd(_ end: CallFacts.End) -> Diagnosis? {
        switch end.cause {
        case .sessionTimeout: return sessionExpired
        case .peerLost: return peerLost
        case .maximumDuration:
            return Diagnosis(.durationLimit, (facts.reachedLimit ?? "The call reached the longest duration that is allowed") + ".")
        case .allRoutesBusy, .allRoutesDown:
            return allRoutesBusy
                ?? Diagnosis(
                    .allRoutesBusy,
                    "Every route to \(facts.calledNumber) \(end.cause == .allRoutesDown ? "is down" : "was busy or at its limit") (SIP \(end.status)).",
                    advice: "Look at `relayctl trunks`; raise `capacity` of a trunk, or add a route.")
        case .notRegistered: return registrationMissing ?? Diagnosis(.registrationExpired, "\(facts.calledNumber) is not registered, so there was nowhere to send the call.", advice: "Look at `relayctl trace --registrations --number \(facts.calledNumber)`.")
        case .sessionIntervalTooSmall:
            return Diagnosis(
                .sessionIntervalLoop, "The session interval that was asked for is too small (422), and the two sides did not agree on a longer one.",
                advice: "Raise Session-Expires on the side that asks for less, at least to the Min-SE in the 422.")
        default: return nil
        }
    }

    private var sessionExpired: Diagnosis {
        let request = unansweredRequest(among: [.invite, .update])
        let expired = facts.expiredSession
        let leg = request?.leg ?? expired?.leg
        let who = leg?.name ?? "other side"
        let interval = expired.map { "Session-Expires was \(text($0.interval))" }
        if let request {
            return Diagnosis(
                .refreshUnanswered, "The \(who) did not answer the session refresh (RFC 4028), so the call was ended.",
                evidence: ["\(request.method.rawValue) sent at \(text(request.at)) has no answer"] + [interval].compactMap(\.self),
                advice: "The endpoint is gone, or re-INVITE and UPDATE do not reach its Contact.",
                missing: MissingMessage(request.leg, received: true, "an answer to \(request.method.rawValue)", at: request.at))
        }
        if expired?.isOurs == true {
            return Diagnosis(
                .refreshUnanswered, "The \(who) refused to have the session refreshed (RFC 4028), until it expired and the call was ended.",
                evidence: [interval].compactMap(\.self),
                advice: "Look at what it says to re-INVITE and UPDATE: `relayctl trace --call ID`.")
        }
        return Diagnosis(
            .refreshUnanswered, "The \(who) had to refresh the session (RFC 4028) and did not in time, so the call was ended.",
            evidence: [interval].compactMap(\.self),
            advice: "The endpoint is gone, or its re-INVITE or UPDATE does not reach \(facts.ownContact).")
    }

    /// A request within the call was answered with 481 or 408, or not at all.
    private var peerLost: Diagnosis {
        guard let request = unansweredRequest(among: [.invite, .update, .info, .message]) else {
            return Diagnosis(
                .endpointGone, "One side does not know this call any more: it answered a request within it with 481 or 408.",
                advice: "That endpoint was restarted, or ended the call with a BYE that got lost.")
        }
        let who = request.leg.name
        let name = request.method == .invite ? "re-INVITE" : request.method.rawValue
        let missing = MissingMessage(request.leg, received: true, "an answer to \(request.method.rawValue)", at: request.at)
        // What the other side has asked for is passed on at once.
        let isPassed = messages.contains {
            $0.leg == request.leg.other && $0.isReceived && $0.status == nil && $0.method == request.method
                && $0.at <= request.at && request.at - $0.at < .seconds(1)
        }
        guard isPassed || [.info, .message].contains(request.method) else {
            return Diagnosis(
                .refreshUnanswered, "The \(who) did not answer the session refresh (RFC 4028), so the call was ended.",
                evidence: ["\(request.method.rawValue) sent at \(text(request.at)) has no answer in 32 s (64*T1)"],
                advice: "The endpoint is gone, or re-INVITE and UPDATE do not reach its Contact.", missing: missing)
        }
        return Diagnosis(
            .endpointGone, "The \(who) did not answer the \(name) for 32 s (64*T1), so it was taken for gone and the call was ended.",
            evidence: ["\(request.method.rawValue) sent at \(text(request.at)) has no answer"],
            advice: "A crash, a power cut or a lost network at \(facts.party(request.leg)?.address.description ?? "its side").",
            missing: missing)
    }

    /// The last of relayd's requests within the call that has no final response.
    private func unansweredRequest(among methods: [MessageFact.Method]) -> MessageFact? {
        messages.last { request in
            guard !request.isReceived, request.status == nil, !request.isRetransmission, methods.contains(request.method),
                request.at > facts.answeredAt ?? .zero
            else { return false }
            return !messages.contains {
                $0.leg == request.leg && $0.isReceived && $0.method == request.method && $0.status ?? 0 >= 200 && $0.at >= request.at
            }
        }
    }

    // MARK: Helpers

    /// When the INVITE went out.
    private var calleeInvite: Duration? {
        messages.first { $0.leg == .callee && !$0.isReceived && $0.method == .invite && $0.status == nil }?.at
    }

    private var hasHeardCallee: Bool { messages.contains { $0.leg == .callee && $0.isReceived } }

    private var route: String {
        let address = facts.callee?.address.description ?? "the callee's side"
        return facts.callee?.name.map { "\($0) (\(address))" } ?? address
    }

    private var inviteEvidence: [String] {
        let count = messages.count { $0.leg == .callee && !$0.isReceived && $0.method == .invite && $0.status == nil }
        return ["the INVITE was sent \(count == 1 ? "once" : "\(count) times") to \(facts.callee?.address.description ?? "-")"]
    }
}
