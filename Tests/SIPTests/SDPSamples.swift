import Core
import SIP
import Testing

/// A phone's session description and what the relay must make of it.
struct SDPSample: CustomTestStringConvertible {
    let name: String
    let input: String
    let rewrites: [SessionDescription.MediaRewrite]
    let output: String

    var testDescription: String { name }

    /// What is sent: every line ends with CRLF.
    static func octets(_ text: String) -> [UInt8] {
        Array(text.split(separator: "\n", omittingEmptySubsequences: false).map { $0 + "\r\n" }.joined().utf8)
    }
}

extension SessionDescription.MediaRewrite {
    static func relay(_ address: String) -> Self { .relay(SocketAddress(address)!) }
}

extension SDPSample {
    static let all = [
        SDPSample(
            name: "Linphone: session c= only, rtcp-xr, late media c= absent",
            input: """
                v=0
                o=alice 2890 1931 IN IP4 192.168.1.20
                s=Talk
                c=IN IP4 192.168.1.20
                t=0 0
                a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
                a=record:off
                m=audio 7078 RTP/AVP 96 97 98 0 8 101
                a=rtpmap:96 opus/48000/2
                a=fmtp:96 useinbandfec=1
                a=rtpmap:97 speex/16000
                a=fmtp:97 vbr=on
                a=rtpmap:98 speex/8000
                a=rtpmap:101 telephone-event/8000
                a=rtcp:7079
                """,
            rewrites: [.relay("203.0.113.5:10000")],
            output: """
                v=0
                o=alice 2890 1931 IN IP4 192.168.1.20
                s=Talk
                c=IN IP4 203.0.113.5
                t=0 0
                a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
                a=record:off
                m=audio 10000 RTP/AVP 96 97 98 0 8 101
                a=rtpmap:96 opus/48000/2
                a=fmtp:96 useinbandfec=1
                a=rtpmap:97 speex/16000
                a=fmtp:97 vbr=on
                a=rtpmap:98 speex/8000
                a=rtpmap:101 telephone-event/8000
                a=rtcp:10001
                """),
        SDPSample(
            name: "Asterisk: media c= absent, ptime, maxptime",
            input: """
                v=0
                o=- 1415829 1415829 IN IP4 198.51.100.7
                s=Asterisk
                c=IN IP4 198.51.100.7
                t=0 0
                m=audio 18232 RTP/AVP 0 8 101
                a=rtpmap:0 PCMU/8000
                a=rtpmap:8 PCMA/8000
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-16
                a=ptime:20
                a=maxptime:150
                a=sendrecv
                """,
            rewrites: [.relay("203.0.113.5:19998")],
            output: """
                v=0
                o=- 1415829 1415829 IN IP4 198.51.100.7
                s=Asterisk
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 19998 RTP/AVP 0 8 101
                a=rtpmap:0 PCMU/8000
                a=rtpmap:8 PCMA/8000
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-16
                a=ptime:20
                a=maxptime:150
                a=sendrecv
                """),
        SDPSample(
            name: "Cisco SPA: s=-, dynamic G726 names, silenceSupp",
            input: """
                v=0
                o=- 1063 1063 IN IP4 10.0.0.31
                s=-
                c=IN IP4 10.0.0.31
                t=0 0
                m=audio 16450 RTP/AVP 18 0 2 8 96 97 98 100 101
                a=rtpmap:18 G729a/8000
                a=rtpmap:0 PCMU/8000
                a=rtpmap:2 G726-32/8000
                a=rtpmap:8 PCMA/8000
                a=rtpmap:96 G726-40/8000
                a=rtpmap:97 G726-24/8000
                a=rtpmap:98 G726-16/8000
                a=rtpmap:100 NSE/8000
                a=fmtp:100 192-193
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-15
                a=ptime:30
                a=silenceSupp:on - - - -
                a=sendrecv
                """,
            rewrites: [.relay("203.0.113.5:10002")],
            output: """
                v=0
                o=- 1063 1063 IN IP4 10.0.0.31
                s=-
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 10002 RTP/AVP 18 0 2 8 96 97 98 100 101
                a=rtpmap:18 G729a/8000
                a=rtpmap:0 PCMU/8000
                a=rtpmap:2 G726-32/8000
                a=rtpmap:8 PCMA/8000
                a=rtpmap:96 G726-40/8000
                a=rtpmap:97 G726-24/8000
                a=rtpmap:98 G726-16/8000
                a=rtpmap:100 NSE/8000
                a=fmtp:100 192-193
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-15
                a=ptime:30
                a=silenceSupp:on - - - -
                a=sendrecv
                """),
        SDPSample(
            name: "FreeSWITCH: rtcp with an address, comfort noise; video declined",
            input: """
                v=0
                o=FreeSWITCH 1700000000 1700000001 IN IP4 192.0.2.10
                s=FreeSWITCH
                c=IN IP4 192.0.2.10
                t=0 0
                m=audio 26754 RTP/AVP 9 0 101 13
                a=rtpmap:9 G722/8000
                a=rtpmap:0 PCMU/8000
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-16
                a=rtpmap:13 CN/8000
                a=rtcp:26755 IN IP4 192.0.2.10
                a=ptime:20
                m=video 28000 RTP/AVP 99
                b=AS:1024
                a=rtpmap:99 H264/90000
                a=rtcp:28001 IN IP4 192.0.2.10
                """,
            rewrites: [.relay("203.0.113.5:10004"), .decline],
            output: """
                v=0
                o=FreeSWITCH 1700000000 1700000001 IN IP4 192.0.2.10
                s=FreeSWITCH
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 10004 RTP/AVP 9 0 101 13
                a=rtpmap:9 G722/8000
                a=rtpmap:0 PCMU/8000
                a=rtpmap:101 telephone-event/8000
                a=fmtp:101 0-16
                a=rtpmap:13 CN/8000
                a=rtcp:10005 IN IP4 203.0.113.5
                a=ptime:20
                m=video 0 RTP/AVP 99
                b=AS:1024
                a=rtpmap:99 H264/90000
                """),
        SDPSample(
            name: "WebRTC: ICE and BUNDLE go, DTLS stays, rtcp shares the RTP port",
            input: """
                v=0
                o=- 4611731400430051336 2 IN IP4 127.0.0.1
                s=-
                t=0 0
                a=group:BUNDLE 0
                a=ice-lite
                a=ice-options:trickle ice2
                a=msid-semantic: WMS
                m=audio 50122 UDP/TLS/RTP/SAVPF 111 0 8
                c=IN IP4 198.51.100.77
                a=rtcp:50122 IN IP4 198.51.100.77
                a=candidate:1 1 udp 2122260223 192.168.1.5 50122 typ host generation 0
                a=candidate:2 1 udp 1686052607 198.51.100.77 50122 typ srflx raddr 192.168.1.5 rport 50122
                a=ice-ufrag:EsAw
                a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
                a=ice-mismatch
                a=remote-candidates:1 192.0.2.3 45664
                a=ice-pacing:50
                a=end-of-candidates
                a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24
                a=setup:actpass
                a=mid:0
                a=sendrecv
                a=rtcp-mux
                a=rtpmap:111 opus/48000/2
                a=ssrc:1001 cname:x
                """,
            rewrites: [.relay("203.0.113.5:10006")],
            output: """
                v=0
                o=- 4611731400430051336 2 IN IP4 127.0.0.1
                s=-
                t=0 0
                a=msid-semantic: WMS
                m=audio 10006 UDP/TLS/RTP/SAVPF 111 0 8
                c=IN IP4 203.0.113.5
                a=rtcp:10006 IN IP4 203.0.113.5
                a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24
                a=setup:actpass
                a=mid:0
                a=sendrecv
                a=rtcp-mux
                a=rtpmap:111 opus/48000/2
                a=ssrc:1001 cname:x
                """),
        SDPSample(
            name: "WebRTC without a candidate yet: 0.0.0.0 with port 9 is no hold",
            input: """
                v=0
                o=- 1 2 IN IP4 127.0.0.1
                s=-
                t=0 0
                m=audio 9 UDP/TLS/RTP/SAVPF 0
                c=IN IP4 0.0.0.0
                a=rtcp:9 IN IP4 0.0.0.0
                a=ice-ufrag:EsAw
                a=rtcp-mux
                """,
            rewrites: [.relay("203.0.113.5:10006")],
            output: """
                v=0
                o=- 1 2 IN IP4 127.0.0.1
                s=-
                t=0 0
                m=audio 10006 UDP/TLS/RTP/SAVPF 0
                c=IN IP4 203.0.113.5
                a=rtcp:10006 IN IP4 203.0.113.5
                a=rtcp-mux
                """),
        SDPSample(
            name: "one session line of 0.0.0.0: no hold for the ICE medium, hold for the others",
            input: """
                v=0
                o=- 1 2 IN IP4 127.0.0.1
                s=-
                c=IN IP4 0.0.0.0
                t=0 0
                a=ice-ufrag:EsAw
                m=audio 9 UDP/TLS/RTP/SAVPF 0
                m=audio 4000 RTP/AVP 0
                m=audio 4002 RTP/AVP 0
                """,
            rewrites: [.relay("203.0.113.5:10006"), .relay("203.0.113.5:10008"), .keep],
            output: """
                v=0
                o=- 1 2 IN IP4 127.0.0.1
                s=-
                c=IN IP4 0.0.0.0
                t=0 0
                m=audio 10006 UDP/TLS/RTP/SAVPF 0
                c=IN IP4 203.0.113.5
                m=audio 10008 RTP/AVP 0
                m=audio 4002 RTP/AVP 0
                """),
        SDPSample(
            name: "T.38 beside audio that is switched off",
            input: """
                v=0
                o=gw 1 2 IN IP4 192.0.2.44
                s=SIP Call
                c=IN IP4 192.0.2.44
                t=0 0
                m=audio 0 RTP/AVP 8
                m=image 4500 udptl t38
                a=T38FaxVersion:0
                a=T38MaxBitRate:14400
                a=T38FaxUdpEC:t38UDPRedundancy
                """,
            rewrites: [.relay("203.0.113.5:10008"), .relay("203.0.113.5:10010")],
            output: """
                v=0
                o=gw 1 2 IN IP4 192.0.2.44
                s=SIP Call
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 0 RTP/AVP 8
                m=image 10010 udptl t38
                a=T38FaxVersion:0
                a=T38MaxBitRate:14400
                a=T38FaxUdpEC:t38UDPRedundancy
                """),
        SDPSample(
            name: "hold by sendonly for the whole session",
            input: """
                v=0
                o=snom 5 6 IN IP4 192.168.0.9
                s=call
                c=IN IP4 192.168.0.9
                t=0 0
                a=sendonly
                m=audio 50000/2 RTP/AVP 8
                """,
            rewrites: [.relay("203.0.113.5:10012")],
            output: """
                v=0
                o=snom 5 6 IN IP4 192.168.0.9
                s=call
                c=IN IP4 203.0.113.5
                t=0 0
                a=sendonly
                m=audio 10012 RTP/AVP 8
                """),
        SDPSample(
            name: "hold by 0.0.0.0 for the session stays",
            input: """
                v=0
                o=- 5 6 IN IP4 192.168.0.9
                s=call
                c=IN IP4 0.0.0.0
                t=0 0
                m=audio 50000 RTP/AVP 8
                """,
            rewrites: [.relay("203.0.113.5:10014")],
            output: """
                v=0
                o=- 5 6 IN IP4 192.168.0.9
                s=call
                c=IN IP4 0.0.0.0
                t=0 0
                m=audio 10014 RTP/AVP 8
                """),
        SDPSample(
            name: "hold by 0.0.0.0 in the medium stays, the session's address is replaced",
            input: """
                v=0
                o=- 5 6 IN IP4 192.168.0.9
                s=call
                c=IN IP4 192.168.0.9
                t=0 0
                m=audio 50000 RTP/AVP 8
                c=IN IP4 0.0.0.0
                a=inactive
                """,
            rewrites: [.relay("203.0.113.5:10014")],
            output: """
                v=0
                o=- 5 6 IN IP4 192.168.0.9
                s=call
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 10014 RTP/AVP 8
                c=IN IP4 0.0.0.0
                a=inactive
                """),
        SDPSample(
            name: "from IPv6 to IPv4 and, in the second medium, from IPv4 to IPv6",
            input: """
                v=0
                o=- 7 7 IN IP6 2001:db8::20
                s=-
                c=IN IP6 2001:db8::20
                t=0 0
                m=audio 6000 RTP/AVP 0
                a=rtcp:6007 IN IP6 2001:db8::21
                m=audio 6002 RTP/AVP 0
                c=IN IP4 192.0.2.9
                """,
            rewrites: [.relay("203.0.113.5:10016"), .relay("[2001:db8:f::1]:10018")],
            output: """
                v=0
                o=- 7 7 IN IP6 2001:db8::20
                s=-
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 10016 RTP/AVP 0
                a=rtcp:10017 IN IP4 203.0.113.5
                m=audio 10018 RTP/AVP 0
                c=IN IP6 2001:db8:f::1
                """),
        SDPSample(
            name: "two relay addresses under one session c=: the second medium gets its own, after its title",
            input: """
                v=0
                o=- 7 7 IN IP4 192.0.2.9
                s=-
                c=IN IP4 192.0.2.9
                t=0 0
                m=audio 6000 RTP/AVP 0
                m=video 6002 RTP/AVP 31
                i=slides
                b=AS:64
                """,
            rewrites: [.relay("203.0.113.5:10016"), .relay("203.0.113.6:10018")],
            output: """
                v=0
                o=- 7 7 IN IP4 192.0.2.9
                s=-
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 10016 RTP/AVP 0
                m=video 10018 RTP/AVP 31
                i=slides
                c=IN IP4 203.0.113.6
                b=AS:64
                """),
        SDPSample(
            name: "a kept medium keeps its address when the session's line changes under it",
            input: """
                v=0
                o=- 7 7 IN IP4 192.0.2.9
                s=-
                c=IN IP4 192.0.2.9
                t=0 0
                m=audio 6000 RTP/AVP 0
                m=video 6002/2 RTP/AVP 31
                a=rtcp:6003
                a=candidate:1 1 udp 1 192.0.2.9 6002 typ host
                """,
            rewrites: [.relay("203.0.113.5:10016"), .keep],
            output: """
                v=0
                o=- 7 7 IN IP4 192.0.2.9
                s=-
                c=IN IP4 203.0.113.5
                t=0 0
                m=audio 10016 RTP/AVP 0
                m=video 6002/2 RTP/AVP 31
                c=IN IP4 192.0.2.9
                a=rtcp:6003
                a=candidate:1 1 udp 1 192.0.2.9 6002 typ host
                """),
        SDPSample(
            name: "nothing relayed: everything stays, declined media but for their ports",
            input: """
                v=0
                o=- 7 7 IN IP4 192.0.2.9
                s=-
                c=IN IP4 192.0.2.9
                t=0 0
                a=ice-lite
                m=audio 6000 RTP/AVP 0
                m=message 7000 TCP/MSRP *
                c=IN IP4 192.0.2.9
                """,
            rewrites: [.keep, .decline],
            output: """
                v=0
                o=- 7 7 IN IP4 192.0.2.9
                s=-
                c=IN IP4 192.0.2.9
                t=0 0
                a=ice-lite
                m=audio 6000 RTP/AVP 0
                m=message 0 TCP/MSRP *
                c=IN IP4 192.0.2.9
                """),
        SDPSample(
            name: "no address anywhere, one as a host name, layered multicast: each medium ends with one address",
            input: """
                v=0
                s=\u{20}
                m=audio 6000 RTP/AVP 0
                m=audio 6002 RTP/AVP 0
                c=IN IP4 phone.example.net
                m=audio 6004/3 RTP/AVP 0
                c=IN IP4 233.252.0.1/127
                c=IN IP4 233.252.0.2/127
                m=audio 0 RTP/AVP 0
                c=IN IP4 192.168.7.7
                """,
            rewrites: [.relay("203.0.113.5:10016"), .relay("203.0.113.5:10018"), .relay("203.0.113.5:10020"), .decline],
            output: """
                v=0
                s=\u{20}
                m=audio 10016 RTP/AVP 0
                c=IN IP4 203.0.113.5
                m=audio 10018 RTP/AVP 0
                c=IN IP4 203.0.113.5
                m=audio 10020 RTP/AVP 0
                c=IN IP4 203.0.113.5
                m=audio 0 RTP/AVP 0
                c=IN IP4 203.0.113.5
                """),
        SDPSample(
            name: "odd: altc and an unreadable a=rtcp go; unknown lines, double spaces and UTF-8 stay",
            input: """
                v=0
                o=Müller 1 1 IN IP4 192.0.2.9
                s=
                i=Grüße
                u=http://example.net/?a=b
                e=a@example.net
                c=IN IP4 192.0.2.9
                b=CT:128
                t=2873397496 2873404696
                r=7d 1h 0 25h
                z=2882844526 -1h
                k=clear:x
                X=who knows
                a=
                a=:
                a=rtcp
                m=audio  6000  RTP/AVP  0 8
                a=X-nat:0
                a=altc:1 IP4 192.0.2.9 6000
                a=rtcp:6001/2
                a=rtcp-fb:* nack
                a=candidates:none
                a=fmtp:0
                a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR
                """,
            rewrites: [.relay("203.0.113.5:10016")],
            output: """
                v=0
                o=Müller 1 1 IN IP4 192.0.2.9
                s=
                i=Grüße
                u=http://example.net/?a=b
                e=a@example.net
                c=IN IP4 203.0.113.5
                b=CT:128
                t=2873397496 2873404696
                r=7d 1h 0 25h
                z=2882844526 -1h
                k=clear:x
                X=who knows
                a=
                a=:
                a=rtcp
                m=audio  10016  RTP/AVP  0 8
                a=X-nat:0
                a=rtcp-fb:* nack
                a=candidates:none
                a=fmtp:0
                a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR
                """),
    ]
}
