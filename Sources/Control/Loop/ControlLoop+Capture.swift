import Capture
import Configuration
import ControlProtocol
import Core
import FoundationEssentials
import Relay
import Uring

/// Captures and recordings under way, as the control thread sees them.
struct Captures {
    enum Owner {
        case client(UInt32)
        /// With its key.
        case recording(String, path: String)
    }

    struct Item {
        let owner: Owner
        /// As `relayctl` names the call.
        let call: String
        var sessions: [TappedSession]
        /// Of the SIP messages that belong to it; empty: none are wanted.
        var callIDs: [String] = []
        /// Where in the trace to go on.
        var traceFrom: UInt64 = 0
        var deadline: Instant?
        var reason = CaptureEnd.Reason.callEnded
        var isEnding = false
    }

    private var lastID: UInt64 = 0
    var items: [UInt64: Item] = [:]
    /// How many listen to each session.
    var listeners: [SessionID: Int] = [:]
    var jobsByRecording: [String: UInt64] = [:]

    mutating func nextID() -> UInt64 {
        lastID += 1
        return lastID
    }
}

extension ControlLoop {
    /// The newest messages of the call may come a moment after its media has ended: BYE is to be in the file.
    private static let farewell = Duration.milliseconds(700)
    private static let followInterval = Duration.milliseconds(100)
    private static let defaultMebibytes = 256
    private static let maximumCaptures = 16
    /// A recording that is forgotten must not fill the disk.
    static let recordingLimit = 2 << 30

    // MARK: relayctl capture

    mutating func beginCapture(_ query: CaptureQuery, of client: UInt32, now: Instant) -> Result<ControlReply, ControlError> {
        guard let target = control.captureTarget(query.id) ?? ngControl.captureTarget(query.id) else {
            return .failure(Self.unknownCall(query.id))
        }
        guard captures.items.count(where: { if case .client = $0.value.owner { true } else { false } }) < Self.maximumCaptures
        else {
            return .failure(ControlError(.unavailable, "There are \(Self.maximumCaptures) captures already: end one first."))
        }
        let id = captures.nextID()
        let microseconds = UInt64(clamping: WallClock.microseconds)
        var preface = trace.messages(ofCallIDs: target.callIDs).compactMap(Self.datagram)
        let traceFrom = trace.next
        preface += target.descriptions.map {
            CapturedDatagram(
                octets: $0.octets, source: $0.source, destination: $0.destination, microseconds: microseconds,
                comments: ["made up by relayd from what the proxy said over NG"])
        }
        let job = PacketCollector.Job(
            id: id, sessions: target.sessions, comments: target.comments, preface: preface,
            octetLimit: (query.mebibytes ?? Self.defaultMebibytes) << 20)
        do throws(Errno) {
            try collector.begin(job)
        } catch {
            return .failure(ControlError(.unavailable, "There is no thread for a capture: \(error)."))
        }
        var item = Captures.Item(owner: .client(client), call: target.call, sessions: target.sessions)
        item.callIDs = target.callIDs
        item.traceFrom = traceFrom
        if let seconds = query.seconds {
            item.deadline = now + .seconds(seconds)
            item.reason = .seconds
        }
        // Without a session there is nothing whose end would end it.
        if target.sessions.isEmpty { item.deadline = item.deadline ?? now + .seconds(60) }
        captures.items[id] = item
        for session in target.sessions { listen(to: session.id) }
        return .success(.capture(CaptureStart(capture: id, call: target.call)))
    }

    /// Nil for what is no message.
    private static func datagram(_ found: SIPTrace.Found) -> CapturedDatagram? {
        guard found.header.transport != .icmp else { return nil }
        let isReceived = found.header.direction == .received
        return CapturedDatagram(
            octets: found.octets, source: isReceived ? found.header.peer : found.header.local,
            destination: isReceived ? found.header.local : found.header.peer,
            microseconds: UInt64(clamping: found.header.microseconds))
    }

    // MARK: Recordings

    mutating func record(_ recording: NGRecording) {
        guard let directory = configuration.ng.recordingDirectory else { return }
        if let id = captures.jobsByRecording[recording.key], let item = captures.items[id] {
            let fresh = recording.sessions.filter { !item.sessions.contains($0) }
            guard !fresh.isEmpty else { return }
            captures.items[id]?.sessions += fresh
            collector.setSessions(item.sessions + fresh, of: id)
            for session in fresh { listen(to: session.id) }
            return
        }
        let id = captures.nextID()
        let path = "\(directory)/\(recording.fileName)"
        let job = PacketCollector.Job(
            id: id, sessions: recording.sessions, path: path, comments: recording.comments, octetLimit: Self.recordingLimit)
        do throws(Errno) {
            try collector.begin(job)
        } catch {
            counters.add(to: .recordingsFailed)
            return logRecording(.error, "ng.recording_failed", path, ["reason": "\(error)"])
        }
        counters.add(to: .recordingsStarted)
        captures.jobsByRecording[recording.key] = id
        captures.items[id] = Captures.Item(
            owner: .recording(recording.key, path: path), call: recording.key, sessions: recording.sessions)
        for session in recording.sessions { listen(to: session.id) }
    }

    mutating func stopRecording(_ key: String) {
        guard let id = captures.jobsByRecording.removeValue(forKey: key) else { return }
        endCapture(id, .callEnded)
    }

    // MARK: Under way

    private mutating func listen(to session: SessionID) {
        captures.listeners[session, default: 0] += 1
        if captures.listeners[session] == 1 { sendToRelay(.tap(session, isOn: true)) }
    }

    private mutating func endListening(to session: SessionID) {
        guard let count = captures.listeners[session] else { return }
        captures.listeners[session] = count > 1 ? count - 1 : nil
        if count == 1 { sendToRelay(.tap(session, isOn: false)) }
    }

    private mutating func endCapture(_ id: UInt64, _ reason: CaptureEnd.Reason) {
        guard let item = captures.items[id], !item.isEnding else { return }
        captures.items[id]?.isEnding = true
        captures.items[id]?.reason = reason
        for session in item.sessions { endListening(to: session.id) }
        captures.items[id]?.sessions = []
        collector.end(id)
    }

    /// A session is gone, and with the last one of a call its captures.
    mutating func captureSessionClosed(_ session: SessionID, now: Instant) {
        guard captures.listeners.removeValue(forKey: session) != nil else { return }
        for (id, item) in captures.items where item.sessions.contains(where: { $0.id == session }) {
            captures.items[id]?.sessions.removeAll { $0.id == session }
            guard captures.items[id]?.sessions.isEmpty == true, case .client = item.owner else { continue }
            let end = now + Self.farewell
            if end < item.deadline ?? Instant(nanoseconds: .max) {
                captures.items[id]?.deadline = end
                captures.items[id]?.reason = .callEnded
            }
        }
    }

    /// When captures have to be looked after again.
    mutating func captureDeadline(at now: Instant) -> Instant? {
        captures.items.values.contains { !$0.callIDs.isEmpty && !$0.isEnding } ? now + Self.followInterval : nil
    }

    /// Adds new SIP messages to captures, and ends those whose time is over. Once a turn.
    mutating func followCaptures(now: Instant) {
        for (id, item) in captures.items where !item.isEnding && !item.callIDs.isEmpty {
            // A call that tries another trunk has a further Call-ID.
            let target = control.captureTarget(item.call)
            let callIDs = (target?.callIDs ?? []).filter { !item.callIDs.contains($0) }
            captures.items[id]?.callIDs += callIDs
            // Or a medium that is new.
            let sessions = (target?.sessions ?? []).filter { !item.sessions.contains($0) }
            if !sessions.isEmpty {
                captures.items[id]?.sessions += sessions
                collector.setSessions(item.sessions + sessions, of: id)
                for session in sessions { listen(to: session.id) }
            }
            let (found, next, _) = trace.search(from: item.traceFrom, TraceFilter(callIDs: item.callIDs + callIDs))
            captures.items[id]?.traceFrom = next
            if !found.isEmpty { collector.add(found.compactMap(Self.datagram), to: id) }
            if let deadline = item.deadline, deadline <= now { endCapture(id, item.reason) }
        }
    }

    /// What the collector has to say.
    mutating func note(_ outcome: PacketCollector.Outcome, now: Instant) {
        switch outcome {
        case .octets(let id, let octets):
            guard case .client(let client)? = captures.items[id]?.owner else { return }
            // A client that has gone wants no more.
            if !tell(client, CaptureChunk(capture: id, data: Data(octets)), now: now) { endCapture(id, .callEnded) }
        case .ended(let id, let summary): ended(id, summary, now: now)
        }
    }

    private mutating func ended(_ id: UInt64, _ summary: PacketCollector.Summary, now: Instant) {
        guard let item = captures.items[id] else { return }
        if !item.isEnding {
            for session in item.sessions { endListening(to: session.id) }
        }
        captures.items[id] = nil
        counters.add(summary.lost, to: .tappedPacketsLost)
        switch item.owner {
        case .client(let client):
            let reason: CaptureEnd.Reason = summary.failure != nil ? .failed : summary.isFull ? .size : item.reason
            let end = CaptureEnd(
                reason: reason, packets: summary.packets, octets: summary.octets, lost: summary.lost, failure: summary.failure)
            _ = tell(client, CaptureChunk(capture: id, end: end), now: now)
        case .recording(let key, let path):
            captures.jobsByRecording[key] = nil
            if let failure = summary.failure {
                counters.add(to: .recordingsFailed)
                logRecording(.error, "ng.recording_failed", path, ["reason": failure])
            } else {
                logRecording(
                    summary.isFull || summary.lost > 0 ? .warning : .notice, "ng.recording_ended", path,
                    ["packets": "\(summary.packets)", "lost": "\(summary.lost)", "is_full": "\(summary.isFull)"])
            }
        }
    }

    private func logRecording(_ level: LogLevel, _ name: String, _ path: String, _ fields: EventFields) {
        var fields = fields
        fields["file"] = path
        log.log(level, name, fields)
    }

    private mutating func tell(_ client: UInt32, _ chunk: CaptureChunk, now: Instant) -> Bool {
        guard let line = try? ControlLine.notification(ControlMethod.captureNotification, params: chunk) else { return false }
        return clients.notify(client, line, now: now)
    }
}
