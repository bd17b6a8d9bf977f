import Core
import NG
import SIP
import Testing

/// A description as it comes in, what is asked for, and the description that goes out.
struct DescriptionSample: CustomTestStringConvertible, Sendable {
    let name: String
    let input: String
    var media: [NGDescription.MediaInstruction] = [.relay("203.0.113.5:10000")]
    var change: @Sendable (inout NGDescription) -> Void = { _ in }
    let output: String

    var testDescription: String { name }

    var written: [UInt8] {
        get throws {
            var writer = NGDescription(try SessionDescription(parsing: Self.octets(input)), media: media)
            change(&writer)
            return writer.octets()
        }
    }

    static func octets(_ text: String) -> [UInt8] {
        Array(text.split(separator: "\n", omittingEmptySubsequences: false).map { $0 + "\r\n" }.joined().utf8)
    }
}

extension NGDescription.MediaInstruction {
    static func relay(_ address: String, rtcpPort: UInt16? = nil, mux: Bool = false) -> Self {
        let address = SocketAddress(address)!
        return .relay(.init(rtp: address, rtcpPort: rtcpPort ?? address.port + 1, hasRTCPMux: mux))
    }
}

extension DescriptionSample {
    /// Everything there is, in an order nobody asked for.
    static let everything = """
        v=0
        o=alice 12 13 IN IP4 192.0.2.1
        s=Talk
        c=IN IP4 192.0.2.1
        p=+1 617
        e=a@example.net
        u=http://x
        i=info
        b=X-Y:3
        b=AS:80
        t=3 4
        r=7d 1h 0 25h
        k=clear:x
        a=tool:foo
        a=group:BUNDLE 0 1
        a=group:LS 0 1
        a=ice-lite
        a=ice-options:trickle
        a=recvonly
        a=second
        m=audio 4000/2 RTP/AVP 8 0 96 101 18
        i=title
        b=TIAS:64000
        b=ZZ:3
        a=ptime:20
        a=maxptime:150
        a=fmtp:101 0-16
        a=rtpmap:101 telephone-event/8000
        a=rtpmap:96 opus/48000/2
        a=rtcp-fb:96 nack
        a=rtcp-fb:* ccm fir
        a=fmtp:96 useinbandfec=1
        a=fmtp:96 stereo=1
        a=fmtp:77 stale
        a=foo:bar
        a=extmap:1 urn:x
        a=label:7
        a=mid:0
        a=candidate:1 1 UDP 2 192.0.2.1 4000 typ host
        a=ice-ufrag:abcd
        a=ice-pwd:abcdefghijklmnopqrstuv
        a=altc:1 IP4 192.0.2.1 4000
        a=rtcp:4001 IN IP4 192.0.2.1
        a=fingerprint:sha-256 AA
        a=setup:actpass
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x
        a=ssrc:1 cname:x
        a=sendonly
        a=rtcp-mux
        a=baz
        m=image 4002 udptl t38
        a=T38FaxVersion:0
        a=T38FaxMaxDatagram:400
        m=video 0 RTP/AVP 99
        a=rtpmap:99 H264/90000
        a=label:9
        a=mid:2
        """

    private static let simple = """
        v=0
        o=- 1 1 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        t=0 0
        m=audio 4000 RTP/AVP 0 8
        """

    private static func simple(with lines: String...) -> String { ([simple] + lines).joined(separator: "\n") }

    private static func answer(connection: String = "203.0.113.5", port: Int = 10_000, _ lines: String...) -> String {
        ([
            "v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "t=0 0", "m=audio \(port) RTP/AVP 0 8",
            "c=IN \(connection.contains(":") ? "IP6" : "IP4") \(connection)", "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000",
        ] + lines).joined(separator: "\n")
    }

    static let all = [
        DescriptionSample(
            name: "everything, in the fixed order",
            input: everything,
            media: [.relay("203.0.113.5:10000", mux: true), .relay("203.0.113.5:10002"), .relay("203.0.113.5:10004")],
            output: """
                v=0
                o=alice 12 13 IN IP4 192.0.2.1
                s=Talk
                i=info
                u=http://x
                e=a@example.net
                p=+1 617
                b=AS:80
                t=3 4
                r=7d 1h 0 25h
                a=group:LS 0 1
                a=tool:foo
                a=second
                m=audio 10000 RTP/AVP 8 0 96 101 18
                i=title
                c=IN IP4 203.0.113.5
                b=TIAS:64000
                a=mid:0
                a=label:7
                a=rtpmap:8 PCMA/8000
                a=rtpmap:0 PCMU/8000
                a=rtpmap:96 opus/48000/2
                a=fmtp:96 useinbandfec=1
                a=fmtp:96 stereo=1
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-16
                a=rtpmap:18 G729/8000
                a=extmap:1 urn:x
                a=foo:bar
                a=ssrc:1 cname:x
                a=baz
                a=sendonly
                a=rtcp:10001
                a=rtcp-mux
                a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x
                a=setup:actpass
                a=fingerprint:sha-256 AA
                a=ptime:20
                a=maxptime:150
                m=image 10002 udptl t38
                c=IN IP4 203.0.113.5
                a=T38FaxVersion:0
                a=T38FaxMaxDatagram:400
                a=recvonly
                m=video 0 RTP/AVP 99
                c=IN IP4 0.0.0.0
                a=mid:2
                a=label:9
                """),
        DescriptionSample(
            name: "ICE kept comes last, ice-lite before the groups",
            input: everything,
            media: [.relay("203.0.113.5:10000"), .reject, .reject],
            change: {
                $0.removesICE = false
                $0.codecs.strip = ["all"]
                $0.codecs.except = ["pcmu"]
                $0.loopProtection = "r1"
                $0.replacesOriginAddress = true
                $0.rtcpAttribute = .full
            },
            output: """
                v=0
                o=alice 12 13 IN IP4 203.0.113.5
                s=Talk
                i=info
                u=http://x
                e=a@example.net
                p=+1 617
                b=AS:80
                t=3 4
                r=7d 1h 0 25h
                a=relayd:r1
                a=ice-lite
                a=group:LS 0 1
                a=tool:foo
                a=ice-options:trickle
                a=second
                m=audio 10000 RTP/AVP 0
                i=title
                c=IN IP4 203.0.113.5
                b=TIAS:64000
                a=mid:0
                a=label:7
                a=rtpmap:0 PCMU/8000
                a=extmap:1 urn:x
                a=foo:bar
                a=ssrc:1 cname:x
                a=baz
                a=sendonly
                a=rtcp:10001 IN IP4 203.0.113.5
                a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x
                a=setup:actpass
                a=fingerprint:sha-256 AA
                a=ptime:20
                a=maxptime:150
                a=candidate:1 1 UDP 2 192.0.2.1 4000 typ host
                a=ice-ufrag:abcd
                a=ice-pwd:abcdefghijklmnopqrstuv
                a=altc:1 IP4 192.0.2.1 4000
                m=image 0 udptl t38
                c=IN IP4 0.0.0.0
                m=video 0 RTP/AVP 99
                c=IN IP4 0.0.0.0
                a=mid:2
                a=label:9
                """),
        DescriptionSample(
            name: "rtpmap for static types, direction and RTCP are always written",
            input: simple, output: answer("a=sendrecv", "a=rtcp:10001")),
        DescriptionSample(
            name: "RTCP multiplexed, no fallback",
            input: simple(with: "a=rtcp:4001", "a=inactive"),
            media: [.relay("203.0.113.5:10000", rtcpPort: 10_000, mux: true)],
            output: answer("a=inactive", "a=rtcp:10000", "a=rtcp-mux")),
        DescriptionSample(
            name: "no multiplexing although it was offered, no RTCP attribute wanted",
            input: simple(with: "a=rtcp-mux", "a=rtcp:4000"), change: { $0.rtcpAttribute = .none },
            output: answer("a=sendrecv")),
        DescriptionSample(
            name: "IPv4 becomes IPv6",
            input: simple, media: [.relay("[2001:db8::5]:10000")],
            output: answer(connection: "2001:db8::5", "a=sendrecv", "a=rtcp:10001")),
        DescriptionSample(
            name: "hold by 0.0.0.0 stays, and says so in the direction too",
            input: simple(with: "c=IN IP4 0.0.0.0"),
            output: answer(connection: "0.0.0.0", "a=sendonly", "a=rtcp:10001")),
        DescriptionSample(
            name: "hold by 0.0.0.0 in the other family, with recvonly",
            input: simple(with: "c=IN IP4 0.0.0.0", "a=recvonly"), media: [.relay("[2001:db8::5]:10000")],
            output: answer(connection: "::", "a=inactive", "a=rtcp:10001")),
        DescriptionSample(
            name: "zero-address replaces 0.0.0.0",
            input: simple(with: "c=IN IP4 0.0.0.0"), change: { $0.replacesZeroAddress = true },
            output: answer("a=sendonly", "a=rtcp:10001")),
        DescriptionSample(
            name: "what was stripped comes back in the order of offer",
            input: simple(with: "a=rtpmap:8 PCMA/8000/1", "a=fmtp:0 x", "a=fmtp:8 y"),
            change: {
                $0.codecs.strip = ["all"]
                $0.codecs.offer = ["PCMA", "opus", "PCMU"]
            },
            output: """
                v=0
                o=- 1 1 IN IP4 192.0.2.1
                s=-
                t=0 0
                m=audio 10000 RTP/AVP 8 0
                c=IN IP4 203.0.113.5
                a=rtpmap:8 PCMA/8000/1
                a=fmtp:8 y
                a=rtpmap:0 PCMU/8000
                a=fmtp:0 x
                a=sendrecv
                a=rtcp:10001
                """),
        DescriptionSample(
            name: "were everything stripped, everything stays",
            input: simple, change: { $0.codecs.strip = ["PCMU/8000", "pcma"] },
            output: answer("a=sendrecv", "a=rtcp:10001")),
        DescriptionSample(
            name: "another profile where it is a matter of the description alone: feedback goes",
            input: simple.replacing("RTP/AVP", with: "RTP/AVPF") + "\na=rtcp-fb:* nack\na=rtcp-fb:8 nack",
            change: { $0.transport = "RTP/AVP" }, output: answer("a=sendrecv", "a=rtcp:10001")),
        DescriptionSample(
            name: "encryption cannot be taken away",
            input: simple.replacing("RTP/AVP", with: "RTP/SAVP"), change: { $0.transport = "RTP/AVP" },
            output: answer("a=sendrecv", "a=rtcp:10001").replacing("RTP/AVP", with: "RTP/SAVP")),
        DescriptionSample(
            name: "lines that are missing, an empty name, bare dynamic types, feedback kept",
            input: """
                v=0
                s=
                m=audio 4000 RTP/AVPF 96 0 0 200 x
                c=IN IP6 2001:db8::1
                a=rtcp-fb:96 nack
                a=rtcp-fb:* nack
                """,
            media: [.reject],
            output: """
                v=0
                o=- 0 0 IN IP4 0.0.0.0
                s=
                t=0 0
                m=audio 0 RTP/AVPF 96 0 0 200 x
                c=IN IP4 0.0.0.0
                """),
        DescriptionSample(
            name: "feedback stays under AVPF, odd formats too",
            input: """
                v=0
                o=odd
                s=
                m=audio 4000 RTP/AVPF 96 0 0 200 x
                c=IN IP6 2001:db8::1
                a=rtcp-fb:96 nack
                a=rtcp-fb:* nack
                """,
            change: { $0.replacesOriginAddress = true },
            output: """
                v=0
                o=odd
                s=
                t=0 0
                m=audio 10000 RTP/AVPF 96 0 0 200 x
                c=IN IP4 203.0.113.5
                a=rtcp-fb:96 nack
                a=rtpmap:0 PCMU/8000
                a=rtcp-fb:* nack
                a=sendrecv
                a=rtcp:10001
                """),
        DescriptionSample(
            name: "media that pass the relay by keep their address; a message session gets the relay's",
            input: """
                v=0
                o=- 1 1 IN IP4 192.0.2.1
                s=-
                c=IN IP4 192.0.2.1
                t=0 0
                a=sendonly
                m=application 9 TCP/BFCP *
                a=floorctrl:s-only
                m=message 2855 UDP msrp
                i=chat
                b=AS:5
                a=sendrecv
                a=path:x
                m=audio 0 RTP/AVP
                """,
            media: [.keep, .relay("203.0.113.5:10002"), .keep],
            output: """
                v=0
                o=- 1 1 IN IP4 192.0.2.1
                s=-
                t=0 0
                m=application 9 TCP/BFCP *
                c=IN IP4 192.0.2.1
                a=floorctrl:s-only
                a=sendonly
                m=message 10002 UDP msrp
                i=chat
                c=IN IP4 203.0.113.5
                b=AS:5
                a=sendrecv
                a=path:x
                m=audio 0 RTP/AVP 0
                c=IN IP4 0.0.0.0
                """),
    ]
}
