import Core

/// A phone's account: `[[user]]`, or a line of the users file.
package struct User: Sendable {
    /// What its credentials and its address of record say.
    package var name: String
    /// In place of the hashes.
    package var password: String?
    /// H(name:realm:password) in hexadecimal: 32 digits for MD5, 64 for SHA-256.
    package var ha1: [String] = []
    /// Under which it is called besides its name; the first one is what called parties see.
    package var numbers: [String] = []
    /// Its calls are that trunk's: a customer known by credentials in place of an address.
    package var trunk: String?

    package init(name: String, password: String? = nil, ha1: [String] = [], numbers: [String] = []) {
        self.name = name
        self.password = password
        self.ha1 = ha1
        self.numbers = numbers
    }
}

extension Configuration {
    /// Phones that register here.
    package struct Registrar: Sendable {
        package var realm = "relayd"
        /// The path of a file with further users; nil: there is none.
        package var usersFile: String?
        /// Offered to phones, the preferred one first.
        package var algorithms = [DigestName.md5]
        /// Granted at most, and to who asks for nothing.
        package var expires = Duration.seconds(3_600)
        /// The same for phones behind NAT.
        package var natExpires = Duration.seconds(300)
        package var minimumExpires = Duration.seconds(60)
        package var nonceLifetime = Duration.seconds(300)
    }

    /// What keeps the pinholes of phones behind NAT open.
    package struct KeepAlive: Sendable {
        /// Nil: the values below as they are.
        package var profile: KeepAliveProfile?
        /// Sent as it is; `crlf`, `null4` and `options` by name; empty: nothing is sent.
        package var message = "HELLO"
        package var period = Duration.seconds(30)
        package var interval = Duration.milliseconds(500)
        package var quantity = 3_000

        package var isOn: Bool { !message.isEmpty }
        /// Messages that fit in a period.
        package var capacity: Int { Int(period.milliseconds / interval.milliseconds) * quantity }
    }

    /// Against those who try passwords and numbers.
    package struct Protection: Sendable {
        /// Wrong passwords for one user from one address until both together are refused for a while.
        package var failures = 6
        package var suspension = Duration.seconds(180)
        /// REGISTERs a second that one address may send in the long run; zero is without limit.
        package var registersPerSource = 50
        /// REGISTERs a second that are served in all; zero is without limit.
        package var registers = 2_000
        /// Requests whose User-Agent holds one of these, without regard to case, are dropped.
        package var scanners = [
            "friendly-scanner", "sipvicious", "sipcli", "sip-scan", "sundayddr", "iWar", "VaxSIPUserAgent", "pplsip",
        ]
    }
}

package enum DigestName: String, CaseIterable, Sendable {
    case md5 = "MD5"
    case sha256 = "SHA-256"
}

/// Settings that suit a size of network.
package enum KeepAliveProfile: String, CaseIterable, Sendable {
    case small, medium, large, strict, constrained

    package var period: Duration { .seconds(self == .small ? 20 : self == .strict ? 15 : 30) }
    package var interval: Duration { .milliseconds(self == .strict ? 200 : self == .constrained ? 1_000 : 500) }
    package var quantity: Int {
        switch self {
        case .small, .medium, .strict: 3_000
        case .large: 1_500
        case .constrained: 1_000
        }
    }
}

extension User {
    /// Every key of `[[user]]`. The name is required, and either password or ha1.
    static let keys: [ConfigurationKey<User>] = [
        .init("name", \.name, .userName, .appliedNow, "What its credentials say and it is called by."),
        .init(
            "password", \.password, ValueFormat.password.optional, .appliedNow, example: ("\"secret\"", "ha1 stands in for it"),
            shown: { $0.password == nil ? "" : "(set)" }, "Its password."),
        .init(
            "ha1", \.ha1,
            ValueFormat.ha1.list("a list of hexadecimal digits, 32 for MD5, 64 for SHA-256, or both"), .appliedNow,
            example: ("[\"939e7578ed9e3c518a452acee763bce9\"]", "password stands in for it"),
            shown: { $0.ha1.isEmpty ? "" : "(set)" },
            "In place of the password: H(name:realm:password). With one hash alone the phone has to know that algorithm; with a "
                + "password beside it, that stands for the other."),
        .init(
            "numbers", \.numbers,
            ValueFormat.userName.list("a list of texts, like [\"4930123\", \"100\"]"), .appliedNow,
            example: ("[\"4930123\"]", "it is called by its name alone"),
            "Numbers it is called by; the first one is what called parties see."),
        .init(
            "trunk", \.trunk, ValueFormat<String>.name.optional, .appliedNow,
            example: ("\"carrier\"", "it is a phone"),
            "Its calls count as calls of this trunk, with that trunk's limits, routes and rules, wherever they come from: a customer "
                + "known by credentials. From stays as the customer writes it."),
    ]
}

extension Configuration {
    static let registrarKeys: [ConfigurationKey<Configuration>] = [
        .init(
            "registrar.realm", \.registrar.realm, .line(limit: 64), .needsRestart,
            "The realm phones are asked to authenticate for. Hashes of passwords hold it."),
        .init(
            "registrar.users_file", \.registrar.usersFile, ValueFormat.path(limit: 4_000).optional, .needsRestart,
            example: ("\"/etc/relayd/users\"", "users are in this file, as [[user]]"),
            "Further users, one a line: NAME SECRET [NUMBER ...], the secret as plain:PASSWORD, md5:HA1 or sha256:HA1, or the "
                + "last two with a comma between."),
        .init(
            "registrar.algorithms", \.registrar.algorithms, .algorithms, .needsRestart,
            "Digest algorithms offered, the preferred one first. Where all phones know it, [\"SHA-256\", \"MD5\"] is better; many give "
                + "up on a challenge that names it, though."),
        .init(
            "registrar.expires", \.registrar.expires, .duration(.seconds(60) ... .seconds(86_400)), .needsRestart,
            vosName: "SS_ENDPOINT_EXPIRE",
            "How long a registration lasts at most, and when the phone asks for nothing."),
        .init(
            "registrar.nat_expires", \.registrar.natExpires, .duration(.seconds(20) ... .seconds(86_400)), .needsRestart,
            vosName: "SS_ENDPOINT_NAT_EXPIRE",
            "The same for phones behind NAT."),
        .init(
            "registrar.min_expires", \.registrar.minimumExpires, .duration(.seconds(1) ... .seconds(3_600)), .needsRestart,
            "A phone that asks for less is told this (423 Interval Too Brief)."),
        .init(
            "registrar.nonce_lifetime", \.registrar.nonceLifetime, .duration(.seconds(10) ... .seconds(86_400)), .needsRestart,
            "How long a phone may use a nonce before it is given a new one."),

        .init(
            "keepalive.profile", \.keepAlive.profile, ValueFormat<KeepAliveProfile>.oneOf.optional, .needsRestart,
            example: ("\"medium\"", "period, interval and quantity as below"),
            "Settings by size of network, for those of the three that are not given: small (up to 50 phones) 20 s/500 ms/3000, "
                + "medium 30/500/3000, large 30/500/1500, strict 15/200/3000, constrained 30/1000/1000."),
        .init(
            "keepalive.message", \.keepAlive.message, .keepAliveMessage, .needsRestart, vosName: "SS_SIP_NAT_KEEP_ALIVE_MESSAGE",
            "Sent to phones behind NAT: this text, or \"crlf\", \"null4\", or \"options\", the only one that is answered. "
                + "\"\" switches it off."),
        .init(
            "keepalive.period", \.keepAlive.period, .duration(.seconds(10) ... .seconds(86_400)), .needsRestart,
            vosName: "SS_SIP_NAT_KEEP_ALIVE_PERIOD",
            "Each phone behind NAT is sent one message in this time."),
        .init(
            "keepalive.interval", \.keepAlive.interval, .keepAliveInterval, .needsRestart,
            vosName: "SS_SIP_NAT_KEEP_ALIVE_SEND_INTERVAL",
            "Time from one burst to the next, over which a burst is spread evenly."),
        .init(
            "keepalive.quantity", \.keepAlive.quantity, .integer(1...1_000_000), .needsRestart,
            vosName: "SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME",
            "Messages in a burst. period / interval x quantity is how many phones can be served."),

        .init(
            "protection.failures", \.protection.failures, .integer(1...1_000), .needsRestart,
            "Wrong passwords after which this user is refused at this address for a while."),
        .init(
            "protection.suspension", \.protection.suspension, .duration(.seconds(1) ... .seconds(86_400)), .needsRestart,
            "How long that lasts."),
        .init(
            "protection.registers_per_source", \.protection.registersPerSource, .integer(0...1_000_000), .needsRestart,
            "REGISTERs a second that one address may send in the long run; more wait for their retransmission. 0 is without limit."),
        .init(
            "protection.registers", \.protection.registers, .integer(0...1_000_000), .needsRestart,
            "REGISTERs a second that are served in all, shared fairly between addresses. 0 is without limit."),
        .init(
            "protection.scanners", \.protection.scanners, ValueFormat.line(limit: 64).list("a list of texts"), .needsRestart,
            "Requests whose User-Agent holds one of these are dropped without an answer."),
    ]
}

extension ValueFormat where Value == String {
    static let userName = string(
        expected: "1 to 64 printable characters without white space, quotes or angle brackets", text: { $0 },
        parse: { isUserName($0.utf8) ? $0 : nil })

    static func isUserName(_ name: some Collection<UInt8>) -> Bool {
        (1...64).contains(name.count) && name.allSatisfy { $0 > 0x20 && $0 != 0x7f && !"\"<>@:".utf8.contains($0) }
    }

    static let password = string(
        expected: "1 to 128 characters without control characters", text: { $0 },
        parse: { $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } && (1...128).contains($0.utf8.count) ? $0 : nil })

    static let ha1 = string(
        expected: "32 or 64 hexadecimal digits", text: { $0 },
        parse: { [32, 64].contains($0.utf8.count) && $0.allSatisfy(\.isHexDigit) ? $0 : nil })

    static let keepAliveMessage = string(
        expected: "up to 512 octets of text", text: { $0 }, parse: { $0.utf8.count <= 512 ? $0 : nil })
}

extension ValueFormat where Value == [DigestName] {
    static let algorithms = ValueFormat<[DigestName]>(
        expected: "a list of \"SHA-256\" and \"MD5\", at least one",
        parse: { (node) throws(Refusal) in
            let format = ValueFormat<DigestName>.oneOf.list("a list of \"SHA-256\" and \"MD5\", at least one")
            let names = try format.parse(node)
            guard !names.isEmpty else { throw Refusal(reason: "there is none") }
            return names
        },
        text: { $0.map(\.rawValue).joined(separator: ", ") },
        literal: { "[" + $0.map { "\"\($0.rawValue)\"" }.joined(separator: ", ") + "]" })
}

extension ValueFormat where Value == Duration {
    /// A number is milliseconds here, as in VOS3000: whole seconds would be no choice.
    static let keepAliveInterval = ValueFormat<Duration>(
        expected: "milliseconds, or text like \"500ms\", from 10ms to 60s",
        parse: { (node) throws(Refusal) in
            let range = Duration.milliseconds(10) ... .seconds(60)
            if case .integer(let milliseconds) = node {
                guard (10...60_000).contains(milliseconds) else { throw Refusal(reason: "\(milliseconds) is out of range") }
                return .milliseconds(milliseconds)
            }
            return try ValueFormat.duration(range, granularity: .milliseconds(1)).parse(node)
        },
        text: { "\($0.milliseconds)ms" }, literal: { "\"\($0.milliseconds)ms\"" })
}
