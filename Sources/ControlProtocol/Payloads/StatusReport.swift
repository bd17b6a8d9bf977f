package import Core

/// The state of the daemon, as `status` answers it. Totals count from the start of the process.
package struct StatusReport: Codable, Equatable, Sendable {
    package var version: String
    package var pid: Int32
    package var startedAt: WallTime
    package var uptimeSeconds: Int
    /// Set while the daemon takes no new calls and waits for the present ones to end.
    package var draining: Bool
    /// Where SIP is received.
    package var sipAddress: SocketAddress
    /// Every address SIP is received on, like `tls:192.0.2.1:5061`, and its connections; nil when they come from a daemon that
    /// does not say.
    package var sipListeners: [String]?
    package var sipConnections: Connections?
    /// Where the NG protocol is served, like `udp:127.0.0.1:2223`; nil when it comes from a daemon that does not say.
    package var ngAddresses: [String]?
    package var media: Media
    package var calls: Calls
    /// Nil without users.
    package var phones: PhoneFigures?
    package var workers: [Worker]
    package var records: Records
    /// Nil when it comes from a daemon that does not say.
    package var memory: Memory?
    package var ioUring: [Feature]
    /// By `Counter.name`, summed over all threads.
    package var counters: [String: UInt64]
    /// Sentences an operator should read; empty when all is well.
    package var warnings: [String]

    package init(
        version: String, pid: Int32, startedAt: WallTime, uptimeSeconds: Int, draining: Bool = false,
        sipAddress: SocketAddress, sipListeners: [String]? = nil, sipConnections: Connections? = nil,
        ngAddresses: [String]? = nil, media: Media, calls: Calls, phones: PhoneFigures? = nil, workers: [Worker] = [],
        records: Records, memory: Memory? = nil,
        ioUring: [Feature] = [], counters: [String: UInt64] = [:], warnings: [String] = []
    ) {
        self.version = version
        self.pid = pid
        self.startedAt = startedAt
        self.uptimeSeconds = uptimeSeconds
        self.draining = draining
        self.sipAddress = sipAddress
        self.sipListeners = sipListeners
        self.sipConnections = sipConnections
        self.ngAddresses = ngAddresses
        self.media = media
        self.calls = calls
        self.phones = phones
        self.workers = workers
        self.records = records
        self.memory = memory
        self.ioUring = ioUring
        self.counters = counters
        self.warnings = warnings
    }

    /// TCP and TLS connections of SIP.
    package struct Connections: Codable, Equatable, Sendable {
        package var limit: Int
        package var open: Int
        /// Some of them: those with trunks first, then the newest.
        package var shown: [Connection]

        package init(limit: Int, open: Int, shown: [Connection]) {
            self.limit = limit
            self.open = open
            self.shown = shown
        }
    }

    package struct Connection: Codable, Equatable, Sendable {
        package var transport: Transport
        package var remote: SocketAddress
        package var outgoing: Bool
        /// `connecting`, `handshaking`, `open`, `closing`.
        package var state: String
        package var trunk: String?
        package var ageSeconds: Int
        package var quietSeconds: Int
        package var messagesReceived: UInt64
        package var messagesSent: UInt64
        /// Protocol and cipher; empty for TCP.
        package var tls: String
        /// The subject of the peer's certificate; empty without one.
        package var subject: String

        package init(
            transport: Transport, remote: SocketAddress, outgoing: Bool, state: String, trunk: String?, ageSeconds: Int,
            quietSeconds: Int, messagesReceived: UInt64, messagesSent: UInt64, tls: String, subject: String
        ) {
            self.transport = transport
            self.remote = remote
            self.outgoing = outgoing
            self.state = state
            self.trunk = trunk
            self.ageSeconds = ageSeconds
            self.quietSeconds = quietSeconds
            self.messagesReceived = messagesReceived
            self.messagesSent = messagesSent
            self.tls = tls
            self.subject = subject
        }
    }

    /// Relay ports. Single ports are counted, RTP and RTCP alike.
    package struct Media: Codable, Equatable, Sendable {
        package var address: IPAddress
        package var firstPort: UInt16
        package var lastPort: UInt16
        package var portsInUse: Int
        /// Given back lately and not to be used again yet.
        package var portsInQuarantine: Int
        package var portsFree: Int
        /// Sessions that have ended and whose four sockets are there for the next ones; nil when it comes from a daemon that does
        /// not say.
        package var sessionsKept: Int?
        /// The devices at which streams pass inside the kernel; nil when they do nowhere.
        package var kernelDevices: [String]?

        package init(
            address: IPAddress, firstPort: UInt16, lastPort: UInt16, portsInUse: Int, portsInQuarantine: Int,
            portsFree: Int, sessionsKept: Int? = nil
        ) {
            self.address = address
            self.firstPort = firstPort
            self.lastPort = lastPort
            self.portsInUse = portsInUse
            self.portsInQuarantine = portsInQuarantine
            self.portsFree = portsFree
            self.sessionsKept = sessionsKept
        }
    }

    package struct Calls: Codable, Equatable, Sendable {
        /// Calls in any state, the connected ones included.
        package var current: Int
        package var connected: Int
        package var limit: Int
        package var attempted: UInt64
        package var answered: UInt64
        package var released: UInt64

        package init(current: Int, connected: Int, limit: Int, attempted: UInt64, answered: UInt64, released: UInt64) {
            self.current = current
            self.connected = connected
            self.limit = limit
            self.attempted = attempted
            self.answered = answered
            self.released = released
        }
    }

    /// One relay thread. Packets are RTP and RTCP together.
    package struct Worker: Codable, Equatable, Sendable {
        package var index: Int
        package var sessions: Int
        package var packetsReceived: UInt64
        package var packetsSent: UInt64
        /// For whatever reason; the counters tell them apart.
        package var packetsDropped: UInt64

        package init(
            index: Int, sessions: Int, packetsReceived: UInt64, packetsSent: UInt64, packetsDropped: UInt64
        ) {
            self.index = index
            self.sessions = sessions
            self.packetsReceived = packetsReceived
            self.packetsSent = packetsSent
            self.packetsDropped = packetsDropped
        }
    }

    package struct Records: Codable, Equatable, Sendable {
        package var journaled: UInt64
        package var stored: UInt64
        /// In the journal and not yet in the store.
        package var pending: UInt64
        package var failures: UInt64

        package init(journaled: UInt64, stored: UInt64, pending: UInt64, failures: UInt64) {
            self.journaled = journaled
            self.stored = stored
            self.pending = pending
            self.failures = failures
        }
    }

    /// Of the process, in octets.
    package struct Memory: Codable, Equatable, Sendable {
        /// What the kernel keeps in memory for it.
        package var resident: UInt64
        /// What the allocator has given out. What it holds ready beside that is resident too.
        package var allocated: UInt64

        package init(resident: UInt64, allocated: UInt64) {
            self.resident = resident
            self.allocated = allocated
        }
    }

    /// Something of io_uring that relayd uses where the kernel has it.
    package struct Feature: Codable, Equatable, Sendable {
        package var name: String
        package var available: Bool
        /// What its absence costs, or since which kernel it exists; may be empty.
        package var note: String

        package init(name: String, available: Bool, note: String = "") {
            self.name = name
            self.available = available
            self.note = note
        }
    }
}
