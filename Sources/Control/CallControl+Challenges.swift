import Configuration
import Core
import SIP

/// Challenges (401, 407) of requests that relayd sends inside a dialog: each goes out once more, with credentials (RFC 3261
/// §22.2). Those of an INVITE that begins a call are the branch's affair.
extension CallControl {
    /// A BYE outlives its call: what it takes to send it again.
    struct OpenBye {
        let trunk: String
        let dialog: Dialog
    }

    /// True when the request was sent again: the response is as good as never come.
    mutating func answerChallengeInDialog(
        _ id: TransactionID, _ response: SIPMessage, status: Int, _ use: TransactionUse, now: Instant
    ) -> Bool {
        guard status == 401 || status == 407, let sent = transactions.sentRequest(id),
            case .message(let request) = SIPMessage.parse(sent.octets), request.toTag != nil, request.method != .cancel
        else { return false }
        let call = calls[use.call]
        let isBye = request.method == .bye
        guard isBye || (call?.machine.release == nil && call != nil) else { return false }
        // A PRACK belongs to its own branch, whichever is chosen.
        let branch = request.method == .prack ? call?.branches.first { $0.dialog.isOf(request) } : nil
        let callTrunk = use.leg == .caller ? call?.callerTrunk : branch?.target.trunk ?? call?.calleeTrunk
        let trunk = isBye ? challengedByes[id]?.trunk : callTrunk?.name
        let hadCredentials = request.first(.authorization) != nil || request.first(.proxyAuthorization) != nil
        guard let trunk, takeChallenge(response, of: trunk, attempt: hadCredentials ? 1 : 0),
            let dialog = isBye ? challengedByes[id]?.dialog : branch?.dialog ?? call?.dialog(of: use.leg), dialog.isOf(request)
        else { return false }
        let viaBranch = newBranch()
        var builder = dialog.request(
            request.method, branch: viaBranch, sentBy: endpoint(for: sent.destination), maxForwards: request.maxForwards ?? 70)
        let written: Set<HeaderName> = [
            .via, .maxForwards, .from, .to, .callID, .cseq, .route, .authorization, .proxyAuthorization, .contentType, .contentLength,
        ]
        for field in request.headers where !written.contains(field.name) { builder.copy(field, from: request) }
        if let (header, value) = authorization(for: trunkStates[trunk], request.method, uri: Array(request.requestURI)) { builder.add(header, octets: value) }
        let body = Array(request.body)
        let octets = builder.finish(body: body, contentType: body.isEmpty ? nil : request.text(.contentType))
        let again = send(
            octets, request.method, branch: viaBranch, to: sent.destination, for: use.call, use.leg, in: dialog, now: now)
        if isBye {
            openByes.remove(id)
            openByes.insert(again)
            challengedByes[id] = nil
            challengedByes[again] = OpenBye(trunk: trunk, dialog: dialog)
        }
        if let call { Self.replace(id, by: again, branch: viaBranch, in: call) }
        return true
    }

    /// Whoever waits for the answer waits for that of the new transaction.
    private static func replace(_ old: TransactionID, by new: TransactionID, branch: ViaBranch, in call: Call) {
        if call.change?.outgoing == old {
            call.change?.outgoing = new
            call.change?.branch = branch
            call.change?.hasProvisional = false
        }
        if let passed = call.passedRequests.removeValue(forKey: old) { call.passedRequests[new] = passed }
        for leg in Leg.allCases {
            if call.refreshes[leg]?.transaction == old { call.refreshes[leg]?.transaction = new }
            if call.digits[leg]?.transaction == old { call.digits[leg]?.transaction = new }
        }
    }

    /// Remembers what a challenge of this BYE is answered with.
    mutating func noteBye(_ id: TransactionID, of trunk: SharedTrunk?, in dialog: @autoclosure () -> Dialog?) {
        openByes.insert(id)
        guard let trunk, trunk.username != nil, let dialog = dialog() else { return }
        challengedByes[id] = OpenBye(trunk: trunk.name, dialog: dialog)
    }
}
