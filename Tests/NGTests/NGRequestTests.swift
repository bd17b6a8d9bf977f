import Core
import NG
import Testing

@Suite struct NGRequestTests {
    @Test("an offer of Kamailio, option by option")
    func offer() throws {
        let request = try Sample.request(Sample.offer)
        #expect(request.command == .offer)
        #expect(request.callID == "c1@h")
        #expect(request.fromTag == "ft")
        #expect(request.toTag == nil)
        #expect(request.viaBranch == "z9hG4bKx0")
        #expect(request.sdpText == Sample.sdp)
        #expect(request.receivedFrom == IPAddress("127.0.0.1"))
        #expect(request.supportsLoadLimit)
        #expect(request.replacements == [.origin, .sessionConnection])
        #expect(request.multiplexing == .demux)
        #expect(request.codecs.strip == ["G729"])
        #expect(request.routing.fromInterface == "pub")
        #expect(request.routing.toInterface == "priv")
        #expect(request.routing.mediaAddress == IPAddress("203.0.113.9"))
        #expect(request.routing.addressFamily == .ipv4)
        #expect(request.routing.transport == "RTP/AVP")
        #expect(request.routing.tos == 184)
        #expect(request.source.trustsAddress)
        #expect(request.source.isSymmetric)
        #expect(request.deleteDelay == .seconds(5))
        #expect(request.label == "caller")
        #expect(request.isLoopProtected)
        #expect(request.recordsCall == false)
        #expect(request.warnings.isEmpty)
    }

    @Test("unknown words and keys change nothing")
    func unknown() throws {
        let request = try Sample.request(Sample.strangeOffer)
        #expect(request.callID == "other")
        #expect(request.fromTag == "zz")
        #expect(request.source.learning == .off)
        #expect(request.source.isStrict)
        #expect(request.source.isAsymmetric)
        #expect(request.source.allowsHandover)
        #expect(request.source.portLatching == true)
        #expect(!request.source.trustsAddress)
        #expect(request.routing.fromInterface == "a")
        #expect(request.replacements == [.zeroAddress, .sessionName])
        #expect(request.multiplexing == [.offer, .require])
        #expect(request.codecs.offer == ["PCMA"])
        #expect(request.codecs.except == ["telephone-event"])
        #expect(request.warnings.isEmpty)
    }

    @Test("commands as Kamailio sends them", arguments: [
        (Sample.ping, NGCommand.ping), (Sample.blockMedia, .blockMedia), (Sample.unsilenceMedia, .unsilenceMedia),
        (Sample.blockDTMF, .blockDTMF), (Sample.startRecording, .startRecording), (Sample.playMedia, .playMedia),
        (Sample.query, .query), (Sample.delete, .delete),
    ])
    func commands(message: String, command: NGCommand) throws {
        #expect(try Sample.request(message).command == command)
    }

    @Test("a command is known in every spelling, and either done or refused with a reason")
    func spellings() throws {
        for command in NGCommand.allCases {
            for spelling in [command.rawValue, command.rawValue.lowercased()] {
                for separator in ["-", "_", " "] {
                    #expect(NGCommand(word: Array(spelling.replacing(" ", with: separator).utf8)[...]) == command)
                }
            }
        }
        let refused = NGCommand.allCases.filter { $0.refusal != nil }
        let expected: Set<NGCommand> = [.playMedia, .playDTMF, .startForwarding, .subscribeRequest, .publish, .connect]
        #expect(expected.isSubset(of: refused))
        #expect(refused.allSatisfy { $0.refusal?.text.hasPrefix("'\($0.rawValue)' is not supported: ") == true })
        #expect(throws: NGErrorReason.noCommand) { try NGRequest(["call-id": .text("x")]) }
        #expect(throws: NGErrorReason.noCommand) { try NGRequest(["command": .integer(1)]) }
        #expect(throws: NGErrorReason.unknownCommand) { try NGRequest(["command": .text("nonsense")]) }
    }

    @Test("one option, every way it is written", arguments: [
        ["replace": .list([.text("origin")])], ["replace": .text("origin")], ["flags": .list([.text("replace-origin")])],
        ["flags": .text("foo,replace-origin")], ["rtpp-flags": .text("replace-origin")],
        ["rtpp-flags": .text("replace=origin")], ["rtpp-flags": .text("foo replace=[origin] bar")],
        ["rtpp flags": .text("  replace-origin  ")], ["rtpp_flags": .text("RTP replace=[ origin ]")],
    ] as [NGDictionary])
    func oneOption(entries: NGDictionary) throws {
        #expect(try Sample.offer(entries).replacements == .origin)
    }

    @Test("keys with spaces, hyphens, underscores and capitals alike", arguments: [
        "delete-delay", "delete delay", "delete_delay", "Delete-Delay",
    ])
    func keySpelling(key: String) throws {
        #expect(try Sample.offer([key: .integer(7)]).deleteDelay == .seconds(7))
        #expect(try Sample.offer([key: .text("7")]).deleteDelay == .seconds(7))
        #expect(try Sample.offer([key: .text("x")]).deleteDelay == nil)
        #expect(try Sample.offer([key: .integer(-1)]).deleteDelay == nil)
    }

    @Test("the flags of a script, unread by the proxy")
    func flagString() throws {
        let request = try Sample.offer(flagString: "SRTP AVPF internal direction=ext codec=[strip=[PCMA opus/48000/2] "
            + "offer=[PCMU]] codec-except=[G729 CN] codec-strip-G722 delete-delay=3 TOS=46 via-branch=z9 label=x "
            + "rtcp-mux=[offer require] media-address=[2001:db8::1] no-port-latching endpoint-learning=heuristic "
            + "set-label=y address-family=IP6 SIP-source-address unknown=[a [b c] [d=e]] no-rtcp-attribute")
        #expect(request.routing.transport == "RTP/SAVPF")
        #expect(request.routing.fromInterface == "internal")
        #expect(request.routing.toInterface == "ext")
        #expect(request.codecs.strip == ["PCMA", "opus/48000/2", "G722"])
        #expect(request.codecs.offer == ["PCMU"])
        #expect(request.codecs.except == ["G729", "CN"])
        #expect(request.deleteDelay == .seconds(3))
        #expect(request.routing.tos == 46)
        #expect(request.viaBranch == "z9")
        #expect(request.label == "x")
        #expect(request.setLabel == "y")
        #expect(request.multiplexing == [.offer, .require])
        #expect(request.routing.mediaAddress == IPAddress("2001:db8::1"))
        #expect(request.routing.addressFamily == .ipv6)
        #expect(request.source.portLatching == false)
        #expect(request.source.learning == .heuristic)
        #expect(!request.source.trustsAddress)
        #expect(request.rtcpAttribute == .none)
    }

    @Test("in the script's flags from-tag replaces the message's, and directions add up to two")
    func overrides() throws {
        let request = try Sample.offer([
            "rtpp-flags": .text("from-tag=script direction=a direction=b direction=c"), "from-tag": .text("message"),
        ])
        #expect(request.fromTag == "script")
        #expect(request.isDirectional)
        #expect(request.routing.fromInterface == "a")
        #expect(request.routing.toInterface == "b")
        #expect(try Sample.offer(flagString: "direction=[x y]").routing.toInterface == "y")
    }

    @Test("the profile spelt as words", arguments: [
        ("RTP", "RTP/AVP"), ("RTP AVP", "RTP/AVP"), ("SRTP", "RTP/SAVP"), ("AVPF", "RTP/AVPF"),
        ("DTLS AVPF", "UDP/TLS/RTP/SAVPF"), ("RTP/SAVPF AVP", "RTP/SAVP"), ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVP"),
        ("transport-protocol=rtp/avp", "RTP/AVP"), ("transport-protocol=accept", nil), ("transport-protocol=foo", nil),
        ("foo", nil),
    ] as [(String, String?)])
    func transport(flags: String, transport: String?) throws {
        #expect(try Sample.offer(flagString: flags).routing.transport == transport)
    }

    @Test("what is accepted without effect is named", arguments: [
        ["codec": .dictionary(["transcode": .list([.text("PCMU")])])], ["flags": .list([.text("codec-mask-PCMA")])],
        ["flags": .list([.text("transcode-PCMA")])], ["rtpp-flags": .text("codec-set=[a b]")], ["ptime": .integer(20)],
        ["ICE": .text("force")], ["ICE": .list([.text("optional")])], ["SDES": .list([.text("off")])],
        ["flags": .list([.text("SDES-off")])], ["DTLS": .text("passive")], ["flags": .list([.text("codec-accept-X")])],
    ] as [NGDictionary])
    func warnings(entries: NGDictionary) throws {
        let warnings = try Sample.offer(entries).warnings
        #expect(warnings.count == 1)
        #expect(warnings.allSatisfy { $0.contains("relayd") })
    }

    @Test("warnings are said once, and not more than eight")
    func warningLimit() throws {
        #expect(try Sample.offer(flagString: "transcode=[a b c] codec-transcode-d SDES=off SDES-x").warnings.count == 2)
        let all = "transcode-a codec-mask-a codec-accept-a codec-set-a codec-consume-a ptime=3 ptime-reverse=3 SDES=x "
            + "DTLS=x T38=x moh=x"
        #expect(try Sample.offer(flagString: all).warnings.count == 8)
    }

    @Test("escapes in codec names")
    func escapes() throws {
        let request = try Sample.offer(flagString: "codec-strip-opus/48000/2//x--1;y..z")
        #expect(request.codecs.strip == ["opus/48000/2//x=1;y z"])
    }

    @Test("the address of the peer, in both forms", arguments: [
        (.list([.text("IP4"), .text("192.0.2.7")]), "192.0.2.7"),
        (.list([.text("IP6"), .text("2001:db8::1")]), "2001:db8::1"),
        (.text("192.0.2.7"), "192.0.2.7"), (.list([]), nil), (.list([.text("IP4"), .text("host.example")]), nil),
        (.integer(4), nil),
    ] as [(NGValue, String?)])
    func receivedFrom(value: NGValue, address: String?) throws {
        #expect(try Sample.offer(["received-from": value]).receivedFrom == address.flatMap { IPAddress($0) })
    }

    @Test("values of the wrong kind or out of range leave the default")
    func wrongKinds() throws {
        for key in ["sdp", "call-id", "flags", "replace", "codec", "direction", "TOS", "limit", "label", "received-from",
            "rtpp-flags", "media-address", "all", "ICE", "transport-protocol", "supports", "record-call"]
        {
            for value: NGValue in [.integer(.max), .list([.list([]), .integer(3)]), .dictionary(["x": .list([])])] {
                let request = try Sample.offer([key: value])
                #expect(request.sdp == nil && request.callID == nil && request.routing.tos == nil)
                #expect((0...1024).contains(request.limit))
            }
        }
    }
}
