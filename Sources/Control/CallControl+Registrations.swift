import ControlProtocol
import Core
import Configuration
import SIP

/// Credentials towards trunks, and our registrations with them.
extension CallControl {
    // MARK: Credentials

    /// What a request to a trunk carries when it has challenged us before.
    mutating func authorization(for state: TrunkState?, _ method: Method, uri: [UInt8]) -> (HeaderName, [UInt8])? {
        guard let state, var digest = state.digest, let username = state.trunk.username else { return nil }
        let trunk = state.trunk
        let value = digest.authorization(
            username: Array(username.utf8), password: Array((trunk.password ?? "").utf8), method: method, uri: uri,
            clientNonce: Array(random.token(count: 16).utf8), engine: digestEngine)
        state.digest = digest
        return (digest.header, value)
    }

    /// Takes a 401 or 407. False when there is nothing to answer it with, or when it refuses the answer it got.
    mutating func takeChallenge(_ response: SIPMessage, of name: String, attempt: Int) -> Bool {
        guard trunkStates[name]?.trunk.username != nil, let digest = DigestClient(response, engine: digestEngine) else {
            return false
        }
        // A nonce that was good before may be too old now; what was just computed for a fresh one is wrong when it is refused.
        guard attempt == 0 || (attempt == 1 && digest.challenge.isStale) else { return false }
        trunkStates[name]?.digest = digest
        return true
    }

    // MARK: REGISTER

    mutating func registerIfDue(_ name: String, now: Instant) {
        guard let registration = trunkStates[name]?.registration, let due = registration.due, due <= now, !isDraining,
            registration.transaction == nil
        else { return }
        trunkStates[name]?.registration.due = nil
        trunkStates[name]?.registration.challenges = 0
        sendRegister(of: name, now: now)
    }

    private mutating func sendRegister(of name: String, now: Instant) {
        guard let state = trunkStates[name] else { return }
        var registration = state.registration
        let trunk = state.trunk
        let flow = Flow(trunk.transport, to: trunk.registrar ?? trunk.address)
        let local = endpoint(for: flow)
        let user = trunk.registerUser ?? trunk.username ?? ""
        let branch = newBranch()
        let uri = "sip:\(flow.remote)"
        if registration.callID.isEmpty { registration.callID = "\(random.token(count: 20))@\(local.address.ip)" }
        registration.sequence += 1
        let expires = registration.isEnding ? .zero : registration.expires ?? trunk.registerExpires
        var builder = MessageBuilder(request: .register, uri: uri)
        builder.add(.via, local.via(branch: branch))
        builder.add(.maxForwards, "70")
        builder.add(.from, "<sip:\(user)@\(flow.remote)>;tag=\(random.token(count: 12))")
        builder.add(.to, "<sip:\(user)@\(flow.remote)>")
        builder.add(.callID, registration.callID)
        builder.add(.cseq, "\(registration.sequence) REGISTER")
        builder.add(.contact, "<sip:\(user)@\(local.hostAndParameters)>")
        builder.add(.expires, "\(expires.components.seconds)")
        if let (header, value) = authorization(for: trunkStates[name], .register, uri: Array(uri.utf8)) { builder.add(header, octets: value) }
        builder.add(lines: Self.allowLine)
        builder.add(lines: settings.userAgentLine)
        var results = resultList()
        let id = transactions.send(
            builder.finish(), method: .register, branch: branch, to: flow, now: now, outputs: &results)
        registration.transaction = id
        trunkTransactions[id] = name
        trunkStates[name]?.registration = registration
        enqueue(&results)
    }

    mutating func registerAnswered(_ response: SIPMessage, _ status: Int, _ name: String, now: Instant) {
        guard let registration = trunkStates[name]?.registration else { return }
        trunkStates[name]?.registration.transaction = nil
        switch status {
        case 200..<300: registered(response, name, now: now)
        case 401, 407:
            guard takeChallenge(response, of: name, attempt: registration.challenges) else {
                return registerFailed("\(status): it refuses our credentials", retryAfter: nil, name, now: now)
            }
            trunkStates[name]?.registration.challenges += 1
            sendRegister(of: name, now: now)
        case 423:
            // Too brief: once more with what the registrar wants (§10.2.8).
            guard let least = response.text(.minExpires).flatMap({ Int64($0) }), !registration.isEnding,
                least > (registration.expires ?? trunkStates[name]?.trunk.registerExpires ?? .zero).components.seconds,
                least <= 604_800
            else { return registerFailed("423 without a usable Min-Expires", retryAfter: nil, name, now: now) }
            trunkStates[name]?.registration.expires = .seconds(least)
            sendRegister(of: name, now: now)
        default:
            let seconds = response.text(.retryAfter).flatMap { Int($0.prefix { $0.isASCII && $0.isNumber }) }
            registerFailed(
                "\(status) \(response.reasonPhrase)", retryAfter: seconds.map { .seconds(min(max($0, 1), 3_600)) }, name, now: now)
        }
    }

    private mutating func registered(_ response: SIPMessage, _ name: String, now: Instant) {
        guard let state = trunkStates[name] else { return }
        if state.registration.isEnding {
            trunkStates[name]?.registration.isEnding = false
            trunkStates[name]?.registration.until = nil
            return
        }
        let wasStanding = state.registration.isStanding(at: now)
        let granted = grantedExpires(response, of: state)
        trunkStates[name]?.registration.succeeded(until: now + granted)
        planRegister(of: name, at: now + OutboundRegistration.refresh(after: granted))
        if !wasStanding {
            emit(.trunkRegistered, for: nil, ["trunk": name, "expires_seconds": "\(granted.components.seconds)"], now: now)
        }
    }

    /// What the registrar granted to our own Contact, else the Expires header, else what we asked for (§10.2.4).
    private func grantedExpires(_ response: SIPMessage, of state: TrunkState) -> Duration {
        let local = endpoint(for: Flow(state.trunk.transport, to: state.trunk.registrar ?? state.trunk.address)).address
        var granted = response.text(.expires).flatMap { Int($0) }
        for value in response.listValues(.contact) {
            guard let contact = NameAddress(String(decoding: value, as: UTF8.self)), contact.uri.socketAddress == local else {
                continue
            }
            granted = contact.parameter("expires").flatMap { Int($0) } ?? granted
        }
        let asked = state.registration.expires ?? state.trunk.registerExpires
        return granted.map { .seconds(min(max($0, 10), 604_800)) } ?? asked
    }

    mutating func registerFailed(_ reason: String, retryAfter: Duration?, _ name: String, now: Instant) {
        guard var registration = trunkStates[name]?.registration else { return }
        registration.transaction = nil
        let isFirst = registration.failures == 0
        let wait = registration.failed(reason, isRefused: currentError != nil)
        let wasEnding = registration.isEnding
        registration.isEnding = false
        trunkStates[name]?.registration = registration
        guard !wasEnding, !isDraining else { return }
        planRegister(of: name, at: now + (retryAfter ?? wait))
        if isFirst { emit(.trunkNotRegistered, for: nil, ["trunk": name, "reason": reason], now: now) }
    }

    /// Takes our contacts off every registrar, at the end of the daemon.
    mutating func endRegistrations(now: Instant) {
        for trunk in configuration.trunks { endRegistration(of: trunk.name, now: now) }
    }

    mutating func endRegistration(of name: String, now: Instant) {
        guard trunkStates[name]?.registration.isStanding(at: now) == true else { return }
        trunkStates[name]?.registration.due = nil
        trunkStates[name]?.registration.isEnding = true
        trunkStates[name]?.registration.challenges = 0
        sendRegister(of: name, now: now)
    }

    func registrationText(_ state: TrunkState, now: Instant) -> String {
        let registration = state.registration
        if let until = registration.until, now < until {
            let text = "registered, \((until - now).components.seconds) s left"
            return registration.lastFailure.map { "\(text); refresh failed: \($0)" } ?? text
        }
        return registration.lastFailure.map { "not registered: \($0)" } ?? "registering"
    }
}
