/// A challenge as a client needs it (RFC 7616 §3.3).
package struct DigestChallenge: Equatable, Sendable {
    package let realm: [UInt8]
    package let nonce: [UInt8]
    package let opaque: [UInt8]?
    package let algorithm: DigestAlgorithm
    /// `qop` was offered, `auth` among it; without it the response is that of RFC 2069.
    package let hasQuality: Bool
    package let isStale: Bool

    /// What of it was written without being named stays unnamed: MD5 is the default.
    private let isAlgorithmNamed: Bool

    /// The challenges of a 401 or 407 that can be answered, as they came: the server's preference (RFC 8760 §2.4). Those of
    /// other schemes, algorithms or qualities are left out.
    package static func all(in response: SIPMessage) -> [DigestChallenge] {
        let header: HeaderName = response.status == 407 ? .proxyAuthenticate : .wwwAuthenticate
        let span = response.octets.span
        var challenges: [DigestChallenge] = []
        for field in response.all(header) {
            var scanner = DigestFieldScanner(field.valueRange)
            while let scheme = scanner.nextScheme(span) {
                guard span.equals(scheme, ignoringCase: "Digest") else { continue }
                if let challenge = DigestChallenge(span, &scanner) { challenges.append(challenge) }
            }
        }
        return challenges
    }

    private init?(_ octets: Span<UInt8>, _ scanner: inout DigestFieldScanner) {
        var realm, nonce, opaque, algorithm, qop, stale: DigestText?
        while let (name, text) = scanner.nextParameter(octets) {
            if octets.equals(name, ignoringCase: "realm") { realm = text }
            if octets.equals(name, ignoringCase: "nonce") { nonce = text }
            if octets.equals(name, ignoringCase: "opaque") { opaque = text }
            if octets.equals(name, ignoringCase: "algorithm") { algorithm = text }
            if octets.equals(name, ignoringCase: "qop") { qop = text }
            if octets.equals(name, ignoringCase: "stale") { stale = text }
        }
        guard !scanner.isMalformed, let realm, let nonce else { return nil }
        if let algorithm {
            guard let known = DigestAlgorithm(octets, algorithm.range) else { return nil }
            self.algorithm = known
        } else {
            self.algorithm = .md5
        }
        isAlgorithmNamed = algorithm != nil
        if let qop {
            var list = ListScanner(qop.range)
            var offersAuthentication = false
            while let element = list.next(octets) {
                if octets.equals(element, ignoringCase: "auth") { offersAuthentication = true }
            }
            guard offersAuthentication else { return nil }
        }
        hasQuality = qop != nil
        isStale = stale.map { octets.equals($0.range, ignoringCase: "true") } ?? false
        self.realm = realm.unescaped(octets)
        self.nonce = nonce.unescaped(octets)
        self.opaque = opaque?.unescaped(octets)
    }

    fileprivate func header(
        username: [UInt8], uri: [UInt8], response: DigestValue, quality: (count: [UInt8], clientNonce: [UInt8])?
    ) -> [UInt8] {
        var value = Array("Digest username=".utf8)
        func add(_ name: String, _ text: [UInt8]) {
            value += name.utf8
            DigestText.appendQuoted(text, to: &value)
        }
        DigestText.appendQuoted(username, to: &value)
        add(", realm=", realm)
        add(", nonce=", nonce)
        add(", uri=", uri)
        add(", response=", Array(response.hexText.utf8))
        if isAlgorithmNamed { value += ", algorithm=\(algorithm.name)".utf8 }
        if let quality {
            value += ", qop=auth, nc=".utf8
            value += quality.count
            add(", cnonce=", quality.clientNonce)
        }
        if let opaque { add(", opaque=", opaque) }
        return value
    }
}

/// What a client knows of one server: its last challenge, and how often its nonce was used.
///
/// Make one from a 401 or 407, add `authorization` to the request sent again, and keep it for the next request: a server takes
/// the nonce further until it says otherwise.
package struct DigestClient: Sendable {
    package private(set) var challenge: DigestChallenge
    /// `Proxy-Authorization` or `Authorization`.
    package let header: HeaderName
    private var useCount: UInt32 = 0

    /// Takes the first challenge that can be answered, which is the server's preference.
    ///
    /// - Returns: nil when none can: Basic alone, `auth-int` alone, an unknown algorithm, or no challenge.
    package init?(_ response: SIPMessage, engine: DigestEngine) {
        guard let challenge = DigestChallenge.all(in: response).first(where: { engine.supports($0.algorithm) }) else { return nil }
        self.challenge = challenge
        header = response.status == 407 ? .proxyAuthorization : .authorization
    }

    /// The value of `header` for one request.
    ///
    /// - Parameters:
    ///   - uri: the Request-URI as it is sent.
    ///   - clientNonce: new for each request, of letters and digits.
    package mutating func authorization(
        username: [UInt8], password: [UInt8], method: Method, uri: [UInt8], clientNonce: [UInt8], engine: DigestEngine
    ) -> [UInt8] {
        useCount += 1
        let digits = String(useCount, radix: 16)
        let count = Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        let quality = challenge.hasQuality ? (count, clientNonce) : nil
        let secret = engine.secret(challenge.algorithm, username: username, realm: challenge.realm, password: password)
        let response = secret.flatMap {
            engine.response(
                secret: $0, nonce: challenge.nonce, quality: quality, method: Array(method.text.utf8), uri: uri)
        }
        guard let response else { preconditionFailure("the engine had the algorithm when this client was made") }
        return challenge.header(username: username, uri: uri, response: response, quality: quality)
    }
}
