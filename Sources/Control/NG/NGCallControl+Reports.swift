import Configuration
package import ControlProtocol
package import Core
import NG
import Relay
import SIP

/// What proxies and operators are told of calls.
extension NGCallControl {
    func reply(about call: NGCall, _ request: NGRequest) -> NGReply {
        .call(
            callReport(of: call, isFull: request.wantsFullStatistics), detail: request.wantsFullStatistics ? .full : .usual,
            warnings: request.warnings)
    }

    /// - Parameter isFull: with what only an answer in full says.
    private func callReport(of call: NGCall, isFull: Bool) -> NGCallReport {
        var report = NGCallReport(
            created: wallTime(call.createdAt), lastSignal: wallTime(call.lastSignal), rtp: NGTraffic(), rtcp: NGTraffic(),
            sources: [], tags: [])
        var media: [[NGCallReport.Medium]] = []
        for leg in Leg.allCases {
            let figures = figures(of: call, leg)
            for one in figures {
                report.rtp.packets += one.packets
                report.rtp.octets += one.octets
                report.rtcp.packets += one.rtcpPackets
                if let ssrc = one.ssrc { report.sources.append(source(ssrc, one)) }
            }
            media.append(self.media(of: call, leg, figures))
        }
        let entries = call.tags.sorted { $0.tag < $1.tag }
        report.tags = entries.map { tag, leg in
            NGCallReport.Tag(
                tag: tag, label: call.uncommon?[leg].label, created: wallTime(call[leg].since ?? call.createdAt),
                media: media[leg == .caller ? 0 : 1], peers: isFull ? entries.filter { $0.leg == leg.other }.map(\.tag) : [])
        }
        return report
    }

    private func source(_ ssrc: UInt32, _ figures: LegStatistics) -> NGCallReport.Source {
        guard let quality = figures.quality else { return NGCallReport.Source(ssrc: ssrc) }
        var average = ngQuality(quality.average)
        average.reportedAt = nil
        average.sampleCount = Int(quality.windows)
        return NGCallReport.Source(
            ssrc: ssrc, average: average, lowest: ngQuality(quality.lowest), highest: ngQuality(quality.highest))
    }

    private func ngQuality(_ measure: StreamQuality.Measure) -> NGQuality {
        NGQuality(
            mos: measure.score, jitter: measure.jitter, lossRatio: measure.lossRatio, roundTrip: measure.roundTrip,
            reportedAt: wallTime(measure.at))
    }

    private func figures(of call: NGCall, _ leg: Leg) -> [LegStatistics] {
        var figures: [LegStatistics] = []
        for line in call.lines {
            if let medium = line.medium { figures.append(media.statistics[medium.taken.session.index, leg]) }
        }
        for ended in call.uncommon?.ended ?? [] { figures.append(ended[leg]) }
        return figures
    }

    /// - Parameter figures: of `figures(of:_:)`, present media first.
    private func media(of call: NGCall, _ leg: Leg, _ figures: [LegStatistics]) -> [NGCallReport.Medium] {
        var media: [NGCallReport.Medium] = []
        for line in call.lines {
            guard let medium = line.medium else { continue }
            let figures = figures[media.count]
            let stream = NGCallReport.Stream(
                local: medium.advertised(to: leg), advertised: line[leg]?.source.rtp, endpoint: figures.source,
                ssrc: figures.ssrc, lastPacket: figures.lastPacket.map(wallTime),
                traffic: NGTraffic(packets: figures.packets, octets: figures.octets))
            media.append(NGCallReport.Medium(kind: medium.kind, transport: medium.transport, rtp: stream))
        }
        return media
    }

    func serverReport(now: Instant) -> NGServerReport {
        var report = report
        report.sessions = calls.count
        report.uptime = now - startedAt
        let ended = report.regularlyEndedSessions + report.timedOutSessions + report.forcedEndedSessions
        if ended > 0 { report.averageCallDuration = report.totalCallDuration / Int(ended) }
        return report
    }

    // MARK: relayctl

    package var callCount: Int { calls.count }
    package var connectedCount: Int { calls.values.count { $0.answeredAt != nil } }
    package func stateCounts() -> [CallSummary.State: Int] {
        [.connected: connectedCount, .setup: callCount - connectedCount]
    }
    package var sessionCount: Int { callsBySession.count }

    /// Every call, oldest first.
    package func summaries(now: Instant) -> [CallSummary] {
        calls.values.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }.map { summary(of: $0, now: now) }
    }

    /// One call by its short id or its Call-ID.
    package func detail(_ id: String, now: Instant) -> CallDetail? {
        guard let call = calls[id] ?? calls.values.first(where: { $0.shortID == id }) else { return nil }
        var detail = CallDetail(
            summary: summary(of: call, now: now), caller: leg(.caller, of: call),
            callee: call.callee.tag == nil ? nil : leg(.callee, of: call))
        let further = call.lines.indices.filter { call.lines[$0].medium != nil }.dropFirst()
        if !further.isEmpty { detail.furtherMedia = further.map { furtherMedium($0, of: call, now: now) } }
        return detail
    }

    private func furtherMedium(_ index: Int, of call: NGCall, now: Instant) -> CallDetail.FurtherMedium {
        let line = call.lines[index]
        let medium = line.medium
        func party(_ leg: Leg) -> CallDetail.FurtherMedium.Party {
            let figures = medium.map { media.statistics[$0.taken.session.index, leg] } ?? LegStatistics()
            let announced = line[leg]
            return CallDetail.FurtherMedium.Party(
                figures, direction: announced?.source.direction.sdpName, relayAddress: medium?.advertised(to: leg),
                sdpAddress: announced?.source.rtp, lockedSource: figures.source, now: now)
        }
        return CallDetail.FurtherMedium(
            line: index + 1, kind: medium?.kind ?? "medium", isOpen: medium?.isOpen ?? false, caller: party(.caller), callee: party(.callee))
    }

    private func summary(of call: NGCall, now: Instant) -> CallSummary {
        CallSummary(
            id: call.shortID, state: call.answeredAt == nil ? .setup : .connected, callerNumber: call.caller.tag ?? "",
            calledNumber: call.callee.tag ?? "", callerTrunk: "ng", calleeTrunk: "ng", setupAt: wallTime(call.createdAt),
            answerAt: call.answeredAt.map(wallTime),
            durationSeconds: call.answeredAt.map { Int((now - $0).components.seconds) } ?? 0,
            fromCaller: media(.caller, of: call, now: now), fromCallee: media(.callee, of: call, now: now),
            call.noMedia.value, call.answeredAt == nil ? nil : (mediaState(.caller, of: call), mediaState(.callee, of: call)))
    }

    private func media(_ leg: Leg, of call: NGCall, now: Instant) -> CallSummary.Media {
        let figures = figures(of: call, leg)
        let silence = figures.compactMap(\.lastPacket).max().map { max(.zero, now - $0) }
        let sinceAnswer = call.answeredAt.map { max(.zero, now - $0) }
        let state: MediaState =
            call.answeredAt != nil && !call.sends(leg)
            ? .held : silence.map { $0 < .seconds(1) ? .flowing : .silent } ?? .waiting
        return CallSummary.Media(
            state: state, silenceSeconds: call.answeredAt == nil ? nil : (silence ?? sinceAnswer)?.inSeconds,
            packets: figures.reduce(0) { $0 + $1.packets }, figures.first ?? LegStatistics())
    }

    private func leg(_ leg: Leg, of call: NGCall) -> CallDetail.Leg {
        let figures = figures(of: call, leg)
        let side = call[leg]
        let first = call.firstMedium
        let source = call.source(of: leg)
        let proxy = SocketAddress(ip: call.proxy ?? .ipv4Loopback, port: 0)
        let kernelPackets = figures.reduce(0) { $0 + $1.kernelPackets }
        var detail = CallDetail.Leg(
            callID: call.id, localTag: call[leg.other].tag ?? "", remoteTag: side.tag,
            signallingAddress: source.map { SocketAddress(ip: $0.signalling, port: 0) } ?? proxy,
            relayAddress: first?.advertised(to: leg), sdpAddress: source?.rtp,
            lockedSource: figures.compactMap(\.source).first,
            packets: figures.reduce(0) { $0 + $1.packets }, octets: figures.reduce(0) { $0 + $1.octets },
            lost: figures.reduce(0) { $0 + $1.lost }, strangersDropped: figures.reduce(0) { $0 + $1.strangersDropped },
            // Of the first medium: figures of several do not add up.
            media: first.map { medium in
                MediaReport(
                    media.statistics[medium.taken.session.index, leg],
                    timeline: media.statistics.timeline(medium.taken.session.index, leg), wallTime)
            })
        if kernelPackets > 0 { detail.kernelPackets = kernelPackets }
        return detail
    }
}
