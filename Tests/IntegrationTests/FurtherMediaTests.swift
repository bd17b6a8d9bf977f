import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("calls with several media", .inTurn, .serialized, .needs(.sipp))
struct FurtherMediaTests {
    /// Both ends of one medium.
    private struct Medium {
        let caller: MediaEndpoint
        let callee: MediaEndpoint

        init(on host: IPAddress, call: UInt32, payloadType: UInt8 = 0, isRTP: Bool = true) throws {
            caller = try MediaEndpoint(on: host, call: call, party: .caller, payloadType: payloadType, isRTP: isRTP)
            callee = try MediaEndpoint(on: host, call: call, party: .callee, payloadType: payloadType, isRTP: isRTP)
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
                try await caller.agrees(with: callee, count: count)
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
            try await eventually("the last packet of the audio is counted") {
                try bed.daemon.control.call(id).caller.packets == UInt64(audio.caller.sentCount)
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

    @Test("video on hold and on again: its direction passes, its ports stay, and the call is not on hold")
    func videoOnHold() async throws {
        try await Testbed.with { bed in
            let audio = try Medium(on: bed.host, call: 76)
            let video = try Medium(on: bed.host, call: 77, payloadType: 96)
            defer { for medium in [audio, video] { medium.close() } }
            func keys(_ port: UInt16) -> [String: String] {
                let line = "m=video \(port) RTP/AVP 96\n      a=rtpmap:96 VP8/90000"
                return ["SECOND_OFF": line + "\n      a=inactive", "SECOND_AGAIN": line, "SECOND": line]
            }
            let callee = try await bed.callee("callee-changes-media") {
                $0.media = audio.callee.address
                $0.keys = keys(video.callee.address.port)
            }
            let caller = try await bed.caller("caller-changes-media") {
                $0.media = audio.caller.address
                $0.keys = keys(video.caller.address.port)
            }
            try await caller.agrees(with: callee, count: 1)
            let offered = try #require(callee.received("INVITE").first).mediaAddresses
            let answered = try #require(caller.received("200 OK").first).mediaAddresses
            try await audio.start(answered[0], offered[0])
            try await video.start(answered[1], offered[1])
            try caller.proceed(1)
            try await caller.agrees(with: callee, count: 2)
            let call = try #require(try bed.daemon.control.calls().first)
            #expect(call.monitored && call.monitoredReason.hasPrefix("relayed"), "\(call.monitoredReason)")
            let held = try #require(try bed.daemon.control.call(call.id).furtherMedia?.first)
            #expect(held.isOpen && held.caller.direction == "inactive" && held.callee.direction == "inactive")
            try caller.proceed(2)
            try await caller.agrees(with: callee, count: 3)
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            let offers = callee.received("INVITE")
            #expect(Set(offers.map(\.mediaAddresses)) == [offered] && offers.map { $0.sdpLines("a=inactive").count } == [0, 1, 0])
            #expect(audio.isUnchanged && video.isUnchanged)
        }
    }

    @Test("silent audio ends no call with living video; when both are silent both sides get BYE")
    func silence() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 5 }) { bed in
            let audio = try Medium(on: bed.host, call: 78)
            let video = try Medium(on: bed.host, call: 79, payloadType: 96)
            defer { for medium in [audio, video] { medium.close() } }
            func lines(_ port: UInt16) -> String {
                "m=audio [sdp_port] RTP/AVP 0\n      a=rtpmap:0 PCMU/8000\n      m=video \(port) RTP/AVP 96\n      a=rtpmap:96 VP8/90000"
            }
            let callee = try await bed.callee("callee-answers") {
                $0.media = audio.callee.address
                $0.keys = ["LINES": lines(video.callee.address.port)]
            }
            let caller = try await bed.caller("caller-offers") {
                $0.media = audio.caller.address
                $0.keys = ["LINES": lines(video.caller.address.port), "HEADERS": "X-Nothing: here"]
                $0.pause = .seconds(60)
            }
            try await caller.agrees(with: callee)
            let offered = try #require(callee.received("INVITE").first).mediaAddresses
            let answered = try #require(caller.received("200 OK").first).mediaAddresses
            try await audio.start(answered[0], offered[0])
            try await video.start(answered[1], offered[1])
            audio.caller.stop()
            audio.callee.stop()
            // More than the timeout, told by the video itself.
            let start = video.caller.sentCount
            try await eventually("six more seconds of video", within: .seconds(60)) { video.caller.sentCount >= start + 300 }
            #expect(try bed.daemon.control.calls().map(\.state) == [.connected] && callee.received("BYE").isEmpty)
            video.caller.stop()
            video.callee.stop()
            let bye = try await callee.receives("BYE") { $0.method == "BYE" }
            #expect(bye.q850Cause == 102)
            _ = try await caller.receives("BYE") { $0.method == "BYE" }
            try await callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == .noMedia)
        }
    }

    @Test("a capture takes along a medium that comes while it runs", .needs(.tshark))
    func capture() async throws {
        try await Testbed.with { bed in
            let audio = try Medium(on: bed.host, call: 86)
            let video = try Medium(on: bed.host, call: 87, payloadType: 96)
            defer { for medium in [audio, video] { medium.close() } }
            func lines(_ port: UInt16) -> String { "m=video \(port) RTP/AVP 96\n      a=rtpmap:96 VP8/90000" }
            let off = lines(0)
            let callee = try await bed.callee("callee-changes-media") {
                $0.media = audio.callee.address
                $0.keys = ["SECOND_OFF": off, "SECOND_AGAIN": lines(video.callee.address.port), "SECOND": off]
            }
            let caller = try await bed.caller("caller-changes-media") {
                $0.media = audio.caller.address
                $0.keys = ["SECOND_OFF": off, "SECOND_AGAIN": lines(video.caller.address.port), "SECOND": off]
            }
            try await caller.agrees(with: callee)
            let first = try #require(callee.received("INVITE").first).mediaAddresses
            try await audio.start(try #require(caller.received("200 OK").first).mediaAddresses[0], first[0])
            let id = try #require(try bed.daemon.control.calls().first?.id)
            let file = bed.daemon.directory.file("video.pcapng")
            let capture = try ChildProcess(
                Daemon.commandLineTool, ["capture", id, "-o", file, "--socket", bed.daemon.control.socketPath],
                outputPath: bed.daemon.directory.file("capture.log"))
            try await eventually("RTP is in the file") { (try? Data(contentsOf: URL(filePath: file)))?.count ?? 0 > 5_000 }
            try caller.proceed(1)
            try await caller.agrees(with: callee, count: 2)
            try caller.proceed(2)
            try await caller.agrees(with: callee, count: 3)
            let answers = caller.received("200 OK").filter { $0.transactionMethod == "INVITE" }
            let offer = try #require(callee.received("INVITE").last).mediaAddresses
            try await video.start(try #require(answers.last).mediaAddresses[1], offer[1])
            let start = video.caller.sentCount
            try await eventually("video goes on for a while") { video.caller.sentCount >= start + 50 }
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            #expect(try await capture.exit(within: .seconds(30)) == .exited(code: 0), "\(capture.output)")
            let streams = try await CaptureFile(file).rtpStreams()
            for endpoint in [audio.caller, audio.callee, video.caller, video.callee] {
                let own = streams.filter { $0.ssrc == endpoint.stream.ssrc && $0.packets > 10 }
                #expect(own.count == 2, "as it came and as it went out: \(streams)")
            }
        }
    }

    @Test("T.38 beside audio: UDPTL passes as it is, on ports of its own, and audio with it")
    func fax() async throws {
        try await Testbed.with { bed in
            let audio = try Medium(on: bed.host, call: 81)
            let fax = try Medium(on: bed.host, call: 82, isRTP: false)
            defer { for medium in [audio, fax] { medium.close() } }
            func lines(_ medium: MediaEndpoint) -> String {
                "m=audio [sdp_port] RTP/AVP 0\n      a=rtpmap:0 PCMU/8000\n      m=image \(medium.address.port) udptl t38\n      a=T38FaxVersion:0"
            }
            let callee = try await bed.callee("callee-answers") {
                $0.media = audio.callee.address
                $0.keys = ["LINES": lines(fax.callee)]
            }
            let caller = try await bed.caller("caller-offers") {
                $0.media = audio.caller.address
                $0.keys = ["LINES": lines(fax.caller), "HEADERS": "X-Nothing: here"]
                $0.hangsUpWhenTold = true
            }
            try await caller.agrees(with: callee)
            let offered = try #require(callee.received("INVITE").first)
            let answered = try #require(caller.received("200 OK").first)
            #expect(offered.sdpLines("m=image ").first?.hasSuffix(" udptl t38") == true)
            #expect(offered.sdpLines("a=T38FaxVersion:") == ["0"])
            try await audio.start(answered.mediaAddresses[0], offered.mediaAddresses[0])
            try await fax.start(answered.mediaAddresses[1], offered.mediaAddresses[1])
            let id = try #require(try bed.daemon.control.calls().first?.id)
            let further = try #require(try bed.daemon.control.call(id).furtherMedia)
            #expect(further.map(\.kind) == ["image"] && further[0].callee.lockedSource == fax.callee.address)
            #expect(fax.isUnchanged && audio.isUnchanged)
            #expect(fax.caller.heard.sources == [answered.mediaAddresses[1]])
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
        }
    }
}

@Suite("calls without audio", .inTurn, .serialized, .needs(.sipp))
struct FaxCallTests {
    @Test("a fax call, T.38 from its INVITE on: what each side sends reaches the other unchanged, and all reports know it")
    func fax() async throws {
        try await Testbed.with { bed in
            let caller = try MediaEndpoint(on: bed.host, call: 91, party: .caller, isRTP: false)
            let callee = try MediaEndpoint(on: bed.host, call: 91, party: .callee, isRTP: false)
            defer {
                caller.close()
                callee.close()
            }
            func lines(_ medium: MediaEndpoint) -> String {
                "m=image \(medium.address.port) udptl t38\n      a=T38FaxVersion:0\n      a=T38FaxUdpEC:t38UDPRedundancy"
            }
            let answering = try await bed.callee("callee-answers") {
                $0.media = callee.address
                $0.keys = ["LINES": lines(callee)]
            }
            let calling = try await bed.caller("caller-offers") {
                $0.media = caller.address
                $0.keys = ["LINES": lines(caller), "HEADERS": "X-Nothing: here"]
                $0.hangsUpWhenTold = true
            }
            try await calling.agrees(with: answering)
            let offered = try #require(answering.received("INVITE").first)
            let answered = try #require(calling.received("200 OK").first)
            #expect(offered.sdpLines("m=").count == 1 && offered.sdpLines("m=image ").first?.hasSuffix(" udptl t38") == true)
            #expect(answered.sdpLines("a=T38FaxUdpEC:") == ["t38UDPRedundancy"])
            let towardsCaller = try #require(answered.mediaAddresses.first)
            let towardsCallee = try #require(offered.mediaAddresses.first)
            caller.start(to: towardsCaller)
            callee.start(to: towardsCallee)
            try await eventually("a hundred datagrams each way") {
                caller.heard.numbers.count >= 100 && callee.heard.numbers.count >= 100
            }
            #expect([caller, callee].allSatisfy { $0.heard.altered == 0 && $0.heard.foreign == 0 })
            #expect(caller.heard.sources == [towardsCaller] && callee.heard.sources == [towardsCallee])
            let id = try #require(try bed.daemon.control.calls().first?.id)
            let text = try await bed.daemon.relayctl(["call", id])
            #expect(text.output.contains("image"), "\(text.output)")
            try calling.hangUp()
            try await calling.succeeds()
            try await answering.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == .normal && record.verdict == .normal, "\(record.explanation ?? "")")
            #expect(record.fromCaller.packets >= 100 && record.fromCallee.packets >= 100 && record.fromCaller.mos == nil)
            #expect(try bed.daemon.control.counter(.mediaDatagramsSent) >= 200)
            print(try await bed.daemon.relayctl(["why", id]).output)
        }
    }
}

@Suite("video phones", .inTurn, .needs(.baresip), .needs(.root))
struct VideoPhoneTests {
    @Test("two baresips behind a NAT of the kernel's see and hear each other, and relayctl shows both media")
    func video() async throws {
        let network = try await PhoneNetwork(udpTimeout: 30)
        do {
            var settings = DaemonSettings(listen: PhoneNetwork.server, mediaPorts: 20_000...20_199)
            settings.httpPort = nil
            settings.users = [.init("ada", "secret", numbers: ["100"]), .init("bob", "word", numbers: ["200"])]
            settings.launcher = { _ in network.atServer }
            let daemon = try await Daemon.start(settings)
            func phone(_ user: String, _ password: String, port: UInt16) throws -> Baresip {
                try Baresip(
                    user: user, password: password, at: SocketAddress(ip: PhoneNetwork.phone.ip, port: port), server: PhoneNetwork.server,
                    launcher: network.atPhone, hasVideo: true)
            }
            let ada = try phone("ada", "secret", port: 5062)
            let bob = try phone("bob", "word", port: 5090)
            try await ada.isRegistered()
            try await bob.isRegistered()
            try bob.dial("sip:100@\(PhoneNetwork.server)")
            let detail = try await eventually("audio and video flow both ways: \(bob.log.suffix(4_000))", within: .seconds(40)) {
                let calls = try daemon.control.calls()
                return try calls.first.map { try daemon.control.call($0.id) }.flatMap { call in
                    let video = call.furtherMedia?.first { $0.kind == "video" }
                    let counts = [call.caller.packets, call.callee?.packets, video?.caller.media.packets, video?.callee.media.packets]
                    return counts.allSatisfy { $0 ?? 0 > 25 } ? call : nil
                }
            }
            #expect(detail.furtherMedia?.count == 1 && detail.furtherMedia?[0].callee.lockedSource?.ip == PhoneNetwork.outside)
            try daemon.control.hangUp(detail.summary.id)
            let record = try #require(try await daemon.records(count: 1).first)
            #expect(record.cause == .operatorHangup)
            ada.kill()
            bob.kill()
            _ = try await daemon.stop()
        } catch {
            try await network.remove()
            throw error
        }
        try await network.remove()
    }
}
