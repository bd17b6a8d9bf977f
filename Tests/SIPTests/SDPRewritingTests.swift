import Core
import SIP
import Testing

@Suite struct SDPRewritingTests {
    @Test("only transport addresses change", arguments: SDPSample.all)
    func golden(sample: SDPSample) throws {
        let description = try SessionDescription(parsing: SDPSample.octets(sample.input))
        let output = String(decoding: description.rewritten(sample.rewrites), as: UTF8.self)
        #expect(output == String(decoding: SDPSample.octets(sample.output), as: UTF8.self))
    }

    @Test("bare LF and a missing last line end come out as CRLF", arguments: SDPSample.all)
    func lineEnds(sample: SDPSample) throws {
        for input in [sample.input, sample.input + "\n", sample.input + "\n\r\n\n"] {
            let description = try SessionDescription(parsing: Array(input.utf8))
            #expect(description.rewritten(sample.rewrites) == SDPSample.octets(sample.output))
        }
    }

    @Test("read again, the result has the new addresses and nothing else changed", arguments: SDPSample.all)
    func readAgain(sample: SDPSample) throws {
        let before = try SessionDescription(parsing: SDPSample.octets(sample.input))
        let octets = before.rewritten(sample.rewrites)
        let after = try SessionDescription(parsing: octets)
        #expect(after.media.count == before.media.count)
        for (index, rewrite) in sample.rewrites.enumerated() {
            let (old, new) = (before.media[index], after.media[index])
            #expect(new.kind == old.kind)
            #expect(new.transport == old.transport)
            #expect(new.formats == old.formats)
            #expect(new.payloads == old.payloads)
            #expect(new.direction == old.direction)
            #expect(new.hasRTCPMux == old.hasRTCPMux)
            switch rewrite {
            case .relay(let address) where old.port != 0:
                #expect(new.isHold == old.isHold)
                #expect(new.port == address.port)
                #expect(new.portCount == 1)
                let isHeldByAddress = old.isHold && old.connection?.isUnspecified == true
                #expect(new.rtpAddress == (isHeldByAddress ? nil : address))
            case .relay, .decline:
                #expect(new.port == 0)
            case .keep:
                #expect(new.port == old.port)
                #expect(new.rtpAddress == old.rtpAddress)
                #expect(new.rtcpAddress == old.rtcpAddress)
            }
        }
        // A second relay in the path asks for the same addresses: nothing changes any more.
        let again = sample.rewrites.map { $0 == .decline ? .keep : $0 }
        #expect(after.rewritten(again) == octets)
    }

    @Test("all kept is the same octets", arguments: SDPSample.all)
    func kept(sample: SDPSample) throws {
        let octets = SDPSample.octets(sample.input)
        let description = try SessionDescription(parsing: octets)
        #expect(description.rewritten(description.media.map { _ in .keep }) == octets)
    }

    @Test("BUNDLE goes where the relay is between, other groups stay; a description that passes whole keeps it")
    func bundle() throws {
        let description = try SessionDescription(
            parsing: Array(
                """
                v=0
                o=- 1 1 IN IP4 198.51.100.11
                s=-
                c=IN IP4 198.51.100.11
                t=0 0
                a=group:BUNDLE 0 1
                a=group:LS 0 1
                m=audio 40000 RTP/AVP 8
                a=mid:0
                m=video 40002 RTP/AVP 96
                a=mid:1
                a=bundle-only
                """.utf8))
        let text = String(
            decoding: description.rewritten([.relay(SocketAddress("192.0.2.1:10000")!), .decline]), as: UTF8.self)
        #expect(!text.contains("BUNDLE") && !text.contains("bundle-only"))
        #expect(text.contains("a=group:LS 0 1\r\n") && text.contains("a=mid:1\r\n"))
        #expect(String(decoding: description.rewritten([.keep, .keep]), as: UTF8.self).contains("a=group:BUNDLE 0 1\r\n"))
    }
}
