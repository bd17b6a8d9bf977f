import ControlProtocol
import Core
import Harness
import Testing

@Suite("calls with several media", .inTurn, .serialized, .needs(.sipp))
struct FurtherMediaTests {
    /// Both ends of one medium.
    private struct Medium {
        let caller: MediaEndpoint
        let callee: MediaEndpoint

        init(on host: IPAddress, call: UInt32, payloadType: UInt8 = 0) throws {
            caller = try MediaEndpoint(on: host, call: call, party: .caller, payloadType: payloadType)
            callee = try MediaEndpoint(on: host, call: call, party: .callee, payloadType: payloadType)
        }

        func start(_ towardsCaller: SocketAddress, _ towardsCallee: SocketAddress) async throws {
            caller.start(to: towardsCaller)
            callee.start(to: towardsCallee)
            try await eventually("each party hears the other") {
                !caller.heard.numbers.isEmpty && !callee.heard.numbers.isEmpty
            }
        }

        func close() {
            caller.close()
            callee.close()
        }

        var isUnchanged: Bool {
            [caller, callee].allSatisfy { $0.heard.altered == 0 && $0.heard.foreign == 0 }
        }
    }

    private static func keys(_ off: String, _ lines: (UInt16) -> String, _ first: UInt16, _ second: UInt16) -> [String: String] {
        ["SECOND_OFF": off, "SECOND_AGAIN": lines(second), "SECOND": lines(first)]
    }

    @Test("video beside audio: ended by a re-INVITE and had again by another one, each with ports of its own; audio never stops")
    func video() async throws {
        try await Testbed.with { bed in
            let audio = try Medium(on: bed.host, call: 71)
            let video = try Medium(on: bed.host, call: 72, payloadType: 96)
            let secondVideo = try Medium(on: bed.host, call: 73, payloadType: 96)
            defer { for medium in [audio, video, secondVideo] { medium.close() } }
            func lines(_ port: UInt16) -> String { "m=video \(port) RTP/AVP 96\n      a=rtpmap:96 VP8/90000" }
            let callee = try await bed.callee("callee-changes-media") {
                $0.media = audio.callee.address
                $0.keys = Self.keys("m=video 0 RTP/AVP 96", lines, video.callee.address.port, secondVideo.callee.address.port)
            }
            let caller = try await bed.caller("caller-changes-media") {
                $0.media = audio.caller.address
                $0.keys = Self.keys("m=video 0 RTP/AVP 96", lines, video.caller.address.port, secondVideo.caller.address.port)
            }
            func exchange(_ count: Int) async throws -> (offered: [SocketAddress], answered: [SocketAddress]) {
                try await eventually("\(count) offers are answered and acknowledged") { callee.received("ACK").count == count }
                let answers = caller.received("200 OK").filter { $0.transactionMethod == "INVITE" }
                return (try #require(callee.received("INVITE").last).mediaAddresses, try #require(answers.last).mediaAddresses)
            }
            let first = try await exchange(1)
            #expect(first.offered.count == 2 && first.answered.count == 2)
            #expect(Set(first.offered + first.answered).count == 4 && (first.offered + first.answered).allSatisfy { $0.port != 0 })
            #expect(callee.received("INVITE").first?.sdpLines("m=").map { $0.prefix(5) } == ["audio", "video"])
            try await audio.start(first.answered[0], first.offered[0])
            try await video.start(first.answered[1], first.offered[1])
            let id = try #require(try bed.daemon.control.calls().first?.id)
            try await eventually("relayctl shows the packets of the video") {
                let further = try bed.daemon.control.call(id).furtherMedia ?? []
                return further.count == 1 && further[0].line == 2 && further[0].kind == "video"
                    && further[0].caller.media.packets > 0 && further[0].callee.media.packets > 0
                    && further[0].caller.lockedSource == video.caller.address
            }
            let text = try await bed.daemon.relayctl(["call", id])
            #expect(text.output.contains("FURTHER MEDIA") && text.output.contains("2 video"), "\(text.output)")

            try caller.proceed(1)
            let ended = try await exchange(2)
            #expect(ended.offered.map(\.port) == [first.offered[0].port, 0] && ended.answered.map(\.port) == [first.answered[0].port, 0])
            try await eventually("the ports of the video are given back") {
                try bed.daemon.control.status().media.portsInUse == 4
            }

            try caller.proceed(2)
            let again = try await exchange(3)
            #expect(again.offered[0] == first.offered[0] && again.answered[0] == first.answered[0])
            #expect(again.offered[1].port != 0 && again.offered[1] != first.offered[1])
            try await secondVideo.start(again.answered[1], again.offered[1])

            for medium in [audio, video, secondVideo] {
                medium.caller.stop()
                medium.callee.stop()
            }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(audio.isUnchanged && video.isUnchanged && secondVideo.isUnchanged)
            #expect(audio.caller.heard.sources == [first.answered[0]] && video.callee.heard.sources == [first.offered[1]])
            #expect(secondVideo.callee.heard.sources == [again.offered[1]])
            let numbers = audio.callee.heard.numbers
            #expect(numbers == Array((numbers.first ?? 0)..<(numbers.first ?? 0) + UInt32(numbers.count)), "audio without a gap")
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.fromCaller.packets == UInt64(audio.caller.sentCount), "the record tells of the audio")
            try await eventually("no port is in use") { try bed.daemon.control.status().media.portsInUse == 0 }
        }
    }
}
