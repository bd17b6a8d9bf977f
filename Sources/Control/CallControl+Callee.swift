import Configuration
import ControlProtocol
import Core
import Relay
import SIP

/// The callee's leg: the INVITE that is placed, what comes back, and the media of both legs.
extension CallControl {
    /// What goes to the callee as it came, because neither leg's addresses are in it.
    private static let passedThrough: Set<HeaderName> = [
        .alertInfo, .callInfo, .date, .diversion, .historyInfo, .organization, .pAssertedIdentity, .pPreferredIdentity,
        .priority, .privacy, .remotePartyID, .subject,
    ]

    /// Answers of this many further branches of a fork are acknowledged; a peer that makes up more is not served.
    private static let maximumForks = 16

    /// What we are called on the way to `flow`.
    func endpoint(for flow: Flow) -> LocalEndpoint { endpoints.endpoint(for: flow) }

    mutating func newBranch() -> String { "z9hG4bK" + random.token(count: 16) }

    // MARK: Requests to the callee

    mutating func inviteCallee(_ number: CallNumber, now: Instant) {
        guard let call = calls[number], let trunk = call.calleeTrunk, let offer = call.offer,
            let port = call.media?.calleePort
        else { preconditionFailure("an INVITE is placed once media is open") }
        let flow = Flow(trunk.transport, to: trunk.address)
        let sentBy = endpoint(for: flow)
        let target = calleeURI(of: call, at: trunk)
        let localTag = random.token(count: 12)
        let from = call.invite.from
        let displayName = from.displayNameOctets.map { String(decoding: $0, as: UTF8.self) + " " } ?? ""
        let user = from.uri.user.map { $0 + "@" } ?? ""
        let to = call.invite.to
        let toName = to.displayNameOctets.map { String(decoding: $0, as: UTF8.self) + " " } ?? ""
        let toUser = to.uri.user.map { $0 + "@" } ?? ""
        var dialog = Dialog(
            calling: target, callID: "\(random.token(count: 20))@\(sentBy.address.ip)", localTag: localTag,
            local: "\(displayName)<sip:\(user)\(sentBy.address)>;tag=\(localTag)", remote: "\(toName)<sip:\(toUser)\(trunk.address)>",
            sequence: 0, destination: flow)
        let branch = newBranch()
        // The generic request of a dialog fits: there is no route set and no remote tag yet.
        var builder = dialog.request(
            .invite, branch: branch, sentBy: sentBy, maxForwards: (call.invite.maxForwards ?? 70) - 1)
        builder.add(.contact, sentBy.contact(isSecure: call.isSecure))
        builder.add(.allow, Self.allow)
        builder.add(.userAgent, configuration.sip.userAgent)
        for field in call.invite.headers where isPassedThrough(field, of: call.invite) {
            builder.copy(field, from: call.invite)
        }
        let relay = SocketAddress(ip: mediaInterface(.callee, of: call).advertised, port: port)
        let body = offer.rewritten(rewrites(of: offer, audioIndex: call.audioIndex, to: relay))
        calls[number]?.calleeBranch = branch
        calls[number]?.callee = dialog
        callsByDialog[DialogKey(callID: dialog.callID, localTag: localTag)] = (number, .callee)
        calls[number]?.setupDeadline = now + trunk.inviteTimeout
        scheduleTimer(of: number)
        let transaction = send(
            builder.finish(body: body, contentType: "application/sdp"), .invite, branch: branch,
            to: flow, for: number, .callee, now: now)
        calls[number]?.calleeTransaction = transaction
    }

    /// The called user at the trunk: user and parameters as they came, host and port of the trunk.
    private func calleeURI(of call: Call, at trunk: Trunk) -> String {
        let address = trunk.address
        guard let uri = SIPURI(call.invite.requestURI) else { return "sip:\(address)" }
        let user = uri.user.map { "\($0)@" } ?? ""
        let isPhone = uri.scheme == .tel || uri.parameter("user") == "phone"
        // With sips the transport is TLS anyway (RFC 5630 §3.1.3).
        let transport = trunk.transport == .udp || uri.scheme == .sips ? "" : ";transport=\(trunk.transport.rawValue)"
        return "\(uri.scheme == .sips ? "sips" : "sip"):\(user)\(address)\(transport)\(isPhone ? ";user=phone" : "")"
    }

    private func isPassedThrough(_ field: HeaderField, of message: SIPMessage) -> Bool {
        guard field.name == .other else { return Self.passedThrough.contains(field.name) }
        let name = message.nameText(field)
        return name.count > 2 && name.prefix(2).lowercased() == "x-"
    }

    private func rewrites(
        of description: SessionDescription, audioIndex: Int, to relay: SocketAddress
    ) -> [SessionDescription.MediaRewrite] {
        description.media.indices.map { $0 == audioIndex ? .relay(relay) : .decline }
    }

    /// CANCEL repeats what identifies the INVITE, its branch included (RFC 3261 §9.1).
    mutating func cancelCallee(_ number: CallNumber, now: Instant) {
        guard let call = calls[number], let id = call.calleeTransaction, let sent = transactions.sentRequest(id),
            case .message(let invite) = SIPMessage.parse(sent.octets)
        else { return }
        var builder = MessageBuilder(request: .cancel, uri: invite.requestURI)
        for name in [HeaderName.via, .from, .to, .callID] {
            if let field = invite.first(name) { builder.copy(field, from: invite) }
        }
        builder.add(.cseq, "\(invite.cseq.number) CANCEL")
        builder.add(.maxForwards, "70")
        builder.add(.reason, reason(of: call))
        transactions.cancelSent(id, now: now)
        _ = send(
            builder.finish(), .cancel, branch: call.calleeBranch, to: sent.destination, for: number, .callee, now: now)
    }

    /// ACK for the callee's 2xx, at once: the answer's description already answers our offer.
    mutating func acknowledgeCallee(_ number: CallNumber, now: Instant) {
        guard var dialog = calls[number]?.callee else { return }
        let builder = dialog.request(
            .ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: dialog.localSequence)
        calls[number]?.acknowledgement = builder.finish()
        sendAcknowledgement(number, isRetransmission: false, now: now)
    }

    private mutating func sendAcknowledgement(_ number: CallNumber, isRetransmission: Bool, now: Instant) {
        guard let call = calls[number], let dialog = call.callee, !call.acknowledgement.isEmpty else { return }
        calls[number]?.note("ACK", leg: .callee, isReceived: false, isRetransmission: isRetransmission, at: now)
        output(.send(call.acknowledgement, to: dialog.destination, transaction: nil))
    }

    mutating func sendBye(_ leg: Leg, of number: CallNumber, now: Instant) {
        guard let call = calls[number], var dialog = call.dialog(of: leg) else { return }
        let branch = newBranch()
        var builder = dialog.request(.bye, branch: branch, sentBy: endpoint(for: dialog.destination))
        builder.add(.reason, reason(of: call))
        builder.add(.userAgent, configuration.sip.userAgent)
        if leg == .caller { calls[number]?.caller = dialog } else { calls[number]?.callee = dialog }
        openByes.insert(
            send(builder.finish(), .bye, branch: branch, to: dialog.destination, for: number, leg, now: now))
    }

    /// Why the call ends, for BYE and CANCEL (RFC 3326): what the other side said, else our own cause.
    private func reason(of call: Call) -> String {
        if let reason = call.receivedReason { return reason }
        let release = call.machine.release
        let cause = release?.cause ?? .normal
        return "Q.850;cause=\(cause.q850(status: release?.status ?? 200));text=\"\(cause.sentence)\""
    }

    private mutating func send(
        _ request: [UInt8], _ method: Method, branch: String, to destination: Flow, for number: CallNumber,
        _ leg: Leg, now: Instant
    ) -> TransactionID {
        var results: [TransactionLayer.Output] = []
        let id: TransactionID
        if let stream = streamInstead(of: destination, for: request, now: now) {
            let copy = endpoint(for: stream).replacingVia(of: request, branch: branch)
            id = transactions.send(
                copy, method: method, branch: branch, to: stream, fallback: (request, destination), now: now, outputs: &results)
        } else {
            id = transactions.send(request, method: method, branch: branch, to: destination, now: now, outputs: &results)
        }
        transactionUses[id] = TransactionUse(call: number, leg: leg)
        enqueue(results)
        return id
    }

    // MARK: Responses from the callee

    mutating func receiveResponse(
        _ id: TransactionID, _ response: SIPMessage, from source: Flow, now: Instant
    ) {
        if response.status ?? 0 >= 200 { openByes.remove(id) }
        guard let status = response.status, let use = transactionUses[id], let call = calls[use.call] else { return }
        let number = use.call
        let isAnswer = (200..<300).contains(status)
        let isInvite = call.calleeTransaction == id
        note(
            Self.summary(of: response.octets), id, isReceived: true, isInvite && isAnswer && !call.acknowledgement.isEmpty,
            now: now)
        guard isInvite else { return }
        switch status {
        case 100..<200:
            calls[number]?.calleeResponse = response
            // The time to ring starts with the first 18x; until then it runs from the first sign of life.
            let isNews = call.machine.callee == .inviting || (status > 100 && !call.hasRung)
            if status > 100 { calls[number]?.hasRung = true }
            if call.setupDeadline != nil, let trunk = call.calleeTrunk, isNews {
                calls[number]?.setupDeadline = now + trunk.ringingTimeout
                scheduleTimer(of: number)
            }
            if status > 100, call.machine.release == nil {
                calls[number]?.callee?.update(with: response, source: source)
                takeAnswer(response, from: source, of: number)
            }
            enqueue(.calleeProvisional(status: status), for: number)
        case 200..<300: calleeAnswered(response, from: source, number, call, now: now)
        default:
            calls[number]?.calleeResponse = response
            enqueue(.calleeRejected(status: status), for: number)
        }
    }

    private mutating func calleeAnswered(
        _ response: SIPMessage, from source: Flow, _ number: CallNumber, _ call: Call, now: Instant
    ) {
        let tag = response.toTag.map { String(decoding: $0, as: UTF8.self) }
        if call.acknowledgement.isEmpty {
            calls[number]?.setupDeadline = nil
            calls[number]?.callee?.update(with: response, source: source)
            calls[number]?.calleeResponse = response
            takeAnswer(response, from: source, of: number)
            enqueue(.calleeAnswered(hasAnswer: calls[number]?.answer != nil), for: number)
        } else if call.callee?.remoteTag == tag {
            sendAcknowledgement(number, isRetransmission: true, now: now)  // our ACK was lost
        } else {
            forkAnswered(response, tag: tag ?? "", from: source, number, call, now: now)
        }
    }

    /// A further branch of a fork answered: it is acknowledged, each time it asks, and hung up once (RFC 3261 §13.2.2.4).
    private mutating func forkAnswered(
        _ response: SIPMessage, tag: String, from source: Flow, _ number: CallNumber, _ call: Call, now: Instant
    ) {
        if let known = call.forkAcknowledgements[tag] {
            return output(.send(known.octets, to: known.destination, transaction: nil))
        }
        guard var dialog = call.callee, call.forkAcknowledgements.count < Self.maximumForks else { return }
        dialog.update(with: response, source: source)
        let acknowledgement = dialog.request(
            .ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: response.cseq.number
        ).finish()
        calls[number]?.forkAcknowledgements[tag] = (acknowledgement, dialog.destination)
        output(.send(acknowledgement, to: dialog.destination, transaction: nil))
        let branch = newBranch()
        let bye = dialog.request(.bye, branch: branch, sentBy: endpoint(for: dialog.destination)).finish()
        openByes.insert(send(bye, .bye, branch: branch, to: dialog.destination, for: number, .callee, now: now))
    }

    /// Reads the answer in a response, if there is one, and tells the relay where the callee's media comes from.
    private mutating func takeAnswer(_ response: SIPMessage, from source: Flow, of number: CallNumber) {
        guard let call = calls[number], let taken = call.media, let offer = call.offer,
            !response.body.isEmpty, response.hasContentType("application/sdp"),
            let answer = try? SessionDescription(parsing: response.body),
            answer.media.count == offer.media.count
        else { return }
        let media = answer.media[call.audioIndex]
        guard media.isRTP, media.port != 0 else { return }
        let address = Self.mediaAddress(of: media, from: source)
        let relay = SocketAddress(ip: mediaInterface(.caller, of: call).advertised, port: taken.callerPort)
        let rewritten = answer.rewritten(rewrites(of: answer, audioIndex: call.audioIndex, to: relay))
        calls[number]?.answer = rewritten
        let isMuxed = media.hasRTCPMux && offer.media[call.audioIndex].hasRTCPMux
        if call.calleeMedia != address || call.isRTCPMuxed != isMuxed {
            call.calleeMedia = address
            call.isRTCPMuxed = isMuxed
            expect(media, at: address, .callee, call, signalling: source)
        }
    }

    /// From here on the caller may send: it is about to learn our address.
    private mutating func expectCaller(_ call: Call) {
        guard let offer = call.offer, let address = call.callerMedia else { return }
        expect(offer.media[call.audioIndex], at: address, .caller, call, signalling: call.source)
    }

    private mutating func expect(
        _ media: SessionDescription.Media, at address: SocketAddress, _ leg: Leg, _ call: Call, signalling: Flow
    ) {
        guard let session = call.media?.session else { return }
        var rtcp = media.rtcpAddress ?? SocketAddress(ip: address.ip, port: address.port &+ 1)
        if rtcp.ip.isUnspecified { rtcp.ip = address.ip }
        let source = ExpectedSource(
            rtp: address, rtcp: rtcp, signalling: signalling.ip, isRTCPMuxed: call.isRTCPMuxed,
            direction: MediaDirection(media.direction))
        output(.relay(.expect(session, leg, source)))
    }

    // MARK: Responses to the caller

    mutating func relayProvisional(_ status: Int, to number: CallNumber, now: Instant) {
        guard let call = calls[number], let response = call.calleeResponse else { return }
        let isFirst = call.ringAt == nil
        let isRinging = status == 180 || status == 183
        if isRinging, isFirst { calls[number]?.ringAt = now }
        let hasBody = !response.body.isEmpty && call.answer != nil
        if hasBody { expectCaller(call) }
        respond(number, status: status, reason: response.reasonPhrase, body: hasBody ? call.answer : nil, now: now)
        if isRinging, isFirst { emit(.callRinging, for: call, ["status": "\(status)"], now: now) }
    }

    mutating func answerCaller(_ number: CallNumber, now: Instant) {
        guard let call = calls[number], let answer = call.answer else { return }
        expectCaller(call)
        let octets = respond(number, status: 200, reason: nil, body: answer, now: now)
        calls[number]?.answerOctets = octets
        calls[number]?.answerRetransmission = SuccessRetransmission(now: now)
        scheduleTimer(of: number)
    }

    /// A refusal by the callee is passed on with its reason; some statuses concern only our leg towards it.
    mutating func rejectCaller(_ status: Int, _ number: CallNumber, now: Instant) {
        guard let call = calls[number] else { return }
        var headers = call.refusalHeaders
        var status = status
        var reason: String?
        if call.machine.release?.cause == .rejected, let response = call.calleeResponse {
            switch status {
            case 300..<400: status = 480  // redirection is not followed
            case 401, 407: status = 503  // the challenge was for us
            default: reason = response.reasonPhrase
            }
            for name in [HeaderName.reason, .retryAfter, .warning] {
                if let value = response.text(name) { headers.append((name, value)) }
            }
        }
        if !headers.contains(where: { $0.0 == .reason }), let release = call.machine.release {
            headers.append(
                (.reason, "Q.850;cause=\(release.cause.q850(status: status));text=\"\(release.cause.sentence)\""))
        }
        respond(number, status: status, reason: reason, headers, body: nil, now: now)
    }

    @discardableResult
    private mutating func respond(
        _ number: CallNumber, status: Int, reason: String?, _ headers: [(HeaderName, String)] = [], body: [UInt8]?,
        now: Instant
    ) -> [UInt8] {
        guard let call = calls[number] else { return [] }
        var builder = MessageBuilder.response(
            to: call.invite, status: status, reason: reason, toTag: call.caller.localTag, source: call.source)
        if status < 300 {
            builder.add(.contact, endpoint(for: call.source).contact(isSecure: call.isSecure))
            builder.add(.allow, Self.allow)
        }
        for (name, value) in headers { builder.add(name, value) }
        builder.add(.server, configuration.sip.userAgent)
        let octets = body.map { builder.finish(body: $0, contentType: "application/sdp") } ?? builder.finish()
        var results: [TransactionLayer.Output] = []
        transactions.respond(call.inviteTransaction, status: status, octets, now: now, outputs: &results)
        enqueue(results)
        return octets
    }
}
