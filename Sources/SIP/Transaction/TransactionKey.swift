import Core

/// What a response is matched to its request by (RFC 3261 §17.1.3). The branch is ours, and CANCEL shares it with the INVITE it
/// cancels.
struct SentRequestKey: Hashable, Sendable {
    let branch: ViaBranch
    /// As CSeq names it.
    let method: Method

    init(_ branch: ViaBranch, _ method: Method) {
        self.branch = branch
        self.method = method
    }

    /// Nil where it is no branch of ours.
    init?(response: SIPMessage) {
        guard let range = response.branchRange, let branch = ViaBranch(response.octets.span, range) else { return nil }
        self.init(branch, response.method)
    }

    func _rawHashValue(seed: Int) -> Int { branch._rawHashValue(seed: seed) ^ Int(method.rawValue) }
}

/// What a request from the network is matched to its transaction by: branch, sent-by and method, ACK counting as INVITE
/// (RFC 3261 §17.2.3).
///
/// It is made for each message and kept for half a minute.
package struct TransactionKey: Hashable, Sendable {
    private let fingerprint: Fingerprint

    private static var cookie: Keyword { "z9hG4bK" }

    /// A peer of RFC 2543 has no unique branch: then Request-URI, From tag, Call-ID, CSeq number and top Via together.
    package init(request: SIPMessage, as method: Method? = nil) {
        var method = method ?? request.method
        if method == .ack { method = .invite }
        let octets = request.octets
        let via = request.viaLayout
        var hasher = Hasher()
        var branchCount = 0
        if let branch = via.branchRange, branch.count > 7, Self.cookie.begins(octets.span, at: branch.lowerBound) {
            // SAFETY: the octets are only read, and inside this closure.
            unsafe octets.span.extracting(branch).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
            branchCount = branch.count
        } else {
            for part in [request.requestURI, request.fromTag ?? [], request.callID, via.branchRange.map { octets[$0] } ?? []] {
                hasher.combine(octets: part)
            }
            hasher.combine(request.cseq.number)
        }
        hasher.combine(host: octets.span, via.hostPort.hostRange)
        // Method, port, and how long what stands before them is, so that no two requests have the same octets in all.
        let port = via.hostPort.port.map { UInt64($0) + 1 } ?? 0
        let counts = UInt64(branchCount) << 16 | UInt64(via.hostPort.hostRange.count)
        hasher.combine(counts << 32 | UInt64(method.rawValue) << 24 | port)
        if method == .unknown { hasher.combine(request.cseq.methodText) }
        fingerprint = Fingerprint(hasher)
    }

    /// 64 bits of it.
    package var number: UInt64 { UInt64(bitPattern: Int64(fingerprint.hash)) }

    /// A tag for an answer without a transaction (RFC 3261 §8.2.7): the same for each copy of the request, and not to be foreseen.
    package var tag: String {
        let word = SeededRandom.tokenWord(of: number)
        return unsafe String(unsafeUninitializedCapacity: 8) { text in
            // SAFETY: there is room for eight octets, and all of it is written.
            for index in 0..<8 { unsafe text[index] = UInt8(truncatingIfNeeded: word >> UInt64(8 * index)) }
            return 8
        }
    }

    /// It is a hash already, and a secret one.
    package func _rawHashValue(seed: Int) -> Int { fingerprint.hash ^ seed }
}

extension Hasher {
    /// Without regard to case, sixteen octets at a time.
    fileprivate mutating func combine(host octets: Span<UInt8>, _ range: Range<Int>) {
        var start = range.lowerBound
        while start < range.upperBound {
            let part = octets.vector(at: start).lowercased.number(ofFirst: min(16, range.upperBound - start))
            combine(UInt64(truncatingIfNeeded: part))
            combine(UInt64(truncatingIfNeeded: part >> 64))
            start += 16
        }
    }
}
