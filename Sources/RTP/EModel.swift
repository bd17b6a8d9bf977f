internal import Glibc

/// Speech quality from what a network measures: the E-model (ITU-T G.107) with default values for all that is not the codec,
/// loss or delay.
///
/// Echo is taken for cancelled, so delay counts by itself alone (Idd of G.107 §7.4; Idte and Idle are nil). The scale is that
/// of narrowband telephony, on which a wideband codec is no better than G.711.
package enum EModel {
    /// R of a connection on which all is at its default (G.107 §7.7).
    package static let defaultRating = 93.2

    /// The transmission rating R, 0 to 93.2 here.
    ///
    /// - Parameters:
    ///   - lossPercent: packets that are not played, of 100.
    ///   - burstRatio: 1 for random loss; more when it comes in stretches (BurstR; 1 to 8).
    ///   - oneWayDelay: from mouth to ear.
    package static func rating(
        _ codec: CodecImpairment, lossPercent: Double, burstRatio: Double = 1, oneWayDelay: Duration = .zero
    ) -> Double {
        let equipment = equipmentImpairment(codec, lossPercent: lossPercent, burstRatio: burstRatio)
        let milliseconds = Double(oneWayDelay.components.seconds) * 1e3 + Double(oneWayDelay.components.attoseconds) / 1e15
        return max(0, defaultRating - delayImpairment(milliseconds: milliseconds) - equipment)
    }

    /// Ie-eff (G.107 §7.5).
    static func equipmentImpairment(_ codec: CodecImpairment, lossPercent: Double, burstRatio: Double) -> Double {
        let loss = min(max(lossPercent, 0), 100)
        let burst = min(max(burstRatio, 1), 8)
        return codec.impairment + (95 - codec.impairment) * loss / (loss / burst + codec.lossRobustness)
    }

    /// Idd (G.107 §7.4): nothing up to 100 ms.
    static func delayImpairment(milliseconds: Double) -> Double {
        guard milliseconds > 100 else { return 0 }
        let octaves = log2(milliseconds / 100)
        func sixthRoot(of value: Double) -> Double { cbrt(value.squareRoot()) }
        return 25 * (sixthRoot(of: 1 + pow(octaves, 6)) - 3 * sixthRoot(of: 1 + pow(octaves / 3, 6)) + 2)
    }

    /// The mean opinion score that a rating stands for (MOS-CQE, G.107 Annex B), 1 to 4.5.
    package static func meanOpinionScore(rating: Double) -> Double {
        guard rating > 0 else { return 1 }
        guard rating < 100 else { return 4.5 }
        // The polynomial dips below 1 close to zero.
        return max(1, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)
    }
}

/// How much a codec harms speech (Ie), and how well it stands loss (Bpl).
package struct CodecImpairment: Equatable, Sendable {
    /// Ie.
    package var impairment: Double
    /// Bpl.
    package var lossRobustness: Double

    package init(impairment: Double, lossRobustness: Double) {
        self.impairment = impairment
        self.lossRobustness = lossRobustness
    }

    // G.113 Appendix I, for random loss.

    /// Every receiver of today conceals loss in some way.
    package static let g711 = CodecImpairment(impairment: 0, lossRobustness: 25.1)
    package static let g711WithoutConcealment = CodecImpairment(impairment: 0, lossRobustness: 4.3)
    /// G.729A with silence suppression, which is what is in use. G.729 proper has 10.
    package static let g729 = CodecImpairment(impairment: 11, lossRobustness: 19)
    /// At 6.3 kbit/s with silence suppression; 5.3 kbit/s has 19.
    package static let g7231 = CodecImpairment(impairment: 15, lossRobustness: 16.1)
    /// GSM 06.60 (EFR), and AMR at 12.2 kbit/s, which is the same.
    package static let gsmEnhanced = CodecImpairment(impairment: 5, lossRobustness: 10)

    // The rest is approximate.

    /// GSM 06.10: the impairment is from G.113; robustness, which is not given there, is that of GSM-EFR.
    package static let gsm = CodecImpairment(impairment: 20, lossRobustness: 10)
    /// G.726 at 32 kbit/s: the impairment is from G.113; robustness, which is not given there, is that of G.711, whose
    /// concealment it can use.
    package static let g726 = CodecImpairment(impairment: 7, lossRobustness: 25.1)
    /// Wideband has no place on this scale (G.107.1 has one of its own): counted as G.711, which understates it.
    package static let g722 = g711
    /// No recommendation gives a value: as good as G.711 without loss and somewhat better with it, since its decoder conceals
    /// and may have the redundancy of in-band FEC.
    package static let opus = CodecImpairment(impairment: 0, lossRobustness: 30)
    /// No planning value is used here: between G.729 and GSM without loss, and made to stand it, since no frame needs another.
    package static let ilbc = CodecImpairment(impairment: 12, lossRobustness: 32)

    /// By the name in `a=rtpmap`, in any case; unknown ones count as G.711.
    package init(encodingName: String) { self = SpeechCodec(encodingName: encodingName).impairment }

    /// By static payload type (RFC 3551 §6); dynamic and unknown ones count as G.711.
    package init(payloadType: UInt8) { self = SpeechCodec(payloadType: payloadType).impairment }
}
