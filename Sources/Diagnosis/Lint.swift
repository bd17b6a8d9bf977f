package import Core

/// Something about a call that is wrong or unwise, whether or not it did harm this time.
package struct Lint: Equatable, Sendable {
    package enum Code: String, CaseIterable, Sendable {
        case privateMediaAddress = "private_media_address"
        case privateContact = "private_contact"
        case sipALG = "sip_alg"
        case noCommonCodec = "no_common_codec"
        case payloadType = "payload_type"
        case telephoneEvent = "telephone_event"
        case sessionExpires = "session_expires"
        case slowRinging = "slow_ringing"
        case lateMedia = "late_media"
        case strangers
        case portClosed = "port_closed"
        case repeatedMessages = "repeated_messages"
    }

    package var code: Code
    /// Nil when it concerns both.
    package var leg: Leg?
    package var sentence: String

    package init(_ code: Code, _ leg: Leg?, _ sentence: String) {
        self.code = code
        self.leg = leg
        self.sentence = sentence
    }

    package static func all(_ facts: CallFacts, _ messages: [MessageFact]) -> [Lint] {
        Leg.allCases.flatMap { addresses(facts, $0) } + formats(facts) + Leg.allCases.flatMap { media(facts, $0) }
            + times(facts, messages)
    }

    /// A private address that whoever sends from `source` cannot be reached at from outside.
    static func isUnreachable(_ address: IPAddress, from source: IPAddress) -> Bool {
        address.isPrivate && !address.isUnspecified && !source.isPrivate
    }

    /// The outer address where the endpoint itself knows an inner one only: somebody on the way wrote it there.
    static func isRewritten(_ party: PartyFacts) -> Bool {
        let outer = party.address.ip
        guard !outer.isPrivate, party.media?.connection == outer || party.contact?.ip == outer else { return false }
        let inner = [party.via, party.origin].compactMap(\.self)
        return inner.contains { isUnreachable($0, from: outer) }
    }

    /// A payload type that the other side did not list. Comfort noise needs no listing (RFC 3389 §4).
    static func foreignPayloadType(_ facts: CallFacts, _ leg: Leg) -> (number: UInt8, accepted: [MediaFacts.Format])? {
        guard let number = facts.stream(from: leg).payloadType, number != 13, let formats = facts.party(leg.other)?.media?.formats,
            !formats.isEmpty, !formats.contains(where: { $0.number == number })
        else { return nil }
        return (number, formats)
    }

    private static func addresses(_ facts: CallFacts, _ leg: Leg) -> [Lint] {
        guard let party = facts.party(leg) else { return [] }
        var lints: [Lint] = []
        let source = party.address.ip
        if let connection = party.media?.connection, isUnreachable(connection, from: source) {
            lints.append(Lint(.privateMediaAddress, leg, "The \(leg.possessive) SDP has the private address \(connection), and its SIP comes from \(source): it is behind NAT, and hears nothing before it sends."))
        }
        if let contact = party.contact, isUnreachable(contact.ip, from: source) {
            lints.append(Lint(.privateContact, leg, "The \(leg.possessive) Contact is the private address \(contact); relayd answers to \(source) instead."))
        }
        if isRewritten(party) {
            lints.append(Lint(.sipALG, leg, "The \(leg.name) calls itself \((party.via ?? party.origin)?.description ?? "-") in Via or o=, and \(source) in Contact or SDP: a SIP ALG on its side rewrites its messages."))
        }
        return lints
    }

    private static func formats(_ facts: CallFacts) -> [Lint] {
        var lints: [Lint] = []
        for leg in Leg.allCases {
            guard let found = foreignPayloadType(facts, leg) else { continue }
            lints.append(Lint(.payloadType, leg, "The \(leg.name) sends payload type \(found.number); the \(leg.other.name) accepts \(MediaRules.list(found.accepted))."))
        }
        guard let caller = facts.caller.media, let callee = facts.callee?.media else { return lints }
        let names = Set(callee.codecs.map(\.key))
        if !caller.codecs.isEmpty, !callee.codecs.isEmpty, !caller.codecs.contains(where: { names.contains($0.key) }) {
            lints.append(Lint(.noCommonCodec, nil, "There is no common codec: the caller has \(MediaRules.list(caller.codecs)), the callee \(MediaRules.list(callee.codecs))."))
        }
        let isConverted = facts.fromCaller.areDigitsConverted || facts.fromCallee.areDigitsConverted
        if !isConverted, (caller.telephoneEvent == nil) != (callee.telephoneEvent == nil) {
            let leg: Leg = caller.telephoneEvent == nil ? .caller : .callee
            lints.append(Lint(.telephoneEvent, leg, "The \(leg.possessive) SDP has no telephone-event, the \(leg.other.possessive) has: digits may not be understood."))
        }
        return lints
    }

    private static func media(_ facts: CallFacts, _ leg: Leg) -> [Lint] {
        let stream = facts.stream(from: leg)
        var lints: [Lint] = []
        if let answered = facts.answeredAt, let first = stream.firstAt, first - answered >= .seconds(5) {
            lints.append(Lint(.lateMedia, leg, "The first RTP of the \(leg.name) came \(text(first - answered)) after the answer."))
        }
        if stream.strangers > 0 {
            lints.append(Lint(.strangers, leg, "\(stream.strangers) datagrams on the \(leg.possessive) media port came from somebody else and were dropped."))
        }
        if stream.refusals > 0 {
            lints.append(Lint(.portClosed, leg, "The \(leg.possessive) host said \(stream.refusals) times that its media port is closed (ICMP)."))
        }
        return lints
    }

    private static func times(_ facts: CallFacts, _ messages: [MessageFact]) -> [Lint] {
        var lints: [Lint] = []
        for leg in Leg.allCases {
            if let seconds = facts.party(leg)?.sessionExpires, seconds < 90 {
                lints.append(Lint(.sessionExpires, leg, "The \(leg.possessive) Session-Expires of \(seconds) s is below the least that RFC 4028 allows, 90 s."))
            }
            let repeats = messages.count { $0.leg == leg && $0.isRetransmission }
            if repeats >= 3 {
                lints.append(Lint(.repeatedMessages, leg, "\(repeats) messages with the \(leg.name) had to be repeated: packets are lost, or it is slow."))
            }
        }
        if let rang = facts.rangAt, rang >= .seconds(4) {
            lints.append(Lint(.slowRinging, nil, "From INVITE to ringing it took \(text(rang))."))
        }
        return lints
    }
}

extension MediaFacts.Format {
    /// What two sides compare: the name, or the number where there is none.
    fileprivate var key: String { name?.lowercased() ?? "\(number)" }
}
