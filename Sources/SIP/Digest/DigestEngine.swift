import Core

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
        return hash.digest { text in
            text += username
            text.append(Octet.colon)
            text += realm
            text.append(Octet.colon)
            text += password
        }
    }

    /// The response that `credentials` of `request` should have carried.
    func expectedResponse(to credentials: DigestCredentials, of request: SIPMessage, secret: DigestValue) -> DigestValue? {
        guard let hash = hash(credentials.algorithm), secret.algorithm == credentials.algorithm else { return nil }
        let octets = request.octets.span
        let action = hash.digest { text in
            text.append(copying: octets.extracting(request.methodRange))
            text.append(Octet.colon)
            credentials.uri.append(octets, to: &text)
        }
        return hash.digest { text in
            secret.appendHex(to: &text)
            text.append(Octet.colon)
            credentials.nonce.append(octets, to: &text)
            text.append(Octet.colon)
            if let quality = credentials.quality {
                text.append(copying: octets.extracting(quality.countRange))
                text.append(Octet.colon)
                quality.clientNonce.append(octets, to: &text)
                text.append(":auth:")
            }
            action.appendHex(to: &text)
        }
    }

    /// The client's side of the same; nil when the algorithm is not there.
    package func response(
        secret: DigestValue, nonce: [UInt8], quality: (count: [UInt8], clientNonce: [UInt8])?, method: [UInt8], uri: [UInt8]
    ) -> DigestValue? {
        guard let hash = hash(secret.algorithm) else { return nil }
        let action = hash.digest { text in
            text += method
            text.append(Octet.colon)
            text += uri
        }
        return hash.digest { text in
            secret.appendHex(to: &text)
            text.append(Octet.colon)
            text += nonce
            text.append(Octet.colon)
            if let quality {
                text += quality.count
                text.append(Octet.colon)
                text += quality.clientNonce
                text.append(":auth:")
            }
            action.appendHex(to: &text)
        }
    }
}
