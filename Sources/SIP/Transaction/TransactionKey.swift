import Core

/// What a message is matched to its transaction by (RFC 3261 §17.1.3, §17.2.3).
struct TransactionKey: Hashable, Sendable {
    private let octets: [UInt8]

    /// A request that we sent. The branch is ours, and CANCEL shares it with the INVITE it cancels.
    init(branch: String, method: Method) {
        octets = Self.octets(branch.utf8, method)
    }

    /// The request that a response answers: by branch and method, as CSeq names it.
    init(response: SIPMessage) {
        octets = Self.octets(response.topVia.branch ?? [], response.method)
    }

    private static func octets(_ branch: some Collection<UInt8>, _ method: Method) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(48)
        octets += branch
        octets.append(0)
        octets += method.text.utf8
        return octets
    }

    /// A request from the network: branch, sent-by and method, ACK counting as INVITE.
    ///
    /// A peer of RFC 2543 has no unique branch: then Request-URI, From tag, Call-ID, CSeq number and top Via together.
    init(request: SIPMessage, as method: Method? = nil) {
        var method = method ?? request.method
        if method == .ack { method = .invite }
        let via = request.topVia
        var octets: [UInt8] = []
        octets.reserveCapacity(96)
        if let branch = via.branch, via.hasCookie {
            octets += branch
        } else {
            octets += request.requestURI
            for part in [request.fromTag ?? [], request.callID, via.branch ?? []] {
                octets.append(0)
                octets += part
            }
            octets.append(0)
            octets.append(decimal: UInt64(request.cseq.number))
        }
        octets.append(0)
        for octet in via.hostOctets { octets.append(Octet.lowercased(octet)) }
        if let port = via.port {
            octets.append(Octet.colon)
            octets.append(decimal: UInt64(port))
        }
        octets.append(0)
        octets += (method == .unknown ? request.cseq.methodText : method.text).utf8
        self.octets = octets
    }

    func hash(into hasher: inout Hasher) {
        // SAFETY: the octets are only read, and inside this closure. An array would hash them one by one.
        unsafe octets.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
}
