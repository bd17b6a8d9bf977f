import Configuration
import Core
import Foundation
import Testing

@Suite struct ConfigurationErrorTests {
    @Test("a wrong value is reported with file, line, key, what is wrong and what was expected", arguments: [
        ("[media]\nworkers = \"two\"", "r.toml:2: media.workers: \"two\" is a string, expected a whole number from 1 to 256"),
        ("[media]\nworkers = 0", "r.toml:2: media.workers: 0 is out of range, expected a whole number from 1 to 256"),
        ("[media]\nworkers = 1.5",
            "r.toml:2: media.workers: this is a floating-point number, expected a whole number from 1 to 256"),
        ("[media]\nworkers = true", "r.toml:2: media.workers: this is a bool, expected a whole number from 1 to 256"),
        ("[media]\ntype_of_service = 256",
            "r.toml:2: media.type_of_service: 256 is out of range, expected a whole number from 0 to 255"),
        ("[media]\nquarantine = \"10x\"",
            "r.toml:2: media.quarantine: \"10x\" is not a duration, expected whole seconds or text like \"90s\" or \"2m\", "
                + "from 0s to 3600s"),
        ("[media]\nquarantine = \"1500ms\"",
            "r.toml:2: media.quarantine: \"1500ms\" is not a multiple of 1s, expected whole seconds or text like \"90s\" or "
                + "\"2m\", from 0s to 3600s"),
        ("[media]\nquarantine = \"2h\"",
            "r.toml:2: media.quarantine: \"2h\" is out of range, expected whole seconds or text like \"90s\" or \"2m\", "
                + "from 0s to 3600s"),
        ("[media]\nquarantine = -9223372036854775808",
            "r.toml:2: media.quarantine: -9223372036854775808 is out of range, expected whole seconds or text like \"90s\" "
                + "or \"2m\", from 0s to 3600s"),
        ("[media]\nno_media_mode = \"either\"",
            "r.toml:2: media.no_media_mode: \"either\" is not valid, expected one of \"both\", \"any\", \"caller\", \"callee\", \"off\""),
        ("[media]\nno_media_prefixes = [\"49=sometimes\"]",
            "r.toml:2: media.no_media_prefixes: \"49=sometimes\" is not valid, expected a list of text like \"49=120\", "
                + "\"1900=any\" or \"4930=90s caller\""),
        ("[media]\nports = \"10001-10100\"",
            "r.toml:2: media.ports: \"10001-10100\" is not valid, expected text like \"10000-20000\": the first port even and "
                + "at least 1024, four ports or more"),
        ("[media]\nports = \"10000-10002\"",
            "r.toml:2: media.ports: \"10000-10002\" is not valid, expected text like \"10000-20000\": the first port even and "
                + "at least 1024, four ports or more"),
        ("[ng]\ntimeout_callback = \"http://proxy.example:8080/RPC2\"",
            "r.toml:2: ng.timeout_callback: \"http://proxy.example:8080/RPC2\" is not valid, expected text like "
                + "\"http://%%:8080/RPC2\" or \"http://192.0.2.1:8080/RPC2\", without a host name"),
        ("[media]\naddress = \"localhost\"",
            "r.toml:2: media.address: \"localhost\" is not valid, expected a literal IPv4 or IPv6 address"),
        ("[media]\nadvertise = \"0.0.0.0\"",
            "r.toml:2: media.advertise: \"0.0.0.0\" is not valid, expected a literal IPv4 or IPv6 address that peers can reach"),
        ("[sip]\nlisten = \"192.0.2.1\"",
            "r.toml:2: sip.listen: \"192.0.2.1\" is not valid, expected an address with a port, like \"192.0.2.1:5060\" or "
                + "\"[2001:db8::1]:5060\""),
        ("[sip]\nuser_agent = \"a\\nb\"",
            "r.toml:2: sip.user_agent: \"a\\nb\" is not valid, expected 1 to 64 printable ASCII characters"),
        ("[control]\nsocket = \"relayd.sock\"",
            "r.toml:2: control.socket: \"relayd.sock\" is not valid, expected an absolute path of at most 107 octets"),
        ("[log]\nlevel = \"info\"",
            "r.toml:2: log.level: \"info\" is not valid, expected one of \"error\", \"warning\", \"notice\", \"debug\""),
        ("media = 5", "r.toml:1: media: 5 is an integer, expected a table [media]"),
    ] as [(String, String)])
    func values(text: String, expected: String) { #expect(problems(text) == expected) }

    @Test("an unknown name gets a suggestion when one is near", arguments: [
        ("[media]\nno_media_timout = 5",
            "r.toml:2: media.no_media_timout: unknown key, did you mean `media.no_media_timeout`?"),
        ("[sip]\nports = \"10000-10100\"", "r.toml:2: sip.ports: unknown key, did you mean `media.ports`?"),
        ("ports = \"10000-10100\"", "r.toml:1: ports: unknown key, did you mean `media.ports`?"),
        ("SS_NOMEDIAHANGUPTIM = 5", "r.toml:1: SS_NOMEDIAHANGUPTIM: unknown key, did you mean `SS_NOMEDIAHANGUPTIME`?"),
        ("[medai]\nports = \"1\"", "r.toml:1: medai: unknown table, did you mean `media`?"),
        ("[[trunks]]\nname = \"a\"", "r.toml:1: trunks: unknown table, did you mean `trunk`?"),
        ("[media]\nzzzzzzzzzzzz = 1", "r.toml:2: media.zzzzzzzzzzzz: unknown key"),
        ("[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\ncapcity = 5",
            "r.toml:4: trunk.capcity: unknown key, did you mean `trunk.capacity`?"),
        ("[media]\nSS_NOMEDIAHANGUPTIME = 5",
            "r.toml:2: media.SS_NOMEDIAHANGUPTIME: a VOS name inside a table, expected at the top of the file, before any table"),
    ] as [(String, String)])
    func unknownNames(text: String, expected: String) { #expect(problems(text) == expected) }

    @Test("text that is not TOML is reported with line and column", arguments: [
        ("[media]\nworkers = ", "r.toml:2:11: not TOML: "),
        ("[media]\nworkers = 1\nworkers = 2", "r.toml:3:11: not TOML: while parsing key-value pair: cannot redefine existing integer 'workers'"),
        ("[sip]\nlisten = 127.0.0.1:5060",
            "r.toml:2:12: not TOML: while parsing time: expected ':', saw '7'; text stands in quotes"),
        ("[sip]\n [.media]", "r.toml:2: not TOML: a table header that does not begin with a name"),
        ("[[\u{1F4DE}]]", "r.toml:1: not TOML: a table header that does not begin with a name"),
        ("[[trunk]]\nprefixes = [\n \"[\", # {\n}", "r.toml:4: not TOML: a bracket that closes one of the other kind"),
        ("[sip]\nlisten = \n[=]", "r.toml:2:10: not TOML: "),
        ("[media\n", "r.toml:1:7: not TOML: "),
        ("workers = 99999999999999999999999999", "r.toml:1:"),
        ("[media]\n\u{0}workers = 2", "r.toml:2:1: not TOML: a NUL octet"),
    ] as [(String, String)])
    func syntax(text: String, expected: String) {
        let problem = problems(text)
        #expect(problem.hasPrefix(expected), "\(problem)")
        #expect(!problem.contains("\n"), "\(problem)")
    }

    @Test("a trunk's names, addresses, prefixes and sources are its own", arguments: [
        ("[[trunk]]\naddress = \"192.0.2.1\"",
            "r.toml:1: trunk.name: is missing, expected 1 to 64 of the characters A-Z a-z 0-9 _ . -"),
        ("[[trunk]]\nname = \"a\"",
            "r.toml:1: trunk.address: is missing, expected a literal address, with a port when it is not 5060, like "
                + "\"192.0.2.1\", \"[2001:db8::1]:5080\" or \"tls:192.0.2.1:5061\""),
        ("[[trunk]]\nname = \"a\"\naddress = \"tls:192.0.2.1\"\ntransport = \"tcp\"",
            "r.toml:4: trunk.transport: \"tcp\" is another one than tls:192.0.2.1:5061 says, expected one of them"),
        ("[sip]\nlisteners = [\"tls:127.0.0.1:5061\"]\ntls_key = \"/k\"",
            "r.toml:2: sip.tls_certificate: is missing while sip.listeners has TLS, expected the path of a PEM file"),
        ("[sip]\nlisteners = [\"tcp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060!192.0.2.1\"]",
            "r.toml:2: sip.listeners: 127.0.0.1:5060 is there twice, expected one listener an address"),
        ("[sip]\nlisteners = [\"sctp:127.0.0.1:5060\"]",
            "r.toml:2: sip.listeners: \"sctp:127.0.0.1:5060\" is not valid, expected a list of text like "
                + "\"tcp:192.0.2.1:5060\" or \"tls:[2001:db8::1]:5061\""),
        ("[[trunk]]\nname = \"a b\"\naddress = \"192.0.2.1\"",
            "r.toml:2: trunk.name: \"a b\" is not valid, expected 1 to 64 of the characters A-Z a-z 0-9 _ . -"),
        ("[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n\n[[trunk]]\nname = \"a\"\naddress = \"192.0.2.2\"",
            "r.toml:6: trunk.name: \"a\" is also the trunk in line 2, expected a name of its own"),
        (twoTrunks("", "called_in = [\"cut 2\"]"),
            "r.toml:8: trunk.called_in: \"cut 2\" is not valid, expected a list of rules, applied in order: \"strip 2\", "
                + "\"prepend 0049\", \"replace +49 0\""),
        (twoTrunks("", "failover = [\"486\"]"),
            "r.toml:8: trunk.failover: \"486\" is not valid, expected a list of statuses like [\"408\", \"480\", \"5xx\"], "
                + "without 486, 487 and 6xx, which are the callee's last word"),
        (twoTrunks("", "[[route]]\nprefixes = [\"49\"]\ntrunk = \"aa\""),
            "r.toml:10: route.trunk: \"aa\" is no trunk, did you mean `a`?"),
        (twoTrunks("", "[[route]]\ntrunk = \"a\""),
            "r.toml:8: route.prefixes: is missing, expected a list of digits, each text of its own, like [\"49\", \"+49\"]; "
                + "\"\" is the default route"),
        (twoTrunks("", "sources = [\"192.0.2.1:5060\"]"),
            "r.toml:8: trunk.sources: 192.0.2.1:5060 is also a source of trunk \"a\", expected one trunk a source"),
        (twoTrunks("", "prefixes = [\"4a\"]"),
            "r.toml:8: trunk.prefixes: \"4a\" is not valid, expected a list of digits, each text of its own, like "
                + "[\"49\", \"+49\"]; \"\" is the default route"),
        (twoTrunks("", "prefixes = [\"4\", \"4\"]"),
            "r.toml:8: trunk.prefixes: \"4\" is there twice, expected a list of digits, each text of its own, like "
                + "[\"49\", \"+49\"]; \"\" is the default route"),
        (twoTrunks("", "sources = [\"192.0.2.1/24\"]"),
            "r.toml:8: trunk.sources: \"192.0.2.1/24\" is not valid, expected a list of addresses, addresses with a port, "
                + "or networks, like [\"192.0.2.1\", \"198.51.100.0/24\"]"),
        ("[trunk]\nname = \"a\"", "r.toml:1: trunk: this is a table, expected [[trunk]], one for each trunk"),
        ("trunk = [1]", "r.toml:1: trunk: 1 is an integer, expected [[trunk]], one for each trunk"),
        ("[[trunk]]\nname = \"a\"\naddress = \"[2001:db8::1]\"",
            "r.toml:3: trunk.address: [2001:db8::1]:5060 is an IPv6 address, expected IPv4 while sip.listen is 127.0.0.1:5060"),
    ] as [(String, String)])
    func trunks(text: String, expected: String) { #expect(problems(text) == expected) }

    @Test("listening on every address needs an address to advertise")
    func advertise() {
        #expect(
            problems("[sip]\nlisten = \"0.0.0.0:5060\"")
                == "r.toml:2: sip.advertise: is missing while sip.listen is 0.0.0.0:5060, expected the address peers reach relayd at")
        #expect(
            problems("[media]\naddress = \"::\"")
                == "r.toml:2: media.advertise: is missing while media.address is :: and SIP advertises another address family, "
                + "expected the address peers send media to")
        #expect(problems("[sip]\nlisten = \"[::]:5060\"\nadvertise = \"2001:db8::1\"") == "none")
    }

    @Test("a key and its VOS name together are refused")
    func aliasTwice() {
        #expect(
            problems("SS_NOMEDIAHANGUPTIME = 60\n[media]\nno_media_timeout = 30")
                == "r.toml:1: SS_NOMEDIAHANGUPTIME: is the VOS name of media.no_media_timeout, which stands in line 3, "
                + "expected one of them")
    }

    @Test("all problems of a file come at once, in its order")
    func several() {
        let text = """
            [media]
            workers = 0
            port = "1-2"

            [[trunk]]
            name = "a"
            address = "host"

            [limits]
            calls = -1
            """
        #expect(
            problems(text) == """
                r.toml:2: media.workers: 0 is out of range, expected a whole number from 1 to 256
                r.toml:3: media.port: unknown key, did you mean `media.ports`?
                r.toml:7: trunk.address: "host" is not valid, expected a literal address, with a port when it is not 5060, \
                like "192.0.2.1", "[2001:db8::1]:5080" or "tls:192.0.2.1:5061"
                r.toml:10: limits.calls: -1 is out of range, expected a whole number from 1 to 100000
                """)
    }

    @Test("lines are right behind strings over several lines, quoted keys, arrays and comments")
    func lines() {
        let text = """
            # comment = "x
            sip.user_agent = '''one [line]
            two = 3
            \"""''' # ]

            [ "media" ] # [[x]]
            ports = "10000-10100" # workers = 0

            [[trunk]]
            name = "a"
            address = "192.0.2.1"
            sources = [ # first [
              "192.0.2.1", 'x]',
              "#",
            ]

            [[trunk]]
            name = "b"
            "capacity"=-1
            address = "192.0.2.2"
            """
        #expect(
            problems(text).split(separator: "\n").map { $0.prefix(26) } == [
                "r.toml:2: sip.user_agent: ", "r.toml:12: trunk.sources: ", "r.toml:19: trunk.capacity:",
            ])
    }

    @Test("no text stops the reader, and every problem has a line of the file", arguments: 0..<20)
    func mutations(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let reference = Array(everyKeySet.utf8)
        let pieces = ["\"", "'", "\"\"\"", "[", "]", "[[", "{", "}", "=", ".", ",", "#", "\\", "\n", "\r", "\u{1F4DE}", "-1"]
        for _ in 0..<20 {
            var octets = reference
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let start = Int.random(in: 0..<octets.count, using: &random)
                let end = min(octets.count, start + Int.random(in: 0..<12, using: &random))
                octets.replaceSubrange(start..<end, with: (pieces.randomElement(using: &random) ?? "").utf8)
            }
            let text = String(decoding: octets, as: UTF8.self)
            let lineCount = text.utf8.count { $0 == UInt8(ascii: "\n") } + 1
            do {
                _ = try parse(text)
            } catch {
                for problem in error.problems {
                    #expect((1...lineCount).contains(problem.line ?? 0), "seed \(seed): \(problem)")
                }
            }
        }
    }

    @Test("a file that cannot be read, or is not text, says so")
    func unreadable() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        let missing = directory.appending(path: "no.toml").path
        #expect(problems(ofFile: missing) == "\(missing): cannot be read: there is no such file")

        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let binary = directory.appending(path: "binary.toml")
        try Data([0x61, 0xff, 0xfe]).write(to: binary)
        #expect(problems(ofFile: binary.path) == "\(binary.path): is not UTF-8 text, expected TOML")
        #expect(ConfigurationError.exitCode == 78)
    }
}

private func problems(ofFile path: String) -> String {
    do {
        _ = try Configuration.load(path: path, host: testHost)
        return "none"
    } catch {
        return error.description
    }
}

private func twoTrunks(_ first: String, _ second: String) -> String {
    """
    [[trunk]]
    name = "a"
    address = "192.0.2.1"
    \(first)
    [[trunk]]
    name = "b"
    address = "192.0.2.2"
    \(second)
    """
}
