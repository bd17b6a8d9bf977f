import Configuration
package import ControlProtocol
package import Core
import Diagnosis
import Relay
import RTP
import SIP

/// What is known of a call, put into plain values for the diagnosis. Nothing here runs while a call is up, unless asked.
extension CallControl {
    /// The present or ended call that `name` means: its id, its record's id, either Call-ID, or a number; the newest of several.
    package func explain(_ name: String, now: Instant) -> CallExplanation? {
        let present = calls.values.sorted { $0.number.rawValue > $1.number.rawValue }
        if let call = present.first(where: { $0.isNamed(name) }) { return evidence(of: call, now: now).explanation }
        if let ended = endedCalls.all(where: { $0.isNamed(name) }).first { return ended.explanation }
        let named = present.filter { CallEvidence.isNumber(name, of: ($0.callerNumber, $0.calledNumber)) }
        let matching = named.map { evidence(of: $0, now: now) } + endedCalls.all { $0.hasNumber(name) }
        guard var explanation = matching.first?.explanation else { return explainStranger(name) }
        explanation.others = matching.dropFirst().prefix(8).map(\.recordID)
        return explanation
    }

    /// After the end with the facts that the record was made of.
    func evidence(of call: Call, now: Instant) -> CallEvidence {
        let callIDs = call.recordedCallIDs ?? (call.caller.callID, call.calleeCallID)
        return CallEvidence(
            number: call.number, id: call.id, recordID: call.recordID, callerCallID: callIDs.caller, calleeCallID: callIDs.callee,
            callerTrunk: call.callerTrunk?.name, calleeTrunk: call.calleeTrunk?.name,
            setupAt: wallTime(call.setupAt), ladder: call.ladder,
            facts: call.finalFacts ?? Boxed(facts(of: call, now: now)))
    }

    func facts(of call: Call, now: Instant) -> CallFacts {
        let end = call.machine.release.map { release in
            CallFacts.End(release.cause, status: release.status, by: release.party, at: (call.releaseAt ?? now) - call.setupAt)
        }
        // In one step: each change of so large a value might copy it.
        return CallFacts(
            age: end?.at ?? (now - call.setupAt), end: end, rangAt: call.ringAt.map { $0 - call.setupAt },
            answeredAt: call.answerAt.map { $0 - call.setupAt }, callerNumber: call.callerNumber, calledNumber: call.calledNumber,
            caller: callerFacts(call), callee: calleeFacts(call), attempts: attempts(of: call),
            ownContact: endpoint(for: call.source).address, fromCaller: stream(.caller, of: call),
            fromCallee: stream(.callee, of: call), unansweredBye: call.unansweredBye, reachedLimit: call.reachedLimit,
            unreachable: call.unreachable, expiredSession: call.expiredSession,
            noMediaTimeout: call.noMedia.isOff ? .zero : call.noMedia.timeout, isRelayed: !call.isDirect,
            registration: call.registration)
    }

    private func attempts(of call: Call) -> [CallFacts.Attempt] {
        guard call.machine.winner == nil else { return [] }
        var attempts = call.branches.map(CallFacts.Attempt.init)
        // A callee's own word, like 404, has nothing to do with routes that were left out.
        if call.machine.release.map({ $0.cause != .rejected || $0.status >= 500 }) ?? false { attempts += call.skippedRoutes }
        return attempts.count > 1 ? attempts : []
    }

    private func callerFacts(_ call: Call) -> PartyFacts {
        var party = PartyFacts(name: call.callerTrunk?.name, address: call.source.remote)
        party.contact = call.callerContact
        party.target = call.caller.destination.remote
        party.via = call.invite.topVia.hostAddress
        party.origin = SessionDescription.origin(in: call.invite.body)
        party.sessionExpires = call.invite.number(.sessionExpires)
        if let described = call.main[.caller].described {
            party.media = MediaFacts(described)
        } else if let offer = call.offer, offer.media.indices.contains(call.main.place) {
            party.media = MediaFacts(offer.media[call.main.place])
        }
        return party
    }

    private func calleeFacts(_ call: Call) -> PartyFacts? {
        guard let branch = call.chosenBranch else { return nil }
        var party = PartyFacts(name: call.calleeTrunk?.name, address: branch.target.destination.remote)
        party.target = branch.dialog.destination.remote
        guard let response = branch.response else { return party }
        party.contact = branch.answerContact ?? response.contact?.uri.socketAddress
        party.origin = SessionDescription.origin(in: response.body)
        party.sessionExpires = response.number(.sessionExpires)
        if let described = call.main[.callee].described {
            party.media = MediaFacts(described)
        } else if let answer = try? SessionDescription(parsing: response.body), answer.media.indices.contains(call.main.place) {
            party.media = MediaFacts(answer.media[call.main.place])
        }
        return party
    }

    private func stream(_ leg: Leg, of call: Call) -> StreamFacts {
        let live = call.main.session.map { media.evidence(of: $0, leg) }
        var facts = (live ?? call.main[leg].evidence).map { StreamFacts($0, since: call.setupAt) } ?? StreamFacts()
        facts.firstAt = call.main[leg].firstAt.map { $0 - call.setupAt }
        facts.infoDigits = call[leg].dtmfRequests
        facts.areDigitsConverted = convertsDigits(call)
        return facts
    }
}

/// What the relay has measured of one direction, taken when the session ends, before its slot is used again. A reference,
/// as `Call` is.
final class MediaEvidence {
    let statistics: LegStatistics
    let isExpected: Bool
    private(set) var timeline: (firstSecond: UInt32, buckets: [TimelineBucket])?

    init(statistics: LegStatistics, isExpected: Bool, timeline: (firstSecond: UInt32, buckets: [TimelineBucket])?) {
        self.statistics = statistics
        self.isExpected = isExpected
        self.timeline = timeline
    }

    func forgetTimeline() { timeline = nil }
}

extension MediaSessions {
    func evidence(of session: SessionID, _ leg: Leg) -> MediaEvidence {
        MediaEvidence(
            statistics: statistics[session.index, leg], isExpected: statistics.isExpectedToSend(session.index, leg),
            timeline: statistics.timeline(session.index, leg))
    }
}

extension CallFacts.Attempt {
    fileprivate init(_ branch: Branch) {
        let status = branch.response?.status
        let outcome: Outcome =
            switch status {
            case nil where branch.unreachable != nil: .unreachable(branch.unreachable!)
            case nil: .noResponse
            case .some(..<300): .noAnswer
            case .some(let status): .status(status)
            }
        self.init(branch.target.trunk?.name ?? String(decoding: branch.target.uri, as: UTF8.self), outcome)
    }
}

extension Call {
    func isNamed(_ name: String) -> Bool {
        id == name || recordID == name || caller.callID == name || calleeCallID == name
    }
}

extension StreamFacts {
    /// What the relay knows, in times since `start`.
    init(_ evidence: MediaEvidence, since start: Instant) {
        self.init()
        let figures = evidence.statistics
        packets = figures.packets
        lost = figures.lost
        lastAt = figures.lastPacket.map { $0 - start }
        highestJitter = figures.highestJitter
        longestGap = figures.longestGap
        source = figures.source
        payloadType = figures.payloadType
        isInComfortNoise = figures.isInComfortNoise
        strangers = figures.strangersDropped
        sent = figures.sentPackets
        refusals = UInt64(figures.portRefusals)
        telephoneEvents = Int(figures.telephoneEvents)
        inBandDigits = Int(figures.inBandDigits)
        isExpected = evidence.isExpected
        guard let timeline = evidence.timeline else { return }
        seconds = timeline.buckets.map {
            Second(packets: Int($0.packets), lost: Int($0.lost), jitterMilliseconds: Int($0.jitterMilliseconds))
        }
        firstSecondAt = Instant(nanoseconds: UInt64(timeline.firstSecond) * 1_000_000_000) - start
    }
}

extension MediaFacts {
    init(_ media: SessionDescription.Media) {
        self.init(
            connection: media.connection, port: media.port, formats: media.payloads.map { Format($0.number, $0.encodingName) })
        isRTP = media.isRTP
        sends = media.direction == .sendrecv || media.direction == .sendonly
        receives = (media.direction == .sendrecv || media.direction == .recvonly) && !media.isHeldByAddress
    }
}
