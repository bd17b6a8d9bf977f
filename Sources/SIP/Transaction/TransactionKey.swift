import Core

/// What a message is matched to its transaction by (RFC 3261 §17.1.3, §17.2.3).
///
/// A fingerprint of 128 bits with the process's own secret in place of the octets: nobody can make two that are alike, and two
/// are by chance once in more messages than will ever be sent. It is made for each message and kept for half a minute.
struct TransactionKey: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

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
        self.init(hasher)
    }

    private init(_ hasher: Hasher) {
        var other = hasher
        other.combine(1 as UInt8)
        high = UInt64(truncatingIfNeeded: other.finalize())
        low = UInt64(truncatingIfNeeded: hasher.finalize())
    }

    /// A request from the network: branch, sent-by and method, ACK counting as INVITE.
    ///
    /// A peer of RFC 2543 has no unique branch: then Request-URI, From tag, Call-ID, CSeq number and top Via together.
    init(request: SIPMessage, as method: Method? = nil) {
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
        self.init(hasher)
    }

    /// It is a hash already, and a secret one.
    func _rawHashValue(seed: Int) -> Int { Int(truncatingIfNeeded: low) ^ seed }
}

extension Hasher {
    /// The octets and how many, so that what follows cannot be taken for a part of them.
    fileprivate mutating func combine(octets: ArraySlice<UInt8>) {
        // SAFETY: the octets are only read, and inside this closure.
        unsafe octets.withUnsafeBytes { unsafe combine(bytes: $0) }
        combine(octets.count)
    }

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
