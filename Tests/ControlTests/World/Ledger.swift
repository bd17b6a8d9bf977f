import Configuration
import Control
import Core
import Relay
import SIP

/// What call control took and did, and which of its promises it broke.
struct Ledger {
    private struct Dialog {
        var hasProvisional = false
        var successTags: Set<String> = []
        var byeBranchesSent: Set<String> = []
        var byeReasons: [String] = []
        var byesReceived = 0
        var finals: Set<Int> = []
        var answeredAt: Instant?
        var hasACK = false
        var acknowledgedTags: Set<String> = []
    }

    private struct Session {
        /// Who has the call on hold, and when that began or ended.
        var holders: Set<Leg> = []
        var heldOrResumedAt: Instant?
        let ports: [UInt16]
        var callID: String?
        var connectedAt: Instant?
        var isClosing = false
        var isRTP = true
    }

    private(set) var problems: [String] = []
    /// From a shutdown on, a caller that has not acknowledged gets its BYE all the same.
    var isStopping = false
    private let configuration: Configuration
    private var sessions: [SessionID: Session] = [:]
    private var portFreeAt: [UInt16: Instant] = [:]
    private var attempts: Set<String> = []
    /// The caller's ports in the last description that its dialog had before the answer, by Call-ID.
    private var earlyPorts: [String: [UInt16]] = [:]
    /// The Call-ID of the caller, by that of each branch placed for it.
    private var placed: [String: String] = [:]
    private var dialogs: [String: Dialog] = [:]
    private var records: [String: CallRecord] = [:]
    /// Requests inside dialogs, by Call-ID, branch and method: the final statuses they got from relayd.
    private var asked: [String: Set<Int>] = [:]
    /// Re-INVITEs of relayd's, by Call-ID and CSeq.
    private var changes: [String: (hasProvisional: Bool, isAccepted: Bool, isAcknowledged: Bool)] = [:]
    /// How long a call had been silent when its media was closed, by the caller's Call-ID.
    private var silenceAtEnd: [String: Duration] = [:]

    init(configuration: Configuration) { self.configuration = configuration }

    mutating func fail(_ problem: String, at now: Instant) {
        problems.append("\((now - SimulatedWorld.start).inSeconds) s: \(problem)")
    }

    // MARK: What happens

    mutating func received(_ message: SIPMessage, from source: SocketAddress) {
        let callID = text(message.callID)
        let change = "\(callID) \(message.cseq.number)"
        if message.isRequest, message.toTag != nil, ![.ack, .cancel, .bye].contains(message.method) {
            let key = "\(callID) \(message.topVia.branchText ?? "") \(message.method)"
            if asked[key] == nil { asked[key] = [] }
        }
        if !message.isRequest, message.method == .invite, let status = message.status, changes[change] != nil {
            if status < 200 { changes[change]?.hasProvisional = true }
            if (200..<300).contains(status) { changes[change]?.isAccepted = true }
            return
        }
        if message.isRequest {
            if message.method == .invite, message.toTag == nil { attempts.insert(callID) }
            if message.method == .bye { dialogs[callID, default: Dialog()].byesReceived += 1 }
            if message.method == .ack { dialogs[callID, default: Dialog()].hasACK = true }
        } else if message.method == .invite, let status = message.status, SimulatedWorld.calleeAddresses.contains(source) {
            if status < 200 { dialogs[callID, default: Dialog()].hasProvisional = true }
            if (200..<300).contains(status) {
                dialogs[callID, default: Dialog()].successTags.insert(text(message.toTag ?? []))
            }
        }
    }

    mutating func sent(_ message: SIPMessage, to destination: SocketAddress, _ worker: WorkerStub, at now: Instant) {
        let callID = text(message.callID)
        let change = "\(callID) \(message.cseq.number)"
        if let status = message.status, status >= 200 {
            let key = "\(callID) \(message.topVia.branchText ?? "") \(message.method)"
            asked[key]?.insert(status)
        }
        switch (message.status, message.method) {
        case (nil, .invite) where message.toTag != nil:
            if changes[change] == nil { changes[change] = (false, false, false) }
        case (nil, .cancel) where changes[change] != nil:
            if changes[change]?.hasProvisional != true { fail("CANCEL before a provisional response", at: now) }
        case (nil, .ack) where changes[change] != nil: changes[change]?.isAcknowledged = true
        case (nil, .invite): if placed[callID] == nil { placed[callID] = Caller.callID(named: message) }
        case (nil, .cancel):
            if dialogs[callID]?.hasProvisional != true { fail("CANCEL before a provisional response", at: now) }
            if dialogs[callID]?.successTags.isEmpty == false, dialogs[callID]?.byeBranchesSent.isEmpty == true {
                fail("CANCEL after the answer", at: now)
            }
        case (nil, .bye):
            // The same BYE again, with the credentials that it was asked for.
            let isRepeated = message.first(.authorization) != nil && dialogs[callID]?.byeBranchesSent.isEmpty == false
            let branch = message.topVia.branchText ?? ""
            if !isRepeated, dialogs[callID, default: Dialog()].byeBranchesSent.insert(branch).inserted {
                dialogs[callID]?.byeReasons.append(message.text(.reason) ?? "")
            }
            if let dialog = dialogs[callID], let answeredAt = dialog.answeredAt, !dialog.hasACK, !isStopping,
                now - answeredAt < .seconds(32)
            {
                fail("BYE to the caller before its ACK", at: now)
            }
        case (nil, .ack):
            if placed[callID] != nil {
                dialogs[callID, default: Dialog()].acknowledgedTags.insert(text(message.toTag ?? []))
            }
        case (let status?, .invite) where status < 200 && !message.body.isEmpty:
            earlyPorts[callID] = Self.ports(in: message)
        case (let status?, .invite) where message.cseq.number == 1 && status >= 200 && status != 482:
            dialogs[callID, default: Dialog()].finals.insert(status)
            guard status == 200 else { break }
            if dialogs[callID]?.byesReceived != 0 { fail("an answer after the caller hung up", at: now) }
            guard dialogs[callID]?.answeredAt == nil else { break }
            dialogs[callID]?.answeredAt = now
            connected(callID, message, worker, at: now)
        default: break
        }
    }

    private mutating func connected(_ callID: String, _ answer: SIPMessage, _ worker: WorkerStub, at now: Instant) {
        // An answer that was agreed on before is not said again.
        let ports = answer.body.isEmpty ? earlyPorts[callID] ?? [] : Self.ports(in: answer)
        for port in ports { if let session = worker.session(at: port) { sessions[session]?.callID = callID } }
        guard let port = ports.first, let session = worker.session(at: port), sessions[session]?.connectedAt == nil else { return }
        sessions[session]?.connectedAt = now
    }

    private static func ports(in message: SIPMessage) -> [UInt16] {
        (try? SessionDescription(parsing: message.body))?.media.map(\.port).filter { $0 != 0 } ?? []
    }

    mutating func commanded(_ command: RelayCommand, _ worker: WorkerStub, at now: Instant) {
        switch command {
        case .open(let session, let caller, let callee):
            for port in [caller.port, callee.port] {
                if port % 2 != 0 || !configuration.media.ports.contains(port + 1) { fail("port \(port) is no pair", at: now) }
                if sessions.values.contains(where: { $0.ports.contains(port) }) { fail("port \(port) used twice", at: now) }
                if let free = portFreeAt[port], free > now { fail("port \(port) before its quarantine ended", at: now) }
            }
            if caller.port == callee.port { fail("one port for both legs", at: now) }
            if sessions[session] != nil { fail("session \(session) used twice", at: now) }
            sessions[session] = Session(ports: [caller.port, callee.port])
        case .close(let session):
            sessions[session]?.isClosing = true
            if let entry = sessions[session], let callID = entry.callID, entry.connectedAt != nil {
                silenceAtEnd[callID] = silence(session, entry, worker, at: now)
            }
        case .expect(let session, let leg, let source):
            if sessions[session] == nil { fail("a command for no session", at: now) }
            sessions[session]?.isRTP = source.transport == .rtp
            let wasHeld = sessions[session]?.holders.isEmpty == false
            if source.direction == .sendReceive, !source.rtp.ip.isUnspecified {
                sessions[session]?.holders.remove(leg)
            } else {
                sessions[session]?.holders.insert(leg)
            }
            // The clock begins anew with a hold and with its end.
            if (sessions[session]?.holders.isEmpty == false) != wasHeld { sessions[session]?.heldOrResumedAt = now }
        case .treat(let session, _, _), .sendEvent(let session, _, _), .listen(let session, _, _), .tap(let session, _):
            if sessions[session] == nil { fail("a command for no session", at: now) }
        case .stop: break
        }
    }

    mutating func reported(_ event: RelayEvent, at now: Instant) {
        switch event {
        case .openFailed(let session, _, _), .closed(let session):
            for port in sessions[session]?.ports ?? [] { portFreeAt[port] = now + configuration.media.quarantine }
            sessions[session] = nil
        case .opened, .locked, .digit, .stopped: break
        }
    }

    mutating func wrote(_ record: CallRecord, at now: Instant) {
        if records.updateValue(record, forKey: record.callerCallID) != nil { fail("a second record", at: now) }
        if !attempts.contains(record.callerCallID) { fail("a record of no attempt", at: now) }
        let times = [record.setupAt, record.ringAt, record.answerAt, record.releaseAt].compactMap(\.self)
        if times != times.sorted() { fail("times out of order: \(times)", at: now) }
        let duration = record.answerAt.map { record.releaseAt.milliseconds - $0.milliseconds } ?? 0
        if abs(record.durationMilliseconds - duration) > 1 { fail("duration \(record.durationMilliseconds)", at: now) }
        if (record.talkSeconds + record.deadAirSeconds) * 1000 > duration + 1000 { fail("more talk than time", at: now) }
        if (record.answerAt != nil) != (record.sipCode == 200) { fail("status \(record.sipCode)", at: now) }
        if record.cause == .noMedia {
            let timeout = configuration.media.noMediaTimeout
            let silence = silenceAtEnd[record.callerCallID] ?? .zero
            if silence < timeout { fail("released after \(silence) of silence", at: now) }
        }
    }

    // MARK: What holds at all times

    mutating func check(_ control: borrowing CallControl, _ worker: WorkerStub, at now: Instant) {
        // The stub has taken in the commands by now, so it holds what call control asked for.
        if control.usedPortPairs != 2 * (control.mediaSessionCount + control.testSessionCount) { fail("\(control.usedPortPairs) pairs in use", at: now) }
        if control.mediaSessionCount + control.testSessionCount != sessions.count { fail("\(control.mediaSessionCount) sessions, really \(sessions.count)", at: now) }
        let timeout = configuration.media.noMediaTimeout
        guard timeout > .zero else { return }
        for (id, session) in sessions where session.connectedAt != nil && !session.isClosing && session.holders.isEmpty {
            let silence = silence(id, session, worker, at: now)
            if silence > timeout + .milliseconds(200) { fail("silent for \(silence) and still there", at: now) }
        }
    }

    private func silence(_ id: SessionID, _ session: Session, _ worker: WorkerStub, at now: Instant) -> Duration {
        guard let connectedAt = session.connectedAt else { return .zero }
        let start = max(connectedAt, session.heldOrResumedAt ?? connectedAt)
        // A side is heard as long as one of its media is.
        let all = sessions.filter { $0.key == id || $0.value.callID == session.callID }.keys
        let last = [Leg.caller, .callee].map { leg in max(start, all.compactMap { worker.lastPacket[$0]?[leg] }.max() ?? start) }
        // While a fax sends, the other machine listens.
        let mode = session.isRTP ? configuration.media.noMediaMode : .both
        return switch mode {
        case .both: now - last.max()!
        case .any: now - last.min()!
        case .caller: now - last[0]
        case .callee: now - last[1]
        case .off: .zero
        }
    }

    // MARK: What holds once all is over

    mutating func checkEnd(_ control: inout CallControl, _ worker: WorkerStub, at now: Instant) {
        if !control.isEmpty { fail("something is left", at: now) }
        if control.nextDeadline != nil { fail("a timer is left", at: now) }
        if worker.sessionCount != 0 { fail("a session is left open", at: now) }
        if Set(records.keys) != attempts { fail("attempts \(attempts.count), records \(records.count)", at: now) }
        if !Set(placed.values).isSubset(of: records.keys) { fail("a call was placed that no record is about", at: now) }
        for record in records.values {
            let branches = placed.filter { $0.value == record.callerCallID }.keys
            let isNamed = record.calleeCallID.map { branches.contains($0) } ?? branches.isEmpty
            if !isNamed { fail("the record names \(record.calleeCallID ?? "nobody") of \(branches.count) branches", at: now) }
        }
        for record in records.values.sorted(by: { $0.id < $1.id }) { checkEnd(of: record, at: now) }
        for (request, finals) in asked.sorted(by: { $0.key < $1.key }) where finals.count != 1 {
            fail("\(request): final responses \(finals)", at: now)
        }
        for (change, state) in changes.sorted(by: { $0.key < $1.key }) where state.isAccepted && !state.isAcknowledged {
            fail("re-INVITE \(change): the 2xx was not acknowledged", at: now)
        }
    }

    private mutating func checkEnd(of record: CallRecord, at now: Instant) {
        let caller = dialogs[record.callerCallID] ?? Dialog()
        let callee = record.calleeCallID.flatMap { dialogs[$0] } ?? Dialog()
        if caller.finals.count != 1 { fail("\(record.cause): final responses \(caller.finals)", at: now) }
        if caller.finals.contains(200) != (record.answerAt != nil) { fail("answered or not?", at: now) }
        if caller.byeBranchesSent.count > 1 { fail("several BYEs to the caller", at: now) }
        if record.answerAt != nil, caller.byeBranchesSent.isEmpty, caller.byesReceived == 0 {
            fail("\(record.cause): no BYE on the caller's leg", at: now)
        }
        if record.answerAt == nil, !caller.byeBranchesSent.isEmpty { fail("BYE to a caller that got no answer", at: now) }
        for (callID, _) in placed where placed[callID] == record.callerCallID {
            checkEnd(of: record, branch: dialogs[callID] ?? Dialog(), isWinner: callID == record.calleeCallID, at: now)
        }
        if record.cause == .noMedia {
            // The BYE to a further branch of a fork has no reason to give.
            let reasons = (caller.byeReasons + callee.byeReasons).filter { $0.contains("cause=102") }
            // A caller that hangs up while its BYE waits for the ACK gets none.
            if reasons.count != 2, caller.byesReceived == 0 || reasons.count != 1 { fail("no_media, but BYEs say \(caller.byeReasons), \(callee.byeReasons)", at: now) }
        }
    }

    private mutating func checkEnd(of record: CallRecord, branch callee: Dialog, isWinner: Bool, at now: Instant) {
        // A 2xx may come after the INVITE was given up; then there is no transaction any more, and nothing to say.
        let isGivenUp = !(isWinner && record.answerAt != nil) && callee.byeBranchesSent.isEmpty
        if !isGivenUp, callee.byeBranchesSent.count + min(1, callee.byesReceived) < callee.successTags.count {
            fail("\(record.cause): BYEs on the callee's leg: \(callee.byeBranchesSent.count)", at: now)
        }
        if !isGivenUp, !callee.acknowledgedTags.isSuperset(of: callee.successTags) {
            fail("an answer of the callee was not acknowledged", at: now)
        }
        if callee.byeBranchesSent.count > callee.successTags.count { fail("too many BYEs to the callee", at: now) }
    }

    private func text(_ octets: ArraySlice<UInt8>) -> String { String(decoding: octets, as: UTF8.self) }
}
