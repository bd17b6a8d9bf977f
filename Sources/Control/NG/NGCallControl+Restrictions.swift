import Core
import NG
import Relay

/// `block media`, `silence media`, `block DTMF`, and what takes them back.
extension NGCallControl {
    mutating func restrict(_ request: NGRequest, now: Instant) throws(NGErrorReason) -> NGReply {
        guard let id = request.callID else { throw .noCallID }
        guard let call = calls[id] else { throw .unknownCall }
        let restriction: NGCall.Restrictions =
            switch request.command {
            case .blockMedia, .unblockMedia: .blocked
            case .silenceMedia, .unsilenceMedia: .silenced
            default: .withoutDTMF
            }
        let isOn = [.blockMedia, .silenceMedia, .blockDTMF].contains(request.command)
        for leg in try Self.legs(meantBy: request, call) {
            if isOn { call[leg].restrictions.insert(restriction) } else { call[leg].restrictions.remove(restriction) }
        }
        restrict(call, always: true)
        return .ok(warnings: request.warnings)
    }

    /// Tells the relay of every restriction; sessions and payload types may be new.
    ///
    /// - Parameter always: also of sides without any, which may have had some.
    mutating func restrict(_ call: NGCall, always: Bool = false) {
        for leg in Leg.allCases where always || !call[leg].restrictions.isEmpty {
            for line in call.lines {
                guard let medium = line.medium, medium.isOpen else { continue }
                output(.treat(medium.taken.session, leg, Self.treatment(of: leg, line, restrictions: call[leg].restrictions)))
            }
        }
    }

    private static func treatment(
        of leg: Leg, _ line: NGCall.Line, restrictions: NGCall.Restrictions
    ) -> MediaTreatment {
        // A side sends with the numbers that the other one chose (RFC 3264 §5.1), as far as it is known.
        let wanted = line[leg.other]?.telephoneEvents ?? []
        let digits = wanted.isEmpty ? line[leg]?.telephoneEvents ?? [] : wanted
        let blocked = restrictions.contains(.withoutDTMF) ? digits : []
        return MediaTreatment(
            isBlocked: restrictions.contains(.blocked), isSilenced: restrictions.contains(.silenced),
            blockedPayloadTypes: blocked,
            passedPayloadTypes: blocked.isEmpty && !restrictions.isEmpty ? digits : [])
    }

    /// Both sides, unless one is named: by label, by media address, or with the flag `directional` by From tag. A script's
    /// request has a From tag anyway, so that alone names nobody.
    private static func legs(meantBy request: NGRequest, _ call: NGCall) throws(NGErrorReason) -> [Leg] {
        if request.appliesToAll { return Leg.allCases }
        if let label = request.label {
            guard let leg = Leg.allCases.first(where: { call.uncommon?[$0].label == label }) else {
                throw NGErrorReason("No monologue matching the given label")
            }
            return [leg]
        }
        if let address = request.address {
            let leg = Leg.allCases.first { leg in call.lines.contains { $0[leg]?.source.rtp.ip == address } }
            guard let leg else { throw NGErrorReason("Failed to match address to any tag") }
            return [leg]
        }
        guard request.isDirectional else { return Leg.allCases }
        guard let tag = request.fromTag else { throw .noFromTag }
        guard let leg = call.leg(of: tag) else { throw NGErrorReason("No monologue matching the given from-tag") }
        return [leg]
    }
}
