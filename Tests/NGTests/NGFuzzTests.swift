import Core
import NG
import SIP
import Testing

/// Damaged messages are read or refused, never more. A failure prints the seed.
@Suite struct NGFuzzTests {
    private let samples = Sample.all + [
        #"j {"command":"offer","flags":["a","b"],"codec":{"strip":["x"]},"n":-1.5e3,"u":"\ud83d\ude00"}"#,
        "k d10:rtpp-flags41:a=[b=[c d] e=f] RTP direction=x [ ] ]=[ =7:command5:offere",
    ]

    @Test("cut off anywhere")
    func truncation() {
        for sample in samples {
            let octets = Array(sample.utf8)
            for count in 0..<octets.count { exercise(Array(octets[..<count]), "first \(count) octets of \(sample)") }
        }
    }

    @Test("octets changed, removed, repeated and spliced in", arguments: 1...8)
    func mutation(round: UInt64) {
        let interesting = Array("deil:0123456789-{}[]\",\\ =ua\u{0}".utf8) + [0x7f, 0x80, 0xff]
        for seed in (round * 1000)..<(round * 1000 + 150) {
            var random = SeededRandom(seed: seed)
            for sample in samples {
                var octets = Array(sample.utf8)
                for _ in 0..<Int.random(in: 1...8, using: &random) where !octets.isEmpty {
                    let place = Int.random(in: 0..<octets.count, using: &random)
                    let end = min(octets.count, place + Int.random(in: 1...20, using: &random))
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: octets[place] = UInt8.random(in: .min ... .max, using: &random)
                    case 1: octets[place] = interesting.randomElement(using: &random)!
                    case 2: octets.removeSubrange(place..<end)
                    default: octets.insert(contentsOf: octets[place..<end], at: place)
                    }
                }
                exercise(octets, "seed \(seed), \(sample)")
            }
        }
    }

    @Test("flag strings of the characters that mean something")
    func flagStrings() throws {
        let pieces = ["[", "]", "=", " ", ",", "-", "--", "..", "codec", "strip", "direction", "RTP", "flags", "rtpp-flags",
            "a", "replace-", "codec-strip-", "\u{e9}", "from-tag", "\u{212a}"]
        for seed in 1...3000 {
            var random = SeededRandom(seed: UInt64(seed))
            let count = Int.random(in: 0...40, using: &random)
            _ = try Sample.offer(flagString: (0..<count).map { _ in pieces.randomElement(using: &random)! }.joined())
        }
        _ = try Sample.offer(flagString: String(repeating: "[", count: 30_000))
        _ = try Sample.offer(flagString: "a=" + String(repeating: "[", count: 30_000))
        _ = try Sample.offer(flagString: "a=" + String(repeating: "[a=", count: 10_000))
        _ = try Sample.offer(flagString: String(repeating: "a=[b] ", count: 10_000))
    }

    private func exercise(_ octets: [UInt8], _ label: String) {
        var framer = NGStreamFramer()
        framer.append(octets)
        while let frame = try? framer.next() {
            #expect(frame.count <= octets.count, "\(label)")
        }
        guard let envelope = try? NGEnvelope(parsing: octets) else { return }
        let again = NGFormat.bencode.encoded(envelope.dictionary)
        #expect((try? Bencode.decode(again[...])) == envelope.dictionary, "\(label)")
        #expect((try? JSON.decode(NGFormat.json.encoded(envelope.dictionary)[...])) != nil, "\(label)")
        _ = NGReplyCache.Key(envelope)
        guard let request = try? NGRequest(envelope.dictionary) else { return }
        #expect(request.warnings.count <= 8, "\(label)")
        guard let sdp = request.sdp, let description = try? SessionDescription(parsing: sdp) else { return }
        _ = request.codecs.selection(from: description.media.first?.payloads ?? [])
    }
}
