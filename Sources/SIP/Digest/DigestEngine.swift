/// Computes digests of RFC 7616 §3.4 with `qop=auth` or without, for server and client. One thread.
package final class DigestEngine {
    private let md5: DigestHash?
    private let sha256: DigestHash?

    package init() {
        md5 = DigestHash(.md5)
        sha256 = DigestHash(.sha256)
    }

    /// Whether this machine's OpenSSL has the algorithm.
    package func supports(_ algorithm: DigestAlgorithm) -> Bool { hash(algorithm) != nil }

    func hash(_ algorithm: DigestAlgorithm) -> DigestHash? { algorithm == .md5 ? md5 : sha256 }

    /// H(username ":" realm ":" password): all a server needs to keep. Nil when the algorithm is not there.
    package func secret(_ algorithm: DigestAlgorithm, username: [UInt8], realm: [UInt8], password: [UInt8]) -> DigestValue? {
        guard let hash = hash(algorithm) else { return nil }
        hash.begin()
        hash.add(username.span)
        hash.add(Octet.colon)
        hash.add(realm.span)
        hash.add(Octet.colon)
        hash.add(password.span)
        return hash.finish()
    }

    /// The response that `credentials` of `request` should have carried.
    func expectedResponse(to credentials: DigestCredentials, of request: SIPMessage, secret: DigestValue) -> DigestValue? {
        guard let hash = hash(credentials.algorithm), secret.algorithm == credentials.algorithm else { return nil }
        let octets = request.octets.span
        hash.begin()
        hash.add(octets, request.methodRange)
        hash.add(Octet.colon)
        hash.add(octets, credentials.uri)
        let action = hash.finish()
        hash.begin()
        hash.addHex(secret)
        hash.add(Octet.colon)
        hash.add(octets, credentials.nonce)
        hash.add(Octet.colon)
        if let quality = credentials.quality {
            hash.add(octets, quality.countRange)
            hash.add(Octet.colon)
            hash.add(octets, quality.clientNonce)
            hash.add(Self.authentication.span)
        }
        hash.addHex(action)
        return hash.finish()
    }

    /// The client's side of the same; nil when the algorithm is not there.
    package func response(
        secret: DigestValue, nonce: [UInt8], quality: (count: [UInt8], clientNonce: [UInt8])?, method: [UInt8], uri: [UInt8]
    ) -> DigestValue? {
        guard let hash = hash(secret.algorithm) else { return nil }
        hash.begin()
        hash.add(method.span)
        hash.add(Octet.colon)
        hash.add(uri.span)
        let action = hash.finish()
        hash.begin()
        hash.addHex(secret)
        hash.add(Octet.colon)
        hash.add(nonce.span)
        hash.add(Octet.colon)
        if let quality {
            hash.add(quality.count.span)
            hash.add(Octet.colon)
            hash.add(quality.clientNonce.span)
            hash.add(Self.authentication.span)
        }
        hash.addHex(action)
        return hash.finish()
    }

    private static let authentication = Array(":auth:".utf8)
}
