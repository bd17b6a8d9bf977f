/// An Authorization or Proxy-Authorization value of scheme Digest (RFC 7616 §3.4, RFC 3261 §22.4): offsets into its message.
package struct DigestCredentials: Sendable {
    let username: DigestText
    let realm: DigestText
    let nonce: DigestText
    let uri: DigestText
    /// The digits; nil when they are not as many as the algorithm has: such a digest is wrong.
    let response: DigestValue?
    let algorithm: DigestAlgorithm
    /// `qop=auth` with its nonce count and client nonce; nil in the manner of RFC 2069.
    let quality: (count: UInt32, countRange: Range<Int>, clientNonce: DigestText)?

    /// - Returns: nil for another scheme, a quality or an algorithm that was never offered, or a part that is missing or there twice.
    init?(_ octets: Span<UInt8>, _ value: Range<Int>) {
        var scanner = DigestFieldScanner(value)
        guard let scheme = scanner.nextScheme(octets), octets.equals(scheme, ignoringCase: "Digest") else { return nil }
        var fields = Fields()
        while let (name, text) = scanner.nextParameter(octets) {
            guard fields.take(octets, name, text) else { return nil }
        }
        guard !scanner.isMalformed, let username = fields.username, let realm = fields.realm, let nonce = fields.nonce,
            let uri = fields.uri, let response = fields.response
        else { return nil }
        var algorithm = DigestAlgorithm.md5
        if let given = fields.algorithm {
            guard let known = DigestAlgorithm(octets, given.range) else { return nil }
            algorithm = known
        }
        if let qop = fields.qop {
            guard octets.equals(qop.range, ignoringCase: "auth"), let count = fields.count, let clientNonce = fields.clientNonce,
                let number = Self.nonceCount(octets, count.range)
            else { return nil }
            quality = (number, count.range, clientNonce)
        } else {
            quality = nil
        }
        self.username = username
        self.realm = realm
        self.nonce = nonce
        self.uri = uri
        self.algorithm = algorithm
        let digest = DigestValue(hex: octets.extracting(response.range))
        self.response = digest?.algorithm == algorithm ? digest : nil
    }

    private struct Fields {
        var username, realm, nonce, uri, response, algorithm, qop, count, clientNonce: DigestText?

        /// False when the parameter was there before.
        mutating func take(_ octets: Span<UInt8>, _ name: Range<Int>, _ text: DigestText) -> Bool {
            switch name.count {
            case 2 where octets.equals(name, ignoringCase: "nc"): Self.set(&count, text)
            case 3 where octets.equals(name, ignoringCase: "uri"): Self.set(&uri, text)
            case 3 where octets.equals(name, ignoringCase: "qop"): Self.set(&qop, text)
            case 5 where octets.equals(name, ignoringCase: "realm"): Self.set(&realm, text)
            case 5 where octets.equals(name, ignoringCase: "nonce"): Self.set(&nonce, text)
            case 6 where octets.equals(name, ignoringCase: "cnonce"): Self.set(&clientNonce, text)
            case 8 where octets.equals(name, ignoringCase: "username"): Self.set(&username, text)
            case 8 where octets.equals(name, ignoringCase: "response"): Self.set(&response, text)
            case 9 where octets.equals(name, ignoringCase: "algorithm"): Self.set(&algorithm, text)
            default: true
            }
        }

        private static func set(_ field: inout DigestText?, _ text: DigestText) -> Bool {
            guard field == nil else { return false }
            field = text
            return true
        }
    }

    /// Eight hexadecimal digits, at least one in practice.
    private static func nonceCount(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
        guard (1...8).contains(range.count) else { return nil }
        var value: UInt32 = 0
        for index in range {
            guard let digit = Octet.hexValue(octets[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}

extension SIPMessage {
    /// The credentials for `realm` in the lines of `header`; nil when there are none that can be read. A message may carry
    /// those for other servers on its way as well.
    package func credentials(in header: HeaderName, realm: [UInt8]) -> DigestCredentials? {
        let span = octets.span
        for field in all(header) {
            if let credentials = DigestCredentials(span, field.valueRange), credentials.realm.equals(span, realm) {
                return credentials
            }
        }
        return nil
    }

    /// Who `credentials` of this message claim to be, without quotes and escapes.
    package func username(of credentials: DigestCredentials) -> [UInt8] { credentials.username.unescaped(octets.span) }

    /// As octets: of the request line, or of CSeq.
    var methodRange: Range<Int> {
        if case .request(_, let range, _) = startLine { range.range } else { cseqMethodRange }
    }
}
