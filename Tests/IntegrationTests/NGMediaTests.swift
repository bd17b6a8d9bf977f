import Core
import Harness
import NG
import Testing

@Suite("media of calls driven over NG", .inTurn, .serialized)
struct NGMediaTests {
    @Test("audio and video of one call pass side by side, each by ports of its own; ending the video leaves the audio alone")
    func twoMedia() async throws {
        try await serve { bed, proxy in
            let audio = try Pair(on: bed.host, call: 1)
            let video = try Pair(on: bed.host, call: 2)
            defer {
                audio.close()
                video.close()
            }
            let toCallee = try await proxy.say(
                "offer", from: "a", sdp(bed.host, "audio \(audio.caller.address.port)", "video \(video.caller.address.port)"))
            let toCaller = try await proxy.say(
                "answer", from: "a", to: "b",
                sdp(bed.host, "audio \(audio.callee.address.port)", "video \(video.callee.address.port)"))
            let calleePorts = ports(toCallee)
            let callerPorts = ports(toCaller)
            #expect(Set(calleePorts + callerPorts).count == 4, "four ports: \(calleePorts), \(callerPorts)")
            let pairs = [audio, video]
            for (index, pair) in pairs.enumerated() {
                pair.caller.start(to: SocketAddress(ip: bed.host, port: callerPorts[index]))
                pair.callee.start(to: SocketAddress(ip: bed.host, port: calleePorts[index]))
            }
            for pair in pairs { try await pair.talks(25) }

            let again = try await proxy.say(
                "offer", from: "a", to: "b", sdp(bed.host, "audio \(audio.caller.address.port)", "video 0"))
            #expect(ports(again) == [calleePorts[0], 0])
            let answer = try await proxy.say(
                "answer", from: "a", to: "b", sdp(bed.host, "audio \(audio.callee.address.port)", "video 0"))
            #expect(ports(answer) == [callerPorts[0], 0])
            video.stop()
            try await audio.talks(50)
            for pair in pairs {
                pair.stop()
                pair.expectWhole()
            }
        }
    }

    @Test("a re-offer that changes codec, address and direction loses no packet of either party")
    func reoffer() async throws {
        try await serve { bed, proxy in
            let pair = try Pair(on: bed.host, call: 3)
            defer { pair.close() }
            let toCallee = try await proxy.say("offer", from: "a", sdp(bed.host, "audio \(pair.caller.address.port)"))
            let toCaller = try await proxy.say(
                "answer", from: "a", to: "b", sdp(bed.host, "audio \(pair.callee.address.port)"))
            pair.caller.start(to: SocketAddress(ip: bed.host, port: try #require(ports(toCaller).first)))
            pair.callee.start(to: SocketAddress(ip: bed.host, port: try #require(ports(toCallee).first)))
            try await pair.talks(25)

            // Another codec, and held: both go on sending, and everything passes.
            let held = sdp(bed.host, "audio \(pair.caller.address.port)", codec: 8, direction: "sendonly")
            #expect(try await ports(proxy.say("offer", from: "a", to: "b", held)) == ports(toCallee))
            let answer = sdp(bed.host, "audio \(pair.callee.address.port)", codec: 8, direction: "recvonly")
            #expect(try await ports(proxy.say("answer", from: "a", to: "b", answer)) == ports(toCaller))
            try await pair.talks(25)

            // The callee moves to another port, and offers it.
            let moved = try pair.callee.reserveMove()
            let offer = sdp(bed.host, "audio \(moved.port)", codec: 0)
            #expect(try await ports(proxy.say("offer", from: "b", to: "a", offer)) == ports(toCaller))
            pair.callee.move()
            let accepted = sdp(bed.host, "audio \(pair.caller.address.port)", codec: 0)
            #expect(try await ports(proxy.say("answer", from: "b", to: "a", accepted)) == ports(toCallee))
            try await pair.talks(50)
            pair.stop()
            pair.expectWhole()
            #expect(try bed.daemon.control.counter(.sourceRelocks) == 1)
        }
    }

    // MARK: Helpers

    private struct Pair {
        let caller: MediaEndpoint
        let callee: MediaEndpoint

        init(on host: IPAddress, call: UInt32) throws {
            caller = try MediaEndpoint(on: host, call: call, party: .caller)
            callee = try MediaEndpoint(on: host, call: call, party: .callee)
        }

        /// Returns when each has heard `count` packets more of the other.
        func talks(_ count: Int) async throws {
            let before = (caller.heard.numbers.count, callee.heard.numbers.count)
            try await eventually("each party hears \(count) packets more") {
                caller.heard.numbers.count >= before.0 + count && callee.heard.numbers.count >= before.1 + count
            }
        }

        func stop() {
            caller.stop()
            callee.stop()
        }

        func close() {
            caller.close()
            callee.close()
        }

        /// From the first packet that came on, each came, once and in order, unchanged.
        func expectWhole(location: SourceLocation = #_sourceLocation) {
            for heard in [caller.heard, callee.heard] {
                let (first, last) = (heard.numbers.first ?? 0, heard.numbers.last ?? 0)
                #expect(heard.numbers == Array(first...last), sourceLocation: location)
                #expect(heard.altered == 0 && heard.foreign == 0, sourceLocation: location)
            }
        }
    }

    /// A proxy with one call.
    private struct Proxy {
        let client: NGClient

        /// - Returns: the SDP of the answer.
        func say(_ command: String, from: String, to: String? = nil, _ sdp: String) async throws -> String {
            var entries: NGDictionary = ["call-id": .text("call"), "from-tag": .text(from), "sdp": .text(sdp)]
            if let to { entries["to-tag"] = .text(to) }
            let answer = try await client.ask(command, entries)
            return try #require(answer["sdp"]?.text, "\(answer)")
        }
    }

    private func serve(_ body: (Testbed, Proxy) async throws -> Void) async throws {
        try await Testbed.with { settings in
            settings.ngListen = SocketAddress(ip: settings.listen.ip, port: 2223)
        } body: { bed in
            let server = try #require(bed.daemon.settings.ngListen)
            try await body(bed, Proxy(client: try NGClient(on: bed.host, server: server)))
        }
    }

    private func sdp(_ host: IPAddress, _ media: String..., codec: Int = 0, direction: String = "sendrecv") -> String {
        let lines = ["v=0", "o=- 1 1 IN IP4 \(host)", "s=-", "c=IN IP4 \(host)", "t=0 0"]
            + media.flatMap { ["m=\($0) RTP/AVP \(codec)", "a=\(direction)"] }
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    private func ports(_ sdp: String) -> [UInt16] {
        sdp.split(separator: "\r\n").filter { $0.hasPrefix("m=") }.compactMap { line in
            line.split(separator: " ").dropFirst().first.flatMap { UInt16($0) }
        }
    }
}
