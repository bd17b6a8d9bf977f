import Core
import SIP

/// Requests inside a dialog that mean nothing to relayd: INFO, and MESSAGE where the other side takes it, go to the other
/// leg, and their answer back.
extension CallControl {
    /// A request that is passed from either leg at once, more wait for nobody: each opens a transaction of 32 s.
    private static let maximumPassed = 16

    mutating func pass(
        _ id: TransactionID, _ request: SIPMessage, from source: Flow, of number: CallNumber, _ leg: Leg, now: Instant
    ) {
        guard let call = calls[number] else { return }
        guard call.machine.isConnected else { return answer(id, request, from: source, status: 481, now: now) }
        guard call.passedRequests.count < Self.maximumPassed else {
            return answer(id, request, from: source, status: 503, [(.retryAfter, "1")], now: now)
        }
        if Self.carriesDTMF(request) {
            call[leg].dtmfRequests += 1
            if convertDigit(id, request, from: source, call, leg, now: now) { return }
        }
        guard
            let outgoing = sendInDialog(
                request.method, branch: newBranch(), of: number, leg.other, copying: request,
                headers: request.text(.infoPackage).map { [(.infoPackage, $0)] } ?? [], body: Array(request.body),
                contentType: request.text(.contentType), now: now)
        else { return answer(id, request, from: source, status: 481, now: now) }
        call.passedRequests[outgoing] = PassedRequest(request: request, transaction: id, source: source, leg: leg)
    }

    static func carriesDTMF(_ request: SIPMessage) -> Bool {
        request.method == .info
            && (request.hasContentType("application/dtmf-relay") || request.hasContentType("application/dtmf"))
    }

    mutating func passBack(
        _ response: SIPMessage, status: Int, to passed: PassedRequest, _ call: Call, _ number: CallNumber, now: Instant
    ) {
        if status == 405 || status == 501 { call[passed.leg.other].refuses(passed.request.method) }
        // Redirection, challenges and lost flows concern our leg only.
        let isForUs = (300..<400).contains(status) || [401, 407, 430].contains(status)
        var headers: [(HeaderName, String)] = []
        for name in [HeaderName.retryAfter, .warning, .accept, .allow] {
            if let value = response.text(name), status >= 300 { headers.append((name, value)) }
        }
        let hasBody = !response.body.isEmpty && response.first(.contentType) != nil
        respond(
            to: passed.request, passed.transaction, from: passed.source, of: call, passed.leg, status: isForUs ? 500 : status,
            reason: isForUs ? nil : response.reasonPhrase, headers: headers, body: hasBody ? Array(response.body) : nil,
            contentType: response.text(.contentType) ?? "", now: now)
        if status == 481 || status == 408 { peerLost(passed.leg.other, number, now: now) }
    }
}
