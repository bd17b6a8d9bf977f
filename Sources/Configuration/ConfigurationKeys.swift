import Core

extension Configuration {
    /// Every key outside of `[[trunk]]`, grouped by table, in the order of the reference file.
    static let keys: [ConfigurationKey<Configuration>] = [
        .init(
            "sip.listen", \.sip.listen, .listenAddress, .needsRestart,
            "The UDP address SIP is received on and sent from."),
        .init(
            "sip.listeners", \.sip.listeners, .listeners, .needsRestart,
            example: (
                "[\"tcp:192.0.2.1:5060\", \"tls:192.0.2.1:5061\", \"udp:[2001:db8::1]:5060\", \"udp:10.0.0.1:5060!192.0.2.1\"]",
                "none but sip.listen"
            ),
            "Further addresses SIP is received on, each with its transport and, after !, the address peers reach it at. Without "
                + "sip.listen they stand alone."),
        .init(
            "sip.advertise", \.sip.advertise, ValueFormat.reachableAddress.optional, .needsRestart,
            example: ("\"192.0.2.1\"", "the address of sip.listen"), shown: { $0.sip.advertised.ip.description },
            "The address peers reach relayd at: Via and Contact carry it. Needed when sip.listen is 0.0.0.0 or ::."),
        .init(
            "sip.user_agent", \.sip.userAgent, .line(limit: 64), .appliedNow,
            "The text of the User-Agent and Server headers."),
        .init(
            "sip.strangers", \.sip.strangers, .oneOf, .appliedNow,
            "What becomes of requests from sources that are no trunk and no phone: \"refuse\" answers 403, \"drop\" says nothing. "
                + "`relayctl strangers` shows them either way."),
        .init(
            "sip.monitors", \.sip.monitors,
            ValueFormat.source.list(
                "a list of addresses, addresses with a port, or networks, like [\"192.0.2.1\", \"198.51.100.0/24\"]"),
            .appliedNow, example: ("[\"198.51.100.7\", \"192.0.2.0/24\"]", "none"),
            "Whose OPTIONS are answered with 200 though they are no trunk, so that monitoring sees a relayd that is well. Nothing else "
                + "is taken from there."),
        .init(
            "sip.tls_certificate", \.sip.tls.certificate, ValueFormat.path(limit: 4_000).optional, .needsRestart,
            example: ("\"/etc/relayd/certificate.pem\"", "none; a TLS listener needs one"),
            "relayd's certificate in PEM, followed by those that lead from it to an authority."),
        .init(
            "sip.tls_key", \.sip.tls.key, ValueFormat.path(limit: 4_000).optional, .needsRestart,
            example: ("\"/etc/relayd/key.pem\"", "none; a TLS listener needs one"),
            "The key of the certificate in PEM, without a password."),
        .init(
            "sip.tls_authorities", \.sip.tls.authorities, ValueFormat.path(limit: 4_000).optional, .needsRestart,
            example: ("\"/etc/relayd/authorities.pem\"", "the authorities of the system"),
            "The authorities, in PEM, whose certificates are believed."),
        .init(
            "sip.tls_clients", \.sip.tls.clients, .oneOf, .needsRestart,
            "Which certificate clients are asked for over TLS: none, one if they have it, or one without which they are not "
                + "served."),
        .init(
            "sip.idle_timeout", \.sip.idleTimeout, .duration(.seconds(30) ... .seconds(86_400)), .needsRestart,
            "A SIP connection over which nothing comes or goes for so long is closed."),
        .init(
            "sip.session_timer", \.sip.sessionTimer, .sessionInterval, .newCallsOnly, vosName: "SS_SESSION_TIMER",
            "The session interval asked for and granted (RFC 4028); a call that nobody refreshes ends. 0 switches this off."),
        .init(
            "sip.session_timer_min_se", \.sip.sessionTimerMinimum, .duration(.seconds(90) ... .seconds(86_400)), .newCallsOnly,
            vosName: "SS_SESSION_TIMER_MIN_SE",
            "The shortest session interval accepted; less is refused with 422."),
        .init(
            "sip.session_timer_refresher", \.sip.sessionTimerRefresher, .oneOf, .newCallsOnly,
            vosName: "SS_SESSION_TIMER_REFRESHER",
            "Who refreshes where the other side leaves the choice: who sends the request (\"uac\") or who answers it (\"uas\")."),

        .init(
            "media.address", \.media.address, ValueFormat.bindAddress.optional, .needsRestart,
            example: ("\"127.0.0.1\"", "the address of sip.listen"), shown: { $0.mediaAddress.description },
            "The address relay ports are opened on."),
        .init(
            "media.advertise", \.media.advertise, ValueFormat.reachableAddress.optional, .needsRestart,
            example: ("\"192.0.2.1\"", "media.address, or what SIP advertises when that is 0.0.0.0 or ::"),
            shown: { $0.advertisedMediaAddress.description },
            "The address SDP carries."),
        .init(
            "media.interfaces", \.media.interfaces, .mediaInterfaces, .needsRestart,
            example: ("[\"internal/10.0.0.1\", \"external/192.0.2.1!203.0.113.1\"]", "one named default at media.address"),
            shown: { $0.mediaInterfaces.map(\.description).joined(separator: ", ") },
            "Where relay ports of calls driven over NG are opened, by name; the first is the default one."),
        .init(
            "media.ports", \.media.ports, .ports, .needsRestart,
            "The relay's UDP ports, first and last. A call uses four."),
        .init(
            "media.quarantine", \.media.quarantine, .duration(.zero ... .seconds(3_600)), .appliedNow,
            "How long a freed port rests before it is used again, so that late packets reach no stranger."),
        .init(
            "media.workers", \.media.workers, .integer(1...256), .needsRestart,
            example: ("1", "the number of processors less one, at least 1"),
            "Relay threads, each pinned to a processor."),
        .init(
            "media.wait_window", \.media.waitWindow, .duration(.zero ... .milliseconds(10), granularity: .milliseconds(1)), .needsRestart,
            "How long a busy worker gathers packets at the most; saves half of its processor time. 0 relays each at once."),
        .init(
            "media.kernel_path", \.media.kernelPath, .boolean, .needsRestart,
            "Whether the RTP of a stream passes inside the kernel once its source is locked: less processor time, and no "
                + "waiting. Needs Linux 6.6, CAP_BPF and CAP_NET_ADMIN; without them it goes through sockets, and `relayctl "
                + "status` says so. Packet filters of the host do not see such packets."),
        .init(
            "media.type_of_service", \.media.typeOfService, .octet, .newCallsOnly,
            "The type-of-service octet of relayed packets; 184 is expedited forwarding."),
        .init(
            "media.proxy", \.media.proxy, .oneOf, .newCallsOnly,
            "Whether media of SIP calls goes through relayd: \"on\"; \"off\", then SDP keeps its addresses; \"auto\": where NAT, private "
                + "addresses, IPv4 and IPv6 or digits to convert need it; \"must\": whatever the other side's trunk says."),
        .init(
            "media.proxy_behind_nat", \.media.proxyBehindNAT, .oneOf, .newCallsOnly, vosName: "SS_MEDIA_PROXY_BEHIND_NAT",
            "Media of endpoints behind NAT goes through relayd, also where a trunk says \"off\"."),
        .init(
            "media.inband_dtmf", \.media.inBandDTMF, .boolean, .newCallsOnly,
            "Whether digits sent as tones in G.711 audio are counted, for `relayctl why` and records. Costs processor time for "
                + "each packet; trunks may say otherwise for their side of a call."),
        .init(
            "media.no_media_timeout", \.media.noMediaTimeout, .duration(.zero ... .seconds(86_400)), .newCallsOnly,
            vosName: "SS_NOMEDIAHANGUPTIME",
            "Time without RTP after which a connected call is released; 0 switches this off."),
        .init(
            "media.no_media_mode", \.media.noMediaMode, .oneOf, .newCallsOnly,
            "Release a call when \"both\" sides are silent, when \"any\" of them is, when the \"caller\" or the \"callee\" "
                + "is, or never (\"off\")."),
        .init(
            "media.hold_timeout", \.media.holdTimeout, .duration(.zero ... .seconds(604_800)), .newCallsOnly,
            "The no-media timeout while a side has the call on hold; 0: held calls are not released for silence."),
        .init(
            "media.vad_timeout", \.media.vadTimeout, .duration(.zero ... .seconds(86_400)), .newCallsOnly,
            "The no-media timeout of a side that sends comfort noise or has agreed on silence suppression; 0: none."),
        .init(
            "media.no_media_prefixes", \.media.noMediaPrefixes,
            ValueFormat<NoMediaPrefix>.string(
                expected: "", text: \.description, parse: { NoMediaPrefix($0) }
            ).list("a list of text like \"49=120\", \"1900=any\" or \"4930=90s caller\""),
            .newCallsOnly, example: ("[\"49=120\", \"1900=any\", \"4930=90s caller\"]", "none"),
            "No-media timeout and mode by prefix of the called number; the longest counts, before what a trunk says."),
        .init(
            "media.emergency_numbers", \.media.emergencyNumbers,
            ValueFormat<String>.prefix.list("a list of numbers, each text of its own, like [\"112\", \"911\"]"), .newCallsOnly,
            "Called numbers whose calls are never released for silence. A + in front makes no difference."),

        .init(
            "limits.calls", \.limits.calls, .integer(1...100_000), .appliedUpToStart,
            "Concurrent calls; one more is refused with 503. A reload may lower it, and raise it again up to what relayd was started "
                + "with."),
        .init(
            "limits.calls_per_second", \.limits.callsPerSecond, .integer(0...100_000), .appliedNow,
            "New calls a second from all sources together; what is above is refused with 503 and leaves no record. 0 is without limit."),
        .init(
            "limits.transactions", \.limits.transactions, .integer(0...100_000_000), .appliedNow,
            "SIP transactions at a time; a new request beyond them is refused with 503. Over UDP each stays for 32 s, and a call has "
                + "four: 128 for each call a second. 0 is 1,000 and 20 for each of limits.calls."),
        .init(
            "limits.bindings", \.limits.bindings, .integer(1...10_000_000), .appliedNow,
            "Registered contacts of all users together; a further one is refused with 503."),
        .init(
            "limits.bindings_per_user", \.limits.bindingsPerUser, .integer(1...1_000), .appliedNow,
            "Registered contacts of one user; a further one takes the place of the one refreshed longest ago."),
        .init(
            "limits.calls_per_source", \.limits.callsPerSource, .integer(0...100_000), .appliedNow,
            "Concurrent calls from one address that is no trunk; 0 is without limit."),
        .init(
            "limits.maximum_duration", \.limits.maximumDuration, .duration(.zero ... .seconds(604_800)), .newCallsOnly,
            "How long an answered call may last; then it is ended. 0 is without limit. Where a trunk has a value of its own the "
                + "shortest counts."),
        .init(
            "limits.unwatched_duration", \.limits.unwatchedDuration, .duration(.zero ... .seconds(604_800)), .newCallsOnly,
            "The same for a call that nothing else would end when its parties are gone: neither side knows session timers, and "
                + "no-media hangup is off for it or its media goes past relayd. Calls to emergency numbers are left out. 0 is "
                + "without limit."),
        .init(
            "limits.retry_after", \.limits.retryAfter, .duration(.seconds(1) ... .seconds(3_600)), .appliedNow,
            "How long a refused caller is asked to wait (Retry-After)."),

        .init(
            "limits.connections", \.limits.connections, .integer(0...100_000), .needsRestart,
            "SIP connections over TCP and TLS at a time; a tenth of them is kept for trunks. Each needs a file descriptor."),
        .init(
            "limits.connections_per_source", \.limits.connectionsPerSource, .integer(1...100_000), .needsRestart,
            "The same from one address that is no trunk's."),
        .init(
            "limits.message_size", \.limits.messageOctets, .integer(4_096...65_535, unit: "octets"), .needsRestart,
            "The longest SIP message taken from a connection."),
        .init(
            "limits.memory_at_start", \.limits.memoryAtStart, .boolean, .needsRestart,
            "Whether tables, trace and 12 kB for each of limits.calls (at most 64 MiB, and an eighth of what the machine or the "
                + "control group has) are in memory before the first call. Otherwise memory is taken as it is used, and calls wait "
                + "for it meanwhile."),
        .init(
            "routing.last_resort", \.routing.lastResort, .boolean, .newCallsOnly,
            "Where every trunk for a number is out, whether a call tries the first of them all the same, one a second; the others "
                + "get 503."),
        .init(
            "routing.attempts", \.routing.attempts, .integer(1...20), .newCallsOnly, vosName: "SS_GATEWAY_SWITCH_LIMIT",
            "How many routes a call tries at the most."),
        .init(
            "routing.failover", \.routing.failover, ValueFormat.failover, .newCallsOnly,
            "After these responses the next route is tried, as after a timeout before ringing. Never once the callee's RTP "
                + "has come."),
        .init(
            "routing.failures", \.routing.failures, .integer(1...1_000), .appliedNow,
            "A trunk that fails so often in a row (no response, not reachable, 503) is taken out."),
        .init(
            "routing.probe_interval", \.routing.probeInterval, .duration(.seconds(1) ... .seconds(3_600)), .appliedNow,
            "How often a trunk that is out is asked with OPTIONS whether it is back."),
        .init(
            "routing.invite_timeout", \.routing.timers.invite,
            .duration(.milliseconds(100) ... .seconds(300), granularity: .milliseconds(1)), .newCallsOnly,
            vosName: "SS_SIP_TIMEOUT_INVITE", "From INVITE to any response."),
        .init(
            "routing.trying_timeout", \.routing.timers.trying,
            .duration(.milliseconds(100) ... .seconds(300), granularity: .milliseconds(1)), .newCallsOnly,
            vosName: "SS_SIP_TIMEOUT_TRYING", "From 100 Trying to any response beyond it."),
        .init(
            "routing.progress_timeout", \.routing.timers.progress,
            .duration(.milliseconds(100) ... .seconds(3_600), granularity: .milliseconds(1)), .newCallsOnly,
            vosName: "SS_SIP_TIMEOUT_SESSION_PROGRESS", "From 183 or another progress without SDP to ringing or the final response."),
        .init(
            "routing.early_media_timeout", \.routing.timers.earlyMedia,
            .duration(.milliseconds(100) ... .seconds(3_600), granularity: .milliseconds(1)), .newCallsOnly,
            vosName: "SS_SIP_TIMEOUT_SESSION_PROGRESS_SDP", "From a provisional response with SDP to the final response."),
        .init(
            "routing.ringing_timeout", \.routing.timers.ringing,
            .duration(.milliseconds(100) ... .seconds(3_600), granularity: .milliseconds(1)), .newCallsOnly,
            vosName: "SS_SIP_TIMEOUT_RINGING", "From 180 Ringing to the final response."),

        .init(
            "ng.listen", \.ng.listen, ValueFormat.listenAddress.optional, .needsRestart,
            example: ("\"127.0.0.1:2223\"", "the NG protocol is not served over UDP"),
            "The UDP address on which Kamailio and OpenSIPS drive relayd (NG protocol). It knows no password: loopback, "
                + "or a network that only proxies reach."),
        .init(
            "ng.tcp", \.ng.tcp, ValueFormat.listenAddress.optional, .needsRestart,
            example: ("\"127.0.0.1:2223\"", "the NG protocol is not served over TCP"),
            "A TCP address for the NG protocol. What is said of ng.listen holds here."),
        .init(
            "ng.socket", \.ng.socket, ValueFormat.path(limit: 107).optional, .needsRestart,
            example: ("\"/run/relayd/ng.sock\"", "the NG protocol is not served on a unix socket"),
            "A unix stream socket for the NG protocol, open to relayd's user and group."),
        .init(
            "ng.timeout", \.ng.timeout, .duration(.zero ... .seconds(86_400)), .newCallsOnly,
            "Time without RTP after which a call driven over NG is closed; 0 switches this off."),
        .init(
            "ng.silent_timeout", \.ng.silentTimeout, .duration(.seconds(1) ... .seconds(604_800)), .newCallsOnly,
            "The same while a side has the call on hold."),
        .init(
            "ng.no_media_mode", \.ng.noMediaMode, ValueFormat<NoMediaMode>.oneOf.optional, .newCallsOnly,
            example: ("\"both\"", "media.no_media_mode"),
            "Which silence closes a call; \"both\" is what rtpengine does."),
        .init(
            "ng.media_before_lock", \.ng.mediaBeforeLock, .boolean, .newCallsOnly,
            "Whether media goes to the address of a description before that side has sent its first packet, provided it is the "
                + "host the SIP comes from. Then a phone that only listens hears something; the lock itself stays as strict."),
        .init(
            "ng.recording_directory", \.ng.recordingDirectory, ValueFormat.path(limit: 4_000).optional, .needsRestart,
            example: ("\"/var/spool/relayd\"", "recording is refused"),
            "Where calls are recorded when a proxy asks for it (start recording, record-call): a pcapng file each."),
        .init(
            "ng.offer_timeout", \.ng.offerTimeout, .duration(.seconds(1) ... .seconds(604_800)), .newCallsOnly,
            "How long an offer waits for its answer."),
        .init(
            "ng.delete_delay", \.ng.deleteDelay, .duration(.zero ... .seconds(3_600)), .appliedNow,
            "How long a deleted call is kept, unless the proxy says otherwise; signalling in between takes it back."),
        .init(
            "ng.timeout_callback", \.ng.timeoutCallback, ValueFormat.callbackURL.optional, .needsRestart,
            example: ("\"http://%%:8080/RPC2\"", "the proxy is not told"),
            "Where the proxy is asked to end the dialog (dlg.terminate_dlg) of a call closed for want of media; %% is the "
                + "proxy's address."),
        .init(
            "ng.timeout_callback_format", \.ng.timeoutCallbackFormat, .oneOf, .needsRestart,
            "How it is asked: \"xmlrpc\" for Kamailio's module xmlrpc, \"jsonrpc\" for its jsonrpcs."),

        .init(
            "control.socket", \.control.socket, .path(limit: 107), .needsRestart,
            example: (
                "\"/run/relayd/relayd.sock\"",
                "$RUNTIME_DIRECTORY/relayd.sock, /run/relayd/relayd.sock as root, else in the user's runtime directory"
            ),
            "The unix socket relayctl talks to."),

        .init(
            "http.listen", \.http.listen, .listenAddressOrNone, .needsRestart,
            "The TCP address that serves metrics (/metrics) and the page (/); \"\" for none. It knows no password: loopback, "
                + "or a network that only operators reach."),
        .init(
            "http.allow_hangup", \.http.allowHangup, .boolean, .needsRestart,
            "Whether a call can be ended from the page. Otherwise it only shows."),

        .init(
            "records.directory", \.records.directory, .path(limit: 4_000), .needsRestart,
            example: (
                "\"/var/lib/relayd\"", "$STATE_DIRECTORY, /var/lib/relayd as root, else ~/.local/state/relayd"
            ),
            "Where call records are kept: the journal and the SQLite store."),
        .init(
            "records.keep_days", \.records.keepDays, .integer(0...36_500), .needsRestart,
            "Records older than so many days are removed from the store; 0 keeps them for ever."),

        .init(
            "trace.memory_mib", \.trace.memoryMebibytes, .integer(1...65_536, unit: "MiB"), .needsRestart,
            "Memory for the trace of SIP messages that `relayctl trace` shows; the oldest make room for new ones. Taken as it "
                + "fills."),
        .init(
            "trace.ended_calls", \.trace.endedCalls, .integer(0...100_000), .needsRestart,
            "How many ended calls `relayctl why` can still explain in full, at about 10 kB each; the verdict is in each record."),

        .init(
            "hep.address", \.hep.address, ValueFormat.listenAddress.optional, .needsRestart,
            example: ("\"192.0.2.9:9060\"", "nothing is exported"),
            "A HEP3 collector (Homer, sngrep) that gets a copy of every SIP message, the RTCP reports and the RTP figures of every call, over UDP."),
        .init(
            "hep.capture_id", \.hep.captureID, .integer(1...0xffff_ffff), .needsRestart,
            "The number by which the collector tells this relayd from others."),

        .init(
            "log.level", \.log.level, .oneOf, .appliedNow,
            "The least important events that are logged."),
    ] + registrarKeys
}

extension Trunk {
    /// Every key of `[[trunk]]`. The first two are required.
    static let keys: [ConfigurationKey<Trunk>] = [
        .init(
            "name", \.name, .name, .newCallsOnly,
            "How records, events and commands call it."),
        .init(
            "address", \.place, .trunkAddress, .newCallsOnly,
            "Where its calls are sent; a transport may stand before it."),
        .init(
            "transport", \.namedTransport, ValueFormat<Transport>.oneOf.optional, .newCallsOnly,
            example: ("\"tls\"", "what stands in address, else udp with tcp for requests of more than 1300 octets if relayd listens for TCP"),
            "How its calls are sent; \"udp\" then means nothing else, however long a request is."),
        .init(
            "tls_name", \.tlsName, ValueFormat.line(limit: 253).optional, .newCallsOnly,
            example: ("\"sip.carrier.example\"", "its address"),
            "The name relayd asks for over TLS (SNI), which the trunk's certificate must be for."),
        .init(
            "tls_verify", \.tlsVerify, .oneOf, .newCallsOnly,
            "Whether the trunk's certificate is checked; off is for tests and for networks nobody else is in."),
        .init(
            "sources", \.sources,
            ValueFormat.source.list(
                "a list of addresses, addresses with a port, or networks, like [\"192.0.2.1\", \"198.51.100.0/24\"]"),
            .newCallsOnly, example: ("[\"198.51.100.7\", \"198.51.100.128/25\"]", "its address, port included"),
            "Where its requests come from. The most specific source of all trunks decides."),
        .init(
            "prefixes", \.prefixes,
            ValueFormat.prefix.list("a list of digits, each text of its own, like [\"49\", \"+49\"]; \"\" is the default route"),
            .newCallsOnly, example: ("[\"49\", \"+49\"]", "none, so calls only come from it"),
            "Called numbers that are routed to it; the longest prefix wins, \"\" is the default route."),
        .init(
            "capacity", \.capacity, .integer(0...100_000), .newCallsOnly,
            "Concurrent calls to and from it; 0 is without limit."),
        .init(
            "calls_per_second", \.callsPerSecond, .integer(0...10_000), .newCallsOnly,
            "New calls a second from it, and as many to it; 0 is without limit. Beyond it, calls from it get 503, calls to it "
                + "take the next route."),
        .init(
            "priority", \.priority, .integer(0...1_000), .newCallsOnly,
            "Of trunks with the same prefix the one with the lowest is tried first."),
        .init(
            "weight", \.weight, .integer(1...1_000), .newCallsOnly,
            "Of trunks with the same prefix and priority, how often this one comes first, compared with the others."),
        .init(
            "called_in", \.calledIn, ValueFormat.rules, .newCallsOnly,
            "How the called number of a call from it is rewritten before it is routed."),
        .init(
            "caller_in", \.callerIn, ValueFormat.rules, .newCallsOnly,
            "How the caller's number of a call from it is rewritten."),
        .init(
            "called_out", \.calledOut, ValueFormat.rules, .newCallsOnly,
            "How the called number of a call to it is rewritten, after it was routed."),
        .init(
            "caller_out", \.callerOut, ValueFormat.rules, .newCallsOnly,
            "How the caller's number of a call to it is rewritten."),
        .init(
            "failover", \.failover, ValueFormat.failover.optional, .newCallsOnly,
            example: ("[\"408\", \"5xx\"]", "routing.failover"),
            "After these responses from it the next route is tried."),
        .init(
            "probe", \.probe, .oneOf, .newCallsOnly,
            "Asks it with OPTIONS whether it is there: while it is \"down\", \"always\", or \"off\": then one call tries it after "
                + "each probe_interval."),
        .init(
            "username", \.username, ValueFormat<String>.line(limit: 128).optional, .newCallsOnly,
            example: ("\"relayd\"", "a challenge of the trunk is a refusal"),
            "The user name with which we answer its digest challenges (401, 407)."),
        .init(
            "password", \.password, ValueFormat<String>.line(limit: 128).optional, .newCallsOnly,
            example: ("\"secret\"", "empty"), shown: { $0.password == nil ? "" : "(set)" },
            "The password that goes with it."),
        .init(
            "register", \.register, .oneOf, .needsRestart,
            "Whether we register with it, so that it sends us calls."),
        .init(
            "registrar", \.registrar, ValueFormat.registrarAddress.optional, .needsRestart,
            example: ("\"198.51.100.8\"", "its address"),
            "Where REGISTER is sent."),
        .init(
            "register_user", \.registerUser, ValueFormat.name.optional, .needsRestart,
            example: ("\"relayd\"", "username"),
            "The user of the address that is registered."),
        .init(
            "register_expires", \.registerExpires, .duration(.seconds(30) ... .seconds(86_400)), .needsRestart,
            "How long a registration is asked for; it is refreshed before it ends."),
        .init(
            "invite_timeout", \.inviteTimeout,
            ValueFormat.duration(.milliseconds(100) ... .seconds(300), granularity: .milliseconds(1)).optional,
            .newCallsOnly, example: ("10", "routing.invite_timeout"),
            "The same for calls to it."),
        .init(
            "trying_timeout", \.tryingTimeout,
            ValueFormat.duration(.milliseconds(100) ... .seconds(300), granularity: .milliseconds(1)).optional,
            .newCallsOnly, example: ("20", "routing.trying_timeout"),
            "The same for calls to it."),
        .init(
            "progress_timeout", \.progressTimeout,
            ValueFormat.duration(.milliseconds(100) ... .seconds(3_600), granularity: .milliseconds(1)).optional,
            .newCallsOnly, example: ("20", "routing.progress_timeout"),
            "The same for calls to it."),
        .init(
            "early_media_timeout", \.earlyMediaTimeout,
            ValueFormat.duration(.milliseconds(100) ... .seconds(3_600), granularity: .milliseconds(1)).optional,
            .newCallsOnly, example: ("120", "routing.early_media_timeout"),
            "The same for calls to it."),
        .init(
            "ringing_timeout", \.ringingTimeout,
            ValueFormat.duration(.milliseconds(100) ... .seconds(3_600), granularity: .milliseconds(1)).optional,
            .newCallsOnly, example: ("120", "routing.ringing_timeout"),
            "The same for calls to it."),
        .init(
            "session_timer", \.sessionTimer, ValueFormat.sessionInterval.optional, .newCallsOnly,
            example: ("1800", "sip.session_timer"),
            "The session interval on the leg towards it; 0 switches session timers off there."),
        .init(
            "session_timer_min_se", \.sessionTimerMinimum,
            ValueFormat.duration(.seconds(90) ... .seconds(86_400)).optional, .newCallsOnly,
            example: ("90", "sip.session_timer_min_se"),
            "The shortest session interval accepted from it."),
        .init(
            "session_timer_refresher", \.sessionTimerRefresher, ValueFormat<SessionTimerRefresher>.oneOf.optional, .newCallsOnly,
            example: ("\"uas\"", "sip.session_timer_refresher"),
            "Who refreshes on the leg towards it, where it leaves the choice."),
        .init(
            "maximum_duration", \.maximumDuration, ValueFormat.duration(.zero ... .seconds(604_800)).optional, .newCallsOnly,
            example: ("7200", "limits.maximum_duration"),
            "How long its answered calls may last; the shortest of this, the other trunk's and limits.maximum_duration counts. 0 is "
                + "without limit of its own."),
        .init(
            "media_proxy", \.mediaProxy, ValueFormat<MediaProxyMode>.oneOf.optional, .newCallsOnly,
            example: ("\"auto\"", "media.proxy"),
            "Whether media of its calls goes through relayd. Of the two sides of a call \"must\" wins, then \"off\", then \"on\"; "
                + "two times \"auto\" relays where it is needed."),
        .init(
            "trusted", \.isTrusted, .boolean, .newCallsOnly,
            "Whether it belongs to the networks that trust each other (RFC 3325): then P-Asserted-Identity and Remote-Party-ID from it "
                + "are believed, and go to it also for callers who want privacy. An untrusted trunk's are dropped, and a caller with "
                + "Privacy stays anonymous to it."),
        .init(
            "identity", \.identity, .oneOf, .newCallsOnly,
            "What it is told of who calls: \"pass\" what may pass, \"strip\" P-Asserted-Identity, P-Preferred-Identity and "
                + "Remote-Party-ID, or \"anonymise\": From names nobody."),
        .init(
            "dtmf", \.dtmf, .oneOf, .newCallsOnly,
            "How it sends and wants its digits: in RTP (\"telephone-event\") or by \"info\" (application/dtmf-relay); relayd converts "
                + "where the other side has the other way. \"passthrough\" leaves them as they come."),
        .init(
            "codecs", \.codecs, ValueFormat.codecs, .newCallsOnly,
            example: ("[\"PCMA\", \"PCMU\"]", "all"),
            "Codecs its calls may use, in the order it gets them; all others are taken out of its SDP. Telephone-event and comfort "
                + "noise stay."),
        .init(
            "codecs_strip", \.codecsStripped, ValueFormat.codecs, .newCallsOnly,
            example: ("[\"G722\", \"opus\"]", "none"),
            "Codecs that are taken out of its SDP."),
        .init(
            "media_before_lock", \.mediaBeforeLock, .boolean, .newCallsOnly,
            "Whether media goes to the address of its SDP before its first packet, provided it is the host its SIP comes "
                + "from: early media and announcements are heard by who only listens. The lock itself stays as strict."),
        .init(
            "inband_dtmf", \.inBandDTMF, ValueFormat<Bool>.boolean.optional, .newCallsOnly,
            example: ("true", "media.inband_dtmf"),
            "Whether digits that it sends as tones in G.711 audio are counted."),
        .init(
            "no_media_timeout", \.noMediaTimeout,
            ValueFormat.duration(.zero ... .seconds(86_400)).optional, .newCallsOnly,
            example: ("60", "media.no_media_timeout"),
            "The no-media timeout of calls from and to it; where both trunks of a call have one, that of the called side counts."),
        .init(
            "no_media_mode", \.noMediaMode, ValueFormat<NoMediaMode>.oneOf.optional, .newCallsOnly,
            example: ("\"any\"", "media.no_media_mode"),
            "The no-media mode, chosen between the two trunks of a call as the timeout is."),
    ]
}
