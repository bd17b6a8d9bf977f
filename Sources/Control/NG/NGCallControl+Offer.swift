import Configuration
import ControlProtocol
import Core
import NG
import RTP
import Relay
import SIP

/// `offer` and `answer`: descriptions in, the relay's addresses out (NG.md §2-4 of rtpengine's protocol).
extension NGCallControl {
    // MARK: Offer

    mutating func offer(_ request: NGRequest, _ exchange: NGExchange, now: Instant) throws(NGErrorReason) -> NGReply? {
        guard let id = request.callID else { throw .noCallID }
        guard let fromTag = request.fromTag else { throw .noFromTag }
        let description = try Self.description(of: request)
        if request.isLoopProtected, NGDescription.isMarked(description, by: loopName) {
            return .ok(sdp: request.sdp ?? [], warnings: request.warnings)  // it has been here already
        }
        if calls[id] == nil {
            guard !isDraining, calls.count < configuration.limits.calls else {
                report.rejectedSessions += 1
                return .sessionLimit(supportsLoadLimit: request.supportsLoadLimit)
            }
            report.managedSessions += 1
            let call = NGCall(id: id, shortID: random.token(count: 8), client: exchange.client, noMedia: NoMediaRule(configuration), now: now)
            calls[id] = call
            emit(.callSetup, for: call, ["from": fromTag, "client": exchange.client.ip?.description ?? ""], now: now)
        }
        let leg = register(fromTag, request.toTag, isOffer: true, in: id, request, now: now)
        calls[id]?.offeredMultiplexing = request.multiplexing
        if request.toTag == nil, let branch = request.viaBranch { calls[id]?.viaBranches.insert(branch) }
        if let callback = request.xmlrpcCallback { calls[id]?.callback = callback }
        var request = request
        for warning in applyRecording(request, to: id, now: now) + notHonoured(request) { request.warn(warning) }
        if let shortage = takeSessions(for: description, request, leg, in: id, now: now) {
            report.rejectedSessions += 1
            if calls[id]?.answeredAt == nil, calls[id]?.pending.isEmpty ?? true { close(id, cause: "ports_exhausted", now: now) }
            return shortage == .ports ? .outOfPorts : .sessionLimit(supportsLoadLimit: request.supportsLoadLimit)
        }
        return later(NGCall.Pending(exchange: exchange, request: request, description: description, leg: leg), id, now: now)
    }

    // MARK: Answer

    mutating func answer(_ request: NGRequest, _ exchange: NGExchange, now: Instant) throws(NGErrorReason) -> NGReply? {
        guard let id = request.callID else { throw .noCallID }
        guard let fromTag = request.fromTag else { throw .noFromTag }
        guard let toTag = request.toTag else { throw .noToTag }
        let description = try Self.description(of: request)
        guard calls[id] != nil else { throw .unknownCall }
        let leg = register(toTag, fromTag, isOffer: false, in: id, request, now: now)
        var request = request
        for warning in applyRecording(request, to: id, now: now) + notHonoured(request) { request.warn(warning) }
        return later(NGCall.Pending(exchange: exchange, request: request, description: description, leg: leg), id, now: now)
    }

    private static func description(of request: NGRequest) throws(NGErrorReason) -> SessionDescription {
        guard let sdp = request.sdp, !sdp.isEmpty else { throw .noSDP }
        do throws(SDPError) {
            return try SessionDescription(parsing: sdp)
        } catch {
            throw .badSDP
        }
    }

    /// Finds the leg of the side that speaks, and remembers both tags. Signalling takes a deletion back.
    private mutating func register(
        _ tag: String, _ otherTag: String?, isOffer: Bool, in id: String, _ request: NGRequest, now: Instant
    ) -> Leg {
        let legs = calls[id]?.legsByTag ?? [:]
        let leg = legs[tag] ?? otherTag.flatMap { legs[$0]?.other } ?? (isOffer ? .caller : .callee)
        calls[id]?.legsByTag[tag] = leg
        // Within a dialog it is known who the other one is before it has said a word.
        if let otherTag, legs[otherTag] == nil { calls[id]?.legsByTag[otherTag] = leg.other }
        calls[id]?[leg].tag = tag
        if calls[id]?[leg].since == nil { calls[id]?[leg].since = now }
        if let label = request.label { calls[id]?[leg].label = label }
        calls[id]?.lastSignal = now
        // Whatever branches a deleted offer had are gone.
        if calls[id]?.deleteAt != nil, isOffer { calls[id]?.viaBranches = [] }
        calls[id]?.deleteAt = nil
        calls[id]?.deletedAt = nil
        return leg
    }

    /// What a proxy asks for and does not get, because it would let strangers hear or say something, or is not built.
    private func notHonoured(_ request: NGRequest) -> [String] {
        var warnings: [String] = []
        if request.source.allowsHandover {
            warnings.append("media-handover ignored: a source changes with a new description, or its port after 2 s of silence")
        }
        if let latching = request.source.portLatching {
            warnings.append(
                "\(latching ? "" : "no-")port-latching ignored: a learnt source stays while the description names one address")
        }
        if request.source.learning == .immediate {
            warnings.append("endpoint-learning immediate ignored: a source no description names is learnt from 6 packets in a row")
        }
        if let tos = request.routing.tos, tos != configuration.media.typeOfService {
            warnings.append("TOS ignored: every call has media.type_of_service \(configuration.media.typeOfService)")
        }
        return warnings
    }

    // MARK: Sessions

    /// A session for each medium that needs one and has none. Taken together: with one missing, all go back.
    private mutating func takeSessions(
        for description: SessionDescription, _ request: NGRequest, _ leg: Leg, in id: String, now: Instant
    ) -> MediaSessions.Shortage? {
        let ownFamily = description.media.first { $0.port != 0 }?.connection?.family ?? .ipv4
        let known = calls[id]?[leg.other].announced.lazy.compactMap(\.self).first?.source.rtp.ip.family
        let own = interface(request.routing.fromInterface ?? request.routing.interface, ownFamily)
        let other = interface(
            request.routing.toInterface ?? request.routing.interface, request.routing.addressFamily ?? known ?? ownFamily)
        var media = calls[id]?.media ?? []
        var fresh: [Int] = []
        for (index, described) in description.media.enumerated() {
            if index >= media.count { media.append(nil) }
            guard media[index] == nil, described.port != 0, described.isRelayable, index < Self.maximumMedia else { continue }
            switch self.media.take(now: now) {
            case .failure(let shortage):
                for index in fresh { media[index].map { self.media.giveBackUnused($0.taken) } }
                return shortage
            case .success(let taken):
                media[index] = NGCall.Medium(
                    kind: described.kind, transport: described.transport, taken: taken,
                    callerInterface: leg == .caller ? own : other, calleeInterface: leg == .caller ? other : own)
                fresh.append(index)
            }
        }
        calls[id]?.media = media
        for index in fresh {
            if let medium = media[index] { open(medium.taken, medium, for: id) }
        }
        return nil
    }

    /// The interface of that name, and of that family if it has one; the default one for a name nobody knows, as a
    /// proxy's typo must not cost calls.
    private func interface(_ name: String?, _ family: IPAddress.Family) -> MediaInterface {
        let all = configuration.mediaInterfaces
        let name = all.contains { $0.name == name } ? name : all[0].name
        let named = all.filter { $0.name == name }
        return named.first { $0.address.family == family } ?? named[0]
    }

    // MARK: The reply, once there are sockets

    private mutating func later(_ pending: NGCall.Pending, _ id: String, now: Instant) -> NGReply? {
        calls[id]?.pending.append(pending)
        finishPending(id, now: now)
        return nil
    }

    mutating func finishPending(_ id: String, now: Instant) {
        guard let call = calls[id], call.isOpen, !call.pending.isEmpty else { return }
        calls[id]?.pending = []
        for pending in call.pending {
            let sdp = describe(pending, in: id, now: now)
            finish(pending.exchange, .ok(sdp: sdp, warnings: pending.request.warnings))
        }
        schedule(id, now: now)
    }

    /// Takes in what one side announces, tells the relay, and writes what the other side is told.
    private mutating func describe(_ pending: NGCall.Pending, in id: String, now: Instant) -> [UInt8] {
        guard var call = calls[id] else { return [] }
        let (request, description, leg) = (pending.request, pending.description, pending.leg)
        let isAnswer = request.command == .answer
        call[leg].described = Array(request.sdp ?? [])
        call[leg].announced = description.media.enumerated().map { index, medium in
            guard index < call.media.count, call.media[index] != nil, medium.port != 0 else { return nil }
            var announced = Self.announced(medium, request, opensAtOnce: configuration.ng.mediaBeforeLock)
            let before = index < call[leg].announced.count ? call[leg].announced[index] : nil
            announced.isRTCPMuxed = before?.isRTCPMuxed ?? false
            return announced
        }
        let offererMuxed = call[leg.other].announced.map { $0?.isRTCPMuxed }
        if isAnswer {
            endMedia(of: &call)
            agreeOnMultiplexing(answeredBy: leg, &call)
        }
        let instructions: [NGDescription.MediaInstruction] = description.media.indices.map { index in
            guard index < call.media.count, let medium = call.media[index] else { return .reject }
            let hasMux = multiplexes(index, description.media[index], isAnswer: isAnswer, leg, call)
            var address = medium.advertised(to: leg.other)
            if let other = request.routing.mediaAddress { address.ip = other }
            let isRequired = !isAnswer && request.multiplexing.contains(.require)
            return .relay(
                NGDescription.Addresses(
                    rtp: address, rtcpPort: isRequired || (isAnswer && hasMux) ? address.port : address.port + 1,
                    hasRTCPMux: hasMux))
        }
        var writer = NGDescription(description, media: instructions)
        writer.codecs = request.codecs
        writer.transport = request.routing.transport
        writer.rtcpAttribute = request.rtcpAttribute
        writer.replacesZeroAddress = request.replacements.contains(.zeroAddress)
        writer.loopProtection = request.isLoopProtected ? loopName : nil
        let sdp = call[leg].history.write(writer, replacements: request.replacements)
        let isFirstAnswer = isAnswer && call.answeredAt == nil
        if isFirstAnswer { call.answeredAt = now }
        calls[id] = call
        // The first offer alone leads nowhere: its side does not know our address yet. From then on each side's word
        // counts at once.
        if call.answeredAt != nil {
            expect(leg, call)
            if isFirstAnswer {
                expect(leg.other, call)
                restrict(call)
                emit(.callAnswered, for: call, now: now)
            } else {
                if call[leg.other].announced.map({ $0?.isRTCPMuxed }) != offererMuxed { expect(leg.other, call) }
                restrict(call)
            }
        }
        return sdp
    }

    /// Gives back what both sides say port 0 of. One that the callee alone declines stays: another branch of a fork may take it.
    private mutating func endMedia(of call: inout NGCall) {
        for (index, medium) in call.media.enumerated() {
            guard let medium, medium.isOpen,
                Leg.allCases.allSatisfy({ index >= call[$0].announced.count || call[$0].announced[index] == nil })
            else { continue }
            let session = medium.taken.session
            if call.ended.count < NGCall.endedLimit {
                call.ended.append(
                    NGCall.Ended(
                        fromCaller: media.statistics[session.index, .caller], fromCallee: media.statistics[session.index, .callee]))
            }
            call.media[index] = nil
            callsBySession[session] = nil
            closing[session] = medium.taken
            output(.close(session))
        }
    }

    /// Whether the description that goes out says `a=rtcp-mux`.
    private func multiplexes(
        _ index: Int, _ medium: SessionDescription.Media, isAnswer: Bool, _ leg: Leg, _ call: NGCall
    ) -> Bool {
        guard isAnswer else { return call.offeredMultiplexing.offered(toCalleeWhen: medium.hasRTCPMux) != .no }
        let offered = call[leg.other].announced
        let hasOffered = index < offered.count && offered[index]?.hasRTCPMux == true
        return call.offeredMultiplexing.answers(callerWhen: hasOffered, calleeAnswered: medium.hasRTCPMux)
    }

    /// RTP and RTCP share a port where a side and relayd both said so (RFC 5761 §5.1.1).
    private func agreeOnMultiplexing(answeredBy leg: Leg, _ call: inout NGCall) {
        for index in call[leg].announced.indices {
            guard let answered = call[leg].announced[index], index < call[leg.other].announced.count,
                let offered = call[leg.other].announced[index]
            else { continue }
            let rules = call.offeredMultiplexing
            call[leg].announced[index]?.isRTCPMuxed =
                answered.hasRTCPMux && rules.offered(toCalleeWhen: offered.hasRTCPMux) != .no
            call[leg.other].announced[index]?.isRTCPMuxed =
                rules.answers(callerWhen: offered.hasRTCPMux, calleeAnswered: answered.hasRTCPMux)
        }
    }

    /// Tells the relay where the media of `leg` come from now.
    private mutating func expect(_ leg: Leg, _ call: NGCall) {
        for (index, (medium, announced)) in zip(call.media, call[leg].announced).enumerated() {
            guard let medium, let announced else { continue }
            var source = announced.source
            source.isRTCPMuxed = announced.isRTCPMuxed
            // Sent with the numbers that the other side chose, where it has (RFC 3264 §5.1).
            if index < call[leg.other].announced.count, let other = call[leg.other].announced[index] {
                source.formats = other.source.formats
                source.formats.fill(from: announced.source.formats)
            }
            output(.expect(medium.taken.session, leg, source))
        }
    }

    private static func announced(
        _ medium: SessionDescription.Media, _ request: NGRequest, opensAtOnce: Bool
    ) -> NGCall.Announced {
        var address = medium.rtpAddress ?? SocketAddress(ip: request.receivedFrom ?? .ipv4Any, port: medium.port)
        var rtcp = medium.rtcpAddress ?? SocketAddress(ip: address.ip, port: address.port &+ 1)
        if let source = request.receivedFrom, !request.source.trustsAddress || address.ip.isUnspecified {
            address.ip = source
            rtcp.ip = source
        }
        let isHeldByAddress = medium.connection?.isUnspecified ?? false
        let sends = medium.direction == .sendrecv || medium.direction == .sendonly
        let receives = medium.direction == .sendrecv || medium.direction == .recvonly
        var telephoneEvents: PayloadTypes = []
        for payload in medium.payloads where payload.isTelephoneEvent { telephoneEvents.insert(payload.number) }
        var options: SourceOptions = []
        if request.source.isAsymmetric { options.insert(.asymmetric) }
        if request.source.learning == .off { options.insert(.announcedOnly) }
        if opensAtOnce || request.source.opensAtOnce { options.insert(.opensAtOnce) }
        var source = ExpectedSource(
                rtp: address, rtcp: rtcp, signalling: request.receivedFrom ?? address.ip,
                transport: medium.isRTP ? .rtp : .datagram, direction: MediaDirection(medium.direction),
                formats: PayloadFormats(medium))
        source.options = options
        return NGCall.Announced(
            source: source,
            hasRTCPMux: medium.hasRTCPMux, sends: sends && !isHeldByAddress, receives: receives && !isHeldByAddress,
            suppressesSilence: SilenceSuppression.isOffered(by: medium), telephoneEvents: telephoneEvents)
    }
}
