import Configuration
import Control
import Core
import NG
import Relay
import Testing

/// What a proxy has done to media, and what the relay is told of muxed RTCP and of T.38.
@Suite struct NGRestrictionTests {
    private static let dtmf = ["a=rtpmap:101 telephone-event/8000"]

    /// The last treatment of each leg that the relay was told of since `count` commands.
    private func treatments(_ world: NGWorld, since count: Int = 0) -> [Leg: MediaTreatment] {
        world.commands[count...].reduce(into: [:]) { result, command in
            if case .treat(_, let leg, let treatment) = command { result[leg] = treatment }
        }
    }

    private func expectations(_ world: NGWorld) -> [Leg: ExpectedSource] {
        world.commands.reduce(into: [:]) { result, command in
            if case .expect(_, let leg, let source) = command { result[leg] = source }
        }
    }

    private func sdp(_ host: String, _ formats: String = "8", _ lines: [String] = [], transport: String = "RTP/AVP") -> String {
        (["v=0", "o=- 1 1 IN IP4 \(host)", "s=-", "c=IN IP4 \(host)", "t=0 0",
            "m=\(transport == "udptl" ? "image" : "audio") 30000 \(transport) \(formats)"] + lines + [""])
            .joined(separator: "\r\n")
    }

    @Test("media are blocked, silenced and freed, of the whole call or of the side that is named", arguments: [
        ([:], [Leg.caller, .callee]),
        (["from-tag": .text("a")], [.caller, .callee]),
        (["from-tag": .text("a"), "flags": .list([.text("directional")])], [.caller]),
        (["from-tag": .text("b"), "flags": .list([.text("directional")])], [.callee]),
        (["from-tag": .text("b"), "flags": .list([.text("directional"), .text("all")])], [.caller, .callee]),
        (["address": .text("198.51.100.2")], [.callee]),
        (["label": .text("alice")], [.caller]),
    ] as [(NGDictionary, [Leg])])
    func sides(keys: NGDictionary, legs: [Leg]) {
        let world = NGWorld()
        _ = world.offer("c", from: "a", sdp("198.51.100.1"), ["label": .text("alice")])
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2"))
        for (command, blocked, silenced) in [
            ("block media", true, false), ("silence media", true, true), ("unblock media", false, true),
            ("unsilence media", false, false),
        ] {
            let count = world.commands.count
            #expect(world.ask(command, NGWorld.entries("c", nil, nil, nil, keys)).result == "ok")
            let told = treatments(world, since: count)
            for leg in Leg.allCases {
                let isMeant = legs.contains(leg)
                #expect(told[leg] == MediaTreatment(isBlocked: blocked && isMeant, isSilenced: silenced && isMeant), "\(command)")
            }
        }
        #expect(world.problems == [])
    }

    @Test("DTMF is known by the payload types that the other side chose, and again after a re-offer with others")
    func dtmf() {
        let world = NGWorld()
        _ = world.offer("c", from: "a", sdp("198.51.100.1", "8 101", Self.dtmf))
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2", "8 96", ["a=rtpmap:96 telephone-event/8000"]))
        #expect(treatments(world).isEmpty, "nothing is restricted, so nothing is said")
        #expect(world.ask("block DTMF", NGWorld.entries("c", "a")).result == "ok")
        #expect(treatments(world)[.caller] == MediaTreatment(blockedPayloadTypes: [96]))
        #expect(treatments(world)[.callee] == MediaTreatment(blockedPayloadTypes: [101]))

        _ = world.offer("c", from: "b", to: "a", sdp("198.51.100.2", "8 97", ["a=rtpmap:97 telephone-event/8000"]))
        _ = world.answer("c", from: "b", to: "a", sdp("198.51.100.1", "8"))
        #expect(treatments(world)[.caller] == MediaTreatment(blockedPayloadTypes: [97]))
        #expect(treatments(world)[.callee] == MediaTreatment(blockedPayloadTypes: [97]), "no other number is known")
        #expect(world.ask("unblock DTMF", NGWorld.entries("c", "a")).result == "ok")
        #expect(treatments(world)[.caller] == MediaTreatment())
    }

    @Test("digits pass a block of media and silence, as through rtpengine, unless they are blocked themselves")
    func digitsPass() {
        let world = NGWorld()
        _ = world.offer("c", from: "a", sdp("198.51.100.1", "8 101", Self.dtmf))
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2", "8 101", Self.dtmf))
        _ = world.ask("block media", NGWorld.entries("c", "a"))
        #expect(treatments(world)[.caller] == MediaTreatment(isBlocked: true, passedPayloadTypes: [101]))
        _ = world.ask("block DTMF", NGWorld.entries("c", "a"))
        #expect(treatments(world)[.caller] == MediaTreatment(isBlocked: true, blockedPayloadTypes: [101]))
    }

    @Test("flags about sources reach the relay; what is not honoured is said, with the reason")
    func sources() {
        let world = NGWorld()
        let offer = world.offer(
            "c", from: "a", sdp("198.51.100.1"), NGWorld.flags("asymmetric", "media-handover", "port-latching"))
        #expect(offer.warning?.contains("media-handover ignored") == true && offer.warning?.contains("port-latching") == true)
        let answer = world.answer(
            "c", from: "a", to: "b", sdp("198.51.100.2"),
            ["endpoint-learning": .text("off"), "flags": .list([.text("strict-source"), .text("media-before-lock")]),
             "TOS": .integer(184)])
        #expect(answer.warning == nil)
        #expect(expectations(world)[.caller]?.options == .asymmetric)
        #expect(expectations(world)[.callee]?.options == [.announcedOnly, .opensAtOnce])
        let again = world.offer("c", from: "a", to: "b", sdp("198.51.100.1"), ["TOS": .integer(0)])
        #expect(again.warning?.contains("TOS ignored") == true)
    }

    @Test("a restriction of a call that still rings holds once it is answered")
    func early() {
        let world = NGWorld()
        _ = world.offer("c", from: "a", sdp("198.51.100.1"))
        _ = world.ask("block media", NGWorld.entries("c", "a"))
        let count = world.commands.count
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2"))
        #expect(treatments(world, since: count)[.callee]?.isBlocked == true)
    }

    @Test("who names nobody of the call is told so", arguments: [
        ("c", ["label": .text("bob")], "No monologue matching the given label"),
        ("c", ["address": .text("203.0.113.99")], "Failed to match address to any tag"),
        ("c", ["from-tag": .text("x"), "flags": .list([.text("directional")])], "No monologue matching the given from-tag"),
        ("other", [:], "Unknown call-id"),
    ] as [(String, NGDictionary, String)])
    func mistakes(call: String, keys: NGDictionary, reason: String) {
        let world = NGWorld()
        _ = world.establish("c")
        let answer = world.ask("block media", NGWorld.entries(call, nil, nil, nil, keys))
        #expect(answer.result == "error" && answer.reason == reason)
        #expect(treatments(world).isEmpty)
    }

    @Test("RTP and RTCP share a port on the sides that agreed on it with relayd", arguments: [
        (true, true, [], true, true), (true, false, [], false, false), (false, false, [], false, false),
        (true, false, ["demux"], true, false), (false, true, ["offer"], false, true), (true, true, ["reject"], false, true),
    ] as [(Bool, Bool, [String], Bool, Bool)])
    func muxing(caller: Bool, callee: Bool, options: [String], callerMuxed: Bool, calleeMuxed: Bool) {
        let world = NGWorld()
        let mux = ["a=rtcp-mux"]
        _ = world.offer(
            "c", from: "a", sdp("198.51.100.1", "8", caller ? mux : []), ["rtcp-mux": .list(options.map { .text($0) })])
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2", "8", callee ? mux : []))
        #expect(expectations(world)[.caller]?.isRTCPMuxed == callerMuxed)
        #expect(expectations(world)[.callee]?.isRTCPMuxed == calleeMuxed)

        // Until the answer to a re-offer what was agreed holds.
        _ = world.offer("c", from: "b", to: "a", sdp("198.51.100.2"))
        #expect(expectations(world)[.callee]?.isRTCPMuxed == calleeMuxed)
        _ = world.answer("c", from: "b", to: "a", sdp("198.51.100.1"))
        #expect(expectations(world)[.caller]?.isRTCPMuxed == false)
        #expect(expectations(world)[.callee]?.isRTCPMuxed == false)
    }

    @Test("a medium over udptl is relayed as datagrams; the relay is told who sends")
    func transports() {
        let world = NGWorld()
        _ = world.offer("c", from: "a", sdp("198.51.100.1", "8", ["a=sendonly"]))
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2", "8", ["a=recvonly"]))
        #expect(expectations(world)[.caller].map { [$0.direction] } == [.sendOnly])
        #expect(expectations(world)[.callee].map { [$0.direction] } == [.receiveOnly])
        #expect(expectations(world)[.caller]?.transport == .rtp)
        _ = world.offer("c", from: "b", to: "a", sdp("198.51.100.2", "t38", transport: "udptl"))
        #expect(expectations(world)[.callee]?.transport == .datagram)
        _ = world.answer("c", from: "b", to: "a", sdp("198.51.100.1", "t38", transport: "udptl"))
        #expect(expectations(world)[.caller]?.transport == .datagram)
    }

    @Test("the proxy is asked once to end a call that falls silent, by the tags of those who talked")
    func termination() {
        let world = NGWorld { $0.ng.timeout = .seconds(10) }
        _ = world.offer("c", from: "a", sdp("198.51.100.1"), ["xmlrpc-callback": .text("192.0.2.99")])
        _ = world.answer("c", from: "a", to: "b", sdp("198.51.100.2"))
        _ = world.answer("c", from: "a", to: "b2", sdp("198.51.100.3"))
        _ = world.establish("deleted")
        _ = world.delete("deleted", from: "a", ["delete-delay": .integer(0)])
        _ = world.offer("unanswered", from: "a", sdp("198.51.100.1"))
        world.run(for: .seconds(60))
        #expect(world.terminations.map(\.callID) == ["c"])
        #expect(world.terminations.map { [$0.callerTag, $0.calleeTag] } == [["a", "b2"]])
        #expect(world.terminations.map(\.proxy) == [IPAddress("192.0.2.99")])
    }
}
