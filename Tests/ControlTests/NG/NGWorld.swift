import Configuration
import Control
import ControlProtocol
import Core
import NG
import Relay

/// Calls driven over NG, with a relay worker that takes its time, on a clock of its own. One seed gives one run.
final class NGWorld {
    static let proxy = NGClient.datagram(SocketAddress("192.0.2.50:40000")!)
    static let start = Instant(nanoseconds: 1_000_000_000_000)

    struct Answer {
        let at: Instant
        let octets: [UInt8]
        let client: NGClient

        var text: String { String(decoding: octets, as: UTF8.self) }
        var cookie: String { String(text.prefix { $0 != " " }) }
        var dictionary: NGDictionary { (try? NGEnvelope(parsing: octets).dictionary) ?? NGDictionary() }
        var result: String? { dictionary["result"]?.text }
        var reason: String? { dictionary["error-reason"]?.text }
        var warning: String? { dictionary["warning"]?.text }
        var lines: [String] { (dictionary["sdp"]?.text ?? "").split(separator: "\r\n").map(String.init) }
        /// Of the first medium, or of another one.
        func line(_ prefix: String, medium: Int = 0) -> String? {
            lines.filter { $0.hasPrefix(prefix) }.dropFirst(medium).first.map { String($0.dropFirst(prefix.count)) }
        }
        func port(medium: Int = 0) -> UInt16? {
            line("m=", medium: medium)?.split(separator: " ").dropFirst().first.flatMap { UInt16($0) }
        }
        func address(medium: Int = 0) -> String? {
            line("c=IN ", medium: medium)?.split(separator: " ").last.map(String.init)
        }
    }

    private(set) var now = NGWorld.start
    let configuration: Configuration
    let counters = CounterBlock()
    let worker: WorkerStub
    let media: MediaSessions
    var control: NGCallControl
    var random: SeededRandom
    private(set) var answers: [Answer] = []
    private(set) var events: [Event] = []
    private(set) var commands: [RelayCommand] = []
    /// Dialogs that the proxy was asked to end.
    private(set) var terminations: [DialogTermination] = []
    private(set) var recordings: [NGRecording] = []
    private(set) var stoppedRecordings: [String] = []
    /// Sessions that the worker has been told of, or is about to forget.
    private(set) var sessions: Set<SessionID> = []
    private(set) var problems: [String] = []
    private var queue = EventQueue()
    private var nextCookie = 0

    init(seed: UInt64 = 1, ports: ClosedRange<UInt16> = 10_000...10_399, configure: (inout Configuration) -> Void = { _ in }) {
        random = SeededRandom(seed: seed)
        var configuration = Configuration(host: .current)
        configuration.media.address = IPAddress("203.0.113.1")
        configuration.media.ports = ports
        configuration.ng.listen = SocketAddress("192.0.2.1:2223")
        configure(&configuration)
        self.configuration = configuration
        let capacity = configuration.limits.calls
        let activity = ActivityTable(sessionCapacity: capacity)
        let statistics = StatisticsTable(activity: activity)
        worker = WorkerStub(activity: activity, statistics: statistics)
        media = MediaSessions(
            configuration: configuration.media, allocator: SessionAllocator(workers: 2, capacity: capacity),
            activity: activity, statistics: statistics, random: SeededRandom(seed: seed &* 3))
        control = NGCallControl(
            configuration: configuration, media: media, counters: counters, random: SeededRandom(seed: ~seed),
            now: Self.start, wallTime: WallTime(milliseconds: 1_800_000_000_000))
    }

    // MARK: What a proxy does

    /// Sends one command, with a cookie of its own unless one is given, and returns the cookie.
    @discardableResult
    func send(
        _ command: String, _ entries: NGDictionary = [:], cookie: String? = nil, from client: NGClient = NGWorld.proxy
    ) -> String {
        nextCookie += 1
        let cookie = cookie ?? "c\(nextCookie)"
        var dictionary = entries
        dictionary["command"] = .text(command)
        control.receive(
            Array("\(cookie) ".utf8) + NGFormat.bencode.encoded(dictionary), from: client, now: now)
        flush()
        return cookie
    }

    /// Sends one command and waits for its answer.
    func ask(_ command: String, _ entries: NGDictionary = [:], cookie: String? = nil) -> Answer {
        let count = answers.count
        let cookie = send(command, entries, cookie: cookie)
        run(for: .milliseconds(200))
        let answers = answers[count...].filter { $0.cookie == cookie }
        if answers.count != 1 { problems.append("\(answers.count) answers to \(command)") }
        return answers.first ?? Answer(at: now, octets: [], client: Self.proxy)
    }

    func offer(_ call: String, from: String, to: String? = nil, _ sdp: String, _ more: NGDictionary = [:]) -> Answer {
        ask("offer", Self.entries(call, from, to, sdp, more))
    }

    /// As Kamailio has it: `from` is the side that offered, also when the answer is the callee's.
    func answer(_ call: String, from: String, to: String, _ sdp: String, _ more: NGDictionary = [:]) -> Answer {
        ask("answer", Self.entries(call, from, to, sdp, more))
    }

    func delete(_ call: String, from: String? = nil, to: String? = nil, _ more: NGDictionary = [:]) -> Answer {
        ask("delete", Self.entries(call, from, to, nil, more))
    }

    static func entries(
        _ call: String, _ from: String?, _ to: String? = nil, _ sdp: String? = nil, _ more: NGDictionary = [:]
    ) -> NGDictionary {
        var entries: NGDictionary = ["call-id": .text(call), "supports": .list([.text("load limit")])]
        if let from { entries["from-tag"] = .text(from) }
        if let to { entries["to-tag"] = .text(to) }
        if let sdp { entries["sdp"] = .text(sdp) }
        for entry in more.entries { entries[entry.key] = entry.value }
        return entries
    }

    /// An offer from `a` and an answer from `b`; the ports each was told.
    @discardableResult
    func establish(_ call: String, offer: String = NGWorld.audio("198.51.100.1"), answer: String = NGWorld.audio("198.51.100.2"))
        -> (towardsCaller: UInt16, towardsCallee: UInt16)
    {
        let offered = self.offer(call, from: "a", offer)
        let answered = self.answer(call, from: "a", to: "b", answer)
        return (answered.port() ?? 0, offered.port() ?? 0)
    }

    static func audio(_ address: String, port: Int = 30_000, _ lines: String..., more: String = "") -> String {
        let family = address.contains(":") ? "IP6" : "IP4"
        return "v=0\r\no=- 1 1 IN \(family) \(address)\r\ns=-\r\nc=IN \(family) \(address)\r\nt=0 0\r\n"
            + "m=audio \(port) RTP/AVP 0\r\n" + lines.map { "a=\($0)\r\n" }.joined() + more
    }

    static func flags(_ words: String...) -> NGDictionary { ["flags": .list(words.map { .text($0) })] }

    // MARK: Time

    func run(for duration: Duration) {
        let end = now + duration
        while let next = [queue.nextDue, control.nextDeadline].compactMap(\.self).min(), next <= end {
            now = max(now, next)
            if let deadline = control.nextDeadline, deadline <= now {
                worker.deliverMedia(until: now)
                control.advance(to: now)
                flush()
                if let deadline = control.nextDeadline, deadline <= now { problems.append("a deadline stays due") }
            }
            while let action = queue.takeDue(at: now) { action() }
        }
        now = end
        worker.deliverMedia(until: now)
    }

    /// When the call was released, and why.
    func release(of call: String) -> (at: Duration, cause: String)? {
        events.last { $0.name == .callReleased && $0.fields["sip_call_id"] == call }.map {
            (.milliseconds($0.at.milliseconds - 1_800_000_000_000), $0.fields["cause"] ?? "")
        }
    }

    /// Since the start.
    var time: Duration { now - Self.start }

    /// What the relay was told of a leg, oldest first.
    func expectations(_ leg: Leg) -> [ExpectedSource] {
        commands.compactMap { if case .expect(_, leg, let source) = $0 { source } else { nil } }
    }

    /// Call when every call is over: nothing is held any more.
    func checkEnd() {
        run(for: .seconds(1))
        if control.callCount != 0 { problems.append("\(control.callCount) calls left") }
        if !control.isEmpty { problems.append("something is left in call control") }
        if worker.sessionCount != 0 { problems.append("\(worker.sessionCount) sessions left on the worker") }
        if media.usedPairCount != 0 { problems.append("\(media.usedPairCount) port pairs left") }
        if (0..<2).contains(where: { media.sessionCount(onWorker: $0) != 0 }) { problems.append("slots left") }
    }

    // MARK: Around call control

    func flush() {
        for output in control.takeOutputs() {
            switch output {
            case .reply(let octets, let client): answers.append(Answer(at: now, octets: octets, client: client))
            case .event(let event): events.append(event)
            case .relay(let command): carryOut(command)
            case .terminate(let termination): terminations.append(termination)
            case .record(let recording): recordings.append(recording)
            case .stopRecording(let key): stoppedRecordings.append(key)
            }
        }
        // Each session has two pairs, from before it is opened until after it is closed.
        if media.usedPairCount != 2 * sessions.count {
            problems.append("\(media.usedPairCount) port pairs for \(sessions.count) sessions")
        }
    }

    private func carryOut(_ command: RelayCommand) {
        commands.append(command)
        switch command {
        case .open(let session, _, _):
            if !sessions.insert(session).inserted { problems.append("opened twice") }
        case .expect(let session, _, _), .treat(let session, _, _), .sendEvent(let session, _, _), .listen(let session, _, _),
            .tap(let session, _),
            .close(let session):
            if !sessions.contains(session) { problems.append("\(command) for a session that is gone") }
        case .stop: problems.append("stop")
        }
        guard let (event, delay) = worker.carryOut(command, random: &random) else { return }
        queue.plan(at: now + delay) { [unowned self] in
            worker.deliverMedia(until: now)
            worker.reported(event)
            switch event {
            case .closed(let session), .openFailed(let session, _, _): sessions.remove(session)
            default: break
            }
            control.handle(event, now: now)
            flush()
        }
    }
}
