package import ControlProtocol
package import Core
import Configuration
import Diagnosis
import Relay
import SIP

/// Choosing the next route of a call, and what is known of each trunk: its limits, its health, its probes.
extension CallControl {
    /// Why no route is left.
    enum NoRoute {
        case unknownNumber
        /// Each is at its limit, rests, or is out.
        case busy(retryAfter: Duration)
        case down
    }

    // MARK: Routes

    /// Takes the next route that a call may use, and its place in the limits of that trunk.
    mutating func nextRoute(of call: Call, now: Instant) -> Result<CalleeTarget, RouteFailure> {
        guard !call.routes.isEmpty else { return .failure(RouteFailure(reason: .unknownNumber)) }
        var rest: Duration?
        var isBusy = false
        var outCandidate: Routing.Candidate?
        while !call.routes.isEmpty, call.routesTried < configuration.routing.attempts {
            let candidate = call.routes[0]
            call.routes = Array(call.routes.dropFirst())
            let trunk = candidate.trunk
            guard let state = trunkStates[trunk.name] else { continue }
            if state.health.isDown {
                call.skippedRoutes.append(CallFacts.Attempt(trunk.name, .down))
                outCandidate = outCandidate ?? candidate
                continue
            }
            if state.health.rests(at: now) {
                rest = min(rest ?? .seconds(3_600), (state.health.restsUntil ?? now) - now)
                isBusy = true
                call.skippedRoutes.append(CallFacts.Attempt(trunk.name, .resting))
                continue
            }
            let isFull = trunk.capacity > 0 && state.load.calls >= trunk.capacity
                && !call.occupies(state.load)
            if isFull || !state.outgoing.take(now: now) {
                isBusy = true
                call.skippedRoutes.append(CallFacts.Attempt(trunk.name, .full))
                continue
            }
            call.routesTried += 1
            occupy(state.load, by: call)
            return .success(target(of: call, by: candidate, state))
        }
        if let outCandidate, !isBusy, let state = trunkStates[outCandidate.trunk.name],
            takeLastResort(outCandidate.trunk, state, call, now: now)
        {
            return .success(target(of: call, by: outCandidate, state))
        }
        let retryAfter = max(configuration.limits.retryAfter, rest ?? .zero)
        return .failure(RouteFailure(reason: isBusy ? .busy(retryAfter: retryAfter) : .down))
    }

    /// Nothing else is left: the probe may not have seen yet that the trunk is back. One call a second finds out.
    private mutating func takeLastResort(_ trunk: SharedTrunk, _ state: TrunkState, _ call: Call, now: Instant) -> Bool {
        guard configuration.routing.lastResort, call.routesTried == 0,
            trunk.capacity == 0 || state.load.calls < trunk.capacity,
            state.lastResortAt.map({ now - $0 >= .seconds(1) }) ?? true, state.outgoing.take(now: now)
        else { return false }
        state.lastResortAt = now
        call.routesTried += 1
        occupy(state.load, by: call)
        return true
    }

    struct RouteFailure: Error {
        let reason: NoRoute
    }

    /// Every branch of an attempt has failed: tries the next one, or tells the caller how it failed.
    ///
    /// The contacts of a user are branches of one fork, whatever their q: the caller gets the best of all their responses
    /// (RFC 3261 §16.7, step 6). Of trunks it is the response of the last one: whatever those before it said was taken for a
    /// failure of the route, and this one may be the callee's own word.
    mutating func attemptFailed(
        _ id: BranchID, _ failure: BackToBackCall.Release, of call: Call, now: Instant
    ) {
        call.choose(id)
        // A 6xx speaks for every contact of the user, those of a lower q too (RFC 3261 §16.7, step 5).
        if failure.cause == .rejected, failure.status >= 600 { call.attempts = [] }
        if call.attempts.isEmpty, mayFailOver(call, after: failure) {
            // The caller's own place stays taken, also where its trunk is the one that failed.
            if let load = call.chosenBranch?.target.state?.load, load !== call.callerState?.load { vacate(load, by: call) }
            if case .success(let target) = nextRoute(of: call, now: now) {
                call.attempts = [CalleeAttempt(target)]
                counters.add(to: .callsRerouted)
                emit(
                    .callRerouted, for: call,
                    [
                        "from_trunk": call.calleeTrunk?.name ?? "", "to_trunk": target.trunk?.name ?? "",
                        "cause": failure.cause.rawValue, "status": "\(failure.status)",
                    ], now: now)
            }
        }
        guard call.attempts.isEmpty else { return placeNextAttempt(of: call, now: now) }
        var failure = failure
        if call.registration != nil, let best = call.machine.bestFailure {
            call.choose(best.branch)
            failure = best.release
            if failure.cause == .notRegistered, let branch = call.chosenBranch {
                // It was, when the call began.
                let isFlowFailed = branch.response?.status == 430
                let transport = branch.target.destination.transport
                call.registration?.state = isFlowFailed ? .flowFailed(ago: nil) : .cutOff(transport, ago: .zero)
            }
        }
        enqueue(.release(cause: failure.cause, status: failure.status, party: failure.party), for: call.number)
    }

    /// Whether a failure may lie with the route. Not once the callee was heard, nor when it was the callee's own word.
    private mutating func mayFailOver(_ call: Call, after failure: BackToBackCall.Release) -> Bool {
        guard !call.routes.isEmpty, !isDraining, let trunk = call.calleeTrunk else { return false }
        if call.mediumNumbers.contains(where: { lastHeard(.callee, call[medium: $0]) != nil }) { return false }
        // Nobody sees media that goes past relayd: once the caller has an address it may be sent to.
        if call.isDirect, call.describedBranch != nil { return false }
        switch failure.cause {
        case .inviteTimeout, .tryingTimeout, .progressTimeout, .transportFailed, .peerUnreachable: return true
        case .rejected, .loopDetected:
            guard !StatusPattern.isReached(failure.status) else { return false }
            return configuration.failover(for: trunk.value).contains { $0.range.contains(failure.status) }
        default: return false
        }
    }

    /// The called user at a trunk, as route and trunk want it: parameters as they came, host and port of the trunk.
    mutating func target(of call: Call, by candidate: Routing.Candidate, _ state: TrunkState?) -> CalleeTarget {
        let trunk = candidate.trunk
        let called = trunk.calledOut.apply(to: candidate.called.apply(to: call.routedNumber))
        let dialled = call.invite.uri
        let isPhone = dialled.scheme == .tel || dialled.parameter("user") == "phone"
        // To names whom the caller dialled; only where that is the number which is routed does it follow the rewriting.
        let toUser = call.invite.to.uri.user
        let to = toUser == call.calledNumber ? called : toUser ?? ""
        // What was promised to the caller holds on both legs; with sips the transport is TLS anyway (RFC 5630 §3.1.3).
        let isSecure = dialled.scheme == .sips
        var uri = Self.uri(isSecure ? "sips:" : "sip:", called, at: trunk.address)
        if trunk.transport != .udp, !isSecure { uri += ";transport=\(trunk.transport.rawValue)".utf8 }
        if isPhone { uri.append(";user=phone") }
        let target = CalleeTarget(
            trunk: trunk, state, timers: settings.timers(for: trunk), uri: uri, to: Self.uri("sip:", to, at: trunk.address))
        if let caller = call.callerIdentity ?? call.invite.from.uri.user {
            let rewritten = (call.callerTrunk?.callerIn ?? []).apply(to: caller)
            target.fromUser = trunk.callerOut.apply(to: candidate.caller.apply(to: rewritten))
        }
        return target
    }

    private static func uri(_ scheme: StaticString, _ user: String, at address: SocketAddress) -> [UInt8] {
        var uri: [UInt8] = []
        uri.reserveCapacity(80)
        uri.append(scheme)
        if !user.isEmpty {
            uri.append(copying: user.utf8.span)
            uri.append(UInt8(ascii: "@"))
        }
        address.append(to: &uri)
        return uri
    }

    // MARK: Limits

    /// A call takes one of a trunk's capacity, also when it comes from it and goes to it.
    mutating func occupy(_ load: TrunkLoad, by call: Call) {
        guard !call.occupies(load) else { return }
        precondition(call.occupiedTrunks.one == nil || call.occupiedTrunks.other == nil, "a call leaves a route before the next one")
        let (one, other) = call.occupiedTrunks
        call.occupiedTrunks = one == nil ? (load, other) : (one, load)
        load.add()
    }

    private mutating func vacate(_ load: TrunkLoad, by call: Call) {
        guard call.occupies(load) else { return }
        let (one, other) = call.occupiedTrunks
        call.occupiedTrunks = one === load ? (nil, other) : (one, nil)
        load.remove()
    }

    mutating func vacateTrunks(of call: Call) {
        call.occupiedTrunks.one?.remove()
        call.occupiedTrunks.other?.remove()
        call.occupiedTrunks = (nil, nil)
    }

    // MARK: Health

    /// A response to an INVITE says how its trunk is.
    mutating func noteResponse(_ response: SIPMessage, of branch: Branch, now: Instant) {
        guard let state = branch.target.state, let status = response.status else { return }
        let name = state.trunk.name
        if status == 503 {
            let seconds = response.text(.retryAfter).flatMap { Int($0.prefix { $0.isASCII && $0.isNumber }) }
            trunkFailed(
                name, "503 \(response.reasonPhrase)", retryAfter: seconds.map { .seconds(min($0, 3_600)) }, now: now)
        } else {
            trunkIsAlive(state, now: now)
        }
    }

    mutating func trunkFailed(_ name: String, _ reason: String, retryAfter: Duration? = nil, now: Instant) {
        let change = trunkStates[name]?.health.failed(
            reason, retryAfter: retryAfter, limit: configuration.routing.failures, now: now)
        guard change == .wentDown, !isDraining else { return }
        counters.add(to: .trunksWentDown)
        emit(.trunkDown, for: nil, ["trunk": name, "reason": reason], now: now)
        planProbe(of: name, at: now + probeInterval)
    }

    /// An OPTIONS that ICMP ends at once is not sent again for 32 s: the next one follows as soon as a repetition would.
    private var probeInterval: Duration {
        let interval = configuration.routing.probeInterval
        return currentError == nil ? interval : min(interval, TimerValues.standard.t2)
    }

    private mutating func trunkIsAlive(_ state: TrunkState, now: Instant) {
        guard state.health.isAlive(now: now) == .cameUp, trunkStates[state.trunk.name] === state else { return }
        emit(.trunkUp, for: nil, ["trunk": state.trunk.name], now: now)
        if state.trunk.probe != .always { state.nextProbe = nil }
    }

    // MARK: Probes

    /// Trunks that are probed at all times are probed from the start, and registrations begin. Once, after `init`.
    package mutating func startTrunks(now: Instant) {
        for trunk in configuration.trunks where trunk.probe == .always { planProbe(of: trunk.name, at: now) }
        for trunk in configuration.trunks where trunk.register == .on { planRegister(of: trunk.name, at: now) }
    }

    mutating func planRegister(of name: String, at due: Instant) {
        trunkStates[name]?.registration.due = due
        trunkTimers.schedule(name, at: due)
    }

    mutating func planProbe(of name: String, at due: Instant) {
        trunkStates[name]?.nextProbe = due
        trunkTimers.schedule(name, at: due)
    }

    mutating func trunkTimerDue(_ name: String, now: Instant) {
        registerIfDue(name, now: now)
        guard let state = trunkStates[name], let due = state.nextProbe, due <= now, !isDraining else { return }
        trunkStates[name]?.nextProbe = nil
        if state.trunk.probe == .off {
            if trunkStates[name]?.health.giveChance(limit: configuration.routing.failures) == .cameUp {
                emit(.trunkUp, for: nil, ["trunk": name, "reason": "not probed, tried again"], now: now)
            }
        } else if state.probe == nil {
            sendProbe(to: name, now: now)
        }
    }

    /// OPTIONS outside of any dialog (RFC 3261 §11.1).
    mutating func sendProbe(to name: String, now: Instant) {
        guard let trunk = trunkStates[name]?.trunk else { return }
        let flow = Flow(trunk.transport, to: trunk.address)
        let local = endpoint(for: flow)
        let branch = newBranch()
        var builder = MessageBuilder(request: .options, uri: "sip:\(trunk.address)")
        builder.add(.via, local.via(branch: branch))
        builder.add(.maxForwards, "70")
        builder.add(.from, "<sip:\(local.address)>;tag=\(random.token(count: 12))")
        builder.add(.to, "<sip:\(trunk.address)>")
        builder.add(.callID, "\(random.token(count: 20))@\(local.address.ip)")
        builder.add(.cseq, "1 OPTIONS")
        builder.add(.contact, local.contact)
        builder.add(.accept, "application/sdp")
        builder.add(lines: settings.userAgentLine)
        var results = resultList()
        let id = transactions.send(
            builder.finish(), method: .options, branch: branch, to: flow, now: now, outputs: &results)
        trunkStates[name]?.probe = (id, now)
        trunkTransactions[id] = name
        enqueue(&results)
    }

    /// A response to a request that belongs to a trunk and to no call; false when it does not.
    mutating func receiveTrunkResponse(_ id: TransactionID, _ response: SIPMessage, now: Instant) -> Bool {
        guard let name = trunkTransactions[id], let status = response.status else { return false }
        if trunkStates[name]?.registration.transaction == id {
            if status >= 200 { registerAnswered(response, status, name, now: now) }
            return true
        }
        guard status >= 200, let probe = trunkStates[name]?.probe, probe.transaction == id else { return true }
        trunkStates[name]?.probeRoundTrip = now - probe.sentAt
        let text = "\(status) \(response.reasonPhrase)"
        // Any answer shows that somebody is there, but for these two, which a proxy before it gives.
        if status == 408 || status == 503 {
            probeEnded(of: name, text, failed: true, now: now)
        } else {
            probeEnded(of: name, text, failed: false, now: now)
        }
        return true
    }

    /// A transaction that belongs to a trunk got no response, or could not be sent; false when it is none.
    mutating func trunkTransactionFailed(_ id: TransactionID, _ reason: String, now: Instant) -> Bool {
        guard let name = trunkTransactions[id] else { return false }
        if trunkStates[name]?.registration.transaction == id { registerFailed(reason, retryAfter: nil, name, now: now) }
        if trunkStates[name]?.probe?.transaction == id {
            trunkStates[name]?.probeRoundTrip = nil
            probeEnded(of: name, reason, failed: true, now: now)
        }
        return true
    }

    private mutating func probeEnded(of name: String, _ result: String, failed: Bool, now: Instant) {
        guard let state = trunkStates[name] else { return }
        trunkStates[name]?.probe = nil
        trunkStates[name]?.probeResult = result
        if failed { trunkFailed(name, "OPTIONS: \(result)", now: now) } else { trunkIsAlive(state, now: now) }
        let isWatched = state.trunk.probe == .always || (failed && trunkStates[name]?.health.isDown == true)
        if isWatched, !isDraining { planProbe(of: name, at: now + probeInterval) }
        for waiting in waitingProbes where waiting.trunk == name {
            output(
                .probed(
                    waiting.token,
                    ProbeReport(
                        trunk: name, address: state.trunk.address, result: result,
                        milliseconds: trunkStates[name]?.probeRoundTrip.map { $0.inSeconds * 1_000 })))
        }
        waitingProbes.removeAll { $0.trunk == name }
    }

    /// Asks a trunk now for an operator; the answer comes as output `probed`. False when there is no such trunk.
    package mutating func probe(_ name: String, token: UInt64, now: Instant) -> Bool {
        guard let state = trunkStates[name] else { return false }
        waitingProbes.append((token, name))
        if state.probe == nil { sendProbe(to: name, now: now) }
        drain(now)
        return true
    }

    // MARK: Reports

    package func trunkReports(now: Instant) -> [TrunkReport] {
        configuration.trunks.compactMap { trunkStates[$0.name] }.map { state in
            let health = state.health
            let condition: TrunkReport.State = health.isDown ? .down : health.rests(at: now) ? .resting : .up
            return TrunkReport(
                name: state.trunk.name, address: state.trunk.address, state: condition,
                since: health.downSince.map(wallTime), restsUntil: health.rests(at: now) ? health.restsUntil.map(wallTime) : nil,
                calls: state.load.calls, capacity: state.trunk.capacity,
                callsPerSecond: state.rate(at: now), callsPerSecondLimit: state.trunk.callsPerSecond,
                attempts: state.attempts, answered: state.answered,
                answerSeizureRatio: state.attempts == 0 ? nil : Double(state.answered) / Double(state.attempts),
                averageCallSeconds: state.ended == 0 ? nil : state.duration.inSeconds / Double(state.ended),
                lastFailure: health.lastFailure?.reason, lastFailureAt: health.lastFailure.map { wallTime($0.at) },
                registration: state.trunk.register == .on ? registrationText(state, now: now) : nil,
                probe: state.probeResult, probeMilliseconds: state.probeRoundTrip.map { $0.inSeconds * 1_000 })
        }
    }
}
