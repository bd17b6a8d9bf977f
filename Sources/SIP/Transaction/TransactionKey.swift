import Core

/// What a message is matched to its transaction by (RFC 3261 §17.1.3, §17.2.3).
///
/// It is made for each message and kept for half a minute.
package struct TransactionKey: Hashable, Sendable {
    private let fingerprint: Fingerprint

    /// A request that we sent. The branch is ours, and CANCEL shares it with the INVITE it cancels.
    init(branch: String, method: Method) {
        var branch = branch
        self = branch.withUTF8 { octets in
            // SAFETY: the octets are only read, and inside this closure.
            unsafe Self(branch: UnsafeRawBufferPointer(octets), method)
        }
    }

    /// The request that a response answers: by branch and method, as CSeq names it.
    init(response: SIPMessage) {
        // SAFETY: as above.
        self = unsafe (response.topVia.branch ?? []).withUnsafeBytes { octets in unsafe Self(branch: octets, response.method) }
    }

    private init(branch: UnsafeRawBufferPointer, _ method: Method) {
        var hasher = Hasher()
        unsafe hasher.combine(bytes: branch)
        hasher.combine(method)
        fingerprint = Fingerprint(hasher)
    }

    /// A request from the network: branch, sent-by and method, ACK counting as INVITE.
    ///
    /// A peer of RFC 2543 has no unique branch: then Request-URI, From tag, Call-ID, CSeq number and top Via together.
    package init(request: SIPMessage, as method: Method? = nil) {
        var method = method ?? request.method
        if method == .ack { method = .invite }
        let via = request.topVia
        var hasher = Hasher()
        if let branch = via.branch, via.hasCookie {
            hasher.combine(octets: branch)
        } else {
            for part in [request.requestURI, request.fromTag ?? [], request.callID, via.branch ?? []] {
                hasher.combine(octets: part)
            }
            hasher.combine(request.cseq.number)
        }
        hasher.combine(host: via.hostOctets)
        hasher.combine(via.port)
        hasher.combine(method)
        if method == .unknown { hasher.combine(request.cseq.methodText) }
        fingerprint = Fingerprint(hasher)
    }

    /// It is a hash already, and a secret one.
    package func _rawHashValue(seed: Int) -> Int { fingerprint.hash ^ seed }
}

extension Hasher {
    /// Without regard to case. Eight octets at a time: a name of a host has some tens.
    fileprivate mutating func combine(host: ArraySlice<UInt8>) {
        var word: UInt64 = 0
        var count = 0
        for octet in host {
            word = word << 8 | UInt64(Octet.lowercased(octet))
            count += 1
            if count & 7 == 0 { combine(word) }
        }
        combine(word)
        combine(count)
    }
}
