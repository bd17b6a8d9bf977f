/// What a message is matched to its transaction by (RFC 3261 §17.1.3, §17.2.3).
struct TransactionKey: Hashable, Sendable {
    private let octets: [UInt8]

    /// A request that we sent. The branch is ours, and CANCEL shares it with the INVITE it cancels.
    init(branch: String, method: Method) {
        octets = Array(branch.utf8) + [0] + method.text.utf8
    }

    /// The request that a response answers: by branch and method, as CSeq names it.
    init(response: SIPMessage) {
        octets = Array(response.topVia.branch ?? []) + [0] + response.method.text.utf8
    }

    /// A request from the network: branch, sent-by and method, ACK counting as INVITE.
    ///
    /// A peer of RFC 2543 has no unique branch: then Request-URI, From tag, Call-ID, CSeq number and top Via together.
    init(request: SIPMessage, as method: Method? = nil) {
        var method = method ?? request.method
        if method == .ack { method = .invite }
        let via = request.topVia
        var octets: [UInt8] = []
        func append(_ part: ArraySlice<UInt8>) {
            octets.append(0)
            octets.append(contentsOf: part)
        }
        func append(_ text: String) { append(ArraySlice(text.utf8)) }
        if let branch = via.branch, via.hasCookie {
            octets.append(contentsOf: branch)
            append(via.sentBy)
        } else {
            octets.append(contentsOf: request.requestURI)
            append(request.fromTag ?? ArraySlice())
            append(request.callID)
            append(String(request.cseq.number))
            append(via.sentBy)
            append(via.branch ?? ArraySlice())
        }
        append(method == .unknown ? request.cseq.methodText : method.text)
        self.octets = octets
    }
}
