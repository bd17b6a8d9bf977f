import NG

/// Messages of the proxies, octet for octet. Those of Kamailio 5.6.3 were recorded from its rtpengine module.
enum Sample {
    static let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"

    static let ping = "0_2873_0 d7:command4:pinge"
    /// `replace-origin replace-session-connection ICE=remove RTP/AVP direction=pub direction=priv
    /// media-address=203.0.113.9 trust-address via-branch=1 symmetric rtcp-mux-demux codec-strip-G729 delete-delay=5
    /// label=caller TOS=184 address-family=IP4 loop-protect record-call=off`
    static let offer = "0_2873_1 d8:supportsl10:load limite3:sdp89:\(sdp)3:ICE6:remove13:media-address11:203.0.113.9"
        + "12:delete delayi5e12:delete-delay1:55:label6:caller3:TOSi184e14:address-family3:IP411:record-call3:off"
        + "9:directionl3:pub4:prive5:flagsl13:trust-address9:symmetric12:loop-protecte7:replacel6:origin"
        + "18:session-connectione5:codecd5:stripl4:G729ee18:transport-protocol7:RTP/AVP8:rtcp-muxl5:demuxe7:call-id4:c1@h"
        + "10:via-branch9:z9hG4bKx013:received-froml3:IP49:127.0.0.1e8:from-tag2:ft7:command5:offere"
    /// With words that only another engine knows: `no-redis-update foo=bar baz`.
    static let strangeOffer = "0_3577_1 d8:supportsl10:load limite3:sdp89:\(sdp)17:endpoint-learning3:off14:from-interface1:a"
        + "3:foo3:bar5:flagsl13:strict-source10:asymmetric14:media-handover13:port-latching15:no-redis-update3:baz"
        + "18:SIP-source-addresse7:replacel12:zero-address12:session-namee5:codecd5:offerl4:PCMAe6:exceptl15:telephone-event"
        + "ee18:transport-protocol7:RTP/AVP8:rtcp-muxl5:offer7:requiree7:call-id5:other13:received-froml3:IP49:127.0.0.1e"
        + "8:from-tag2:zz7:command5:offere"
    static let blockMedia = "0_2873_2 d8:supportsl10:load limite7:call-id4:c1@h13:received-froml3:IP49:127.0.0.1e"
        + "7:command11:block mediae"
    static let unsilenceMedia = "0_2873_5 d8:supportsl10:load limite7:call-id4:c1@h13:received-froml3:IP49:127.0.0.1e"
        + "7:command15:unsilence mediae"
    static let blockDTMF = "0_2873_6 d8:supportsl10:load limite7:call-id4:c1@h13:received-froml3:IP49:127.0.0.1e"
        + "7:command10:block DTMFe"
    static let startRecording = "0_2873_8 d8:supportsl10:load limite7:call-id4:c1@h13:received-froml3:IP49:127.0.0.1e"
        + "8:from-tag2:ft6:to-tag2:tt7:command15:start recordinge"
    static let playMedia = "0_2873_10 d8:supportsl10:load limite4:file6:/a.wav7:call-id4:c1@h13:received-froml3:IP4"
        + "9:127.0.0.1e8:from-tag2:ft6:to-tag2:tt7:command10:play mediae"
    static let query = "0_2873_11 d8:supportsl10:load limite7:call-id4:c1@h13:received-froml3:IP49:127.0.0.1e8:from-tag2:ft"
        + "6:to-tag2:tt7:command5:querye"
    static let delete = "0_2873_13 d8:supportsl10:load limite5:flagsl5:fatale7:call-id4:c1@h13:received-froml3:IP4"
        + "9:127.0.0.1e8:from-tag2:ft7:command6:deletee"

    static let all = [
        ping, offer, strangeOffer, blockMedia, unsilenceMedia, blockDTMF, startRecording, playMedia, query, delete,
    ]

    static func envelope(_ message: String) throws -> NGEnvelope { try NGEnvelope(parsing: Array(message.utf8)) }

    static func request(_ message: String) throws -> NGRequest { try NGRequest(envelope(message).dictionary) }

    /// A request with these keys beside `command: offer`.
    static func offer(_ entries: NGDictionary) throws -> NGRequest {
        var dictionary = entries
        dictionary["command"] = .text("offer")
        return try NGRequest(dictionary)
    }

    /// A request whose options come as a script writes them.
    static func offer(flagString: String) throws -> NGRequest { try offer(["rtpp-flags": .text(flagString)]) }

    static func text(_ octets: some Collection<UInt8>) -> String { String(decoding: octets, as: UTF8.self) }
}

extension NGRequest {
    var sdpText: String? { sdp.map { Sample.text($0) } }
}
