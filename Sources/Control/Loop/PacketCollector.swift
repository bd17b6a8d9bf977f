import Capture
import Core
import Glibc
import Relay
import Synchronization
import Uring

/// A datagram with all that a file says of it.
struct CapturedDatagram: Sendable {
    let octets: [UInt8]
    let source: SocketAddress
    let destination: SocketAddress
    /// Since 1970, UTC.
    let microseconds: UInt64
    var comments: [String] = []
}

/// Takes the copies of tapped datagrams out of the workers' taps, on a thread of its own, and writes them where they are
/// wanted: into files of recordings, or to control for its clients.
///
/// One thread serves all of them: it looks every 20 ms while there is anything to do, and sleeps otherwise.
final class PacketCollector: Sendable {
    struct Job: Sendable {
        var id: UInt64
        var sessions: [TappedSession]
        /// A recording's file, made anew; nil: the octets are reported.
        var path: String?
        /// About the whole file.
        var comments: [String] = []
        /// What comes first.
        var preface: [CapturedDatagram] = []
        /// The file ends rather than exceed this.
        var octetLimit: Int
        /// A recording has what each party said and was let through, once. Otherwise there is also what went out, and what
        /// was dropped, with the reason.
        var isRecording: Bool { path != nil }
    }

    enum Outcome: Sendable {
        case octets(UInt64, [UInt8])
        case ended(UInt64, Summary)
    }

    struct Summary: Sendable {
        var packets = 0
        var octets = 0
        /// Copies that found no room, of all that were tapped meanwhile by the same workers.
        var lost: UInt64 = 0
        /// It ended of its own, at the limit.
        var isFull = false
        var failure: String?
    }

    private enum Command: Sendable {
        case begin(Job)
        case sessions([TappedSession], of: UInt64)
        case add([CapturedDatagram], to: UInt64)
        case end(UInt64)
    }

    private let taps: [PacketTap]
    private let application: String
    private let report: @Sendable (Outcome) -> Void
    private let commands = Mutex<[Command]>([])
    private let event: EventDescriptor
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<Thread?>(nil)

    private static let interval = Duration.milliseconds(20)
    /// A recording is written in pieces of about this size, or once a second.
    private static let pieceOctets = 65_536

    /// - Parameter report: called on the collector's thread.
    init(taps: [PacketTap], application: String, report: @escaping @Sendable (Outcome) -> Void) throws(Errno) {
        self.taps = taps
        self.application = application
        self.report = report
        event = try EventDescriptor()
    }

    // MARK: By the control thread

    /// Begins a file. Tap the sessions after this: what was tapped before is nobody's.
    ///
    /// - Throws: the system's errno when there is no thread to be had.
    func begin(_ job: Job) throws(Errno) {
        try start()
        send(.begin(job))
    }

    /// The sessions of a call have changed.
    func setSessions(_ sessions: [TappedSession], of job: UInt64) { send(.sessions(sessions, of: job)) }

    func add(_ datagrams: [CapturedDatagram], to job: UInt64) { send(.add(datagrams, to: job)) }

    /// Ends it after what is tapped by now; answered by `ended`, as is a job that ends of its own.
    func end(_ job: UInt64) { send(.end(job)) }

    /// Ends every file and the thread.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        event.signal()
        thread.withLock { $0?.join() }
    }

    /// With the first job: who never captures has no thread for it.
    private func start() throws(Errno) {
        let failure: Errno? = thread.withLock { thread in
            guard thread == nil else { return nil }
            do throws(Errno) {
                thread = try Thread(name: "capture", context: self, body: runPacketCollector)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    private func send(_ command: Command) {
        commands.withLock { $0.append(command) }
        event.signal()
    }

    // MARK: By its thread

    private struct State {
        var writer: PcapngWriter
        let job: Job
        var file: Int32 = -1
        var summary = Summary()
        var lostAtStart: UInt64
        var lastWritten: Instant
    }

    fileprivate func run() {
        var states: [UInt64: State] = [:]
        /// Which jobs a session belongs to, and where its legs are, by the session's worker-wide name.
        var routes: [SessionID: [(job: UInt64, session: TappedSession)]] = [:]
        while true {
            event.wait(timeout: states.isEmpty ? nil : Self.interval)
            event.clear()
            let todo = commands.withLock { commands in
                defer { commands = [] }
                return commands
            }
            let isLast = isStopping.load(ordering: .acquiring)
            // What begins, begins before the tap is read, and what ends, after it.
            for case .begin(let job) in todo { begin(job, &states, &routes) }
            for case .sessions(let sessions, let job) in todo where states[job] != nil { route(job, sessions, &routes) }
            drain(&states, routes)
            for case .add(let datagrams, let job) in todo {
                for datagram in datagrams { states[job]?.writer.add(datagram) }
            }
            for (id, state) in states where state.writer.octetCount >= state.job.octetLimit || state.summary.failure != nil {
                states[id]?.summary.isFull = state.summary.failure == nil
                end(id, &states, &routes)
            }
            for case .end(let id) in todo { end(id, &states, &routes) }
            for id in states.keys { flush(id, &states, isLast: isLast) }
            if isLast {
                for id in Array(states.keys) { end(id, &states, &routes) }
                return
            }
        }
    }

    private func begin(
        _ job: Job, _ states: inout [UInt64: State], _ routes: inout [SessionID: [(job: UInt64, session: TappedSession)]]
    ) {
        var state = State(
            writer: PcapngWriter(application: application, comments: job.comments), job: job, lostAtStart: lostCount,
            lastWritten: MonotonicClock.now)
        if let path = job.path {
            // SAFETY: open reads the C string only during the call.
            state.file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
            if state.file < 0 { state.summary.failure = "\(path) cannot be made: \(Errno(code: errno))" }
        }
        for datagram in job.preface { state.writer.add(datagram) }
        states[job.id] = state
        route(job.id, job.sessions, &routes)
    }

    private func route(_ job: UInt64, _ sessions: [TappedSession], _ routes: inout [SessionID: [(job: UInt64, session: TappedSession)]]) {
        for key in routes.keys { routes[key]?.removeAll { $0.job == job } }
        for session in sessions { routes[session.id.inTaps, default: []].append((job, session)) }
        routes = routes.filter { !$0.value.isEmpty }
    }

    private var lostCount: UInt64 { taps.reduce(0) { $0 + $1.lostCount } }

    private func drain(_ states: inout [UInt64: State], _ routes: [SessionID: [(job: UInt64, session: TappedSession)]]) {
        // Both clocks are read once a round: what the wall clock is stepped by meanwhile is not worth more.
        let offset = WallClock.microseconds - Int64(MonotonicClock.now.nanoseconds / 1_000)
        for tap in taps {
            while let (packet, octets) = tap.next() {
                for (job, session) in routes[packet.session] ?? [] {
                    guard let isRecording = states[job]?.job.isRecording else { continue }
                    for datagram in session.datagrams(of: packet, octets, isRecording: isRecording, clockOffset: offset) {
                        states[job]?.writer.add(datagram)
                    }
                }
            }
        }
    }

    /// Hands over what is written.
    private func flush(_ id: UInt64, _ states: inout [UInt64: State], isLast: Bool) {
        guard var state = states[id], state.writer.pendingCount > 0 else { return }
        let now = MonotonicClock.now
        guard state.job.path != nil else {
            states[id]?.writer = state.writer
            report(.octets(id, states[id]?.writer.take() ?? []))
            return
        }
        guard isLast || state.writer.pendingCount >= Self.pieceOctets || now - state.lastWritten >= .seconds(1) else { return }
        state.lastWritten = now
        let octets = state.writer.take()
        if state.summary.failure == nil, state.file >= 0, let failure = Self.write(octets, to: state.file) {
            state.summary.failure = "\(state.job.path ?? "") cannot be written: \(failure)"
        }
        states[id] = state
    }

    private static func write(_ octets: [UInt8], to file: Int32) -> Errno? {
        var rest = octets[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used inside the closure only, with the count it came with.
            let written = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return Errno(code: written < 0 ? errno : ENOSPC) }
            rest = rest.dropFirst(written)
        }
        return nil
    }

    private func end(
        _ id: UInt64, _ states: inout [UInt64: State], _ routes: inout [SessionID: [(job: UInt64, session: TappedSession)]]
    ) {
        guard states[id] != nil else { return }
        flush(id, &states, isLast: true)
        guard var state = states.removeValue(forKey: id) else { return }
        route(id, [], &routes)
        if state.file >= 0 { close(state.file) }
        state.summary.packets = state.writer.packetCount
        state.summary.octets = state.writer.octetCount
        state.summary.lost = lostCount - state.lostAtStart
        report(.ended(id, state.summary))
    }
}

private func runPacketCollector(_ collector: PacketCollector) { collector.run() }

extension SessionID {
    /// As a tap names it: with the low 24 bits of the generation.
    var inTaps: SessionID { SessionID(index: index, generation: generation & 0xff_ffff) }
}

extension PcapngWriter {
    mutating func add(_ datagram: CapturedDatagram) {
        add(
            datagram.octets, from: datagram.source, to: datagram.destination, at: datagram.microseconds,
            comments: datagram.comments)
    }
}

extension TappedSession {
    /// What a file says of one tapped datagram.
    ///
    /// - Parameter clockOffset: microseconds to add to the monotonic clock's.
    func datagrams(
        of packet: TappedPacket, _ octets: [UInt8], isRecording: Bool, clockOffset: Int64
    ) -> [CapturedDatagram] {
        guard !isRecording || (packet.isAccepted && !packet.isWithheld) else { return [] }
        let at = UInt64(max(0, Int64(packet.at.nanoseconds / 1_000) + clockOffset))
        var received = CapturedDatagram(
            octets: octets, source: packet.source, destination: local(packet.leg, isRTCP: packet.isOnRTCPPort), microseconds: at)
        guard !isRecording else { return [received] }
        if !packet.isAccepted {
            received.comments = ["dropped: not from the source this leg is locked to"]
        } else if packet.isWithheld {
            received.comments = ["held back: media of this leg is blocked"]
        } else if packet.destination == nil {
            received.comments = ["not relayed: the other leg's source is not known yet"]
        }
        guard let destination = packet.destination else { return [received] }
        let sent = CapturedDatagram(
            octets: octets, source: local(packet.leg.other, isRTCP: packet.leftByRTCPPort), destination: destination,
            microseconds: at)
        return [received, sent]
    }
}
