package import Core

/// Challenges requests and judges the answers (RFC 3261 §22, RFC 7616, RFC 8760). Sans-IO: the owner brings time and messages.
package struct DigestServer {
    package enum Verdict: Equatable, Sendable {
        case valid
        /// The response is right and its nonce is too old: to be challenged with `stale=true`.
        case stale
        /// The response is right and was given before, or may have been: the same request again, or a replay. To be challenged
        /// with `stale=true` unless the request is known to be the same one.
        case repeated
        case wrong
        /// The nonce is none that this address was given: to be challenged as if there were no credentials.
        case unknownNonce
    }

    package let realm: [UInt8]
    /// What is offered, the preferred one first.
    package let algorithms: [DigestAlgorithm]
    private let lifetime: Duration
    private let engine: DigestEngine
    private var mint: NonceMint
    private var replays: ReplayWindow
    /// Stands in for the secret of a user there is not, so that both take the same time.
    private let decoys: [DigestValue]
    /// What a challenge says around its nonce and, of each algorithm, behind it.
    private let challengeStart: [UInt8]
    private let challengeEnds: [(fresh: [UInt8], stale: [UInt8])]

    /// - Parameters:
    ///   - key: 32 secret octets; kept over a restart, nonces outlive it.
    ///   - lifetime: how long a nonce can be used.
    ///   - capacity: nonces in use that are remembered, about 40 octets each.
    package init(
        realm: [UInt8], algorithms: [DigestAlgorithm], key: [UInt8], lifetime: Duration = .seconds(300),
        capacity: Int = 262_144, engine: DigestEngine, now: WallTime
    ) {
        self.realm = realm
        self.algorithms = algorithms.filter(engine.supports)
        self.lifetime = lifetime
        self.engine = engine
        mint = NonceMint(key: key)
        replays = ReplayWindow(capacity: capacity, lifetime: lifetime, now: now)
        var start = Array("Digest realm=".utf8)
        DigestText.appendQuoted(realm, to: &start)
        challengeStart = start + ",nonce=\"".utf8
        challengeEnds = self.algorithms.map {
            let name = ",algorithm=\($0.name)"
            return (Array("\",qop=\"auth\"\(name)".utf8), Array("\",qop=\"auth\",stale=true\(name)".utf8))
        }
        decoys = DigestAlgorithm.allCases.compactMap { engine.secret($0, username: key, realm: realm, password: key) }
    }

    /// The challenges, one header value for each algorithm, in order of preference; they share one nonce. MD5 is named last in
    /// its value, behind a comma: `withoutDefault` takes that away.
    package mutating func challenges(for ip: IPAddress, stale: Bool, now: WallTime) -> [[UInt8]] {
        let nonce = mint.make(for: ip, now: now)
        return challengeEnds.map { ends in
            let end = stale ? ends.stale : ends.fresh
            return [UInt8](atMost: challengeStart.count + nonce.count + end.count) { value in
                value.append(copying: challengeStart.span)
                value.append(copying: nonce.span)
                value.append(copying: end.span)
            }
        }
    }

    /// The same challenge without the name of MD5, which is the default.
    package static func withoutDefault(_ challenge: [UInt8]) -> [UInt8] {
        let suffix = Array(",algorithm=MD5".utf8)
        return challenge.suffix(suffix.count).elementsEqual(suffix) ? Array(challenge.dropLast(suffix.count)) : challenge
    }

    /// Judges credentials for this realm.
    ///
    /// - Parameter secret: what the user's password comes to under the algorithm of the credentials; nil when there is no such
    ///   user. It takes as long.
    package mutating func verify(
        _ credentials: DigestCredentials, of request: SIPMessage, from ip: IPAddress, secret: (DigestAlgorithm) -> DigestValue?,
        now: WallTime
    ) -> Verdict {
        guard !credentials.nonce.hasEscapes, let nonce = mint.read(request.octets.span, credentials.nonce.range, from: ip)
        else {
            return .unknownNonce
        }
        let algorithm = credentials.algorithm
        let known = algorithms.contains(algorithm) ? secret(algorithm) : nil
        guard let decoy = decoys.first(where: { $0.algorithm == algorithm }),
            let expected = engine.expectedResponse(to: credentials, of: request, secret: known ?? decoy)
        else { return .wrong }
        // Compared in any case, and as a whole, so that no step tells whether there is such a user or how much was
        // right.
        let isRight = expected == credentials.response ?? decoy
        guard isRight, known != nil else { return .wrong }
        let isExpired = nonce.madeAt + lifetime < now || nonce.madeAt > now + .seconds(60)
        guard !isExpired else { return .stale }
        return replays.use(nonce, count: credentials.quality?.count ?? 1, now: now) ? .valid : .repeated
    }
}

extension DigestText {
    static func appendQuoted(_ text: [UInt8], to output: inout [UInt8]) {
        output.append(Octet.quote)
        for octet in text {
            if octet == Octet.quote || octet == Octet.backslash { output.append(Octet.backslash) }
            output.append(octet)
        }
        output.append(Octet.quote)
    }
}
