import Core
import SIP

/// The called user agent of one call.
final class Callee: Peer {
    let invite: SIPMessage
    private(set) var acknowledgements = 0
    private(set) var isRungReliably = false
    private(set) var forkAcknowledgements = 0
    private(set) var byesReceived = 0
    private(set) var forkByesReceived = 0
    private(set) var cancelsReceived = 0
    private(set) var cancelReason: String?
    private(set) var byeReason: String?
    private(set) var hangUpStatus: Int?
    private(set) var hasHungUp = false
    private(set) var finalStatus: Int?
    private var lastResponse: [UInt8] = []
    private let tag: String
    private let forkTag: String
    /// The caller's answer to an offer in a reliable response.
    private(set) var earlyAnswer: [UInt8] = []

    init(world: SimulatedWorld, address: SocketAddress, invite: SIPMessage, script: CallScript) {
        self.invite = invite
        tag = world.random.token(count: 8)
        forkTag = "fork" + world.random.token(count: 8)
        super.init(
            world: world, name: "you", sequence: 100, address: address,
            media: SocketAddress(address == SimulatedWorld.calleeAddress ? "203.0.113.21:50000" : "203.0.113.31:50000")!,
            script: script)
    }

    func start() {
        if case .silence = script.answer { return }
        let refused = world.callees.count { $0.invite.callID == invite.callID && $0.finalStatus == 422 }
        let wanted = refused < script.refusedIntervals ? (invite.number(.sessionExpires) ?? 0) + 100 : nil
        if let minimum = wanted ?? script.minimumSession, (invite.number(.sessionExpires) ?? .max) < minimum {
            finalStatus = 422
            lastResponse = respond(422, to: invite, tag: tag, headers: [("Min-SE", "\(minimum)")])
            return send(lastResponse, until: { [self] in acknowledgements > 0 })
        }
        if script.sendsTrying { reply(respond(100, to: invite, tag: nil)) }
        for (index, status) in script.ringing.enumerated() {
            world.plan(after: script.ringDelay * (index + 1)) { [self] in
                guard finalStatus == nil else { return }
                // A reliable response to an INVITE without an offer has to make one (RFC 3262 §5).
                let hasToOffer = script.ringsReliably && invite.body.isEmpty && invite.hasToken("100rel", in: .supported)
                let hasBody = (script.hasEarlyMedia || hasToOffer) && index == 0
                if index == 0, script.ringsReliably, invite.hasToken("100rel", in: .supported) {
                    lastResponse = respond(
                        status, to: invite, tag: tag,
                        headers: [("Require", "100rel"), ("RSeq", "4711")] + script.ringingHeaders,
                        body: hasBody ? answer() : nil)
                    send(lastResponse, until: { [self] in finalStatus != nil || isRungReliably })
                } else {
                    reply(respond(status, to: invite, tag: tag, body: hasBody ? answer() : nil))
                }
                planEarlyUpdate()
                if hasBody, script.calleeSendsMedia { startMedia(to: invite.body, for: script.calleeMediaDuration) }
            }
        }
        switch script.answer {
        case .accept: world.plan(after: script.answerDelay) { [self] in accept() }
        case .reject(let status): world.plan(after: script.answerDelay) { [self] in reject(status) }
        case .never, .silence: break
        }
    }

    private func answer() -> [UInt8] { description(lines: script.answerMedia ?? mirrored(invite.body), title: "You answer") }

    private func reply(_ octets: [UInt8]) {
        lastResponse = octets
        send(octets)
    }

    private func accept() {
        guard finalStatus == nil else { return }
        finalStatus = 200
        lastResponse = respond(200, to: invite, tag: tag, headers: script.headers, body: answer())
        send(
            lastResponse, until: { [self] in acknowledgements > 0 || byesReceived > 0 },
            givenUp: { [self] in hangUp() })
        if script.calleeSendsMedia { startMedia(to: invite.body, for: script.calleeMediaDuration) }
        if let delay = script.forkDelay {
            world.plan(after: delay) { [self] in
                send(
                    respond(200, to: invite, tag: forkTag, body: answer()),
                    until: { [self] in forkAcknowledgements > 0 || forkByesReceived > 0 })
            }
        }
    }

    private func reject(_ status: Int) {
        guard finalStatus == nil else { return }
        finalStatus = status
        lastResponse = respond(status, to: invite, tag: tag, headers: script.retryAfter.map { [("Retry-After", "\($0)")] } ?? [])
        send(lastResponse, until: { [self] in acknowledgements > 0 })
    }

    func receive(_ message: SIPMessage) {
        guard message.isRequest else {
            if message.method == .bye { hangUpStatus = message.status }
            _ = receiveMidDialog(response: message)
            return
        }
        if message.method == .prack {
            if message.text(.rack) == "4711 \(invite.cseq.number) INVITE" { isRungReliably = true }
            if isRungReliably, earlyAnswer.isEmpty, let title = MidDialog.title(of: message.body) {
                earlyAnswer = Array(message.body)
                midDialog.ownTitle = "You answer"
                midDialog.remoteTitle = title
                if script.calleeSendsMedia { startMedia(to: message.body, for: script.calleeMediaDuration) }
            }
            return send(respond(isRungReliably ? 200 : 481, to: message, tag: nil))
        }
        // The initial INVITE has no To tag; its ACK and CANCEL have its CSeq.
        let isInitial = message.cseq.number == invite.cseq.number && message.method != .bye
        guard isInitial || message.method == .bye else { return receiveMidDialog(request: message) }
        let isFork = message.toTag.map { String(decoding: $0, as: UTF8.self) } == forkTag
        switch message.method {
        case .invite: if !lastResponse.isEmpty, acknowledgements == 0 { send(lastResponse) }
        case .ack: received(message, isFork: isFork)
        case .cancel:
            cancelsReceived += 1
            cancelReason = message.text(.reason)
            send(respond(200, to: message, tag: tag))
            if case .silence = script.answer { return }
            reject(487)
        case .bye:
            if isFork { forkByesReceived += 1 } else { byesReceived += 1 }
            if !isFork {
                byeReason = message.text(.reason)
                stopMedia()
            }
            send(respond(200, to: message, tag: nil))
        default: break
        }
    }

    private func received(_ acknowledgement: SIPMessage, isFork: Bool) {
        if isFork {
            forkAcknowledgements += 1
            return
        }
        acknowledgements += 1
        if acknowledgements == 1, midDialog.remoteTitle.isEmpty {
            midDialog.ownTitle = "You answer"
            let remote = invite.body.isEmpty ? acknowledgement.body : invite.body
            midDialog.remoteTitle = MidDialog.title(of: remote) ?? ""
            midDialog.remoteDescription = try? SessionDescription(parsing: remote)
            if invite.body.isEmpty, script.calleeSendsMedia { startMedia(to: remote, for: script.calleeMediaDuration) }
        }
        guard acknowledgements == 1, finalStatus == 200 else { return }
        planChanges()
        if let hangUp = script.hangUp, hangUp.leg == .callee {
            world.plan(after: hangUp.delay) { [self] in self.hangUp() }
        }
    }

    override var isOver: Bool { hasHungUp || byesReceived > 0 }

    override func inDialog(_ method: Method, sequence: Int, branch: String? = nil) -> MessageBuilder {
        request(method, sequence: sequence, branch: branch)
    }

    func request(_ method: Method, sequence: Int, tag: String? = nil, branch: String? = nil) -> MessageBuilder {
        var builder = MessageBuilder(request: method, uri: invite.contact!.uri.text)
        builder.add(.via, "SIP/2.0/UDP \(address);branch=\(branch ?? "z9hG4bK" + world.random.token(count: 12));rport")
        builder.add(.from, invite.text(.to)! + ";tag=\(tag ?? self.tag)")
        builder.add(.to, invite.text(.from)!)
        builder.add(.callID, octets: invite.callID)
        builder.add(.cseq, "\(sequence) \(method.text)")
        builder.add(.maxForwards, "70")
        return builder
    }

    func hangUp() {
        guard !hasHungUp, byesReceived == 0 else { return }
        hasHungUp = true
        stopMedia()
        send(request(.bye, sequence: nextSequence()).finish(), until: { [self] in hangUpStatus != nil })
    }
}
