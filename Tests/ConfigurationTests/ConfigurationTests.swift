import Configuration
import Core
import Testing

@Suite struct ConfigurationTests {
    @Test("an empty file gives the defaults")
    func defaults() throws {
        let configuration = try parse("")
        #expect(
            table(of: configuration) == """
                sip.listen = 127.0.0.1:5060 (default)
                sip.listeners =  (default)
                sip.advertise = 127.0.0.1 (default)
                sip.user_agent = relayd (default)
                sip.strangers = refuse (default)
                sip.monitors =  (default)
                sip.tls_certificate =  (default)
                sip.tls_key =  (default)
                sip.tls_authorities =  (default)
                sip.tls_clients = none (default)
                sip.idle_timeout = 3600s (default)
                sip.session_timer = 1800s (default)
                sip.session_timer_min_se = 90s (default)
                sip.session_timer_refresher = uac (default)
                media.address = 127.0.0.1 (default)
                media.advertise = 127.0.0.1 (default)
                media.interfaces = default/127.0.0.1 (default)
                media.ports = 10000-20000 (default)
                media.quarantine = 30s (default)
                media.workers = 3 (default)
                media.wait_window = 1ms (default)
                media.kernel_path = false (default)
                media.type_of_service = 184 (default)
                media.proxy = on (default)
                media.proxy_behind_nat = on (default)
                media.inband_dtmf = false (default)
                media.no_media_timeout = 60s (default)
                media.no_media_mode = both (default)
                media.hold_timeout = 3600s (default)
                media.vad_timeout = 180s (default)
                media.no_media_prefixes =  (default)
                media.emergency_numbers = 112, 911, 999 (default)
                limits.calls = 2000 (default)
                limits.calls_per_second = 0 (default)
                limits.transactions = 0 (default)
                limits.bindings = 100000 (default)
                limits.bindings_per_user = 10 (default)
                limits.calls_per_source = 200 (default)
                limits.maximum_duration = 0s (default)
                limits.unwatched_duration = 43200s (default)
                limits.retry_after = 5s (default)
                limits.connections = 1000 (default)
                limits.connections_per_source = 100 (default)
                limits.message_size = 65535 (default)
                limits.memory_at_start = true (default)
                routing.last_resort = true (default)
                routing.attempts = 5 (default)
                routing.failover = 408, 5xx (default)
                routing.failures = 3 (default)
                routing.probe_interval = 30s (default)
                routing.invite_timeout = 10s (default)
                routing.trying_timeout = 20s (default)
                routing.progress_timeout = 20s (default)
                routing.early_media_timeout = 120s (default)
                routing.ringing_timeout = 120s (default)
                ng.listen =  (default)
                ng.tcp =  (default)
                ng.socket =  (default)
                ng.timeout = 60s (default)
                ng.silent_timeout = 3600s (default)
                ng.no_media_mode =  (default)
                ng.media_before_lock = false (default)
                ng.recording_directory =  (default)
                ng.offer_timeout = 3600s (default)
                ng.delete_delay = 30s (default)
                ng.timeout_callback =  (default)
                ng.timeout_callback_format = xmlrpc (default)
                control.socket = /tmp/relayd-1000/relayd.sock (default)
                http.listen = 127.0.0.1:8380 (default)
                http.allow_hangup = false (default)
                records.directory = /home/op/.local/state/relayd (default)
                records.keep_days = 0 (default)
                trace.memory_mib = 64 (default)
                trace.ended_calls = 1000 (default)
                hep.address =  (default)
                hep.capture_id = 2001 (default)
                log.level = notice (default)
                registrar.realm = relayd (default)
                registrar.users_file =  (default)
                registrar.algorithms = MD5 (default)
                registrar.expires = 3600s (default)
                registrar.nat_expires = 300s (default)
                registrar.min_expires = 60s (default)
                registrar.nonce_lifetime = 300s (default)
                keepalive.profile =  (default)
                keepalive.message = HELLO (default)
                keepalive.period = 30s (default)
                keepalive.interval = 500ms (default)
                keepalive.quantity = 3000 (default)
                protection.failures = 6 (default)
                protection.suspension = 180s (default)
                protection.registers_per_source = 50 (default)
                protection.registers = 2000 (default)
                protection.scanners = friendly-scanner, sipvicious, sipcli, sip-scan, sundayddr, iWar, VaxSIPUserAgent, pplsip (default)
                """)
        #expect(configuration.warnings(ephemeralPorts: nil) == ["trunk: there is none, so every call is refused"])
    }

    @Test("every key can be set, and says where")
    func allKeys() throws {
        let text = """
            SS_NOMEDIAHANGUPTIME = 90

            [sip]
            listen = "0.0.0.0:5080"
            advertise = "203.0.113.5"
            user_agent = "edge 1"

            [media]
            address = "10.0.0.5"
            advertise = "203.0.113.6"
            ports = "30000-39999"
            interfaces = ["in/10.0.0.5", "out/10.0.0.6!203.0.113.6", "2001:db8::1"]
            quarantine = "1m"
            workers = 2
            wait_window = "2ms"
            type_of_service = 0
            no_media_mode = "any"
            hold_timeout = 0
            vad_timeout = "2m"
            no_media_prefixes = ["49=120", "1900=any", "4930=90s caller"]
            emergency_numbers = ["112", "+911"]

            [limits]
            calls = 500
            retry_after = "10s"

            [ng]
            listen = "127.0.0.1:2223"
            socket = "/tmp/ng.sock"
            timeout = 0
            silent_timeout = "30m"
            offer_timeout = "5m"
            delete_delay = 0
            tcp = "[::1]:2224"
            timeout_callback = "http://%%:8080/RPC2"
            timeout_callback_format = "jsonrpc"
            no_media_mode = "callee"
            recording_directory = "/tmp/recordings"

            [control]
            socket = "/tmp/r.sock"

            [records]
            directory = "/tmp/records"

            [log]
            level = "debug"

            [[trunk]]
            name = "alpha"
            address = "192.0.2.1"

            [[trunk]]
            name = "beta.2"
            address = "192.0.2.2:5070"
            sources = ["192.0.2.2", "198.51.100.0/24", "198.51.100.9:5090"]
            prefixes = ["49", "+49", ""]
            capacity = 30
            invite_timeout = "1500ms"
            ringing_timeout = 60
            no_media_timeout = 0
            no_media_mode = "both"

            # After the trunks: the lines of the keys above stay.
            [http]
            listen = ""
            allow_hangup = true

            [trace]
            memory_mib = 8
            """
        let configuration = try parse(text)
        checkLines(of: configuration, in: text)
        #expect(
            table(of: configuration).replacing(/r\.toml:[0-9]+/, with: "r.toml") == """
                sip.listen = 0.0.0.0:5080 (r.toml)
                sip.listeners =  (default)
                sip.advertise = 203.0.113.5 (r.toml)
                sip.user_agent = edge 1 (r.toml)
                sip.strangers = refuse (default)
                sip.monitors =  (default)
                sip.tls_certificate =  (default)
                sip.tls_key =  (default)
                sip.tls_authorities =  (default)
                sip.tls_clients = none (default)
                sip.idle_timeout = 3600s (default)
                sip.session_timer = 1800s (default)
                sip.session_timer_min_se = 90s (default)
                sip.session_timer_refresher = uac (default)
                media.address = 10.0.0.5 (r.toml)
                media.advertise = 203.0.113.6 (r.toml)
                media.interfaces = in/10.0.0.5, out/10.0.0.6!203.0.113.6, default/2001:db8::1 (r.toml)
                media.ports = 30000-39999 (r.toml)
                media.quarantine = 60s (r.toml)
                media.workers = 2 (r.toml)
                media.wait_window = 2ms (r.toml)
                media.kernel_path = false (default)
                media.type_of_service = 0 (r.toml)
                media.proxy = on (default)
                media.proxy_behind_nat = on (default)
                media.inband_dtmf = false (default)
                media.no_media_timeout = 90s (SS_NOMEDIAHANGUPTIME at r.toml)
                media.no_media_mode = any (r.toml)
                media.hold_timeout = 0s (r.toml)
                media.vad_timeout = 120s (r.toml)
                media.no_media_prefixes = 49=120s, 1900=any, 4930=90s caller (r.toml)
                media.emergency_numbers = 112, +911 (r.toml)
                limits.calls = 500 (r.toml)
                limits.calls_per_second = 0 (default)
                limits.transactions = 0 (default)
                limits.bindings = 100000 (default)
                limits.bindings_per_user = 10 (default)
                limits.calls_per_source = 200 (default)
                limits.maximum_duration = 0s (default)
                limits.unwatched_duration = 43200s (default)
                limits.retry_after = 10s (r.toml)
                limits.connections = 1000 (default)
                limits.connections_per_source = 100 (default)
                limits.message_size = 65535 (default)
                limits.memory_at_start = true (default)
                routing.last_resort = true (default)
                routing.attempts = 5 (default)
                routing.failover = 408, 5xx (default)
                routing.failures = 3 (default)
                routing.probe_interval = 30s (default)
                routing.invite_timeout = 10s (default)
                routing.trying_timeout = 20s (default)
                routing.progress_timeout = 20s (default)
                routing.early_media_timeout = 120s (default)
                routing.ringing_timeout = 120s (default)
                ng.listen = 127.0.0.1:2223 (r.toml)
                ng.tcp = [::1]:2224 (r.toml)
                ng.socket = /tmp/ng.sock (r.toml)
                ng.timeout = 0s (r.toml)
                ng.silent_timeout = 1800s (r.toml)
                ng.no_media_mode = callee (r.toml)
                ng.media_before_lock = false (default)
                ng.recording_directory = /tmp/recordings (r.toml)
                ng.offer_timeout = 300s (r.toml)
                ng.delete_delay = 0s (r.toml)
                ng.timeout_callback = http://%%:8080/RPC2 (r.toml)
                ng.timeout_callback_format = jsonrpc (r.toml)
                control.socket = /tmp/r.sock (r.toml)
                http.listen =  (r.toml)
                http.allow_hangup = true (r.toml)
                records.directory = /tmp/records (r.toml)
                records.keep_days = 0 (default)
                trace.memory_mib = 8 (r.toml)
                trace.ended_calls = 1000 (default)
                hep.address =  (default)
                hep.capture_id = 2001 (default)
                log.level = debug (r.toml)
                registrar.realm = relayd (default)
                registrar.users_file =  (default)
                registrar.algorithms = MD5 (default)
                registrar.expires = 3600s (default)
                registrar.nat_expires = 300s (default)
                registrar.min_expires = 60s (default)
                registrar.nonce_lifetime = 300s (default)
                keepalive.profile =  (default)
                keepalive.message = HELLO (default)
                keepalive.period = 30s (default)
                keepalive.interval = 500ms (default)
                keepalive.quantity = 3000 (default)
                protection.failures = 6 (default)
                protection.suspension = 180s (default)
                protection.registers_per_source = 50 (default)
                protection.registers = 2000 (default)
                protection.scanners = friendly-scanner, sipvicious, sipcli, sip-scan, sundayddr, iWar, VaxSIPUserAgent, pplsip (default)
                trunk.alpha.name = alpha (r.toml)
                trunk.alpha.address = 192.0.2.1:5060 (r.toml)
                trunk.alpha.transport =  (default)
                trunk.alpha.tls_name =  (default)
                trunk.alpha.tls_verify = on (default)
                trunk.alpha.sources = 192.0.2.1:5060 (default)
                trunk.alpha.prefixes =  (default)
                trunk.alpha.capacity = 0 (default)
                trunk.alpha.calls_per_second = 0 (default)
                trunk.alpha.priority = 0 (default)
                trunk.alpha.weight = 1 (default)
                trunk.alpha.called_in =  (default)
                trunk.alpha.caller_in =  (default)
                trunk.alpha.called_out =  (default)
                trunk.alpha.caller_out =  (default)
                trunk.alpha.failover = 408, 5xx (default)
                trunk.alpha.probe = down (default)
                trunk.alpha.username =  (default)
                trunk.alpha.password =  (default)
                trunk.alpha.register = off (default)
                trunk.alpha.registrar =  (default)
                trunk.alpha.register_user =  (default)
                trunk.alpha.register_expires = 3600s (default)
                trunk.alpha.invite_timeout = 10s (default)
                trunk.alpha.trying_timeout = 20s (default)
                trunk.alpha.progress_timeout = 20s (default)
                trunk.alpha.early_media_timeout = 120s (default)
                trunk.alpha.ringing_timeout = 120s (default)
                trunk.alpha.session_timer = 1800s (default)
                trunk.alpha.session_timer_min_se = 90s (default)
                trunk.alpha.session_timer_refresher = uac (default)
                trunk.alpha.maximum_duration = 0s (default)
                trunk.alpha.media_proxy =  (default)
                trunk.alpha.trusted = true (default)
                trunk.alpha.identity = pass (default)
                trunk.alpha.dtmf = passthrough (default)
                trunk.alpha.codecs =  (default)
                trunk.alpha.codecs_strip =  (default)
                trunk.alpha.media_before_lock = false (default)
                trunk.alpha.inband_dtmf =  (default)
                trunk.alpha.no_media_timeout = 90s (default)
                trunk.alpha.no_media_mode = any (default)
                trunk.beta.2.name = beta.2 (r.toml)
                trunk.beta.2.address = 192.0.2.2:5070 (r.toml)
                trunk.beta.2.transport =  (default)
                trunk.beta.2.tls_name =  (default)
                trunk.beta.2.tls_verify = on (default)
                trunk.beta.2.sources = 192.0.2.2, 198.51.100.0/24, 198.51.100.9:5090 (r.toml)
                trunk.beta.2.prefixes = 49, +49,  (r.toml)
                trunk.beta.2.capacity = 30 (r.toml)
                trunk.beta.2.calls_per_second = 0 (default)
                trunk.beta.2.priority = 0 (default)
                trunk.beta.2.weight = 1 (default)
                trunk.beta.2.called_in =  (default)
                trunk.beta.2.caller_in =  (default)
                trunk.beta.2.called_out =  (default)
                trunk.beta.2.caller_out =  (default)
                trunk.beta.2.failover = 408, 5xx (default)
                trunk.beta.2.probe = down (default)
                trunk.beta.2.username =  (default)
                trunk.beta.2.password =  (default)
                trunk.beta.2.register = off (default)
                trunk.beta.2.registrar =  (default)
                trunk.beta.2.register_user =  (default)
                trunk.beta.2.register_expires = 3600s (default)
                trunk.beta.2.invite_timeout = 1500ms (r.toml)
                trunk.beta.2.trying_timeout = 20s (default)
                trunk.beta.2.progress_timeout = 20s (default)
                trunk.beta.2.early_media_timeout = 120s (default)
                trunk.beta.2.ringing_timeout = 60s (r.toml)
                trunk.beta.2.session_timer = 1800s (default)
                trunk.beta.2.session_timer_min_se = 90s (default)
                trunk.beta.2.session_timer_refresher = uac (default)
                trunk.beta.2.maximum_duration = 0s (default)
                trunk.beta.2.media_proxy =  (default)
                trunk.beta.2.trusted = true (default)
                trunk.beta.2.identity = pass (default)
                trunk.beta.2.dtmf = passthrough (default)
                trunk.beta.2.codecs =  (default)
                trunk.beta.2.codecs_strip =  (default)
                trunk.beta.2.media_before_lock = false (default)
                trunk.beta.2.inband_dtmf =  (default)
                trunk.beta.2.no_media_timeout = 0s (r.toml)
                trunk.beta.2.no_media_mode = both (r.toml)
                """)
        #expect(configuration.sip.advertised == SocketAddress("203.0.113.5:5080"))
        #expect(configuration.advertisedMediaAddress == IPAddress("203.0.113.6"))
        #expect(configuration.noMediaTimeout(for: configuration.trunks[0]) == .seconds(90))
        #expect(configuration.noMediaTimeout(for: configuration.trunks[1]) == .zero)
        #expect(configuration.settings.first { $0.key == "media.no_media_timeout" }?.vosName == "SS_NOMEDIAHANGUPTIME")
        #expect(configuration.settings.first { $0.key == "media.ports" }?.reload == .needsRestart)
    }

    @Test("media uses what SIP advertises when it is bound to every address")
    func mediaFollowsSIP() throws {
        let configuration = try parse("sip = { listen = \"0.0.0.0:5060\", advertise = \"203.0.113.5\" }")
        #expect(configuration.mediaAddress == .ipv4Any)
        #expect(configuration.advertisedMediaAddress == IPAddress("203.0.113.5"))
    }

    @Test("the reference file gives the defaults, and each of its commented keys is accepted")
    func reference() throws {
        let reference = Configuration.referenceTOML()
        let defaults = try parse("")
        let parsed = try parse(reference)
        #expect(parsed.settings.map(\.value) == defaults.settings.map(\.value))
        for setting in defaults.settings { #expect(reference.contains(setting.explanation), "\(setting.key)") }

        let all = try parse(everyKeySet)
        #expect(all.trunks.map(\.name) == ["carrier"])
        #expect(all.settings.filter { $0.origin == .default } == [])
    }

    @Test("what is allowed and most likely not wanted is warned about")
    func warnings() throws {
        let configuration = try parse(
            """
            [sip]
            listen = "127.0.0.1:30010"
            [media]
            ports = "30000-30999"
            quarantine = 5
            no_media_timeout = 0
            [[trunk]]
            name = "a"
            address = "127.0.0.1:30010"
            """)
        #expect(
            configuration.warnings(ephemeralPorts: 30_500...60_999) == [
                "media.ports: 30000-30999 overlaps the kernel's ephemeral ports 30500-60999, so other programs take some of "
                    + "them; keep them apart or set net.ipv4.ip_local_reserved_ports",
                "media.ports: 30000-30999 is enough for 250 calls at 4 ports each, fewer than limits.calls = 2000",
                "media.ports: 30000-30999 contains the port of sip.listen, 30010",
                "media.quarantine: late packets of a finished call can reach the next one on its port; 30 s or more is safe",
                "media.no_media_timeout: 0, so calls whose media died stay up until somebody hangs up",
                "trunk.prefixes: no trunk has any and there is no [[route]], so no call can be routed",
                "trunk.address: a is at relayd's own address, so calls to it come back and end with 482",
            ])
    }

    @Test("listeners of every transport and family; without sip.listen they stand alone")
    func listeners() throws {
        let files = "tls_certificate = \"/c.pem\"\ntls_key = \"/k.pem\""
        let list = "listeners = [\"tcp:192.0.2.1:5060\", \"tls:[2001:db8::1]\", \"udp:0.0.0.0:5070!203.0.113.5\"]"
        let alone = try parse("[sip]\n\(list)\n\(files)").sip
        #expect(
            alone.allListeners.map(\.description) == ["tcp:192.0.2.1:5060", "tls:[2001:db8::1]:5061", "udp:0.0.0.0:5070!203.0.113.5"])
        #expect(
            alone.allListeners.map { alone.advertised($0).description } == [
                "192.0.2.1:5060", "[2001:db8::1]:5061", "203.0.113.5:5070",
            ])
        let both = try parse("[sip]\nlisten = \"192.0.2.1:5060\"\n\(list)\n\(files)").sip
        #expect(both.allListeners.first?.description == "udp:192.0.2.1:5060")
        #expect(both.allListeners.count == 4)
    }

    @Test("a trunk's transport stands before its address or in a key, and decides its port", arguments: [
        ("address = \"192.0.2.7\"", "192.0.2.7:5060", Transport.udp), ("address = \"tls:192.0.2.7\"", "192.0.2.7:5061", .tls),
        ("address = \"192.0.2.7\"\ntransport = \"tls\"", "192.0.2.7:5061", .tls),
        ("address = \"tcp:192.0.2.7:5080\"\ntransport = \"tcp\"", "192.0.2.7:5080", .tcp),
    ] as [(String, String, Transport)])
    func trunkTransport(text: String, address: String, transport: Transport) throws {
        let trunk = try #require(try parse("[[trunk]]\nname = \"a\"\n\(text)").trunks.first)
        #expect(trunk.address.description == address)
        #expect(trunk.transport == transport)
        #expect(trunk.sources.map(\.description) == [address])
    }

    @Test("a parsed text leaves nothing behind that a second one would see")
    func independent() throws {
        #expect(try parse("[media]\nworkers = 7").media.workers == 7)
        #expect(try parse("").media.workers == 3)
    }

    /// Each setting of the file names the very line that its key stands on.
    private func checkLines(of configuration: Configuration, in text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for setting in configuration.settings {
            let leaf: Substring
            let line: Int
            switch setting.origin {
            case .default: continue
            case .file(_, let number): (leaf, line) = (setting.key.split(separator: ".").last ?? "", number)
            case .vosAlias(let name, _, let number): (leaf, line) = (Substring(name), number)
            }
            #expect(lines.indices.contains(line - 1) && lines[line - 1].hasPrefix("\(leaf) = "), "\(setting.key), line \(line)")
        }
    }

    private func table(of configuration: Configuration) -> String {
        configuration.settings.map { "\($0.key) = \($0.value) (\($0.origin))" }.joined(separator: "\n")
    }
}

@Suite struct TrunkSourceTests {
    @Test("a source matches its network, its family and its port", arguments: [
        ("192.0.2.0/24", "192.0.2.255:5060", true), ("192.0.2.0/24", "192.0.3.0:5060", false),
        ("192.0.2.7", "192.0.2.7:1", true), ("192.0.2.7", "192.0.2.8:1", false),
        ("192.0.2.7:5060", "192.0.2.7:5060", true), ("192.0.2.7:5060", "192.0.2.7:5061", false),
        ("0.0.0.0/0", "203.0.113.9:5060", true), ("0.0.0.0/0", "[::1]:5060", false),
        ("::/0", "[2001:db8::1]:5060", true), ("2001:db8::/32", "[2001:db8:ffff::1]:5060", true),
        ("2001:db8::/32", "[2001:db9::]:5060", false), ("2001:db8::8000:0:0:0/65", "[2001:db8::8000:0:0:1]:9", true),
        ("2001:db8::8000:0:0:0/65", "[2001:db8::1]:9", false), ("[2001:db8::1]:5060", "[2001:db8::1]:5060", true),
    ] as [(String, String, Bool)])
    func matching(source: String, address: String, expected: Bool) throws {
        let source = try #require(TrunkSource(source))
        let address = try #require(SocketAddress(address))
        #expect(source.contains(address) == expected)
        #expect(TrunkSource(source.description) == source)
    }

    @Test(arguments: ["", "192.0.2.1/33", "192.0.2.1/24", "192.0.2.0/", "192.0.2.0/+24", "192.0.2.0/-1", "host", "192.0.2.1:0"])
    func refuses(text: String) { #expect(TrunkSource(text) == nil) }

    @Test("a longer prefix is more specific, a port more still")
    func specificity() throws {
        let sources = try ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.1", "192.0.2.1:5060"].map { try #require(TrunkSource($0)) }
        #expect(sources.map(\.specificity) == sources.map(\.specificity).sorted())
        #expect(Set(sources.map(\.specificity)).count == 4)
    }
}

@Suite struct DefaultPathsTests {
    @Test("daemon and command line find the same socket", arguments: [
        ([:], 0, ["/run/relayd/relayd.sock"]),
        (["RUNTIME_DIRECTORY": "/run/relayd"], 990, ["/run/relayd/relayd.sock"]),
        (["RUNTIME_DIRECTORY": "/run/a:/run/b"], 990, ["/run/a/relayd.sock", "/run/relayd/relayd.sock"]),
        (["XDG_RUNTIME_DIR": "/run/user/1000/"], 1_000, ["/run/user/1000/relayd.sock", "/run/relayd/relayd.sock"]),
        (["XDG_RUNTIME_DIR": ""], 1_000, ["/tmp/relayd-1000/relayd.sock", "/run/relayd/relayd.sock"]),
    ] as [([String: String], UInt32, [String])])
    func sockets(environment: [String: String], userID: UInt32, expected: [String]) {
        #expect(DefaultPaths.controlSocketCandidates(environment: environment, userID: userID) == expected)
        #expect(DefaultPaths.controlSocket(environment: environment, userID: userID) == expected[0])
    }

    @Test(arguments: [
        ([:], 0, "/var/lib/relayd"), (["STATE_DIRECTORY": "/var/lib/private/relayd"], 990, "/var/lib/private/relayd"),
        (["XDG_STATE_HOME": "/s", "HOME": "/h"], 1_000, "/s/relayd"), (["HOME": "/h"], 1_000, "/h/.local/state/relayd"),
        ([:], 1_000, "/tmp/relayd-1000/state"),
    ] as [([String: String], UInt32, String)])
    func records(environment: [String: String], userID: UInt32, expected: String) {
        #expect(DefaultPaths.recordsDirectory(environment: environment, userID: userID) == expected)
    }
}
