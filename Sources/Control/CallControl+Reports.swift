package import ControlProtocol
package import Core
import Configuration
import Relay
import SIP

/// What the control socket shows of calls.
extension CallControl {
    /// Every call that still holds a resource, oldest first.
    package func summaries(now: Instant) -> [CallSummary] {
        calls.values.filter { $0.machine.media != .closed || $0.machine.release == nil }
            .sorted { $0.number.rawValue < $1.number.rawValue }
            .map { summary(of: $0, now: now) }
    }

    /// One call by its id, or by the Call-ID of either leg; nil when there is none.
    package func detail(_ id: String, now: Instant) -> CallDetail? {
        guard let call = call(named: id) else { return nil }
        let callee = call.callee.map { leg(.callee, of: call, $0, signalling: (call.calleeAddress ?? $0.fallback).remote, now: now) }
        var detail = CallDetail(
            summary: summary(of: call, now: now), caller: leg(.caller, of: call, call.caller, signalling: call.source.remote, now: now),
            callee: callee, ladder: call.ladder.entries(setup: wallTime(call.setupAt)))
        detail.proxy = (call.isDirect ? "no: " : "yes: ") + call.proxy.reason
        detail.digits = digitsText(of: call)
        if call.machine.release == nil { detail.endsInSeconds = call.end.map { Self.seconds(from: now, to: $0) } }
        if !call.further.isEmpty { detail.furtherMedia = call.furtherNumbers.map { furtherMedium($0, of: call, now: now) } }
        return detail
    }

    private func sessionTimer(_ timer: SessionTimer, now: Instant) -> CallDetail.Leg.SessionTimer? {
        guard let interval = timer.interval else { return nil }
        return CallDetail.Leg.SessionTimer(
            intervalSeconds: Int(interval.components.seconds), refresher: timer.isOurs ? .relayd : .peer,
            isPeerSupporting: timer.isPeerSupporting, refreshInSeconds: timer.refreshAt.map { Self.seconds(from: now, to: $0) },
            expiresInSeconds: timer.expiresAt.map { Self.seconds(from: now, to: $0) })
    }

    /// Rounded, never less than zero.
    private static func seconds(from now: Instant, to due: Instant) -> Int { Int(max(0, (due - now).inSeconds).rounded()) }

    /// How many calls that hold a resource are in each state.
    package func stateCounts() -> [CallSummary.State: Int] {
        var counts: [CallSummary.State: Int] = [:]
        for call in calls.values where call.machine.media != .closed || call.machine.release == nil {
            counts[state(of: call), default: 0] += 1
        }
        return counts
    }

    package var connectedCount: Int { monitored.count }
    package var presentCount: Int { callsBySession.count + directCalls.count }
    /// Sessions of the relay.
    package var mediaSessionCount: Int { callsBySession.count + furtherSessions.count }
    package var usedPortPairs: Int { media.usedPairCount }
    package var testSessionCount: Int { testSessions.count }

    func call(named id: String) -> Call? {
        if let number = ShortID(asked: id).flatMap({ callsByID[$0] }) { return calls[number] }
        return calls.values.first { $0.caller.callID == id || $0.callee?.callID == id }
    }

    private func summary(of call: Call, now: Instant) -> CallSummary {
        var summary = CallSummary(
            id: call.id, state: state(of: call), callerNumber: call.callerNumber, calledNumber: call.calledNumber,
            callerTrunk: call.callerTrunk?.name, calleeTrunk: call.calleeTrunk?.name, setupAt: wallTime(call.setupAt),
            answerAt: call.answerAt.map(wallTime),
            durationSeconds: call.answerAt.map { Int(((call.releaseAt ?? now) - $0).components.seconds) } ?? 0,
            fromCaller: media(.caller, of: call, now: now), fromCallee: media(.callee, of: call, now: now),
            call.noMedia,
            call.machine.isConnected ? (mediaState(.caller, of: call), mediaState(.callee, of: call)) : nil)
        if call.isDirect {
            summary.monitored = false
            summary.monitoredReason = "not relayed: \(call.proxy.reason)"
        }
        return summary
    }

    private func state(of call: Call) -> CallSummary.State {
        if call.machine.release != nil { return .releasing }
        if call.machine.isConnected { return .connected }
        return call.ringAt == nil ? .setup : .ringing
    }

    private func media(_ leg: Leg, of call: Call, now: Instant) -> CallSummary.Media {
        let figures = liveStatistics(leg, of: call)
        let silence = figures.lastPacket.map { max(.zero, now - $0) }
        let state: MediaState
        if let silence {
            state = silence < .seconds(1) ? .flowing : .silent
        } else {
            state = .waiting
        }
        let sinceAnswer = call.answerAt.map { max(.zero, now - $0) }
        return CallSummary.Media(
            state: state, silenceSeconds: call.answerAt == nil ? nil : (silence ?? sinceAnswer)?.inSeconds,
            packets: figures.packets, figures)
    }

    private func furtherMedium(_ number: Int, of call: Call, now: Instant) -> CallDetail.FurtherMedium {
        func party(_ leg: Leg) -> CallDetail.FurtherMedium.Party {
            let medium = call[medium: number]
            return CallDetail.FurtherMedium.Party(
                liveStatistics(leg, of: medium), direction: medium[leg].described?.direction.rawValue,
                relayAddress: relayAddress(of: medium, leg, call), sdpAddress: medium[leg].address,
                lockedSource: medium[leg].lockedSource, now: now)
        }
        return CallDetail.FurtherMedium(
            line: call[medium: number].place + 1, kind: mediumKind(number, of: call),
            isOpen: call[medium: number].isOpen, caller: party(.caller), callee: party(.callee))
    }

    /// What kind of medium is, or was, on its `m=` line.
    private func mediumKind(_ number: Int, of call: Call) -> String {
        let place = call[medium: number].place
        let descriptions = [call[.caller].description, call[.callee].description, call.offer].compactMap(\.self)
        return descriptions.first { place < $0.media.count }?.media[place].kind ?? "medium"
    }

    /// For events: its `m=` line, counted from 1, and what it is.
    func mediumName(_ number: Int, of call: Call) -> String {
        "\(call[medium: number].place + 1) \(mediumKind(number, of: call))"
    }

    private func relayAddress(of medium: CallMedium, _ leg: Leg, _ call: Call) -> SocketAddress? {
        medium.taken == nil ? nil : SocketAddress(ip: settings.mediaAddresses(leg, of: call).advertised, port: medium.port(of: leg))
    }

    private func liveStatistics(_ leg: Leg, of medium: CallMedium) -> LegStatistics {
        if let session = medium.session { return media.statistics[session.index, leg] }
        return medium[leg].evidence?.statistics ?? LegStatistics()
    }

    private func liveStatistics(_ leg: Leg, of call: Call) -> LegStatistics {
        liveStatistics(leg, of: call.main)
    }

    private func leg(_ leg: Leg, of call: Call, _ dialog: Dialog, signalling: SocketAddress, now: Instant) -> CallDetail.Leg {
        let figures = liveStatistics(leg, of: call)
        var report = MediaReport(
            figures, timeline: call.main.session.flatMap { media.statistics.timeline($0.index, leg) }, wallTime)
        report.infoDigits = call[leg].dtmfRequests
        var detail = CallDetail.Leg(
            callID: dialog.callID, localTag: dialog.localTag, remoteTag: dialog.remoteTag, signallingAddress: signalling,
            relayAddress: relayAddress(of: call.main, leg, call), sdpAddress: call.main[leg].address,
            lockedSource: call.main[leg].lockedSource,
            packets: figures.packets, octets: figures.octets, lost: figures.lost,
            strangersDropped: figures.strangersDropped,
            media: report)
        if figures.kernelPackets > 0 { detail.kernelPackets = figures.kernelPackets }
        detail.kind = call.main[leg].described?.kind
        if call.machine.isConnected { detail.sessionTimer = sessionTimer(call[leg].timer, now: now) }
        return detail
    }
}
