import Configuration
import ControlProtocol
import Core
import RTP
import Relay
import SIP

/// Changes of an established session: re-INVITE and UPDATE from either leg, passed to the other (RFC 3261 §14, RFC 3311).
/// An UPDATE before the answer takes the same way; `CallControl+EarlyChanges.swift` says when it may.
///
/// Each leg keeps its own CSeq, branch and Contact, and its relay ports: what changes is where the parties want their media.
/// The relay hears of the offerer's new address with the offer (the old one stays good until the new one sends), and of the
/// answerer's with the answer. When the change fails it hears of the old ones again.
extension CallControl {
    /// As a proxy's timer C (RFC 3261 §16.6).
    private static let changeLimit = Duration.seconds(180)

    /// The extensions we know, where there are any.
    static func addSupported(_ timer: SessionTimer, reliableResponses: Bool = false, to builder: inout MessageBuilder) {
        switch (timer.policy.isOff, reliableResponses) {
        case (true, true): builder.add(lines: "Supported: 100rel\r\n")
        case (true, false): break
        case (false, true): builder.add(lines: "Supported: timer, 100rel\r\n")
        case (false, false): builder.add(lines: "Supported: timer\r\n")
        }
    }

    // MARK: The request

    mutating func receiveChange(
        _ id: TransactionID, _ request: SIPMessage, from source: Flow, of number: CallNumber, _ leg: Leg, now: Instant
    ) {
        guard let call = calls[number] else { return }
        let carrier: OfferAnswerExchange.Carrier = request.method == .invite ? .invite : .update
        func refuse(_ status: Int, _ headers: [(HeaderName, String)] = []) {
            counters.add(to: .sessionChangesRefused)
            answer(id, request, from: source, status: status, headers, now: now)
        }
        // A caller that offers anew has its answer, whatever became of its ACK.
        if let change = call.change, change.machine.stage == .answered, change.machine.initiator == leg, change.machine.hasOffer {
            advanceChange(number, .acknowledged(isUsable: false), now: now)
        }
        let isUp = call.machine.isConnected && call.machine.caller == .confirmed
        if !isUp {
            let pending = OfferAnswerExchange.refusal(of: leg, whileAsking: .callee)
            let status = carrier == .update ? earlyRefusal(of: leg, call) : pending
            if let status { return refuse(status, status == 500 ? [retrySoon()] : []) }
        }
        if let change = call.change {
            let status = OfferAnswerExchange.refusal(of: leg, whileAsking: change.machine.responder)
            return refuse(status, status == 500 ? [retrySoon()] : [])
        }
        if call.isRefreshing { return refuse(491) }
        if let refusal = Self.timerRefusal(of: SessionTimer.Terms(request), call[leg].timer) { return refuse(refusal.status, refusal.headers) }
        var offer: SessionDescription?
        if !request.body.isEmpty {
            switch Self.offer(in: request) {
            case .success(let description): offer = description
            case .failure(let refusal): return refuse(refusal.status, refusal.headers)
            }
        }
        let mainPlace = offer.flatMap { self.mainPlace(in: $0, of: call) }
        if let offer, let index = mainPlace,
            !offer.media[index].hasCodec(passing: Self.filters(of: call.callerTrunk, call.calleeTrunk))
        {
            return refuse(488, [noCodecWarning(call)])
        }
        let knowsUpdate = call[leg.other].allowed?.contains(.update) ?? true
        call[leg].learn(from: request)
        call.refreshTarget(of: leg, from: request, source: source)
        let machine = OfferAnswerExchange(
            initiator: leg, carrier: carrier, passedAs: carrier == .update && knowsUpdate ? .update : .invite,
            hasOffer: offer != nil)
        begin(machine, request, id, from: source, offer: offer, mainPlace: mainPlace, of: number, call, now: now)
    }

    /// Passes a request for another session on to the other side.
    mutating func begin(
        _ machine: OfferAnswerExchange, _ request: SIPMessage, _ id: TransactionID, from source: Flow,
        offer: SessionDescription?, mainPlace: Int?, of number: CallNumber, _ call: Call, now: Instant
    ) {
        counters.add(to: .sessionChanges)
        var change = SessionChange(
            machine: machine, request: request, requestTransaction: id, source: source, limit: now + Self.changeLimit)
        change.offer = offer
        change.mediumIndex = mainPlace
        call.change = change
        if let offer {
            openFurtherMedia(of: offer, by: machine.initiator, besides: mainPlace, call, number, now: now)
            if call.awaitsMedia { change.waiting = .request } else { passOffer(offer, &change, of: call, number, now: now) }
        } else {
            pass(&change, of: call, number, now: now)
        }
        call.change = change
        call.changeDeadline = change.deadline
        scheduleTimer(of: call)
    }

    /// What a request with a body asks for, or why it cannot be read.
    static func offer(in request: SIPMessage) -> Result<SessionDescription, Unreadable> {
        guard request.hasSessionDescription else {
            return .failure(Unreadable(status: 415, headers: [(.accept, "application/sdp")]))
        }
        do {
            return .success(try SessionDescription(parsing: request.body))
        } catch {
            return .failure(Unreadable(status: error.statusCode))
        }
    }

    struct Unreadable: Error {
        let status: Int
        var headers: [(HeaderName, String)] = []
    }

    private mutating func passOffer(
        _ offer: SessionDescription, _ change: inout SessionChange, of call: Call, _ number: CallNumber, now: Instant
    ) {
        expectOffered(offer, change.mediumIndex, by: change.machine.initiator, call, signalling: change.source)
        pass(&change, of: call, number, now: now)
    }

    /// The media that a change has waited for are there, or cannot be had.
    mutating func resumeChange(_ number: CallNumber, now: Instant) {
        guard let call = calls[number], var change = call.change, let waiting = change.waiting else { return }
        change.waiting = nil
        switch waiting {
        case .request:
            guard let offer = change.offer else { return }
            passOffer(offer, &change, of: call, number, now: now)
            call.change = change
        case .answer:
            call.change = change
            advanceChange(number, .succeeded(isUsable: true), now: now)
        }
    }

    /// Between 0 and 10 s, as RFC 3261 §14.2 asks.
    mutating func retrySoon() -> (HeaderName, String) { (.retryAfter, "\(Int.random(in: 0...10, using: &random))") }

    private mutating func pass(_ change: inout SessionChange, of call: Call, _ number: CallNumber, now: Instant) {
        let leg = change.machine.responder
        let method: Method = change.machine.passedAs == .invite ? .invite : .update
        let body = change.offer.map { describe($0, change.mediumIndex, to: leg, call) }
        let branch = newBranch()
        change.branch = branch
        change.outgoing = sendInDialog(
            method, branch: branch, of: number, leg, copying: change.request,
            timer: call.machine.isConnected ? call[leg].timer : nil, body: body,
            contentType: body == nil ? nil : "application/sdp", now: now)
    }

    /// A request inside the dialog of `leg`, with what every request of ours says, and the header lines of `original` that
    /// are passed through.
    @discardableResult
    mutating func sendInDialog(
        _ method: Method, branch: ViaBranch, of number: CallNumber, _ leg: Leg, copying original: SIPMessage? = nil,
        timer: SessionTimer? = nil, headers: [(HeaderName, String)] = [], body: [UInt8]? = nil, contentType: String? = nil,
        now: Instant
    ) -> TransactionID? {
        guard let call = calls[number], let dialog = call.dialog(of: leg) else { return nil }
        var builder = dialog.request(
            method, branch: branch, sentBy: endpoint(for: dialog.destination), maxForwards: max(0, (original?.maxForwards ?? 71) - 1))
        if method == .invite || method == .update {
            builder.addContact(endpoint(for: dialog.destination))
            builder.add(lines: allowLine(towards: leg, of: call))
            Self.addSupported(call[leg].timer, to: &builder)
        }
        if let timer { Self.addTimerHeaders(timer, to: &builder) }
        for (name, value) in headers { builder.add(name, value) }
        builder.add(lines: settings.userAgentLine)
        if let original {
            let (source, target) = leg == .callee ? (call.callerTrunk, call.calleeTrunk) : (call.calleeTrunk, call.callerTrunk)
            let withheld = IdentityPolicy(original, from: source, to: target).withheld
            passThrough(original, withholding: withheld, to: &builder)
        }
        return send(
            builder.finish(body: body ?? [], contentType: contentType), method, branch: branch, to: dialog.destination,
            for: number, leg, now: now)
    }

    // MARK: What comes back

    /// True when the response belongs to a change of the session, or to a request that was passed.
    mutating func receiveMidDialogResponse(
        _ id: TransactionID, _ response: SIPMessage, status: Int, from source: Flow, of number: CallNumber, _ leg: Leg,
        now: Instant
    ) -> Bool {
        guard let call = calls[number] else { return false }
        if let known = call.changeAcknowledgements[id] {
            // Our ACK was lost.
            if (200..<300).contains(status) {
                call.note(sent: known.octets, leg: leg, isRetransmission: true, at: now)
                output(.send(known.octets, to: known.destination, transaction: nil))
            }
            return true
        }
        if call.abandonedChanges.contains(id), (200..<300).contains(status) {
            acknowledge(response, id, leg, call, now: now)
            return true
        }
        if digitAnswered(id, status: status, of: number, now: now) { return true }
        if receiveRefreshResponse(id, response, status: status, from: source, of: number, leg, now: now) { return true }
        if call.change?.outgoing == id {
            receiveChangeResponse(response, status: status, from: source, call, number, now: now)
            return true
        }
        if let passed = call.passedRequests[id] {
            guard status >= 200 else { return true }
            call.passedRequests[id] = nil
            passBack(response, status: status, to: passed, call, number, now: now)
            return true
        }
        return false
    }

    /// True when a change of the session or a passed request waited for an answer in this transaction.
    mutating func midDialogUnreachable(_ id: TransactionID, now: Instant) -> Bool {
        if refreshUnreachable(id, now: now) { return true }
        guard let use = transactionUses[id], let call = calls[use.call] else { return false }
        if digitAnswered(id, status: nil, of: use.call, now: now) { return true }
        if call.change?.outgoing == id {
            advanceChange(use.call, .unreachable, now: now)
            return true
        }
        if let passed = call.passedRequests.removeValue(forKey: id) {
            answer(passed.transaction, passed.request, from: passed.source, status: 408, now: now)
            peerLost(use.leg, use.call, now: now)
            return true
        }
        return false
    }

    private mutating func receiveChangeResponse(
        _ response: SIPMessage, status: Int, from source: Flow, _ call: Call, _ number: CallNumber, now: Instant
    ) {
        guard var change = call.change else { return }
        let responder = change.machine.responder
        switch status {
        case 100..<200:
            change.hasProvisional = true
            let isCancelDue = change.isCancelPending
            change.isCancelPending = false
            call.change = change
            if isCancelDue { cancelChange(number, now: now) }
        case 200..<300:
            // The answer again, while the initiator's ACK is awaited, or sockets are.
            guard change.machine.stage == .requested, change.waiting == nil else { return }
            change.response = response
            change.responseSource = source
            call[responder].learn(from: response)
            call.refreshTarget(of: responder, from: response, source: source)
            // Before the answer there is no session to keep up.
            if call.machine.isConnected { timerAccepted(response, by: responder, call, now: now) }
            let description = response.hasSessionDescription ? try? SessionDescription(parsing: response.body) : nil
            if change.machine.hasOffer {
                let isFitting = description?.media.count == change.offer?.media.count
                change.answer = isFitting ? description : nil
            } else {
                change.offer = description
                change.mediumIndex = description.flatMap { mainPlace(in: $0, of: call) }
                if let description {
                    openFurtherMedia(of: description, by: responder, besides: change.mediumIndex, call, number, now: now)
                    if call.awaitsMedia { change.waiting = .answer }
                }
            }
            call.change = change
            guard change.waiting == nil else { return }
            let isUsable = (change.machine.hasOffer ? change.answer : change.offer) != nil
            advanceChange(number, .succeeded(isUsable: isUsable), now: now)
            if !isUsable, change.machine.hasOffer { restore(responder, of: number, now: now) }
        case 422 where !change.isRetried && call[responder].timer.refused(SessionTimer.Terms(response)):
            change.isRetried = true
            change.hasProvisional = false
            pass(&change, of: call, number, now: now)
            call.change = change
        default:
            change.response = response
            call.change = change
            advanceChange(number, .failed(status: status), now: now)
        }
    }

    /// The ACK for a 2xx to a re-INVITE. False when none is waited for.
    mutating func receiveChangeAcknowledgement(_ message: SIPMessage, _ number: CallNumber, _ leg: Leg, now: Instant) -> Bool {
        guard let call = calls[number], var change = call.change, change.machine.initiator == leg,
            change.machine.stage == .answered, change.request.cseq.number == message.cseq.number
        else { return false }
        call.note(received: message, leg: leg, isRetransmission: false, at: now)
        if !change.machine.hasOffer, message.hasSessionDescription,
            let answer = try? SessionDescription(parsing: message.body), answer.media.count == change.offer?.media.count
        {
            change.answer = answer
            call.change = change
        }
        advanceChange(number, .acknowledged(isUsable: change.answer != nil), now: now)
        return true
    }

    /// CANCEL for a re-INVITE; it has had its 200.
    mutating func changeCancelled(_ invite: TransactionID, of number: CallNumber, now: Instant) {
        guard calls[number]?.change?.requestTransaction == invite else { return }
        advanceChange(number, .cancelled, now: now)
    }

    // MARK: Effects

    mutating func advanceChange(_ number: CallNumber, _ event: OfferAnswerExchange.Event, now: Instant) {
        guard let call = calls[number], let before = call.change else { return }
        var machine = before.machine
        var effects: [OfferAnswerExchange.Effect] = []
        machine.handle(event, effects: &effects)
        call.change?.machine = machine
        if machine.stage != .answered { call.change?.answerRetransmission = nil }
        for effect in effects { carryOut(effect, call, number, now: now) }
        if machine.stage == .finished { call.change = nil }
        call.changeDeadline = call.change?.deadline
        scheduleTimer(of: call)
    }

    private mutating func carryOut(_ effect: OfferAnswerExchange.Effect, _ call: Call, _ number: CallNumber, now: Instant) {
        guard let change = call.change else { return }
        switch effect {
        case .acknowledge(let withAnswer): acknowledgeChange(change, withAnswer: withAnswer, call, number, now: now)
        case .cancelRequest:
            if change.hasProvisional { cancelChange(number, now: now) } else { call.change?.isCancelPending = true }
        case .answer: answerChange(change, call, number, now: now)
        case .refuse(let status): refuseChange(change, status: status, call, now: now)
        case .agreed: agreed(change, call, now: now)
        case .unchanged:
            expectAgreed(of: .caller, call)
            expectAgreed(of: .callee, call)
            endUnwantedMedia(of: call)
        case .release(let cause, let party):
            // What becomes of an attempt is said in response to its INVITE.
            guard call.machine.isConnected else { break }
            if cause == .peerLost { emitPeerLost(change.machine.responder, call, now: now) }
            enqueue(.release(cause: cause, status: 200, party: party), for: number)
        }
    }

    private mutating func acknowledgeChange(
        _ change: SessionChange, withAnswer: Bool, _ call: Call, _ number: CallNumber, now: Instant
    ) {
        let leg = change.machine.responder
        guard let dialog = call.dialog(of: leg), let response = change.response, let outgoing = change.outgoing else { return }
        let builder = dialog.request(.ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: response.cseq.number)
        var octets: [UInt8]
        if let offer = change.offer, !change.machine.hasOffer {
            // An offer in a 2xx must be answered in the ACK (RFC 3261 §13.2.2.4), if only by declining all of it.
            let body =
                withAnswer
                ? change.answer.map { describe($0, change.mediumIndex, to: leg, answering: offer, call) } ?? []
                : offer.rewritten(offer.media.map { _ in .decline })
            octets = builder.finish(body: body, contentType: "application/sdp")
        } else {
            octets = builder.finish()
        }
        call.changeAcknowledgements[outgoing] = (octets, dialog.destination)
        call.note(sent: octets, leg: leg, isRetransmission: false, at: now)
        output(.send(octets, to: dialog.destination, transaction: nil))
    }

    private mutating func cancelChange(_ number: CallNumber, now: Instant) {
        guard let call = calls[number], let change = call.change, let id = change.outgoing, let branch = change.branch
        else { return }
        sendCancel(of: id, branch: branch, for: number, change.machine.responder, reason: nil, now: now)
    }

    private mutating func answerChange(_ change: SessionChange, _ call: Call, _ number: CallNumber, now: Instant) {
        let initiator = change.machine.initiator
        guard let description = change.machine.hasOffer ? change.answer : change.offer else { return }
        if !change.machine.hasOffer, let source = change.responseSource {
            expectOffered(description, change.mediumIndex, by: initiator.other, call, signalling: source)
        }
        let octets = respond(
            to: change.request, change.requestTransaction, from: change.source, of: call, initiator, status: 200,
            timer: call.machine.isConnected
                ? timerAnswer(to: SessionTimer.Terms(change.request), of: initiator, call, now: now) : nil,
            body: describe(
                description, change.mediumIndex, to: initiator, answering: change.machine.hasOffer ? change.offer : nil, call),
            now: now)
        guard change.machine.carrier == .invite else { return }
        call.change?.answerOctets = octets
        call.change?.answerRetransmission = SuccessRetransmission(now: now)
    }

    /// A final response in the dialog of `leg`, with what every 2xx of ours says.
    @discardableResult
    mutating func respond(
        to request: SIPMessage, _ id: TransactionID, from source: Flow, of call: Call, _ leg: Leg, status: Int,
        reason: String? = nil, timer: SessionTimer.Answer? = nil, headers: [(HeaderName, String)] = [], body: [UInt8]? = nil,
        contentType: String = "application/sdp", now: Instant
    ) -> [UInt8] {
        var builder = MessageBuilder.response(
            to: request, status: status, reason: reason, toTag: call.dialog(of: leg)?.localTag, source: source)
        if status < 300, request.method == .invite || request.method == .update {
            builder.add(.contact, endpoint(for: source).contact)
            builder.add(lines: allowLine(towards: leg, of: call))
            Self.addSupported(call[leg].timer, to: &builder)
        }
        Self.add(timer, to: &builder)
        for (name, value) in headers { builder.add(name, value) }
        builder.add(lines: settings.serverLine)
        let octets: [UInt8]
        if let body { octets = builder.finish(body: body, contentType: contentType) } else { octets = builder.finish() }
        var results = resultList()
        transactions.respond(id, status: status, octets, now: now, outputs: &results)
        enqueue(&results)
        return octets
    }

    /// The responder's refusal goes back with its reason; some statuses concern only our leg towards it.
    private mutating func refuseChange(_ change: SessionChange, status: Int, _ call: Call, now: Instant) {
        if change.request.method == .prack, let offer = change.offer, call.machine.release == nil {
            return answerHere(change.request, change.requestTransaction, from: change.source, offer: offer, call, now: now)
        }
        counters.add(to: .sessionChangesRefused)
        var status = status
        var reason: String?
        var headers: [(HeaderName, String)] = []
        if let response = change.response, response.status == status {
            switch status {
            case 300..<400, 401, 407, 420, 421, 422, 430: status = 488
            default: reason = response.reasonPhrase
            }
            for name in [HeaderName.reason, .retryAfter, .warning] {
                if let value = response.text(name) { headers.append((name, value)) }
            }
        }
        respond(
            to: change.request, change.requestTransaction, from: change.source, of: call, change.machine.initiator,
            status: status, reason: reason, headers: headers, now: now)
    }

    private mutating func agreed(_ change: SessionChange, _ call: Call, now: Instant) {
        guard let offer = change.offer, let answer = change.answer else { return }
        let offerer = change.machine.offerer
        let wasHeld = (call[.caller].isOnHold, call[.callee].isOnHold)
        let initiatorSource = change.source
        let responderSource = change.responseSource ?? initiatorSource
        for (leg, description) in [(offerer, offer), (offerer.other, answer)] {
            call[leg].description = description
            call[leg].refreshed = nil
            call[leg].mediumIndex = change.mediumIndex
            call[leg].signalling = leg == change.machine.initiator ? initiatorSource : responderSource
        }
        if let place = change.mediumIndex { call.main.place = place }
        agreeOnMultiplexing(call)
        if call.machine.caller == .proceeding, let chosen = call.chosen { call.branches[chosen.rawValue].isSettled = true }
        expectAgreed(of: .caller, call)
        expectAgreed(of: .callee, call)
        endUnwantedMedia(of: call)
        let isHeld = (call[.caller].isOnHold, call[.callee].isOnHold)
        var fields: EventFields = [
            "by": "\(change.machine.initiator)", "hold": Self.holdText(isHeld), "media": call[.caller].medium?.kind ?? "none",
        ]
        if isHeld != wasHeld { fields["hold_before"] = Self.holdText(wasHeld) }
        emit(.callChanged, for: call, fields, now: now)
    }

    /// Which party does less than sending and receiving.
    static func holdText(_ isHeld: (Bool, Bool)) -> String {
        switch isHeld {
        case (false, false): "none"
        case (true, false): "caller"
        case (false, true): "callee"
        case (true, true): "both"
        }
    }

    // MARK: Descriptions

    /// The m= line that leads: the first audio, else the first medium that travels in datagrams.
    static func relayedMedium(of description: SessionDescription) -> Int? {
        let media = description.media
        return media.firstIndex { $0.kind == "audio" && $0.isRTP && $0.port != 0 }
            ?? media.firstIndex { $0.isRelayable && $0.port != 0 }
            ?? media.firstIndex { $0.isRelayable }
    }

    /// The other party's description as `leg` gets it: with the relay's address towards `leg`, and the formats it may have.
    ///
    /// - Parameter offer: what `leg` had offered, when this is the answer.
    mutating func describe(
        _ description: SessionDescription, _ index: Int?, to leg: Leg, answering offer: SessionDescription? = nil, _ call: Call
    ) -> [UInt8] {
        rewritten(description, index, to: leg, calleeTrunk: call.calleeTrunk, answering: offer, call)
    }

    /// The offerer may send from its new address once it has the answer, which may be before relayd has it. Where media
    /// changes between RTP and datagrams, either may come from both until the answer says.
    private mutating func expectOffered(
        _ offer: SessionDescription, _ index: Int?, by leg: Leg, _ call: Call, signalling: Flow
    ) {
        for number in call.mediumNumbers {
            guard let place = call.place(of: number, main: index), place < offer.media.count else { continue }
            let medium = offer.media[place]
            let changesTransport = call[medium: number][leg].described.map { $0.isRTP != medium.isRTP } ?? false
            if medium.port != 0 {
                expect(medium, number, of: leg, call, signalling: signalling, transport: changesTransport ? .datagram : nil)
            }
            if changesTransport { expectAgreed(number, of: leg.other, call, transport: .datagram) }
        }
    }

    /// What the leg's last agreed description says.
    mutating func expectAgreed(of leg: Leg, _ call: Call) {
        for number in call.mediumNumbers { expectAgreed(number, of: leg, call, transport: nil) }
    }

    private mutating func expectAgreed(_ number: Int, of leg: Leg, _ call: Call, transport: MediaTransport?) {
        guard let description = call[leg].refreshed ?? call[leg].description, let signalling = call[leg].signalling,
            call[medium: number].place < description.media.count
        else { return }
        let medium = description.media[call[medium: number].place]
        if medium.port != 0 {
            expect(medium, number, of: leg, call, signalling: signalling, transport: transport)
        } else if number == 0 {
            // It waits for its end, or for being wanted again: nobody is to send meanwhile.
            call.describe(medium, number, by: leg)
            silenceMain(of: leg, call)
        }
    }

    /// The main medium is off while others go on.
    private mutating func silenceMain(of leg: Leg, _ call: Call) {
        guard let session = call.main.session else { return }
        let nowhere = SocketAddress(ip: .ipv4Any, port: 0)
        output(
            .relay(
                .expect(
                    session, leg,
                    ExpectedSource(
                        rtp: nowhere, rtcp: nowhere, signalling: (call[leg].signalling ?? call.source).ip,
                        isRTCPMuxed: call.main.isRTCPMuxed, transport: .rtp, direction: .inactive, formats: PayloadFormats()))))
    }

    /// RTCP on the RTP port where both sides' descriptions say so.
    func agreeOnMultiplexing(_ call: Call) {
        for number in call.mediumNumbers {
            let place = call[medium: number].place
            call[medium: number].isRTCPMuxed = Leg.allCases.allSatisfy { leg in
                guard let description = call[leg].refreshed ?? call[leg].description else { return false }
                return place < description.media.count && description.media[place].hasRTCPMux
            }
        }
    }

    private mutating func expect(
        _ medium: SessionDescription.Media, _ number: Int, of leg: Leg, _ call: Call, signalling: Flow, transport: MediaTransport?
    ) {
        // 0.0.0.0 names no address: the relay keeps the one it knows.
        let address =
            medium.isHeldByAddress
            ? SocketAddress(ip: .ipv4Any, port: medium.port) : Self.mediaAddress(of: medium, from: signalling)
        if !medium.isHeldByAddress {
            call[medium: number][leg].address = address
        }
        expect(medium, at: address, number, leg, call, signalling: signalling, transport: transport)
    }

    // MARK: The call's end, and time

    /// Answers whatever is still open in the dialogs of a call that is over.
    mutating func endMidDialog(of call: Call, now: Instant) {
        let number = call.number
        if let change = call.change, change.machine.stage == .requested, change.machine.passedAs == .invite,
            let outgoing = change.outgoing
        {
            transactions.abandon(outgoing, now: now)
            call.abandonedChanges.insert(outgoing)
        }
        takeDeferredAnswers(of: number, call, now: now)
        if call.reliable != nil { call.reliable?.finish() }
        if !call.refreshes.isEmpty {
            for refresh in call.refreshes.values where refresh.method == .invite {
                transactions.abandon(refresh.transaction, now: now)
                call.abandonedChanges.insert(refresh.transaction)
            }
            call.refreshes = [:]
        }
        if call.change != nil { advanceChange(number, .callEnded, now: now) }
        if !call.passedRequests.isEmpty {
            for (_, passed) in call.passedRequests.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                answer(passed.transaction, passed.request, from: passed.source, status: 487, now: now)
            }
            call.passedRequests = [:]
        }
        stopTimers(of: call)
        call.changeDeadline = nil
    }

    /// ACK for a 2xx to a re-INVITE of ours, without a description.
    mutating func acknowledge(_ response: SIPMessage, _ id: TransactionID, _ leg: Leg, _ call: Call, now: Instant) {
        guard let dialog = call.dialog(of: leg) else { return }
        let octets = dialog.request(.ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: response.cseq.number).finish()
        call.changeAcknowledgements[id] = (octets, dialog.destination)
        call.note(sent: octets, leg: leg, isRetransmission: false, at: now)
        output(.send(octets, to: dialog.destination, transaction: nil))
    }

    mutating func changeTransactionEnded(_ id: TransactionID, of call: Call, _ number: CallNumber, now: Instant) {
        if !call.changeAcknowledgements.isEmpty { call.changeAcknowledgements[id] = nil }
        guard !call.abandonedChanges.isEmpty, call.abandonedChanges.remove(id) != nil else { return }
        if call.isForgetDue { forget(call, now: now) }
    }

    mutating func changeTimerDue(_ call: Call, now: Instant) {
        guard let change = call.change, let due = change.deadline, due <= now else { return }
        let number = call.number
        guard var retransmission = change.answerRetransmission else {
            // No final response ever: CANCEL, and the initiator is told.
            if change.hasProvisional { cancelChange(number, now: now) }
            return advanceChange(number, .unreachable, now: now)
        }
        var effects: [SuccessRetransmission.Effect] = []
        retransmission.advance(to: now, effects: &effects)
        call.change?.answerRetransmission = retransmission
        for effect in effects {
            switch effect {
            case .resend:
                var results = resultList()
                transactions.respond(change.requestTransaction, status: 200, change.answerOctets, now: now, outputs: &results)
                enqueue(&results)
            case .ackMissing: advanceChange(number, .acknowledgementMissing, now: now)
            }
        }
        call.changeDeadline = call.change?.deadline
    }

    /// A peer answers 481 or 408 in its dialog, or nothing at all: it no longer has this call (RFC 3261 §12.2.1.2).
    mutating func peerLost(_ leg: Leg, _ number: CallNumber, now: Instant) {
        guard let call = calls[number], call.machine.release == nil else { return }
        emitPeerLost(leg, call, now: now)
        enqueue(.release(cause: .peerLost, status: 200, party: leg == .caller ? .caller : .callee), for: number)
    }

    private mutating func emitPeerLost(_ leg: Leg, _ call: Call, now: Instant) {
        emit(
            .callPeerLost, for: call,
            ["leg": "\(leg)", "contact": call.dialog(of: leg)?.remoteTarget ?? ""], now: now)
    }
}
