import Configuration
import Core
import SIP

/// Reliable provisional responses (RFC 3262), on each leg by itself: relayd acknowledges those of the callee at once, and
/// repeats its own to a caller that asks for them until their PRACK comes. Whether the other leg knows them does not matter.
extension CallControl {
    // MARK: Towards the caller

    /// The caller insists on reliable responses, or knows them and this one was sent reliably by the callee.
    func isReliable(_ status: Int, from response: SIPMessage, hasBody: Bool, to call: Call) -> Bool {
        guard status > 100 else { return false }
        // The first one is to make the offer, which the callee must want acknowledged.
        if call.asksForOffer, hasBody ? !hasOwed(call) : call.agreedBranch != call.chosen { return false }
        if call.invite.hasToken("100rel", in: .require) { return true }
        return call.invite.hasToken("100rel", in: .supported) && response.hasToken("100rel", in: .require)
    }

    private func hasOwed(_ call: Call) -> Bool { call.chosen.map { call.branches[$0.rawValue].owedPRACK != nil } ?? false }

    /// False for a response that cannot be sent to a caller that wants none but reliable ones: without an offer in its INVITE
    /// the first of them has to make one (RFC 3262 §5).
    func mayRelay(_ response: SIPMessage, hasBody: Bool, _ call: Call) -> Bool {
        guard call.asksForOffer, call.agreedBranch != call.chosen, call.invite.hasToken("100rel", in: .require) else { return true }
        return hasBody && response.hasToken("100rel", in: .require)
    }

    /// Sends a provisional response until its PRACK comes; when another one is under way, after that.
    mutating func sendReliably(
        status: Int, reason: String?, body: [UInt8]?, to number: CallNumber, _ call: Call, now: Instant
    ) {
        var machine = call.reliable ?? ReliableProvisionals(first: UInt32.random(in: 1...0x7fff_0000, using: &random))
        var effects: [ReliableProvisionals.Effect] = []
        let sequence = machine.add(now: now, effects: &effects)
        call.reliable = machine
        let headers: [(HeaderName, String)] = [(.require, "100rel"), (.rseq, "\(sequence)")]
        call.reliableResponses[sequence] = (
            status, response(of: call, status: status, reason: reason, headers, body: body),
            body != nil ? call.describedBranch : nil)
        carryOut(effects, number, call, now: now)
    }

    mutating func receivePRACK(
        _ id: TransactionID, _ prack: SIPMessage, from source: Flow, of number: CallNumber, _ leg: Leg, now: Instant
    ) {
        guard let call = calls[number] else { return }
        var effects: [ReliableProvisionals.Effect] = []
        guard leg == .caller, let rack = prack.text(.rack).flatMap({ RAck($0) }), rack.sequence == call.invite.cseq.number,
            rack.method == "INVITE", call.reliable?.acknowledge(rack.responseSequence, now: now, effects: &effects) == true
        else { return answer(id, prack, from: source, status: 481, now: now) }
        let described = call.reliableResponses.removeValue(forKey: rack.responseSequence)?.describes
        if let described { call.agreedBranch = described }
        if call.asksForOffer, let described, !call.branches[described.rawValue].isSettled {
            takeEarlyAnswer(prack, id, from: source, of: number, described, call, now: now)
        } else if prack.body.isEmpty {
            respond(to: prack, id, from: source, of: call, leg, status: 200, now: now)
        } else {
            receiveOffer(in: prack, id, from: source, of: number, call, now: now)
        }
        carryOut(effects, number, call, now: now)
        if !call.awaitsPRACK { takeDeferredAnswers(of: number, call, now: now) }
    }

    mutating func reliableTimerDue(_ call: Call, now: Instant) {
        guard let due = call.reliable?.deadline, due <= now else { return }
        var effects: [ReliableProvisionals.Effect] = []
        call.reliable?.advance(to: now, effects: &effects)
        carryOut(effects, call.number, call, now: now)
    }

    private mutating func carryOut(
        _ effects: [ReliableProvisionals.Effect], _ number: CallNumber, _ call: Call, now: Instant
    ) {
        for effect in effects {
            switch effect {
            case .send(let sequence):
                guard let (status, octets, _) = call.reliableResponses[sequence] else { continue }
                var results = resultList()
                transactions.respond(call.inviteTransaction, status: status, octets, now: now, outputs: &results)
                enqueue(&results)
            case .prackMissing:
                enqueue(.release(cause: .prackMissing, status: 504, party: .relayd), for: number)
            }
        }
        scheduleTimer(of: call)
    }

    // MARK: Towards a callee

    /// False for a reliable response that is a repetition or came out of order: it is as if it had not come (§4).
    func acceptsReliably(_ response: SIPMessage, _ id: BranchID, _ call: Call) -> Bool {
        guard response.hasToken("100rel", in: .require), let value = response.number(.rseq), let sequence = UInt32(exactly: value)
        else { return true }
        let tag = response.toTag.map { String(decoding: $0, as: UTF8.self) } ?? ""
        if let last = call.branches[id.rawValue].responseSequences[tag], sequence != last &+ 1 { return false }
        guard call.branches[id.rawValue].responseSequences.count < 16 || call.branches[id.rawValue].responseSequences[tag] != nil
        else { return false }
        call.branches[id.rawValue].responseSequences[tag] = sequence
        return true
    }

    /// PRACK at once, but for an offer: that one carries the caller's answer.
    mutating func takeReliably(_ response: SIPMessage, _ id: BranchID, _ call: Call, _ number: CallNumber, now: Instant) {
        guard response.hasToken("100rel", in: .require) else { return }
        let branch = call.branches[id.rawValue]
        branch.side.learn(from: response)
        if owesAnswer(to: response, id, call) { return branch.owedPRACK = response }
        if !call.asksForOffer, branch.media != nil, !response.body.isEmpty { branch.isAgreed = true }
        acknowledgeReliably(response, id, call, number, now: now)
    }

    /// PRACK: the dialog of the branch is that of the response.
    mutating func acknowledgeReliably(
        _ response: SIPMessage, _ id: BranchID, _ call: Call, _ number: CallNumber, answer: [UInt8] = [], now: Instant
    ) {
        guard response.hasToken("100rel", in: .require), let sequence = response.number(.rseq) else { return }
        let viaBranch = newBranch()
        let destination = call.branches[id.rawValue].dialog.destination
        var builder = call.branches[id.rawValue].dialog.request(.prack, branch: viaBranch, sentBy: endpoint(for: destination))
        builder.add(.rack, "\(sequence) \(response.cseq.text)")
        builder.add(lines: settings.userAgentLine)
        let octets = builder.finish(body: answer, contentType: answer.isEmpty ? nil : "application/sdp")
        _ = send(
            octets, .prack, branch: viaBranch, to: destination, for: number, .callee, in: call.branches[id.rawValue].dialog, now: now)
    }
}
