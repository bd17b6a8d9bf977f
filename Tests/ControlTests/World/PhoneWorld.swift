import Configuration
import Control
import ControlProtocol
import Core
import SIP

/// A world with users, and what a phone needs to speak for itself.
final class PhoneWorld {
    static let phone = SocketAddress("198.51.100.77:40000")!
    static let other = SocketAddress("198.51.100.78:5060")!
    static let offer = """
        v=0
        o=- 1 1 IN IP4 10.0.0.2
        s=-
        c=IN IP4 10.0.0.2
        t=0 0
        m=audio 4000 RTP/AVP 0

        """

    let world: SimulatedWorld
    /// What Contact says of q, by who sends it.
    var qualities: [SocketAddress: String] = [:]
    /// Further parameters of Contact, by who sends it.
    var contactParameters: [SocketAddress: String] = [:]
    private let engine = DigestEngine()
    private var sequence = 0

    init(_ configure: @escaping (inout Configuration) -> Void = { _ in }) {
        world = SimulatedWorld(seed: 5) { configuration in
            configuration.users = [
                User(name: "ada", password: "secret", numbers: ["100"]), User(name: "bob", password: "word", numbers: ["200"]),
            ]
            configure(&configuration)
        }
    }

    /// Sends a request and returns the last answer.
    func send(
        _ method: String, _ uri: String = "sip:192.0.2.1", user: String = "ada", from source: SocketAddress = phone,
        via: String? = nil, headers: String = "", body: String = "", authorization: String? = nil
    ) -> SIPMessage? { exchange(request(method, uri, user: user, from: source, via: via, headers: headers, body: body, authorization: authorization), source) }

    func request(
        _ method: String, _ uri: String = "sip:192.0.2.1", user: String = "ada", from source: SocketAddress = phone,
        via: String? = nil, headers: String = "", body: String = "", authorization: String? = nil
    ) -> String {
        sequence += 1
        let transport = world.streams[source]?.transport ?? .udp
        let parameter = transport == .udp ? "" : ";transport=\(transport.rawValue)"
        let quality = (qualities[source].map { ";q=\($0)" } ?? "") + (contactParameters[source] ?? "")
        let to = method == "REGISTER" ? "sip:\(user)@192.0.2.1" : uri
        var text = """
            \(method) \(uri) SIP/2.0
            Via: SIP/2.0/\(transport.viaToken) \(via ?? source.description);branch=z9hG4bK\(user)\(sequence);rport
            Max-Forwards: 70
            From: "Phone" <sip:\(user)@192.0.2.1>;tag=\(user)
            To: <\(to)>
            Call-ID: \(user)-\(method)
            CSeq: \(sequence) \(method)
            User-Agent: Testphone 1.0
            Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY
            Contact: <sip:\(user)@\(via ?? source.description)\(parameter)>\(quality)

            """
        if !headers.isEmpty { text += headers + "\n" }
        if let authorization { text += authorization + "\n" }
        if !body.isEmpty { text += "Content-Type: application/sdp\n" }
        return text + "Content-Length: \(body.utf8.count + body.count { $0 == "\n" })\n\n" + body
    }

    func exchange(_ text: String, _ source: SocketAddress = phone) -> SIPMessage? { world.exchange(text, from: source).last }

    /// Sends a request, answers the challenge, and returns the answer to that.
    func prove(
        _ method: String, _ uri: String = "sip:192.0.2.1", user: String = "ada", password: String = "secret",
        from source: SocketAddress = phone, via: String? = nil, headers: String = "", body: String = ""
    ) -> SIPMessage? {
        proof(method, uri, user: user, password: password, from: source, via: via, headers: headers, body: body)
            .flatMap { exchange($0, source) }
    }

    /// Sends a request, and returns the one that answers the challenge.
    func proof(
        _ method: String, _ uri: String = "sip:192.0.2.1", user: String = "ada", password: String = "secret",
        from source: SocketAddress = phone, via: String? = nil, headers: String = "", body: String = ""
    ) -> String? {
        guard let challenge = send(method, uri, user: user, from: source, via: via, headers: headers, body: body),
            var client = DigestClient(challenge, engine: engine)
        else { return nil }
        let value = client.authorization(
            username: Array(user.utf8), password: Array(password.utf8), method: Method(method), uri: Array(uri.utf8),
            clientNonce: Array("abcdef".utf8), engine: engine)
        return request(
            method, uri, user: user, from: source, via: via, headers: headers, body: body,
            authorization: "\(client.header.text): \(String(decoding: value, as: UTF8.self))")
    }

    /// Calls a user from trunk a and returns what the caller hears last of this call.
    @discardableResult
    func call(_ number: String = "100") -> SIPMessage? {
        let invite = request("INVITE", "sip:\(number)@192.0.2.1", user: "7", from: SimulatedWorld.callerAddress, body: Self.offer)
        return world.exchange(invite, from: SimulatedWorld.callerAddress).last { $0.cseq.number == UInt32(sequence) }
    }

    /// Who got an INVITE, in that order; repetitions do not count.
    var invited: [SocketAddress] {
        var branches: Set<[UInt8]> = []
        return world.traffic.filter { traffic in
            !traffic.isReceived && traffic.message.isRequest && traffic.message.method == .invite
                && branches.insert(Array(traffic.message.topVia.branch ?? [])).inserted
        }.map(\.peer)
    }
}
