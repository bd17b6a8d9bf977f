import Configuration
import ControlProtocol
import Core
import RTP
import Relay
import SIP

/// The callee's leg: the INVITE that is placed, what comes back, and the media of both legs.
extension CallControl {
    /// What goes to the callee as it came, because neither leg's addresses are in it.
    private static let passedThrough = HeaderNames([
        .alertInfo, .callInfo, .date, .diversion, .historyInfo, .organization, .pAssertedIdentity, .pPreferredIdentity, .priority,
        .privacy, .remotePartyID, .subject,
    ])
    /// The same with what may begin with `X-`.
    private static let perhapsPassedThrough = HeaderNames(HeaderName.allCases.filter { passedThrough.contains($0) || $0 == .other })

    /// Answers of this many further branches of a fork are acknowledged; a peer that makes up more is not served.
    private static let maximumForks = 16

    /// What we are called on the way to `flow`.
    func endpoint(for flow: Flow) -> LocalEndpoint { endpoints.endpoint(for: flow) }

    mutating func newBranch() -> ViaBranch { ViaBranch(random: &random) }

    // MARK: Requests to the callee

    /// Calls whom the next attempt names.
    mutating func placeNextAttempt(of call: Call, now: Instant) {
        guard call.machine.release == nil, call.machine.media == .open, !call.attempts.isEmpty
        else { return }
        let attempt = call.attempts[0]
        call.attempts = Array(call.attempts.dropFirst())
        let number = call.number
        leaveEarlySession(of: number, call, now: now)
        call.mediaBranch = nil
        call.answer = nil
        call.relayedStatuses = ProvisionalStatuses()
        // Without an offer in the INVITE a reliable response is one, which the caller must be able to answer.
        let takesReliable = !call.asksForOffer || (attempt.further.isEmpty && knowsReliability(call))
        let first = place(attempt.first, takesReliable: takesReliable, of: call, number, now: now)
        for target in attempt.further { _ = place(target, takesReliable: takesReliable, of: call, number, now: now) }
        let former = call.calleeTrunk
        call.choose(first)
        if call.calleeTrunk !== former { takeMediaSettings(of: call) }
        scheduleTimer(of: call)
    }

    /// What a trunk says of its own counts. Where both do, the callee's side, where the money goes, decides.
    mutating func takeMediaSettings(of call: Call) {
        call.noMedia = NoMediaRule(
            calling: call.calledNumber, from: call.callerTrunk, to: call.calleeTrunk, settings.configuration.media)
    }

    mutating func place(
        _ target: CalleeTarget, takesReliable: Bool, of call: Call, _ number: CallNumber, now: Instant
    ) -> BranchID {
        precondition(call.main.taken != nil || call.isDirect, "an INVITE is placed once media is open")
        let sentBy = endpoint(for: target.destination)
        let localTag = random.token(count: 12)
        let from = call.invite.from
        let identity = IdentityPolicy(call.invite, from: call.callerTrunk, to: target.trunk)
        let user = target.fromUser ?? call.callerIdentity ?? from.uri.user
        let dialog = Dialog(
            calling: target.uri, callID: newCallID(at: sentBy.address.ip), localTag: localTag, sequence: 0,
            destination: target.destination, routeSet: target.routes
        ) { local in
            if identity.isAnonymous {
                local.append(IdentityPolicy.anonymousFrom)
            } else {
                Self.append(displayName: from, to: &local)
                local.append("<sip:")
                if let user {
                    Self.append(user, to: &local)
                    local.append(UInt8(ascii: "@"))
                }
                Self.append(sentBy.hostPort, to: &local)
                local.append(UInt8(ascii: ">"))
            }
            local.append(";tag=")
            Self.append(localTag, to: &local)
        } appendRemote: { remote in
            Self.append(displayName: call.invite.to, to: &remote)
            remote.append(UInt8(ascii: "<"))
            remote.append(contentsOf: target.to)
            remote.append(UInt8(ascii: ">"))
        }
        dialog.setBehindNAT(target.isBehindNAT)
        let branch = call.addBranch { Branch(id: $0, target: target, dialog: dialog) }
        let viaBranch = newBranch()
        branch.viaBranch = viaBranch
        let body: [UInt8] = call.offer.map {
            rewritten($0, call.main.place, to: .callee, calleeTrunk: target.trunk, answering: nil, call)
        } ?? []
        // The generic request of a dialog fits: there is no remote tag yet.
        var builder = dialog.request(
            .invite, branch: viaBranch, sentBy: sentBy, maxForwards: (call.invite.maxForwards ?? 70) - 1,
            bodyCount: body.count)
        builder.addContact(sentBy, isSecure: call.isSecure)
        if let (header, value) = authorization(for: target.state, .invite, uri: target.uri) {
            builder.add(header, octets: value)
        }
        builder.add(lines: allowLine(towards: .callee, of: call))
        branch.side.timer = sessionTimer(towards: target.trunk)
        Self.addSupported(branch.side.timer, reliableResponses: takesReliable, to: &builder)
        Self.addTimerHeaders(branch.side.timer, to: &builder)
        builder.add(lines: settings.userAgentLine)
        passThrough(call.invite, withholding: identity.withheld, to: &builder)
        if identity.asksForPrivacy { builder.add(.privacy, "id") }
        if identity.assertsIdentity, let name = call.callerIdentity {
            builder.add(.pAssertedIdentity, "<sip:\(name)@\(sentBy.hostPort)>")
        }
        branch.setupTimer = (.invite, now + target.timers.invite)
        remember(localTag, of: call, number, .callee)
        target.state?.countAttempt(at: now)
        branch.transaction = send(
            builder.finish(body: body, contentType: body.isEmpty ? nil : "application/sdp"), .invite, branch: viaBranch,
            to: target.destination, for: number, .callee, now: now)
        return branch.id
    }

    private static func append(_ text: String, to value: inout [UInt8]) { value.append(copying: text.utf8.span) }

    private static func append(displayName address: NameAddress, to value: inout [UInt8]) {
        guard let name = address.displayNameOctets else { return }
        value.append(copying: name.span)
        value.append(UInt8(ascii: " "))
    }

    mutating func newCallID(at ip: IPAddress) -> [UInt8] {
        var callID: [UInt8] = []
        callID.reserveCapacity(48)
        random.appendToken(count: 20, to: &callID)
        callID.append(UInt8(ascii: "@"))
        ip.append(to: &callID)
        return callID
    }

    /// Answers the challenge of a trunk; false when it is a refusal.
    private mutating func answerChallenge(
        _ response: SIPMessage, of branch: Branch, _ call: Call, _ number: CallNumber, now: Instant
    ) -> Bool {
        guard let trunk = branch.target.trunk, call.machine.isOpen(branch.id),
            takeChallenge(response, of: trunk.name, attempt: branch.challenges)
        else { return false }
        call.branches[branch.id.rawValue].challenges += 1
        return repeatInvite(branch.id, of: number, now: now)
    }

    /// Sends the INVITE of a branch again after a response that wants something else in it (401, 407, 422): a new
    /// transaction with the same Call-ID and From tag, and the next CSeq.
    mutating func repeatInvite(_ id: BranchID, of number: CallNumber, now: Instant) -> Bool {
        guard let call = calls[number], call.machine.isOpen(id), let transaction = call.branches[id.rawValue].transaction,
            let sent = transactions.sentRequest(transaction), case .message(let invite) = SIPMessage.parse(sent.octets)
        else { return false }
        let viaBranch = newBranch()
        // The refusal made no dialog: the next INVITE has no To tag either.
        let target = call.branches[id.rawValue].target
        let former = call.branches[id.rawValue].dialog
        let remote = invite.first(.to).map(invite.value) ?? former.remote
        let dialog = former.again(
            calling: target.uri, remote: Array(remote), destination: target.destination, routeSet: target.routes)
        dialog.setBehindNAT(target.isBehindNAT)
        var builder = dialog.request(
            .invite, branch: viaBranch, sentBy: endpoint(for: sent.destination), maxForwards: invite.maxForwards ?? 70)
        let written: Set<HeaderName> = [
            .via, .maxForwards, .from, .to, .callID, .cseq, .route, .authorization, .proxyAuthorization, .sessionExpires, .minSE,
            .contentType, .contentLength,
        ]
        for field in invite.headers where !written.contains(field.name) { builder.copy(field, from: invite) }
        if let (header, value) = authorization(for: target.state, .invite, uri: target.uri) {
            builder.add(header, octets: value)
        }
        Self.addTimerHeaders(call.branches[id.rawValue].side.timer, to: &builder)
        call.repeatInvite(of: id)
        call.branches[id.rawValue].dialog = dialog
        call.branches[id.rawValue].viaBranch = viaBranch
        call.branches[id.rawValue].setupTimer = (.invite, now + target.timers.invite)
        let body = Array(invite.body)
        call.branches[id.rawValue].transaction = send(
            builder.finish(body: body, contentType: body.isEmpty ? nil : invite.text(.contentType)), .invite, branch: viaBranch,
            to: sent.destination, for: number, .callee, now: now)
        scheduleTimer(of: call)
        return true
    }

    /// Copies what goes to the other side as it came.
    func passThrough(_ message: SIPMessage, withholding withheld: Set<HeaderName>, to builder: inout MessageBuilder) {
        guard message.hasAny(of: Self.perhapsPassedThrough) else { return }
        for field in message.headers where isPassedThrough(field, of: message) && !withheld.contains(field.name) {
            builder.copy(field, from: message)
        }
    }

    private func isPassedThrough(_ field: HeaderField, of message: SIPMessage) -> Bool {
        guard field.name == .other else { return Self.passedThrough.contains(field.name) }
        let name = message.nameText(field)
        return name.count > 2 && name.prefix(2).lowercased() == "x-"
    }

    /// What becomes of the media of a description on its way to `leg`.
    ///
    /// - Parameter index: the m= line of the main medium.
    mutating func rewrites(
        of description: SessionDescription, _ index: Int?, to leg: Leg, _ call: Call
    ) -> [SessionDescription.MediaRewrite] {
        if call.isDirect { return description.media.map { _ in .keep } }
        var rewrites: [SessionDescription.MediaRewrite] = description.media.map { _ in .decline }
        let ip = settings.mediaAddresses(leg, of: call).advertised
        for number in call.mediumNumbers where call[medium: number].isOpen {
            guard let place = call.place(of: number, main: index), rewrites.indices.contains(place) else { continue }
            rewrites[place] = .relay(SocketAddress(ip: ip, port: call[medium: number].port(of: leg)))
        }
        return rewrites
    }

    mutating func cancelBranch(_ id: BranchID, of call: Call, now: Instant) {
        guard let transaction = call.branches[id.rawValue].transaction,
            let viaBranch = call.branches[id.rawValue].viaBranch
        else { return }
        // Its 2xx has come and waited for the caller's PRACK: that is acknowledged and hung up, not cancelled.
        if let status = call.branches[id.rawValue].response?.status, (200..<300).contains(status) { return }
        sendCancel(
            of: transaction, branch: viaBranch, for: call.number, .callee,
            reason: EndReason(of: call, branch: id), now: now)
    }

    mutating func sendCancel(
        of id: TransactionID, branch: ViaBranch, for number: CallNumber, _ leg: Leg, reason: EndReason?, now: Instant
    ) {
        guard let cancel = cancelled(id, reason: reason, now: now) else { return }
        _ = send(cancel.octets, .cancel, branch: branch, to: cancel.destination, for: number, leg, now: now)
    }

    /// The CANCEL of an INVITE of ours, which waits for its 487 from now on. CANCEL repeats what identifies the INVITE, its
    /// branch included (RFC 3261 §9.1). Nil when the INVITE is over.
    mutating func cancelled(
        _ id: TransactionID, reason: EndReason? = nil, now: Instant
    ) -> (octets: [UInt8], destination: Flow)? {
        guard let sent = transactions.sentRequest(id), case .message(let invite) = SIPMessage.parse(sent.octets)
        else { return nil }
        var builder = MessageBuilder(request: .cancel, uri: invite.requestURI)
        for name in [HeaderName.via, .from, .to, .callID] {
            if let field = invite.first(name) { builder.copy(field, from: invite) }
        }
        for route in invite.all(.route) { builder.copy(route, from: invite) }
        builder.add(.cseq, "\(invite.cseq.number) CANCEL")
        builder.add(.maxForwards, "70")
        reason?.add(to: &builder)
        transactions.cancelSent(id, now: now)
        return (builder.finish(), sent.destination)
    }

    /// ACK for a callee's 2xx, at once: the answer's description already answers our offer.
    mutating func acknowledgeBranch(_ id: BranchID, of call: Call, now: Instant) {
        // An offer that came with the 2xx is answered in our ACK, once the caller has answered it.
        guard !call.asksForOffer || call.machine.winner != id || call.branches[id.rawValue].isSettled else { return }
        let branch = call.branches[id.rawValue]
        let (viaBranch, sentBy) = (newBranch(), endpoint(for: branch.dialog.destination))
        let sequence = branch.response?.cseq.number ?? branch.dialog.localSequence
        let builder = branch.dialog.request(.ack, branch: viaBranch, sentBy: sentBy, sequence: sequence)
        branch.acknowledgement = builder.finish()
        sendAcknowledgement(of: branch, call, isRetransmission: false, now: now)
    }

    mutating func sendAcknowledgement(of branch: Branch, _ call: Call, isRetransmission: Bool, now: Instant) {
        guard !branch.acknowledgement.isEmpty else { return }
        call.note(sent: branch.acknowledgement, leg: .callee, isRetransmission: isRetransmission, at: now)
        output(.send(branch.acknowledgement, to: branch.dialog.destination, transaction: nil))
    }

    /// BYE to a branch that answered when it was too late.
    mutating func hangUpBranch(_ id: BranchID, of call: Call, now: Instant) {
        let number = call.number
        let viaBranch = newBranch()
        let destination = call.branches[id.rawValue].dialog.destination
        var builder = call.branches[id.rawValue].dialog.request(.bye, branch: viaBranch, sentBy: endpoint(for: destination))
        EndReason(of: call, branch: id).add(to: &builder)
        builder.add(lines: settings.userAgentLine)
        let bye = send(builder.finish(), .bye, branch: viaBranch, to: destination, for: number, .callee, now: now)
        noteBye(bye, of: call.branches[id.rawValue].target.trunk, in: call.branches[id.rawValue].dialog)
    }

    mutating func sendBye(_ leg: Leg, of call: Call, now: Instant) {
        let number = call.number
        if leg == .callee { declineLateOffer(of: number, call, now: now) }
        guard let dialog = call.dialog(of: leg) else { return }
        let branch = newBranch()
        let destination = dialog.destination
        var builder = dialog.request(.bye, branch: branch, sentBy: endpoint(for: destination))
        EndReason(of: call).add(to: &builder)
        builder.add(lines: settings.userAgentLine)
        let id = send(builder.finish(), .bye, branch: branch, to: destination, for: number, leg, now: now)
        noteBye(id, of: leg == .caller ? call.callerTrunk : call.calleeTrunk, in: dialog)
    }

    /// - Parameter dialog: of the request; nil: the present one of `leg`.
    mutating func send(
        _ request: [UInt8], _ method: Method, branch: ViaBranch, to destination: Flow, for number: CallNumber,
        _ leg: Leg, in dialog: Dialog? = nil, now: Instant
    ) -> TransactionID {
        let call = calls[number]
        // A CANCEL takes the way of its INVITE.
        let stream = method == .cancel ? nil : streamInstead(
            of: destination, for: request, in: dialog ?? call?.dialog(of: leg),
            with: leg == .caller ? call?.callerTrunk : call?.calleeTrunk, now: now)
        var results = resultList()
        let id: TransactionID
        if let stream {
            let copy = endpoint(for: stream).replacingVia(of: request, branch: branch)
            id = transactions.send(
                copy, method: method, branch: branch, to: stream,
                fallback: TransactionLayer.Fallback(request, to: destination), now: now, outputs: &results)
        } else {
            id = transactions.send(request, method: method, branch: branch, to: destination, now: now, outputs: &results)
        }
        transactionUses[id] = TransactionUse(call: number, leg: leg)
        enqueue(&results)
        return id
    }

    // MARK: Responses from the callee

    mutating func receiveResponse(
        _ id: TransactionID, _ response: SIPMessage, from source: Flow, now: Instant
    ) {
        guard let status = response.status else { return }
        guard let use = transactionUses[id] else {
            if !receiveTrunkResponse(id, response, now: now) { _ = receiveTestResponse(id, response, from: source, now: now) }
            return
        }
        if answerChallengeInDialog(id, response, status: status, use, now: now) { return }
        if status >= 200, !openByes.isEmpty { openByes.remove(id) }
        guard let call = calls[use.call] else { return }
        let number = use.call
        let branch = call.branch(of: id).map { call.branches[$0.rawValue] }
        let isRepeatedAnswer = (200..<300).contains(status) && branch?.acknowledgement.isEmpty == false
        call.note(received: response, leg: use.leg, isRetransmission: isRepeatedAnswer, at: now)
        guard let branch else {
            _ = receiveMidDialogResponse(id, response, status: status, from: source, of: number, use.leg, now: now)
            return
        }
        noteResponse(response, of: branch, now: now)
        switch status {
        case 100..<200: calleeProceeds(response, status, from: source, branch, number, call, now: now)
        case 200..<300: calleeAnswered(response, from: source, branch, number, call, now: now)
        case 401 where answerChallenge(response, of: branch, call, number, now: now): break
        case 407 where answerChallenge(response, of: branch, call, number, now: now): break
        case 422 where retryInvite(branch.id, of: number, refusedWith: response, now: now): break
        case 430 where branch.target.binding != nil && !branch.target.routes.isEmpty:
            flowFailed(response, of: branch, call, now: now)
        default:
            call.branches[branch.id.rawValue].response = response
            call.branches[branch.id.rawValue].setupTimer = nil
            enqueue(.calleeRejected(branch.id, status: status), for: number)
        }
    }

    private mutating func calleeProceeds(
        _ response: SIPMessage, _ status: Int, from source: Flow, _ branch: Branch, _ number: CallNumber,
        _ call: Call, now: Instant
    ) {
        let index = branch.id.rawValue
        // It comes again, and then there are sockets for what it offers.
        if call.asksForOffer, !branch.isSettled, response.hasToken("100rel", in: .require), call.machine.isOpen(branch.id),
            opensLateMedia(response, call, number, now: now)
        {
            return
        }
        guard acceptsReliably(response, branch.id, call) else { return }
        call.branches[index].response = response
        if status > 100 { call.branches[index].hasRung = true }
        if status > 100, call.machine.isOpen(branch.id) {
            call.branches[index].dialog.update(with: response, source: source)
            takeAnswer(response, from: source, branch.id, of: call)
            takeReliably(response, branch.id, call, number, now: now)
        }
        if let timer = branch.setupTimer,
            let stage = SetupTimers.stage(
                after: timer.stage, status: status, hasDescription: call.branches[index].media != nil)
        {
            call.branches[index].setupTimer = (stage, now + branch.target.timers[stage])
            scheduleTimer(of: call)
        }
        enqueue(.calleeProvisional(branch.id, status: status), for: number)
    }

    /// A branch that took too long over a stage of call set-up is given up.
    mutating func setupTimersDue(of call: Call, _ number: CallNumber, now: Instant) {
        for branch in call.branches {
            guard let timer = branch.setupTimer, timer.due <= now else { continue }
            call.branches[branch.id.rawValue].setupTimer = nil
            let (cause, status): (ReleaseCause, Int) =
                switch timer.stage {
                case .invite: (.inviteTimeout, 408)
                case .trying: (.tryingTimeout, 408)
                case .progress: (.progressTimeout, 480)
                case .earlyMedia: (.earlyMediaTimeout, 480)
                case .ringing: (.ringingTimeout, 480)
                }
            if timer.stage == .invite, let name = branch.target.trunk?.name {
                trunkFailed(name, "no response to INVITE in \(branch.target.timers.invite)", now: now)
            }
            enqueue(.calleeTimedOut(branch.id, cause, status: status), for: number)
        }
    }

    mutating func calleeAnswered(
        _ response: SIPMessage, from source: Flow, _ branch: Branch, _ number: CallNumber, _ call: Call, now: Instant
    ) {
        if branch.acknowledgement.isEmpty, call.machine.isOpen(branch.id),
            call.awaitsPRACK || (!branch.isSettled && opensLateMedia(response, call, number, now: now))
        {
            call.branches[branch.id.rawValue].setupTimer = nil
            // Once for each branch of a fork, however often it repeats its answer.
            let isKnown = call.deferredAnswers.contains { $0.branch == branch.id && $0.response.toTag == response.toTag }
            if !isKnown, call.deferredAnswers.count < Self.maximumForks { call.deferredAnswers.append((response, source, branch.id)) }
            return
        }
        let index = branch.id.rawValue
        if branch.acknowledgement.isEmpty {
            call.branches[index].setupTimer = nil
            branch.dialog.update(with: response, source: source)
            branch.answerContact = branch.dialog.contactAddress
            call.branches[index].side.learn(from: response)
            call.branches[index].side.timer.accepted(SessionTimer.Terms(response), now: now)
            call.branches[index].response = response
            takeAnswer(response, from: source, branch.id, of: call)
            enqueue(.calleeAnswered(branch.id, hasAnswer: call.branches[index].media != nil), for: number)
        } else if branch.dialog.hasRemoteTag(response.toTag) {
            sendAcknowledgement(of: branch, call, isRetransmission: true, now: now)  // our ACK was lost
        } else {
            let tag = response.toTag.map { String(decoding: $0, as: UTF8.self) } ?? ""
            forkAnswered(response, tag: tag, from: source, branch, number, call, now: now)
        }
    }

    /// What the callee answered while a reliable response of relayd's own was not acknowledged.
    mutating func takeDeferredAnswers(of number: CallNumber, _ call: Call, now: Instant) {
        guard !call.deferredAnswers.isEmpty else { return }
        let answers = call.deferredAnswers
        call.deferredAnswers = []
        var answered: Set<BranchID> = []
        for (response, source, id) in answers {
            let branch = call.branches[id.rawValue]
            if answered.insert(id).inserted {
                calleeAnswered(response, from: source, branch, number, call, now: now)
            } else {
                let tag = response.toTag.map { String(decoding: $0, as: UTF8.self) } ?? ""
                forkAnswered(response, tag: tag, from: source, branch, number, call, now: now)
            }
        }
    }

    /// Somebody else behind a fork of the callee's side answered too: it is acknowledged, each time it asks, and hung up
    /// once (RFC 3261 §13.2.2.4).
    private mutating func forkAnswered(
        _ response: SIPMessage, tag: String, from source: Flow, _ branch: Branch, _ number: CallNumber, _ call: Call,
        now: Instant
    ) {
        if let known = branch.forkAcknowledgements[tag] {
            return output(.send(known.octets, to: known.destination, transaction: nil))
        }
        guard branch.forkAcknowledgements.count < Self.maximumForks else { return }
        let dialog = Dialog(besides: branch.dialog, madeBy: response, source: source)
        let acknowledgement = dialog.request(
            .ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: response.cseq.number
        ).finish()
        call.branches[branch.id.rawValue].forkAcknowledgements[tag] = (acknowledgement, dialog.destination)
        output(.send(acknowledgement, to: dialog.destination, transaction: nil))
        let viaBranch = newBranch()
        let bye = dialog.request(.bye, branch: viaBranch, sentBy: endpoint(for: dialog.destination)).finish()
        openByes.insert(send(bye, .bye, branch: viaBranch, to: dialog.destination, for: number, .callee, now: now))
    }

    /// True when a response with an offer has to wait for the sockets of media that are new with it.
    private mutating func opensLateMedia(_ response: SIPMessage, _ call: Call, _ number: CallNumber, now: Instant) -> Bool {
        guard call.asksForOffer, response.hasSessionDescription,
            let offer = try? SessionDescription(parsing: response.body)
        else { return false }
        openFurtherMedia(of: offer, by: .callee, besides: Self.relayedMedium(of: offer), call, number, now: now)
        return call.awaitsMedia
    }

    /// Reads the answer in a response, if there is one. The first branch that has one may be heard by the caller.
    private mutating func takeAnswer(_ response: SIPMessage, from source: Flow, _ id: BranchID, of call: Call) {
        guard call.main.taken != nil || call.isDirect, !response.body.isEmpty, !call.branches[id.rawValue].isSettled,
            response.hasSessionDescription, let answer = try? SessionDescription(parsing: response.body),
            call.asksForOffer || answer.media.count == call.offer?.media.count
        else { return }
        let index = call.asksForOffer ? Self.relayedMedium(of: answer) ?? 0 : acceptedMain(in: answer, of: call)
        guard index < answer.media.count else { return }
        let media = answer.media[index]
        let offered = call.offer.map { $0.media[index] } ?? media
        guard media.isRelayable, media.port != 0, media.isRTP == offered.isRTP else { return }
        // With an offer each medium is where its session is; a late offer is what says where the main medium is.
        let mainPlace = call.asksForOffer ? index : call.main.place
        call.branches[id.rawValue].media = BranchMedia(
            answer: rewritten(
                answer, mainPlace, to: .caller, calleeTrunk: call.branches[id.rawValue].target.trunk, answering: call.offer, call),
            signalling: source, description: answer, mainPlace: index)
        call.branches[id.rawValue].side.description = answer
        call.branches[id.rawValue].side.mediumIndex = index
        call.branches[id.rawValue].side.signalling = source
        if call.mediaBranch == nil || call.mediaBranch == id { useMedia(of: id, in: call) }
    }

    /// The relay takes the callee's media from this branch.
    private mutating func useMedia(of id: BranchID, in call: Call) {
        guard let media = call.branches[id.rawValue].media else { return }
        makeMain(media.mainPlace, of: call, call.number)
        let isOther = call.mediaBranch != id
        call.mediaBranch = id
        call.answer = media.answer
        for number in call.mediumNumbers {
            if isOther { call[medium: number][.callee].lockedSource = nil }
            let place = call[medium: number].place
            guard place < media.description.media.count else { continue }
            let medium = media.description.media[place]
            guard medium.port != 0 else { continue }
            let address = Self.mediaAddress(of: medium, from: media.signalling)
            let isMuxed = medium.hasRTCPMux && call.offer?.media[place].hasRTCPMux == true
            let isNew = isOther || call[medium: number][.callee].address != address || call[medium: number].isRTCPMuxed != isMuxed
            call[medium: number][.callee].address = address
            call[medium: number].isRTCPMuxed = isMuxed
            call.describe(medium, number, by: .callee)
            if isNew { expect(medium, at: address, number, .callee, call, signalling: media.signalling) }
        }
    }

    /// From here on the caller may send: it is about to learn our addresses.
    private mutating func expectCaller(_ call: Call) {
        guard let offer = call.offer else { return }
        for number in call.mediumNumbers where call[medium: number][.callee].described != nil {
            let medium = offer.media[call[medium: number].place]
            let address = Self.mediaAddress(of: medium, from: call.source)
            call[medium: number][.caller].address = address
            expect(medium, at: address, number, .caller, call, signalling: call.source)
        }
    }

    /// Tells the relay of the medium of that number; see `Call.subscript(medium:)`.
    mutating func expect(
        _ media: SessionDescription.Media, at address: SocketAddress, _ number: Int, _ leg: Leg, _ call: Call, signalling: Flow,
        transport: MediaTransport? = nil
    ) {
        call.describe(media, number, by: leg)
        guard let session = call[medium: number].session else { return }
        let transport = transport ?? (media.isRTP ? .rtp : .datagram)
        var rtcp = media.rtcpAddress ?? SocketAddress(ip: address.ip, port: address.port &+ 1)
        if rtcp.ip.isUnspecified { rtcp.ip = address.ip }
        var source = ExpectedSource(
            rtp: address, rtcp: rtcp, signalling: signalling.ip, isRTCPMuxed: call[medium: number].isRTCPMuxed, transport: transport,
            direction: MediaDirection(media.direction),
            formats: PayloadFormats(
                receivedBy: call[medium: number][leg.other].formats, sentBy: call[medium: number][leg].formats ?? PayloadFormats()))
        let trunk = leg == .caller ? call.callerTrunk : call.calleeTrunk
        if trunk?.mediaBeforeLock == true { source.options = .opensAtOnce }
        output(.relay(.expect(session, leg, source)))
        if number == 0 { treatDigits(of: call) }
    }

    // MARK: Responses to the caller

    mutating func relayProvisional(_ status: Int, from id: BranchID, to call: Call, now: Instant) {
        guard let response = call.branches[id.rawValue].response else { return }
        let number = call.number
        let isFirst = call.ringAt == nil
        let isRinging = status == 180 || status == 183
        if isRinging, isFirst { call.ringAt = now }
        // The caller hears one branch; of the others that ring beside it, only what is news.
        let hasBody = !response.body.isEmpty && call.mediaBranch == id && call.answer != nil
            && !call.branches[id.rawValue].isSettled
        guard mayRelay(response, hasBody: hasBody, call) else { return }
        guard hasBody || call.chosen == id || !call.relayedStatuses.contains(status) else { return }
        call.relayedStatuses.insert(status)
        if hasBody {
            call.choose(id)
            describe(id, to: call, number)
            expectCaller(call)
        }
        let body = hasBody ? call.answer : nil
        if isReliable(status, from: response, hasBody: hasBody, to: call) {
            sendReliably(status: status, reason: response.reasonPhrase, body: body, to: number, call, now: now)
        } else {
            respond(call, status: status, reason: response.reasonPhrase, body: body, now: now)
        }
        if isRinging, isFirst { emit(.callRinging, for: call, ["status": "\(status)"], now: now) }
    }

    /// The caller is about to get the description of this branch. When it has that of another one, this is a dialog of its
    /// own, as behind a proxy that forks: within one the answer may not change (RFC 3261 §13.2.1).
    private mutating func describe(_ id: BranchID, to call: Call, _ number: CallNumber) {
        if let described = call.describedBranch, described != id {
            call.caller = Dialog(serving: call.invite, localTag: random.token(count: 12), source: call.source)
            remember(call.caller.localTag, of: call, number, .caller)
        }
        call.describedBranch = id
    }

    mutating func answerCaller(_ call: Call, now: Instant) {
        guard let winner = call.machine.winner else { return }
        let number = call.number
        if call.chosen != winner { leaveEarlySession(of: number, call, now: now) }
        call.choose(winner)
        call.chosenBranch?.target.state?.countAnswer()
        // What was agreed on since the first answer stands, and need not be said again; nor need what is being asked for.
        let isSettled = call.branches[winner.rawValue].isSettled
        let keepsMedia = isSettled || call.change != nil
        if !keepsMedia { useMedia(of: winner, in: call) }
        describe(winner, to: call, number)
        guard let answer = call.answer else { return }
        if !keepsMedia { expectCaller(call) }
        if call.change == nil, isSettled || !call.asksForOffer { endUnwantedMedia(of: call) }
        let timer = timerAnswer(to: call.inviteTerms, of: .caller, call, now: now)
        let octets = respond(call, status: 200, reason: nil, timer: timer, body: isSettled ? nil : answer, now: now)
        call.answerOctets = octets
        call.answerRetransmission = SuccessRetransmission(now: now)
        scheduleTimer(of: call)
    }

    /// A refusal by the callee is passed on with its reason; some statuses concern only our leg towards it.
    mutating func rejectCaller(_ status: Int, _ call: Call, now: Instant) {
        var headers = call.refusalHeaders
        var status = status
        var reason: String?
        if call.machine.release?.cause == .rejected, let response = call.calleeResponse {
            switch status {
            case 300..<400: status = 480  // redirection is not followed
            case 401, 407: status = 503  // the challenge was for us
            case 420, 421, 422: status = 500  // so was the demand
            case 430: status = 480  // a flow is the business of whoever keeps registrations (RFC 5626 §11.5)
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
        respond(call, status: status, reason: reason, headers, body: nil, now: now)
    }

    @discardableResult
    private mutating func respond(
        _ call: Call, status: Int, reason: String?, _ headers: [(HeaderName, String)] = [],
        timer: SessionTimer.Answer? = nil, body: [UInt8]?, now: Instant
    ) -> [UInt8] {
        if status >= 200, call.reliable != nil { call.reliable?.finish() }
        let octets = self.response(of: call, status: status, reason: reason, headers, timer: timer, body: body)
        var results = resultList()
        transactions.respond(call.inviteTransaction, status: status, octets, now: now, outputs: &results)
        enqueue(&results)
        return octets
    }

    /// A response to the caller's INVITE.
    func response(
        of call: Call, status: Int, reason: String?, _ headers: [(HeaderName, String)], timer: SessionTimer.Answer? = nil,
        body: [UInt8]?
    ) -> [UInt8] {
        var builder = MessageBuilder.response(
            to: call.invite, status: status, reason: reason, toTag: call.caller.localTag, source: call.source)
        if status < 300 {
            builder.addContact(endpoint(for: call.source), isSecure: call.isSecure)
            builder.add(lines: allowLine(towards: .caller, of: call))
            Self.addSupported(call[.caller].timer, to: &builder)
        }
        for (name, value) in headers { builder.add(name, value) }
        Self.add(timer, to: &builder)
        builder.add(lines: settings.serverLine)
        guard let body else { return builder.finish() }
        return builder.finish(body: body, contentType: "application/sdp")
    }
}
