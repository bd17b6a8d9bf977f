package import Core
package import SIP
package import TLS

/// One TCP or TLS connection that carries SIP, without its socket: octets in, messages out; messages in, octets out.
///
/// Sans-IO. The owner asks `deadline` when to call `advance`, and closes the socket once `isOver`.
package struct SIPConnection {
    package struct Limits: Sendable {
        /// Octets of one message.
        package var messageOctets = 65_535
        /// Unsent octets beyond which the peer, which does not read, is cut off.
        package var outputOctets = 1 << 20
        /// Until a connection is made.
        package var connect = Duration.seconds(4)
        /// From then on until TLS is agreed, and for a peer that connected until its first message has come.
        package var greeting = Duration.seconds(10)
        /// Until a message of which a part has come is whole.
        package var message = Duration.seconds(10)
        /// How long a peer may take nothing although something is there.
        package var stall = Duration.seconds(15)
        /// Without anything coming or going.
        package var idle = Duration.seconds(3_600)

        package init() {}
    }

    package enum Phase: Equatable, Sendable { case connecting, handshaking, open, closing, over }

    /// Why it ended. Each is counted.
    package enum End: String, Sendable {
        case peerClosed, failed, connectTimeout, tlsFailed, noSIP, tooLong, slowMessage, silentPeer, stalled, overrun, idle, shutdown
    }

    /// What came: a message, or the header of one whose end cannot be found and what its sender is told.
    package enum Item: Equatable, Sendable {
        case message([UInt8])
        case unframed([UInt8], status: Int, reason: String)
    }

    package let isOutgoing: Bool
    package private(set) var phase: Phase
    package private(set) var end: End?
    /// In words, where there are any.
    package private(set) var endDetail = ""
    package private(set) var messagesReceived: UInt64 = 0
    package private(set) var messagesSent: UInt64 = 0
    package private(set) var keepAlives: UInt64 = 0
    package private(set) var lastReceived: Instant
    package let openedAt: Instant
    private let limits: Limits
    private let tls: TLSSession?
    private var framer: SIPStreamFramer
    private var output = OutgoingLines()
    private var outputStart: UInt64 = 0
    /// Messages of ours on their way, by where they end in the output; those that never left are reported.
    private var unsent: [(end: UInt64, transaction: TransactionID?)] = []
    /// Messages that wait for connection or handshake.
    private var waiting: [(octets: [UInt8], transaction: TransactionID?)] = []
    private var waitingCount = 0
    private var phaseSince: Instant
    private var lastSent: Instant
    private var messageSince: Instant?

    /// - Parameter tls: nil for TCP.
    package init(isOutgoing: Bool, tls: TLSSession?, limits: Limits, now: Instant) {
        self.isOutgoing = isOutgoing
        self.tls = tls
        self.limits = limits
        framer = SIPStreamFramer(maximumOctets: limits.messageOctets)
        phase = isOutgoing ? .connecting : tls == nil ? .open : .handshaking
        openedAt = now
        phaseSince = now
        lastReceived = now
        lastSent = now
    }

    // MARK: Inputs

    /// The outgoing connection is there.
    package mutating func connected(now: Instant) {
        guard phase == .connecting else { return }
        phaseSince = now
        guard let tls else { return open(now: now) }
        phase = .handshaking
        append(tls.takeOutput(), now: now)
    }

    /// Octets from the socket; empty when the peer has closed.
    package mutating func receive(_ octets: [UInt8], now: Instant) -> [Item] {
        guard phase == .open || phase == .handshaking else { return [] }
        if octets.isEmpty {
            finish(.peerClosed)
            return []
        }
        lastReceived = now
        guard let tls else { return frame(octets, now: now) }
        let plain = tls.receive(octets)
        if phase == .handshaking, tls.state == .established { open(now: now) }
        append(tls.takeOutput(), now: now)
        let items = frame(plain, now: now)
        switch tls.state {
        case .failed(let reason):
            endDetail = reason
            // The alert that tells the peer why still goes out.
            end = .tlsFailed
            phase = output.isEmpty ? .over : .closing
        case .ended: finish(.peerClosed)
        case .handshaking, .established: break
        }
        return items
    }

    /// The network failed it.
    package mutating func fail(_ end: End, _ detail: String) {
        endDetail = detail
        finish(end)
    }

    /// Queues a message.
    ///
    /// - Returns: false when there is no room or the connection is ending; it is then not reported by `takeFailures`.
    package mutating func send(_ octets: [UInt8], _ transaction: TransactionID?, now: Instant) -> Bool {
        switch phase {
        case .connecting, .handshaking:
            guard waitingCount + octets.count <= limits.outputOctets else { return false }
            waiting.append((octets, transaction))
            waitingCount += octets.count
            return true
        case .open:
            guard output.count + octets.count <= limits.outputOctets else {
                finish(.overrun)
                return false
            }
            write(octets, transaction, now: now)
            return true
        case .closing, .over: return false
        }
    }

    /// No more messages are taken; what is queued still goes out, for a moment.
    package mutating func close(_ reason: End, now: Instant) {
        guard phase != .over, phase != .closing else { return }
        end = end ?? reason
        if phase == .open, let tls {
            tls.end()
            append(tls.takeOutput(), now: now)
        }
        phaseSince = now
        phase = output.isEmpty ? .over : .closing
    }

    // MARK: Output

    package var hasOutput: Bool { !output.isEmpty && phase != .over && phase != .connecting }
    package var isOver: Bool { phase == .over }
    /// Octets kept for this connection, both ways.
    package var pendingCount: Int { framer.pendingCount + output.count + waitingCount }
    package var isIdle: Bool { pendingCount == 0 }
    /// Protocol and cipher of TLS; empty for TCP and before the handshake is done.
    package var tlsSummary: String { tls?.summary ?? "" }
    package var peerSubject: String { tls?.peerSubject ?? "" }

    package func nextOutput(atMost limit: Int) -> [UInt8] { output.next(atMost: limit) }

    package mutating func didSend(_ count: Int, now: Instant) {
        guard count > 0 else { return }
        output.drop(count)
        outputStart += UInt64(count)
        lastSent = now
        var sent = 0
        while sent < unsent.count, unsent[sent].end <= outputStart { sent += 1 }
        if sent > 0 { unsent.removeFirst(sent) }
        if phase == .closing, output.isEmpty { phase = .over }
    }

    /// The transactions whose messages never left. Once, after `isOver`.
    package mutating func takeFailures() -> [TransactionID] {
        defer {
            unsent = []
            waiting = []
            waitingCount = 0
        }
        return unsent.compactMap(\.transaction) + waiting.compactMap(\.transaction)
    }

    // MARK: Time

    /// When `advance` is due next; nil once it is over.
    package var deadline: Instant? {
        switch phase {
        case .connecting: phaseSince + limits.connect
        case .handshaking: phaseSince + limits.greeting
        case .closing: phaseSince + .seconds(2)
        case .over: nil
        case .open: openDeadlines.map(\.at).min()
        }
    }

    private var openDeadlines: [(at: Instant, end: End)] {
        var deadlines: [(at: Instant, end: End)] = [(max(lastReceived, lastSent) + limits.idle, .idle)]
        if let messageSince { deadlines.append((messageSince + limits.message, .slowMessage)) }
        if !isOutgoing, messagesReceived == 0 { deadlines.append((phaseSince + limits.greeting, .silentPeer)) }
        if !output.isEmpty { deadlines.append((lastSent + limits.stall, .stalled)) }
        return deadlines
    }

    package mutating func advance(to now: Instant) {
        guard let deadline, now >= deadline else { return }
        switch phase {
        case .connecting: finish(.connectTimeout)
        case .handshaking:
            endDetail = "no TLS handshake in time"
            finish(.tlsFailed)
        case .closing: phase = .over
        case .open:
            if let due = openDeadlines.first(where: { $0.at <= now }) {
                // An idle peer is told; one that does not follow the rules is not waited for.
                if due.end == .idle { close(.idle, now: now) } else { finish(due.end) }
            }
        case .over: break
        }
    }

    // MARK: Helpers

    private mutating func open(now: Instant) {
        phase = .open
        phaseSince = now
        lastSent = now
        for (octets, transaction) in waiting { write(octets, transaction, now: now) }
        waiting = []
        waitingCount = 0
    }

    private mutating func write(_ octets: [UInt8], _ transaction: TransactionID?, now: Instant) {
        messagesSent += 1
        if let tls {
            tls.send(octets)
            append(tls.takeOutput(), now: now)
        } else {
            append(octets, now: now)
        }
        unsent.append((outputStart + UInt64(output.count), transaction))
    }

    private mutating func append(_ octets: [UInt8], now: Instant) {
        guard !octets.isEmpty else { return }
        if output.isEmpty { lastSent = now }
        output.append(octets)
    }

    private mutating func frame(_ plain: [UInt8], now: Instant) -> [Item] {
        var items: [Item] = []
        framer.append(plain)
        do {
            while let item = try framer.next() {
                messageSince = nil
                switch item {
                case .message(let octets):
                    messagesReceived += 1
                    items.append(.message(octets))
                case .ping:
                    keepAlives += 1
                    // Answered at once (RFC 5626 §4.4.1); a flood of pings is cut off by the limit of what waits.
                    if phase == .open, output.count < limits.outputOctets {
                        if let tls {
                            tls.send([13, 10])
                            append(tls.takeOutput(), now: now)
                        } else {
                            append([13, 10], now: now)
                        }
                    }
                case .pong: keepAlives += 1
                case .unframed(let header, let status, let reason):
                    items.append(.unframed(header, status: status, reason: reason))
                    return items  // the owner answers and closes
                }
            }
        } catch {
            finish(error == .notSIP ? .noSIP : .tooLong)
            return items
        }
        messageSince = framer.pendingCount == 0 ? nil : messageSince ?? now
        return items
    }

    private mutating func finish(_ reason: End) {
        end = end ?? reason
        phase = .over
    }
}
