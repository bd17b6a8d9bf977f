import Core

/// What the media of an answered call tell.
struct MediaRules {
    /// Silence from here on is worth a word; below it is a pause.
    private static let noticeable = Duration.seconds(5)
    /// What happens within this belongs together.
    private static let together = Duration.seconds(3)
    /// From here on a share of lost packets is heard as such.
    private static let audibleLoss = 3.0

    private let boxedFacts: Boxed<CallFacts>
    private var facts: CallFacts { boxedFacts.value }
    /// Of both legs, oldest first.
    private let messages: [MessageFact]
    /// Else a diagnosis comes without `summary`.
    private let summarizes: Bool
    /// What it is called.
    private let carried: String

    init(_ facts: Boxed<CallFacts>, _ messages: [MessageFact], summarizes: Bool) {
        boxedFacts = facts
        self.messages = messages
        self.summarizes = summarizes
        carried = facts.value.caller.media?.isRTP == false || facts.value.callee?.media?.isRTP == false ? "fax" : "RTP"
    }

    /// What one direction did.
    private enum Course: Equatable {
        case fine
        /// On hold, or not wanted by the descriptions.
        case held
        /// The last packet was comfort noise: silence is meant.
        case quiet
        case never
        case died(Duration)
    }

    var diagnosis: Diagnosis? {
        guard let answered = facts.answeredAt, facts.isRelayed else { return nil }
        // A call must have lasted for its media to mean anything.
        guard facts.age - answered >= min(.seconds(3), limit) else { return endpointGone }
        let found: Diagnosis? =
            switch (course(.caller), course(.callee)) {
            case (.held, .held), (.held, .fine), (.fine, .held), (.held, .quiet), (.quiet, .held): held
            case (.never, .never): never
            case (.never, _): oneWay(.caller)
            case (_, .never): oneWay(.callee)
            case (.died(let caller), .died(let callee)): bothDied(caller: caller, callee: callee)
            case (.died(let time), let other): died(.caller, at: time, other: other)
            case (let other, .died(let time)): died(.callee, at: time, other: other)
            default: wrongFormat ?? endpointGone ?? wrongDigits ?? quality
            }
        guard var found else { return nil }
        found.evidence += summary
        return found
    }

    /// A line for each direction.
    var summary: [String] { facts.answeredAt == nil || !summarizes ? [] : [line(.caller), line(.callee)] }

    // MARK: One direction

    private var limit: Duration {
        guard facts.end?.cause == .noMedia, facts.noMediaTimeout > .zero else { return Self.noticeable }
        return min(Self.noticeable, facts.noMediaTimeout)
    }

    private func course(_ leg: Leg) -> Course {
        let stream = facts.stream(from: leg)
        guard stream.packets > 0, let last = stream.lastAt else { return stream.isExpected ? .never : .held }
        guard facts.age - last >= limit else { return .fine }
        if stream.isHeld { return .held }
        return stream.isInComfortNoise ? .quiet : .died(last)
    }

    private func line(_ leg: Leg) -> String {
        let stream = facts.stream(from: leg)
        guard stream.packets > 0, let last = stream.lastAt else {
            let strangers = stream.strangers > 0 ? "; \(stream.strangers) packets from strangers were dropped" : ""
            return "from the \(leg.name): no \(carried)\(stream.isHeld ? " (on hold)" : "")\(strangers)"
        }
        var parts = ["\(stream.packets) packets", "\(Self.percent(stream.lossPercent)) lost"]
        parts.append("jitter up to \(stream.highestJitter.milliseconds) ms")
        if let first = stream.firstAt { parts.append("from \(text(first)) to \(text(last))") } else { parts.append("the last at \(text(last))") }
        return "from the \(leg.name): " + parts.joined(separator: ", ")
    }

    static func percent(_ value: Double) -> String { value == 0 ? "0 %" : "\((value * 10).rounded() / 10) %" }

    static func list(_ formats: [MediaFacts.Format]) -> String {
        formats.isEmpty ? "none" : formats.map { format in format.name.map { "\($0) (\(format.number))" } ?? "\(format.number)" }.joined(separator: ", ")
    }

    // MARK: Hold

    private var held: Diagnosis? {
        let legs = Leg.allCases.filter { course($0) == .held }
        let since = legs.compactMap { facts.stream(from: $0).lastAt }.min() ?? facts.answeredAt ?? .zero
        let who = legs.count == 2 ? "both directions are" : "the \(legs[0].name) is"
        let silence = facts.age - since
        if let end = facts.end {
            guard end.cause == .noMedia else { return nil }
            return Diagnosis(
                .holdCut, "The call was on hold, and its silence of \(text(silence)) was taken for a dead call: it was cut for want of media.",
                evidence: ["by their SDP \(who) silent on purpose"], advice: "Raise the hold timeout, or the no-media timeout of this trunk.")
        }
        return Diagnosis(
            .onHold, "The call is on hold: no RTP for \(text(silence)), which both descriptions ask for. It is not cut for that.",
            evidence: ["by their SDP \(who) silent on purpose"])
    }

    // MARK: Never

    private var never: Diagnosis {
        let causes = Leg.allCases.compactMap { reason($0) }
        let talk = text(facts.age - (facts.answeredAt ?? .zero))
        if let first = causes.first {
            return Diagnosis(
                first.verdict, "No \(carried) came from either side in \(talk): \(first.clause).", evidence: causes.dropFirst().map(\.clause), advice: first.advice)
        }
        return Diagnosis(
            .noMedia, "No \(carried) came from either side in \(talk) after the answer.",
            evidence: addresses,
            advice: "Can both sides reach the relay's address and its media.ports by UDP? A firewall that lets only SIP through looks like this.")
    }

    /// One side never sent. Nothing is sent to a side that was never heard, so it hears nothing either.
    private func oneWay(_ leg: Leg) -> Diagnosis {
        let other = facts.stream(from: leg.other)
        let start = "No \(carried) ever came from the \(leg.name), while the \(leg.other.name) sent \(other.packets) packets"
        let hears = other.packets > 0 && facts.stream(from: leg).sent == 0
            ? " (none could be passed on: relayd sends to nobody it has not heard)" : ""
        if let reason = reason(leg) {
            return Diagnosis(reason.verdict, "\(start): \(reason.clause).", advice: reason.advice)
        }
        return Diagnosis(
            .oneWayFromStart, "\(start)\(hears): the call was one-way from the start.", evidence: addresses,
            advice: "Look at the \(leg.possessive) side: does it send at all, and does a firewall let UDP from it through to the relay's media.ports?")
    }

    private struct Reason {
        let verdict: CallVerdict
        let clause: String
        let advice: String
    }

    /// Why nothing was heard of a side, when there is a sign.
    private func reason(_ leg: Leg) -> Reason? {
        let stream = facts.stream(from: leg)
        guard stream.packets == 0, stream.isExpected, let party = facts.party(leg) else { return nil }
        if stream.strangers > 0 {
            return Reason(
                verdict: .mediaFromElsewhere,
                clause: "\(stream.strangers) packets came to the \(leg.possessive) port from an address that neither its SDP nor its SIP names",
                advice: "The \(leg.name) sends from another host than it says: correct the address in its SDP (media gateway, NAT with several addresses).")
        }
        if Lint.isRewritten(party) {
            return Reason(
                verdict: .sipALG,
                clause: "a SIP ALG on the \(leg.possessive) side rewrote its SDP to \(party.media?.connection.map(\.description) ?? "its outer address") and does not let the media through",
                advice: "Switch the SIP ALG of that router off.")
        }
        if let media = party.media, let connection = media.connection, Lint.isUnreachable(connection, from: party.address.ip) {
            return Reason(
                verdict: .privateMediaAddress,
                clause: "the \(leg.possessive) SDP names the private address \(connection) while its SIP comes from \(party.address.ip), and no packet opened its NAT",
                advice: "Give the \(leg.name) its public address (STUN, or its NAT setting), and see that it sends RTP first.")
        }
        return nil
    }

    private var addresses: [String] {
        Leg.allCases.compactMap { leg in
            guard let media = facts.party(leg)?.media else { return nil }
            return "the \(leg.possessive) SDP asks for \(carried) at \(media.connection?.description ?? "a host name") port \(media.port)"
        }
    }

    // MARK: Later

    private func bothDied(caller: Duration, callee: Duration) -> Diagnosis {
        if let gone = endpointGone { return gone }
        let first = min(caller, callee)
        if let lost = lostAfterReinvite(at: first) { return lost }
        let apart = max(caller, callee) - first
        if apart <= Self.together {
            let refused = Leg.allCases.first { facts.stream(from: $0).refusals > 0 }
            return Diagnosis(
                .mediaDied, "The \(carried) of both sides stopped together at \(text(first)), and \(text(facts.age - first)) of silence followed.",
                evidence: refused.map { [refusal($0)] } ?? [],
                advice: "Both at once points at what they share: this host's network, a firewall's session limit, or a call that was over and whose BYE got lost.")
        }
        let leg: Leg = caller < callee ? .caller : .callee
        if facts.stream(from: leg).refusals > 0 { return portClosed(leg, at: first) }
        return Diagnosis(
            .mediaDied, "The \(leg.possessive) \(carried) stopped at \(text(first)), the \(leg.other.possessive) \(text(apart)) later.",
            advice: "The \(leg.name) fell silent first: look at its side of the network.")
    }

    private func died(_ leg: Leg, at time: Duration, other: Course) -> Diagnosis? {
        if let gone = endpointGone { return gone }
        if facts.stream(from: leg).refusals > 0 { return portClosed(leg, at: time) }
        // Who holds may play music, and mostly plays none.
        if other == .held { return held }
        if let lost = lostAfterReinvite(at: time) { return lost }
        return Diagnosis(
            .oneWayLater, "The \(leg.possessive) \(carried) stopped at \(text(time)), and the call was one-way for the \(text(facts.age - time)) after that: the \(leg.other.name) heard nothing.",
            advice: "Look at what happened on the \(leg.possessive) side at that time: change of network, NAT that forgot the stream, endpoint without silence suppression in its SDP.")
    }

    private func portClosed(_ leg: Leg, at time: Duration) -> Diagnosis {
        Diagnosis(
            .portClosed, "The \(leg.possessive) \(carried) stopped at \(text(time)), and its host says that the port is closed (ICMP).",
            evidence: [refusal(leg)],
            advice: "The program that had the port is gone or the call is over for it, or a firewall rejects: look at \(facts.stream(from: leg).source?.description ?? "that host").")
    }

    private func refusal(_ leg: Leg) -> String {
        "\(facts.stream(from: leg).refusals) times \(facts.stream(from: leg).source?.ip.description ?? "its host") answered \(carried) with port unreachable"
    }

    private func lostAfterReinvite(at time: Duration) -> Diagnosis? {
        let change = messages.last { message in
            message.status == nil && !message.isRetransmission && [.invite, .update].contains(message.method)
                && message.at > facts.answeredAt ?? .zero && message.at <= time + .seconds(1) && time - message.at <= Self.together
        }
        guard let change else { return nil }
        return Diagnosis(
            .mediaLostAfterReinvite, "The media stopped at \(text(time)), right after the \(change.method == .invite ? "re-INVITE" : change.method.rawValue) of \(text(change.at)) changed the session.",
            evidence: addresses, advice: "Compare the addresses in the SDP before and after it: `relayctl trace --call ID`.")
    }

    /// Our BYE was repeated and never answered: whoever it was, it is not there any more.
    private var endpointGone: Diagnosis? {
        for leg in [Leg.caller, .callee] {
            let byes = messages.lazy.filter { $0.leg == leg && !$0.isReceived && $0.method == .bye && $0.status == nil }
            guard let first = byes.first, facts.unansweredBye.contains(leg) || byes.count >= 4,
                !messages.contains(where: { $0.leg == leg && $0.isReceived && $0.method == .bye })
            else { continue }
            let isRefused = facts.unreachable.contains { $0.method == "BYE" }
            var evidence = isRefused ? [] : ["BYE was sent to it for 32 s without an answer"]
            if let last = facts.stream(from: leg).lastAt { evidence.append("its last \(carried) came at \(text(last))") }
            if facts.stream(from: leg).refusals > 0 { evidence.append(refusal(leg)) }
            return Diagnosis(
                .endpointGone, "The \(leg.name) vanished without a BYE: neither \(carried) nor an answer to SIP came from it any more.", evidence: evidence,
                advice: "A crash, a power cut or a lost network at \(facts.party(leg)?.address.description ?? "its side"). Session timers end such calls too.",
                missing: MissingMessage(leg, received: true, "an answer to BYE", at: first.at))
        }
        return nil
    }

    // MARK: Media that come, and are of no use

    private var wrongFormat: Diagnosis? {
        for leg in [Leg.caller, .callee] {
            guard let found = Lint.foreignPayloadType(facts, leg) else { continue }
            return Diagnosis(
                .codecMismatch, "The \(leg.name) sends payload type \(found.number), which the \(leg.other.possessive) SDP does not have: the \(leg.other.name) cannot play it.",
                evidence: ["the \(leg.other.name) accepts \(Self.list(found.accepted))"],
                advice: "The \(leg.name) ignores the answer's codecs; restrict its list to one that both have.")
        }
        return nil
    }

    private var wrongDigits: Diagnosis? {
        for leg in [Leg.caller, .callee] {
            let stream = facts.stream(from: leg)
            guard let own = facts.party(leg)?.media, let other = facts.party(leg.other)?.media else { continue }
            if stream.telephoneEvents > 0, other.telephoneEvent == nil, !stream.areDigitsConverted {
                return Diagnosis(
                    .dtmfMismatch, "The \(leg.name) sent \(Self.digits(stream.telephoneEvents)) as telephone-event (RFC 4733), which the \(leg.other.possessive) SDP does not accept: they were not understood.",
                    advice: "Switch telephone-event on at the \(leg.other.name), or another DTMF mode at the \(leg.name).")
            }
            let refused = messages.filter { $0.leg == leg.other && $0.isReceived && $0.method == .info && $0.status ?? 0 >= 300 }
            if stream.areDigitsConverted, stream.telephoneEvents > 0, let refusal = refused.first?.status {
                return Diagnosis(
                    .dtmfMismatch, "The \(leg.name) sent \(Self.digits(stream.telephoneEvents)) as telephone-event; relayd sent them on by INFO, which the \(leg.other.name) refused (SIP \(refusal)).",
                    advice: "Set dtmf of the \(leg.other.possessive) trunk to \"telephone-event\" or \"passthrough\".")
            }
            if stream.infoDigits > 0, let refusal = refused.first?.status {
                return Diagnosis(
                    .dtmfMismatch, "The \(leg.name) sent \(Self.digits(stream.infoDigits)) by INFO, which the \(leg.other.name) refused (SIP \(refusal)).",
                    advice: "Set the \(leg.name) to telephone-event (RFC 4733).")
            }
            if stream.inBandDigits > 0, stream.telephoneEvents == 0, own.telephoneEvent != nil, other.telephoneEvent != nil {
                return Diagnosis(
                    .dtmfMismatch, "The \(leg.name) sent \(Self.digits(stream.inBandDigits)) as tones in the audio although both sides agreed on telephone-event: many systems listen to the latter only.",
                    advice: "Set the \(leg.possessive) DTMF mode to RFC 4733.")
            }
        }
        return nil
    }

    private static func digits(_ count: Int) -> String { count == 1 ? "1 digit" : "\(count) digits" }

    private var quality: Diagnosis? {
        for leg in [Leg.caller, .callee] {
            let stream = facts.stream(from: leg)
            guard stream.packets >= 100 else { continue }
            var trouble: [String] = []
            if stream.lossPercent >= Self.audibleLoss { trouble.append("\(Self.percent(stream.lossPercent)) of its packets were lost") }
            if stream.highestJitter >= .milliseconds(80) { trouble.append("its jitter went up to \(stream.highestJitter.milliseconds) ms") }
            if stream.longestGap >= .seconds(2) { trouble.append("it was interrupted for \(text(stream.longestGap))") }
            guard !trouble.isEmpty else { continue }
            return Diagnosis(
                .poorQuality, "What came from the \(leg.name) sounded bad to the \(leg.other.name): \(trouble.joined(separator: ", ")).",
                advice: "The loss is between \(stream.source?.ip.description ?? "the \(leg.name)") and relayd: look at that path.")
        }
        return nil
    }
}
