import SIP

/// Whether the two sides of a call agreed that whoever has nothing to say may send nothing.
enum SilenceSuppression {
    /// Comfort noise, or a first codec that has it of its own.
    static func isOffered(by media: SessionDescription.Media) -> Bool {
        media.payloads.contains(where: \.isComfortNoise)
            || media.payloads.first { !$0.isTelephoneEvent }.map(\.allowsSilence) ?? false
    }

    /// Comfort noise (RFC 3389) in both descriptions; or, when `payloadType` is in use or comes first in the answer, a codec
    /// with silence suppression of its own that neither side refused: G.729 (Annex B), G.723.1 (Annex A), Opus (DTX).
    static func isNegotiated(
        offer: SessionDescription.Media, answer: SessionDescription.Media, payloadType: UInt8? = nil
    ) -> Bool {
        let both = [offer, answer]
        if both.allSatisfy({ $0.payloads.contains(where: \.isComfortNoise) }) { return true }
        let inUse = answer.payloads.first { $0.number == payloadType } ?? answer.payloads.first { !$0.isTelephoneEvent }
        guard let inUse, let offered = offer.payloads.first(where: { $0.isSameFormat(as: inUse) }) else { return false }
        return [inUse, offered].allSatisfy(\.allowsSilence)
    }
}

extension SessionDescription.Payload {
    /// Defaults as registered: RFC 4856 §2.1.9 (G723), §2.1.11 (G729), RFC 7587 §6.1 (opus).
    fileprivate var allowsSilence: Bool {
        if isNamed("G729") { return !has("annexb=no") }
        if isNamed("G723") { return !has("annexa=no") }
        return isNamed("opus") && has("usedtx=1")
    }

    private func has(_ parameter: String) -> Bool {
        (fmtp ?? "").split(separator: ";").contains { $0.filter { $0 != " " }.lowercased() == parameter }
    }
}
