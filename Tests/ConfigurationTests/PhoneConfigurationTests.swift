import Configuration
import Core
import Foundation
import Testing

@Suite struct PhoneConfigurationTests {
    private func problems(_ text: String, readsUsersFile: Bool = false) -> [String] {
        do {
            _ = try Configuration.parse(text: text, file: "t.toml", host: testHost, readsUsersFile: readsUsersFile)
            return []
        } catch {
            return error.problems.map(\.message)
        }
    }

    @Test("the VOS names of keep-alive and registration are understood, the interval in milliseconds")
    func aliases() throws {
        let configuration = try parse(
            """
            SS_SIP_NAT_KEEP_ALIVE_MESSAGE = "PING"
            SS_SIP_NAT_KEEP_ALIVE_PERIOD = 20
            SS_SIP_NAT_KEEP_ALIVE_SEND_INTERVAL = 250
            SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME = 100
            SS_ENDPOINT_EXPIRE = 1800
            SS_ENDPOINT_NAT_EXPIRE = 200
            """)
        #expect(configuration.keepAlive.message == "PING")
        #expect(configuration.keepAlive.period == .seconds(20))
        #expect(configuration.keepAlive.interval == .milliseconds(250))
        #expect(configuration.keepAlive.capacity == 8_000)
        #expect(configuration.registrar.expires == .seconds(1_800))
        #expect(configuration.registrar.natExpires == .seconds(200))
    }

    @Test("the defaults carry 180,000 phones a cycle")
    func defaults() throws { #expect(try parse("").keepAlive.capacity == 180_000) }

    @Test("a profile sets what is not given")
    func profile() throws {
        let keepAlive = try parse("[keepalive]\nprofile = \"constrained\"\nquantity = 7\n").keepAlive
        #expect(keepAlive.period == .seconds(30))
        #expect(keepAlive.interval == .seconds(1))
        #expect(keepAlive.quantity == 7)
        let strict = try parse("[keepalive]\nprofile = \"strict\"\n").keepAlive
        #expect((strict.period, strict.interval, strict.quantity) == (.seconds(15), .milliseconds(200), 3_000))
    }

    @Test("a period at or above nat_expires is an error, above a fifth of it a warning")
    func lints() throws {
        #expect(problems("[keepalive]\nperiod = 300\n").first?.contains("is not below registrar.nat_expires") == true)
        let user = "[[user]]\nname = \"ada\"\npassword = \"secret\"\n"
        let warnings = try parse("[keepalive]\nperiod = 61\n" + user).warnings(ephemeralPorts: nil)
        #expect(warnings.contains { $0.contains("more than a fifth") })
        #expect(try !parse("[keepalive]\nperiod = 60\n" + user).warnings(ephemeralPorts: nil).contains { $0.contains("a fifth") })
        let off = try parse("[keepalive]\nmessage = \"\"\n" + user).warnings(ephemeralPorts: nil)
        #expect(off.contains { $0.contains("keepalive.message: empty") })
    }

    @Test("connections that are closed before their phones have to register anew are warned about, where there can be any")
    func idleConnections() throws {
        func warnings(
            _ idle: Int, expires: Int, listener: String = "tcp:192.0.2.1:5060", user: Bool = true
        ) throws -> [String] {
            let text = "[sip]\nidle_timeout = \(idle)\nlisteners = [\"\(listener)\"]\n[registrar]\nexpires = \(expires)\n"
            return try parse(text + (user ? "[[user]]\nname = \"ada\"\npassword = \"secret\"\n" : ""))
                .warnings(ephemeralPorts: nil).filter { $0.hasPrefix("sip.idle_timeout") }
        }
        #expect(
            try warnings(600, expires: 601) == [
                "sip.idle_timeout: 600s is shorter than registrar.expires = 601s, so a phone by TCP or TLS that sends nothing "
                    + "between two REGISTERs loses its connection, and no call reaches it before the next one",
            ])
        #expect(try warnings(600, expires: 600) == [] && warnings(3_600, expires: 3_600) == [])
        #expect(try warnings(600, expires: 3_600, listener: "udp:192.0.2.1:5060") == [], "no connections")
        #expect(try warnings(600, expires: 3_600, user: false) == [], "no phones")
    }

    @Test("users have a password or hashes, and names and numbers of their own")
    func users() throws {
        let text = """
            [[user]]
            name = "ada"
            password = "secret"
            numbers = ["100", "4930123"]
            [[user]]
            name = "bob"
            ha1 = ["939e7578ed9e3c518a452acee763bce9"]
            """
        let users = try parse(text).users
        #expect(users.map(\.name) == ["ada", "bob"])
        #expect(users[0].numbers == ["100", "4930123"])
        #expect(problems("[[user]]\nname = \"ada\"\n").first?.contains("is missing, expected it or ha1") == true)
        #expect(problems(text + "\nnumbers = [\"100\"]\n").first?.contains("also names user \"ada\"") == true)
        #expect(problems("[[user]]\nname = \"ada\"\npasword = \"x\"\n").contains { $0.contains("did you mean `user.password`?") })
    }

    @Test("the users file has one user a line; what is wrong with it is said with its line")
    func usersFile() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("users-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let text = "# phones\nada plain:se,cret 100\n\nbob md5:939e7578ed9e3c518a452acee763bce9,sha256:\(String(repeating: "a", count: 64))\n"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let file = "[registrar]\nusers_file = \"\(path)\"\n"
        let users = try Configuration.parse(text: file, file: "t.toml", host: testHost, readsUsersFile: true).users
        #expect(users.map(\.name) == ["ada", "bob"])
        #expect(users[0].password == "se,cret")
        #expect(users[1].ha1.count == 2)
        try "ada plain:x\nbob secret\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(problems(file, readsUsersFile: true).first?.contains("\(path):2: the secret is not") == true)
        #expect(problems("[registrar]\nusers_file = \"/nowhere\"\n", readsUsersFile: true).first?.contains("there is no such file") == true)
    }
}
