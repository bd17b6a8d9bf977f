import Core
import Foundation
import RTP
import Testing

@Suite("DTMF in the audio")
struct ToneDetectorTests {
    private static let rows = [697.0, 770, 852, 941]
    private static let columns = [1209.0, 1336, 1477, 1633]
    private static let keys = Array("123A456B789C*0#D")

    /// Audio at 8000 samples a second in parts of full scale, and its G.711.
    private struct Audio {
        var samples: [Double] = []

        mutating func silence(milliseconds: Int) { samples += [Double](repeating: 0, count: milliseconds * 8) }

        /// - Parameters:
        ///   - level: of each tone, dBm0; a sine of full scale is 3.14.
        ///   - twist: how many dB the high tone is stronger than the low one.
        ///   - offset: the part by which both frequencies are off.
        mutating func press(_ key: Character, milliseconds: Int, level: Double = -10, twist: Double = 0, offset: Double = 0) {
            guard let index = keys.firstIndex(of: key) else { return }
            let low = rows[index / 4] * (1 + offset)
            let high = columns[index % 4] * (1 + offset)
            let amplitude = pow(10, (level - 3.14) / 20)
            samples += (0..<milliseconds * 8).map { tick in
                let time = Double(tick) / 8_000
                return amplitude * (pow(10, -twist / 40) * sin(2 * .pi * low * time) + pow(10, twist / 40) * sin(2 * .pi * high * time + 1))
            }
        }

        mutating func tones(_ frequencies: [Double], milliseconds: Int, level: Double = -10) {
            let amplitude = pow(10, (level - 3.14) / 20)
            samples += (0..<milliseconds * 8).map { tick in
                frequencies.reduce(0) { $0 + amplitude * sin(2 * .pi * $1 * Double(tick) / 8_000) }
            }
        }

        mutating func addNoise(level: Double, random: inout SeededRandom) {
            // Twelve uniform numbers make a normal one.
            let deviation = pow(10, (level - 3.14) / 20) / 2.0.squareRoot()
            for index in samples.indices {
                samples[index] += deviation * ((0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &random) })
            }
        }
    }

    /// How many digits it hears when `audio` comes in packets of `packetLength` samples; `lost` are left out.
    private func digits(
        _ audio: Audio, isALaw: Bool = false, packetLength: Int = 160, lost: Set<Int> = [], detector: inout ToneDetector
    ) -> Int {
        for (number, start) in stride(from: 0, to: audio.samples.count, by: packetLength).enumerated() where !lost.contains(number) {
            let part = audio.samples[start..<min(start + packetLength, audio.samples.count)]
            var octets: [UInt8] = [0x80, isALaw ? 8 : 0, UInt8(number >> 8 & 0xff), UInt8(number & 0xff)]
            let timestamp = UInt32(4_294_960_000) &+ UInt32(start)
            octets += (0..<4).map { UInt8(truncatingIfNeeded: timestamp >> UInt32(24 - $0 * 8)) } + [0, 0, 0, 7]
            octets += part.map { isALaw ? G711.aLaw($0) : G711.muLaw($0) }
            receive(octets, &detector)
        }
        return Int(detector.digits)
    }

    private func receive(_ octets: [UInt8], _ detector: inout ToneDetector) {
        guard let header = RTPHeader(parsing: octets.span) else {
            Issue.record("no RTP")
            return
        }
        detector.receive(header, in: octets.span)
    }

    private func digits(_ audio: Audio, isALaw: Bool = false, packetLength: Int = 160, lost: Set<Int> = []) -> Int {
        var detector = ToneDetector()
        return digits(audio, isALaw: isALaw, packetLength: packetLength, lost: lost, detector: &detector)
    }

    @Test("each of the sixteen keys, in both laws and every packet length, is heard once and as itself", arguments: [80, 160, 240, 480])
    func allKeys(packetLength: Int) {
        for isALaw in [false, true] {
            for key in Self.keys {
                var audio = Audio()
                audio.silence(milliseconds: 30)
                audio.press(key, milliseconds: 80)
                audio.silence(milliseconds: 60)
                var detector = ToneDetector()
                #expect(digits(audio, isALaw: isALaw, packetLength: packetLength, detector: &detector) == 1, "\(key)")
                #expect(detector.lastDigit == key)
            }
        }
    }

    @Test("tones and pauses of 40 ms are told apart, wherever the blocks begin; a tone of 20 ms is none (Q.24)")
    func times() {
        for phase in 0..<26 {
            var audio = Audio()
            audio.samples = [Double](repeating: 0, count: phase * 4)
            for key in "1223334444" {
                audio.press(key, milliseconds: 40)
                audio.silence(milliseconds: 40)
            }
            #expect(digits(audio) == 10, "phase \(phase * 4)")
            var short = Audio()
            short.samples = [Double](repeating: 0, count: phase * 4)
            for key in "159D" {
                short.press(key, milliseconds: 20)
                short.silence(milliseconds: 60)
            }
            #expect(digits(short) == 0, "phase \(phase * 4)")
        }
    }

    @Test("a key that is held is one digit, and one dropped block within does not make it two")
    func held() {
        var audio = Audio()
        audio.press("5", milliseconds: 2_000)
        #expect(digits(audio) == 1)
        // A packet of 20 ms in the middle is lost.
        #expect(digits(audio, lost: [40]) == 1)
        // 100 ms without packets: silence that was not sent, between two presses.
        var two = Audio()
        two.press("5", milliseconds: 400)
        #expect(digits(two, lost: [8, 9, 10, 11, 12]) == 2)
    }

    @Test("from -3 to -30 dBm0, 1.5 % off, or 1 % off with 6 dB of twist either way, each key counts; at -45 dBm0 none does")
    func tolerances() {
        for level in [-3.0, -10, -20, -30] {
            for twist in [-6.0, 0, 6] {
                for offset in twist == 0 ? [-0.015, 0, 0.015] : [-0.01, 0, 0.01] {
                    var audio = Audio()
                    for key in Self.keys {
                        audio.press(key, milliseconds: 60, level: level, twist: twist, offset: offset)
                        audio.silence(milliseconds: 60)
                    }
                    #expect(digits(audio) == 16, "\(level) dBm0, twist \(twist) dB, \(offset * 100) % off")
                }
            }
        }
        var faint = Audio()
        faint.press("1", milliseconds: 200, level: -45)
        #expect(digits(faint) == 0)
    }

    @Test("what is out of the limits does not count: 12 dB of twist, a third tone, one tone alone")
    func refused() {
        for twist in [-12.0, 12] {
            var audio = Audio()
            for key in Self.keys {
                audio.press(key, milliseconds: 100, twist: twist)
                audio.silence(milliseconds: 60)
            }
            #expect(digits(audio) == 0, "twist \(twist) dB")
        }
        for tones in [[697, 770, 1209], [697, 1209, 1336], [697, 1209, 500, 2_000], [697.0], [1_336.0], [2_000, 2_600]] {
            var audio = Audio()
            audio.tones(tones, milliseconds: 500)
            #expect(digits(audio) == 0, "\(tones)")
        }
    }

    @Test("with noise 15 dB below them, digits count")
    func noisy() {
        var random = SeededRandom(seed: 31)
        var audio = Audio()
        for key in Self.keys {
            audio.press(key, milliseconds: 80, level: -13)
            audio.silence(milliseconds: 80)
        }
        audio.addNoise(level: -28, random: &random)
        #expect(digits(audio) == 16)
    }

    @Test("call progress tones, fax and modem tones, noise and silence are no digits")
    func otherSounds() {
        let sounds: [(name: String, tones: [Double])] = [
            ("dial tone", [350, 440]), ("ringing", [440, 480]), ("busy", [480, 620]), ("European tone", [425]),
            ("fax calling", [1_100]), ("fax answering", [2_100]), ("special information", [950]), ("special information", [1_400]),
            ("special information", [1_800]), ("MF 1", [700, 900]), ("MF 8", [900, 1_500]), ("MF 0", [1_300, 1_500]),
            ("MF KP", [1_100, 1_700]), ("R2", [1_380, 1_500]), ("modem", [1_200, 2_400]),
        ]
        for sound in sounds {
            var audio = Audio()
            audio.tones(sound.tones, milliseconds: 2_000)
            #expect(digits(audio) == 0, "\(sound.name)")
        }
        for level in [-40.0, -20, -5] {
            var random = SeededRandom(seed: 7)
            var audio = Audio()
            audio.silence(milliseconds: 30_000)
            audio.addNoise(level: level, random: &random)
            #expect(digits(audio) == 0, "noise at \(level) dBm0")
        }
    }

    /// Voiced sounds as a voice makes them: pulses of a moving pitch through three moving formants, with breaks and hisses.
    private func voice(seconds: Int, random: inout SeededRandom) -> Audio {
        var audio = Audio()
        var phase = 0.0
        var states = Array(repeating: (0.0, 0.0), count: 3)
        var pitch = 120.0
        var formants = [500.0, 1_500, 2_500]
        var isVoiced = true
        for tick in 0..<seconds * 8_000 {
            if tick % 800 == 0 {
                pitch = Double.random(in: 80..<320, using: &random)
                formants = [.random(in: 250..<900, using: &random), .random(in: 850..<2_300, using: &random), .random(in: 2_200..<3_400, using: &random)]
                isVoiced = Double.random(in: 0..<1, using: &random) < 0.8
            }
            phase += pitch * (1 + 0.01 * sin(Double(tick) / 250)) / 8_000
            var excitation = 0.0
            if phase >= 1 {
                phase -= 1
                excitation = 1
            }
            if !isVoiced { excitation = Double.random(in: -0.1..<0.1, using: &random) }
            var sample = 0.0
            for index in 0..<3 {
                let bandwidth = [70.0, 90, 140][index]
                let radius = exp(-Double.pi * bandwidth / 8_000)
                let turn = cos(2 * Double.pi * formants[index] / 8_000)
                let feedback = 2 * radius * turn * states[index].0 - radius * radius * states[index].1
                let value = excitation + feedback
                states[index] = (value, states[index].0)
                sample += value / Double(index + 1)
            }
            audio.samples.append(max(-1, min(1, sample * 0.12)))
        }
        return audio
    }

    @Test("two minutes of speech-like sound, two of whistled pairs of notes: at most one digit each (talk-off)", arguments: [1, 2, 3] as [UInt64])
    func talkOff(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let speech = voice(seconds: 120, random: &random)
        #expect(speech.samples.contains { abs($0) > 0.1 })
        #expect(digits(speech) <= 1, "speech of seed \(seed)")
        var music = Audio()
        for _ in 0..<800 {
            // Chords of three notes of the tempered scale, each with an overtone.
            let steps = (0..<3).map { _ in Double(Int.random(in: 0..<36, using: &random)) }
            let notes: [Double] = steps.map { 220 * pow(2, $0 / 12) }
            let overtones: [Double] = notes.map { $0 * 2 }.filter { $0 < 3_800 }
            music.tones(notes + overtones, milliseconds: 150, level: -20)
        }
        #expect(digits(music) <= 1, "music of seed \(seed)")
    }

    @Test("other codecs, empty and broken packets, late ones and repeats change nothing")
    func others() {
        var detector = ToneDetector()
        var audio = Audio()
        audio.press("7", milliseconds: 100)
        for payloadType: UInt8 in [9, 18, 101] {
            let octets: [UInt8] = [0x80, payloadType, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7] + audio.samples.map { G711.muLaw($0) }
            receive(octets, &detector)
        }
        #expect(detector.digits == 0)
        let empty: [UInt8] = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8]
        receive(empty, &detector)
        #expect(detector.digits == 0)
        #expect(digits(audio, detector: &detector) == 1)
        // The same packets once more are repeats.
        #expect(digits(audio, detector: &detector) == 1)
    }
}

/// G.711 encoders of a sample from -1 to 1.
private enum G711 {
    static func muLaw(_ sample: Double) -> UInt8 {
        let value = Int(max(-1, min(1, sample)) * 32_124)
        let magnitude = min(abs(value), 32_635) + 132
        let exponent = max(0, Int.bitWidth - magnitude.leadingZeroBitCount - 8)
        return ~UInt8((value < 0 ? 0x80 : 0) | exponent << 4 | magnitude >> (exponent + 3) & 0x0f)
    }

    static func aLaw(_ sample: Double) -> UInt8 {
        let value = Int(max(-1, min(1, sample)) * 32_256)
        let magnitude = min(abs(value), 32_767) >> 4
        let exponent = max(0, Int.bitWidth - magnitude.leadingZeroBitCount - 5)
        let mantissa = exponent == 0 ? magnitude & 0x0f : magnitude >> (exponent - 1) & 0x0f
        return UInt8((value >= 0 ? 0x80 : 0) | exponent << 4 | mantissa) ^ 0x55
    }
}
