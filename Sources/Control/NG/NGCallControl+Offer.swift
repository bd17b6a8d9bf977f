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
            return .ok(sdp: Array(request.sdp ?? []), warnings: request.warnings)  // it has been here already
        }
        let call: NGCall
        if let present = calls[id] {
            call = present
        } else {
            guard !isDraining, calls.count < configuration.limits.calls else {
                report.rejectedSessions += 1
                return .sessionLimit(supportsLoadLimit: request.supportsLoadLimit)
            }
            report.managedSessions += 1
            call = NGCall(id: id, shortID: random.token(count: 8), client: exchange.client, noMedia: noMedia, now: now)
            calls[id] = call
            emit(.callSetup, for: call, ["from": fromTag, "client": exchange.client.ip?.description ?? ""], now: now)
        }
        let leg = register(fromTag, request.toTag, isOffer: true, in: call, request, now: now)
        call.offeredMultiplexing = request.multiplexing
        if request.toTag == nil, let branch = request.viaBranch, !call.viaBranches.contains(branch) {
            call.viaBranches.append(branch)
        }
        if let callback = request.xmlrpcCallback { call.callback = callback }
        let warnings = request.warnings(and: applyRecording(request, to: call, now: now), notHonoured(request))
        if let shortage = takeSessions(for: description, request, leg, in: call, now: now) {
            report.rejectedSessions += 1
            if call.answeredAt == nil, call.pending.isEmpty { close(call, cause: "ports_exhausted", now: now) }
            return shortage == .ports ? .outOfPorts : .sessionLimit(supportsLoadLimit: request.supportsLoadLimit)
        }
        return reply(to: request, description, leg, warnings, exchange, in: call, now: now)
    }

    // MARK: Answer

    mutating func answer(_ request: NGRequest, _ exchange: NGExchange, now: Instant) throws(NGErrorReason) -> NGReply? {
        guard let id = request.callID else { throw .noCallID }
        guard let fromTag = request.fromTag else { throw .noFromTag }
        guard let toTag = request.toTag else { throw .noToTag }
        let description = try Self.description(of: request)
        guard let call = calls[id] else { throw .unknownCall }
        let leg = register(toTag, fromTag, isOffer: false, in: call, request, now: now)
        let warnings = request.warnings(and: applyRecording(request, to: call, now: now), notHonoured(request))
        return reply(to: request, description, leg, warnings, exchange, in: call, now: now)
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
    private func register(
        _ tag: String, _ otherTag: String?, isOffer: Bool, in call: NGCall, _ request: NGRequest, now: Instant
    ) -> Leg {
        let known = call.legsByTag[tag]
        let others = otherTag.flatMap { call.legsByTag[$0] }
        let leg = known ?? others?.other ?? (isOffer ? .caller : .callee)
        if known == nil { call.legsByTag[tag] = leg }
        // Within a dialog it is known who the other one is before it has said a word.
        if let otherTag, others == nil { call.legsByTag[otherTag] = leg.other }
        call[leg].tag = tag
        if call[leg].since == nil { call[leg].since = now }
        if let label = request.label { call[leg].label = label }
        call.lastSignal = now
        // Whatever branches a deleted offer had are gone.
        if call.deleteAt != nil, isOffer { call.viaBranches = [] }
        call.deleteAt = nil
        call.deletedAt = nil
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
        for description: SessionDescription, _ request: NGRequest, _ leg: Leg, in call: NGCall, now: Instant
    ) -> MediaSessions.Shortage? {
        let isMissing = description.media.indices.map { index in
            (index >= call.media.count || call.media[index] == nil) && description.media[index].port != 0
                && index < Self.maximumMedia && description.media[index].isRelayable
        }
        while call.media.count < description.media.count { call.media.append(nil) }
        guard isMissing.contains(true) else { return nil }
        let ownFamily = description.media.first { $0.port != 0 }?.connection?.family ?? .ipv4
        let known = call[leg.other].announced.lazy.compactMap(\.self).first?.source.rtp.ip.family
        let own = interface(request.routing.fromInterface ?? request.routing.interface, ownFamily)
        let other = interface(
            request.routing.toInterface ?? request.routing.interface, request.routing.addressFamily ?? known ?? ownFamily)
        for (index, described) in description.media.enumerated() where isMissing[index] {
            let (caller, callee) = leg == .caller ? (own, other) : (other, own)
            switch media.take(caller: caller.value.address, callee: callee.value.address, now: now) {
            case .failure(let shortage):
                for index in 0..<index where isMissing[index] {
                    if let medium = call.media[index] { media.giveBackUnused(medium.taken, now: now) }
                    call.media[index] = nil
                }
                return shortage
            case .success(let taken):
                call.media[index] = NGCall.Medium(
                    kind: described.kind, transport: described.transport, taken: taken, callerInterface: caller,
                    calleeInterface: callee)
            }
        }
        for index in isMissing.indices where isMissing[index] {
            if let medium = call.media[index] { open(medium.taken, medium, for: call) }
        }
        return nil
    }

    /// The interface of that name, and of that family if it has one; the default one for a name nobody knows, as a
    /// proxy's typo must not cost calls.
    private func interface(_ name: String?, _ family: IPAddress.Family) -> Boxed<MediaInterface> {
        let first = interfaces[0]
        guard interfaces.count > 1 else { return first }
        let name = interfaces.contains { $0.value.name == name } ? name : first.value.name
        let named = interfaces.filter { $0.value.name == name }
        return named.first { $0.value.address.family == family } ?? named[0]
    }

    // MARK: The reply, once there are sockets

    /// - Returns: nil when sockets are waited for.
    private mutating func reply(
        to request: NGRequest, _ description: SessionDescription, _ leg: Leg, _ warnings: [String], _ exchange: NGExchange,
        in call: NGCall, now: Instant
    ) -> NGReply? {
        guard call.isOpen, call.pending.isEmpty else {
            call.pending.append(
                NGCall.Pending(exchange: exchange, request: request, description: description, leg: leg, warnings: warnings))
            finishPending(call, now: now)
            return nil
        }
        let sdp = describe(description, request, leg, in: call, now: now)
        schedule(call, now: now)
        return .ok(sdp: sdp, warnings: warnings)
    }

    mutating func finishPending(_ call: NGCall, now: Instant) {
        guard !call.pending.isEmpty, call.isOpen else { return }
        let pending = call.pending
        call.pending = []
        for one in pending {
            let sdp = describe(one.description, one.request, one.leg, in: call, now: now)
            finish(one.exchange, .ok(sdp: sdp, warnings: one.warnings))
        }
        schedule(call, now: now)
    }

    /// Takes in what one side announces, tells the relay, and writes what the other side is told.
    private mutating func describe(
        _ description: SessionDescription, _ request: NGRequest, _ leg: Leg, in call: NGCall, now: Instant
    ) -> [UInt8] {
        let isAnswer = request.command == .answer
        call[leg].described = description.octets
        let before = call[leg].announced
        call[leg].announced = description.media.indices.map { index in
            let medium = description.media[index]
            guard index < call.media.count, call.media[index] != nil, medium.port != 0 else { return nil }
            var announced = Self.announced(medium, request, opensAtOnce: configuration.ng.mediaBeforeLock)
            announced.isRTCPMuxed = index < before.count ? before[index]?.isRTCPMuxed ?? false : false
            return announced
        }
        let offererMuxed = call.answeredAt == nil ? [] : call[leg.other].announced.map { $0?.isRTCPMuxed }
        if isAnswer {
            endMedia(of: call)
            agreeOnMultiplexing(answeredBy: leg, call)
        }
        let sdp = write(description, request, leg, isAnswer: isAnswer, call)
        let isFirstAnswer = isAnswer && call.answeredAt == nil
        if isFirstAnswer { call.answeredAt = now }
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

    /// What the other side is told.
    private func write(
        _ description: SessionDescription, _ request: NGRequest, _ leg: Leg, isAnswer: Bool, _ call: NGCall
    ) -> [UInt8] {
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
        return call[leg].history.write(writer, replacements: request.replacements)
    }

    /// Gives back what both sides say port 0 of. One that the callee alone declines stays: another branch of a fork may take it.
    private mutating func endMedia(of call: NGCall) {
        for index in call.media.indices {
            guard let medium = call.media[index], medium.isOpen,
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
    private func agreeOnMultiplexing(answeredBy leg: Leg, _ call: NGCall) {
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
        for index in 0..<min(call.media.count, call[leg].announced.count) {
            guard let medium = call.media[index], let announced = call[leg].announced[index] else { continue }
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
