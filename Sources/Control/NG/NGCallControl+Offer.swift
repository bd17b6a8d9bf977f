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
            call = NGCall(id: id, shortID: random.token(count: 8), proxy: exchange.client.ip, noMedia: noMedia, now: now)
            calls[id] = call
            emit(.callSetup, for: call, ["from": fromTag, "client": exchange.client.ip?.description ?? ""], now: now)
        }
        let leg = register(fromTag, request.toTag, isOffer: true, in: call, request, now: now)
        call.offeredMultiplexing = request.multiplexing
        if request.toTag == nil, let branch = request.viaBranch, !call.viaBranches.contains(branch) {
            call.viaBranches.append(branch)
        }
        if let callback = request.xmlrpcCallback { call.makeUncommon().callback = callback }
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
        let known = call.leg(of: tag)
        let others = otherTag.flatMap { call.leg(of: $0) }
        let leg = known ?? others?.other ?? (isOffer ? .caller : .callee)
        // Within a dialog it is known who the other one is before it has said a word.
        if let otherTag, others == nil, otherTag != tag { call.makeUncommon()[leg.other].furtherTags.append(otherTag) }
        call.heard(tag, on: leg)
        if call[leg].since == nil { call[leg].since = now }
        if let label = request.label { call.makeUncommon()[leg].label = label }
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
            (index >= call.lines.count || call.lines[index].medium == nil) && description.media[index].port != 0
                && index < Self.maximumMedia && description.media[index].isRelayable
        }
        while call.lines.count < description.media.count { call.lines.append(NGCall.Line()) }
        guard isMissing.contains(true) else { return nil }
        let ownFamily = description.media.first { $0.port != 0 }?.connection?.family ?? .ipv4
        let known = call.source(of: leg.other)?.rtp.ip.family
        let own = interface(request.routing.fromInterface ?? request.routing.interface, ownFamily)
        let other = interface(
            request.routing.toInterface ?? request.routing.interface, request.routing.addressFamily ?? known ?? ownFamily)
        for (index, described) in description.media.enumerated() where isMissing[index] {
            let (caller, callee) = leg == .caller ? (own, other) : (other, own)
            switch media.take(caller: caller.value.address, callee: callee.value.address, now: now) {
            case .failure(let shortage):
                for index in 0..<index where isMissing[index] {
                    if let medium = call.lines[index].medium { media.giveBackUnused(medium.taken, now: now) }
                    call.lines[index].medium = nil
                }
                return shortage
            case .success(let taken):
                call.lines[index].medium = NGCall.Medium(
                    traits: traits(of: described, caller: caller, callee: callee), taken: taken)
            }
        }
        for index in isMissing.indices where isMissing[index] {
            if let medium = call.lines[index].medium { open(medium.taken, medium, for: call) }
        }
        return nil
    }

    /// Those that a medium like it had already, or new ones.
    private mutating func traits(
        of described: SessionDescription.Media, caller: Boxed<MediaInterface>, callee: Boxed<MediaInterface>
    ) -> Boxed<NGCall.Traits> {
        let known = knownTraits.last { known in
            known.value.callerInterface === caller && known.value.calleeInterface === callee
                && known.value.kind == described.kind && known.value.transport == described.transport
        }
        if let known { return known }
        let traits = Boxed(
            NGCall.Traits(
                kind: described.kind, transport: described.transport, callerInterface: caller, calleeInterface: callee))
        if knownTraits.count == Self.knownTraitsLimit { knownTraits.removeFirst() }
        knownTraits.append(traits)
        return traits
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
        let former = call[leg].described
        call[leg].described = description.octets
        call[leg].describedLines = UInt8(description.media.count)
        for index in call.lines.indices {
            guard index < description.media.count, call.lines[index].medium != nil, description.media[index].port != 0 else {
                call.lines[index][leg] = nil
                continue
            }
            var announced = Self.announced(description.media[index], request, opensAtOnce: configuration.ng.mediaBeforeLock)
            announced.source.isRTCPMuxed = call.lines[index][leg]?.source.isRTCPMuxed ?? false
            call.lines[index][leg] = announced
        }
        let offererMuxed = call.answeredAt == nil ? [] : call.lines.map { $0[leg.other]?.source.isRTCPMuxed }
        if isAnswer {
            endMedia(of: call)
            agreeOnMultiplexing(answeredBy: leg, call)
        }
        let sdp = write(description, after: former, request, leg, isAnswer: isAnswer, call)
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
                if call.lines.map({ $0[leg.other]?.source.isRTCPMuxed }) != offererMuxed { expect(leg.other, call) }
                restrict(call)
            }
        }
        return sdp
    }

    /// What the other side is told.
    ///
    /// - Parameter former: what this side's description was before; empty when this is its first one.
    private func write(
        _ description: SessionDescription, after former: [UInt8], _ request: NGRequest, _ leg: Leg, isAnswer: Bool, _ call: NGCall
    ) -> [UInt8] {
        let instructions: [NGDescription.MediaInstruction] = description.media.indices.map { index in
            guard index < call.lines.count, let medium = call.lines[index].medium else { return .reject }
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
        var history = call.uncommon?[leg].history?.value ?? NGOriginHistory(of: former)
        let sdp = history.write(writer, replacements: request.replacements)
        if !history.isOfOneDescription { call.makeUncommon()[leg].history = Boxed(history) }
        return sdp
    }

    /// Gives back what both sides say port 0 of. One that the callee alone declines stays: another branch of a fork may take it.
    private mutating func endMedia(of call: NGCall) {
        for index in call.lines.indices {
            guard call.lines[index][.caller] == nil, call.lines[index][.callee] == nil, let medium = call.lines[index].medium,
                medium.isOpen
            else { continue }
            let session = medium.taken.session
            let uncommon = call.makeUncommon()
            if uncommon.ended.count < NGCall.Uncommon.endedLimit {
                uncommon.ended.append(
                    NGCall.Ended(
                        fromCaller: media.statistics[session.index, .caller], fromCallee: media.statistics[session.index, .callee]))
            }
            call.lines[index].medium = nil
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
        let hasOffered = index < call.lines.count && call.lines[index][leg.other]?.hasRTCPMux == true
        return call.offeredMultiplexing.answers(callerWhen: hasOffered, calleeAnswered: medium.hasRTCPMux)
    }

    /// RTP and RTCP share a port where a side and relayd both said so (RFC 5761 §5.1.1).
    private func agreeOnMultiplexing(answeredBy leg: Leg, _ call: NGCall) {
        let rules = call.offeredMultiplexing
        for index in call.lines.indices {
            guard let answered = call.lines[index][leg], let offered = call.lines[index][leg.other] else { continue }
            call.lines[index][leg]?.source.isRTCPMuxed =
                answered.hasRTCPMux && rules.offered(toCalleeWhen: offered.hasRTCPMux) != .no
            call.lines[index][leg.other]?.source.isRTCPMuxed =
                rules.answers(callerWhen: offered.hasRTCPMux, calleeAnswered: answered.hasRTCPMux)
        }
    }

    /// Tells the relay where the media of `leg` come from now.
    private mutating func expect(_ leg: Leg, _ call: NGCall) {
        for index in call.lines.indices {
            guard let session = call.lines[index].medium?.taken.session, var source = call.lines[index][leg]?.source else { continue }
            // Sent with the numbers that the other side chose, where it has (RFC 3264 §5.1).
            if let formats = call.lines[index][leg.other]?.source.formats {
                let own = source.formats
                source.formats = formats
                source.formats.fill(from: own)
            }
            output(.expect(session, leg, source))
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
            telephoneEvents: telephoneEvents, source: source, hasRTCPMux: medium.hasRTCPMux, sends: sends && !isHeldByAddress,
            receives: receives && !isHeldByAddress, suppressesSilence: SilenceSuppression.isOffered(by: medium))
    }
}
