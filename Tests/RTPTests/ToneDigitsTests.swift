import Core
import Foundation
import Testing

@testable import RTP

@Suite("DTMF tones in G.711")
struct ToneDigitsTests {
    private static let frequencies: [Character: (Double, Double)] = [
        "1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "A": (697, 1633), "4": (770, 1209), "5": (770, 1336),
        "6": (770, 1477), "B": (770, 1633), "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "C": (852, 1633),
        "*": (941, 1209), "0": (941, 1336), "#": (941, 1477), "D": (941, 1633),
    ]

    /// G.711 from linear, as the recommendation writes it.
    private func encode(_ samples: [Double], _ law: ToneDigits.Law) -> [UInt8] {
        samples.map { sample in
            let value = Int(max(-32_000, min(32_000, sample)))
            if law == .mu {
                let magnitude = min(abs(value), 32_635) + 132
                let exponent = max(0, Int.bitWidth - magnitude.leadingZeroBitCount - 8)
                return ~UInt8((value < 0 ? 0x80 : 0) | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0f)
            }
            let magnitude = abs(value)
            let exponent = max(0, Int.bitWidth - magnitude.leadingZeroBitCount - 8)
            let mantissa = exponent == 0 ? magnitude >> 4 & 0x0f : magnitude >> (exponent + 3) & 0x0f
            return UInt8((value < 0 ? 0 : 0x80) | exponent << 4 | mantissa) ^ 0x55
        }
    }

    private func tone(_ digit: Character, milliseconds: Int, amplitude: Double = 6_000, offset: Double = 1) -> [Double] {
        let (low, high) = Self.frequencies[digit]!
        return (0..<milliseconds * 8).map { index in
            let time = Double(index) / 8_000
            return amplitude * (sin(2 * .pi * low * offset * time) + sin(2 * .pi * high * offset * time))
        }
    }

    private func silence(_ milliseconds: Int) -> [Double] { Array(repeating: 0, count: milliseconds * 8) }

    private func digits(_ samples: [Double], _ law: ToneDigits.Law) -> String {
        var detector = ToneDigits(law)
        let octets = encode(samples, law)
        for start in stride(from: 0, to: octets.count, by: 160) { detector.receive(octets[start..<min(start + 160, octets.count)]) }
        return detector.digits
    }

    @Test("each of the sixteen digits, in both laws, 100 ms long, loud and soft, 1 % off", arguments: [ToneDigits.Law.mu, .a])
    func each(law: ToneDigits.Law) {
        for digit in Self.frequencies.keys {
            for amplitude in [800.0, 6_000, 14_000] {
                for offset in [0.99, 1, 1.01] {
                    let samples = silence(60) + tone(digit, milliseconds: 100, amplitude: amplitude, offset: offset) + silence(80)
                    #expect(digits(samples, law) == String(digit), "\(digit) \(amplitude) \(offset)")
                }
            }
        }
    }

    @Test("a long tone is one digit, the same digit again after a pause another")
    func sequence() {
        let samples = tone("5", milliseconds: 900) + silence(100) + tone("5", milliseconds: 100) + silence(100) + tone("9", milliseconds: 80)
            + tone("#", milliseconds: 100) + silence(50)
        #expect(digits(samples, .a) == "559#")
    }

    @Test("speech-like sounds, single tones and noise are no digits")
    func talkOff() {
        var random = SeededRandom(seed: 77)
        // A voice: a fundamental that glides, with a dozen harmonics under moving formants, and breaths of noise.
        var samples: [Double] = []
        var phase = 0.0
        for index in 0..<8_000 * 60 {
            let time = Double(index) / 8_000
            let fundamental = 140 + 60 * sin(time * 1.7) + 25 * sin(time * 9.1)
            phase += 2 * .pi * fundamental / 8_000
            let formants = [600 + 250 * sin(time * 3.1), 1_400 + 400 * sin(time * 2.3)]
            var value = 0.0
            for harmonic in 1...12 {
                let frequency = fundamental * Double(harmonic)
                let gain = formants.reduce(0.02) { $0 + 1 / (1 + pow((frequency - $1) / 130, 2)) }
                value += gain * sin(phase * Double(harmonic))
            }
            samples.append(value * 4_000 + Double.random(in: -300...300, using: &random))
        }
        #expect(digits(samples, .mu) == "")
        for frequency in [425.0, 697, 1_209, 1_000] {
            let single = (0..<16_000).map { 8_000 * sin(2 * .pi * frequency * Double($0) / 8_000) }
            #expect(digits(single, .a) == "", "\(frequency)")
        }
        let noise = (0..<80_000).map { _ in Double.random(in: -12_000...12_000, using: &random) }
        #expect(digits(noise, .mu) == "")
    }
}
