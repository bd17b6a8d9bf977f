package import Core

/// Everything an operator can set, typed and checked: a value that exists is valid.
///
/// `ConfigurationKeys` names each key, its default, range and explanation; this is only where the values end up.
package struct Configuration: Sendable {
    package var sip = SIP()
    package var media: Media
    package var limits = Limits()
    package var control: Control
    package var records: Records
    package var routing = Routing()
    package var ng = NG()
    package var trace = Trace()
    package var hep = HEP()
    package var http = HTTP()
    package var registrar = Registrar()
    package var keepAlive = KeepAlive()
    package var protection = Protection()
    package var log = Log()
    /// In the order of the file; names are unique.
    package var trunks: [Trunk] = []
    /// In the order of the file; each names a trunk that there is.
    package var routes: [Route] = []
    /// Those of the file, then those of the users file; names and numbers are unique.
    package var users: [User] = []

    /// Where each key that was given stands, by its dotted name. A key that is missing here has its default.
    package internal(set) var origins: [String: Origin] = [:]

    /// The defaults on this machine.
    package init(host: HostFacts = .current) {
        media = Media(workers: max(1, host.processorCount - 1))
        control = Control(
            socket: DefaultPaths.controlSocket(environment: host.environment, userID: host.userID))
        records = Records(
            directory: DefaultPaths.recordsDirectory(environment: host.environment, userID: host.userID))
    }

    /// Where relay sockets are bound: `media.address`, else the address SIP listens on.
    package var mediaAddress: IPAddress { media.address ?? sip.listen.ip }

    /// What SDP carries: `media.advertise`, else `mediaAddress`, else what SIP advertises. Never unspecified.
    package var advertisedMediaAddress: IPAddress {
        if let address = media.advertise { return address }
        return mediaAddress.isUnspecified ? sip.advertised.ip : mediaAddress
    }

    /// Where relay sockets towards a peer of that family are bound, and what SDP says of them: `media.address`, else the
    /// first of `media.interfaces` of that family, else where SIP listens with it. Nil when the family is not served.
    package func mediaInterface(for family: IPAddress.Family) -> MediaInterface? {
        if mediaAddress.family == family {
            return MediaInterface(name: "default", address: mediaAddress, advertised: advertisedMediaAddress)
        }
        if let interface = media.interfaces.first(where: { $0.address.family == family }) { return interface }
        guard let listener = sip.allListeners.first(where: { $0.address.ip.family == family }) else { return nil }
        return MediaInterface(name: "default", address: listener.address.ip, advertised: sip.advertised(listener).ip)
    }

    /// The interfaces proxies choose from, the default one first. Never empty.
    package var mediaInterfaces: [MediaInterface] {
        guard media.interfaces.isEmpty else { return media.interfaces }
        return [MediaInterface(name: "default", address: mediaAddress, advertised: advertisedMediaAddress)]
    }

    /// Every local address that relay ports may be opened on.
    package var relayAddresses: [IPAddress] {
        let ofCalls = [IPAddress.Family.ipv4, .ipv6].compactMap { mediaInterface(for: $0)?.address }
        var addresses: [IPAddress] = []
        for address in mediaInterfaces.map(\.address) + ofCalls where !addresses.contains(address) { addresses.append(address) }
        return addresses
    }

    /// The no-media timeout of calls to `trunk` whose other trunk has none of its own; zero is off.
    package func noMediaTimeout(for trunk: Trunk) -> Duration { trunk.noMediaTimeout ?? media.noMediaTimeout }

    /// The set-up timers of calls to `trunk`.
    package func timers(for trunk: Trunk) -> SetupTimers {
        var timers = routing.timers
        timers.invite = trunk.inviteTimeout ?? timers.invite
        timers.trying = trunk.tryingTimeout ?? timers.trying
        timers.progress = trunk.progressTimeout ?? timers.progress
        timers.earlyMedia = trunk.earlyMediaTimeout ?? timers.earlyMedia
        timers.ringing = trunk.ringingTimeout ?? timers.ringing
        return timers
    }

    /// How long a call may last, by `maximum_duration` of its two trunks too; nil: for ever. Each may only shorten it.
    package func maximumDuration(_ caller: Duration?, _ callee: Duration?) -> Duration? {
        func least(_ one: Duration?, _ other: Duration?) -> Duration? {
            guard let other, other > .zero else { return one }
            return one.map { min($0, other) } ?? other
        }
        return least(least(least(nil, limits.maximumDuration), caller), callee)
    }

    package func failover(for trunk: Trunk) -> [StatusPattern] { trunk.failover ?? routing.failover }

    package func noMediaMode(for trunk: Trunk) -> NoMediaMode { trunk.noMediaMode ?? media.noMediaMode }
}

extension Configuration {
    package struct SIP: Sendable {
        /// The UDP address SIP is received on and sent from. When only `listeners` are given, the address of the first.
        package var listen = SocketAddress(ip: .ipv4Loopback, port: 5060)
        /// Further addresses SIP is received on.
        package var listeners: [SIPListener] = []
        /// False when `listeners` stand alone.
        package var listensOnUDPDefault = true
        /// What Via and Contact carry when it is not `listen`.
        package var advertise: IPAddress?
        package var userAgent = "relayd"
        package var strangers = StrangerPolicy.refuse
        /// They are no trunks, and may ask with OPTIONS whether relayd is there.
        package var monitors: [TrunkSource] = []
        package var tls = TLS()
        /// A connection over which nothing comes or goes for so long is closed.
        package var idleTimeout = Duration.seconds(3_600)
        /// The session interval asked for and granted (RFC 4028), whole seconds; zero is off.
        package var sessionTimer = Duration.seconds(1_800)
        /// The least session interval accepted; 90 s or more.
        package var sessionTimerMinimum = Duration.seconds(90)
        package var sessionTimerRefresher = SessionTimerRefresher.uac

        /// The address messages come to and go from, as far as it is known.
        package var local: SocketAddress { listen.ip.isUnspecified ? advertised : listen }

        /// Every address SIP is received on; never empty.
        package var allListeners: [SIPListener] {
            listensOnUDPDefault ? [SIPListener(.udp, listen)] + listeners : listeners
        }

        /// What Via and Contact of what leaves by `listener` carry. Never unspecified.
        package func advertised(_ listener: SIPListener) -> SocketAddress {
            let fitting = advertise.flatMap { $0.family == listener.address.ip.family || listener.address.ip.isUnspecified ? $0 : nil }
            return SocketAddress(ip: listener.advertised ?? fitting ?? listener.address.ip, port: listener.address.port)
        }

        /// The same for the first listener.
        package var advertised: SocketAddress { advertised(allListeners[0]) }
    }

    package struct TLS: Sendable {
        /// The path of a PEM file: relayd's certificate, and those that lead from it to an authority.
        package var certificate: String?
        /// The path of a PEM file, without a password.
        package var key: String?
        /// The path of a PEM file; nil: the authorities of the system.
        package var authorities: String?
        package var clients = ClientCertificates.none
    }

    package struct Media: Sendable {
        /// Nil: see `mediaAddress`.
        package var address: IPAddress?
        /// Nil: see `advertisedMediaAddress`.
        package var advertise: IPAddress?
        /// What proxies choose from by name (`direction`, `interface`); empty: one named `default`, at `address`.
        package var interfaces: [MediaInterface] = []
        /// The first is even, and there are at least four.
        package var ports: ClosedRange<UInt16> = 10_000...20_000
        /// How long a freed port pair rests.
        package var quarantine = Duration.seconds(30)
        package var workers: Int
        /// How long a busy worker gathers packets before it relays them; zero never waits.
        package var waitWindow = Duration.milliseconds(1)
        /// Streams that need nothing but to be sent on pass inside the kernel, where that can be.
        package var kernelPath = false
        /// The octet in the IP header of relayed packets; 184 is expedited forwarding (RFC 3246).
        package var typeOfService: UInt8 = 184
        /// Whether media of calls between trunks and phones goes through relayd.
        package var proxy = MediaProxyMode.on
        /// Media of endpoints behind NAT always does.
        package var proxyBehindNAT = OnOff.on
        /// Whole seconds without RTP before a connected call is released; zero is off.
        /// Digits in the audio are counted, where a trunk does not say otherwise.
        package var inBandDTMF = false
        package var noMediaTimeout = Duration.seconds(60)
        package var noMediaMode = NoMediaMode.both
        /// In place of `noMediaTimeout` while a call is on hold; zero: held calls are not released for silence.
        package var holdTimeout = Duration.seconds(3_600)
        /// The same for a side whose silence is meant: comfort noise, silence suppression.
        package var vadTimeout = Duration.seconds(180)
        /// Settings for called numbers; the longest prefix counts, before those of trunks.
        package var noMediaPrefixes: [NoMediaPrefix] = []
        /// Calls to these numbers are never released for silence.
        package var emergencyNumbers = ["112", "911", "999"]
    }

    package struct Limits: Sendable {
        /// Concurrent calls, and so the relay's session capacity.
        package var calls = 2_000
        /// New calls a second from all sources together; zero is without limit.
        package var callsPerSecond = 0
        /// Zero: 1,000 and 20 for each of `calls`.
        package var transactions = 0
        /// Registered contacts, of all users together.
        package var bindings = 100_000
        package var bindingsPerUser = 10
        /// Concurrent calls from one address that is no trunk; zero is without limit.
        package var callsPerSource = 200
        /// Whole seconds a call may last at most; zero is without limit.
        package var maximumDuration = Duration.zero
        /// The same for a call that nothing else would end: no session timer, and nobody watches its media.
        package var unwatchedDuration = Duration.seconds(43_200)
        /// Whole seconds a refused caller is asked to wait (Retry-After, RFC 3261 §20.33).
        package var retryAfter = Duration.seconds(5)
        /// SIP connections over TCP and TLS, and how many of them one address may have that is no trunk's.
        package var connections = 1_000
        package var connectionsPerSource = 100
        /// Octets of one SIP message over a connection.
        package var messageOctets = 65_535
        /// Whether the memory for all this is there before the first call, or taken as it is used.
        package var memoryAtStart = true
    }

    /// How calls find a trunk, and what happens when one fails.
    package struct Routing: Sendable {
        /// A call for whose number every trunk is out tries one of them all the same.
        package var lastResort = true
        /// How many routes one call tries at the most.
        package var attempts = 5
        /// After these responses the next route is tried.
        package var failover = [StatusPattern("408")!, StatusPattern("5xx")!]
        /// A trunk that fails so often in a row is taken out.
        package var failures = 3
        /// How often a trunk is asked whether it is there.
        package var probeInterval = Duration.seconds(30)
        package var timers = SetupTimers()
    }

    package struct Control: Sendable {
        /// The path of the unix socket.
        package var socket: String
    }

    /// The protocol by which Kamailio and OpenSIPS drive rtpengine, and so relayd.
    package struct NG: Sendable {
        /// The UDP address it is served on; nil: it is not.
        package var listen: SocketAddress?
        /// The TCP address it is served on; nil: on none.
        package var tcp: SocketAddress?
        /// The path of a unix stream socket it is served on; nil: on none.
        package var socket: String?
        /// Without RTP for so long, an answered call is closed; zero is off.
        package var timeout = Duration.seconds(60)
        /// The same while a side has the call on hold.
        package var silentTimeout = Duration.seconds(3_600)
        /// Nil: `media.no_media_mode`.
        package var noMediaMode: NoMediaMode?
        /// Send to the address of an SDP before its side's first packet, if that is where its SIP comes from.
        package var mediaBeforeLock = false
        /// Where recordings go; nil: a proxy that asks for one is refused.
        package var recordingDirectory: String?
        /// An offer without an answer for so long is closed.
        package var offerTimeout = Duration.seconds(3_600)
        /// A deleted call is kept for so long, unless `delete` says otherwise.
        package var deleteDelay = Duration.seconds(30)
        /// Where a proxy is asked to end the dialog of a call that was closed for want of media; nil: it is not asked.
        package var timeoutCallback: CallbackURL?
        package var timeoutCallbackFormat = CallbackFormat.xmlrpc
    }

    package struct Records: Sendable {
        /// Where journal and store live.
        package var directory: String
        /// Days; zero is for ever.
        package var keepDays = 0
    }

    package struct Trace: Sendable {
        /// For SIP messages, in MiB.
        package var memoryMebibytes = 64
        /// Calls that can still be explained after their end.
        package var endedCalls = 1_000
    }

    /// Metrics and pages.
    package struct HTTP: Sendable {
        /// The TCP address they are served on; nil: they are not.
        package var listen: SocketAddress? = SocketAddress(ip: .ipv4Loopback, port: 8380)
        /// Whether a call can be ended from the page.
        package var allowHangup = false
    }

    /// Copies of all signalling for a collector (HEP3).
    package struct HEP: Sendable {
        /// The collector's UDP address; nil: there is none.
        package var address: SocketAddress?
        /// What the collector tells us from others by.
        package var captureID = 2_001
    }

    package struct Log: Sendable {
        package var level = LogLevel.notice
    }

    /// Where a value comes from.
    package enum Origin: Hashable, Sendable {
        case `default`
        case file(String, line: Int)
        /// Given under the name the key has in VOS3000.
        case vosAlias(String, file: String, line: Int)
    }
}

/// Who is to refresh a session: the side that sent the request which sets the timer, or the one that answered (RFC 4028 §4).
package enum SessionTimerRefresher: String, CaseIterable, Sendable {
    case uac, uas
}

/// When a silent call is released.
package enum NoMediaMode: String, CaseIterable, Sendable {
    /// When neither side is heard.
    case both
    /// When either side is silent.
    case any
    /// When the caller is silent, whatever the callee does; and the other way round.
    case caller, callee
    /// Never.
    case off
}

/// The least important event that is logged.
package enum LogLevel: String, CaseIterable, Sendable {
    case error, warning, notice, debug

    /// Whether a log that leaves out what is less important than `level` has it.
    package func isAtLeast(_ level: LogLevel) -> Bool { rank <= level.rank }

    private var rank: Int {
        switch self {
        case .error: 0
        case .warning: 1
        case .notice: 2
        case .debug: 3
        }
    }
}
