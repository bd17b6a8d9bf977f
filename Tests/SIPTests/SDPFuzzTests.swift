import Core
import SIP
import Testing

/// Damaged descriptions are refused or read, and whatever was read can be rewritten and read again. A failure prints
/// the seed.
@Suite struct SDPFuzzTests {
    @Test("cut off anywhere", arguments: SDPSample.all)
    func truncation(sample: SDPSample) {
        let octets = SDPSample.octets(sample.input)
        for count in 0...octets.count { exercise(Array(octets[..<count]), "first \(count) octets") }
    }

    @Test("octets changed, removed, repeated and spliced in")
    func mutation() {
        for seed in 1...300 { mutate(seed: UInt64(seed)) }
    }

    private func mutate(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let interesting = Array("\r\n =:/0 9amcv\u{0}*.-".utf8) + [0x7f, 0x80, 0xff]
        for sample in SDPSample.all {
            var octets = SDPSample.octets(sample.input)
            for _ in 0..<Int.random(in: 1...8, using: &random) where !octets.isEmpty {
                let place = Int.random(in: 0..<octets.count, using: &random)
                let end = min(octets.count, place + Int.random(in: 1...20, using: &random))
                switch Int.random(in: 0..<5, using: &random) {
                case 0: octets[place] = UInt8.random(in: .min ... .max, using: &random)
                case 1: octets[place] = interesting.randomElement(using: &random)!
                case 2: octets.removeSubrange(place..<end)
                case 3: octets.insert(contentsOf: octets[place..<end], at: place)
                default:
                    let lines = octets.split(separator: 10, omittingEmptySubsequences: false)
                    octets.insert(contentsOf: lines.randomElement(using: &random)! + [10], at: place)
                }
            }
            exercise(octets, "seed \(seed), \(sample.name)")
        }
    }

    private func exercise(_ octets: [UInt8], _ label: String) {
        guard let description = try? SessionDescription(parsing: octets) else { return }
        let address = SocketAddress("203.0.113.5:10000")!
        let options: [SessionDescription.MediaRewrite] = [.relay(address), .decline, .keep]
        for shift in options.indices {
            let rewrites = description.media.indices.map { options[($0 + shift) % options.count] }
            let rewritten = description.rewritten(rewrites)
            guard let again = try? SessionDescription(parsing: rewritten) else {
                Issue.record("cannot read what was written: \(label)")
                continue
            }
            #expect(again.media.map(\.formats) == description.media.map(\.formats), "\(label)")
            for (medium, (old, rewrite)) in zip(again.media, zip(description.media, rewrites)) {
                switch rewrite {
                case .relay where old.port != 0:
                    #expect(medium.rtpAddress == address || medium.isHold, "\(label)")
                case .relay, .decline: #expect(medium.port == 0, "\(label)")
                case .keep: #expect(medium.rtpAddress == old.rtpAddress, "\(label)")
                }
            }
        }
        _ = description.mismatch(asAnswerTo: description)
    }
}
