import Core

extension MediaReport {
    /// The rows of a table about both legs: what each is called, and what it says.
    static let rows: [(name: String, value: @Sendable (MediaReport) -> String)] = [
        ("MOS average", { $0.quality.map { decimal($0.averageMOS) } ?? "-" }),
        ("MOS lowest, highest", { $0.quality.map { "\(decimal($0.lowestMOS)), \(decimal($0.highestMOS))" } ?? "-" }),
        ("lost", { "\(decimal($0.lossPercent)) %" }),
        ("loss bursts, most at once", { "\($0.lossBursts), \($0.largestSequenceGap)" }),
        ("reordered, duplicates", { "\($0.reordered), \($0.duplicates)" }),
        ("jitter, highest ms", { "\(decimal($0.jitterMilliseconds)), \(decimal($0.highestJitterMilliseconds))" }),
        ("longest gap ms", { decimal($0.longestGapMilliseconds) }),
        ("round trip ms (RTCP)", { $0.roundTripMilliseconds.map(decimal) ?? "-" }),
        ("SSRC, changes", { "\($0.ssrc.map(hexadecimal) ?? "-"), \($0.ssrcChanges)" }),
        ("payload type, changes", { "\($0.payloadType.map { "\($0)" } ?? "-"), \($0.payloadTypeChanges)" }),
        ("restarts, timestamp jumps", { "\($0.restarts), \($0.timestampJumps)" }),
        ("digits", { CallRecord.Digits(events: $0.telephoneEvents, info: $0.infoDigits, tones: $0.inBandDigits).text }),
        ("comfort noise", { "\($0.comfortNoisePackets)" }),
        ("RTCP received", { "\($0.rtcpPackets)" }),
        ("RTP sent to it", { "\($0.sentPackets)" }),
        ("RTP held back", { "\($0.withheldPackets)" }),
    ]

    /// A character a second, 60 a line: how many of the most packets of any second came in it.
    ///
    /// Nil when there is no whole second yet.
    func timelineText(_ name: String, _ style: TextStyle) -> String? {
        guard let start = timelineStart, let most = timeline.map(\.packets).max(), most > 0 else { return nil }
        let scale: [Character] = style.isUnicode ? Array("▁▂▃▄▅▆▇█") : Array("12345678")
        var lines: [String] = []
        for first in stride(from: 0, to: timeline.count, by: 60) {
            let part = timeline[first..<min(first + 60, timeline.count)]
            let marks = part.map { second -> Character in
                if second.packets == 0 { return style.isUnicode ? "·" : "." }
                if second.lost > 0 { return style.isUnicode ? "×" : "x" }
                return scale[min(scale.count - 1, second.packets * scale.count / (most + 1))]
            }
            let at = Quantity.timeOfDay(start + .seconds(first)).prefix(8)
            lines.append("  \(at)  " + String(marks) + "\n")
        }
        return style.painted("\(name)", .strong) + ", packets a second (\(style.isUnicode ? "×" : "x") some lost, "
            + "\(style.isUnicode ? "·" : ".") none, most \(most)):\n" + lines.joined()
    }
}

/// Two decimals at the most: `4.41`, `0`, `12.5`.
func decimal(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return "-" }
    let hundredths = Int((abs(value) * 100).rounded())
    let sign = value < 0 && hundredths > 0 ? "-" : ""
    let (whole, rest) = (hundredths / 100, hundredths % 100)
    if rest == 0 { return "\(sign)\(whole)" }
    if rest % 10 == 0 { return "\(sign)\(whole).\(rest / 10)" }
    return "\(sign)\(whole).\(rest < 10 ? "0" : "")\(rest)"
}

private func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
}
