import Configuration
package import ControlProtocol
package import Core
package import SIP

/// Requests from sources that are no trunk and no phone: refused before they cost a transaction, a call or a record.
extension CallControl {
    /// Whether we have to do with `flow` by our own will: a trunk, wherever it is called or calls from, or a registered phone.
    package mutating func isKnown(_ flow: Flow) -> Bool {
        isTrunk(flow) || isRegistered(flow) || routing.isTrunkAddress(flow.remote)
    }

    mutating func isTrunk(_ flow: Flow) -> Bool { routing.trunk(from: flow.remote, isStream: flow.isReliable) != nil }

    mutating func isRegistered(_ flow: Flow) -> Bool {
        phones != nil && phones!.registrar.table.binding(from: flow.remote) != nil
    }

    /// A request of nobody we know that cannot lead to a challenge either: there is nothing it could become.
    mutating func isStrangers(_ request: SIPMessage, from source: Flow, now: Instant) -> Bool {
        let mayProveItself = phones != nil && request.toTag == nil && (request.method == .register || request.method == .invite)
        return !mayProveItself && !isTrunk(source) && !isRegistered(source) && !isFromDoctor(source.remote, now: now)
    }

    /// Refuses a stranger's request, or drops it: above its rate, and always when `sip.strangers` says so.
    ///
    /// Stateless (RFC 3261 §8.2.7, §16.11): a repeated request gets the same answer, and the ACK for it belongs to nothing.
    mutating func refuseStranger(_ request: SIPMessage, from source: Flow, now: Instant) {
        if answerMonitor(request, from: source, now: now) { return }
        counters.add(to: .sipUnknownSource)
        let isOfDialog = request.toTag != nil || request.method == .cancel
        let status = isOfDialog ? 481 : 403
        guard noteStranger(request, status: status, from: source, now: now) else { return }
        answerStateless(request, status: status, from: source)
    }

    /// Answers the OPTIONS of those that `sip.monitors` names: whether relayd is there, and nothing else. Without a transaction,
    /// and no more often than strangers are answered: their addresses can be forged like any.
    private mutating func answerMonitor(_ request: SIPMessage, from source: Flow, now: Instant) -> Bool {
        guard request.method == .options, request.toTag == nil, !configuration.sip.monitors.isEmpty,
            configuration.sip.monitors.contains(where: { $0.contains(source.remote, ignoringPort: source.isReliable) }),
            monitorRate.take(now: now)
        else { return false }
        counters.add(to: .sipMonitorsAnswered)
        answerStateless(request, status: 200, from: source)
        return true
    }

    /// Counts a stranger's request and tells of its source where that is due.
    ///
    /// - Returns: whether it is to be answered.
    mutating func noteStranger(_ request: SIPMessage, status: Int, from source: Flow, now: Instant) -> Bool {
        let isAnswered = configuration.sip.strangers == .refuse
        let routing = routing
        let verdict = strangers.note(
            source.remote, now: now, hint: { routing.hint(about: source.remote) },
            describe: {
                StrangerRequest(
                    at: now, source: source.remote, transport: source.transport, method: String(request.methodText.prefix(32)),
                    callID: String(decoding: request.callID.prefix(128), as: UTF8.self),
                    caller: String((request.from.uri.user ?? "").prefix(64)), called: String((request.uri.user ?? "").prefix(64)),
                    userAgent: String((request.text(.userAgent) ?? "").prefix(64)), status: isAnswered ? status : nil)
            })
        if verdict.isToBeTold, let entry = strangers.entry(of: source.ip) {
            emit(
                .strangerRefused, for: nil,
                [
                    "source": source.description, "method": entry.last.method, "from": entry.last.caller, "to": entry.last.called,
                    "agent": entry.last.userAgent, "requests": "\(entry.requests)", "hint": entry.hint,
                    "answer": isAnswered ? "\(status)" : "none",
                ], now: now)
        }
        if !(isAnswered && verdict.isInRate) { counters.add(to: .sipStrangersUnanswered) }
        return isAnswered && verdict.isInRate
    }

    /// An answer without a transaction: a repeated request gets the same one.
    ///
    /// Over UDP, to an address that has proven nothing, it is no larger than the request, so that nobody can be flooded by way
    /// of us: with compact header names where that helps, else it is not sent.
    mutating func answerStateless(
        _ request: SIPMessage, status: Int, reason: String? = nil, _ headers: [(HeaderName, String)] = [], from source: Flow
    ) {
        let isTrusted = isKnown(source)
        let limit = source.isReliable || isTrusted ? Int.max : request.octets.count
        let tag = TransactionKey(request: request).tag
        for isCompact in [false, true] {
            var builder = MessageBuilder.response(
                to: request, status: status, reason: reason, toTag: tag, source: source.remote, isCompact: isCompact)
            for (name, value) in headers { builder.add(name, value) }
            // A stranger need not know who is here.
            if isTrusted { builder.add(lines: settings.serverLine) }
            let octets = isCompact ? builder.finishDatagram() : builder.finish()
            guard octets.count <= limit else { continue }
            return output(.send(octets, to: ResponseDestination.flow(for: request, source: source), transaction: nil))
        }
        counters.add(to: .sipAnswersWithheld)
    }

    // MARK: For operators

    /// What `relayctl strangers` shows.
    package func strangerReport(limit: Int) -> StrangerReport {
        StrangerReport(
            policy: configuration.sip.strangers.rawValue, requests: counters[.sipUnknownSource],
            unanswered: counters[.sipStrangersUnanswered], sources: strangers.count,
            shown: strangers.busiest(limit).map { entry in
                StrangerReport.Source(
                    source: entry.source.family == .ipv4 ? entry.source.description : "\(entry.source)/64",
                    lastAddress: entry.last.source, transport: entry.last.transport, requests: entry.requests,
                    answers: entry.answers, firstAt: wallTime(entry.firstSeen), lastAt: wallTime(entry.lastSeen),
                    method: entry.last.method, caller: entry.last.caller, called: entry.last.called,
                    userAgent: entry.last.userAgent, callID: entry.last.callID, hint: entry.hint)
            })
    }

    /// Sentences for `relayctl status` about sources of the last hour that a trunk was probably meant to be; at most three.
    package func strangerWarnings(now: Instant) -> [String] {
        strangers.slips(now: now).prefix(3).map {
            "A request from \($0.last.source) which is no trunk (\($0.requests) so far): \($0.hint). See `relayctl strangers`."
        }
    }

    /// What became of a stranger's request: by its address, its Call-ID or a number in it.
    func explainStranger(_ name: String) -> CallExplanation? {
        let entry = (IPAddress(name) ?? SocketAddress(name)?.ip).flatMap { strangers.entry(of: $0) }
        let found = entry?.last ?? strangers.newest { $0.callID == name }
            ?? strangers.newest { CallEvidence.isNumber(name, of: ($0.caller, $0.called)) }
        guard let request = found, let entry = entry ?? strangers.entry(of: request.source.ip) else { return nil }
        let answer = request.status.map { "was answered \($0)" } ?? "was dropped (sip.strangers)"
        let ladder = [
            LadderEntry(at: wallTime(request.at), milliseconds: 0, leg: .caller, direction: .in, text: request.method),
        ] + (request.status.map { [LadderEntry(at: wallTime(request.at), milliseconds: 0, leg: .caller, direction: .out, text: "\($0)")] } ?? [])
        return CallExplanation(
            recordID: "", callerNumber: request.caller, calledNumber: request.called, callerAddress: request.source,
            callerCallID: request.callID, setupAt: wallTime(request.at), releaseAt: wallTime(request.at), cause: .unknownSource,
            sipCode: request.status, verdict: .unknownSource,
            sentence: "A request from \(request.source) which is no trunk: \(request.method) \(answer).",
            evidence: [
                entry.hint,
                "\(entry.requests) requests from there since \(wallTime(entry.firstSeen)), \(entry.answers) answered",
                "requests of strangers leave no record: the last of each source is in `relayctl strangers`, messages in `relayctl trace`",
            ],
            advice: "If it is a customer or carrier, put the address into `sources` of its trunk; if not, somebody was trying.",
            ladder: ladder)
    }
}

extension Routing {
    /// How a stranger's address relates to those of trunks; urgent when a slip in the configuration is likely.
    func hint(about address: SocketAddress) -> (text: String, isUrgent: Bool) {
        if let trunk = trunk(from: address, isStream: true) {
            let source = trunk.sources.first { $0.contains(address, ignoringPort: true) }
            return (
                "trunk \"\(trunk.name)\" is \(source?.description ?? "there"), that port alone: to take its requests from any port "
                    + "set sources = [\"\(address.ip)\"]", true
            )
        }
        if let trunk = trunk(called: address.ip) {
            return ("trunk \"\(trunk.name)\" is called at this host, but its `sources` leave it out", true)
        }
        if let trunk = trunk(near: address.ip) {
            return (
                "trunk \"\(trunk.name)\" is close by, at \(trunk.sources.map(\.description).joined(separator: ", ")): is one of "
                    + "the addresses mistyped?", true
            )
        }
        return ("no trunk has this address among its sources", false)
    }
}
