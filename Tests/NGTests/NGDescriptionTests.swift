import Core
import NG
import SIP
import Testing

@Suite struct NGDescriptionTests {
    @Test("the description that goes to the other side", arguments: DescriptionSample.all)
    func golden(sample: DescriptionSample) throws {
        #expect(Sample.text(try sample.written) == Sample.text(DescriptionSample.octets(sample.output)))
    }

    @Test("what was written can be read, and written again comes out the same", arguments: DescriptionSample.all)
    func readAgain(sample: DescriptionSample) throws {
        let octets = try sample.written
        let description = try SessionDescription(parsing: octets)
        #expect(description.media.count == sample.media.count)
        var writer = NGDescription(description, media: sample.media)
        sample.change(&writer)
        #expect(Sample.text(writer.octets()) == Sample.text(octets))
    }

    @Test("damaged descriptions are refused, or what is written of them can be read")
    func fuzz() {
        let pieces = Array("\r\n =:/0 9amcv\u{0}*.-".utf8) + [0x7f, 0x80, 0xff]
        for seed in 1...400 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            for sample in DescriptionSample.all {
                var octets = DescriptionSample.octets(sample.input)
                for _ in 0..<Int.random(in: 1...6, using: &random) where !octets.isEmpty {
                    let place = Int.random(in: 0..<octets.count, using: &random)
                    let end = min(octets.count, place + Int.random(in: 1...20, using: &random))
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: octets[place] = UInt8.random(in: .min ... .max, using: &random)
                    case 1: octets[place] = pieces.randomElement(using: &random)!
                    case 2: octets.removeSubrange(place..<end)
                    default: octets.insert(contentsOf: octets[place..<end], at: place)
                    }
                }
                guard let description = try? SessionDescription(parsing: octets) else { continue }
                let options: [NGDescription.MediaInstruction] = [.relay("203.0.113.5:10000", mux: true), .keep, .reject]
                for shift in 0..<3 {
                    let media = description.media.indices.map { options[($0 + shift) % 3] }
                    var writer = NGDescription(description, media: media)
                    sample.change(&writer)
                    let again = try? SessionDescription(parsing: writer.octets())
                    #expect(again?.media.count == description.media.count, "seed \(seed), \(sample.name)")
                    guard shift == 0, let first = again?.media.first, description.media[0].port != 0 else { continue }
                    #expect(first.port == 10_000, "seed \(seed), \(sample.name)")
                    #expect(first.connection == IPAddress("203.0.113.5") || first.isHold, "seed \(seed), \(sample.name)")
                }
            }
        }
    }

    @Test("a description that comes back is known by its mark")
    func loop() throws {
        let description = try SessionDescription(parsing: DescriptionSample.octets(DescriptionSample.everything))
        #expect(!NGDescription.isMarked(description, by: "r1"))
        var writer = NGDescription(description, media: [.reject, .reject, .reject])
        writer.loopProtection = "r1"
        let marked = try SessionDescription(parsing: writer.octets())
        #expect(NGDescription.isMarked(marked, by: "r1"))
        #expect(!NGDescription.isMarked(marked, by: "r2"))
        // The next relay puts its own mark in place of this one, or leaves it when it marks nothing.
        var next = NGDescription(marked, media: [.reject, .reject, .reject])
        #expect(NGDescription.isMarked(try SessionDescription(parsing: next.octets()), by: "r1"))
        next.loopProtection = "r2"
        let remarked = try SessionDescription(parsing: next.octets())
        #expect(NGDescription.isMarked(remarked, by: "r2") && !NGDescription.isMarked(remarked, by: "r1"))
    }

    @Test("profiles that carry each other", arguments: [
        ("RTP/AVP", "RTP/AVPF", true), ("rtp/avpf", "RTP/AVP", true), ("RTP/SAVP", "RTP/SAVPF", true),
        ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", true), ("RTP/AVP", "RTP/SAVP", false), ("RTP/SAVPF", "RTP/AVP", false),
        ("UDP/TLS/RTP/SAVP", "RTP/SAVP", false), ("udptl", "RTP/AVP", false),
    ])
    func carries(transport: String, other: String, expected: Bool) {
        #expect(NGDescription.canCarry(transport, as: other) == expected)
    }

    @Test("multiplexing as rtpengine was seen to do it", arguments: [
        ([], false, .no, false, false), ([], true, .withFallback, false, true),
        (.offer, false, .withFallback, false, false), (.offer, true, .withFallback, false, true),
        ([.offer, .require], false, .required, false, false), ([.offer, .require], true, .required, false, true),
        (.demux, false, .no, false, false), (.demux, true, .no, true, true),
        (.accept, false, .no, false, false), (.accept, true, .withFallback, true, true),
        (.reject, false, .no, false, false), (.reject, true, .withFallback, false, false),
    ] as [(NGMultiplexing, Bool, NGMultiplexing.Offered, Bool, Bool)])
    func multiplexing(
        options: NGMultiplexing, offered: Bool, toCallee: NGMultiplexing.Offered, refused: Bool, accepted: Bool
    ) {
        #expect(options.offered(toCalleeWhen: offered) == toCallee)
        #expect(options.answers(callerWhen: offered, calleeAnswered: false) == refused)
        #expect(options.answers(callerWhen: offered, calleeAnswered: true) == accepted)
    }

    private func origin(_ octets: [UInt8]) -> [String] {
        Sample.text(octets).split(separator: "\r\n").prefix(3).dropFirst().map(String.init)
    }

    @Test("user, name and version of a side over its re-offers")
    func originHistory() throws {
        var history = NGOriginHistory(of: [])
        func write(_ origin: String, name: String, port: Int, _ replacements: NGReplacements) throws -> [String] {
            let text = "v=0\no=\(origin)\ns=\(name)\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0"
            let description = try SessionDescription(parsing: DescriptionSample.octets(text))
            let writer = NGDescription(description, media: [.relay("203.0.113.5:\(port)")])
            return self.origin(history.write(writer, replacements: replacements))
        }
        let all: NGReplacements = [.origin, .username, .sessionName, .sdpVersion]
        #expect(try write("alice 7 20 IN IP4 192.0.2.1", name: "Talk", port: 10_000, all)
            == ["o=alice 7 20 IN IP4 203.0.113.5", "s=Talk"])
        // Another user agent of the same side; the description is the same but for its origin.
        #expect(try write("bob 8 99 IN IP4 192.0.2.9", name: "Other", port: 10_000, all)
            == ["o=alice 8 20 IN IP4 203.0.113.5", "s=Talk"])
        #expect(try write("bob 8 3 IN IP4 192.0.2.9", name: "Other", port: 10_002, all)
            == ["o=alice 8 21 IN IP4 203.0.113.5", "s=Talk"])
        #expect(try write("bob 8 3 IN IP4 192.0.2.9", name: "Other", port: 10_002, [.wholeOrigin, .forcedSDPVersion])
            == ["o=alice 7 22 IN IP4 203.0.113.5", "s=Other"])
        #expect(try write("bob 8 3 IN IP4 192.0.2.9", name: "Other", port: 10_002, [])
            == ["o=bob 8 3 IN IP4 192.0.2.9", "s=Other"])
    }

    @Test("a version at its end starts over")
    func versionWraps() throws {
        var history = NGOriginHistory(of: [])
        let text = "v=0\no=- 1 18446744073709551615 IN IP4 192.0.2.1\ns=-\nt=0 0"
        let writer = NGDescription(try SessionDescription(parsing: DescriptionSample.octets(text)), media: [])
        _ = history.write(writer, replacements: .forcedSDPVersion)
        #expect(origin(history.write(writer, replacements: .forcedSDPVersion))[0] == "o=- 1 0 IN IP4 192.0.2.1")
    }
}
