extension SessionDescription {
    /// Why a description cannot be the answer to an offer (RFC 3264 §6).
    package enum AnswerMismatch: String, Sendable {
        case mediaCount = "the answer has another number of m= lines than the offer"
        case mediaKind = "an m= line of the answer names another kind of media than the offer"
        case transport = "an m= line of the answer names another transport than the offer"
        case revivedMedia = "the answer accepts media that the offer had switched off"
        case noCommonFormat = "the answer accepts media without a format of the offer"
    }

    /// Nil when this description answers `offer`.
    ///
    /// RTP profiles are taken as equal (phones answer `RTP/AVP` to `RTP/AVPF`), and directions are not compared (many
    /// answer a hold without one): neither stops media from flowing.
    package func mismatch(asAnswerTo offer: SessionDescription) -> AnswerMismatch? {
        guard media.count == offer.media.count else { return .mediaCount }
        for (offered, answered) in zip(offer.media, media) {
            guard answered.kind.lowercased() == offered.kind.lowercased() else { return .mediaKind }
            guard answered.port != 0 else { continue }
            guard offered.port != 0 else { return .revivedMedia }
            if offered.isRTP || answered.isRTP {
                guard offered.isRTP, answered.isRTP else { return .transport }
                guard !Self.commonFormats(offer: offered, answer: answered).isEmpty else { return .noCommonFormat }
            } else {
                guard offered.transport.lowercased() == answered.transport.lowercased() else { return .transport }
            }
        }
        return nil
    }

    /// The formats of `answer` that `offer` has too, in the answer's order and with its payload types.
    ///
    /// Telephone events and comfort noise count as formats; `Payload` tells them apart for those who ask for a codec.
    package static func commonFormats(offer: Media, answer: Media) -> [Payload] {
        answer.payloads.filter { payload in offer.payloads.contains { $0.isSameFormat(as: payload) } }
    }
}
