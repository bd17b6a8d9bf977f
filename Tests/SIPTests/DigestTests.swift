import Core
import SIP
import Testing

@Suite struct DigestTests {
    private static let key = [UInt8](repeating: 7, count: 32)
    private static let start = WallTime(milliseconds: 1_790_000_000_000)
    private let engine = DigestEngine()

    private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func server(_ algorithms: [DigestAlgorithm] = [.sha256, .md5], capacity: Int = 1_000, now: WallTime = start) -> DigestServer {
        DigestServer(realm: octets("relayd"), algorithms: algorithms, key: Self.key, capacity: capacity, engine: engine, now: now)
    }

    private func register(authorization: [UInt8]? = nil, cseq: Int = 1) throws -> SIPMessage {
        let line = authorization.map { "\nAuthorization: \(String(decoding: $0, as: UTF8.self))" } ?? ""
        return try parse(
            """
            REGISTER sip:192.0.2.1 SIP/2.0
            Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK\(cseq)
            From: <sip:ada@192.0.2.1>;tag=theirs
            To: <sip:ada@192.0.2.1>
            Call-ID: c1
            CSeq: \(cseq) REGISTER
            Contact: <sip:ada@198.51.100.7:5062>\(line)

            """)
    }

    /// The 401 that carries the server's challenges.
    private func unauthorized(_ challenges: [[UInt8]], to request: SIPMessage) throws -> SIPMessage {
        var builder = MessageBuilder.response(
            to: request, status: 401, toTag: "t", source: SocketAddress("198.51.100.7:5062")!)
        for challenge in challenges { builder.add(.wwwAuthenticate, octets: challenge) }
        return try parse(builder.finish())
    }

    private func client(of server: inout DigestServer, stale: Bool = false, now: WallTime = start) throws -> DigestClient {
        try #require(DigestClient(unauthorized(server.challenges(for: .ipv4Loopback, stale: stale, now: now), to: register()), engine: engine))
    }

    /// What the server says of a REGISTER that `client` signs with `password`.
    private func verdict(
        _ server: inout DigestServer, _ client: inout DigestClient, username: String = "ada", password: String = "secret",
        known: String? = "secret", now: WallTime = start
    ) throws -> DigestServer.Verdict {
        let value = client.authorization(
            username: octets(username), password: octets(password), method: .register, uri: octets("sip:192.0.2.1"),
            clientNonce: octets("xyz"), engine: engine)
        return try verdict(&server, register(authorization: value), known: known, now: now)
    }

    private func verdict(
        _ server: inout DigestServer, _ request: SIPMessage, known: String? = "secret", from ip: IPAddress = .ipv4Loopback,
        now: WallTime = start
    ) throws -> DigestServer.Verdict {
        let credentials = try #require(request.credentials(in: .authorization, realm: server.realm))
        let engine = engine
        return server.verify(
            credentials, of: request, from: ip,
            secret: { algorithm in
                known.flatMap {
                    engine.secret(
                        algorithm, username: request.username(of: credentials), realm: octets("relayd"), password: octets($0))
                }
            }, now: now)
    }

    @Test("the examples of RFC 7616 §3.9.1 come out as printed there")
    func published() throws {
        for (algorithm, expected) in [
            (DigestAlgorithm.md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (.sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let secret = try #require(
                engine.secret(
                    algorithm, username: octets("Mufasa"), realm: octets("http-auth@example.org"),
                    password: octets("Circle of Life")))
            let response = engine.response(
                secret: secret, nonce: octets("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
                quality: (octets("00000001"), octets("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")), method: octets("GET"),
                uri: octets("/dir/index.html"))
            #expect(response?.hexText == expected)
        }
    }

    @Test("digests are equal when algorithm and every octet are")
    func equality() {
        let digits = String(repeating: "0f", count: 32)
        let digest = DigestValue(hex: Array(digits.utf8))
        #expect(digest == DigestValue(hex: Array(digits.uppercased().utf8)))
        for place in [0, 33, 63] {
            var other = Array(digits.utf8)
            other[place] = UInt8(ascii: "7")
            #expect(digest != DigestValue(hex: other))
        }
        let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: 64)
        #expect(DigestValue(hex: zeros) != DigestValue(hex: Array(zeros.prefix(32))), "of another algorithm")
    }

    @Test("a client takes the server's first challenge, SHA-256, and is let in", arguments: [DigestAlgorithm.sha256, .md5])
    func roundTrip(_ algorithm: DigestAlgorithm) throws {
        var server = server(algorithm == .md5 ? [.md5] : [.sha256, .md5])
        var client = try client(of: &server)
        #expect(client.challenge.algorithm == algorithm)
        #expect(client.header == .authorization)
        #expect(try verdict(&server, &client) == .valid)
        // The same nonce serves the next request, with the next count.
        #expect(try verdict(&server, &client) == .valid)
    }

    @Test("quotes and backslashes in a user name are escaped on the wire and taken out before hashing")
    func quoting() throws {
        var server = server()
        var client = try client(of: &server)
        #expect(try verdict(&server, &client, username: #"a"b\c"#) == .valid)
    }

    @Test("a wrong password, an unknown user and digits of another length are all wrong")
    func wrong() throws {
        var server = server()
        var client = try client(of: &server)
        #expect(try verdict(&server, &client, password: "guess") == .wrong)
        #expect(try verdict(&server, &client, known: nil) == .wrong)
        let value = client.authorization(
            username: octets("ada"), password: octets("secret"), method: .register, uri: octets("sip:192.0.2.1"),
            clientNonce: octets("xyz"), engine: engine)
        let text = String(decoding: value, as: UTF8.self).replacing("response=\"", with: "response=\"00")
        #expect(try verdict(&server, register(authorization: octets(text))) == .wrong)
    }

    @Test("a response is taken once; counts may come out of order")
    func replay() throws {
        var server = server()
        var client = try client(of: &server)
        let requests = try (0..<3).map { _ in
            try register(
                authorization: client.authorization(
                    username: octets("ada"), password: octets("secret"), method: .register, uri: octets("sip:192.0.2.1"),
                    clientNonce: octets("xyz"), engine: engine))
        }
        #expect(try verdict(&server, requests[0]) == .valid)
        #expect(try verdict(&server, requests[0]) == .repeated)
        #expect(try verdict(&server, requests[2]) == .valid)
        #expect(try verdict(&server, requests[1]) == .valid)
        #expect(try verdict(&server, requests[1]) == .repeated)
        #expect(try verdict(&server, requests[2]) == .repeated)
    }

    @Test("in the manner of RFC 2069, without qop, a nonce serves once")
    func withoutQuality() throws {
        var server = server([.md5])
        let nonce = try client(of: &server).challenge.nonce
        let secret = try #require(
            engine.secret(.md5, username: octets("ada"), realm: octets("relayd"), password: octets("secret")))
        let response = engine.response(
            secret: secret, nonce: nonce, quality: nil, method: octets("REGISTER"), uri: octets("sip:192.0.2.1"))?.hexText ?? ""
        let request = try register(
            authorization: octets(
                "Digest username=\"ada\",realm=\"relayd\",nonce=\"\(String(decoding: nonce, as: UTF8.self))\","
                    + "uri=\"sip:192.0.2.1\",response=\"\(response)\""))
        #expect(try verdict(&server, request) == .valid)
        #expect(try verdict(&server, request) == .repeated)
    }

    @Test("an old nonce is stale when the response is right, and wrong when it is not: no oracle for passwords")
    func expiry() throws {
        var server = server()
        var client = try client(of: &server)
        let later = Self.start + .seconds(301)
        #expect(try verdict(&server, &client, now: later) == .stale)
        #expect(try verdict(&server, &client, password: "guess", now: later) == .wrong)
        var next = try self.client(of: &server, stale: true, now: later)
        #expect(next.challenge.isStale)
        #expect(try verdict(&server, &next, now: later) == .valid)
    }

    @Test("a nonce serves the address it was given to, and no other")
    func address() throws {
        var server = server()
        var client = try client(of: &server)
        let request = try register(
            authorization: client.authorization(
                username: octets("ada"), password: octets("secret"), method: .register, uri: octets("sip:192.0.2.1"),
                clientNonce: octets("xyz"), engine: engine))
        #expect(try verdict(&server, request, from: IPAddress("198.51.100.9")!) == .unknownNonce)
        #expect(try verdict(&server, request) == .valid)
    }

    @Test("a nonce outlives a restart with its key, and is unknown under another")
    func restart() throws {
        var before = server()
        var client = try client(of: &before)
        var after = server(now: Self.start + .seconds(10))
        #expect(try verdict(&after, &client, now: Self.start + .seconds(10)) == .valid)
        var other = DigestServer(
            realm: octets("relayd"), algorithms: [.md5, .sha256], key: [UInt8](repeating: 8, count: 32), engine: engine,
            now: Self.start)
        #expect(try verdict(&other, &client) == .unknownNonce)
    }

    @Test("when more nonces are in use than there is room for, none can be replayed")
    func boundedReplays() throws {
        var server = server([.md5], capacity: 8)
        var used: [SIPMessage] = []
        for index in 0..<50 {
            let now = Self.start + .milliseconds(index)
            var client = try client(of: &server, now: now)
            let request = try register(
                authorization: client.authorization(
                    username: octets("ada"), password: octets("secret"), method: .register, uri: octets("sip:192.0.2.1"),
                    clientNonce: octets("xyz"), engine: engine), cseq: index)
            #expect(try verdict(&server, request, now: now) == .valid)
            used.append(request)
        }
        for request in used { #expect(try verdict(&server, request, now: Self.start + .seconds(1)) == .repeated) }
    }

    @Test("challenges that cannot be answered are passed over; several may share a line")
    func challenges() throws {
        let response = try unauthorized(
            [
                octets("Basic realm=\"a\", Digest realm=\"b\", nonce=\"n\", algorithm=SHA-512-256, Digest realm=\"c\\\"\",nonce=\"m\", qop=\"auth-int,auth\" ,stale=TRUE,opaque=\"\""),
                octets("Digest realm=\"d\",nonce=\"o\",qop=\"auth-int\""), octets("Digest realm=\"e\",nonce=\"p\",algorithm=SHA-256"),
            ], to: register())
        let challenges = DigestChallenge.all(in: response)
        #expect(challenges.map { String(decoding: $0.realm, as: UTF8.self) } == ["c\"", "e"])
        #expect(challenges.map(\.algorithm) == [.md5, .sha256])
        #expect(challenges.map(\.hasQuality) == [true, false])
        #expect(challenges.map(\.isStale) == [true, false])
        #expect(challenges[0].opaque == [])
    }

    @Test(
        "credentials that are broken are none",
        arguments: [
            "Digest username=\"ada\"", "Basic YTpi", "Digest", "",
            "Digest username=\"ada\",username=\"eve\",realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\"",
            "Digest username=\"ada\",realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\",qop=auth-int,nc=1,cnonce=\"c\"",
            "Digest username=\"ada\",realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\",qop=auth,nc=xyz,cnonce=\"c\"",
            "Digest username=\"ada\",realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\",qop=auth",
            "Digest username=\"ada\",realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\",algorithm=MD5-sess",
            "Digest username=\"ada\" realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\"",
            "Digest username=\"ada,realm=\"relayd\",nonce=\"n\",uri=\"u\",response=\"r\"",
        ])
    func broken(_ value: String) throws {
        #expect(try register(authorization: octets(value)).credentials(in: .authorization, realm: octets("relayd")) == nil)
    }

    private func parse(_ text: String) throws -> SIPMessage {
        try parse(octets(text.replacing("\n", with: "\r\n") + "\r\n"))
    }

    private func parse(_ octets: [UInt8]) throws -> SIPMessage {
        guard case .message(let message) = SIPMessage.parse(octets) else {
            throw Unreadable(text: String(decoding: octets, as: UTF8.self))
        }
        return message
    }

    private struct Unreadable: Error { let text: String }
}
